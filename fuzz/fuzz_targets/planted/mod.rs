//! Keys over a store with rows that are written unchecked.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tower_api_keys::{
    Actor, ApiKeys, KeyManager,
    hash::{Argon2Params, HasherConfig},
    store::{
        MemoryStore, StoreError,
        transfer::{Batch, PortableStore},
    },
};

pub struct Planted {
    pub runtime: Runtime,
    pub store: Arc<MemoryStore>,
    pub manager: KeyManager,
    pub system: Actor,
}

impl Planted {
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let store = Arc::new(MemoryStore::new());
        let cheap = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET);
        let keys = runtime.block_on(ApiKeys::builder(store.clone()).hasher(cheap).build()).expect("keys");
        Self { manager: keys.manager(), store, runtime, system: Actor::system("fuzz").expect("an actor") }
    }

    pub fn put(&self, rows: &Batch) -> Result<u64, StoreError> {
        self.runtime.block_on(self.store.import(rows))
    }
}
