//! Which peppers the keys of a store were made with, as its nodes tell each other in a note: no node makes keys that
//! lack the pepper of the others.

use std::collections::BTreeSet;

use super::{Calls, KeyStore, StoreError};
use crate::hash::{PepperId, Peppers};

/// The name of the note.
const NOTE: &str = "peppers";

/// How many nodes may add to it at once.
const MOST_TRIES: usize = 100;

/// The peppers that were ever current on a node of a store. A greater id is a newer one.
#[derive(Debug)]
pub(crate) struct PeppersInUse {
    ids: BTreeSet<u32>,
    /// The note as it was read.
    note: Vec<u8>,
}

impl PeppersInUse {
    /// # Errors
    /// Those of [`KeyStore::replace_note`], which changes nothing here.
    pub(crate) async fn of<S: KeyStore>(store: &Calls<S>) -> Result<Self, StoreError> {
        Ok(Self::read(store.replace_note(NOTE, &[], &[]).await?))
    }

    fn read(note: Vec<u8>) -> Self {
        // One that cannot be read says nothing.
        let ids = serde_json::from_slice(&note).unwrap_or_default();
        Self { ids, note }
    }

    /// The newest one, unless it is known. New keys have to have it, or one that is newer.
    pub(crate) fn missing(&self, known: &Peppers) -> Option<PepperId> {
        let newest = PepperId::new(*self.ids.last()?);
        (!known.knows(newest)).then_some(newest)
    }

    /// All that are not known. Keys may be left that have one.
    pub(crate) fn unknown(&self, known: &Peppers) -> impl Iterator<Item = PepperId> {
        self.ids.iter().map(|id| PepperId::new(*id)).filter(|id| !known.knows(*id))
    }

    /// Adds one for all nodes to see.
    ///
    /// # Errors
    /// Those of [`KeyStore::replace_note`].
    pub(crate) async fn add<S: KeyStore>(mut self, id: PepperId, store: &Calls<S>) -> Result<(), StoreError> {
        for _ in 0..MOST_TRIES {
            if !self.ids.insert(id.as_u32()) {
                return Ok(());
            }
            // Fails only on maps whose keys are no strings; there is none.
            let new = serde_json::to_vec(&self.ids).unwrap_or_default();
            // Another node may have added one meanwhile.
            self = Self::read(store.replace_note(NOTE, &self.note, &new).await?);
        }
        Err(StoreError::unavailable("the note of the peppers in use changes all the time"))
    }
}
