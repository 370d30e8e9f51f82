use crate::{
    key::KeyId,
    manage::{
        access::{Access, Row, Unseen},
        error::{ManageError, ManageErrorKind},
        invalid::InvalidInput,
        policy::{KeyAction, Target},
    },
    record::{ActorId, KeyRecord, KeyRow, OwnerStatus, Revocation},
    sentence::told_words,
    store::{KeyOrder, KeyQuery, Liveness},
    time::{ClockReading, Timestamp},
    usage::UsageDetail,
};

/// How many aborted or expired rotations of one key are looked at.
pub(super) const MOST_SUCCESSORS: u16 = 20;

/// A key with the status of its owner.
#[derive(Clone)]
pub(in crate::manage) struct PairedKey {
    pub(in crate::manage) record: KeyRecord,
    pub(in crate::manage) owner: OwnerStatus,
}

/// The two keys of a rotation.
pub(in crate::manage) struct Pair {
    pub(in crate::manage) old: PairedKey,
    pub(in crate::manage) new: PairedKey,
}

told_words! {
    /// The stage of a rotation, whichever call or event led to it.
    ///
    /// ```
    /// use tower_api_keys::manage::RotationStage;
    ///
    /// assert_eq!(RotationStage::UnderWay.as_str(), "under_way");
    /// ```
    #[non_exhaustive]
    pub enum RotationStage as "rotation_stage",
    /// The stage as a sentence.
    pub sentence {
        /// Neither is revoked. The old key may have expired.
        UnderWay = "under_way": "The rotation is under way: the old key is not revoked until the rotation is finished.",
        /// The old key was revoked while the new one was not.
        Finished = "finished": "The rotation is finished: the old key was revoked, and the new one kept.",
        /// The new key was revoked while the old one was not.
        Aborted = "aborted": "The rotation was aborted: the new key was revoked, and the old one kept.",
        /// Neither is revoked, but the new key expired: there may be another successor by now. Or both were revoked at
        /// once, as when all keys of an owner are revoked.
        Over = "over":
            "The rotation is over: the new key expired, or both keys were revoked together.",
    }
}

/// How a rotation ended.
#[derive(Default)]
pub(super) struct Ending {
    pub(super) at: Option<Timestamp>,
    pub(super) by: Option<ActorId>,
}

impl PairedKey {
    pub(in crate::manage) fn new((record, owner): (KeyRecord, OwnerStatus)) -> Self {
        Self { record, owner }
    }
}

impl Pair {
    /// The time, or an error if the clock is too uncertain to say whether one of the keys has expired.
    pub(in crate::manage) fn sure_of(&self, now: ClockReading) -> Result<Timestamp, ManageError> {
        for end in [self.old.record.expires_at, self.new.record.expires_at].into_iter().flatten() {
            now.has_passed(end)?;
        }
        Ok(now.now())
    }

    pub(in crate::manage) fn stage(&self, now: Timestamp) -> RotationStage {
        match (&self.old.record.revoked, &self.new.record.revoked) {
            (None, None) if self.new.record.is_expired(now) => RotationStage::Over,
            (None, None) => RotationStage::UnderWay,
            (Some(old), Some(new)) if old.at > new.at => RotationStage::Aborted,
            (Some(old), Some(new)) if old.at == new.at => RotationStage::Over,
            (None, Some(_)) => RotationStage::Aborted,
            (Some(_), _) => RotationStage::Finished,
        }
    }

    /// When it ended, and which actor ended it, as far as that is known.
    pub(super) fn ending(&self, now: Timestamp) -> Ending {
        let revoked = |Revocation { at, by }: &Revocation| Ending { at: Some(*at), by: by.clone() };
        let (old, new) = (&self.old.record, &self.new.record);
        match self.stage(now) {
            RotationStage::UnderWay => Ending::default(),
            RotationStage::Finished => old.revoked.as_ref().map(revoked).unwrap_or_default(),
            RotationStage::Aborted | RotationStage::Over => match &new.revoked {
                Some(revocation) => revoked(revocation),
                None => Ending { at: new.expires_at, by: None },
            },
        }
    }
}

impl Access<'_> {
    /// The rotation that a key names: the one of which it is the new key or, if there is none, the last of which it is
    /// the old one. The actor must be allowed this action on the old key, and to see the new one.
    ///
    /// The new key's id names one rotation permanently, so a repeated call to end it ends no other; if the key is in
    /// two rotations, that is an error. The old key's id names another rotation once one has begun.
    pub(in crate::manage) async fn pair(&self, id: &KeyId, on_old: KeyAction) -> Result<Pair, ManageError> {
        let key = PairedKey::new(self.key(id, KeyAction::See).await?);
        if let Some(predecessor) = key.record.replaces {
            if key.record.revoked.is_none() && self.live_successor(id).await?.is_some() {
                return Err(ManageError::invalid(InvalidInput::TwoRotations));
            }
            let old = PairedKey::new(self.key(&predecessor, on_old).await?);
            return Ok(Pair { old, new: key });
        }
        self.require(on_old, &Target::key(&key.record)).await?;
        let new = match self.live_successor(id).await? {
            Some(live) => live,
            None => self.last_successor(id).await?.ok_or_else(|| ManageError::new(ManageErrorKind::NoRotation))?,
        };
        let new = self.seen(&new, KeyAction::See).await?;
        Ok(Pair { old: key, new })
    }

    /// The rotation under way that a key takes part in; if there is none, the one that began last. The actor must be
    /// allowed this action on both keys.
    pub(in crate::manage) async fn pair_to_tell_of(&self, id: &KeyId, action: KeyAction) -> Result<Pair, ManageError> {
        let key = PairedKey::new(self.key(id, action).await?);
        // Checked first, because it was made when the key's own predecessor had ended.
        if key.record.revoked.is_none()
            && let Some(new) = self.live_successor(id).await?
        {
            return Ok(Pair { new: self.seen(&new, action).await?, old: key });
        }
        let old = match key.record.replaces {
            Some(predecessor) => self.row(&predecessor).await?,
            None => None,
        };
        let is_live = key.record.is_live(self.parts.clock.now());
        let is_under_way = old.as_ref().is_some_and(|old| is_live && old.peek().key.revoked_at.is_none());
        if !is_under_way && let Some(new) = self.last_successor(id).await? {
            return Ok(Pair { new: self.seen(&new, action).await?, old: key });
        }
        let old = old.ok_or_else(|| ManageError::new(ManageErrorKind::NoRotation))?;
        Ok(Pair { old: self.seen(&old, action).await?, new: key })
    }

    /// The usage of the old key, then of the new one.
    pub(super) async fn usage_of_both(&self, Pair { old, new }: &Pair) -> Result<[UsageDetail; 2], ManageError> {
        let ids = [old.record.id, new.record.id];
        let mut usage = self.usage_of(&ids).await?;
        Ok(ids.map(|id| usage.remove(&id).unwrap_or_default()))
    }

    /// The other key of a rotation, if the actor may do this action on it.
    async fn seen(&self, row: &Unseen<impl Row>, action: KeyAction) -> Result<PairedKey, ManageError> {
        Ok(PairedKey::new(self.open(row, action).await?))
    }

    pub(in crate::manage) async fn live_successor(&self, id: &KeyId) -> Result<Option<Unseen>, ManageError> {
        self.successor_that_lived(id, self.parts.clock.now()).await
    }

    /// The live successor of a key at this time.
    pub(in crate::manage) async fn successor_that_lived(
        &self,
        id: &KeyId,
        at: Timestamp,
    ) -> Result<Option<Unseen>, ManageError> {
        let query = KeyQuery { liveness: Some(Liveness::Live), limit: 1, ..self.successors_of(id) };
        Ok(self.page(&query, at).await?.0.pop())
    }

    /// The latest key that was made to replace this one.
    async fn last_successor(&self, id: &KeyId) -> Result<Option<Unseen>, ManageError> {
        Ok(self.last_successors(id, 1).await?.into_iter().next())
    }

    /// The keys that were made to replace this one, the latest first: at most this many.
    pub(in crate::manage) async fn last_successors(&self, id: &KeyId, most: u16) -> Result<Vec<Unseen>, ManageError> {
        let query = KeyQuery { order: KeyOrder::NewestFirst, limit: most, ..self.successors_of(id) };
        Ok(self.page(&query, self.parts.clock.now()).await?.0)
    }

    /// The expiry of a key without the ends of grace that remain from rotations whose new key was only revoked, or
    /// expired.
    pub(in crate::manage) async fn own_expiry(&self, key: &KeyRecord) -> Result<Option<Timestamp>, ManageError> {
        let mut end = key.expires_at.map(Timestamp::as_millis);
        if end.is_none() {
            // Ends of grace that remain would give it an end.
            return Ok(None);
        }
        for found in self.last_successors(&key.id, MOST_SUCCESSORS).await? {
            let KeyRow { grace_ends_at, predecessor_expires_at, .. } = found.peek().key;
            match grace_ends_at {
                None => {}
                Some(_) if grace_ends_at == end => end = predecessor_expires_at,
                // A different expiry was set since then.
                Some(_) => break,
            }
        }
        end.map(Timestamp::from_millis).transpose().map_err(ManageError::corrupt)
    }

    fn successors_of(&self, id: &KeyId) -> KeyQuery {
        KeyQuery { predecessor: Some(*id), ..KeyQuery::all(self.parts.organization.clone()) }
    }
}
