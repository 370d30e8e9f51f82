use serde::Serialize;

use super::{counted::CountedUntil, names::Names};
use crate::{
    key::KeyId,
    networks::Networks,
    owner::{KeyKind, OrganizationId, Owner, UserId},
    record::{ActorId, KeyName, KeyRecord, Labels, OwnerStatus, Responsible, Standing, standing},
    scope::Scopes,
    store::{Effect, KeyCursor},
    time::{ClockReading, Timestamp},
    usage::UsageTotals,
    words::words,
};

/// What people may see of a key: all of its record but the hash. It serializes, with all that is not known as `null`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, manage::ListKeys};
///
/// for key in manager.list(ListKeys::all(), &Actor::system("report")?).await?.keys {
///     println!("{} {} last used {:?}", key.redacted, key.name, key.usage.and_then(|usage| usage.last_success_at));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct KeyInfo {
    /// The public middle part of its text.
    pub id: KeyId,
    /// Personal, or a team's.
    pub kind: KeyKind,
    /// The user or the team whose permissions it carries.
    pub owner: Owner,
    /// The customer it belongs to.
    pub organization: OrganizationId,
    /// Its text with `[REDACTED]` in place of the secret, and without the brand, which is not stored.
    pub redacted: String,
    /// What people call it; may be empty.
    pub name: KeyName,
    /// Where it is installed, when it is due, which ticket asked for it.
    pub labels: Labels,
    /// What it may do.
    pub scopes: Scopes,
    /// The only networks that it may be used from; from anywhere if none.
    pub networks: Option<Networks>,
    /// Who is told about it, in the service's own words.
    pub responsible: Option<Responsible>,
    /// What a request with it would have met when this was asked for.
    pub state: KeyState,
    /// Who made it.
    pub created_by: ActorId,
    /// The key that made it, if one did.
    pub created_via_key: Option<KeyId>,
    /// Whether its text was [known before it was made](crate::IssueKey::with_text): it lies in a configuration. Of a key
    /// that replaces it, false.
    pub known_beforehand: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its line was last rotated: when it was made, if it succeeds another key. None if it succeeds none.
    pub rotated_at: Option<Timestamp>,
    /// The first moment at which it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// By whom; unknown if somebody's plain SQL did it.
    pub revoked_by: Option<ActorId>,
    /// Since when it is paused: refused until it is resumed.
    pub paused_at: Option<Timestamp>,
    /// By whom; unknown if somebody's plain SQL did it.
    pub paused_by: Option<ActorId>,
    /// The key it succeeds.
    pub replaces: Option<KeyId>,
    /// The first key of its chain of rotations, itself if it succeeds none: what stays the same when it is rotated.
    pub lineage: KeyId,
    /// A live key that replaces it, if the actor may see that one. None, too, in the answer of a call that looks at nothing but
    /// this key: lists, the inventory and [`find`](super::KeyManager::find) look.
    pub successor: Option<KeyId>,
    /// Whether it replaces a key that is still live. None where nobody looked.
    pub predecessor_is_live: Option<bool>,
    /// 1 when it was made, one more with each change of name, labels, scopes, networks, responsible or expiry, and with each pause and
    /// its end.
    pub version: i64,
    /// Whether its owner is suspended or closed.
    pub owner_status: OwnerStatus,
    /// How it was used. None if the actor may not see that, and in the answer of a change, which does not look.
    pub usage: Option<UsageTotals>,
    /// How far `usage` goes, in the answer of [`find`](super::KeyManager::find). None without usage, and within another
    /// answer, which says it once for all that it tells.
    pub counted: Option<CountedUntil>,
}

impl KeyInfo {
    pub(super) fn new(
        record: KeyRecord,
        owner_status: OwnerStatus,
        usage: Option<UsageTotals>,
        now: ClockReading,
    ) -> Self {
        let state = KeyState::from(standing(&record, &owner_status, now));
        let kind = record.kind();
        let (revoked_at, revoked_by) = record.revoked.map(|revoked| (revoked.at, revoked.by)).unzip();
        let (paused_at, paused_by) = record.paused.map(|paused| (paused.at, paused.by)).unzip();
        Self {
            redacted: format!("{kind}.{}.[REDACTED]", record.id),
            organization: record.organization,
            id: record.id,
            kind,
            owner: record.owner,
            name: record.name,
            labels: record.labels,
            scopes: record.scopes,
            networks: record.networks,
            responsible: record.responsible,
            state,
            created_by: record.created_by,
            created_via_key: record.created_via_key,
            known_beforehand: record.reserved.is_known_beforehand(),
            created_at: record.created_at,
            rotated_at: record.replaces.map(|_| record.created_at),
            expires_at: record.expires_at,
            revoked_at,
            revoked_by: revoked_by.flatten(),
            paused_at,
            paused_by: paused_by.flatten(),
            replaces: record.replaces,
            lineage: record.lineage,
            successor: None,
            predecessor_is_live: None,
            version: record.version,
            owner_status,
            usage,
            counted: None,
        }
    }

    /// The other person who made a personal key, and saw its text; none of a team's key, and where nobody but its person or
    /// the service did. [`created_by`](Self::created_by) says more.
    #[must_use]
    pub fn made_by_another(&self) -> Option<&UserId> {
        made_by_another(&self.owner, &self.created_by)
    }

    /// Whether a request with it is accepted at `now`, from a network that it may be used from: neither revoked nor
    /// expired nor paused, and its owner neither suspended nor closed.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.is_live(now) && self.paused_at.is_none() && self.owner_status.is_active()
    }

    /// Whether it is neither revoked nor expired at this time. One that is paused is live, too, for it can be resumed:
    /// requests with it are accepted only if it is [usable](Self::is_usable).
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// The person who made a key of another person.
pub(super) fn made_by_another<'a>(owner: &Owner, created_by: &'a ActorId) -> Option<&'a UserId> {
    match (owner, created_by) {
        (Owner::User(owner), ActorId::User(maker)) if owner != maker => Some(maker),
        _ => None,
    }
}

words! {
    /// What a request with a key would meet: the first of these that holds, in the order of the check itself.
    ///
    /// ```
    /// use tower_api_keys::manage::KeyState;
    ///
    /// assert_eq!(KeyState::OwnerSuspended.as_str(), "owner_suspended");
    /// ```
    #[non_exhaustive]
    pub enum KeyState {
        /// The clock of this node jumped, and whether the key has expired depends on which time is right.
        ClockUnsure = "clock_unsure",
        /// Its time is over.
        Expired = "expired",
        /// It is paused.
        KeyPaused = "key_paused",
        /// It is accepted.
        Live = "live",
        /// Its owner, or the organization, is closed.
        OwnerClosed = "owner_closed",
        /// The plan does not include the keys of its owner.
        OwnerPlanSuspended = "owner_plan_suspended",
        /// An admin suspended its owner, or the organization.
        OwnerSuspended = "owner_suspended",
        /// It is revoked.
        Revoked = "revoked",
    }
}

impl From<Standing> for KeyState {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::ClockUnsure(_) => Self::ClockUnsure,
            Standing::Expired => Self::Expired,
            Standing::Good => Self::Live,
            Standing::OwnerClosed => Self::OwnerClosed,
            Standing::OwnerPlanSuspended => Self::OwnerPlanSuspended,
            Standing::OwnerSuspended => Self::OwnerSuspended,
            Standing::Paused => Self::KeyPaused,
            Standing::Revoked => Self::Revoked,
        }
    }
}

/// Some of the keys a list asks for. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, manage::ListKeys};
///
/// let actor = Actor::system("report")?;
/// let mut page = manager.list(ListKeys::all(), &actor).await?;
/// while let Some(next) = page.next {
///     page = manager.list(ListKeys::all().after(next), &actor).await?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct KeyPage {
    /// The keys, by time of creation, then id, or the other way round if the newest were to come first.
    pub keys: Vec<KeyInfo>,
    /// Keys whose stored records cannot be read; requests with them get 503.
    pub unreadable: Vec<KeyId>,
    /// What the people and teams of these keys are called, and who has left.
    pub names: Names,
    /// Where the next page begins, if there may be one.
    pub next: Option<KeyCursor>,
    /// How far the counts go that this page tells.
    pub counted: CountedUntil,
}

/// The answer of a call that makes a key be as it may be already: stopped, or there.
macro_rules! key_and_effect {
    ($(#[$meta:meta])* $name:ident, $effect:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        pub struct $name {
            #[serde(rename = "key")]
            info: KeyInfo,
            effect: Effect,
        }

        impl $name {
            pub(super) const fn new(info: KeyInfo, effect: Effect) -> Self {
                Self { info, effect }
            }

            /// The key.
            #[must_use]
            pub const fn info(&self) -> &KeyInfo {
                &self.info
            }

            /// The key, kept.
            #[must_use]
            pub fn into_info(self) -> KeyInfo {
                self.info
            }

            #[doc = $effect]
            #[must_use]
            pub const fn effect(&self) -> Effect {
                self.effect
            }
        }
    };
}

key_and_effect! {
    /// A key that is there with a text that was [known beforehand](crate::KeyManager::issue_known), which is not in here. It
    /// serializes as `{"key": …, "effect": …}`.
    ///
    /// ```
    /// use tower_api_keys::manage::{Effect, KnownKey};
    ///
    /// fn log(known: &KnownKey) {
    ///     let made = if known.effect() == Effect::Changed { "made" } else { "found" };
    ///     println!("{made} {}", known.info().redacted);
    /// }
    /// ```
    KnownKey, "Whether this call made it."
}

key_and_effect! {
    /// A key after a call that paused or resumed it, or found that it was so already. It serializes as `{"key": …, "effect": …}`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let issued = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?;
    /// # let id = issued.info().id;
    /// use tower_api_keys::manage::Effect;
    ///
    /// let paused = manager.pause(&id, &admin).await?;
    /// assert_eq!((paused.effect(), paused.info().paused_by.clone()), (Effect::Changed, Some(admin.id())));
    /// assert_eq!(manager.pause(&id, &admin).await?.effect(), Effect::Unchanged);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    PauseChanged, "Whether this call paused or resumed it."
}

key_and_effect! {
    /// A key that is revoked, by this call or before it. It serializes as `{"key": …, "effect": …}`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let issued = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?;
    /// # let id = issued.info().id;
    /// use tower_api_keys::{Actor, manage::Effect};
    ///
    /// let revoked = manager.revoke(&id, &Actor::system("leak response")?).await?;
    /// if revoked.effect() == Effect::Unchanged {
    ///     println!("revoked before, at {:?} by {:?}", revoked.info().revoked_at, revoked.info().revoked_by);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Revoked, "Whether this call revoked it."
}
