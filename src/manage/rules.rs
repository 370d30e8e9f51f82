use std::collections::BTreeSet;

use super::{
    any_directory::AnyDirectory,
    denial::{Denial, DenialReason},
    lifetimes::Lifetimes,
    quota::Quotas,
    staleness::Staleness,
};
use crate::{audit::Notifier, record::EndWarnings, scope::Scope};

/// A service's settings for its keys besides the policy: the same for all organizations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// The scopes that exist; any scope if `None`.
    pub(crate) scopes: Option<BTreeSet<Scope>>,
    pub(crate) on_downgrade: OnDowngrade,
    /// Whether it is set how the address of a request is found.
    pub(crate) finds_addresses: bool,
    /// Whether there are several organizations, each of which must be named.
    pub(crate) several_organizations: bool,
    /// The sentence for a plan that does not include team keys; the crate's own if `None`.
    pub(crate) upgrade_sentence: Option<&'static str>,
    pub(crate) quotas: Quotas,
    /// How long keys may live, and when they should be rotated.
    pub(crate) lifetimes: Lifetimes,
    pub(crate) notifier: Notifier,
    /// How long before their end warnings about keys are sent.
    pub(crate) warnings: EndWarnings,
    /// How long a node may accept a key after its end.
    pub(crate) staleness: Staleness,
    /// Which teams organizations have, and the names of people and teams.
    pub(crate) directory: AnyDirectory,
}

impl Rules {
    /// This reason, in the service's own words where it has some.
    pub(super) fn denial(&self, reason: DenialReason) -> Denial {
        let denial = Denial::from(reason);
        self.upgrade_sentence.map_or(denial, |sentence| denial.with_upgrade(sentence))
    }
}

/// What happens to the live keys of a team whose plan no longer includes team keys.
///
/// ```
/// use tower_api_keys::{ApiKeys, manage::OnDowngrade, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let keys = ApiKeys::builder(MemoryStore::new()).on_downgrade(OnDowngrade::Suspend).build().await?;
/// # let _ = keys;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDowngrade {
    /// They still work and can be rotated and revoked; no new ones are made.
    #[default]
    Keep,
    /// They are refused until the plan includes them again: the team gets
    /// [`Suspension::Plan`](crate::Suspension::Plan).
    Suspend,
}
