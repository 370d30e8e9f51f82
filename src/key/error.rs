//! The reasons why a text is no key.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::words::words;

/// The text is not a well-formed key of this service.
///
/// Holds the reason and no part of the text.
///
/// ```
/// use tower_api_keys::key::{KeyFormat, MalformedReason};
///
/// let error = KeyFormat::unbranded().parse(b"ghp_tM0r8xGQ2kVb").unwrap_err();
/// assert_eq!(error.reason(), MalformedReason::ForeignCredential);
/// assert_eq!(error.issuer(), Some("GitHub"));
/// assert_eq!(error.to_string(), "malformed key: it is a credential of another service (GitHub)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MalformedKey(Cause);

/// Two words of memory: it is passed through the whole check, and copying it would cost more than finding it.
#[derive(Clone, PartialEq, Eq)]
enum Cause {
    Foreign(Issuer),
    Reason(MalformedReason),
}

impl MalformedKey {
    pub(crate) const fn new(reason: MalformedReason) -> Self {
        Self(Cause::Reason(reason))
    }

    pub(super) const fn foreign(issuer: Issuer) -> Self {
        Self(Cause::Foreign(issuer))
    }

    /// The first reason that applies.
    #[must_use]
    pub const fn reason(&self) -> MalformedReason {
        match self.0 {
            Cause::Foreign(_) => MalformedReason::ForeignCredential,
            Cause::Reason(reason) => reason,
        }
    }

    /// One sentence for the caller: what happened and what to do. It is the sentence of the reason. If the text is a
    /// credential whose issuer was given to [`KeyFormat::with_foreign_prefix`](super::KeyFormat::with_foreign_prefix),
    /// it names the issuer.
    ///
    /// ```
    /// use tower_api_keys::key::KeyFormat;
    ///
    /// let format = KeyFormat::unbranded().with_foreign_prefix("acmetest_", "the sandbox of Acme")?;
    /// assert_eq!(
    ///     format.parse(b"acmetest_3f9a").unwrap_err().advice(),
    ///     "This is a credential of the sandbox of Acme. Send an API key of this service instead."
    /// );
    /// # Ok::<(), tower_api_keys::key::InvalidForeignPrefix>(())
    /// ```
    #[must_use]
    pub fn advice(&self) -> Cow<'static, str> {
        match &self.0 {
            Cause::Foreign(Issuer::Registered(name)) => {
                format!("This is a credential of {name}. Send an API key of this service instead.").into()
            }
            Cause::Foreign(Issuer::Known(_)) | Cause::Reason(_) => self.reason().advice().into(),
        }
    }

    /// The issuer of the credential that it looks like, for [`MalformedReason::ForeignCredential`]: `GitHub`, or the
    /// name given to [`KeyFormat::with_foreign_prefix`](super::KeyFormat::with_foreign_prefix).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.0 {
            Cause::Foreign(issuer) => Some(issuer.as_str()),
            Cause::Reason(_) => None,
        }
    }
}

impl fmt::Debug for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MalformedKey").field("reason", &self.reason()).field("issuer", &self.issuer()).finish()
    }
}

impl fmt::Display for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed key: {}", self.reason().summary())?;
        match self.issuer() {
            Some(issuer) => write!(f, " ({issuer})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for MalformedKey {}

/// The issuer of credentials with a known beginning, behind one pointer. Cloning allocates nothing.
#[derive(Clone)]
pub(super) enum Issuer {
    Known(&'static &'static str),
    Registered(Arc<Box<str>>),
}

impl Issuer {
    fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Registered(name) => name,
        }
    }
}

impl PartialEq for Issuer {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Issuer {}

words! {
    /// Why a text is no key: the first reason that applies.
    ///
    /// If the text has a key of this service and something else, the order is: two keys, `Bearer`, words before the
    /// key, quotes, signs before it, words after it, whitespace, characters beyond ASCII, signs after it. Otherwise the
    /// order is: encoded, foreign credential, empty, placeholder, `Bearer`, quotes, whitespace, characters beyond
    /// ASCII, prefix, length, alphabet, checksum. A foreign credential with a dot is never "encoded".
    ///
    /// The reason depends only on the text and the [`KeyFormat`](super::KeyFormat), never on what is stored.
    ///
    /// ```
    /// use tower_api_keys::key::{KeyFormat, MalformedReason};
    ///
    /// let reason = KeyFormat::unbranded().parse(b"$API_KEY").unwrap_err().reason();
    /// assert_eq!(reason, MalformedReason::Placeholder);
    /// assert_eq!(reason.as_str(), "placeholder");
    /// assert!(reason.advice().contains("the variable or secret is set"));
    /// ```
    #[non_exhaustive]
    pub enum MalformedReason,
    /// One sentence for the caller: what happened and what to do. Fixed text without any part of the key.
    pub advice {
        /// A character that no key has, perhaps a look-alike, or a dot where no key has one.
        Alphabet = "alphabet":
            "The API key contains a character that is not allowed, such as a long dash instead of a hyphen, or a dot \
             in the wrong place. Copy the whole key again.",
        /// The word `Bearer` is part of the key.
        BearerInside = "bearer_inside":
            "The API key includes the word Bearer. In the Authorization header, write Bearer only once, before the \
             key. In x-api-key, send the key without Bearer.",
        /// All parts are there, but the checksum does not match: at least one character differs from the issued key.
        Checksum = "checksum":
            "The API key has the right form, but at least one character is wrong. Copy the whole key again.",
        /// No text at all.
        Empty = "empty":
            "The API key is empty. Check that the variable or secret that holds it is set.",
        /// A key in base64, in hexadecimal digits, with escapes, such as `%2E` for a dot, or in UTF-16.
        Encoded = "encoded":
            "The API key is encoded, for example in base64. Decode it, and send the decoded key.",
        /// A credential of another service, or a JSON web token.
        ForeignCredential = "foreign_credential":
            "This is a credential of another service. Send an API key of this service, and consider replacing the \
             credential, because it was sent to the wrong place.",
        /// A key in an `Authorization` header without the `Bearer` scheme.
        MissingScheme = "missing_scheme":
            "The Authorization header has an API key, but the word Bearer is missing. Write Bearer and a space before \
             the key.",
        /// The name of a variable, a sample from documentation, a reference to a secret that was not resolved, or a
        /// masked copy, instead of the key.
        Placeholder = "placeholder":
            "This is not an API key, but a placeholder, a masked key or the name of a secret. Check that the variable \
             or secret is set, and that your program sends its value.",
        /// Quotation marks are part of the key.
        Quotes = "quotes":
            "There are quotation marks before, after or inside the API key. Remove them where the key is configured.",
        /// A key with other text before or around it, such as `API_KEY=` or brackets.
        TextAround = "text_around":
            "There is text before or after the API key, such as a name or brackets. Send only the key.",
        /// Longer than a key with this prefix.
        TooLong = "too_long":
            "The API key is too long: something was added to it. Copy the key again, with nothing before or after it.",
        /// Shorter than a key with this prefix.
        Truncated = "truncated":
            "The API key is too short: its end is missing. Copy the whole key again.",
        /// More than one key, whole or not, even the same one twice.
        TwoKeys = "two_keys":
            "There is more than one API key in the same header or text. Send only one key.",
        /// Does not begin with a prefix that this service accepts. Prefixes are lower case.
        UnknownPrefix = "unknown_prefix":
            "The API key does not begin with a prefix of this service. Check that it is a key for this service, that \
             it is complete, and that capital and small letters are unchanged.",
        /// A space, a tab, a line break or an invisible character is part of the key.
        Whitespace = "whitespace":
            "There is a space, a line break or an invisible character before, after or inside the API key. Remove it \
             where the key is configured.",
    }
}

impl MalformedReason {
    /// Whether a text that is refused for this may still have a readable id of a key in it.
    pub(crate) const fn leaves_an_id(self) -> bool {
        !matches!(self, Self::Empty | Self::Encoded | Self::ForeignCredential | Self::TwoKeys | Self::UnknownPrefix)
    }

    /// A few words for the text of an error.
    const fn summary(self) -> &'static str {
        match self {
            Self::Alphabet => "it has a character that no API key has",
            Self::BearerInside => "it contains the word Bearer",
            Self::Checksum => "the checksum is wrong",
            Self::Empty => "it is empty",
            Self::Encoded => "it is an encoded key",
            Self::ForeignCredential => "it is a credential of another service",
            Self::MissingScheme => "the scheme is missing",
            Self::Placeholder => "it is a placeholder",
            Self::Quotes => "it contains quotation marks",
            Self::TextAround => "it has text before or around the key",
            Self::TooLong => "it is too long",
            Self::Truncated => "it is too short",
            Self::TwoKeys => "it has two keys",
            Self::UnknownPrefix => "the prefix is unknown",
            Self::Whitespace => "it contains whitespace",
        }
    }
}
