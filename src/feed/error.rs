use std::{error::Error, fmt};

use crate::store::StoreError;

/// The name is not valid for a consumer: 1 to 48 characters of `a-z`, `0-9`, `-`, `_` and `.`.
///
/// ```
/// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
/// let error = keys.feed("two words").unwrap_err();
/// assert_eq!(error.to_string(), "the name of a feed must have 1 to 48 characters of `a-z`, `0-9`, `-`, `_` and `.`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a feed must have 1 to 48 characters of `a-z`, `0-9`, `-`, `_` and `.`")]
#[non_exhaustive]
pub struct InvalidFeedName {}

/// Why events could not be read, or not be confirmed. Nothing is lost: events that were not confirmed are read again.
///
/// ```
/// use tower_api_keys::feed::{FeedError, FeedErrorKind};
///
/// fn is_over(error: &FeedError) -> bool {
///     error.kind() == FeedErrorKind::Forgotten
/// }
/// ```
#[derive(Debug)]
pub struct FeedError {
    kind: FeedErrorKind,
    source: Option<StoreError>,
}

/// The kinds of [`FeedError`].
///
/// ```
/// use tower_api_keys::feed::FeedErrorKind;
///
/// assert_ne!(FeedErrorKind::Forgotten, FeedErrorKind::StoreUnavailable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedErrorKind {
    /// Others changed the stored consumers again and again meanwhile. Try again.
    Busy,
    /// The stored consumers cannot be read. No event is delivered until this is repaired, because the positions are not
    /// known.
    Corrupt,
    /// This consumer was forgotten, or never existed.
    Forgotten,
    /// The store could not be asked, or it is unknown whether it did what it was asked. Try again: to confirm twice is
    /// harmless.
    StoreUnavailable,
    /// There are already 64 consumers. Forget those that are gone.
    TooMany,
}

impl FeedError {
    pub(super) const fn new(kind: FeedErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> FeedErrorKind {
        self.kind
    }
}

impl From<StoreError> for FeedError {
    fn from(error: StoreError) -> Self {
        Self { kind: FeedErrorKind::StoreUnavailable, source: Some(error) }
    }
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FeedErrorKind::Busy => "too many consumers confirmed events at the same time: confirm again",
            FeedErrorKind::Corrupt => "the places of the feed's consumers in the key store cannot be read",
            FeedErrorKind::Forgotten => "the feed does not have this consumer, or it was removed",
            FeedErrorKind::StoreUnavailable => "the key store did not give the events: try again",
            FeedErrorKind::TooMany => "the feed already has 64 consumers, which is the most: forget one first",
        })
    }
}

impl Error for FeedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
