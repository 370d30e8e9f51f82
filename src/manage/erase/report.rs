use serde::Serialize;

use crate::store::Pseudonym;

/// What was erased or, in a dry run, would be. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let clock = std::sync::Arc::new(tower_api_keys::ManualClock::at("2026-03-01T12:00:00Z".parse()?));
/// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new()).clock(clock.clone());
/// # let manager = keys.build().await?.manager();
/// use tower_api_keys::{Actor, Owner, UserId, manage::Erase};
///
/// let (bob, system) = (Owner::User(UserId::new("bob")?), Actor::system("data protection")?);
/// manager.close(&bob, &system).await?;
/// # clock.advance(std::time::Duration::from_secs(60)); // a minute later
/// let would_go = manager.erase(Erase::owner(bob.clone()).dry_run(), &system).await?;
/// println!("{:?} keys would be deleted, {:?} of others would name nobody", would_go.keys, would_go.made_keys);
/// let erased = manager.erase(&bob, &system).await?;
/// println!("the trail calls them {}", erased.pseudonym.ok_or("only a dry run has none")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Erased {
    /// The pseudonym that replaces them in the trail. `None` in a dry run that names none.
    pub pseudonym: Option<Pseudonym>,
    /// How many of their keys were deleted, live and dead. `None` if they could not be counted; they were deleted
    /// anyway.
    pub keys: Option<u64>,
    /// How many of them had neither expired nor been revoked.
    pub live_keys: Option<u64>,
    /// How many keys of others, which stay, have the pseudonym as their creator now. 0 for a team and for an
    /// organization. `None` if they could not be counted.
    pub made_keys: Option<u64>,
    /// Whether this was a dry run.
    pub dry_run: bool,
}
