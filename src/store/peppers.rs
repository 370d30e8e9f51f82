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
    /// Those of [`KeyStore::replace_note`], which changes nothing here; and that the note cannot be read.
    pub(crate) async fn of<S: KeyStore>(store: &Calls<S>) -> Result<Self, StoreError> {
        Self::read(store.replace_note(NOTE, &[], &[]).await?)
    }

    /// A note that cannot be read may name any pepper: to take it for none would let keys be made without.
    fn read(note: Vec<u8>) -> Result<Self, StoreError> {
        let ids = if note.is_empty() { BTreeSet::new() } else { serde_json::from_slice(&note).map_err(unreadable)? };
        Ok(Self { ids, note })
    }

    /// The newest one, if it is not known and no newer one is current. New keys have to have it, or a newer one: a pepper
    /// that was lost, or made current by mistake, is replaced by a newer one.
    pub(crate) fn missing(&self, known: &Peppers) -> Option<PepperId> {
        let newest = *self.ids.last()?;
        let is_newer = known.current_id().is_some_and(|current| current.as_u32() > newest);
        let newest = PepperId::new(newest);
        (!is_newer && !known.knows(newest)).then_some(newest)
    }

    /// All that are not known. Keys may be left that have one.
    pub(crate) fn unknown(&self, known: &Peppers) -> impl Iterator<Item = PepperId> {
        self.ids.iter().map(|id| PepperId::new(*id)).filter(|id| !known.knows(*id))
    }

    /// Adds one for all nodes to see.
    ///
    /// # Errors
    /// Those of [`of`](Self::of). A note that cannot be read stays as it is.
    pub(crate) async fn add<S: KeyStore>(mut self, id: PepperId, store: &Calls<S>) -> Result<(), StoreError> {
        for _ in 0..MOST_TRIES {
            if !self.ids.insert(id.as_u32()) {
                return Ok(());
            }
            // Fails only on maps whose keys are no strings; there is none.
            let new = serde_json::to_vec(&self.ids).unwrap_or_default();
            // Another node may have added one meanwhile.
            self = Self::read(store.replace_note(NOTE, &self.note, &new).await?)?;
        }
        Err(StoreError::unavailable("the note of the peppers in use changes all the time"))
    }
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::corrupt(UnreadableNote(error))
}

#[derive(Debug, thiserror::Error)]
#[error("the note \"peppers\" in the store, which names the peppers in use, cannot be read")]
struct UnreadableNote(#[source] serde_json::Error);
