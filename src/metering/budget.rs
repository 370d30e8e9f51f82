use std::collections::{HashMap, HashSet};

use crate::{
    key::KeyId,
    outcome::{Outcome, Proved},
    usage::{Label, Source, UsageRow},
};

/// The most sources that are told apart in one [`Budget`]. What comes from more is counted under `other`, one for each
/// label. A team's own machines are fewer; a key with more is shared with the world, and its list of sources no help to
/// anybody.
pub(super) const MOST_SOURCES: usize = 64;

/// Sources that share the room for so many. What a request proved tells them apart: who knows no more than a key's public
/// id cannot take the room of those who have the key, nor who has a dead key that of those who still use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    key: Option<KeyId>,
    proof: Proved,
    /// Of requests that name no key in the store, each layer has room of its own: one that the world sees does not take
    /// that of one that a partner sees. Empty for a key.
    label: Label,
}

/// The sources that a store has, of keys for which that was read; none of them for requests that name no key.
#[derive(Debug, Default)]
pub(super) struct StoredSources {
    sources: HashMap<(Option<KeyId>, Proved), HashSet<Source>>,
}

const PROVED: [Proved; 3] = [Proved::Good, Proved::Dead, Proved::Nothing];

impl Budget {
    /// That of such requests from this source.
    pub(super) fn new(key: Option<KeyId>, proof: Proved, source: &Source) -> Self {
        let label = if key.is_none() { source.shared_label().clone() } else { Label::default() };
        Self { key, proof, label }
    }

    pub(super) const fn key(&self) -> Option<KeyId> {
        self.key
    }

    pub(super) const fn proof(&self) -> Proved {
        self.proof
    }

    /// Whether a source of the same key and proof takes room of this one.
    fn has(&self, source: &Source) -> bool {
        self.key.is_some() || *source.shared_label() == self.label
    }
}

impl StoredSources {
    /// Those of these keys, none so far.
    pub(super) fn of(keys: impl IntoIterator<Item = Option<KeyId>>) -> Self {
        let keys = keys.into_iter().flat_map(|key| PROVED.map(|proof| (key, proof)));
        Self { sources: keys.map(|of| (of, HashSet::new())).collect() }
    }

    /// The store has this row.
    pub(super) fn add(&mut self, row: &UsageRow) {
        let key = row.key.as_deref().and_then(|key| KeyId::new(key).ok());
        if let Some(sources) = self.sources.get_mut(&(key, Outcome::of_word(&row.outcome).proves())) {
            sources.insert(Source::from(row));
        }
    }

    /// Whether the store was asked for this one and does not have it.
    pub(super) fn lacks(&self, key: Option<KeyId>, proof: Proved, source: &Source) -> bool {
        self.sources.get(&(key, proof)).is_some_and(|sources| !sources.contains(source))
    }

    /// How many more there is room for, beside what is counted under these, which stand for many.
    pub(super) fn room(&self, budget: &Budget, others: &HashSet<Source>) -> usize {
        let sources = self.sources.get(&(budget.key, budget.proof)).into_iter().flatten();
        MOST_SOURCES.saturating_sub(sources.filter(|source| budget.has(source) && !others.contains(*source)).count())
    }
}
