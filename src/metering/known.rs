use std::collections::{HashMap, HashSet};

use crate::usage::{InParts, Label, OriginWords, Source};

/// The most sources that keys share, of some 200 bytes each. Successes from more are counted with a lock.
const MOST_KNOWN: usize = 65_536;

/// How many sources are refused a place before the table is searched for unused ones again.
const PATIENCE: u32 = 10_000;

/// The sources that keys share, each once, with a number that never changes.
#[derive(Debug, Default)]
pub(super) struct KnownSources {
    by_parts: HashSet<Source>,
    by_id: HashMap<u32, Source>,
    /// The labels of the sources that were dropped last: a request from one may still be running.
    forgotten: HashMap<u32, Label>,
    last_id: u32,
    sweep_at: usize,
    patience: u32,
}

impl KnownSources {
    /// The source of this origin; none if there is no room for more.
    pub(super) fn get(&mut self, origin: OriginWords<'_>) -> Option<Source> {
        if let Some(known) = self.by_parts.get(&origin.parts() as &dyn InParts) {
            return Some(known.clone());
        }
        if self.by_parts.len() >= self.sweep_at {
            self.sweep();
        }
        if self.by_parts.len() >= MOST_KNOWN {
            return None;
        }
        // Numbers are never reused: an old number must not lead to another source.
        self.last_id = self.last_id.checked_add(1)?;
        let known = origin.to_source().numbered(self.last_id);
        self.by_parts.insert(known.clone());
        self.by_id.insert(self.last_id, known.clone());
        Some(known)
    }

    pub(super) fn by_id(&self, id: u32) -> Option<&Source> {
        self.by_id.get(&id)
    }

    /// The source under which requests from a dropped source are counted.
    pub(super) fn in_place_of(&self, id: u32) -> Source {
        Source::other_of(self.forgotten.get(&id).unwrap_or(&Label::default()))
    }

    /// Drops all sources, as the next search of the table would if they were unused.
    #[cfg(test)]
    pub(super) fn forget_all(&mut self) {
        self.patience = 0;
        self.sweep();
    }

    fn sweep(&mut self) {
        if self.patience > 0 {
            self.patience -= 1;
            return;
        }
        // Referenced only by the two tables.
        let forgotten = self.by_id.extract_if(|_, source| source.holders() <= 2);
        self.forgotten = forgotten.map(|(id, source)| (id, source.shared_label().clone())).collect();
        let by_id = &self.by_id;
        self.by_parts.retain(|source| by_id.contains_key(&source.id()));
        self.sweep_at = (self.by_parts.len() * 2).clamp(1_024, MOST_KNOWN);
        if self.by_parts.len() >= MOST_KNOWN {
            self.patience = PATIENCE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{NamedClient, Origin};

    fn known(table: &mut KnownSources, client: &str) -> Option<Source> {
        let named = NamedClient { client: client.into(), network: String::new() };
        table.get(Origin::Named(&Label::default(), &named).words())
    }

    #[test]
    fn one_origin_is_one_source_with_one_number() {
        let mut table = KnownSources::default();
        let (one, again, other) = (known(&mut table, "a"), known(&mut table, "a"), known(&mut table, "b"));
        assert_eq!(one.as_ref().map(Source::id), again.map(|source| source.id()));
        assert_ne!(one.as_ref().map(Source::id), other.map(|source| source.id()));
        assert_eq!(table.by_id(one.unwrap().id()).unwrap().client(), "a");
    }

    #[test]
    fn sources_that_nobody_remembers_are_forgotten_and_the_table_is_bounded() {
        let mut table = KnownSources::default();
        for number in 0..5_000 {
            known(&mut table, &number.to_string()).unwrap();
        }
        assert!(table.by_id.len() <= 1_024 && table.by_parts.len() == table.by_id.len());
        let held: Vec<_> =
            (0..MOST_KNOWN + 10).filter_map(|number| known(&mut table, &format!("held {number}"))).collect();
        assert!(held.len() > MOST_KNOWN - 1_100 && table.by_id.len() <= MOST_KNOWN);
        assert!(known(&mut table, "one more").is_none());
        let number = held[0].id();
        drop(held);
        let mut room = None;
        for _ in 0..=PATIENCE {
            room = room.or(known(&mut table, "one more"));
        }
        assert_eq!(room.unwrap().client(), "one more");
        assert!(table.by_id(number).is_none());
    }
}
