//! Apart from the settings: what parts share is not a setting.

use std::sync::Arc;

use super::{
    AuthSettings, AuthSetupError,
    background::{AccessLog, Upkeep},
    cache::ProofCache,
    meter::Meter,
};
use crate::{hash::Hasher, metering::UsageRecorder, store::Lease};

/// What an authenticator shares with the other parts of [`ApiKeys`](crate::ApiKeys).
pub(crate) struct Wiring {
    pub(crate) hasher: Hasher,
    pub(crate) lease: Arc<Lease>,
    pub(crate) usage: Option<Arc<UsageRecorder>>,
    pub(crate) upkeep: Option<Arc<dyn Upkeep>>,
    pub(crate) attempts: Option<Arc<AccessLog>>,
    pub(crate) meter: Arc<Meter>,
    /// Whether the service has several organizations: then the [single](crate::OrganizationId::single) one is one of
    /// them.
    pub(crate) has_several_organizations: bool,
    pub(super) cache: Arc<ProofCache>,
}

impl Wiring {
    /// What an authenticator that only reads needs.
    pub(crate) fn new(settings: &AuthSettings) -> Result<Self, AuthSetupError> {
        settings.check()?;
        let hasher = Hasher::new(settings.hasher.clone())?;
        let cache = Arc::new(ProofCache::new(settings.proofs));
        let meter = Meter::new(hasher.clone(), Arc::clone(&cache), settings.proofs, Arc::clone(&settings.clock));
        Ok(Self {
            hasher,
            lease: Arc::default(),
            usage: None,
            upkeep: None,
            attempts: None,
            meter: Arc::new(meter),
            has_several_organizations: false,
            cache,
        })
    }
}
