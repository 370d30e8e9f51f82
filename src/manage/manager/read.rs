use super::KeyManager;
use crate::{
    key::KeyId,
    manage::{
        access::{Access, LARGEST_PAGE, Shown, cursor},
        actor::Actor,
        error::ManageError,
        info::{KeyInfo, KeyPage},
        invalid::InvalidInput,
        names::Names,
        policy::KeyAction,
        request::ListKeys,
    },
    store::KeyQuery,
};

impl KeyManager {
    /// The key with this id, dead or alive, with its usage if the actor may see that.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (a key without `keys:read`, an actor that
    /// is suspended or closed), corrupt record, store unavailable.
    pub async fn find(&self, id: &KeyId, actor: &Actor) -> Result<KeyInfo, ManageError> {
        let access = self.acting(actor, &[KeyAction::See]).await?;
        let row = access.listed(id).await?.ok_or_else(|| access.absent(KeyAction::See, id))?;
        let (record, status) = access.open(&row, KeyAction::See).await?;
        let info = access.show(&row, record, status).into_info();
        Ok(KeyInfo { counted: info.usage.map(|_| access.counted), ..info })
    }

    /// A page of the keys that the actor may see, sorted by creation in either direction, or by end. One read of the
    /// store, however many teams the actor has; above 1,000 users and teams, one read for each thousand.
    ///
    /// A page may be shorter than its limit and still have a next one: a policy can hide single keys of an owner whose
    /// keys it shows.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (an owner whose keys the actor may not see),
    /// denied (a key without `keys:read`, an actor that is suspended or closed;
    /// [`unused_since`](ListKeys::unused_since) by an actor that may not see the usage of this owner's keys), invalid,
    /// corrupt record, store unavailable.
    pub async fn list(&self, query: ListKeys, actor: &Actor) -> Result<KeyPage, ManageError> {
        let access = self.acting(actor, &[KeyAction::See]).await?;
        let reach = access.reach_of(query.owners.as_deref(), query.unused_since.is_some()).await?;
        let query = access.key_query(&query)?;
        let (rows, more) = access.page_within(&reach, &query, access.parts.clock.now()).await?;
        let next = match rows.last() {
            Some(last) if more => Some(cursor(last.peek())?),
            _ => None,
        };
        let (counted, names) = (access.counted, Names::none());
        let mut page = KeyPage { keys: Vec::new(), unreadable: Vec::new(), names, next, counted };
        for row in rows {
            let shown = access.shown(&row, &mut page.unreadable);
            page.keys.extend(shown.map(Shown::into_info));
        }
        page.names = access.parts.names(|mentions| page.keys.iter().for_each(|key| mentions.key(key))).await;
        Ok(page)
    }
}

impl Access<'_> {
    /// The query for the store, without the owners.
    pub(in crate::manage) fn key_query(&self, query: &ListKeys) -> Result<KeyQuery, ManageError> {
        if query.limit == 0 || query.limit > LARGEST_PAGE {
            return Err(ManageError::invalid(InvalidInput::PageSize));
        }
        Ok(KeyQuery {
            kind: query.kind,
            named_like: query.named_like.clone(),
            creator: query.creator.clone(),
            created_via_key: query.created_via_key,
            lineage: query.lineage,
            liveness: query.liveness,
            unused_since: query.unused_since,
            expires_before: query.expires_before,
            order: query.order,
            after: query.after,
            limit: query.limit,
            ..KeyQuery::all(self.parts.organization.clone())
        })
    }
}
