use super::{KeyManager, key_request::key_request};
use crate::{
    audit::{Action, Subject},
    key::KeyId,
    manage::{
        access::{Access, GuardRefusal, Wanted, WantedWrite},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        info::{KeyInfo, PauseChanged},
        policy::KeyAction,
    },
    owner::Owner,
    record::{ActorId, KeyRecord, Pause},
    store::{Effect, Guard, Write},
    time::Timestamp,
};

key_request! {
    /// A key to pause, with a reason and an expected version. A key id converts into one.
    ///
    /// ```
    /// use tower_api_keys::{key::KeyId, manage::PauseKey};
    ///
    /// let id = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
    /// let pause = PauseKey::of(id).because("who uses this?").expecting(3);
    /// # let _ = pause;
    /// # Ok::<(), tower_api_keys::key::InvalidKeyId>(())
    /// ```
    PauseKey, "nothing is paused before `KeyManager::pause`"
}

key_request! {
    /// A key to resume, with a reason and an expected version. A key id converts into one.
    ///
    /// ```
    /// use tower_api_keys::{key::KeyId, manage::ResumeKey};
    ///
    /// let id = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
    /// let resume = ResumeKey::of(id).because("the nightly report").expecting(4);
    /// # let _ = resume;
    /// # Ok::<(), tower_api_keys::key::InvalidKeyId>(())
    /// ```
    ResumeKey, "nothing is resumed before `KeyManager::resume`"
}

impl KeyManager {
    /// Pauses a key: from the next request it is refused on every node, until it is [resumed](Self::resume). For a key
    /// that may no longer be needed, or that may have leaked. Everything else stays: its text, its scopes, and its end,
    /// which also comes while it is paused. The right to revoke includes the right to pause. A paused key stays as it
    /// is, whatever the request says, and the answer says so. One exception: if a person paused their own key and
    /// another actor pauses it, the new pause replaces the person's, who then cannot end it. The trail has the end of
    /// the one and the start of the other.
    ///
    /// A paused key can be renamed, narrowed and revoked, and counts as live; no rotation of it can begin. Either key
    /// of a rotation that is under way can be paused. Such a rotation does not finish by itself in favour of a paused
    /// key, and one that is aborted in favour of a paused key leaves that key paused.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let id = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
    /// use tower_api_keys::manage::{KeyState, PauseKey};
    ///
    /// let paused = manager.pause(PauseKey::of(id).because("does anybody use this?"), &admin).await?;
    /// assert_eq!(paused.info().state, KeyState::KeyPaused);
    ///
    /// let resumed = manager.resume(&id, &admin).await?;
    /// assert_eq!(resumed.info().state, KeyState::Live);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, key revoked, version differs, conflict (it was resumed and paused at the
    /// same moment), corrupt record, store unavailable, outcome unknown. The call may be repeated after the last three:
    /// pausing twice does no harm.
    pub async fn pause(&self, request: impl Into<PauseKey>, actor: &Actor) -> Result<PauseChanged, ManageError> {
        let request = request.into();
        self.acting(actor, &[KeyAction::Pause]).await?.pause(request).await
    }

    /// Ends the pause of a key: from the next request it is accepted again, unless it expired meanwhile, or its owner
    /// is suspended or closed. A key that is not paused stays as it is, and the answer says so. A revoked key stays
    /// revoked.
    ///
    /// Admins of the team or the organization may do this, and people with their personal key if they paused it
    /// themselves: only an admin restarts what an admin stopped. No key resumes a key.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, key revoked, version differs, conflict (it was resumed and paused again
    /// at the same moment), corrupt record, store unavailable, outcome unknown. The call may be repeated after the last
    /// three.
    pub async fn resume(&self, request: impl Into<ResumeKey>, actor: &Actor) -> Result<PauseChanged, ManageError> {
        let request = request.into();
        self.acting(actor, &[KeyAction::Resume]).await?.resume(request).await
    }
}

impl Access<'_> {
    async fn pause(&self, request: PauseKey) -> Result<PauseChanged, ManageError> {
        let PauseKey { id, because, expected_version } = request;
        let (mut record, status) = self.key(&id, KeyAction::Pause).await?;
        let now = self.parts.clock.reading();
        require_unrevoked(&record)?;
        if self.is_stopped_by_pause(&record) {
            return Ok(PauseChanged::new(KeyInfo::new(record, status, None, now), Effect::Unchanged));
        }
        let guards = self.same_version(&record, expected_version)?;
        match self.pause_record(&mut record, because, guards, now.now()).await? {
            Effect::Changed => Ok(PauseChanged::new(KeyInfo::new(record, status, None, now), Effect::Changed)),
            // Another call was quicker: answer with its pause.
            Effect::Unchanged => self.found_so(&id, KeyAction::Pause).await,
        }
    }

    /// Whether the key of a record is paused, and this actor need not pause it. A pause by people of their own key is
    /// replaced when another actor pauses it, so that they cannot end the other pause.
    pub(in crate::manage) fn is_stopped_by_pause(&self, record: &KeyRecord) -> bool {
        let Some(pause) = &record.paused else { return false };
        let is_own = matches!((&pause.by, &record.owner), (Some(ActorId::User(by)), Owner::User(owner)) if by == owner);
        !is_own || pause.by == Some(self.actor.id())
    }

    /// Pauses the key and updates the record, unless another call was quicker. A pause that it already has ends.
    pub(in crate::manage) async fn pause_record(
        &self,
        record: &mut KeyRecord,
        because: Option<String>,
        guards: Vec<(Guard, GuardRefusal)>,
        at: Timestamp,
    ) -> Result<Effect, ManageError> {
        let (organization, by) = (self.parts.organization.clone(), self.actor.id());
        let pause = WantedWrite {
            write: Write::Pause { organization, id: record.id, by: by.to_string() },
            action: Action::KEY_PAUSED,
            subject: Subject::Key(record.id, record.owner.clone()),
            before: None,
            after: because,
        };
        let ends = record.paused.as_ref().map(|pause| self.end_of(record, pause, None));
        let writes: Vec<_> = ends.into_iter().chain([pause]).collect();
        let effects = self.apply(Wanted { guards, ..Wanted::all(KeyAction::Pause, at, writes) }).await?;
        let effect = effects.last().copied().unwrap_or(Effect::Unchanged);
        if effect == Effect::Changed {
            record.paused = Some(Pause { at, by: Some(by) });
            // Each write that changed something made a new version.
            record.version += effects.iter().map(|effect| i64::from(*effect == Effect::Changed)).sum::<i64>();
        }
        Ok(effect)
    }

    /// Ends the pause that was read, and no other.
    fn end_of(&self, record: &KeyRecord, pause: &Pause, because: Option<String>) -> WantedWrite {
        WantedWrite {
            write: Write::Resume {
                organization: self.parts.organization.clone(),
                id: record.id,
                paused_at: pause.at.as_millis(),
                paused_by: pause.by.as_ref().map(ToString::to_string),
            },
            action: Action::KEY_RESUMED,
            subject: Subject::Key(record.id, record.owner.clone()),
            before: None,
            after: because,
        }
    }

    async fn resume(&self, request: ResumeKey) -> Result<PauseChanged, ManageError> {
        let ResumeKey { id, because, expected_version } = request;
        let (mut record, status) = self.key(&id, KeyAction::Resume).await?;
        let now = self.parts.clock.reading();
        require_unrevoked(&record)?;
        let Some(pause) = record.paused.take() else {
            return Ok(PauseChanged::new(KeyInfo::new(record, status, None, now), Effect::Unchanged));
        };
        let guards = self.same_version(&record, expected_version)?;
        let write = self.end_of(&record, &pause, because);
        match self.apply_one(Wanted { guards, ..Wanted::one(KeyAction::Resume, now.now(), write) }).await? {
            Effect::Changed => {
                record.version += 1;
                Ok(PauseChanged::new(KeyInfo::new(record, status, None, now), Effect::Changed))
            }
            // Another call was quicker.
            Effect::Unchanged => self.found_so(&id, KeyAction::Resume).await,
        }
    }

    async fn found_so(&self, id: &KeyId, action: KeyAction) -> Result<PauseChanged, ManageError> {
        let (record, status) = self.key(id, action).await?;
        Ok(PauseChanged::new(KeyInfo::new(record, status, None, self.parts.clock.reading()), Effect::Unchanged))
    }
}

/// A revoked key is neither paused nor resumed.
fn require_unrevoked(record: &KeyRecord) -> Result<(), ManageError> {
    if record.revoked.is_some() { Err(ManageError::new(ManageErrorKind::KeyRevoked)) } else { Ok(()) }
}
