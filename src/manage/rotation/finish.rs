use super::{
    EndRotation, EndedRotation,
    pair::{MOST_SUCCESSORS, Pair, PairedKey, RotationStage},
};
use crate::{
    audit::{Action, Subject},
    key::KeyId,
    manage::{
        access::{Access, GuardRefusal, Wanted, WantedWrite},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        invalid::InvalidInput,
        manager::KeyManager,
        policy::{KeyAction, Target},
        verdict::{QUIET, RotationVerdict, verdict},
    },
    record::{KeyRecord, Revocation},
    store::{Effect, Guard},
    time::{ClockReading, Timestamp},
};

/// The trail's reason when a key would let another one live longer.
const LONGER: &str = "expiry_later";

/// The expiry to which a key is restored.
struct Restored(Option<Timestamp>);

impl KeyManager {
    /// Ends the old key of a rotation permanently, from the next request, if the new one is live at that moment and the
    /// counts allow it. If the new key was never used, or the old one was used within the last hour, the call is
    /// refused with that [verdict](RotationVerdict). Counts are written at an
    /// [interval](crate::ApiKeysBuilder::usage_interval), so the latest calls may be missing. Counts do not matter if
    /// the old key has expired. A rotation that is finished stays as it is, and the answer says so.
    ///
    /// The new key's id names the rotation; the old one's does if that is not itself the new key of another rotation.
    /// The actor must be allowed to rotate the old key and to see the new one.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, invalid (two rotations), no rotation, rotation over (it was aborted, or
    /// the new key ended), version differs, not safe to finish, key paused (the new one), owner suspended or closed
    /// (the team that the new key was made for), corrupt record, store unavailable, outcome unknown. The call may be
    /// repeated after the last two.
    pub async fn finish_rotation(
        &self,
        rotation: impl Into<EndRotation>,
        actor: &Actor,
    ) -> Result<EndedRotation, ManageError> {
        let rotation = rotation.into();
        self.acting(actor, &[KeyAction::Rotate]).await?.finish(rotation, UsageCheck::Wanted).await
    }

    /// As [`finish_rotation`](Self::finish_rotation), whatever the counts say: callers that have only the old key are
    /// refused from the next request. For an old key that is in the wrong hands, and for people who know more than the
    /// counts show.
    ///
    /// # Errors
    /// As for [`finish_rotation`](Self::finish_rotation), except not safe to finish and key paused.
    pub async fn finish_rotation_anyway(
        &self,
        rotation: impl Into<EndRotation>,
        actor: &Actor,
    ) -> Result<EndedRotation, ManageError> {
        let rotation = rotation.into();
        self.acting(actor, &[KeyAction::Rotate]).await?.finish(rotation, UsageCheck::Waived).await
    }

    /// Gives a rotation up. The new key ends permanently, from the next request, if the old one is live at that moment,
    /// and the old key loses the end of grace that the rotation gave it. It loses that end also if the new key was
    /// revoked separately, which leaves the end of grace in effect. A rotation that is aborted stays as it is, and the
    /// answer says so.
    ///
    /// The rotation is named as for [`finish_rotation`](Self::finish_rotation). To repeat the call, name it by its new
    /// key: the old one's id names the next rotation once there is one. The actor must be allowed to rotate the old key
    /// and to revoke the new one.
    ///
    /// # Security
    /// A key that acts can only undo the end of grace of a rotation that it began itself: otherwise a suspect key could
    /// undo its own end.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, invalid (two rotations; an end of grace that this key may not undo), no
    /// rotation, rotation over (it was finished, or one of the keys expired), version differs, conflict, corrupt
    /// record, store unavailable, outcome unknown. The call may be repeated after the last two.
    pub async fn abort_rotation(
        &self,
        rotation: impl Into<EndRotation>,
        actor: &Actor,
    ) -> Result<EndedRotation, ManageError> {
        let rotation = rotation.into();
        let access = self.acting(actor, &[KeyAction::Rotate]).await?;
        match access.abort_once(rotation).await {
            // The old key was changed between the read and the write.
            Err(error) if error.kind() == ManageErrorKind::Conflict => access.abort_once(rotation).await,
            aborted => aborted,
        }
    }
}

/// Whether the counts may prevent the end of a rotation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UsageCheck {
    Wanted,
    Waived,
}

impl Access<'_> {
    async fn finish(&self, rotation: EndRotation, check: UsageCheck) -> Result<EndedRotation, ManageError> {
        let mut pair = self.pair(&rotation.id, KeyAction::Rotate).await?;
        let at = pair.sure_of(self.parts.clock.reading())?;
        match pair.stage(at) {
            RotationStage::Aborted | RotationStage::Over => {
                return Err(ManageError::new(ManageErrorKind::RotationOver));
            }
            RotationStage::Finished => return Ok(pair.ended(Effect::Unchanged, at)),
            RotationStage::UnderWay => {}
        }
        let version = self.same_version(pair.named(&rotation.id), rotation.expected_version)?;
        if check == UsageCheck::Wanted && pair.old.record.is_live(at) {
            if pair.new.record.paused.is_some() {
                return Err(ManageError::new(ManageErrorKind::KeyPaused));
            }
            self.stands_in_the_way(&pair, at).await?;
        }
        let (old, new) = (&pair.old.record, &pair.new.record);
        let text = Some(new.id.to_string());
        let write = self.revocation(old.id, &old.owner, Action::KEY_ROTATION_FINISHED, text);
        let mut guards = vec![(Guard::Live(new.id), GuardRefusal::Kind(ManageErrorKind::RotationOver))];
        if new.owner != old.owner {
            // Otherwise no key would be left that is accepted.
            guards.push(self.owner_is_active(&new.owner));
        }
        guards.extend(version);
        match self.apply_one(Wanted { guards, ..Wanted::one(KeyAction::Rotate, at, write) }).await? {
            Effect::Changed => {
                pair.old.revoke(at, &self.actor);
                Ok(pair.ended(Effect::Changed, at))
            }
            // Another call was quicker: answer with its result.
            Effect::Unchanged => Ok(self.again(pair).await?.ended(Effect::Unchanged, at)),
        }
    }

    /// Refuses to end an old key if its new key was never used, or if the old one is still in use.
    async fn stands_in_the_way(&self, pair: &Pair, at: Timestamp) -> Result<(), ManageError> {
        let [on_old, on_new] = self.usage_of_both(pair).await?;
        match verdict(&on_old, &on_new, pair.new.record.created_at, at, QUIET) {
            RotationVerdict::QuietSince(_) | RotationVerdict::SafeToFinish => Ok(()),
            verdict @ (RotationVerdict::NewKeyPaused
            | RotationVerdict::NotStarted
            | RotationVerdict::StillUsedBy(_)) => Err(ManageError::new(ManageErrorKind::NotSafeToFinish(verdict))),
        }
    }

    async fn abort_once(&self, rotation: EndRotation) -> Result<EndedRotation, ManageError> {
        let mut pair = self.pair(&rotation.id, KeyAction::Rotate).await?;
        self.require(KeyAction::Revoke, &Target::key(&pair.new.record)).await?;
        let at = pair.sure_of(self.parts.clock.reading())?;
        match pair.stage(at) {
            RotationStage::Aborted => {
                let Some(Restored(end)) = self.left_behind(&pair, at).await? else {
                    return Ok(pair.ended(Effect::Unchanged, at));
                };
                self.permit_longer(&pair)?;
                let mut guards = self.same_version(pair.named(&rotation.id), rotation.expected_version)?;
                let writes = vec![self.restoration(&mut pair.old, end)];
                guards.push((Guard::Live(pair.old.record.id), GuardRefusal::Kind(ManageErrorKind::RotationOver)));
                self.apply(Wanted { guards, ..Wanted::all(KeyAction::Rotate, at, writes) }).await?;
                return Ok(pair.ended(Effect::Changed, at));
            }
            RotationStage::Finished | RotationStage::Over => {
                return Err(ManageError::new(ManageErrorKind::RotationOver));
            }
            RotationStage::UnderWay => {}
        }
        let mut guards = self.same_version(pair.named(&rotation.id), rotation.expected_version)?;
        let (old, new) = (&pair.old.record, &pair.new.record);
        let text = Some(old.id.to_string());
        let mut writes = vec![self.revocation(new.id, &new.owner, Action::KEY_ROTATION_ABORTED, text)];
        if let Some(Restored(end)) = pair.expiry_before() {
            self.permit_longer(&pair)?;
            writes.push(self.restoration(&mut pair.old, end));
        }
        guards.push((Guard::Live(pair.old.record.id), GuardRefusal::Kind(ManageErrorKind::RotationOver)));
        let effects = self.apply(Wanted { guards, ..Wanted::all(KeyAction::Rotate, at, writes) }).await?;
        if effects.first() == Some(&Effect::Changed) {
            pair.new.revoke(at, &self.actor);
            return Ok(pair.ended(Effect::Changed, at));
        }
        Ok(self.again(pair).await?.ended(Effect::Unchanged, at))
    }

    /// A key undoes an end of grace that it gave itself, and no other: otherwise it could undo an end that was set
    /// against it.
    fn permit_longer(&self, Pair { old, new }: &Pair) -> Result<(), ManageError> {
        if self.actor.key_id().is_none() || self.actor.key_id() == new.record.created_via_key.as_ref() {
            return Ok(());
        }
        let subject = Subject::Key(old.record.id, old.record.owner.clone());
        self.note(Some(KeyAction::Rotate), LONGER, Some(subject), None);
        Err(ManageError::invalid(InvalidInput::ExpiryLaterByKey))
    }

    /// The expiry to restore if the new key was only revoked, which left the end of grace in effect.
    async fn left_behind(&self, pair: &Pair, at: Timestamp) -> Result<Option<Restored>, ManageError> {
        let Pair { old: PairedKey { record: old, .. }, new: PairedKey { record: new, .. } } = pair;
        let Some(restored) = pair.expiry_before().filter(|_| old.is_live(at)) else { return Ok(None) };
        if self.live_successor(&old.id).await?.is_some() {
            return Ok(None);
        }
        // A later rotation may have set the same end of grace; this one must not undo that.
        let grace = new.rotated.grace_ends_at.map(Timestamp::as_millis);
        let later = self.last_successors(&old.id, MOST_SUCCESSORS).await?;
        let mut later = later.iter().take_while(|later| later.peek().key.id != new.id.as_str());
        Ok(if later.any(|later| later.peek().key.grace_ends_at == grace) { None } else { Some(restored) })
    }

    fn restoration(&self, old: &mut PairedKey, end: Option<Timestamp>) -> WantedWrite {
        let text = |end: Option<Timestamp>| end.map(|end| end.to_string());
        let before = std::mem::replace(&mut old.record.expires_at, end);
        let write = self.update_to(&old.record);
        old.record.version += 1;
        WantedWrite {
            write,
            action: Action::KEY_EXPIRY_SET,
            subject: Subject::Key(old.record.id, old.record.owner.clone()),
            before: text(before),
            after: text(end),
        }
    }

    /// Both keys, read again.
    async fn again(&self, pair: Pair) -> Result<Pair, ManageError> {
        let old = PairedKey::new(self.key(&pair.old.record.id, KeyAction::See).await?);
        let new = PairedKey::new(self.key(&pair.new.record.id, KeyAction::See).await?);
        Ok(Pair { old, new })
    }
}

impl PairedKey {
    fn revoke(&mut self, at: Timestamp, by: &Actor) {
        self.record.revoked = Some(Revocation { at, by: Some(by.id()) });
    }

    fn into_info(self, now: ClockReading) -> KeyInfo {
        KeyInfo::new(self.record, self.owner, None, now)
    }
}

impl Pair {
    /// The key of the pair that the request named.
    fn named(&self, id: &KeyId) -> &KeyRecord {
        if self.old.record.id == *id { &self.old.record } else { &self.new.record }
    }

    /// The expiry that the old key had before the rotation set an end of grace, if that end is still in effect.
    fn expiry_before(&self) -> Option<Restored> {
        let (end, rotated) = (self.old.record.expires_at, self.new.record.rotated);
        (end.is_some() && end == rotated.grace_ends_at).then_some(Restored(rotated.predecessor_expires_at))
    }

    fn ended(self, effect: Effect, at: Timestamp) -> EndedRotation {
        let now = ClockReading::certain(at);
        EndedRotation::new(self.old.into_info(now), self.new.into_info(now), effect)
    }
}
