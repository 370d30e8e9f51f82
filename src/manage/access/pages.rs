use std::collections::VecDeque;

use super::{Access, Unseen};
use crate::{
    key::KeyId,
    manage::{
        error::{ManageError, ManageErrorKind},
        policy::{KeyAction, Target},
    },
    owner::Owner,
    store::{KeyCursor, KeyQuery, KeyStore, ListedKey, Liveness},
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
        access: &Access<'_>,
    ) -> Result<Option<Vec<Unseen>>, ManageError> {
        let Some(owner) = self.owners.front() else { return Ok(None) };
        self.query.owner.clone_from(owner);
        let page = access.parts.guarded.store.list(&self.query, access.parts.clock.now()).await?;
        if page.more {
            // A row whose own place cannot be read is read again after the last one whose place can.
            let place = page.rows.iter().rev().find_map(|row| cursor(row).ok());
            self.query.after = Some(place.ok_or_else(|| ManageError::new(ManageErrorKind::CorruptRecord))?);
        } else {
            self.owners.pop_front();
            self.query.after = self.begin;
        }
        Ok(Some(access.of_ours(page.rows)))
    }
}

impl Access<'_> {
    /// A page of a query, and whether more follow. Nothing of it was decided on.
    pub(in crate::manage) async fn page(
        &self,
        query: &KeyQuery,
        now: Timestamp,
    ) -> Result<(Vec<Unseen>, bool), ManageError> {
        let page = self.parts.guarded.store.list(query, now).await?;
        Ok((self.of_ours(page.rows), page.more))
    }

    /// The next rows of all these owners together, and whether more follow.
    pub(in crate::manage) async fn rows(
        &self,
        mut query: KeyQuery,
        owners: &[Option<Owner>],
        now: Timestamp,
    ) -> Result<(Vec<Unseen>, bool), ManageError> {
        let (mut rows, mut more) = (Vec::new(), false);
        for owner in owners {
            query.owner.clone_from(owner);
            let (page, more_of_owner) = self.page(&query, now).await?;
            rows.extend(page);
            more |= more_of_owner;
        }
        rows.sort_by(|Unseen(a), Unseen(b)| (a.key.created_at, &a.key.id).cmp(&(b.key.created_at, &b.key.id)));
        let limit = usize::from(query.limit);
        more |= rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }

    fn of_ours(&self, rows: Vec<ListedKey>) -> Vec<Unseen> {
        let organization = self.parts.organization.as_str();
        rows.into_iter().filter(|row| row.key.organization == organization).map(Unseen).collect()
    }

    /// Whether a query finds any key, by itself and unseen.
    pub(in crate::manage) async fn finds_any(&self, query: KeyQuery) -> Result<bool, ManageError> {
        let (rows, _) = self.page(&KeyQuery { limit: 1, ..query }, self.parts.clock.now()).await?;
        Ok(!rows.is_empty())
    }

    /// How many live keys an owner has, for any actor.
    pub(in crate::manage) async fn count_live_keys(&self, owner: &Owner) -> Result<u64, ManageError> {
        let mut walk = Walk::new(KeyQuery {
            owner: Some(owner.clone()),
            liveness: Some(Liveness::Live),
            ..KeyQuery::all(self.parts.organization.clone())
        });
        let mut count = 0;
        while let Some(rows) = walk.next_page(self).await? {
            count += rows.len() as u64;
        }
        Ok(count)
    }

    /// The owners to whom the actor may do all this; none of them in particular where it may to the whole organization.
    pub(in crate::manage) fn reach(&self, actions: &[KeyAction]) -> Vec<Option<Owner>> {
        let may = |target: &Target<'_>| actions.iter().all(|action| self.may(*action, target));
        if may(&Target::Organization) {
            return vec![None];
        }
        self.actor.owners().filter(|owner| may(&Target::Owner(owner))).map(Some).collect()
    }

    /// The owners whose keys to ask the store for, of one or of all that there are; none of them in particular where the
    /// actor may see them all. `with_usage` where the answer tells how they are used, as which of them are unused does.
    pub(in crate::manage) async fn owners_to_list(
        &self,
        owner: Option<&Owner>,
        with_usage: bool,
    ) -> Result<Vec<Option<Owner>>, ManageError> {
        let Some(owner) = owner else {
            let actions: &[_] = if with_usage { &[KeyAction::See, KeyAction::SeeUsage] } else { &[KeyAction::See] };
            return Ok(self.reach(actions));
        };
        if !self.may(KeyAction::See, &Target::Owner(owner)) {
            return Err(self.hide_owner(KeyAction::See, owner).await);
        }
        if with_usage {
            self.require(KeyAction::SeeUsage, &Target::Owner(owner)).await?;
        }
        Ok(vec![Some(owner.clone())])
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
