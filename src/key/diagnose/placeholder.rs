//! Placeholders where a key should be: names, unresolved references, and copies without the secret.

use super::characters::CharacterKinds;
use crate::key::{layout::SHORTEST_KEY, prefix::Prefixes};

/// What programs write instead of a secret.
const CENSORED: [&[u8]; 4] = [b"redacted", b"filtered", b"masked", b"hidden"];

/// Before the colon of a reference to a secret, a file or a variable, if no `//` follows.
const STORES: [&[u8]; 40] = [
    b"akeyless",
    b"akv",
    b"arn",
    b"asm",
    b"aws",
    b"awssm",
    b"awsssm",
    b"azurekeyvault",
    b"bao",
    b"bitwarden",
    b"bw",
    b"bws",
    b"conjur",
    b"consul",
    b"credstash",
    b"doppler",
    b"env",
    b"file",
    b"gcp",
    b"gcpsm",
    b"gsm",
    b"infisical",
    b"k8s",
    b"keepass",
    b"keychain",
    b"keyring",
    b"keyvault",
    b"kms",
    b"kubernetes",
    b"lastpass",
    b"onepassword",
    b"op",
    b"openbao",
    b"secret",
    b"secrets",
    b"secretsmanager",
    b"sm",
    b"sops",
    b"ssm",
    b"vault",
];

/// Before the dot of a reference that has nothing but letters, digits and dots in it.
const CONTEXTS: [&[u8]; 7] = [b"config", b"env", b"local", b"secrets", b"settings", b"var", b"vars"];

/// Whether the secret was removed: `user.….[REDACTED]`, `user.****`, `user.<id>.<secret>`, `user.xxxxxxxx`.
#[inline]
pub(super) fn is_masked(prefixes: &Prefixes, text: &[u8], seen: CharacterKinds) -> bool {
    text.ends_with(b"...")
        || is_crossed_out(text)
        || (text.len() < SHORTEST_KEY && is_censored(text))
        || (!seen.is_plain() && is_masked_by_signs(prefixes, text, seen))
}

#[inline(never)]
fn is_censored(text: &[u8]) -> bool {
    CENSORED.iter().any(|word| ends_with(text, word))
}

#[inline(never)]
fn is_masked_by_signs(prefixes: &Prefixes, text: &[u8], seen: CharacterKinds) -> bool {
    let bracketed = || {
        // A description, not a list of strings, nor a key in brackets.
        let is_open = |pair: &[u8]| matches!(pair, [b'<' | b'[', letter] if letter.is_ascii_alphabetic());
        let inside = text.get(text.windows(2).position(is_open)? + 1..)?;
        Some(inside.iter().any(|byte| matches!(byte, b'>' | b']')) && !prefixes.begin(inside))
    };
    (seen.has(CharacterKinds::BRACKET) && bracketed() == Some(true))
        || (seen.has(CharacterKinds::STAR) && text.windows(3).any(|window| window == b"***"))
        || seen.has(CharacterKinds::MASK)
}

/// Whether it ends with one repeated character, as no secret does.
pub(super) fn is_crossed_out(text: &[u8]) -> bool {
    text.last_chunk::<8>().is_some_and(|end| {
        let [first, ..] = end;
        matches!(first, b'x' | b'X' | b'0' | b'_' | b'-') && end.iter().all(|byte| byte == first)
    })
}

/// Whether this is a placeholder for a key.
#[inline]
pub(super) fn is_placeholder(text: &[u8], seen: CharacterKinds) -> bool {
    // No name has as many letters as a key and nothing else.
    let may_be_one = text.len() < SHORTEST_KEY || !seen.is_plain();
    may_be_one && is_name_or_reference(text, seen)
}

#[inline(never)]
fn is_name_or_reference(text: &[u8], seen: CharacterKinds) -> bool {
    is_word(text) || is_drawn(text) || is_plain_reference(text) || (!seen.is_plain() && is_reference(text, seen))
}

/// One repeated sign, and nothing else.
fn is_drawn(text: &[u8]) -> bool {
    matches!(text, [first @ (b'x' | b'X' | b'*' | b'.' | b'-' | b'_' | b'#' | b'?' | b'0'), _, _, ..]
        if text.iter().all(|byte| byte == first))
}

/// `__API_KEY__`, `secrets.API_KEY`.
fn is_plain_reference(text: &[u8]) -> bool {
    (text.len() > 4 && text.starts_with(b"__") && text.ends_with(b"__"))
        || (matches!(text.first(), Some(b'c' | b'e' | b'l' | b's' | b'v' | b'C' | b'E' | b'S'))
            && begins_with_one_of(&CONTEXTS, text, b'.'))
}

/// References to a secret in shells, templates, configurations and programs, to be replaced by it.
fn is_reference(text: &[u8], seen: CharacterKinds) -> bool {
    match text {
        // An expression of some workflow engines.
        [b'=', rest @ ..] => is_reference(rest, seen),
        // A variable of a shell or a template. `$argon2id$…` is a hash, not a variable.
        [b'$', b'{' | b'(' | b'[' | b'_' | b'$' | b'A'..=b'Z' | b'a'..=b'z', ..] => !text.starts_with(b"$argon2"),
        [b'{', b'{', ..] | [b'<', b'%', ..] | [b'#' | b'%' | b'@', b'{', ..] | [b'%', b'(', ..] => true,
        // With quotation marks it is JSON.
        [b'{', rest @ ..] => rest.contains(&b'}') && !seen.has(CharacterKinds::QUOTE),
        // A tag of YAML.
        [b'!', letter, ..] if letter.is_ascii_alphabetic() => true,
        [first @ (b'%' | b'@' | b'#' | b'~' | b'|'), .., last] if first == last => true,
        [b'(', .., b')'] | [b'[', b'[', .., b']', b']'] => true,
        _ => is_call(text) || is_path(text) || is_address(text) || begins_with_one_of(&STORES, text, b':'),
    }
}

/// `getenv("KEY")`, `@Microsoft.KeyVault(…)`, `ENC(…)`, `os.environ["KEY"]`.
fn is_call(text: &[u8]) -> bool {
    let open = match text.last() {
        Some(b')') => b'(',
        Some(b']') => b'[',
        _ => return false,
    };
    let before = text.iter().position(|byte| *byte == open).and_then(|open| text.get(..open)).unwrap_or_default();
    before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// `/run/secrets/key`, `./key`, `~/key`, `C:\key`, `projects/1/secrets/key`.
fn is_path(text: &[u8]) -> bool {
    // Base64 has `/`, too, but not followed by two words of small letters.
    let has_segment = |rest: &[u8]| {
        let word = rest.iter().take_while(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-')).count();
        word >= 2 && matches!(rest.get(word), None | Some(b'/'))
    };
    match text {
        [b'/', rest @ ..] if has_segment(rest) => true,
        [b'.' | b'~', b'/', ..] | [b'.', b'.', b'/', ..] | [_, b':', b'\\', ..] | [b'\\', b'\\', ..] => true,
        _ => [&b"secrets/"[..], b"secret/"].iter().any(|folder| text.windows(folder.len()).any(|part| part == *folder)),
    }
}

/// `op://vault/item/field`, `ref+vault://…`, `https://…`.
fn is_address(text: &[u8]) -> bool {
    let before = text.windows(3).position(|sign| sign == b"://").and_then(|sign| text.get(..sign));
    before.and_then(<[u8]>::last).is_some_and(u8::is_ascii_alphanumeric)
}

/// Whether it is one of the words, in any case, then this byte, and something more.
fn begins_with_one_of(words: &[&[u8]], text: &[u8], end: u8) -> bool {
    let Some(length) = text.iter().take(16).position(|byte| *byte == end) else { return false };
    text.len() > length + 1
        && text.get(..length).is_some_and(|first| words.iter().any(|word| first.eq_ignore_ascii_case(word)))
}

fn ends_with(text: &[u8], word: &[u8]) -> bool {
    let start = text.len().checked_sub(word.len());
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}

fn is_word(text: &[u8]) -> bool {
    let (begins, is): (&[&[u8]], &[&[u8]]) = match text.first().map(u8::to_ascii_lowercase) {
        Some(b'a') => (&[b"apikeyhere"], &[b"apikey", b"accesstoken", b"authtoken"]),
        Some(b'c') => (&[b"changeme", b"changethis", b"credstash"], &[]),
        Some(b'd') => (&[b"denoenv"], &[b"dummy"]),
        Some(b'e') => (&[b"enteryour"], &[b"encrypted", b"example"]),
        Some(b'f') => (&[], &[b"false", b"filtered", b"fixme", b"foo", b"foobar"]),
        Some(b'g') => (&[b"getenv"], &[]),
        Some(b'h') => (&[], &[b"hidden"]),
        Some(b'i') => (&[b"importmetaenv", b"insertyour", b"insertapikey", b"insertkey"], &[]),
        Some(b'k') => (&[], &[b"key"]),
        Some(b'm') => (&[b"myapikey"], &[b"masked", b"mykey", b"mytoken", b"mysecret"]),
        Some(b'n') => (&[], &[b"nan", b"nil", b"none", b"null"]),
        Some(b'o') => (&[b"osenviron", b"osgetenv"], &[b"omitted"]),
        Some(b'p') => (&[b"pasteyour", b"placeholder", b"processenv", b"putyour"], &[b"protected"]),
        Some(b'r') => (&[b"replaceme", b"replacethis", b"replacewith"], &[b"redacted", b"removed"]),
        Some(b's') => (&[b"secretkeyref", b"systemgetenv"], &[b"secret", b"secretkey", b"secured", b"sensitive"]),
        Some(b't') => (&[], &[b"tbd", b"test", b"todo", b"token", b"true"]),
        Some(b'u') => (&[], &[b"undefined"]),
        Some(b'v') => (&[b"valuefrom"], &[]),
        Some(b'y') => (
            &[
                b"yourapi",
                b"yourkey",
                b"yourtoken",
                b"yoursecret",
                b"youraccess",
                b"yourauth",
                b"yourbearer",
                b"yourpersonal",
                b"yourteam",
            ],
            &[],
        ),
        _ => return false,
    };
    begins.iter().any(|word| behind_letters(text, word).is_some())
        || is.iter().any(|word| behind_letters(text, word).is_some_and(<[u8]>::is_empty))
}

/// The text after the word, in any case and no matter how its parts are joined: `YOUR_API_KEY`, `your-api-key`.
fn behind_letters<'a>(mut text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let mut word = word.iter();
    let mut expected = word.next()?;
    while let [byte, rest @ ..] = text {
        text = rest;
        if byte.to_ascii_lowercase() == *expected {
            match word.next() {
                Some(next) => expected = next,
                None => return Some(text),
            }
        } else if !matches!(byte, b'_' | b'-' | b' ' | b'.') {
            return None;
        }
    }
    None
}
