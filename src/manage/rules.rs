use std::collections::BTreeSet;

use super::{
    any_directory::AnyDirectory,
    denial::{Denial, DenialReason},
    lifetimes::Lifetimes,
    quota::Quotas,
};
use crate::{audit::Notifier, record::EndWarnings, scope::Scope};

/// What a service says of its keys beside the policy: the same for all organizations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// The scopes that there are; anything goes if it was not said.
    pub(crate) scopes: Option<BTreeSet<Scope>>,
    pub(crate) on_downgrade: OnDowngrade,
    /// Whether somebody said how the address of a request is found.
    pub(crate) finds_addresses: bool,
    /// Whether there are several, each of which has to be named.
    pub(crate) several_organizations: bool,
    /// What is said where the plan does not include team keys; the crate's own sentence if it was not said.
    pub(crate) upgrade_sentence: Option<&'static str>,
    pub(crate) quotas: Quotas,
    /// How long keys may live, and when they are to be rotated.
    pub(crate) lifetimes: Lifetimes,
    pub(crate) notifier: Notifier,
    /// How long before their end keys are told of.
    pub(crate) warnings: EndWarnings,
    /// Which teams organizations have, and what people and teams are called.
    pub(crate) directory: AnyDirectory,
}

impl Rules {
    /// This reason, in the service's own words where it has some.
    pub(super) fn denial(&self, reason: DenialReason) -> Denial {
        let denial = Denial::from(reason);
        self.upgrade_sentence.map_or(denial, |sentence| denial.with_upgrade(sentence))
    }
}

/// What becomes of the live keys of a team whose plan no longer includes team keys.
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
    /// They go on, can be rotated and revoked, and no new ones are made.
    #[default]
    Keep,
    /// They are refused until the plan includes them again: the team gets
    /// [`Suspension::Plan`](crate::Suspension::Plan).
    Suspend,
}
