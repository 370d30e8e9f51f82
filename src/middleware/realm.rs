use http::HeaderValue;

const LONGEST_REALM: usize = 128;
const DEFAULT_REALM: &str = "api";

/// The realm in the challenge of a refusal: the name of the space that a key opens. Sent between quotes, so it has none
/// itself.
#[derive(Clone, Debug)]
pub(crate) struct Realm(Box<str>);

impl Realm {
    pub(crate) fn new(realm: &str) -> Result<Self, InvalidRealm> {
        // Without the quote and the backslash nothing has to be escaped (RFC 9110 §5.6.4).
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if realm.is_empty() || realm.len() > LONGEST_REALM || !realm.bytes().all(plain) {
            return Err(InvalidRealm(()));
        }
        Ok(Self(realm.into()))
    }

    /// The challenge, with the scopes that are needed if scopes are missing (RFC 6750 §3).
    pub(crate) fn challenge(&self, error: Option<&'static str>, scope: Option<&str>) -> HeaderValue {
        let realm = &self.0;
        let mut challenge = format!("Bearer realm=\"{realm}\"");
        for (name, value) in [("error", error), ("scope", scope)] {
            if let Some(value) = value {
                // Neither has a quote or a backslash in it.
                challenge = format!("{challenge}, {name}=\"{value}\"");
            }
        }
        // Printable ASCII is always a valid header value.
        HeaderValue::try_from(challenge).unwrap_or_else(|_| HeaderValue::from_static("Bearer realm=\"api\""))
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self(DEFAULT_REALM.into())
    }
}

/// The text is not a valid realm.
///
/// ```
/// # fn example(layer: tower_api_keys::ApiKeyLayer<tower_api_keys::store::MemoryStore>) {
/// assert!(layer.realm("say \"friend\"").is_err());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a realm must have 1 to 128 printable ASCII characters, without quotes and backslashes")]
pub struct InvalidRealm(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_to_be_escaped_is_refused() {
        for realm in ["", "a\"b", "a\\b", "a\nb", "a\tb", "é", &"a".repeat(129)] {
            assert!(Realm::new(realm).is_err(), "{realm:?}");
        }
    }

    #[test]
    fn a_realm_is_quoted() {
        let realm = Realm::new("Acme API, v2").unwrap();
        assert_eq!(realm.challenge(None, None), "Bearer realm=\"Acme API, v2\"");
        assert_eq!(
            realm.challenge(Some("invalid_token"), None),
            "Bearer realm=\"Acme API, v2\", error=\"invalid_token\""
        );
        assert_eq!(
            realm.challenge(Some("insufficient_scope"), Some("a:read b")),
            "Bearer realm=\"Acme API, v2\", error=\"insufficient_scope\", scope=\"a:read b\""
        );
    }
}
