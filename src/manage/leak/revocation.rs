use std::{error::Error, fmt};

use super::said;
use crate::{
    json::json_form,
    key::KeyId,
    manage::{
        error::{ManageError, ManageErrorKind},
        problem::Problem,
        reason::cleaned,
    },
    owner::Owner,
    record::{ActorId, KeyRow},
    sentence::{Sentence, joined},
    time::Timestamp,
};

/// Which keys to revoke at once. Each constructor names a filter, so there is none that matches everything. What is
/// added narrows it: a key must meet all conditions.
///
/// ```
/// use tower_api_keys::{TeamId, UserId, manage::RevokeMany, record::ActorId};
///
/// let what_bob_made_for_blue = RevokeMany::of(TeamId::new("blue")?)
///     .and_created_by(ActorId::User(UserId::new("bob")?))
///     .because("bob's laptop was stolen");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is revoked before `KeyManager::revoke_many`"]
pub struct RevokeMany {
    pub(in crate::manage) which: Which,
    pub(in crate::manage) owner: Option<Owner>,
    pub(in crate::manage) creator: Option<ActorId>,
    pub(in crate::manage) from: Option<Timestamp>,
    pub(in crate::manage) until: Option<Timestamp>,
    pub(in crate::manage) because: Option<String>,
    pub(in crate::manage) dry_run: bool,
}

/// Where to look for the keys.
#[derive(Clone, Debug)]
pub(in crate::manage) enum Which {
    /// This key, those it made, those they made, and so on.
    KeyAndMade(KeyId),
    /// These keys.
    Keys(Vec<KeyId>),
    /// All keys that match.
    Matching,
}

impl RevokeMany {
    /// One key.
    pub fn key(id: KeyId) -> Self {
        Self::keys([id])
    }

    /// A key, the keys it made, and those they made in turn: for a leaked key with a
    /// [`ManagingScope`](crate::ManagingScope). What a key may do now says nothing about what it made, so each is asked
    /// about. A key is revoked before the keys it made are looked for, so it cannot make more meanwhile.
    pub const fn key_and_made(id: KeyId) -> Self {
        Self::begin(Which::KeyAndMade(id))
    }

    /// These keys. Those that do not exist, or that the actor may not see, are not counted.
    pub fn keys(ids: impl IntoIterator<Item = KeyId>) -> Self {
        Self::begin(Which::Keys(ids.into_iter().collect()))
    }

    /// The keys of a user or a team. An actor that may not revoke those is denied at once.
    ///
    /// More keys can be made while the owner is active: [suspend](crate::KeyManager::suspend) it first.
    pub fn of(owner: impl Into<Owner>) -> Self {
        Self::begin(Which::Matching).and_of(owner)
    }

    /// The keys that this user, key or system made, for any owner. What a user made with a key was made by that key:
    /// [`exposure`](crate::KeyManager::exposure) lists it.
    pub fn created_by(creator: ActorId) -> Self {
        Self::begin(Which::Matching).and_created_by(creator)
    }

    /// The keys made at or after `from` and before `until`.
    pub fn created_between(from: Timestamp, until: Timestamp) -> Self {
        Self::begin(Which::Matching).and_created_between(from, until)
    }

    const fn begin(which: Which) -> Self {
        Self { which, owner: None, creator: None, from: None, until: None, because: None, dry_run: false }
    }

    /// Only if they also belong to this user or team. Of two that are named, the last counts.
    pub fn and_of(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Only if this user, key or system also made them. Of two that are named, the last counts.
    pub fn and_created_by(mut self, creator: ActorId) -> Self {
        self.creator = Some(creator);
        self
    }

    /// Only if they were also made at or after `from` and before `until`. Of two windows, the last counts.
    pub const fn and_created_between(mut self, from: Timestamp, until: Timestamp) -> Self {
        self.from = Some(from);
        self.until = Some(until);
        self
    }

    /// Gives a reason. The audit trail keeps it for each key, as the value after the change. Control, text direction
    /// and other invisible characters are removed, keys and credentials of other services are
    /// [redacted](crate::key::redact), and anything after 200 characters is cut off. Default: no reason.
    pub fn because(mut self, reason: impl AsRef<str>) -> Self {
        self.because = cleaned(reason.as_ref());
        self
    }

    /// Changes nothing: the answer says what would have been revoked.
    pub const fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Whether a key meets the conditions.
    pub(in crate::manage) fn matches(&self, row: &KeyRow) -> bool {
        self.owner.as_ref().is_none_or(|owner| row.kind == owner.kind().as_str() && row.owner == owner.id())
            && self.creator.as_ref().is_none_or(|creator| row.created_by == creator.to_string())
            && self.from.is_none_or(|from| row.created_at >= from.as_millis())
            && self.until.is_none_or(|until| row.created_at < until.as_millis())
    }
}

/// The result for the keys that matched, as far as the actor may see them. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, UserId, manage::RevokeMany};
///
/// let nobody = RevokeMany::of(UserId::new("nobody")?);
/// let revoked = manager.revoke_many(nobody, &Actor::system("leak response")?).await?;
/// assert_eq!(revoked.matched, 0);
/// assert_eq!(revoked.to_string(), "No key that you have access to matches, so nothing was revoked.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevokedMany {
    /// Keys that match: the sum of the four counts that follow, unless the call was
    /// [stopped](crate::manage::RevokeManyError).
    pub matched: u64,
    /// Revoked by this call, each with an event; in a dry run, those that it would have revoked.
    pub revoked: u64,
    /// Already revoked or expired, before or by a simultaneous call: left as they were, without an event.
    pub already_dead: u64,
    /// Live, but the actor may see and not revoke them.
    pub denied: u64,
    /// Live at the last look: made faster than they were revoked, or made by the acting key before it revoked itself.
    /// Repeat the call.
    pub left: u64,
    /// Keys that match, but have stored records that cannot be read: not revoked. Requests with these keys get 503.
    pub unreadable: u64,
    /// How often all keys were looked through, until no match was left.
    pub passes: u32,
    /// Whether this was a dry run.
    pub dry_run: bool,
}

impl RevokedMany {
    /// Whether no live key is left that matches and that the actor may revoke.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.left == 0 && !self.dry_run
    }
}

impl RevokedMany {
    /// The result as sentences for people.
    #[must_use]
    pub fn sentences(&self) -> Vec<Sentence> {
        if self.matched == 0 && self.unreadable == 0 {
            return vec![said::nothing_revoked()];
        }
        let revoked = if self.dry_run { said::would_be_revoked } else { said::revoked };
        let mut all = vec![revoked(self.revoked, self.matched)];
        let of = |count: u64, say: fn(u64) -> Sentence| (count > 0).then(|| say(count));
        all.extend(of(self.already_dead, said::dead_already));
        all.extend(of(self.denied, said::not_to_be_revoked));
        all.extend(of(self.left, said::still_live));
        all.extend(of(self.unreadable, said::keys_unreadable));
        all
    }
}

impl fmt::Display for RevokedMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.sentences()))
    }
}

json_form! {
    RevokedMany, |many| RevokedMany { matched, revoked, already_dead, denied, left, unreadable, passes, dry_run } => {
        matched: u64 = *matched,
        revoked: u64 = *revoked,
        already_dead: u64 = *already_dead,
        denied: u64 = *denied,
        left: u64 = *left,
        unreadable: u64 = *unreadable,
        passes: u32 = *passes,
        dry_run: bool = *dry_run,
        is_complete: bool = many.is_complete(),
        sentences: Vec<Sentence> = many.sentences(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_a_sentence() {
        let report = RevokedMany { matched: 5, revoked: 2, already_dead: 1, denied: 1, left: 1, ..Default::default() };
        let expected = "2 of 5 keys revoked. 1 was already revoked or expired. You are not allowed to revoke 1 of them: ask an admin of the organization. 1 still works: try again.";
        assert_eq!(report.to_string(), expected);
        assert!(!report.is_complete());
        let look = RevokedMany { matched: 2, revoked: 2, dry_run: true, ..Default::default() };
        assert_eq!(look.to_string(), "2 of 2 keys would be revoked.");
    }
}

/// Why not all matching keys were revoked, and how far the call got. Repeating the call continues: revoked keys stay
/// revoked. It serializes as `{"problem": …, "so_far": …, "sentence": …}`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, UserId, manage::{ManageErrorKind, Rights, RevokeMany}};
///
/// let alice = Actor::user(UserId::new("alice")?, Rights::none());
/// let error = manager.revoke_many(RevokeMany::of(UserId::new("bob")?), &alice).await.unwrap_err();
/// assert_eq!(error.kind(), ManageErrorKind::NotFound);
/// assert_eq!(error.so_far().revoked, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RevokeManyError {
    error: ManageError,
    so_far: RevokedMany,
}

impl RevokeManyError {
    pub(in crate::manage) const fn new(error: ManageError, so_far: RevokedMany) -> Self {
        Self { error, so_far }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ManageErrorKind {
        self.error.kind()
    }

    /// What was done before that. If the [outcome](ManageErrorKind::OutcomeUnknown) of a change is unknown, up to 50
    /// more keys may have been revoked.
    #[must_use]
    pub const fn so_far(&self) -> &RevokedMany {
        &self.so_far
    }

    /// The error alone, for an answer that does not say how far the call got.
    #[must_use]
    pub fn into_error(self) -> ManageError {
        self.error
    }
}

impl fmt::Display for RevokeManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.so_far.revoked {
            0 => fmt::Display::fmt(&self.error, f),
            revoked => write!(f, "{}: {}", said::stopped_after(revoked).as_error(), self.error),
        }
    }
}

impl Error for RevokeManyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

json_form! {
    RevokeManyError<'a>, |stopped| RevokeManyError { error, so_far } => {
        problem: Problem = Problem::from(error),
        so_far: &'a RevokedMany = so_far,
        /// Says how many keys were revoked before, if any were.
        sentence: Option<Sentence> = match stopped.so_far.revoked {
            0 => None,
            revoked => Some(said::stopped_after(revoked)),
        },
    }
}
