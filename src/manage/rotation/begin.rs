use super::request::{RotateKey, SuccessorExpiry};
use crate::{
    audit::{Action, Subject},
    hash::KeyHash,
    key::KeyId,
    manage::{
        access::{Access, Gift, GuardRefusal, Wanted, WantedWrite, is_wider},
        actor::Actor,
        denial::DenialReason,
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        invalid::InvalidInput,
        issued::IssuedKey,
        manager::{KeyManager, summary},
        policy::{KeyAction, Target},
    },
    networks::Networks,
    owner::Owner,
    record::{KeyName, KeyRecord, KeyRow, OwnerStatus, Reserved, Rotated, Warned},
    scope::Scopes,
    store::{FoundKey, Guard, IdempotentRequest, OwnerRef, Write},
    time::Timestamp,
};

/// The parts of a new key before the store has it.
#[derive(Clone)]
struct Made {
    id: KeyId,
    hash: KeyHash,
    idempotency: Option<IdempotentRequest>,
    /// A condition that fails, if the new owner was closed when the request was made.
    closed: Option<(Guard, GuardRefusal)>,
}

impl KeyManager {
    /// Begins to replace a key: makes a new one with what the old one has (see [`RotateKey::of`]), unless
    /// the request says otherwise. Both are accepted until the rotation is [finished](Self::finish_rotation) or
    /// [aborted](Self::abort_rotation); [`rotation`](Self::rotation) shows its progress. The id of the new key names
    /// the rotation.
    ///
    /// A key has one successor at a time, and a key whose own rotation is not finished has none: of two simultaneous
    /// calls, one succeeds.
    ///
    /// # Security
    /// A key that acts does not get the text of a key that may do more than itself, that lives longer, or that has a
    /// [`ManagingScope`](crate::ManagingScope), except that it may rotate itself. No key lets another one, or itself,
    /// live longer by a rotation. The new key gets more scopes than the old one only if the request names them and the
    /// actor may [issue](KeyAction::Issue) such a key. The successor is made from the old key as it is at the moment of
    /// commit: scopes that were removed meanwhile do not come back.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, invalid, key revoked, key expired, key paused, clock unsure, rotation
    /// under way, version differs, directory unavailable, owner suspended or closed, idempotency key used ([by the same
    /// request](ManageError::replayed)) or reused (by another), quota reached, conflict, corrupt record, actor busy,
    /// overloaded, starved, hash failed, randomness, store unavailable, outcome unknown. After the last, make the same
    /// request again under its [idempotency key](RotateKey::idempotency_key), or ask for the [rotation](Self::rotation)
    /// by the old key's id: the text of a key that was made is lost, so [abort](Self::abort_rotation) the rotation by
    /// that key's id, and begin again.
    pub async fn begin_rotation(&self, request: RotateKey, actor: &Actor) -> Result<IssuedKey, ManageError> {
        let access = self.acting(actor, &[KeyAction::Rotate]).await?;
        let idempotency = request.idempotency_key.as_deref().map(|key| access.idempotent(key, &request.asked()));
        let idempotency = idempotency.transpose()?;
        let (old, _) = access.key(&request.id, KeyAction::Rotate).await?;
        let owner = match access.may_begin(&request, &old).await {
            Ok(successor) => successor.owner,
            Err(error) => return Err(access.or_replayed(error, idempotency, (KeyAction::Rotate, &old.owner)).await),
        };
        // Checked before the cost of a hash. For a request that may be a repeat, the store decides.
        if idempotency.is_none() && access.live_successor(&old.id).await?.is_some() {
            return Err(ManageError::new(ManageErrorKind::RotationUnderWay));
        }

        let generated = access.parts.format.generate(owner.kind());
        let plaintext = generated.map_err(|error| ManageError::new(ManageErrorKind::Randomness).with_source(error))?;
        // The new owner, if it is not the old key's: the old key's own owner is guarded with the old key.
        let closed = if owner == old.owner { None } else { access.closed_when_asked(&owner).await? };
        let hash = access.hash(&plaintext).await?;
        let made = Made { id: plaintext.id(), hash, idempotency: idempotency.clone(), closed };
        let begun = match access.begin_once(&request, made.clone()).await {
            // The old key was changed or ended meanwhile: do what still makes sense and is still allowed.
            Err(error) if error.kind() == ManageErrorKind::Conflict => access.begin_once(&request, made).await,
            begun => begun,
        };
        let record = match begun {
            Ok(record) => record,
            Err(error) => return Err(access.or_replayed(error, idempotency, (KeyAction::Rotate, &old.owner)).await),
        };
        access.made(&plaintext, &record);
        // The owner was active at the moment of commit.
        let now = access.parts.clock.reading();
        Ok(IssuedKey::new(plaintext, KeyInfo::new(record, OwnerStatus::default(), None, now)))
    }
}

impl Access<'_> {
    async fn begin_once(&self, request: &RotateKey, made: Made) -> Result<KeyRecord, ManageError> {
        let (old, _) = self.key(&request.id, KeyAction::Rotate).await?;
        let Successor { owner, name, scopes, networks, expires_at, at } = self.may_begin(request, &old).await?;
        let grace_ends_at = request.old_key_ends_at.filter(|grace| old.expires_at.is_none_or(|end| *grace < end));
        let new = KeyRecord {
            organization: old.organization.clone(),
            id: made.id,
            owner,
            name,
            labels: request.labels.clone().unwrap_or_else(|| old.labels.clone()),
            hash: made.hash,
            scopes,
            networks,
            limits: old.limits.clone(),
            responsible: old.responsible.clone(),
            created_by: self.actor.id(),
            created_via_key: self.actor.key_id().copied(),
            created_at: at,
            expires_at,
            revoked: None,
            paused: None,
            replaces: Some(old.id),
            lineage: old.lineage,
            rotated: Rotated { predecessor_expires_at: old.expires_at, grace_ends_at },
            // The new key gets a warning about its end, however near: that end may have been overlooked in the
            // rotation.
            warned: Warned::default(),
            reserved: Reserved::default(),
            version: 1,
        };
        let mut guards = vec![
            (Guard::Live(old.id), GuardRefusal::Kind(ManageErrorKind::Conflict)),
            (Guard::NoLiveSuccessor(old.id), GuardRefusal::Kind(ManageErrorKind::RotationUnderWay)),
            self.owner_is_active(&new.owner),
        ];
        guards.extend(made.closed);
        guards.extend(self.same_version(&old, request.expected_version)?);
        let (quotas, given_to) = (self.parts.rules.quotas, self.owner_ref(&new.owner));
        // A successor with the same owner replaces a key: a rotation works even where there is no room for a new key.
        let room = quotas.live_keys(&given_to).filter(|_| new.owner != old.owner);
        let quotas = room.into_iter().chain(quotas.issues(&self.actor, &given_to, at)).collect();
        let writes = vec![insert(&new, &old), self.mark(old, &new)];
        let idempotency = made.idempotency;
        self.apply(Wanted { action: KeyAction::Rotate, at, writes, guards, quotas, idempotency }).await?;
        Ok(new)
    }

    /// What the new key will be, if the old one can be replaced and the actor may make such a key.
    async fn may_begin(&self, request: &RotateKey, old: &KeyRecord) -> Result<Successor, ManageError> {
        self.require_replaceable(old).await?;
        self.same_version(old, request.expected_version)?;
        self.successor(request, old).await
    }

    async fn require_replaceable(&self, old: &KeyRecord) -> Result<(), ManageError> {
        let now = self.parts.clock.reading();
        if old.revoked.is_some() {
            return Err(ManageError::new(ManageErrorKind::KeyRevoked));
        }
        if let Some(end) = old.expires_at
            && now.has_passed(end)?
        {
            return Err(ManageError::new(ManageErrorKind::KeyExpired));
        }
        // A rotation would be a way around the pause. A pause that comes later changes the version.
        if old.paused.is_some() {
            return Err(ManageError::new(ManageErrorKind::KeyPaused));
        }
        if let Some(predecessor) = &old.replaces
            && let Some(found) = self.row(predecessor).await?
            && !is_anothers_and_gone(found.peek(), &old.owner)
            // Checked before the change and not in it: a dead key stays dead.
            && found.peek().key.is_live(now.earliest())
        {
            return Err(ManageError::new(ManageErrorKind::RotationUnderWay));
        }
        // By an uncertain clock, a successor may be expired by one reading and live beside the next one by the other.
        if !now.is_certain()
            && let Some(new) = self.successor_that_lived(&old.id, now.earliest()).await?
            && let Some(end) = new.peek().key.expires_at.and_then(|end| Timestamp::from_millis(end).ok())
        {
            now.has_passed(end)?;
        }
        Ok(())
    }

    /// What the new key will be, if the actor may make such a key.
    async fn successor(&self, request: &RotateKey, old: &KeyRecord) -> Result<Successor, ManageError> {
        let now = self.parts.clock.reading();
        let at = now.now();
        let owner = request.into_team.clone().map_or_else(|| old.owner.clone(), Owner::Team);
        let name = request.name.as_ref().map(KeyName::new).transpose();
        let name = name.map_err(|error| ManageError::invalid(InvalidInput::Name).with_source(error))?;
        let scopes = match &request.scopes {
            Some(scopes) => self.parts.known_scopes(scopes)?,
            None if owner == old.owner => old.scopes.clone(),
            None => old.scopes.without_managing(),
        };
        self.require_addresses(request.networks.as_ref().and_then(Option::as_ref))?;
        let networks = request.networks.clone().unwrap_or_else(|| old.networks.clone());
        let is_wider = is_wider(networks.as_ref(), old.networks.as_ref());
        if is_wider && self.actor.key_id().is_some() {
            return Err(self.deny(KeyAction::Rotate, DenialReason::NetworksTooWide, &Target::key(old)));
        }
        let (lifetimes, kind_and_scopes) = (&self.parts.rules.lifetimes, (owner.kind(), &scopes));
        let (expires_at, is_too_late) = match request.expiry {
            // The rules for new keys apply, even if the old key does not follow them.
            SuccessorExpiry::AsBefore => {
                (lifetimes.end_of_successor(kind_and_scopes, self.own_expiry(old).await?, at), None)
            }
            SuccessorExpiry::At(asked) => match lifetimes.end(kind_and_scopes, asked, at) {
                Ok(end) => (end, None),
                Err(error) => (asked, Some(error)),
            },
        };
        // A successor with more than the old key needs the right to make such a key without a rotation.
        if owner != old.owner || is_wider || !scopes.is_within(&old.scopes) {
            let target = Target::NewKey { owner: &owner, scopes: &scopes, expires_at };
            if let Some(reason) = self.lacks_scope(&[KeyAction::Issue]) {
                return Err(self.deny(KeyAction::Issue, reason, &target));
            }
            self.require(KeyAction::Issue, &target).await?;
        }
        if let Some(error) = is_too_late {
            return Err(error);
        }
        for end in [expires_at, request.old_key_ends_at].into_iter().flatten() {
            if now.has_passed(end)? {
                return Err(ManageError::invalid(InvalidInput::ExpiryPast));
            }
        }
        if let Some(own) = self.actor.key_id() {
            if old.expires_at.is_some_and(|end| expires_at.is_none_or(|new| new > end)) {
                return Err(ManageError::invalid(InvalidInput::ExpiryLaterByKey));
            }
            // A key already has its own text. By rotating another key it gets the text of a successor, which may do
            // what the other may.
            if *own != old.id {
                let (networks, limits) = (networks.as_ref(), old.limits.as_deref());
                let gift = Gift { scopes: &old.scopes, expires_at, networks, limits };
                self.require_gift(KeyAction::Rotate, &Target::key(old), gift)?;
            }
        }
        let name = name.unwrap_or_else(|| old.name.clone());
        Ok(Successor { owner, name, scopes, networks, expires_at, at })
    }

    /// Marks the old key as having a successor, with the end of grace. The write checks the version that was read, so
    /// that the new key is made from the old key's current state.
    fn mark(&self, mut old: KeyRecord, new: &KeyRecord) -> WantedWrite {
        let (action, before, after) = match new.rotated.grace_ends_at {
            None => (Action::KEY_SUCCESSOR_MADE, None, Some(new.id.to_string())),
            Some(end) => {
                let before = old.expires_at.replace(end);
                (Action::KEY_EXPIRY_SET, before.map(|before| before.to_string()), Some(end.to_string()))
            }
        };
        let subject = Subject::Key(old.id, old.owner.clone());
        WantedWrite { write: self.update_to(&old), action, subject, before, after }
    }
}

/// Whether a key belongs to another owner, who is suspended or closed: such an owner cannot finish its rotation.
fn is_anothers_and_gone(found: &FoundKey, owner: &Owner) -> bool {
    let is_anothers = OwnerRef::of(&found.key).is_none_or(|of| of.owner != *owner);
    is_anothers && found.status().is_ok_and(|status| !status.is_active())
}

/// What is decided about the new key before it is made.
struct Successor {
    owner: Owner,
    name: KeyName,
    scopes: Scopes,
    networks: Option<Networks>,
    expires_at: Option<Timestamp>,
    at: Timestamp,
}

fn insert(new: &KeyRecord, old: &KeyRecord) -> WantedWrite {
    WantedWrite {
        write: Write::Insert(KeyRow::from(new)),
        action: Action::KEY_ROTATION_BEGUN,
        subject: Subject::Key(new.id, new.owner.clone()),
        before: Some(old.id.to_string()),
        after: Some(summary(new)),
    }
}
