//! A service with the settings page: people with roles, two customers, plans to switch, an API that takes keys, and
//! jobs that use them.
//!
//! To do the same in your service, read `glue.rs`: it is all that is needed. Everything else is what your service has
//! already, in small.

pub mod accounts;
pub mod api;
pub mod first_keys;
pub mod glue;
pub mod jobs;
pub mod pages;
pub mod states;

use std::{error::Error, net::SocketAddr, sync::Arc};

use axum::Router;
use tower_api_keys::{
    ApiKeys, ApiKeysBuilder, Scope,
    manage::OnDowngrade,
    store::{Ledger, MemoryStore, SqliteStore},
};
use tower_api_keys_http::page::Page;

use crate::{accounts::Accounts, jobs::Jobs};

/// A service that is ready to be served.
pub struct Service<S> {
    pub keys: ApiKeys<S>,
    pub jobs: Arc<Jobs>,
    /// The API alone, as the jobs call it.
    pub api: Router,
    /// Everything.
    pub app: Router,
}

impl Service<MemoryStore> {
    /// Its keys are gone when it stops.
    pub async fn in_memory(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let accounts = Arc::new(Accounts::default());
        Self::new(settings(MemoryStore::new(), &accounts)?, accounts, address).await
    }
}

impl Service<SqliteStore> {
    /// Its keys are in this file.
    pub async fn in_file(path: &str, address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let accounts = Arc::new(Accounts::default());
        Self::new(settings(SqliteStore::open(path).await?, &accounts)?, accounts, address).await
    }
}

impl<S: Ledger> Service<S> {
    async fn new(
        settings: ApiKeysBuilder<S>,
        accounts: Arc<Accounts>,
        address: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        let keys = settings.build().await?;
        let (jobs, api): (Arc<Jobs>, _) = (Arc::default(), api::router(&keys)?);
        first_keys::issue(&keys, &jobs).await?;
        let page = Page::new("Auxot").api_at(&format!("http://{address}/whoami"))?.upgrade_at("/plan")?;
        let pages =
            glue::mount(&keys, page, Arc::clone(&accounts)).merge(pages::router(&keys, &jobs)).with_state(accounts);
        Ok(Self { keys, jobs, app: pages.merge(api.clone()), api })
    }
}

fn settings<S: Ledger>(store: S, accounts: &Arc<Accounts>) -> Result<ApiKeysBuilder<S>, Box<dyn Error>> {
    let upgrade =
        "Team API keys are not included. Upgrade to Business or Enterprise to create team-scoped service keys.";
    Ok(ApiKeys::builder(store)
        .several_organizations()
        .directory(Arc::clone(accounts))
        .scopes([Scope::new("agents:read")?, Scope::new("agents:write")?])
        .upgrade_sentence(upgrade)
        .on_downgrade(OnDowngrade::Suspend))
}
