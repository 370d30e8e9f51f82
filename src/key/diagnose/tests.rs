use std::collections::HashSet;

use crate::key::{KeyFormat, MalformedKey, MalformedReason};

const KEY: &str = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";

fn refusal(text: impl AsRef<[u8]>) -> MalformedKey {
    KeyFormat::unbranded().parse(text.as_ref()).unwrap_err()
}

#[track_caller]
fn assert_code(code: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(refusal(text).reason().as_str(), code, "{text:?}");
    }
}

#[test]
fn one_odd_character_is_seen_wherever_it_stands() {
    for length in 0..=64 {
        let mut text = vec![b'a'; length];
        assert!(super::is_plain(&text));
        for place in 0..length {
            text[place] = b'"';
            assert!(!super::is_plain(&text), "{place} of {length}");
            text[place] = b'.';
        }
    }
}

#[test]
fn nothing_is_empty() {
    assert_code("empty", &[""]);
}

#[test]
fn credential_of_another_service_is_named() {
    let samples = [
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "GitHub"),
        ("gho_16C7e42F292c6912E7710c838347Ae178B4a", "GitHub"),
        ("ghu_16C7e42F292c6912E7710c838347Ae178B4a", "GitHub"),
        ("ghs_16C7e42F292c6912E7710c838347Ae178B4a", "GitHub"),
        ("ghr_16C7e42F292c6912E7710c838347Ae178B4a", "GitHub"),
        ("github_pat_11AAAAAAA0abcdefghijkl", "GitHub"),
        ("glpat-xYz123abcDEF456ghi78", "GitLab"),
        ("glrt-xYz123abcDEF456ghi78", "GitLab"),
        ("sk_live_51H8abcdefghijklmnop", "Stripe"),
        ("sk_test_51H8abcdefghijklmnop", "Stripe"),
        ("pk_live_51H8abcdefghijklmnop", "Stripe"),
        ("rk_test_51H8abcdefghijklmnop", "Stripe"),
        ("whsec_51H8abcdefghijklmnop", "Stripe"),
        ("sk-proj-abcdefghijklmnop", "OpenAI"),
        ("sk-abcdefghijklmnop", "OpenAI"),
        ("sk-ant-api03-abcdefghijklmnop", "Anthropic"),
        ("xoxb-123456789012-abcdef", "Slack"),
        ("xoxp-123456789012-abcdef", "Slack"),
        ("xapp-1-A0123-456-abcdef", "Slack"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS"),
        ("ASIAIOSFODNN7EXAMPLE", "AWS"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "JSON Web Token"),
    ];
    for (text, issuer) in samples {
        let error = refusal(text);
        assert_eq!((error.reason().as_str(), error.issuer()), ("foreign_credential", Some(issuer)), "{text:?}");
    }
}

#[test]
fn long_json_web_token_is_one_though_its_second_dot_is_far() {
    let text = format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", "a".repeat(2000));
    assert_eq!(refusal(&text).issuer(), Some("JSON Web Token"));
    assert_eq!(refusal(format!("\"Bearer {text}")).issuer(), Some("JSON Web Token"));
}

#[test]
fn what_only_resembles_another_service_is_an_unknown_prefix() {
    assert_code("unknown_prefix", &["AKIA", "AKIAiosfodnn7example", "eyJhbGci", "eyJhbGci.e30", "gh_abc", "sk", "xox"]);
}

#[test]
fn registered_prefix_is_named_and_the_longest_wins() {
    let format = KeyFormat::unbranded().with_foreign_prefix("old_", "old keys").unwrap();
    let format = format.with_foreign_prefix("old_admin_", "old admin keys").unwrap();
    let format = format.with_foreign_prefix("sk-", "our gateway").unwrap();
    for (text, issuer) in [("old_1", "old keys"), ("old_admin_1", "old admin keys"), ("sk-1", "our gateway")] {
        assert_eq!(format.parse(text.as_bytes()).unwrap_err().issuer(), Some(issuer));
    }
}

#[test]
fn key_of_ours_is_never_called_foreign() {
    let format = KeyFormat::branded("whsec").unwrap().accepting_unbranded();
    let format = format.with_foreign_prefix("user.", "another service").unwrap();
    assert_eq!(format.parse(b"whsec_user.abc").unwrap_err().reason(), MalformedReason::Truncated);
    assert_eq!(format.parse(b"user.abc").unwrap_err().reason(), MalformedReason::Truncated);
    assert!(format.parse(KEY.as_bytes()).is_ok());
}

#[test]
fn placeholder_is_recognized() {
    assert_code(
        "placeholder",
        &[
            "$API_KEY",
            "${API_KEY}",
            "$(cat key)",
            "%API_KEY%",
            "{{ api_key }}",
            "{API_KEY}",
            "<your key>",
            "<API_KEY>",
            "YOUR_API_KEY",
            "your-api-key-here",
            "YourApiKey",
            "YOUR KEY HERE",
            "REPLACE_ME",
            "changeme",
            "api_key",
            "process.env.API_KEY",
            "undefined",
            "null",
            "None",
            "[object Object]",
            "xxxx",
        ],
    );
}

#[test]
fn masked_copy_is_a_placeholder() {
    assert_code(
        "placeholder",
        &[
            "user.AAECAwQFBgcICQoLDA0O.[REDACTED]",
            "user.AAECAwQFBgcICQoLDA0O.********",
            "user.AAECAwQFBgcICQoLDA0O.xxxxxxxxxxxxxxxx",
            "user.AAECAwQFBgcICQoLDA0O.…",
            "user.AAECAwQFBgcICQoLDA0O.••••••••",
            "user.AAECAwQFBgcICQoLDA0O...",
            "user.<id>.<secret>",
            "XXXXXXXX",
        ],
    );
}

#[test]
fn key_in_brackets_is_no_placeholder() {
    assert_code("unknown_prefix", &[&format!("{{{KEY}}}"), &format!("<code>{KEY}</code>"), &format!("[key]{KEY}")]);
    // Masked at its full length it is.
    assert_code("placeholder", &[&format!("{}{}", &KEY[..26], "x".repeat(48))]);
}

#[test]
fn word_that_only_begins_like_a_placeholder_is_an_unknown_prefix() {
    assert_code("unknown_prefix", &["yourself", "nullable", "keys", "tokens", "$", "$argon2id$v=19$m=8", "{", "%"]);
}

#[test]
fn bearer_inside_is_recognized_in_any_case() {
    for word in [
        "Bearer ",
        "bearer ",
        "BEARER  ",
        "Bearer: ",
        "Bearer",
        "Authorization: Bearer ",
        "Bearer Bearer ",
        "Bearer%20",
    ] {
        assert_code("bearer_inside", &[&format!("{word}{KEY}")]);
    }
    assert_code("bearer_inside", &["Bearer", "Bearer ", "\"Bearer \""]);
}

#[test]
fn bearer_as_part_of_another_word_is_none() {
    assert_code("unknown_prefix", &["bearers", "bearer_user.abc", "forbearer"]);
}

#[test]
fn quotes_are_recognized() {
    for (open, close) in
        [("\"", "\""), ("'", "'"), ("`", "`"), ("“", "”"), ("‘", "’"), ("«", "»"), ("", "\""), ("'", "")]
    {
        assert_code("quotes", &[&format!("{open}{KEY}{close}")]);
    }
    assert_code("quotes", &[r#"["user.abc"]"#, r#"{"key":"user.abc"}"#]);
}

#[test]
fn whitespace_is_recognized_around_and_inside() {
    for space in [" ", "\t", "\n", "\r\n", "\u{a0}", "\u{200b}", "\u{feff}", "\u{2028}"] {
        assert_code("whitespace", &[&format!("{space}{KEY}"), &format!("{KEY}{space}"), &KEY.replacen('.', space, 1)]);
    }
    assert_code("whitespace", &[" ", "two words", &format!("{KEY} {KEY}")]);
}

#[test]
fn prefix_that_is_not_accepted_is_unknown() {
    let rest = &KEY[4..];
    for prefix in ["User", "USER", "usr", "acme_user", "_user", "admin", "", "user_", "abcdefghijklmnopqrstuvwxyz"] {
        assert_code("unknown_prefix", &[&format!("{prefix}{rest}")]);
    }
    assert_code("unknown_prefix", &["hello", "hunter2", "."]);
}

#[test]
fn missing_end_is_truncated() {
    assert_code("truncated", &["user", "user.", "team.abc", &KEY[..25], &KEY[..26], &KEY[..73]]);
}

#[test]
fn anything_more_is_too_long() {
    assert_code("too_long", &[&format!("{KEY}A"), &format!("{KEY}{KEY}"), &format!("{KEY}=")]);
}

#[test]
fn foreign_character_or_missing_dot_is_alphabet() {
    for character in ["=", "+", "/", ".", ",", "\u{0}", "\u{7f}", "~"] {
        let inside_secret = format!("{}{character}{}", &KEY[..40], &KEY[41..]);
        let inside_id = format!("{}{character}{}", &KEY[..10], &KEY[11..]);
        assert_code("alphabet", &[&inside_secret, &inside_id]);
    }
    assert_code("alphabet", &[&format!("{}A{}", &KEY[..25], &KEY[26..])]);
    assert_eq!(refusal([&KEY.as_bytes()[..73], &[0xff]].concat()).reason().as_str(), "alphabet");
}

#[test]
fn wrong_character_is_checksum() {
    assert_code(
        "checksum",
        &[&KEY.replace("user", "team"), &KEY.replace("VhAZ", "VhAa"), &KEY.replace("AAEC", "AAEc")],
    );
}

#[test]
fn first_reason_that_fits_is_given() {
    let short = &KEY[..60];
    assert_code("foreign_credential", &["\"ghp_$API_KEY\"", "Bearer ghp_abc", " \"ghp_abc\"", "ghp_a b"]);
    assert_code("placeholder", &["Bearer $API_KEY", "\"YOUR_API_KEY\"", "'Bearer <your key>'", " null "]);
    assert_code("bearer_inside", &[&format!("\"Bearer {KEY}\""), &format!("Bearer {short}"), "Bearer hello"]);
    assert_code("quotes", &[&format!("\" {KEY}\""), "' hello '", &format!("\"{short}")]);
    assert_code(
        "whitespace",
        &[" hello", &format!("{short} "), &format!("{KEY}=\n"), &KEY.replace("DA0O", "DA ="), "é hello"],
    );
    assert_code("unknown_prefix", &["hello=", &KEY.replace("user", "root"), &"a".repeat(5000), "é"]);
    assert_code("truncated", &[&format!("{short}="), "user.é"]);
    assert_code("too_long", &[&format!("{KEY}=="), &format!("{KEY}{}", "=".repeat(5000))]);
    assert_code("alphabet", &[&KEY.replace("VhAZ", "VhA=")]);
}

#[test]
fn what_stands_beyond_256_bytes_is_not_looked_at() {
    let long = format!("user.{}", "a".repeat(251));
    assert_code("too_long", &[&format!("{long}\""), &format!("{long} ")]);
    assert_code("quotes", &[&format!("user.{}\"", "a".repeat(250))]);
}

#[test]
fn reason_depends_on_what_the_format_accepts() {
    let text = KEY.replace("user", "acme_user");
    let format = KeyFormat::unbranded().accepting("acme").unwrap();
    assert_eq!(refusal(&text).reason(), MalformedReason::UnknownPrefix);
    assert_eq!(format.parse(text.as_bytes()).unwrap_err().reason(), MalformedReason::Checksum);
}

#[test]
fn codes_and_advice_are_distinct_and_advice_is_one_sentence() {
    use MalformedReason::*;
    let all = [
        Alphabet,
        BearerInside,
        Checksum,
        Empty,
        ForeignCredential,
        MissingScheme,
        Placeholder,
        Quotes,
        TooLong,
        Truncated,
        UnknownPrefix,
        Whitespace,
    ];
    assert_eq!(all.map(MalformedReason::as_str).into_iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all.map(MalformedReason::advice).into_iter().collect::<HashSet<_>>().len(), all.len());
    for reason in all {
        let advice = reason.advice();
        assert!(advice.ends_with('.') && advice.matches('.').count() == 1 && !advice.contains("  "), "{advice}");
        assert!(reason.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        assert!(!MalformedKey::new(reason).to_string().ends_with('.'));
    }
}
