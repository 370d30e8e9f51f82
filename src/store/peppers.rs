//! Which peppers the keys of a store were made with. The nodes share this in a note, so that no node makes keys without
//! the pepper of the others.

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
    /// Those of [`KeyStore::replace_note`], which changes nothing here; and corrupt if the note cannot be read.
    pub(crate) async fn of<S: KeyStore>(store: &Calls<S>) -> Result<Self, StoreError> {
        Self::read(store.replace_note(NOTE, &[], &[]).await?)
    }

    /// A note that cannot be read may name any pepper: if it were taken as empty, keys could be made without that
    /// pepper.
    fn read(note: Vec<u8>) -> Result<Self, StoreError> {
        let ids = if note.is_empty() { BTreeSet::new() } else { serde_json::from_slice(&note).map_err(unreadable)? };
        Ok(Self { ids, note })
    }

    /// The newest pepper, if this node does not know it and no newer one is current. New keys need it or a newer one:
    /// to replace a pepper that was lost, or made current by mistake, add a newer one.
    pub(crate) fn missing(&self, known: &Peppers) -> Option<PepperId> {
        let newest = *self.ids.last()?;
        let is_newer = known.current_id().is_some_and(|current| current.as_u32() > newest);
        let newest = PepperId::new(newest);
        (!is_newer && !known.knows(newest)).then_some(newest)
    }

    /// All peppers that this node does not know. Some keys may still have one of them.
    pub(crate) fn unknown(&self, known: &Peppers) -> impl Iterator<Item = PepperId> {
        self.ids.iter().map(|id| PepperId::new(*id)).filter(|id| !known.knows(*id))
    }

    /// Adds a pepper to the note that all nodes see.
    ///
    /// # Errors
    /// Those of [`of`](Self::of); unavailable if other nodes change the note all the time. A note that cannot be read
    /// stays as it is.
    pub(crate) async fn add<S: KeyStore>(mut self, id: PepperId, store: &Calls<S>) -> Result<(), StoreError> {
        for _ in 0..MOST_TRIES {
            if !self.ids.insert(id.as_u32()) {
                return Ok(());
            }
            // Fails only on maps whose keys are not strings; there is none here.
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
