//! Signatures as in Standard Webhooks: HMAC-SHA256 of id, time and body.

use std::fmt;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret that sender and receiver share: `whsec_` and 24 to 64 bytes in base64.
pub struct Secret(Hmac<Sha256>);

/// The text is not a valid secret. The error does not repeat any of it.
#[derive(Debug)]
pub struct InvalidSecret(());

impl Secret {
    /// # Errors
    /// [`InvalidSecret`].
    pub fn new(text: &str) -> Result<Self, InvalidSecret> {
        let bytes = text.strip_prefix("whsec_").and_then(|text| Base64::decode_vec(text).ok());
        let bytes = bytes.filter(|bytes| (24..=64).contains(&bytes.len())).ok_or(InvalidSecret(()))?;
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| InvalidSecret(()))
    }

    /// The value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([REDACTED])")
    }
}

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a webhook secret is `whsec_` and 24 to 64 bytes in base64")
    }
}

impl std::error::Error for InvalidSecret {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_other_libraries_do() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "Secret([REDACTED])");
    }

    #[test]
    fn short_and_bare_secrets_are_refused_without_a_word_of_them() {
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_no base64"] {
            let error = Secret::new(text).unwrap_err();
            assert!(!error.to_string().contains("c2hv") && !format!("{error:?}").contains("c2hv"), "{text}");
        }
    }
}
