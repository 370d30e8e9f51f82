use super::{
    KeyManager,
    sight::Shown,
    walk::{LARGEST_PAGE, cursor},
};
use crate::{
    audit::Subject,
    key::KeyId,
    manage::{
        actor::Actor,
        error::{InvalidInput, ManageError},
        info::{KeyInfo, KeyPage},
        policy::{KeyAction, Target},
        request::ListKeys,
    },
    owner::Owner,
    store::{KeyQuery, KeyStore, ListedKey},
    time::Timestamp,
};

impl KeyManager {
    /// The key of this id, dead or alive, with its usage if the actor may see it.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (a key without `keys:manage`), corrupt
    /// record, store unavailable.
    pub async fn find(&self, id: &KeyId, actor: &Actor) -> Result<KeyInfo, ManageError> {
        self.admit(actor)?;
        let (record, status) = self.load(id, actor, KeyAction::See).await?;
        let usage = if self.allows(actor, KeyAction::SeeUsage, &Target::key(&record)) {
            Some(self.usage_of_one(id).await?.totals())
        } else {
            None
        };
        Ok(KeyInfo::new(record, status, usage))
    }

    /// A page of the keys that the actor may see, in the order of their making.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (an owner whose keys the actor may not see),
    /// denied (a key without `keys:manage`; [`unused_since`](ListKeys::unused_since) by somebody who may not see the
    /// usage of this owner's keys), invalid, corrupt record, store unavailable.
    pub async fn list(&self, query: ListKeys, actor: &Actor) -> Result<KeyPage, ManageError> {
        self.admit(actor)?;
        let owners = self.owners_to_list(query.owner.as_ref(), query.unused_since.is_some(), actor)?;
        let query = self.key_query(&query)?;
        let (rows, more) = self.rows(query, &owners, self.0.clock.now()).await?;
        let next = match rows.last() {
            Some(last) if more => Some(cursor(last)?),
            _ => None,
        };
        let mut page = KeyPage { keys: Vec::new(), unreadable: Vec::new(), next };
        for row in rows {
            let shown = self.shown(row, actor, &mut page.unreadable);
            page.keys.extend(shown.map(Shown::into_info));
        }
        Ok(page)
    }

    /// The owners whose keys to ask the store for, of one or of all that there are; none of them in particular where the
    /// actor may see them all. `with_usage` where the answer tells how they are used, as which of them are unused does.
    pub(in crate::manage) fn owners_to_list(
        &self,
        owner: Option<&Owner>,
        with_usage: bool,
        actor: &Actor,
    ) -> Result<Vec<Option<Owner>>, ManageError> {
        let Some(owner) = owner else {
            let actions: &[_] = if with_usage { &[KeyAction::See, KeyAction::SeeUsage] } else { &[KeyAction::See] };
            return Ok(self.reach(actor, actions));
        };
        if !self.allows(actor, KeyAction::See, &Target::Owner(owner)) {
            return Err(self.hide(actor, KeyAction::See, Some(Subject::Owner(owner.clone()))));
        }
        if with_usage {
            self.permit(actor, KeyAction::SeeUsage, &Target::Owner(owner))?;
        }
        Ok(vec![Some(owner.clone())])
    }

    /// What the store is asked for, but for the owner.
    pub(in crate::manage) fn key_query(&self, query: &ListKeys) -> Result<KeyQuery, ManageError> {
        if query.limit == 0 || query.limit > LARGEST_PAGE {
            return Err(ManageError::invalid(InvalidInput::PageSize));
        }
        Ok(KeyQuery {
            creator: query.creator.clone(),
            created_via_key: query.created_via_key,
            liveness: query.liveness,
            unused_since: query.unused_since,
            after: query.after,
            limit: query.limit,
            ..KeyQuery::all(self.0.organization.clone())
        })
    }

    /// The next rows of all these owners together, and whether more follow.
    pub(in crate::manage) async fn rows(
        &self,
        mut query: KeyQuery,
        owners: &[Option<Owner>],
        now: Timestamp,
    ) -> Result<(Vec<ListedKey>, bool), ManageError> {
        let (mut rows, mut more) = (Vec::new(), false);
        for owner in owners {
            query.owner.clone_from(owner);
            let page = self.0.store.list(&query, now).await?;
            rows.extend(page.rows);
            more |= page.more;
        }
        rows.retain(|row| row.key.organization == self.0.organization.as_str());
        rows.sort_by(|a, b| (a.key.created_at, &a.key.id).cmp(&(b.key.created_at, &b.key.id)));
        let limit = usize::from(query.limit);
        more |= rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }
}
