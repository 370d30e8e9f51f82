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

/// What people may see of a key: its whole record without the hash. It serializes, with unknown values as `null`.
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
    /// Personal key or team key.
    pub kind: KeyKind,
    /// The user or the team whose permissions it carries.
    pub owner: Owner,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its text with `[REDACTED]` in place of the secret, and without the brand, which is not stored.
    pub redacted: String,
    /// The name of the key; may be empty.
    pub name: KeyName,
    /// Labels, such as where it is installed, when it is due, which ticket requested it.
    pub labels: Labels,
    /// What it may do.
    pub scopes: Scopes,
    /// The only networks that it may be used from; `None` for anywhere.
    pub networks: Option<Networks>,
    /// The contact that is told about it, in the service's own words.
    pub responsible: Option<Responsible>,
    /// The result that a request with it would have had when it was read.
    pub state: KeyState,
    /// The actor that made it.
    pub created_by: ActorId,
    /// The key that made it, if one did.
    pub created_via_key: Option<KeyId>,
    /// Whether its text was [known before it was made](crate::IssueKey::with_text), and so is in a configuration. False
    /// for a key that replaces it.
    pub known_beforehand: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its lineage was last rotated: when this key was made, if it succeeds another key. `None` if it succeeds
    /// none.
    pub rotated_at: Option<Timestamp>,
    /// The first moment at which it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The actor that revoked it; `None` also if plain SQL did it.
    pub revoked_by: Option<ActorId>,
    /// Since when it is paused: refused until it is resumed.
    pub paused_at: Option<Timestamp>,
    /// The actor that paused it; `None` also if plain SQL did it.
    pub paused_by: Option<ActorId>,
    /// The key it succeeds.
    pub replaces: Option<KeyId>,
    /// The first key of its chain of rotations, or itself if it succeeds none: it stays the same across rotations.
    pub lineage: KeyId,
    /// The live key that replaces it, if the actor may see that one. `None` also in answers that read only this key:
    /// lists, the inventory and [`find`](super::KeyManager::find) read the successor, too.
    pub successor: Option<KeyId>,
    /// Whether it replaces a key that is still live. `None` if that was not read.
    pub predecessor_is_live: Option<bool>,
    /// 1 when it was made, one more with each change of name, labels, scopes, networks, responsible or expiry, and with
    /// each pause and its end.
    pub version: i64,
    /// Whether its owner is suspended or closed.
    pub owner_status: OwnerStatus,
    /// How it was used. `None` if the actor may not see that, and in the answer of a change, which does not read it.
    pub usage: Option<UsageTotals>,
    /// Until when `usage` is counted, in the answer of [`find`](super::KeyManager::find). `None` without usage, and
    /// within another answer, which has it once for all keys.
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

    /// The other person who made a personal key, and saw its text. `None` for a team key, and if its own person or the
    /// service made it; [`created_by`](Self::created_by) has the details.
    #[must_use]
    pub fn made_by_another(&self) -> Option<&UserId> {
        made_by_another(&self.owner, &self.created_by)
    }

    /// Whether a request with it is accepted at `now`, from a network that it may be used from: it is neither revoked
    /// nor expired nor paused, and its owner is neither suspended nor closed.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.is_live(now) && self.paused_at.is_none() && self.owner_status.is_active()
    }

    /// Whether it is neither revoked nor expired at this time. A paused key is live, too, since it can be resumed;
    /// requests with a key are accepted only if it is [usable](Self::is_usable).
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
    /// The result that a request with a key would have: live, or the first of the others that applies, in the order of
    /// a request's checks.
    ///
    /// ```
    /// use tower_api_keys::manage::KeyState;
    ///
    /// assert_eq!(KeyState::OwnerSuspended.as_str(), "owner_suspended");
    /// ```
    #[non_exhaustive]
    pub enum KeyState {
        /// It is accepted.
        Live = "live",
        /// It is revoked.
        Revoked = "revoked",
        /// The clock of this node jumped, and whether the key has expired depends on which time is right.
        ClockUnsure = "clock_unsure",
        /// It has expired.
        Expired = "expired",
        /// It is paused.
        KeyPaused = "key_paused",
        /// Its owner, or the organization, is closed.
        OwnerClosed = "owner_closed",
        /// An admin suspended its owner, or the organization.
        OwnerSuspended = "owner_suspended",
        /// The plan does not include the keys of its owner.
        OwnerPlanSuspended = "owner_plan_suspended",
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

/// A page of the keys that a list asks for. It serializes.
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
    /// The keys, by time of creation, then id, or in reverse if the newest were requested first.
    pub keys: Vec<KeyInfo>,
    /// The ids of keys whose stored records cannot be read; requests with these keys get 503.
    pub unreadable: Vec<KeyId>,
    /// The names of the people and teams of these keys, and who has left.
    pub names: Names,
    /// Where the next page begins, if there may be one.
    pub next: Option<KeyCursor>,
    /// Until when usage on this page is counted.
    pub counted: CountedUntil,
}

/// The answer of a call that brings a key into a state that it may be in already.
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

            /// Takes the key out.
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
    /// A key that exists with a text that was [known beforehand](crate::KeyManager::issue_known); the text is not in
    /// it. It serializes as `{"key": …, "effect": …}`.
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
    /// A key after a call that paused or resumed it, or found it so already. It serializes as
    /// `{"key": …, "effect": …}`.
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
    /// A key that was revoked, by this call or before it. It serializes as `{"key": …, "effect": …}`.
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
