//! Makes the manager beside the authenticator, from what both share.

use std::{sync::Arc, time::Duration};

use super::setup_error::Cause;
use crate::{
    audit::Notifier,
    auth::{AuthSettings, Authenticator, Freshness, Wiring},
    hash::Hasher,
    key::KeyFormat,
    manage::{DefaultPolicy, DenialLog, Guarded, KeyManager, ManagerParts, Policy, Rules, Staleness},
    metering::UsageRecorder,
    owner::OrganizationId,
    store::{AnyStore, Calls, Lease, Ledger},
    time::Clock,
};

/// Settings of the manager.
pub(super) struct Managing {
    pub(super) policy: Arc<dyn Policy>,
    pub(super) rules: Rules,
    /// How current the other nodes are, if the service says so.
    pub(super) other_nodes: Option<Freshness>,
}

/// What the manager shares with the authenticator.
pub(super) struct Managed {
    store: Calls<AnyStore>,
    hasher: Hasher,
    format: KeyFormat,
    clock: Arc<dyn Clock>,
    counted: Arc<UsageRecorder>,
    lease: Arc<Lease>,
    finds_addresses: bool,
    freshness: Freshness,
}

impl Managed {
    pub(super) fn new<S: Ledger>(
        store: &Arc<S>,
        settings: &AuthSettings,
        wiring: &Wiring,
        counted: &Arc<UsageRecorder>,
        store_timeout: Duration,
    ) -> Self {
        Self {
            store: Calls::new(AnyStore::shared(Arc::clone(store)), store_timeout),
            hasher: wiring.hasher.clone(),
            format: settings.format.clone(),
            clock: Arc::clone(&settings.clock),
            counted: Arc::clone(counted),
            lease: Arc::clone(&wiring.lease),
            finds_addresses: settings.addresses.is_some(),
            freshness: settings.freshness,
        }
    }
}

impl Managing {
    pub(super) fn check(&self) -> Result<(), Cause> {
        if self.rules.lifetimes.has_none() {
            return Err(Cause::Lifetimes);
        }
        if self.other_nodes.is_some_and(|freshness| !freshness.is_in_range()) {
            return Err(Cause::OtherNodes);
        }
        Ok(())
    }

    pub(super) fn manager<S: Ledger>(
        self,
        managed: Managed,
        authenticator: &Authenticator<S>,
        notifier: Notifier,
        flush_interval: Duration,
    ) -> KeyManager {
        let Managed { store, hasher, format, clock, counted, lease, finds_addresses, freshness } = managed;
        let denials = DenialLog::new(store.clone(), Arc::clone(&clock), flush_interval, notifier.clone());
        let staleness = Staleness::of(freshness.longest(), self.other_nodes.map(Freshness::longest));
        KeyManager::new(ManagerParts {
            guarded: Guarded::new(store, self.policy, lease, Arc::new(denials)),
            hasher,
            format,
            clock,
            counted,
            organization: OrganizationId::single(),
            names_organization: false,
            rules: Arc::new(Rules { notifier, finds_addresses, staleness, ..self.rules }),
            new_keys: Some(authenticator.new_keys()),
        })
    }
}

impl Default for Managing {
    fn default() -> Self {
        Self { policy: Arc::new(DefaultPolicy), rules: Rules::default(), other_nodes: None }
    }
}
