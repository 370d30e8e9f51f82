use std::collections::{HashMap, HashSet};

use super::counted_for::CountedFor;
use crate::{
    outcome::{Outcome, Proved},
    usage::{Label, Source, UsageRow},
};

/// The most sources that are counted separately in one [`Budget`]. Further sources are counted under `other`, one for
/// each label. A team's own machines are fewer. A key with more is shared with the public, and then its list of sources
/// is of no use.
pub(super) const MOST_SOURCES: usize = 64;

/// Sources that share a limit. They are separated by what a request proved: a caller that knows only a key's public id
/// cannot take the room of callers that have the key, and a caller with a dead key cannot take the room of those that
/// still use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Each organization has its own room for requests that name no key: one takes none from another.
    counted_for: CountedFor,
    proof: Proved,
    /// Within these, each layer has its own room: a public layer does not take that of a layer for a partner. Empty for
    /// a key.
    label: Label,
}

/// The sources in the store, of the keys and organizations for which they were read.
#[derive(Debug, Default)]
pub(super) struct StoredSources {
    sources: HashMap<(CountedFor, Proved), HashSet<Source>>,
}

const PROVED: [Proved; 4] = [Proved::Good, Proved::Dead, Proved::Elsewhere, Proved::Nothing];

impl Budget {
    /// The budget of such requests from this source.
    pub(super) fn new(counted_for: &CountedFor, proof: Proved, source: &Source) -> Self {
        let label = if counted_for.key().is_none() { source.shared_label().clone() } else { Label::default() };
        Self { counted_for: counted_for.clone(), proof, label }
    }

    pub(super) const fn counted_for(&self) -> &CountedFor {
        &self.counted_for
    }

    pub(super) const fn proof(&self) -> Proved {
        self.proof
    }

    /// Whether a source of the same key or organization, and of the same proof, uses room of this budget.
    fn has(&self, source: &Source) -> bool {
        self.counted_for.key().is_some() || *source.shared_label() == self.label
    }
}

impl StoredSources {
    /// The sources for these, none so far.
    pub(super) fn of(read: impl IntoIterator<Item = CountedFor>) -> Self {
        let read = read.into_iter().flat_map(|counted_for| PROVED.map(|proof| (counted_for.clone(), proof)));
        Self { sources: read.map(|of| (of, HashSet::new())).collect() }
    }

    /// Adds a row that the store has.
    pub(super) fn add(&mut self, row: &UsageRow) {
        let Some(counted_for) = CountedFor::of(row) else { return };
        if let Some(sources) = self.sources.get_mut(&(counted_for, Outcome::of_word(&row.outcome).proves())) {
            sources.insert(Source::from(row));
        }
    }

    /// Whether the store was asked for this one and does not have it.
    pub(super) fn lacks(&self, counted_for: &CountedFor, proof: Proved, source: &Source) -> bool {
        self.sources.get(&(counted_for.clone(), proof)).is_some_and(|sources| !sources.contains(source))
    }

    /// How many more sources there is room for, not counting these, each of which sums up many.
    pub(super) fn room(&self, budget: &Budget, others: &HashSet<Source>) -> usize {
        let sources = self.sources.get(&(budget.counted_for.clone(), budget.proof)).into_iter().flatten();
        MOST_SOURCES.saturating_sub(sources.filter(|source| budget.has(source) && !others.contains(*source)).count())
    }
}
