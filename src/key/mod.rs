//! The text of a key: how it is made, read, diagnosed and kept out of logs.
//!
//! ```text
//! key      = prefix "." id "." secret
//! prefix   = "user" | "team"            branded: "<brand>_user" | "<brand>_team"
//! id       = 20 base64url characters    15 random bytes, public
//! secret   = 44 base64url characters    33 random bytes
//!            4 base64url characters     checksum: CRC-32 (IEEE) of all before it, big endian, without its first byte
//! ```
//!
//! Four characters hold three bytes, and each part has a multiple of three bytes: no bit is left over, so there is only
//! one way to write a key. It has 74 characters, at most 91 with a brand. Scanners can verify the checksum offline,
//! without the service. It finds typing errors and authenticates nothing.
//!
//! ```
//! use tower_api_keys::{KeyKind, key::KeyFormat};
//!
//! let format = KeyFormat::branded("acme")?;
//! let key = format.generate(KeyKind::Team)?;
//! assert!(key.expose_secret().starts_with("acme_team."));
//!
//! let parsed = format.parse(key.expose_secret().as_bytes())?;
//! assert_eq!(parsed.id(), key.id());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checksum;
mod credential;
mod diagnose;
mod encoded;
mod error;
mod find;
mod foreign;
mod format;
mod guessable;
mod id;
mod layout;
mod parsed;
mod plaintext;
mod prefix;
mod redact;

#[cfg(test)]
mod tests;

pub(crate) use credential::{contains_credential, contains_foreign_credential, without_credentials};
pub use error::{MalformedKey, MalformedReason};
pub use find::KeyInText;
pub use foreign::{InvalidForeignPrefix, InvalidForeignPrefixKind};
pub use format::KeyFormat;
pub use id::{InvalidKeyId, KeyId};
pub use parsed::ParsedKey;
pub use plaintext::PlaintextKey;
pub use prefix::{InvalidBrand, InvalidBrandKind, PrefixIndex};
pub(crate) use redact::may_hold_secret;
pub use redact::{contains_key, redact};
