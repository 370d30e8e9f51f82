//! What the service behind the proxy is told about a caller: four headers, percent-encoded.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tower_api_keys::{Principal, Scopes};

const KEY_ID: HeaderName = HeaderName::from_static("x-auth-key-id");
const ORGANIZATION: HeaderName = HeaderName::from_static("x-auth-organization");
const OWNER: HeaderName = HeaderName::from_static("x-auth-owner");
const SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
/// The code of a refusal, for proxies that drop its body.
pub(super) const REFUSAL: HeaderName = HeaderName::from_static("x-auth-refusal");

/// What is written as it is; every other byte is `%` and two digits. A colon divides nothing but kind and id, at its
/// first place, and makes scopes readable.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Adds the headers. None, and then no key may pass, if one of them cannot be written: that is not possible.
pub(super) fn tell(principal: &Principal, headers: &mut HeaderMap) -> Option<()> {
    let owner = principal.owner();
    let values = [
        (OWNER, format!("{}:{}", owner.kind(), encoded(owner.id()))),
        (ORGANIZATION, encoded(principal.organization().as_str())),
        (KEY_ID, encoded(principal.key_id().as_ref())),
        (SCOPES, scopes(principal.scopes())),
    ];
    for (name, value) in values {
        headers.insert(name, HeaderValue::try_from(value).ok()?);
    }
    Some(())
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// With single blanks between them; `*` is everything but the scopes to manage keys, and no scope has that name.
fn scopes(scopes: &Scopes) -> String {
    let named = scopes.named().map(|scope| encoded(scope.as_str()));
    scopes.is_all().then(|| "*".to_owned()).into_iter().chain(named).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_ends_its_header_or_looks_like_another() {
        assert_eq!(encoded("alice"), "alice");
        assert_eq!(encoded("a:b c,d;e\"f\\g%h*i/j"), "a:b%20c%2Cd%3Be%22f%5Cg%25h%2Ai%2Fj");
        assert_eq!(encoded("Zoë\u{1F600}"), "Zo%C3%AB%F0%9F%98%80");
        assert_eq!(encoded("\r\nx-auth-owner: user:root"), "%0D%0Ax-auth-owner:%20user:root");
    }

    #[test]
    fn scopes_are_a_list_of_words() {
        let of = |text: &str| scopes(&text.parse().unwrap());
        assert_eq!(of("*"), "*");
        assert_eq!(of("* keys:read"), "* keys:read");
        assert_eq!(of("b,c a*"), "a%2A b%2Cc");
        assert_eq!(scopes(&Scopes::none()), "");
    }
}
