use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::owner::{InvalidId, UserId};

/// The longest source, in bytes.
pub(super) const LONGEST_SOURCE: usize = 128;

/// The client of sources that are too many to tell apart.
const OTHER: &str = "other";

/// From where a key is used: a layer's label in the embedder's words (`intake`), the client that called (`curl`), or
/// both (`intake/curl`). Empty if neither is known.
///
/// What is made by [`new`](Self::new) is a label.
///
/// ```
/// use tower_api_keys::usage::Source;
///
/// assert_eq!(Source::new("intake")?.as_str(), "intake");
/// assert_eq!(Source::default().as_str(), "");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Default)]
pub struct Source(Option<Arc<Text>>);

struct Text {
    /// Its place in the table of sources that keys remember; 0 if it has none.
    id: u32,
    text: Box<str>,
    label: Source,
    client: Box<str>,
}

impl Source {
    /// A source.
    ///
    /// # Errors
    /// [`InvalidId`] if the text is empty, longer than 128 bytes or has a control character.
    pub fn new(source: impl AsRef<str>) -> Result<Self, InvalidId> {
        // The same rule as for the embedder's ids.
        let text = UserId::new(source)?;
        Ok(Self::of_client(&Self(None), text.as_str(), text.as_str().len()))
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", |text| &text.text)
    }

    /// A client of a layer with this label: `text` is both, and the client begins in it where it is said to.
    pub(super) fn of_client(label: &Self, text: &str, client_at: usize) -> Self {
        let client = text.get(client_at..).unwrap_or_default().into();
        Self::with_text(Text { id: 0, text: text.into(), label: label.clone(), client })
    }

    fn with_text(text: Text) -> Self {
        Self(Some(Arc::new(text)))
    }

    /// The same source with a place in the table of known ones.
    pub(crate) fn numbered(&self, id: u32) -> Self {
        let (text, label, client) = match &self.0 {
            Some(text) => (text.text.clone(), text.label.clone(), text.client.clone()),
            None => (Box::default(), Self(None), Box::default()),
        };
        Self::with_text(Text { id, text, label, client })
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, |text| text.id)
    }

    /// The label that it was made with, and its client, empty if there is none.
    pub(super) fn parts(&self) -> (&Self, &str) {
        const NOWHERE: &Source = &Source(None);
        match &self.0 {
            Some(text) => (&text.label, &text.client),
            None => (NOWHERE, ""),
        }
    }

    /// Equal without a look at the words where that can be.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) if Arc::ptr_eq(one, two) => true,
            _ => same_text(self.as_str(), other.as_str()),
        }
    }

    /// The label of the layer it came through, empty if that has none.
    pub(crate) fn label(&self) -> &Self {
        match &self.0 {
            Some(text) if !(text.label.0.is_none() && text.client.is_empty()) => &text.label,
            // Nothing but a label.
            _ => self,
        }
    }

    /// The source under which it is counted where there are too many to tell apart: `other`, with its label if it has
    /// one.
    pub(crate) fn folded(&self) -> Self {
        let label = self.label();
        if label.as_str().is_empty() {
            return Self::other();
        }
        let name = label.as_str();
        let name = name.get(..name.floor_char_boundary_at(LONGEST_SOURCE - OTHER.len() - 1)).unwrap_or_default();
        Self::of_client(label, &format!("{name}/{OTHER}"), name.len() + 1)
    }

    /// The source of what is counted without any.
    pub(crate) fn other() -> Self {
        Self::of_client(&Self(None), OTHER, 0)
    }

    /// Whether it stands for many.
    pub(crate) fn is_other(&self) -> bool {
        self.parts().1 == OTHER
    }

    /// How many hold it.
    pub(crate) fn holders(&self) -> usize {
        self.0.as_ref().map_or(0, Arc::strong_count)
    }
}

/// Whether two texts are equal, without a look at empty ones: those point to no memory, and to compare nothing there
/// takes some processors longer than the rest of a check (AMD Zen 4, with a `memcmp` of masked loads: 160 ns).
#[inline]
pub(crate) fn same_text(one: &str, two: &str) -> bool {
    one.len() == two.len() && (one.is_empty() || one == two)
}

/// Where a text can be cut.
pub(super) trait Cut {
    /// The greatest boundary of a character that is no greater than `most`.
    fn floor_char_boundary_at(&self, most: usize) -> usize;
}

impl Cut for str {
    fn floor_char_boundary_at(&self, most: usize) -> usize {
        (0..=most.min(self.len())).rev().find(|&at| self.is_char_boundary(at)).unwrap_or(0)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.as_str()).finish()
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Source {}

impl PartialOrd for Source {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Source {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// So that a table of sources can be asked by text.
impl Borrow<str> for Source {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}
