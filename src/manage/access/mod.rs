//! The wall around the store: an actor must enter first, and each step checks whether it may.

mod apply;
mod decide;
mod entry;
mod exports;
mod keys;
mod pages;
mod reads;
mod replay;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{actor::Actor, counted::CountedUntil, policy::Policy, request::IssueKey, rules::Rules, trail::DenialLog};
use crate::{
    hash::Hasher,
    key::{KeyFormat, KeyId},
    metering::UsageRecorder,
    networks::Networks,
    owner::{OrganizationId, Owner},
    record::NewKeys,
    scope::Scopes,
    store::{AnyStore, Calls, Lease, OwnerRef, StoreError},
    time::{Clock, Timestamp},
};

pub(in crate::manage) use apply::{GuardRefusal, Wanted, WantedWrite};
pub(in crate::manage) use decide::is_wider;
pub(in crate::manage) use keys::{Row, Shown, Sight, Unseen};
pub(in crate::manage) use pages::{LARGEST_PAGE, Reach, Walk, cursor};

/// The parts of a [`KeyManager`](super::KeyManager).
pub(crate) struct ManagerParts {
    pub(crate) guarded: Guarded,
    pub(crate) hasher: Hasher,
    pub(crate) format: KeyFormat,
    pub(crate) clock: Arc<dyn Clock>,
    /// What this process counts.
    pub(crate) counted: Arc<UsageRecorder>,
    pub(crate) organization: OrganizationId,
    /// Whether an organization was named.
    pub(crate) names_organization: bool,
    pub(crate) rules: Arc<Rules>,
    /// Gets each new key once the store has it. `None` where keys are not checked.
    pub(crate) new_keys: Option<Weak<dyn NewKeys>>,
}

impl ManagerParts {
    /// Whether no organization was named, in a service of several.
    pub(in crate::manage) fn is_nobodys(&self) -> bool {
        self.rules.several_organizations && !self.names_organization
    }

    /// Whether the service has only one organization, which has no name.
    pub(in crate::manage) fn is_of_one(&self) -> bool {
        !self.rules.several_organizations && self.organization.is_single()
    }
}

/// What only an [`Access`] touches: the store, and what decides and records permissions.
#[derive(Clone)]
pub(crate) struct Guarded {
    store: Calls<AnyStore>,
    policy: Arc<dyn Policy>,
    /// Ended by each change before it returns, so that this node sees its own changes at once.
    lease: Arc<Lease>,
    /// Shared by all organizations.
    denials: Arc<DenialLog>,
}

impl Guarded {
    pub(crate) fn new(
        store: Calls<AnyStore>,
        policy: Arc<dyn Policy>,
        lease: Arc<Lease>,
        denials: Arc<DenialLog>,
    ) -> Self {
        Self { store, policy, lease, denials }
    }

    /// The time limit for one answer of the store.
    pub(in crate::manage) const fn limit(&self) -> Duration {
        self.store.limit()
    }

    /// Writes the denials that are not in the audit trail yet.
    ///
    /// # Errors
    /// Those of the store. Denials that are not written are kept.
    pub(crate) async fn flush_denials(&self) -> Result<(), StoreError> {
        self.denials.flush(true).await
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// One actor that may act at this moment and for this purpose ([`of`](Self::of)): the only way to a key, an owner or
/// the organization. Each step names its action by a [`KeyAction`](super::KeyAction): [`may`](Self::may) for a hint,
/// [`require`](Self::require) for an attempt, [`key`](Self::key) for the key with an id, [`apply`](Self::apply) for a
/// change.
pub(in crate::manage) struct Access<'a> {
    pub(in crate::manage) parts: &'a ManagerParts,
    /// With its current scopes, if it is a key.
    pub(in crate::manage) actor: Cow<'a, Actor>,
    /// The acting key, as it was when the call began.
    own: Option<OwnKey>,
    /// Until when usage is counted. Taken before anything is read, so that no count is older than this says.
    pub(in crate::manage) counted: CountedUntil,
}

/// The stored rights of the acting key. What it gives is measured by these, and the store checks them again at the
/// moment of commit.
struct OwnKey {
    id: KeyId,
    /// In stored form.
    scopes: String,
    networks: Option<Networks>,
    expires_at: Option<Timestamp>,
    limits: Option<Box<str>>,
}

/// What a key would get.
#[derive(Clone, Copy)]
pub(in crate::manage) struct Gift<'a> {
    pub(in crate::manage) scopes: &'a Scopes,
    pub(in crate::manage) expires_at: Option<Timestamp>,
    pub(in crate::manage) networks: Option<&'a Networks>,
    pub(in crate::manage) limits: Option<&'a str>,
}

impl<'a> Gift<'a> {
    pub(in crate::manage) fn of(request: &'a IssueKey, expires_at: Option<Timestamp>) -> Self {
        let (networks, limits) = (request.networks.as_ref(), request.limits.as_deref());
        Self { scopes: &request.scopes, expires_at, networks, limits }
    }
}

impl Access<'_> {
    pub(in crate::manage) fn owner_ref(&self, owner: &Owner) -> OwnerRef {
        OwnerRef { organization: self.parts.organization.clone(), owner: owner.clone() }
    }
}
