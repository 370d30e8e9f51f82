//! Why a text was not hashed or not accepted.

use std::{error::Error, fmt, time::Duration};

/// The tag refuses the text, or cannot be computed.
///
/// ```
/// use tower_api_keys::hash::{Hasher, HasherConfig, KeyHash, TagErrorKind};
///
/// let hasher = Hasher::new(HasherConfig::new())?;
/// let phc = "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// let stored = KeyHash::from_parts(phc, [0; 4], None)?;
/// let error = hasher.check_tag("user.some.text", &stored).unwrap_err();
/// assert_eq!(error.kind(), TagErrorKind::Mismatch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TagError(TagErrorKind);

impl TagError {
    /// The kind of the error.
    #[must_use]
    pub const fn kind(&self) -> TagErrorKind {
        self.0
    }

    pub(super) const fn new(kind: TagErrorKind) -> Self {
        Self(kind)
    }
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TagErrorKind::Mismatch => "the key does not match the stored tag",
            TagErrorKind::UnknownPepper => "the stored hash needs a pepper that this hasher does not have",
        })
    }
}

impl Error for TagError {}

/// Why a tag refuses a text.
///
/// ```
/// use tower_api_keys::hash::{Hasher, HasherConfig, KeyHash, TagErrorKind};
///
/// let hasher = Hasher::new(HasherConfig::new())?;
/// let phc = "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// let of_pepper_7 = KeyHash::from_parts(phc, [0; 4], Some(7))?;
/// let error = hasher.check_tag("user.some.text", &of_pepper_7).unwrap_err();
/// assert_eq!(error.kind(), TagErrorKind::UnknownPepper);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagErrorKind {
    /// The text is not the text of this key.
    Mismatch,
    /// The record names a pepper this node does not know: the record is corrupt, or the node's configuration is.
    UnknownPepper,
}

/// Why a text was not found to match a stored hash.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use tower_api_keys::hash::{Argon2Params, Hasher, HasherConfig, VerifyErrorKind};
///
/// let hasher = Hasher::new(HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET))?;
/// let stored = hasher.hash("user.right.text").await?;
/// let error = hasher.verify(*b"some-public-id-of-20", "user.wrong.text", &stored).await.unwrap_err();
/// assert_eq!(error.kind(), VerifyErrorKind::Mismatch);
/// assert_eq!(error.retry_after(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VerifyError(Reason<VerifyErrorKind>);

impl VerifyError {
    /// The kind of the error.
    #[must_use]
    pub const fn kind(&self) -> VerifyErrorKind {
        self.0.kind
    }

    /// When to retry, if the kind is [`VerifyErrorKind::Overloaded`] or [`VerifyErrorKind::Starved`]. At least 1 s.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub(super) const fn new(kind: VerifyErrorKind) -> Self {
        Self(Reason::new(kind))
    }

    /// Not done, for this reason, and after this wait if there was one.
    pub(crate) fn not_done(kind: VerifyErrorKind, waited: Option<Duration>, retry_after: Duration) -> Self {
        Self(Reason::not_done(kind, waited, retry_after))
    }

    pub(super) fn failed(source: impl Error + Send + Sync + 'static) -> Self {
        Self(Reason::caused(VerifyErrorKind::Failed, source))
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            VerifyErrorKind::Corrupt => "the stored hash has a pepper or a cost that this hasher does not accept",
            VerifyErrorKind::Failed => "hashing failed",
            VerifyErrorKind::Mismatch => "the key does not match the stored hash",
            VerifyErrorKind::Overloaded => return too_many(f, self.0.waited),
            VerifyErrorKind::Starved => return no_core(f, self.0.waited),
        })
    }
}

impl Error for VerifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why a text was not found to match.
///
/// ```
/// use tower_api_keys::hash::VerifyErrorKind;
///
/// /// Whether the same text may be found to match a moment later.
/// fn is_temporary(kind: VerifyErrorKind) -> bool {
///     matches!(kind, VerifyErrorKind::Failed | VerifyErrorKind::Overloaded | VerifyErrorKind::Starved)
/// }
/// assert!(!is_temporary(VerifyErrorKind::Mismatch));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyErrorKind {
    /// The record names a pepper this node does not know, or a cost that it does not accept.
    Corrupt,
    /// The run panicked, found no memory, or lost its thread. The text may be right.
    Failed,
    /// The text is not the text of this key.
    Mismatch,
    /// More hashes are requested than the hashing threads can make: the queue is full, or the wait was too long. The
    /// text may be right.
    Overloaded,
    /// The wait was too long, and for most of it no core was free to hash: other work keeps them all busy. The text may
    /// be right.
    Starved,
}

/// Why a text was not hashed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use tower_api_keys::hash::{HashErrorKind, Hasher, HasherConfig, KeyHash};
///
/// let hasher = Hasher::new(HasherConfig::new())?;
/// let phc = "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// let unknown_pepper = KeyHash::from_parts(phc, [0; 4], Some(7))?;
/// let error = hasher.rehash("user.some.text", &unknown_pepper).await.unwrap_err();
/// assert_eq!(error.kind(), HashErrorKind::Corrupt);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HashError(Reason<HashErrorKind>);

impl HashError {
    /// The kind of the error.
    #[must_use]
    pub const fn kind(&self) -> HashErrorKind {
        self.0.kind
    }

    /// When to retry, if the kind is [`HashErrorKind::Crowded`], [`HashErrorKind::Overloaded`] or
    /// [`HashErrorKind::Starved`]. At least 1 s.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub(super) const fn new(kind: HashErrorKind) -> Self {
        Self(Reason::new(kind))
    }

    /// Not done, for this reason, and after this wait if there was one.
    pub(crate) fn not_done(kind: HashErrorKind, waited: Option<Duration>, retry_after: Duration) -> Self {
        Self(Reason::not_done(kind, waited, retry_after))
    }

    pub(crate) fn caused(kind: HashErrorKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self(Reason::caused(kind, source))
    }
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            HashErrorKind::Corrupt => "the stored hash has a pepper or a cost that this hasher does not accept",
            HashErrorKind::Crowded => "too many hashes for the same requester are waiting",
            HashErrorKind::Failed => "hashing failed",
            HashErrorKind::Overloaded => return too_many(f, self.0.waited),
            HashErrorKind::Randomness => "no salt could be made for the hash",
            HashErrorKind::Starved => return no_core(f, self.0.waited),
        })
    }
}

impl Error for HashError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why a text was not hashed.
///
/// ```
/// use tower_api_keys::hash::{HashError, HashErrorKind};
///
/// fn should_ask_again(error: &HashError) -> bool {
///     error.retry_after().is_some() || error.kind() == HashErrorKind::Failed
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashErrorKind {
    /// The hash to replace names a pepper this node does not know, or a cost that it does not accept.
    Corrupt,
    /// Too many hashes of the same requester wait: to a [`KeyManager`](crate::KeyManager), each actor is a requester.
    Crowded,
    /// The run panicked, found no memory, or lost its thread.
    Failed,
    /// More hashes are requested than the hashing threads can make: all places are taken, or the wait was too long.
    Overloaded,
    /// The operating system gave no randomness for the salt.
    Randomness,
    /// The wait was too long, and for most of it no core was free to hash: other work keeps them all busy.
    Starved,
}

#[derive(Debug)]
struct Reason<K> {
    kind: K,
    waited: Option<Duration>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl<K> Reason<K> {
    const fn new(kind: K) -> Self {
        Self { kind, waited: None, retry_after: None, source: None }
    }

    const fn not_done(kind: K, waited: Option<Duration>, retry_after: Duration) -> Self {
        Self { kind, waited, retry_after: Some(retry_after), source: None }
    }

    fn caused(kind: K, source: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, waited: None, retry_after: None, source: Some(Box::new(source)) }
    }

    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

fn too_many(f: &mut fmt::Formatter<'_>, waited: Option<Duration>) -> fmt::Result {
    match waited {
        None => f.write_str("too many hashes wait: all places are taken"),
        Some(waited) => {
            write!(f, "the hash was not ready within {waited:?}: too many are wanted, or each takes too long")
        }
    }
}

fn no_core(f: &mut fmt::Formatter<'_>, waited: Option<Duration>) -> fmt::Result {
    match waited {
        None => f.write_str("other work keeps all cores busy"),
        Some(waited) => write!(f, "no core was free to hash for {waited:?}: other work keeps them all busy"),
    }
}
