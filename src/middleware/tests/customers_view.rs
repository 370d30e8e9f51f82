//! Every refusal that the crate can make, as the refused caller sees it: `docs/refusals.md`.

use std::{collections::BTreeSet, env, fmt::Write, fs, time::Duration};

use bytes::Bytes;
use http::{
    HeaderName,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;

use crate::{
    KeyKind, Scope,
    auth::AuthError,
    key::{KeyFormat, MalformedReason},
    manage::{Denial, DenialReason},
    middleware::{KeyHeaders, Refusal, RefusalCode, headers::Instead},
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/refusals.md");

const ABOUT: &str = "\
# Refusals

All that a caller can be told, each with its status, its code (behind a dot the reason of a malformed key), what gRPC says,
and `WWW-Authenticate` and `Retry-After` where the answer has them. The sentence is `detail` in the problem document and the
message of a gRPC call: it says what happened, and then what to do. Examples stand for what a service chooses itself: the names
of its scopes, the name of its header, the issuer of an old key, its sentence about plans. A word in brackets says when, where
the code has several sentences.

The page is printed by this command, and a test compares it with what the crate says:

```text
REFUSALS=print cargo test --all-features --lib customers_view -- --nocapture
```

";

/// All refusals, with when each is used if its code has several sentences.
fn all() -> Vec<(&'static str, Refusal)> {
    let mut all = Vec::new();
    for code in RefusalCode::ALL {
        match code {
            RefusalCode::MissingCredentials => all.extend(without_a_key()),
            RefusalCode::MalformedKey => all.extend(malformed()),
            RefusalCode::InsufficientScope => all.extend(without_a_scope()),
            RefusalCode::WrongKeyKind => {
                all.extend([KeyKind::Team, KeyKind::User].map(|kind| ("", Refusal::wrong_key_kind(kind))));
                all.push(("by a handler", Refusal::new(code)));
            }
            RefusalCode::RateLimited => {
                all.push(("", Refusal::new(code).with_retry_after(Duration::from_secs(30))));
            }
            code => all.push(("", Refusal::new(code))),
        }
    }
    all.extend(
        DenialReason::examples().into_iter().map(|reason| ("managing keys", Refusal::from(&Denial::from(reason)))),
    );
    all
}

fn without_a_key() -> Vec<(&'static str, Refusal)> {
    let only = KeyHeaders::only(HeaderName::from_static("x-acme-key")).unwrap();
    let both = KeyHeaders::default();
    let missing = |headers: &KeyHeaders, instead| Refusal::missing(headers.advice(instead));
    vec![
        ("", missing(&both, Instead::Nothing)),
        ("where one header is read", missing(&only, Instead::Nothing)),
        ("Basic instead of a key", missing(&both, Instead::Basic)),
        ("a key in the URL", missing(&both, Instead::KeyInQuery)),
        ("by a handler", Refusal::new(RefusalCode::MissingCredentials)),
    ]
}

fn malformed() -> Vec<(&'static str, Refusal)> {
    let mut malformed: Vec<_> = MalformedReason::ALL.map(|reason| ("", Refusal::malformed(reason))).into();
    let format = KeyFormat::unbranded().with_foreign_prefix("acmetest_", "the sandbox of Acme").unwrap();
    let foreign = format.parse(b"acmetest_3f9a").unwrap_err();
    malformed.push(("of an issuer that you named", Refusal::from(&AuthError::malformed(foreign))));
    malformed
}

fn without_a_scope() -> Vec<(&'static str, Refusal)> {
    let scope = |name| Scope::new(name).unwrap();
    vec![
        ("one scope", Refusal::insufficient_scope([scope("agents:write")])),
        ("several", Refusal::insufficient_scope(["agents:run", "agents:write", "agents:read"].map(scope))),
        ("a key without scopes", Refusal::insufficient_scope([])),
        ("by a handler", Refusal::new(RefusalCode::InsufficientScope)),
    ]
}

fn page() -> String {
    let mut page = ABOUT.to_owned();
    let (mut heading, mut told) = (String::new(), BTreeSet::new());
    let mut all = all();
    // The sort is stable: refusals of one code keep their order.
    all.sort_by_key(|(_, refusal)| (refusal.code().status().as_u16(), refusal.code()));
    for (when, refusal) in &all {
        let code = refusal.code();
        let response = refusal.clone().into_http::<Full<Bytes>>();
        let status = format!("## {}\n\n", response.status());
        if status != heading {
            page.push_str(&status);
            heading = status;
        }
        // A handler's own refusal may have the same sentence.
        if !told.insert((code, refusal.reason(), refusal.detail().to_owned())) {
            continue;
        }
        let word = refusal.reason().map_or_else(|| code.to_string(), |reason| format!("{code}.{reason}"));
        let when = if when.is_empty() { String::new() } else { format!(" ({when})") };
        let mut line = format!("**`{word}`**{when}, gRPC {}", code.grpc_status());
        for name in [WWW_AUTHENTICATE, RETRY_AFTER] {
            let name: HeaderName = name;
            if let Some(value) = response.headers().get(&name) {
                write!(line, ", `{name}: {}`", value.to_str().unwrap()).unwrap();
            }
        }
        write!(page, "{line}\n{}\n\n", quoted(refusal.detail())).unwrap();
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// As a quotation, in lines that an editor shows.
fn quoted(sentence: &str) -> String {
    let mut lines = vec![String::from(">")];
    for word in sentence.split(' ') {
        let last = lines.last_mut().unwrap();
        if last.chars().count() + word.chars().count() < 110 {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(format!("> {word}"));
        }
    }
    lines.join("\n")
}

#[test]
fn customers_view_is_the_page_that_says_so() {
    let page = page();
    if env::var_os("REFUSALS").is_some() {
        println!("{page}");
        fs::write(PAGE, &page).unwrap();
    }
    assert!(fs::read_to_string(PAGE).unwrap() == page, "docs/refusals.md is old: run the command that stands in it");
}

#[test]
fn every_sentence_says_what_happened_and_what_to_do() {
    for (_, refusal) in all() {
        let detail = refusal.detail();
        assert!(detail.ends_with('.') && detail.starts_with(|c: char| c.is_uppercase()), "{detail}");
        assert!(!detail.contains('"') && !detail.contains('\\'), "{detail}");
        let says_what_to_do = ["; ", ". ", ", so "].iter().any(|joint| detail.contains(joint));
        let is_the_embedders = [RefusalCode::Denied, RefusalCode::PlanRequired].contains(&refusal.code());
        assert!(says_what_to_do || is_the_embedders, "{detail}");
    }
}
