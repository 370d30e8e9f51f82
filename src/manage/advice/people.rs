use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
    fmt,
};

use serde::Serialize;

use super::{evidence::Evidence, said, signals::shared_because};
use crate::{
    json::json_form,
    key::KeyId,
    manage::{
        access::{Shown, Unseen},
        actor::Actor,
        counted::CountedUntil,
        error::ManageError,
        info::KeyInfo,
        manager::KeyManager,
        policy::{KeyAction, Target},
    },
    owner::{Owner, UserId},
    record::{ActorId, OwnerStatus},
    sentence::{Sentence, joined},
    store::{KeyQuery, ListedKey, Liveness},
    time::Timestamp,
    usage::{UsageCount, UsageDetail},
};

/// A key whose last use is no older than this counts as in use where sentences say so: 30 days.
const IN_USE_MS: i64 = 30 * 24 * 3_600_000;

/// What stops if a person leaves, and what they made that does not.
///
/// Team keys that the asking actor may not see are neither in it nor counted: a number would tell that there are some.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, UserId, manage::Rights};
///
/// let admin = Actor::user(UserId::new("olga")?, Rights::none().org_admin());
/// let radius = manager.blast_radius(&UserId::new("alice")?, &admin).await?;
/// for stops in &radius.stops {
///     println!("{} {}", stops.key.name, if stops.looks_shared() { "others depend on it" } else { "" });
/// }
/// assert_eq!(radius.to_string(), "If alice leaves, no key stops. No key that alice made for others goes on.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlastRadius {
    /// The person.
    pub user: UserId,
    /// Whether the person is suspended or closed already: then their personal keys are refused already.
    pub user_status: OwnerStatus,
    /// The moment that it speaks of.
    pub asked_at: Timestamp,
    /// Their live personal keys, used last first.
    pub stops: Vec<StoppingKey>,
    /// Live keys that they made for teams, by time of creation: these go on.
    pub goes_on: Vec<KeyInfo>,
    /// Keys among them whose stored records cannot be read; requests with them get 503.
    pub unreadable: Vec<KeyId>,
    /// How far the counts go.
    pub counted: CountedUntil,
}

/// A personal key that stops with its person.
///
/// ```
/// # fn example(stops: tower_api_keys::manage::StoppingKey) {
/// for source in &stops.sources {
///     println!("{} {} times, last at {}", source.source, source.count, source.last_at);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StoppingKey {
    /// The key, with its usage.
    pub key: KeyInfo,
    /// From where it was accepted, the last first.
    pub sources: Vec<UsageCount>,
    /// Why others seem to depend on it: recorded evidence, moderate or strong, of a use that wants a team key. Empty if
    /// nothing says so.
    pub shared_because: Vec<Evidence>,
}

impl StoppingKey {
    /// Whether others seem to depend on it: CI, schedules, webhooks, shared hosts.
    #[must_use]
    pub const fn looks_shared(&self) -> bool {
        !self.shared_because.is_empty()
    }

    fn is_in_use(&self, now: Timestamp) -> bool {
        let last = self.key.usage.and_then(|usage| usage.last_success_at);
        last.is_some_and(|last| now.as_millis() - last.as_millis() <= IN_USE_MS)
    }
}

impl BlastRadius {
    /// The same in sentences.
    #[must_use]
    pub fn sentences(&self) -> Vec<Sentence> {
        let user = &self.user;
        let in_use = self.stops.iter().filter(|stops| stops.is_in_use(self.asked_at)).count();
        let shared = self.stops.iter().filter(|stops| stops.looks_shared()).count();
        let mut said = vec![match self.stops.len() {
            0 => said::no_key_stops(user),
            stops => said::keys_stop(user, stops, in_use, shared),
        }];
        if !self.user_status.is_active() {
            said.push(said::refused_already(user));
        }
        said.push(match self.goes_on.len() {
            0 => said::no_key_goes_on(user),
            goes_on => said::keys_go_on(goes_on, user),
        });
        said
    }
}

impl fmt::Display for BlastRadius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.sentences()))
    }
}

json_form! {
    BlastRadius<'a>, |radius| BlastRadius { user, user_status, asked_at, stops, goes_on, unreadable, counted } => {
        user: &'a UserId = user,
        user_status: OwnerStatus = *user_status,
        asked_at: Timestamp = *asked_at,
        stops: &'a [StoppingKey] = stops,
        goes_on: &'a [KeyInfo] = goes_on,
        unreadable: &'a [KeyId] = unreadable,
        counted: CountedUntil = *counted,
        sentences: Vec<Sentence> = radius.sentences(),
    }
}

/// The live keys whose text a person saw: what to rotate or revoke when they leave.
///
/// Keys that they held, made or rotated, and keys that were made with any of those, and so on. It is wide on purpose: who
/// had a key that manages keys may have used it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, IssueKey, TeamId, UserId, manage::{Rights, ExposureReason, TeamRole}};
///
/// let (alice, blue) = (UserId::new("alice")?, TeamId::new("blue")?);
/// let rights = Rights::none().team(blue.clone(), TeamRole::Admin).team_keys_included();
/// manager.issue(IssueKey::team(blue), &Actor::user(alice.clone(), rights)).await?;
///
/// let admin = Actor::user(UserId::new("olga")?, Rights::none().org_admin());
/// let exposure = manager.exposure(&alice, &admin).await?;
/// assert_eq!(exposure.keys[0].reason, ExposureReason::Issued);
/// println!("{exposure}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exposure {
    /// The person.
    pub user: UserId,
    /// The keys, the nearest to the person first.
    pub keys: Vec<ExposedKey>,
    /// Live keys among them whose stored records cannot be read; requests with them get 503.
    pub unreadable: Vec<KeyId>,
    /// How far the counts go.
    pub counted: CountedUntil,
}

/// A live key whose text a person saw, and how.
///
/// ```
/// # fn example(exposed: tower_api_keys::manage::ExposedKey) {
/// println!("{} {}: {}", exposed.key.id, exposed.key.name, exposed.reason);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExposedKey {
    /// The key.
    pub key: KeyInfo,
    /// How the person came to see its text.
    pub reason: ExposureReason,
}

/// How a person came to see the text of a key. It serializes as `{"reason": …, "key": …, "sentence": …}`; the key is the
/// one that it was made with.
///
/// ```
/// use tower_api_keys::manage::ExposureReason;
///
/// assert_eq!(ExposureReason::Issued.sentence(), "They made it.");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExposureReason {
    /// It is their personal key.
    Holds,
    /// They made it.
    Issued,
    /// It was made with another key whose text they saw.
    MadeWith(KeyId),
    /// They made it as the successor of another key.
    Rotated,
}

impl ExposureReason {
    /// The word, in snake case.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Issued => "issued",
            Self::MadeWith(_) => "made_with",
            Self::Rotated => "rotated",
        }
    }

    /// The same for people.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::Holds => said::holds(),
            Self::Issued => said::issued(),
            Self::MadeWith(key) => said::made_with(*key),
            Self::Rotated => said::rotated(),
        }
    }
}

impl fmt::Display for ExposureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

json_form! {
    ExposureReason, |reason| _ => {
        #[cfg_attr(feature = "schemars", schemars(extend("enum" = ["holds", "issued", "made_with", "rotated"])))]
        reason: &'static str = reason.as_str(),
        /// The key that it was made with.
        key: Option<KeyId> = match reason {
            ExposureReason::MadeWith(key) => Some(*key),
            _ => None,
        },
        sentence: Sentence = reason.sentence(),
    }
}

impl Exposure {
    /// The same in a sentence.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self.keys.len() + self.unreadable.len() {
            0 => said::saw_nothing(&self.user),
            keys => said::saw(&self.user, keys),
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

json_form! {
    Exposure<'a>, |exposure| Exposure { user, keys, unreadable, counted } => {
        user: &'a UserId = user,
        keys: &'a [ExposedKey] = keys,
        unreadable: &'a [KeyId] = unreadable,
        counted: CountedUntil = *counted,
        sentence: Sentence = exposure.sentence(),
    }
}

impl KeyManager {
    /// What stops if this person leaves: their live personal keys, with who else seems to depend on them; and what does
    /// not stop: the live keys they made for teams, as far as the actor may see those.
    ///
    /// Everybody may ask for themselves. Reads every live key of the person and every one they made, a thousand at a
    /// time.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied, corrupt record (of the person), store
    /// unavailable.
    pub async fn blast_radius(&self, user: &UserId, actor: &Actor) -> Result<BlastRadius, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeBlastRadius]).await?;
        let owner = Owner::User(user.clone());
        access.require(KeyAction::SeeBlastRadius, &Target::Owner(&owner)).await?;
        let at = access.parts.clock.now();
        let user_status = access.status_of(&owner).await?;

        let live = KeyQuery { liveness: Some(Liveness::Live), ..KeyQuery::all(access.parts.organization.clone()) };
        let own = access.all(KeyQuery { owners: vec![owner.clone()], ..live.clone() }).await?;
        let made = access.all(KeyQuery { creator: Some(ActorId::User(user.clone())), ..live }).await?;
        let made =
            made.into_iter().filter(|row| row.peek().key.kind != "user" || row.peek().key.owner != user.as_str());

        let mut unreadable = Vec::new();
        let own: Vec<_> = own.into_iter().filter_map(|row| access.shown(&row, &mut unreadable)).collect();
        let goes_on = made.filter_map(|row| access.shown(&row, &mut unreadable)).map(Shown::into_info).collect();
        let used: Vec<_> = own.iter().filter(|shown| shown.usage.is_some()).map(|shown| shown.record.id).collect();
        let mut details = access.usage_of(&used).await?;
        let mut stops: Vec<_> = own
            .into_iter()
            .map(|shown| {
                let usage = details.remove(&shown.record.id).unwrap_or_default();
                stopping(shown, &usage, at)
            })
            .collect();
        stops.sort_by_key(|stops| Reverse(stops.key.usage.and_then(|usage| usage.last_success_at)));
        let counted = access.counted;
        Ok(BlastRadius { user: user.clone(), user_status, asked_at: at, stops, goes_on, unreadable, counted })
    }

    /// The live keys whose text this person saw: their personal keys, keys they made or rotated, and keys that were made
    /// with any of these, and with those, and so on. What to rotate when they leave.
    ///
    /// Asks the store once, and once more for each further thousand, about the person, and about each key that is found,
    /// dead ones too: a dead key may have made live ones.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied, store unavailable.
    pub async fn exposure(&self, user: &UserId, actor: &Actor) -> Result<Exposure, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeExposure]).await?;
        let owner = Owner::User(user.clone());
        access.require(KeyAction::SeeExposure, &Target::Owner(&owner)).await?;
        let now = access.parts.clock.now();
        let all = KeyQuery::all(access.parts.organization.clone());
        let mut found = Found::default();
        for row in access.all(KeyQuery { owners: vec![owner], ..all.clone() }).await? {
            found.add(row, |_| ExposureReason::Holds);
        }
        let made = KeyQuery { creator: Some(ActorId::User(user.clone())), ..all.clone() };
        for row in access.all(made).await? {
            found.add(
                row,
                |row| if row.key.replaces.is_some() { ExposureReason::Rotated } else { ExposureReason::Issued },
            );
        }
        while let Some(creator) = found.next.pop_front() {
            for row in access.all(KeyQuery { created_via_key: Some(creator), ..all.clone() }).await? {
                found.add(row, |_| ExposureReason::MadeWith(creator));
            }
        }
        let (mut keys, mut unreadable) = (Vec::new(), Vec::new());
        for (row, reason) in found.rows.into_iter().filter(|(row, _)| row.peek().key.is_live(now)) {
            let shown = access.shown(&row, &mut unreadable);
            keys.extend(shown.map(|shown| ExposedKey { key: shown.into_info(), reason }));
        }
        Ok(Exposure { user: user.clone(), keys, unreadable, counted: access.counted })
    }
}

fn stopping(shown: Shown, usage: &UsageDetail, at: Timestamp) -> StoppingKey {
    let mut sources: Vec<_> = usage.successes().cloned().collect();
    sources.sort_by_key(|source| Reverse(source.last_at));
    let shared_because = shared_because(&shown.record, usage, at);
    StoppingKey { key: shown.into_info(), sources, shared_because }
}

/// Keys in the order in which they are found, each once.
#[derive(Default)]
struct Found {
    seen: HashSet<KeyId>,
    rows: Vec<(Unseen, ExposureReason)>,
    /// Of which nobody has asked yet what they made.
    next: VecDeque<KeyId>,
}

impl Found {
    fn add(&mut self, row: Unseen, reason: impl FnOnce(&ListedKey) -> ExposureReason) {
        // An id that cannot be read names no key that anybody could have used.
        let Ok(id) = KeyId::new(&row.peek().key.id) else { return };
        if self.seen.insert(id) {
            self.next.push_back(id);
            let reason = reason(row.peek());
            self.rows.push((row, reason));
        }
    }
}
