use std::fmt;

use serde::Serialize;

use super::pattern::KeyUse;
use crate::{owner::KeyKind, sentence::Sentence, words::words};

/// One thing that points to a personal key or to a team key, or to neither.
///
/// ```
/// # fn example(advice: tower_api_keys::manage::Advice) {
/// for evidence in &advice.evidence {
///     println!("{} ({:?}, {:?})", evidence.sentence, evidence.weight, evidence.points_to);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Evidence {
    /// What kind of evidence it is.
    pub kind: EvidenceKind,
    /// The use it points to, if any.
    pub points_to: Option<KeyUse>,
    /// How much it counts.
    pub weight: Weight,
    /// What was seen, as a sentence.
    pub sentence: Sentence,
}

words! {
    /// The kind of an [`Evidence`]: what requests left behind, or what people wrote.
    ///
    /// ```
    /// use tower_api_keys::manage::EvidenceKind;
    ///
    /// assert!(EvidenceKind::Client.is_recorded() && !EvidenceKind::Name.is_recorded());
    /// ```
    #[non_exhaustive]
    pub enum EvidenceKind {
        /// Recorded: the average time between requests of one source.
        Cadence = "cadence",
        /// Recorded: the program that called.
        Client = "client",
        /// Written: who made the key.
        Creator = "creator",
        /// Written: a label of the key.
        Label = "label",
        /// Recorded: the key is used from several networks.
        Networks = "networks",
        /// Written: the name of the key.
        Name = "name",
        /// Recorded: the key is used by several programs.
        Programs = "programs",
        /// Recorded: the label of the layer at which requests arrived.
        SourceLabel = "source_label",
        /// Recorded: requests that prove nothing either way, or no requests.
        Unclear = "unclear",
        /// Recorded: more requests than a person makes by hand.
        Volume = "volume",
    }
}

impl EvidenceKind {
    /// Whether it comes from requests. What people wrote, when the key was made or later, counts only where requests
    /// prove nothing either way.
    #[must_use]
    pub const fn is_recorded(self) -> bool {
        !matches!(self, Self::Creator | Self::Label | Self::Name)
    }
}

words! {
    /// How much an [`Evidence`] counts.
    ///
    /// ```
    /// use tower_api_keys::manage::Weight;
    ///
    /// assert!(Weight::Weak < Weight::Strong);
    /// ```
    pub enum Weight {
        /// Nothing: it is listed only because people would ask about it.
        None = "none",
        /// One point.
        Weak = "weak",
        /// Two points.
        Moderate = "moderate",
        /// Four points.
        Strong = "strong",
    }
}

impl Weight {
    pub(super) const fn points(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Weak => 1,
            Self::Moderate => 2,
            Self::Strong => 4,
        }
    }

    /// One step less, but never nothing.
    pub(super) const fn less(self) -> Self {
        match self {
            Self::Strong => Self::Moderate,
            Self::Moderate | Self::Weak => Self::Weak,
            Self::None => Self::None,
        }
    }
}

impl Evidence {
    pub(super) const fn new(kind: EvidenceKind, points_to: KeyUse, weight: Weight, sentence: Sentence) -> Self {
        Self { kind, points_to: Some(points_to), weight, sentence }
    }

    /// Evidence that is listed but not counted.
    pub(super) const fn told(kind: EvidenceKind, sentence: Sentence) -> Self {
        Self { kind, points_to: None, weight: Weight::None, sentence }
    }

    /// The kind of key that it speaks for.
    #[must_use]
    pub fn speaks_for(&self) -> Option<KeyKind> {
        self.points_to.map(KeyUse::key_kind)
    }

    pub(super) fn is(&self, kind: KeyKind, is_recorded: bool) -> bool {
        self.speaks_for() == Some(kind) && self.kind.is_recorded() == is_recorded
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence.fmt(f)
    }
}
