//! A store that fails: 503 as a problem, with when to ask again and what was done before.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use serde_json::json;
use tower_api_keys::store::{MemoryStore, StoreError};

use crate::{
    support::World,
    wrapped::{Fake, Wrapped},
};

/// A store that fails every call after a number of changes.
struct Failing {
    store: MemoryStore,
    changes_left: Arc<AtomicI64>,
}

impl Fake for Failing {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn around<T: Send>(
        &self,
        call: &'static str,
        pass_on: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let left = match call {
            "apply" => self.changes_left.fetch_sub(1, Ordering::SeqCst),
            _ => self.changes_left.load(Ordering::SeqCst).max(1),
        };
        if left <= 0 {
            return Err(StoreError::unavailable("10.1.2.3 is down"));
        }
        pass_on.await
    }
}

async fn failing() -> (World, Arc<AtomicI64>) {
    let changes_left = Arc::new(AtomicI64::new(i64::MAX));
    let store = Failing { store: MemoryStore::new(), changes_left: Arc::clone(&changes_left) };
    (World::over(Wrapped(store)).await, changes_left)
}

#[tokio::test]
async fn a_change_that_the_store_does_not_make_is_a_503_without_details() {
    let (world, changes_left) = failing().await;
    changes_left.store(0, Ordering::SeqCst);
    let create = json!({ "owner": { "kind": "team", "id": "engineering" } });
    let answer = world.post("alice", "/keys", create).await;
    assert_eq!((answer.refused(503), answer.header("retry-after")), ("store_unavailable".to_owned(), Some("1")));
    assert!(!answer.text.contains("10.1.2.3") && !answer.text.contains("plaintext"), "{}", answer.text);
}

#[tokio::test]
async fn many_revocations_that_stop_say_how_far_they_got() {
    let (world, changes_left) = failing().await;
    for n in 0..60 {
        world.team_key(&n.to_string()).await;
    }
    // One change revokes at most 50 keys.
    changes_left.store(1, Ordering::SeqCst);
    let all = json!({ "owner": { "kind": "team", "id": "engineering" } });
    let answer = world.post("olga", "/revocations", all).await;
    assert_eq!(answer.refused(503), "store_unavailable");
    let revoked = answer.json()["so_far"]["revoked"].as_u64().unwrap();
    assert!((1..60).contains(&revoked), "{}", answer.text);
    let live = world.get("olga", "/keys?liveness=live").await.json()["keys"].as_array().unwrap().len();
    assert_eq!(live as u64, 60 - revoked);
}
