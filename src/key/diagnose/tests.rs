use std::collections::HashSet;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

use crate::{
    KeyKind,
    key::{KeyFormat, MalformedKey, MalformedReason},
};

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
fn registered_issuer_is_named_in_the_advice() {
    let format = KeyFormat::unbranded().with_foreign_prefix("acmetest_", "the sandbox of Acme").unwrap();
    for text in ["acmetest_1", "\"acmetest_1\"", "Bearer acmetest_1"] {
        let advice = format.parse(text.as_bytes()).unwrap_err().advice();
        assert_eq!(advice, "This is a credential of the sandbox of Acme. Send an API key of this service instead.");
    }
    assert_eq!(refusal("ghp_1").advice(), MalformedReason::ForeignCredential.advice());
    assert_eq!(refusal("x").advice(), MalformedReason::UnknownPrefix.advice());
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
fn masked_text_without_a_key_is_a_placeholder() {
    for text in [
        "REDACTED",
        "redacted",
        "(redacted)",
        "[Filtered]",
        "[MASKED]",
        "<hidden>",
        "(sensitive value)",
        "(known after apply)",
        "user.AAECAwQFBgcICQoLDA0O.REDACTED",
        "NaN",
        "false",
        "true",
        "nil",
        "<nil>",
        "(null)",
        "***",
        "••••••",
        "●●●●",
        "······…",
        "xxx",
        "XXXXXX",
        "------",
        "____",
        "?????",
        "00000000",
    ] {
        assert_code("placeholder", &[text]);
    }
    // As Windows-1252 writes bullets and an ellipsis.
    for text in [&b"\x95\x95\x95\x95"[..], b"user.AAECAwQFBgcICQoLDA0O.\x85"] {
        assert_eq!(refusal(text).reason(), MalformedReason::Placeholder, "{}", text.escape_ascii());
    }
}

#[test]
fn reference_that_was_not_resolved_is_a_placeholder() {
    assert_code(
        "placeholder",
        &[
            "op://vault/item/field",
            "op read op://vault/item/field",
            "vault:secret/data/api#key",
            "vault://secret/api#key",
            "bao:kv/api",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:api-AbCdEf",
            "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/api",
            "ssm:/prod/api/key",
            "secretsmanager:prod/api",
            "ref+awsssm://prod/api/key",
            "ref+vault://secret/api#/key",
            "projects/123/secrets/api-key/versions/latest",
            "gcp:///projects/123/secrets/api-key",
            "sm://api-key",
            "@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/api)",
            "@Microsoft.KeyVault(VaultName=acme;SecretName=api)",
            "https://acme.vault.azure.net/secrets/api",
            "azurekeyvault://acme/api",
            "doppler:prod/API_KEY",
            "infisical:/prod/API_KEY",
            "bitwarden:item/password",
            "bws:secret-id",
            "keyring:acme/api",
            "keychain:acme",
            "credstash:api-key",
            "credstash get api-key",
            "conjur:prod/api",
            "k8s:default/api/key",
            "namespaces/default/secrets/api",
            "secretKeyRef",
            "/run/secrets/api_key",
            "/vault/secrets/api",
            "/api_key",
            "./key.txt",
            "../secrets/key",
            "~/.config/key",
            r"C:\secrets\key.txt",
            "file:///run/secrets/k",
            "file:/etc/key",
            "env:API_KEY",
            "env.API_KEY",
            "={{$env.API_KEY}}",
            "={{ $env.API_KEY }}",
            "=$json.key",
            "!vault |",
            "!secret api_key",
            "!Ref ApiKey",
            "!env_var API_KEY",
            "ENC[AES256_GCM,data:abc=,iv:def=,tag:ghi=,type:str]",
            "ENC(abcdef)",
            "{cipher}0123abcd",
            "${{ secrets.API_KEY }}",
            "secrets.API_KEY",
            "vars.API_KEY",
            "var.api_key",
            "$API_KEY",
            "$$API_KEY",
            "$(API_KEY)",
            "$[variables.key]",
            "$env:API_KEY",
            "%{API_KEY}",
            "%(api_key)s",
            "%%API_KEY%%",
            "#{API_KEY}#",
            "#{API_KEY}",
            "__API_KEY__",
            "@API_KEY@",
            "@@API_KEY@@",
            "~API_KEY~",
            "((api_key))",
            "[[api_key]]",
            "<<API_KEY>>",
            "<%= ENV['API_KEY'] %>",
            "{{ lookup('env', 'API_KEY') }}",
            "lookup('env', 'API_KEY')",
            "os.environ['KEY']",
            "os.environ.get(\"KEY\")",
            "os.getenv('KEY')",
            "System.getenv(\"KEY\")",
            "ENV['KEY']",
            "ENV.fetch('KEY')",
            "getenv('KEY')",
            "process.env['KEY']",
            "import.meta.env.API_KEY",
            "Deno.env.get('KEY')",
            "config('services.acme.key')",
        ],
    );
    // In quotes, and after the word.
    assert_code("placeholder", &["\"op://vault/item/field\"", "Bearer vault:secret/api", "'__KEY__'"]);
}

#[test]
fn credential_with_signs_in_it_is_no_reference() {
    assert_code(
        "unknown_prefix",
        &[
            "ann:hunter2",
            "123456:AAE_bot-token",
            "/AbC9dEf/ghi+jkl=",
            "a/b/c==",
            "!9#x",
            "dGVhbTpwYXNzd29yZA==",
            "p@ss@word",
            "__init",
            "env",
            "secrets",
            "configuration.x",
        ],
    );
}

#[test]
fn key_with_text_around_it_is_no_placeholder() {
    for text in [
        format!("{{{KEY}}}"),
        format!("<code>{KEY}</code>"),
        format!("[key]{KEY}"),
        format!("<{KEY}>"),
        format!("[{KEY}]"),
        format!("({KEY})"),
        format!("*{KEY}*"),
        format!("**{KEY}**"),
        format!("_{KEY}_"),
        format!("__{KEY}__"),
        format!("~{KEY}~"),
        format!("\\{KEY}"),
        format!("={KEY}"),
        format!("API_KEY={KEY}"),
        format!("api_key_{KEY}"),
        format!("key={KEY}"),
        format!("key: {KEY}"),
        format!("key:{KEY}"),
        format!("- {KEY}"),
        format!("Token {KEY}"),
        format!("Token token=\"{KEY}\""),
        format!("token={KEY}"),
        format!("export API_KEY={KEY}"),
        format!("export API_KEY=\"{KEY}\""),
        format!("{{\"key\":\"{KEY}\"}}"),
        format!("https://x/?key={KEY}"),
        format!("https://api:{KEY}@example.com"),
        format!("x-api-key: {KEY}\r\n"),
        format!("ключ: {KEY}"),
        format!("密钥：{KEY}"),
        format!("$KEY{KEY}"),
        format!("<code>{}</code>", KEY.replace("VhAZ", "VhAY")),
        format!("sk-{KEY}"),
        format!("REDACTED {KEY}"),
    ] {
        assert_code("text_around", &[&text]);
    }
    // A key masked at its full length is a placeholder.
    assert_code(
        "placeholder",
        &[&format!("{}{}", &KEY[..26], "x".repeat(48)), &format!("<{}{}>", &KEY[..26], "x".repeat(48))],
    );
}

#[test]
fn two_keys_in_one_line_are_told_as_two() {
    let other = KeyFormat::unbranded().generate(KeyKind::Team).unwrap();
    for second in [KEY, other.expose_secret(), &KEY[..60], &KEY[..26]] {
        for between in
            [",", ", ", ";", "; ", " ", "\t", "|", "\n", ",Bearer ", ", Bearer ", "; Bearer ", " and ", "\",\""]
        {
            let is_cut_behind_a_word = second.len() < 74 && between.bytes().any(|byte| byte.is_ascii_alphabetic());
            if !is_cut_behind_a_word {
                assert_code("two_keys", &[&format!("{KEY}{between}{second}")]);
            }
            assert_code("two_keys", &[&format!("Bearer {KEY}, Bearer {KEY}")]);
        }
    }
    assert_code(
        "two_keys",
        &[&format!("{KEY}{KEY}"), &format!("{}, {KEY}", &KEY[..60]), &format!("\"{KEY}\", \"{KEY}\"")],
    );
    // The second is a key of another service, or only begins like one.
    assert_code(
        "too_long",
        &[&format!("{KEY},ghp_16C7e42F292c6912E7710c838347Ae178B4a"), &format!("{KEY}, user.name")],
    );
    assert_code("text_around", &[&format!("user.name={KEY}")]);
}

#[test]
fn encoded_key_is_told_to_be_one() {
    let hex = |text: &[u8]| text.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let utf_16: Vec<u8> = KEY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let in_base64 = Base64::encode_string(KEY.as_bytes());
    let texts = [
        in_base64.clone(),
        Base64UrlUnpadded::encode_string(KEY.as_bytes()),
        Base64::encode_string(format!("{KEY}\n").as_bytes()),
        Base64::encode_string(format!("api:{KEY}").as_bytes()),
        Base64::encode_string(format!("{{\"key\":\"{KEY}\"}}").as_bytes()),
        Base64::encode_string(format!("{{\"key\":\"{KEY}\",\"made_for\":\"{}\"}}", "a".repeat(80)).as_bytes()),
        Base64::encode_string(&utf_16),
        format!("{in_base64}\n"),
        format!("\"{in_base64}\""),
        format!("Bearer {in_base64}"),
        format!("{} {}", &in_base64[..64], &in_base64[64..]),
        hex(KEY.as_bytes()),
        hex(KEY.as_bytes()).to_uppercase(),
        format!("0x{}", hex(KEY.as_bytes())),
        KEY.replace('.', "%2E"),
        KEY.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        KEY.replace('.', "\\u002e"),
        KEY.replace('.', "\\."),
        KEY.replace('.', "&#46;"),
    ];
    for text in texts {
        assert_code("encoded", &[&text]);
    }
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let text: Vec<_> = format!("\u{feff}{KEY}\n").encode_utf16().flat_map(to_bytes).collect();
        assert_eq!(refusal(&text).reason(), MalformedReason::Encoded);
    }
    // Less than a key, and more than one layer.
    assert_code(
        "unknown_prefix",
        &[&Base64::encode_string(&KEY.as_bytes()[..60]), &Base64::encode_string(in_base64.as_bytes())],
    );
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
    assert_code("quotes", &[&format!("[\"{KEY}\"]"), &format!("\\\"{KEY}\\\""), &format!("=\"{KEY}\"")]);
}

#[test]
fn quotes_of_every_language_are_recognized() {
    for (open, close) in [
        ("„", "“"),
        ("‚", "‘"),
        ("‹", "›"),
        ("「", "」"),
        ("『", "』"),
        ("《", "》"),
        ("〈", "〉"),
        ("＂", "＂"),
        ("＇", "＇"),
        ("′", "′"),
        ("″", "″"),
        ("´", "´"),
        ("`", "´"),
        ("ʻ", "ʼ"),
        ("❝", "❞"),
        ("〝", "〞"),
        ("״", "״"),
        ("｢", "｣"),
        ("", "”"),
    ] {
        assert_code("quotes", &[&format!("{open}{KEY}{close}"), &format!("{open} {KEY} {close}")]);
        assert_code("quotes", &[&format!("{open}{}{close}", &KEY[..60])]);
    }
    // Of one byte each, in Latin-1 and Windows-1252.
    for (open, close) in
        [(0xab, 0xbb), (0x93, 0x94), (0x91, 0x92), (0xb4, 0xb4), (0x84, 0x93), (0x82, 0x91), (0x8b, 0x9b)]
    {
        let text = [&[open], KEY.as_bytes(), &[close]].concat();
        assert_eq!(refusal(&text).reason(), MalformedReason::Quotes, "{}", text.escape_ascii());
    }
}

#[test]
fn whitespace_is_recognized_around_and_inside() {
    for space in [" ", "\t", "\n", "\r\n", "\u{a0}", "\u{200b}", "\u{feff}", "\u{2028}"] {
        assert_code("whitespace", &[&format!("{space}{KEY}"), &format!("{KEY}{space}"), &KEY.replacen('.', space, 1)]);
    }
    assert_code("whitespace", &[" ", "two words"]);
}

#[test]
fn what_nobody_sees_is_whitespace() {
    for invisible in [
        "\u{ad}",
        "\u{34f}",
        "\u{61c}",
        "\u{85}",
        "\u{1680}",
        "\u{180e}",
        "\u{2007}",
        "\u{202a}",
        "\u{202f}",
        "\u{205f}",
        "\u{2060}",
        "\u{2063}",
        "\u{2069}",
        "\u{2800}",
        "\u{3000}",
        "\u{3164}",
        "\u{fe0f}",
        "\u{e0001}",
        // A byte order mark that was read as Latin-1.
        "\u{ef}\u{bb}\u{bf}",
    ] {
        assert_code("whitespace", &[&format!("{invisible}{KEY}")]);
        if !invisible.starts_with('\u{ef}') {
            assert_code(
                "whitespace",
                &[&format!("{KEY}{invisible}"), &KEY.replacen("AAEC", &format!("AA{invisible}EC"), 1)],
            );
        }
    }
    for byte in [0xa0, 0xad] {
        let (start, end) = KEY.as_bytes().split_at(40);
        for text in
            [[&[byte], KEY.as_bytes()].concat(), [KEY.as_bytes(), &[byte]].concat(), [start, &[byte], end].concat()]
        {
            assert_eq!(refusal(&text).reason(), MalformedReason::Whitespace, "{}", text.escape_ascii());
        }
    }
}

#[test]
fn look_alikes_are_characters_that_no_key_has() {
    let with_dash = KEY.replace("AAEC", "AA-C");
    for dash in [
        "\u{2010}", "\u{2011}", "\u{2012}", "\u{2013}", "\u{2014}", "\u{2015}", "\u{2212}", "\u{fe58}", "\u{fe63}",
        "\u{ff0d}",
    ] {
        assert_code("alphabet", &[&with_dash.replace('-', dash), &KEY.replace("DA0O", dash)]);
    }
    for dot in ["\u{3002}", "\u{2024}", "\u{ff0e}", "\u{ff61}", "\u{b7}", "\u{6d4}", "\u{fe52}"] {
        assert_code(
            "alphabet",
            &[&KEY.replace('.', dot), &KEY.replacen('.', dot, 1), &KEY.replace("O.", &format!("O{dot}"))],
        );
    }
    let wide = |c: char| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c };
    let mathematical =
        |c: char| if c.is_ascii_lowercase() { char::from_u32(u32::from(c) - 97 + 0x1d41a).unwrap() } else { c };
    assert_code(
        "alphabet",
        &[&KEY.chars().map(wide).collect::<String>(), &KEY.chars().map(mathematical).collect::<String>()],
    );
    for (letter, like) in [
        ("e", "\u{435}"),
        ("s", "\u{455}"),
        ("u", "\u{3c5}"),
        ("user", "us\u{435}r"),
        ("A", "\u{391}"),
        ("O", "\u{41e}"),
        ("u", "u\u{301}"),
    ] {
        assert_code("alphabet", &[&KEY.replacen(letter, like, 1)]);
    }
    for behind in ["\u{301}", "\u{1f511}", "\u{20ac}", "\u{e9}", "\u{2705}"] {
        assert_code("alphabet", &[&format!("{KEY}{behind}")]);
    }
    // Of one byte, and marks of byte orders.
    let start = |bytes: &[u8]| [bytes, KEY.as_bytes()].concat();
    let place = |byte: u8| [&KEY.as_bytes()[..40], &[byte], &KEY.as_bytes()[41..]].concat();
    for text in [
        start(b"\xff\xfe"),
        start(b"\xfe\xff"),
        start("\u{ff}\u{fe}".as_bytes()),
        place(0x96),
        place(0x97),
        place(0xb7),
        place(0xe9),
    ] {
        assert_eq!(refusal(&text).reason(), MalformedReason::Alphabet, "{}", text.escape_ascii());
    }
    // A text without a key's length and beginning does not count as one.
    assert_code("unknown_prefix", &["\u{e9}", "schl\u{fc}ssel", "\u{43a}\u{43b}\u{44e}\u{447}"]);
}

#[test]
fn prefix_that_is_not_accepted_is_unknown() {
    let rest = &KEY[4..];
    for prefix in ["User", "USER", "usr", "admin", "", "user_", "abcdefghijklmnopqrstuvwxyz"] {
        assert_code("unknown_prefix", &[&format!("{prefix}{rest}")]);
    }
    let acme = KeyFormat::branded("acme").unwrap().generate(KeyKind::User).unwrap();
    let acme = acme.expose_secret();
    assert_code(
        "unknown_prefix",
        &[acme, &acme.to_uppercase(), &acme[..60], &format!("acme_{}", KEY.replace("VhAZ", "VhAY"))],
    );
    assert_code("unknown_prefix", &["hello", "hunter2", "."]);
}

#[test]
fn missing_end_is_truncated() {
    assert_code("truncated", &["user", "user.", "team.abc", &KEY[..25], &KEY[..26], &KEY[..73]]);
}

#[test]
fn anything_more_is_too_long() {
    assert_code(
        "too_long",
        &[&format!("{KEY}A"), &format!("{KEY},"), &format!("{KEY}="), &format!("{KEY} # of the robot")],
    );
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
    assert_code("truncated", &[&format!("{short}=")]);
    assert_code("too_long", &[&format!("{KEY}=="), &format!("{KEY}{}", "=".repeat(5000))]);
    assert_code("alphabet", &[&KEY.replace("VhAZ", "VhA="), "user.é", &format!("{KEY}é=")]);
}

#[test]
fn what_stands_beyond_256_bytes_is_not_looked_at() {
    let long = format!("user.{}", "a".repeat(251));
    assert_code("too_long", &[&format!("{long}\""), &format!("{long} ")]);
    assert_code("quotes", &[&format!("user.{}\"", "a".repeat(250))]);
}

#[test]
fn reason_depends_on_what_the_format_accepts() {
    let text = KEY.replace("user", "acme_user").replace("VhAZ", "VhAY");
    let format = KeyFormat::unbranded().accepting("acme").unwrap();
    assert_eq!(refusal(&text).reason(), MalformedReason::UnknownPrefix);
    assert_eq!(format.parse(text.as_bytes()).unwrap_err().reason(), MalformedReason::Checksum);
}

#[test]
fn codes_and_advice_are_distinct_and_advice_is_sentences() {
    let all = MalformedReason::ALL;
    assert_eq!(all.map(MalformedReason::as_str).into_iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all.map(MalformedReason::advice).into_iter().collect::<HashSet<_>>().len(), all.len());
    for reason in all {
        let advice = reason.advice();
        assert!(advice.ends_with('.') && advice.matches('.').count() <= 3 && !advice.contains("  "), "{advice}");
        assert!(reason.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        assert!(!MalformedKey::new(reason).to_string().ends_with('.'));
        // The word in stores: `malformed_key.` and the code.
        assert!(reason.as_str().len() <= "foreign_credential".len(), "{reason}");
    }
}
