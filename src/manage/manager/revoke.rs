use super::{KeyManager, key_request::key_request};
use crate::{
    audit::{Action, Subject},
    key::KeyId,
    manage::{
        access::{Access, GuardRefusal, Wanted, WantedWrite},
        actor::Actor,
        error::ManageError,
        info::{KeyInfo, Revoked},
        policy::KeyAction,
    },
    owner::Owner,
    record::{KeyRecord, Revocation},
    store::{Effect, Guard, Write},
    time::Timestamp,
};

key_request! {
    /// A key to revoke, with a reason and an expected version. A key id converts into one.
    ///
    /// ```
    /// use tower_api_keys::{key::KeyId, manage::RevokeKey};
    ///
    /// let id = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
    /// let revoke = RevokeKey::of(id).because("leaked in a public repository").expecting(3);
    /// # let _ = revoke;
    /// # Ok::<(), tower_api_keys::key::InvalidKeyId>(())
    /// ```
    RevokeKey, "nothing is revoked before `KeyManager::revoke`"
}

impl KeyManager {
    /// Ends a key permanently, from the next request. A revoked key stays as it is, whatever the request says, and the
    /// answer says so.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let issue = || tower_api_keys::IssueKey::team("blue".parse().unwrap());
    /// # let (one, other) = (manager.issue(issue(), &admin).await?, manager.issue(issue(), &admin).await?);
    /// # let (id, leaked) = (one.info().id, other.info().id);
    /// use tower_api_keys::manage::{AuditQuery, RevokeKey};
    ///
    /// manager.revoke(&id, &admin).await?;
    /// manager.revoke(RevokeKey::of(leaked).because("in a public repository"), &admin).await?;
    ///
    /// let trail = manager.events(AuditQuery::all().of_key(leaked), &admin).await?;
    /// assert_eq!(trail.entries[0].event.after.as_deref(), Some("in a public repository"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, version differs, corrupt record, store
    /// unavailable, outcome unknown. The call may be repeated after the last two: revoking twice does no harm.
    pub async fn revoke(&self, request: impl Into<RevokeKey>, actor: &Actor) -> Result<Revoked, ManageError> {
        let request = request.into();
        let access = self.acting(actor, &[KeyAction::Revoke]).await?;
        access.revoke(request).await
    }
}

impl Access<'_> {
    async fn revoke(&self, request: RevokeKey) -> Result<Revoked, ManageError> {
        let RevokeKey { id, because, expected_version } = request;
        let (mut record, status) = self.key(&id, KeyAction::Revoke).await?;
        let now = self.parts.clock.reading();
        if record.revoked.is_some() {
            return Ok(Revoked::new(KeyInfo::new(record, status, None, now), Effect::Unchanged));
        }
        let guards = self.same_version(&record, expected_version)?;
        let effect = self.revoke_record(&mut record, because, guards, now.now()).await?;
        if effect == Effect::Changed {
            return Ok(Revoked::new(KeyInfo::new(record, status, None, now), effect));
        }
        // Another call was quicker: answer with its revocation.
        let (record, status) = self.key(&id, KeyAction::Revoke).await?;
        Ok(Revoked::new(KeyInfo::new(record, status, None, now), effect))
    }

    /// Revokes the key and updates the record, unless another call was quicker.
    pub(in crate::manage) async fn revoke_record(
        &self,
        record: &mut KeyRecord,
        because: Option<String>,
        guards: Vec<(Guard, GuardRefusal)>,
        at: Timestamp,
    ) -> Result<Effect, ManageError> {
        let write = self.revocation(record.id, &record.owner, Action::KEY_REVOKED, because);
        let effect = self.apply_one(Wanted { guards, ..Wanted::one(KeyAction::Revoke, at, write) }).await?;
        if effect == Effect::Changed {
            record.revoked = Some(Revocation { at, by: Some(self.actor.id()) });
        }
        Ok(effect)
    }

    /// Revokes a key; the audit trail calls it `action`.
    pub(in crate::manage) fn revocation(
        &self,
        id: KeyId,
        owner: &Owner,
        action: Action,
        after: Option<String>,
    ) -> WantedWrite {
        WantedWrite {
            write: Write::Revoke { organization: self.parts.organization.clone(), id, by: self.actor.id().to_string() },
            action,
            subject: Subject::Key(id, owner.clone()),
            before: None,
            after,
        }
    }
}
