use super::KeyManager;
use crate::{
    audit::{Action, Subject},
    key::KeyId,
    manage::{
        access::{Access, Wanted, WantedWrite},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        info::{KeyInfo, Revoked},
        invalid::InvalidInput,
        policy::KeyAction,
    },
    owner::Owner,
    record::{KeyName, KeyRecord, KeyRow, Labels, Revocation, labels_text},
    scope::Scopes,
    store::{Effect, KeyUpdate, Write},
    time::{ClockReading, Timestamp},
};

/// What the audit trail says of an edit.
struct Edited {
    event: Action,
    before: Option<String>,
    after: Option<String>,
}

impl KeyManager {
    /// Gives a key another name. The same name again writes nothing.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, invalid, key revoked, conflict, corrupt record, store unavailable,
    /// outcome unknown.
    pub async fn rename(&self, id: &KeyId, name: &str, actor: &Actor) -> Result<KeyInfo, ManageError> {
        let access = self.acting(actor, &[KeyAction::Rename]).await?;
        let name = KeyName::new(name).map_err(|error| ManageError::invalid(InvalidInput::Name).with_source(error))?;
        access
            .update(id, KeyAction::Rename, |record, _| {
                let before = std::mem::replace(&mut record.name, name.clone());
                Ok((before != name).then(|| Edited {
                    event: Action::KEY_RENAMED,
                    before: Some(before.as_str().to_owned()),
                    after: Some(name.as_str().to_owned()),
                }))
            })
            .await
    }

    /// Gives a key these labels instead of all it has. The same labels again write nothing.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: as for [`rename`](Self::rename).
    pub async fn relabel(&self, id: &KeyId, labels: Labels, actor: &Actor) -> Result<KeyInfo, ManageError> {
        let access = self.acting(actor, &[KeyAction::Relabel]).await?;
        access
            .update(id, KeyAction::Relabel, |record, _| {
                let before = std::mem::replace(&mut record.labels, labels.clone());
                Ok((before != labels).then(|| Edited {
                    event: Action::KEY_RELABELLED,
                    before: Some(labels_text(&before)),
                    after: Some(labels_text(&labels)),
                }))
            })
            .await
    }

    /// Leaves a key these of its scopes, from the next request on. The same scopes again write nothing.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: as for [`rename`](Self::rename); invalid unless the scopes are within those it has.
    pub async fn narrow_scopes(&self, id: &KeyId, scopes: Scopes, actor: &Actor) -> Result<KeyInfo, ManageError> {
        let access = self.acting(actor, &[KeyAction::Narrow]).await?;
        let scopes = access.parts.known_scopes(&scopes)?;
        access
            .update(id, KeyAction::Narrow, |record, _| {
                if !scopes.is_within(&record.scopes) {
                    return Err(ManageError::invalid(InvalidInput::ScopesWider));
                }
                let before = std::mem::replace(&mut record.scopes, scopes.clone());
                Ok((before != scopes).then(|| Edited {
                    event: Action::KEY_NARROWED,
                    before: Some(before.to_string()),
                    after: Some(scopes.to_string()),
                }))
            })
            .await
    }

    /// Lets a key end at a time that is yet to come, and earlier than what it has. The same time again writes nothing.
    ///
    /// To end a key now, [`revoke`](Self::revoke) it: that says who did.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: as for [`rename`](Self::rename); invalid if the time is now, past, or later than what it
    /// has; clock unsure.
    pub async fn expire_at(&self, id: &KeyId, at: Timestamp, actor: &Actor) -> Result<KeyInfo, ManageError> {
        let access = self.acting(actor, &[KeyAction::Expire]).await?;
        access
            .update(id, KeyAction::Expire, |record, now| {
                if now.has_passed(at)? {
                    return Err(ManageError::invalid(InvalidInput::ExpiryPast));
                }
                if record.expires_at.is_some_and(|end| at > end) {
                    return Err(ManageError::invalid(InvalidInput::ExpiryLater));
                }
                let before = record.expires_at.replace(at);
                Ok((before != Some(at)).then(|| Edited {
                    event: Action::KEY_EXPIRY_SET,
                    before: before.map(|end| end.to_string()),
                    after: Some(at.to_string()),
                }))
            })
            .await
    }

    /// Ends a key for good, from the next request on. A key that is revoked stays as it is, and the answer says so.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, corrupt record, store unavailable, outcome unknown. After the last two it
    /// may be asked again: revoking twice does no harm.
    pub async fn revoke(&self, id: &KeyId, actor: &Actor) -> Result<Revoked, ManageError> {
        let access = self.acting(actor, &[KeyAction::Revoke]).await?;
        let (mut record, status) = access.key(id, KeyAction::Revoke).await?;
        let now = access.parts.clock.reading();
        if record.revoked.is_some() {
            return Ok(Revoked::new(KeyInfo::new(record, status, None, now), Effect::Unchanged));
        }
        let at = now.now();
        let write = access.revocation(*id, &record.owner, Action::KEY_REVOKED, None);
        match access.apply_one(Wanted::one(KeyAction::Revoke, at, write)).await? {
            Effect::Changed => {
                record.revoked = Some(Revocation { at, by: Some(actor.id()) });
                Ok(Revoked::new(KeyInfo::new(record, status, None, now), Effect::Changed))
            }
            Effect::Unchanged => {
                // Somebody else was quicker: say who.
                let (record, status) = access.key(id, KeyAction::Revoke).await?;
                Ok(Revoked::new(KeyInfo::new(record, status, None, now), Effect::Unchanged))
            }
        }
    }
}

impl Access<'_> {
    /// Reads a key, lets `edit` change what may be changed, and writes that, unless there is nothing to write. If the
    /// key was changed between the two, does it all once more: what still makes sense and is still allowed is done.
    async fn update(
        &self,
        id: &KeyId,
        action: KeyAction,
        edit: impl Fn(&mut KeyRecord, ClockReading) -> Result<Option<Edited>, ManageError>,
    ) -> Result<KeyInfo, ManageError> {
        match self.update_once(id, action, &edit).await {
            Err(error) if error.kind() == ManageErrorKind::Conflict => self.update_once(id, action, &edit).await,
            done => done,
        }
    }

    async fn update_once(
        &self,
        id: &KeyId,
        action: KeyAction,
        edit: &impl Fn(&mut KeyRecord, ClockReading) -> Result<Option<Edited>, ManageError>,
    ) -> Result<KeyInfo, ManageError> {
        let (mut record, status) = self.key(id, action).await?;
        if record.revoked.is_some() {
            return Err(ManageError::new(ManageErrorKind::KeyRevoked));
        }
        let now = self.parts.clock.reading();
        let Some(Edited { event, before, after }) = edit(&mut record, now)? else {
            return Ok(KeyInfo::new(record, status, None, now));
        };
        let write = WantedWrite {
            write: self.update_to(&record),
            action: event,
            subject: Subject::Key(*id, record.owner.clone()),
            before,
            after,
        };
        self.apply_one(Wanted::one(action, now.now(), write)).await?;
        record.version += 1;
        Ok(KeyInfo::new(record, status, None, now))
    }

    /// Writes what may change about a key as it is in this record, under the record's version.
    pub(in crate::manage) fn update_to(&self, record: &KeyRecord) -> Write {
        let row = KeyRow::from(record);
        Write::Update(KeyUpdate {
            organization: self.parts.organization.clone(),
            id: record.id,
            expected_version: record.version,
            name: row.name,
            labels: row.labels,
            scopes: row.scopes,
            expires_at: row.expires_at,
        })
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
