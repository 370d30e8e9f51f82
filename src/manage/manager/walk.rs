use std::collections::VecDeque;

use super::KeyManager;
use crate::{
    key::KeyId,
    manage::{
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        policy::{KeyAction, Target},
    },
    owner::Owner,
    store::{KeyCursor, KeyQuery, KeyStore, ListedKey},
    time::Timestamp,
};

/// The most keys or events of one page, as the store's contract says.
pub(in crate::manage) const LARGEST_PAGE: u16 = 1_000;

/// Goes through the keys of a query page by page: those of one owner after another, each in the order of their making.
pub(in crate::manage) struct Walk {
    query: KeyQuery,
    begin: Option<KeyCursor>,
    owners: VecDeque<Option<Owner>>,
}

impl Walk {
    /// The keys of a query.
    pub(in crate::manage) fn new(query: KeyQuery) -> Self {
        let owner = query.owner.clone();
        Self::of_owners(query, vec![owner])
    }

    /// The same for these owners; none of them in particular stands for all keys of the organization.
    pub(in crate::manage) fn of_owners(query: KeyQuery, owners: Vec<Option<Owner>>) -> Self {
        Self { begin: query.after, query: KeyQuery { limit: LARGEST_PAGE, ..query }, owners: owners.into() }
    }

    /// The next page, which may be empty; none once all were shown.
    pub(in crate::manage) async fn next_page(
        &mut self,
        manager: &KeyManager,
    ) -> Result<Option<Vec<ListedKey>>, ManageError> {
        let Some(owner) = self.owners.front() else { return Ok(None) };
        self.query.owner.clone_from(owner);
        let now = manager.0.clock.now();
        let page = manager.0.store.list(&self.query, now).await?;
        if page.more {
            // A row whose own place cannot be read is read again after the last one whose place can.
            let place = page.rows.iter().rev().find_map(|row| cursor(row).ok());
            self.query.after = Some(place.ok_or_else(|| ManageError::new(ManageErrorKind::CorruptRecord))?);
        } else {
            self.owners.pop_front();
            self.query.after = self.begin;
        }
        let mut rows = page.rows;
        rows.retain(|row| row.key.organization == manager.0.organization.as_str());
        Ok(Some(rows))
    }
}

impl KeyManager {
    /// The owners to whom the actor may do all this; none of them in particular where it may to the whole organization.
    pub(in crate::manage) fn reach(&self, actor: &Actor, actions: &[KeyAction]) -> Vec<Option<Owner>> {
        let may = |target: &Target<'_>| actions.iter().all(|action| self.allows(actor, *action, target));
        if may(&Target::Organization) {
            return vec![None];
        }
        actor.owners().filter(|owner| may(&Target::Owner(owner))).map(Some).collect()
    }
}

/// The place in the order of lists right before the first key made at this time.
pub(in crate::manage) fn before(time: Timestamp) -> Option<KeyCursor> {
    let created_at = Timestamp::from_millis(time.as_millis().checked_sub(1)?).ok()?;
    // The greatest id there can be.
    KeyId::new(&"z".repeat(20)).ok().map(|id| KeyCursor { created_at, id })
}

/// The place right after this key.
pub(in crate::manage) fn cursor(row: &ListedKey) -> Result<KeyCursor, ManageError> {
    Ok(KeyCursor {
        created_at: Timestamp::from_millis(row.key.created_at).map_err(ManageError::corrupt)?,
        id: KeyId::new(&row.key.id).map_err(ManageError::corrupt)?,
    })
}
