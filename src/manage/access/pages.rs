use std::collections::VecDeque;

use super::{Access, Unseen};
use crate::{
    audit::Subject,
    key::KeyId,
    manage::{
        error::{ManageError, ManageErrorKind},
        policy::{KeyAction, Target},
    },
    owner::Owner,
    store::{KeyCursor, KeyOrder, KeyQuery, KeyStore, ListedKey, Liveness},
    time::Timestamp,
};

/// The most keys or events of one page, by the store's contract.
pub(in crate::manage) const LARGEST_PAGE: u16 = 1_000;

/// The most owners that one query of a store takes, by its contract.
const MOST_OWNERS: usize = 1_000;

/// Whose keys to ask the store for.
pub(in crate::manage) enum Reach {
    /// All keys of the organization.
    All,
    /// The keys of these owners.
    Of(Vec<Owner>),
}

impl Reach {
    /// One owner after the other; `None` means all.
    pub(in crate::manage) fn each(self) -> Vec<Option<Owner>> {
        match self {
            Self::All => vec![None],
            Self::Of(owners) => owners.into_iter().map(Some).collect(),
        }
    }

    /// The subjects of an export of all these.
    pub(in crate::manage) fn subjects(&self) -> Vec<Subject> {
        match self {
            Self::All => vec![Subject::Organization],
            Self::Of(owners) => owners.iter().cloned().map(Subject::Owner).collect(),
        }
    }

    /// The owner lists to query, one for each query: one list, unless there are more owners than one query takes. An
    /// empty list means all owners of the organization.
    fn asked(&self) -> Vec<&[Owner]> {
        match self {
            Self::All => vec![&[]],
            Self::Of(owners) => owners.chunks(MOST_OWNERS).collect(),
        }
    }
}

/// Reads the keys of a query page by page, in the query's order; with more than 1,000 owners, one thousand owners after
/// the other.
pub(in crate::manage) struct Walk {
    query: KeyQuery,
    begin: Option<KeyCursor>,
    owners: VecDeque<Vec<Owner>>,
}

impl Walk {
    /// A walk through the keys of a query.
    pub(in crate::manage) fn new(query: KeyQuery) -> Self {
        let owners = VecDeque::from([query.owners.clone()]);
        Self { begin: query.after, query: KeyQuery { limit: LARGEST_PAGE, ..query }, owners }
    }

    /// A walk through the keys of a query within reach.
    pub(in crate::manage) fn within(reach: &Reach, query: KeyQuery) -> Self {
        Self { owners: reach.asked().into_iter().map(<[_]>::to_vec).collect(), ..Self::new(query) }
    }

    /// The next page, which may be empty; `None` at the end.
    pub(in crate::manage) async fn next_page(
        &mut self,
        access: &Access<'_>,
    ) -> Result<Option<Vec<Unseen>>, ManageError> {
        let Some(owners) = self.owners.front() else { return Ok(None) };
        self.query.owners.clone_from(owners);
        let page = access.parts.guarded.store.list(&self.query, access.parts.clock.now()).await?;
        if page.more {
            // If a row's own place cannot be read, the row is read again after the last one whose place can.
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
    /// A page of a query, and whether more follow. No decision has been made on these rows.
    pub(in crate::manage) async fn page(
        &self,
        query: &KeyQuery,
        now: Timestamp,
    ) -> Result<(Vec<Unseen>, bool), ManageError> {
        let page = self.parts.guarded.store.list(query, now).await?;
        Ok((self.of_ours(page.rows), page.more))
    }

    /// A page of a query within reach, and whether more follow.
    pub(in crate::manage) async fn page_within(
        &self,
        reach: &Reach,
        query: &KeyQuery,
        now: Timestamp,
    ) -> Result<(Vec<Unseen>, bool), ManageError> {
        let (mut rows, mut more) = (Vec::new(), false);
        let asked = reach.asked();
        for owners in &asked {
            let (page, more_of_these) = self.page(&KeyQuery { owners: owners.to_vec(), ..query.clone() }, now).await?;
            rows.extend(page);
            more |= more_of_these;
        }
        if asked.len() > 1 {
            rows.sort_by(|Unseen(a), Unseen(b)| {
                let rising = query.place_of(&a.key).cmp(&query.place_of(&b.key));
                if query.order == KeyOrder::NewestFirst { rising.reverse() } else { rising }
            });
            let limit = usize::from(query.limit);
            more |= rows.len() > limit;
            rows.truncate(limit);
        }
        Ok((rows, more))
    }

    /// Everything that a query finds. No decision has been made on these rows.
    pub(in crate::manage) async fn all(&self, query: KeyQuery) -> Result<Vec<Unseen>, ManageError> {
        let (mut walk, mut rows) = (Walk::new(query), Vec::new());
        while let Some(page) = walk.next_page(self).await? {
            rows.extend(page);
        }
        Ok(rows)
    }

    /// The key with this id in this organization, for any actor, as a list returns it.
    pub(in crate::manage) async fn listed(&self, id: &KeyId) -> Result<Option<Unseen>, ManageError> {
        let query = KeyQuery { keys: vec![*id], limit: 1, ..KeyQuery::all(self.parts.organization.clone()) };
        let (mut rows, _) = self.page(&query, self.parts.clock.now()).await?;
        // Drops rows that were not asked for.
        Ok(rows.pop().filter(|row| row.0.key.id == id.as_str()))
    }

    fn of_ours(&self, rows: Vec<ListedKey>) -> Vec<Unseen> {
        let organization = self.parts.organization.as_str();
        rows.into_iter().filter(|row| row.key.organization == organization).map(Unseen).collect()
    }

    /// Whether a query finds any key; the keys are not shown.
    pub(in crate::manage) async fn finds_any(&self, query: KeyQuery) -> Result<bool, ManageError> {
        let (rows, _) = self.page(&KeyQuery { with_usage: false, limit: 1, ..query }, self.parts.clock.now()).await?;
        Ok(!rows.is_empty())
    }

    /// How many live keys an owner has, for any actor.
    pub(in crate::manage) async fn count_live_keys(&self, owner: &Owner) -> Result<u64, ManageError> {
        let mut walk = Walk::new(KeyQuery {
            owners: vec![owner.clone()],
            liveness: Some(Liveness::Live),
            with_usage: false,
            ..KeyQuery::all(self.parts.organization.clone())
        });
        let mut count = 0;
        while let Some(rows) = walk.next_page(self).await? {
            count += rows.len() as u64;
        }
        Ok(count)
    }

    /// The owners on whom the actor may do all these actions; all, if it may for the whole organization.
    pub(in crate::manage) fn reach(&self, actions: &[KeyAction]) -> Reach {
        let may = |target: &Target<'_>| actions.iter().all(|action| self.may(*action, target));
        if may(&Target::Organization) {
            return Reach::All;
        }
        Reach::Of(self.actor.owners().filter(|owner| may(&Target::Owner(owner))).collect())
    }

    /// Whose keys to ask the store for: those of these owners, or all that the actor may see. `with_usage` if the
    /// answer reveals usage, as a list of unused keys does.
    pub(in crate::manage) async fn reach_of(
        &self,
        owners: Option<&[Owner]>,
        with_usage: bool,
    ) -> Result<Reach, ManageError> {
        let Some(owners) = owners else {
            let actions: &[_] = if with_usage { &[KeyAction::See, KeyAction::SeeUsage] } else { &[KeyAction::See] };
            return Ok(self.reach(actions));
        };
        // First whether the actor may see all of them: a denial about one must not reveal another that is hidden.
        for owner in owners {
            if !self.may(KeyAction::See, &Target::Owner(owner)) {
                return Err(self.hide_owner(KeyAction::See, owner).await);
            }
        }
        if with_usage {
            for owner in owners {
                self.require(KeyAction::SeeUsage, &Target::Owner(owner)).await?;
            }
        }
        Ok(Reach::Of(owners.to_vec()))
    }
}

/// The place right after this key.
pub(in crate::manage) fn cursor(row: &ListedKey) -> Result<KeyCursor, ManageError> {
    Ok(KeyCursor {
        created_at: Timestamp::from_millis(row.key.created_at).map_err(ManageError::corrupt)?,
        expires_at: row.key.expires_at.map(Timestamp::from_millis).transpose().map_err(ManageError::corrupt)?,
        id: KeyId::new(&row.key.id).map_err(ManageError::corrupt)?,
    })
}
