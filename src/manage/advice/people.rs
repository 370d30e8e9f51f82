use std::fmt;

use serde::Serialize;

use super::evidence::Evidence;
use crate::{
    key::KeyId, manage::info::KeyInfo, owner::UserId, record::OwnerStatus, time::Timestamp, usage::UsageCount,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

impl fmt::Display for BlastRadius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = &self.user;
        let in_use = self.stops.iter().filter(|stops| stops.is_in_use(self.asked_at)).count();
        let shared = self.stops.iter().filter(|stops| stops.looks_shared()).count();
        match self.stops.len() {
            0 => write!(f, "If {user} leaves, no key stops.")?,
            stops => {
                let keys = Keys(stops);
                write!(
                    f,
                    "If {user} leaves, {keys}: {in_use} in use in the last 30 days, {shared} on which others seem to \
                           depend."
                )?;
            }
        }
        if !self.user_status.is_active() {
            write!(f, " {user} is suspended or closed: personal keys are refused already.")?;
        }
        match self.goes_on.len() {
            0 => write!(f, " No key that {user} made for others goes on."),
            1 => write!(f, " 1 key that {user} made for others goes on."),
            goes_on => write!(f, " {goes_on} keys that {user} made for others go on."),
        }
    }
}

struct Keys(usize);

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { f.write_str("1 personal key stops") } else { write!(f, "{} personal keys stop", self.0) }
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
/// use tower_api_keys::{Actor, IssueKey, TeamId, UserId, manage::{Plan, Rights, ExposureReason, TeamRole}};
///
/// let (alice, blue) = (UserId::new("alice")?, TeamId::new("blue")?);
/// let rights = Rights::none().team(blue.clone(), TeamRole::Admin, Plan::Business);
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exposure {
    /// The person.
    pub user: UserId,
    /// The keys, the nearest to the person first.
    pub keys: Vec<ExposedKey>,
    /// Live keys among them whose stored records cannot be read; requests with them get 503.
    pub unreadable: Vec<KeyId>,
}

/// A live key whose text a person saw, and how.
///
/// ```
/// # fn example(exposed: tower_api_keys::manage::ExposedKey) {
/// println!("{} {}: {}", exposed.key.id, exposed.key.name, exposed.reason);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExposedKey {
    /// The key.
    pub key: KeyInfo,
    /// How the person came to see its text.
    pub reason: ExposureReason,
}

/// How a person came to see the text of a key.
///
/// ```
/// use tower_api_keys::manage::ExposureReason;
///
/// assert_eq!(ExposureReason::Issued.to_string(), "they made it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
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

impl fmt::Display for ExposureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("it is their personal key"),
            Self::Issued => f.write_str("they made it"),
            Self::MadeWith(key) => write!(f, "it was made with {key}, whose text they saw"),
            Self::Rotated => f.write_str("they made it in place of another key"),
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = &self.user;
        match self.keys.len() + self.unreadable.len() {
            0 => write!(f, "{user} saw the text of no live key."),
            1 => write!(f, "{user} saw the text of 1 live key: rotate or revoke it when {user} leaves."),
            keys => write!(f, "{user} saw the texts of {keys} live keys: rotate or revoke them when {user} leaves."),
        }
    }
}
