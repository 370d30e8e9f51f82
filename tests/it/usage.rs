//! What is counted, and that it is counted once.

use std::sync::Arc;

use tower_api_keys::{
    OrganizationId,
    store::{KeyQuery, Ledger, ListedKey, MemoryStore},
};

use crate::support::{
    clock,
    hooked::{Fault, Hooked},
    issue, keys, noon, system, user,
};

async fn listed(store: &impl Ledger) -> ListedKey {
    let page = store.list(&KeyQuery::all(OrganizationId::single()), noon()).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    page.rows.into_iter().next().unwrap()
}

#[tokio::test]
async fn successes_and_failures_are_counted_apart() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let key = issue(&keys, user("alice")).await;
    for _ in 0..3 {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    }
    clock.advance(std::time::Duration::from_secs(1));
    keys.manager().revoke(&key.id(), &system()).await.unwrap();
    for _ in 0..2 {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
    }
    keys.shutdown().await.unwrap();
    let usage = listed(&store).await.usage;
    assert_eq!((usage.successes, usage.last_success_at), (3, Some(noon())));
    let later = noon().saturating_add(std::time::Duration::from_secs(1));
    assert_eq!((usage.failures, usage.last_failure_at), (2, Some(later)));
}

#[tokio::test]
async fn a_repeated_flush_counts_once() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    // It was written, and nobody said so.
    hooks.fail("record_usage", Fault::DoneUnsaid, 2);
    keys.flush_usage().await.unwrap_err();
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    keys.flush_usage().await.unwrap_err();
    keys.flush_usage().await.unwrap();
    assert_eq!(listed(&store).await.usage.successes, 2);
}

#[tokio::test]
async fn a_flush_that_fails_loses_nothing() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, user("alice")).await;
    for fault in [Fault::Error, Fault::Panic] {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
        hooks.fail("record_usage", fault, 1);
        keys.flush_usage().await.unwrap_err();
    }
    keys.shutdown().await.unwrap();
    assert_eq!(listed(&store).await.usage.successes, 2);
}

#[tokio::test]
async fn usage_is_written_at_its_interval() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    // From here on the clock of the runtime jumps to whatever waits for it.
    tokio::time::pause();
    while hooks.count("record_usage") == 0 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(listed(&store).await.usage.successes, 1);
}

#[tokio::test]
async fn usage_never_touches_the_record() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    let before = listed(&store).await.key;
    // The key is revoked between its last use and the flush that tells of it.
    keys.manager().revoke(&key.id(), &system()).await.unwrap();
    keys.flush_usage().await.unwrap();
    let after = listed(&store).await.key;
    assert!(before.revoked_at.is_none() && after.revoked_at.is_some());
    assert_eq!(after.version, before.version);
}

#[tokio::test]
async fn many_tasks_are_counted_exactly() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let key = Arc::new(issue(&keys, user("alice")).await);
    let tasks = (0..8).map(|_| {
        let (keys, key) = (keys.clone(), key.clone());
        tokio::spawn(async move {
            for _ in 0..500 {
                keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
                keys.flush_usage().await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    keys.shutdown().await.unwrap();
    assert_eq!(listed(&store).await.usage.successes, 4_000);
}
