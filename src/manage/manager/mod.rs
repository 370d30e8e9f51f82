//! The manager's calls that belong to no other feature: issue, edit, revoke, read, owners, usage.

mod edit;
mod hints;
mod issue;
mod key_request;
mod organization;
mod owner;
mod pause;
mod read;
mod revoke;
mod status;
mod usage;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Weak},
};

use super::{
    access::{Access, ManagerParts},
    actor::Actor,
    denial::DenialReason,
    error::ManageError,
    invalid::InvalidInput,
    policy::{KeyAction, Target},
    staleness::Staleness,
};
use crate::{
    hash::{KeyHash, Requester},
    key::{KeyFormat, PlaintextKey},
    owner::OrganizationId,
    record::KeyRecord,
    scope::{Scope, Scopes},
    store::StoreError,
};

pub use edit::EditKey;
pub(super) use issue::{NewKey, is_idempotency_key, summary};
pub use organization::ChangeOrganization;
pub use owner::{ChangeOwner, OwnerInfo, OwnerReinstated, OwnerStopped};
pub use pause::{PauseKey, ResumeKey};
pub use revoke::RevokeKey;
pub use usage::{KeyUsage, LineageUsage, RefusalsWithoutKey, UsageDay};

/// Manages the keys of one organization. Cheap to clone.
///
/// Every call names its [`Actor`], and first checks who that is. For an actor of another organization than the
/// manager's, everything is not found. A key without the [scope](crate::ManagingScope) for the call is denied, whatever
/// the call is about. An actor that is suspended or closed, or whose key is dead, is denied as well, even for reads:
/// each call asks the store for that. Then the [`Policy`](super::Policy) decides.
///
/// A change and its audit event are committed together, and only if the actor is still active at that moment: neither
/// suspended nor closed, and if it is a key, live. When the store does not say whether it made a change, the same
/// change is repeated until it does, three times at most; it is never made twice.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, IssueKey, TeamId, UserId, manage::{Rights, TeamRole}};
///
/// let engineering = TeamId::new("engineering")?;
/// let rights = Rights::none().team(engineering.clone(), TeamRole::Admin).team_keys_included();
/// let alice = Actor::user(UserId::new("alice")?, rights);
///
/// let issued = manager.issue(IssueKey::team(engineering).named("GitHub Actions - production"), &alice).await?;
/// println!("{}", issued.plaintext().expose_secret()); // the only time
///
/// manager.revoke(&issued.info().id, &alice).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeyManager(Arc<ManagerParts>);

impl KeyManager {
    pub(crate) fn new(parts: ManagerParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The same manager for another organization.
    pub(crate) fn for_organization(&self, organization: OrganizationId) -> Self {
        Self::new(ManagerParts {
            guarded: self.0.guarded.clone(),
            hasher: self.0.hasher.clone(),
            format: self.0.format.clone(),
            clock: Arc::clone(&self.0.clock),
            counted: Arc::clone(&self.0.counted),
            organization,
            names_organization: true,
            rules: Arc::clone(&self.0.rules),
            new_keys: self.0.new_keys.clone(),
        })
    }

    /// The organization whose keys are managed.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.0.organization
    }

    /// The scopes that a key may be given, as set with [the builder](crate::ApiKeysBuilder::scopes); none if none were
    /// set, and then any scope is allowed. Those for [managing keys](crate::ManagingScope) are always allowed and not
    /// among them.
    #[must_use]
    pub fn scopes(&self) -> Option<&BTreeSet<Scope>> {
        self.0.rules.scopes.as_ref()
    }

    /// The format of keys: the brand of new ones, and which others are accepted.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::KeyKind;
    ///
    /// assert_eq!(manager.format().prefix(KeyKind::Team), "team.");
    /// assert_eq!(manager.scopes(), None); // any scope is allowed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn format(&self) -> &KeyFormat {
        &self.0.format
    }

    /// Whether this service can check from which network a request comes, because [the
    /// builder](crate::ApiKeysBuilder::addresses) says how. If not, a key cannot have a list of networks, and a form
    /// needs no field for one.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower_api_keys::{ApiKeys, auth::Addresses, store::MemoryStore};
    ///
    /// let keys = ApiKeys::builder(MemoryStore::new()).addresses(Addresses::forwarded_for(1)).build().await?;
    /// assert!(keys.manager().checks_networks());
    /// assert!(!ApiKeys::new(MemoryStore::new())?.manager().checks_networks());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn checks_networks(&self) -> bool {
        self.0.rules.finds_addresses
    }

    /// How long a key may still be accepted somewhere after this manager ended it. Asks nothing, and is the same for all
    /// keys, actors and organizations.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
    /// println!("{}", keys.manager().staleness().sentence()); // This server, and every other one with …
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn staleness(&self) -> Staleness {
        self.0.rules.staleness
    }

    /// The first step of every call: checks the actor and that it may want one of these actions. Everything else a call
    /// does goes through the [`Access`] that this returns.
    pub(in crate::manage) async fn acting<'a>(
        &'a self,
        actor: &'a Actor,
        wants: &[KeyAction],
    ) -> Result<Access<'a>, ManageError> {
        Access::of(&self.0, actor, wants).await
    }

    /// A manager of no organization in particular, for the system alone. It also works in a service of several
    /// organizations, where a manager without one is otherwise refused.
    pub(in crate::manage) async fn across(&self, actor: &Actor, wants: KeyAction) -> Result<Self, ManageError> {
        if actor.is_system() {
            return Ok(self.for_organization(self.organization().clone()));
        }
        // Denied in the actor's own organization, so that the denial is in that organization's trail.
        let own = actor.organization().map_or_else(|| self.clone(), |own| self.for_organization(own.clone()));
        let access = own.acting(actor, &[wants]).await?;
        let reason = if actor.key_id().is_some() { DenialReason::NotForKeys } else { DenialReason::InsufficientRole };
        Err(access.deny(wants, reason, &Target::Organization))
    }

    /// What a manager consists of, without its store.
    pub(in crate::manage) fn parts(&self) -> &ManagerParts {
        &self.0
    }

    /// Writes the denials that are not in the audit trail yet.
    ///
    /// # Errors
    /// Those of the store. Denials that are not written are kept.
    pub(crate) async fn flush_denials(&self) -> Result<(), StoreError> {
        self.0.guarded.flush_denials().await
    }
}

impl ManagerParts {
    /// These scopes as a store will read them back, if the service knows all of them.
    pub(in crate::manage) fn known_scopes(&self, scopes: &Scopes) -> Result<Scopes, ManageError> {
        // A set that was built step by step can be too large.
        let scopes = scopes.to_string().parse::<Scopes>();
        let scopes = scopes.map_err(|error| ManageError::invalid(InvalidInput::Scopes).with_source(error))?;
        if let Some(unknown) = self.unknown_scope(&scopes) {
            let unknown = format!("there is no scope `{}`", unknown.as_str());
            return Err(ManageError::invalid(InvalidInput::UnknownScope).with_source(unknown));
        }
        Ok(scopes)
    }

    /// The first of these scopes that the service does not know.
    pub(in crate::manage) fn unknown_scope<'a>(&self, scopes: &'a Scopes) -> Option<&'a Scope> {
        let known = self.rules.scopes.as_ref()?;
        scopes.named().find(|scope| !scope.manages_keys() && !known.contains(*scope))
    }
}

/// What making keys needs.
impl Access<'_> {
    /// Hashes a new key, in the queue of the person or team that the actor acts for. However many keys they make at
    /// once, by themselves and with all their keys, others are not held up.
    pub(in crate::manage) async fn hash(&self, key: &PlaintextKey) -> Result<KeyHash, ManageError> {
        self.require_pepper().await?;
        Ok(self.parts.hasher.hash_for(self.requester(), key.expose_secret()).await?)
    }

    /// Whose queue hashes wait in.
    pub(in crate::manage) fn requester(&self) -> Requester {
        let who = self.actor.standing_on().map_or_else(|| self.actor.id().to_string(), |owner| owner.to_string());
        Requester::new(&[self.parts.organization.as_str(), &who])
    }

    /// Call this only after the store has confirmed that it has the key.
    pub(in crate::manage) fn made(&self, key: &PlaintextKey, record: &KeyRecord) {
        if let Some(new_keys) = self.parts.new_keys.as_ref().and_then(Weak::upgrade) {
            new_keys.made(key, record);
        }
    }
}

impl fmt::Debug for KeyManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyManager")
            .field("organization", &self.0.organization)
            .field("guarded", &self.0.guarded)
            .finish_non_exhaustive()
    }
}
