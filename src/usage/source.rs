use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt::{self, Write},
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    UsageRow,
    parts::{InParts, Parts, same_text},
};
use crate::owner::{InvalidId, UserId};

/// The client that sums up too many sources.
const OTHER: &str = "other";

/// The source of requests: the label of a layer in the embedder's words (`intake`), the client that called (`curl`),
/// and the network it called from (`203.0.113.0/24`). Each may be empty. Cheap to clone.
///
/// `Display` writes it as one line for people, `intake/curl@203.0.113.0/24`, without empty parts. That line is never
/// parsed: two sources with the same line are still two. `Serialize` writes an object with the three parts.
///
/// ```
/// use tower_api_keys::usage::Source;
///
/// let intake = Source::new("intake")?;
/// assert_eq!((intake.label(), intake.client(), intake.network()), ("intake", "", ""));
/// let curl = intake.with_client("curl")?;
/// assert_eq!(curl.to_string(), "intake/curl");
/// assert_eq!(Source::default().to_string(), "");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
///
/// # Security
/// Callers choose the name of their client: a source is a hint for people, and proves nothing.
#[derive(Clone, Default)]
pub struct Source(Option<Arc<Whole>>);

struct Whole {
    /// Its number in the table of sources that keys share; 0 if it has none.
    id: u32,
    label: Label,
    client: Box<str>,
    network: Box<str>,
}

/// The label of a layer, shared by its sources: comparing two labels of one layer is quick.
#[derive(Clone, Default)]
pub(crate) struct Label(Option<Arc<str>>);

impl Source {
    /// A source with only a label.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, longer than 128 bytes or has a control character.
    pub fn new(label: impl AsRef<str>) -> Result<Self, InvalidId> {
        // The same rule as for the embedder's ids.
        let label = UserId::new(label)?;
        Ok(Self::of_parts(Parts { label: label.as_str(), ..Parts::default() }))
    }

    /// This source with this client: `curl`. Default: none.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, longer than 128 bytes or has a control character.
    pub fn with_client(&self, client: impl AsRef<str>) -> Result<Self, InvalidId> {
        let client = UserId::new(client)?;
        Ok(Self::of_parts(Parts { client: client.as_str(), ..self.parts() }))
    }

    /// This source with this address, or network of addresses: `203.0.113.0/24`. Default: none.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, longer than 128 bytes or has a control character.
    pub fn with_network(&self, network: impl AsRef<str>) -> Result<Self, InvalidId> {
        let network = UserId::new(network)?;
        Ok(Self::of_parts(Parts { network: network.as_str(), ..self.parts() }))
    }

    /// The label of the layer, empty if it has none.
    #[must_use]
    pub fn label(&self) -> &str {
        self.0.as_ref().map_or("", |whole| whole.label.as_str())
    }

    /// The program that called, empty if not known.
    #[must_use]
    pub fn client(&self) -> &str {
        self.0.as_ref().map_or("", |whole| &whole.client)
    }

    /// The address it called from, or its network; empty if addresses are not kept.
    #[must_use]
    pub fn network(&self) -> &str {
        self.0.as_ref().map_or("", |whole| &whole.network)
    }

    /// Whether all three parts are empty.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|whole| whole.is_empty())
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        self.0.as_ref().map_or(Parts::default(), |whole| Parts {
            label: whole.label.as_str(),
            client: &whole.client,
            network: &whole.network,
        })
    }

    /// Whether it is a source with this label, without a network, and with a matching client.
    #[inline]
    pub(super) fn is_of_layer(&self, label: &Label, is_client: impl FnOnce(&str) -> bool) -> bool {
        match &self.0 {
            None => label.is_none() && is_client(""),
            Some(whole) => whole.network.is_empty() && label.is(&whole.label) && is_client(&whole.client),
        }
    }

    /// The source with these words.
    pub(crate) fn of_parts(parts: Parts<'_>) -> Self {
        Self::of_layer(&Label::of(parts.label), parts.client, parts.network)
    }

    /// A client of a layer with this label.
    pub(super) fn of_layer(label: &Label, client: &str, network: &str) -> Self {
        if label.0.is_none() && client.is_empty() && network.is_empty() {
            return Self::default();
        }
        Self::whole(Whole { id: 0, label: label.clone(), client: client.into(), network: network.into() })
    }

    fn whole(whole: Whole) -> Self {
        Self(Some(Arc::new(whole)))
    }

    /// The same source with a place in the table of known ones.
    pub(crate) fn numbered(&self, id: u32) -> Self {
        let Parts { client, network, .. } = self.parts();
        Self::whole(Whole { id, label: self.shared_label().clone(), client: client.into(), network: network.into() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, |whole| whole.id)
    }

    /// Equality, without a comparison of the words if possible.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two) || self.parts().are(other.parts()),
            (Some(whole), None) | (None, Some(whole)) => whole.is_empty(),
        }
    }

    /// The label of the layer it came through.
    #[inline]
    pub(crate) fn shared_label(&self) -> &Label {
        const NONE: &Label = &Label(None);
        self.0.as_ref().map_or(NONE, |whole| &whole.label)
    }

    /// The source under which it is counted when there are too many: `other`, with its label if it has one.
    pub(crate) fn folded(&self) -> Self {
        Self::other_of(self.shared_label())
    }

    /// The source under which a layer with this label counts too many sources.
    pub(crate) fn other_of(label: &Label) -> Self {
        Self::of_layer(label, OTHER, "")
    }

    /// Whether it sums up many sources.
    pub(crate) fn is_other(&self) -> bool {
        self.client() == OTHER && self.network().is_empty()
    }

    /// The number of references to it.
    pub(crate) fn holders(&self) -> usize {
        self.0.as_ref().map_or(0, Arc::strong_count)
    }
}

impl Whole {
    #[inline]
    fn is_empty(&self) -> bool {
        self.label.is_none() && self.client.len() + self.network.len() == 0
    }
}

impl Label {
    fn of(label: &str) -> Self {
        Self((!label.is_empty()).then(|| label.into()))
    }

    #[inline]
    pub(super) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Equality, without a comparison of the words if possible.
    #[inline]
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two) || same_text(one, two),
            _ => false,
        }
    }
}

impl From<&UsageRow> for Source {
    fn from(row: &UsageRow) -> Self {
        Self::of_parts(Parts { label: &row.label, client: &row.client, network: &row.network })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { label, client, network } = self.parts();
        f.write_str(label)?;
        let has_more = !client.is_empty() || !network.is_empty();
        if !label.is_empty() && has_more {
            f.write_char('/')?;
        }
        f.write_str(client)?;
        if !client.is_empty() && !network.is_empty() {
            f.write_char('@')?;
        }
        f.write_str(network)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.to_string()).finish()
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Label").field(&self.as_str()).finish()
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parts { label, client, network } = self.parts();
        let mut out = serializer.serialize_struct("Source", 3)?;
        out.serialize_field("label", label)?;
        out.serialize_field("client", client)?;
        out.serialize_field("network", network)?;
        out.end()
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

/// By the bytes of label, client and network.
impl Ord for Source {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl InParts for Source {
    fn in_parts(&self) -> Parts<'_> {
        self.parts()
    }
}

impl<'a> Borrow<dyn InParts + 'a> for Source {
    fn borrow(&self) -> &(dyn InParts + 'a) {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(label: &'static str, client: &'static str, network: &'static str) -> Source {
        Source::of_parts(Parts { label, client, network })
    }

    #[test]
    fn a_source_is_told_in_one_line() {
        for (parts, line) in [
            (["", "", ""], ""),
            (["intake", "", ""], "intake"),
            (["", "curl", ""], "curl"),
            (["", "", "203.0.113.0/24"], "203.0.113.0/24"),
            (["intake", "curl", ""], "intake/curl"),
            (["intake", "", "203.0.113.0/24"], "intake/203.0.113.0/24"),
            (["", "curl", "2001:db8::/48"], "curl@2001:db8::/48"),
            (["intake", "curl", "203.0.113.7"], "intake/curl@203.0.113.7"),
        ] {
            let [label, client, network] = parts;
            assert_eq!(source(label, client, network).to_string(), line);
        }
    }

    #[test]
    fn sources_that_look_alike_in_one_line_are_two() {
        for (one, two) in [
            (source("curl", "", ""), source("", "curl", "")),
            (source("in/take", "curl", ""), source("in", "take/curl", "")),
            (source("", "a@b", ""), source("", "a", "b")),
        ] {
            assert_eq!(one.to_string(), two.to_string());
            assert_ne!(one, two);
        }
    }

    #[test]
    fn programs_get_the_three_parts() {
        let json = serde_json::to_value(source("intake", "curl", "203.0.113.0/24")).unwrap();
        let expected = serde_json::json!({"label": "intake", "client": "curl", "network": "203.0.113.0/24"});
        assert_eq!(json, expected);
    }

    #[test]
    fn parts_are_names() {
        let intake = Source::new("intake").unwrap();
        let whole = intake.with_client("curl").unwrap().with_network("203.0.113.0/24").unwrap();
        assert_eq!(whole, source("intake", "curl", "203.0.113.0/24"));
        let long = "x".repeat(129);
        for bad in ["", "a\nb", &long] {
            assert!(Source::new(bad).is_err() && intake.with_client(bad).is_err() && intake.with_network(bad).is_err());
        }
    }

    #[test]
    fn what_is_folded_keeps_its_label() {
        assert_eq!(source("intake", "curl", "203.0.113.7").folded(), source("intake", "other", ""));
        assert_eq!(source("intake", "", "").folded(), source("intake", "other", ""));
        assert_eq!(source("", "curl", "").folded(), source("", "other", ""));
        assert_eq!(Source::default().folded(), source("", "other", ""));
        let long = Source::new("é".repeat(64)).unwrap();
        assert_eq!(long.folded().label(), long.label());
        assert!(long.folded().is_other() && Source::default().folded().is_other() && !long.is_other());
        assert!(!source("intake", "other", "203.0.113.7").is_other());
    }
}
