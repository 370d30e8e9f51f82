use super::KeyManager;
use crate::{
    key::KeyId,
    manage::{
        access::{Access, LARGEST_PAGE, Shown, cursor},
        actor::Actor,
        error::ManageError,
        info::{KeyInfo, KeyPage},
        invalid::InvalidInput,
        policy::{KeyAction, Target},
        request::ListKeys,
    },
    store::KeyQuery,
};

impl KeyManager {
    /// The key of this id, dead or alive, with its usage if the actor may see it.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (a key without `keys:read`, an actor that is suspended or closed), corrupt
    /// record, store unavailable.
    pub async fn find(&self, id: &KeyId, actor: &Actor) -> Result<KeyInfo, ManageError> {
        let access = self.acting(actor, &[KeyAction::See]).await?;
        let (record, status) = access.key(id, KeyAction::See).await?;
        let usage = if access.may(KeyAction::SeeUsage, &Target::key(&record)) {
            Some(access.usage_of_one(id).await?.totals())
        } else {
            None
        };
        Ok(KeyInfo::new(record, status, usage, access.parts.clock.reading()))
    }

    /// A page of the keys that the actor may see, in the order of their making.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (an owner whose keys the actor may not see),
    /// denied (a key without `keys:read`, an actor that is suspended or closed; [`unused_since`](ListKeys::unused_since) by somebody who may not see the
    /// usage of this owner's keys), invalid, corrupt record, store unavailable.
    pub async fn list(&self, query: ListKeys, actor: &Actor) -> Result<KeyPage, ManageError> {
        let access = self.acting(actor, &[KeyAction::See]).await?;
        let owners = access.owners_to_list(query.owner.as_ref(), query.unused_since.is_some()).await?;
        let query = access.key_query(&query)?;
        let (rows, more) = access.rows(query, &owners, access.parts.clock.now()).await?;
        let next = match rows.last() {
            Some(last) if more => Some(cursor(last.peek())?),
            _ => None,
        };
        let mut page = KeyPage { keys: Vec::new(), unreadable: Vec::new(), next };
        for row in rows {
            let shown = access.shown(&row, &mut page.unreadable);
            page.keys.extend(shown.map(Shown::into_info));
        }
        Ok(page)
    }
}

impl Access<'_> {
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
            ..KeyQuery::all(self.parts.organization.clone())
        })
    }
}
