mod apply;
mod change;
mod decide;
mod issue;
mod owner;
mod read;
mod sight;
mod usage;
mod walk;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::{
    actor::Actor,
    error::{InvalidInput, ManageError},
    policy::{KeyAction, Policy},
    rules::Rules,
    trail::DenialLog,
};
use crate::{
    hash::{Hasher, KeyHash, Requester},
    key::{KeyFormat, KeyId, PlaintextKey},
    owner::{OrganizationId, Owner},
    record::{KeyRecord, NewKeys, OwnerStatus},
    scope::{Scope, Scopes},
    store::{AnyStore, Calls, FoundKey, KeyReader, KeyStore, Lease, OwnerRef},
    time::Clock,
};

pub(super) use apply::{Unmet, Wanted, WantedWrite};
pub(super) use issue::{is_idempotency_key, summary};
pub(super) use sight::{Shown, Sight};
pub(super) use walk::{LARGEST_PAGE, Walk, before, cursor};

/// Looks after the keys of one organization. Cheap to clone.
///
/// Every call names its [`Actor`], and first of all looks at who that is: in another organization than the manager's,
/// everything is not found; a key without [`keys:manage`](Scope::KEYS_MANAGE) is denied everything. Then the
/// [`Policy`] decides.
///
/// A change and its line of the audit trail are committed together, under the condition that whoever makes it is still
/// active at that moment: neither suspended nor closed, and if it is a key, live. When the store does not say whether
/// it made a change, the same change is repeated until it says so, three times at most; it is never made twice.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, IssueKey, TeamId, UserId, manage::{Plan, Rights, TeamRole}};
///
/// let engineering = TeamId::new("engineering")?;
/// let rights = Rights::none().team(engineering.clone(), TeamRole::Admin, Plan::Business);
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
pub struct KeyManager(pub(super) Arc<ManagerParts>);

/// What a [`KeyManager`] is made of.
pub(crate) struct ManagerParts {
    pub(crate) store: Calls<AnyStore>,
    pub(crate) hasher: Hasher,
    pub(crate) format: KeyFormat,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Arc<dyn Policy>,
    /// Ended by each change before it returns, so that this node sees its own changes at once.
    pub(crate) lease: Arc<Lease>,
    pub(crate) organization: OrganizationId,
    pub(crate) rules: Arc<Rules>,
    /// Shared by all organizations.
    pub(crate) denials: Arc<DenialLog>,
    /// Told of each key once the store has it. None where keys are not checked.
    pub(crate) new_keys: Option<Weak<dyn NewKeys>>,
}

impl KeyManager {
    pub(crate) fn new(parts: ManagerParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The same for another organization.
    pub(crate) fn for_organization(&self, organization: OrganizationId) -> Self {
        Self::new(ManagerParts {
            store: self.0.store.clone(),
            hasher: self.0.hasher.clone(),
            format: self.0.format.clone(),
            clock: Arc::clone(&self.0.clock),
            policy: Arc::clone(&self.0.policy),
            lease: Arc::clone(&self.0.lease),
            organization,
            rules: Arc::clone(&self.0.rules),
            denials: Arc::clone(&self.0.denials),
            new_keys: self.0.new_keys.clone(),
        })
    }

    /// Whose keys it looks after.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.0.organization
    }

    /// These scopes as a store will read them back, if the service has them all.
    pub(in crate::manage) fn known_scopes(&self, scopes: &Scopes) -> Result<Scopes, ManageError> {
        // A set built step by step can be too large.
        let scopes = scopes.to_string().parse::<Scopes>();
        let scopes = scopes.map_err(|error| ManageError::invalid(InvalidInput::Scopes).with_source(error))?;
        let Some(known) = &self.0.rules.scopes else {
            return Ok(scopes);
        };
        let unknown = scopes.named().find(|scope| **scope != Scope::KEYS_MANAGE && !known.contains(*scope));
        if let Some(unknown) = unknown {
            let unknown = format!("there is no scope `{}`", unknown.as_str());
            return Err(ManageError::invalid(InvalidInput::UnknownScope).with_source(unknown));
        }
        Ok(scopes)
    }

    /// The hash of a new key, in the turn of the person or team on whose behalf the actor acts: however many keys they make
    /// at once, by themselves and with all their keys, others make theirs.
    pub(in crate::manage) async fn hash(&self, key: &PlaintextKey, actor: &Actor) -> Result<KeyHash, ManageError> {
        let who = actor.standing_on().map_or_else(|| actor.id().to_string(), |owner| owner.to_string());
        let requester = Requester::new(&[self.0.organization.as_str(), &who]);
        Ok(self.0.hasher.hash_for(requester, key.expose_secret()).await?)
    }

    /// To be called once the store said that it has the key, and in no doubt of that.
    pub(in crate::manage) fn made(&self, key: &PlaintextKey, record: &KeyRecord) {
        if let Some(new_keys) = self.0.new_keys.as_ref().and_then(Weak::upgrade) {
            new_keys.made(key, record);
        }
    }

    pub(in crate::manage) fn owner_ref(&self, owner: &Owner) -> OwnerRef {
        OwnerRef { organization: self.0.organization.clone(), owner: owner.clone() }
    }
}

impl KeyManager {
    /// The key of this id in this organization, whoever asks.
    pub(in crate::manage) async fn row(&self, id: &KeyId) -> Result<Option<FoundKey>, ManageError> {
        let found = self.0.store.find(id).await?;
        Ok(found.filter(|found| found.key.organization == self.0.organization.as_str()))
    }

    /// Whether this owner is suspended or closed, whoever asks.
    pub(in crate::manage) async fn status_of(&self, owner: &Owner) -> Result<OwnerStatus, ManageError> {
        let of = self.owner_ref(owner);
        self.0.store.owner_status(&of).await?.status().map_err(ManageError::corrupt)
    }

    /// The key of this id, if the actor may do this to it.
    pub(in crate::manage) async fn load(
        &self,
        id: &KeyId,
        actor: &Actor,
        action: KeyAction,
    ) -> Result<(KeyRecord, OwnerStatus), ManageError> {
        let found = self.row(id).await?;
        let found = found.ok_or_else(|| self.absent(actor, action, id))?;
        self.permitted(&found, actor, action)
    }
}

impl fmt::Debug for KeyManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyManager")
            .field("organization", &self.0.organization)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}
