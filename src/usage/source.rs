use std::sync::Arc;

use crate::owner::{InvalidId, UserId};

/// From where a key is used, in the embedder's words: `intake`, `api`. Empty unless a layer has a label.
///
/// ```
/// use tower_api_keys::usage::Source;
///
/// assert_eq!(Source::new("intake")?.as_str(), "intake");
/// assert_eq!(Source::default().as_str(), "");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(Option<Arc<str>>);

impl Source {
    /// A source.
    ///
    /// # Errors
    /// [`InvalidId`] if the text is empty, longer than 128 bytes or has a control character.
    pub fn new(source: impl AsRef<str>) -> Result<Self, InvalidId> {
        // The same rule as for the embedder's ids.
        UserId::new(source).map(|id| Self(Some(id.as_str().into())))
    }

    /// The source of what is counted where there are too many sources to tell apart.
    pub(crate) fn other() -> Self {
        Self(Some("other".into()))
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}
