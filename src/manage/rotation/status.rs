use std::time::Duration;

use serde::Serialize;

use super::pair::{Ending, Pair, PairedKey, RotationStage};
use crate::{
    key::KeyId,
    manage::{
        actor::Actor,
        counted::CountedUntil,
        error::ManageError,
        info::KeyInfo,
        manager::KeyManager,
        names::Names,
        policy::KeyAction,
        verdict::{QUIET, RotationVerdict, still_on_old, verdict},
    },
    record::ActorId,
    sentence::Sentence,
    store::Effect,
    time::{ClockReading, Timestamp},
    usage::{UsageCount, UsageDetail},
};

/// The progress of a rotation, with the evidence, or the state of one that has ended. It serializes.
///
/// Each node counts usage and writes it at an [interval](crate::ApiKeysBuilder::usage_interval): calls after
/// [`counted`](Self::counted) may be missing here.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let old = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
/// use tower_api_keys::manage::{RotateKey, RotationStage, RotationVerdict};
///
/// let new = manager.begin_rotation(RotateKey::of(old), &admin).await?;
/// let status = manager.rotation(&new.info().id, &admin).await?;
/// assert_eq!((status.stage, status.verdict), (RotationStage::UnderWay, RotationVerdict::NotStarted));
/// for source in &status.still_on_old {
///     println!("{}: {} times, last at {}", source.source, source.count, source.last_at);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Rotation {
    /// The key that is replaced.
    pub old: KeyInfo,
    /// The key that replaces it.
    pub new: KeyInfo,
    /// When the new key was made.
    pub begun_at: Timestamp,
    /// The time of this status.
    pub asked_at: Timestamp,
    /// Whether it is under way, and if not, how it ended.
    pub stage: RotationStage,
    /// The stage as a sentence.
    pub stage_sentence: Sentence,
    /// When it ended. `None` while it is under way.
    pub ended_at: Option<Timestamp>,
    /// The actor that ended it: by finishing or aborting it, or by revoking one or both of the keys. `None` while it is
    /// under way, if the new key expired, and if plain SQL ended it.
    pub ended_by: Option<ActorId>,
    /// The first moment at which the old key is refused if the rotation is not finished before.
    pub ends_at: Option<Timestamp>,
    /// The accepted requests with the new key, if any.
    pub new_key_seen: Option<LastUse>,
    /// The sources of the old key that have not shown that they are done with it: those that called with it within the
    /// last hour, and those that were not seen with the new key since their last call with the old one. Counts and
    /// times are those of their calls with the old key, since it was made.
    pub still_on_old: Vec<UsageCount>,
    /// All calls with the old key, including refusals, such as those after an end of grace.
    pub on_old: UsageDetail,
    /// All calls with the new key. Check its refusals: `wrong_team` for a key that was rotated into a team means
    /// something that only the person could reach.
    pub on_new: UsageDetail,
    /// The verdict, if sources that were silent for an hour are assumed to be gone or to have moved; or that the new
    /// key is paused. For a rotation that has ended, what the verdict would be if it had not.
    pub verdict: RotationVerdict,
    /// Until when usage is counted.
    pub counted: CountedUntil,
    /// The names of the people and teams of both keys, and who has left.
    pub names: Names,
}

/// How often a key was accepted, and when.
///
/// ```
/// use tower_api_keys::manage::{Rotation, LastUse};
///
/// fn first_use(status: &Rotation) -> Option<tower_api_keys::Timestamp> {
///     status.new_key_seen.map(|seen: LastUse| seen.first_at)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LastUse {
    /// How often, at least once.
    pub successes: i64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

impl Rotation {
    fn new(pair: Pair, [on_old, on_new]: [UsageDetail; 2], reading: ClockReading, counted: CountedUntil) -> Self {
        let now = reading.now();
        let stage = pair.stage(now);
        let Ending { at: ended_at, by: ended_by } = pair.ending(now);
        let Pair { old, new } = pair;
        let (begun_at, ends_at) = (new.record.created_at, old.record.expires_at);
        let counted_verdict = verdict(&on_old, &on_new, begun_at, now, QUIET);
        Self {
            new_key_seen: LastUse::of(&on_new),
            still_on_old: still_on_old(&on_old, &on_new, now, QUIET),
            verdict: unless_paused(new.record.paused.is_some(), counted_verdict),
            old: described(old, &on_old, reading),
            new: described(new, &on_new, reading),
            begun_at,
            asked_at: now,
            stage,
            stage_sentence: stage.sentence(),
            ended_at,
            ended_by,
            ends_at,
            on_old,
            on_new,
            counted,
            names: Names::none(),
        }
    }

    /// The verdict if a source of the old key is assumed to be still there for this long after its last call with it.
    /// [`verdict`](Self::verdict) uses an hour.
    ///
    /// A time below the [interval](crate::ApiKeysBuilder::usage_interval) at which usage is written makes no sense:
    /// each node reports a call with that delay.
    #[must_use]
    pub fn verdict_with(&self, quiet: Duration) -> RotationVerdict {
        let counted = verdict(&self.on_old, &self.on_new, self.begun_at, self.asked_at, quiet);
        unless_paused(self.new.paused_at.is_some(), counted)
    }
}

/// The verdict from the counts, unless the new key is paused and so cannot be used.
const fn unless_paused(is_paused: bool, counted: RotationVerdict) -> RotationVerdict {
    if is_paused { RotationVerdict::NewKeyPaused } else { counted }
}

impl LastUse {
    fn of(usage: &UsageDetail) -> Option<Self> {
        Some(Self {
            successes: usage.successes().map(|count| count.count).fold(0, i64::saturating_add),
            first_at: usage.successes().map(|count| count.first_at).min()?,
            last_at: usage.successes().map(|count| count.last_at).max()?,
        })
    }
}

fn described(PairedKey { record, owner }: PairedKey, usage: &UsageDetail, now: ClockReading) -> KeyInfo {
    KeyInfo::new(record, owner, Some(usage.totals()), now)
}

/// A rotation that was finished or aborted, by this call or before it. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let old = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
/// use tower_api_keys::manage::{Effect, RotateKey};
///
/// let new = manager.begin_rotation(RotateKey::of(old), &admin).await?;
/// let finished = manager.finish_rotation_anyway(&new.info().id, &admin).await?;
/// assert_eq!(finished.effect, Effect::Changed);
/// assert!(finished.old.revoked_at.is_some() && finished.new.revoked_at.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EndedRotation {
    /// The key that was replaced, or was to be.
    pub old: KeyInfo,
    /// The key that replaces it, or was to.
    pub new: KeyInfo,
    /// Whether this call ended the rotation.
    pub effect: Effect,
}

impl EndedRotation {
    pub(in crate::manage) const fn new(old: KeyInfo, new: KeyInfo, effect: Effect) -> Self {
        Self { old, new, effect }
    }
}

impl KeyManager {
    /// The progress of a rotation, named by either of its keys: who still calls with the old one, whether the new one
    /// was seen, and what follows from that. If a key takes part in several rotations, this is the one under way or, if
    /// all have ended, the one that began last; [`stage`](Rotation::stage) says how it ended. The actor must be allowed
    /// to see the usage of both keys.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, no rotation (there never was one),
    /// corrupt record, store unavailable.
    pub async fn rotation(&self, id: &KeyId, actor: &Actor) -> Result<Rotation, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage, KeyAction::Rotate]).await?;
        let pair = access.pair_to_tell_of(id, KeyAction::SeeUsage).await?;
        let usage = access.usage_of_both(&pair).await?;
        let mut status = Rotation::new(pair, usage, access.parts.clock.reading(), access.counted);
        status.names = access
            .parts
            .names(|mentions| {
                mentions.key(&status.old);
                mentions.key(&status.new);
                status.ended_by.iter().for_each(|by| mentions.actor(by));
            })
            .await;
        Ok(status)
    }
}
