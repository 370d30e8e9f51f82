use std::{sync::Arc, time::Duration};

use super::StreamEnd;
use crate::{
    Actor, ApiKeys, IssueKey, UserId,
    auth::{AuthErrorKind, Authenticator},
    hash::Argon2Params,
    key::KeyId,
    principal::Principal,
    store::MemoryStore,
};

type Keys = ApiKeys<Arc<MemoryStore>>;

async fn keys() -> Keys {
    let builder = ApiKeys::builder(Arc::new(MemoryStore::new()));
    builder.params(Argon2Params::MACHINE_SECRET).build().await.unwrap()
}

async fn caller(keys: &Keys) -> Principal {
    let request = IssueKey::user(UserId::new("alice").unwrap());
    let issued = keys.manager().issue(request, &Actor::system("test").unwrap()).await.unwrap();
    keys.authenticator().authenticate(issued.plaintext().expose_secret()).await.unwrap()
}

async fn revoke(keys: &Keys, id: &KeyId) {
    keys.manager().revoke(id, &Actor::system("test").unwrap()).await.unwrap();
}

fn count<R>(of: &Authenticator<R>) -> (usize, usize, bool) {
    of.0.watching.streams().count()
}

/// Lets the task see that no stream waits.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(60)).await;
}

#[tokio::test]
async fn a_watcher_that_is_dropped_frees_its_place_at_once_and_the_last_ends_the_task() {
    let keys = keys().await;
    let (one, two) = (caller(&keys).await, caller(&keys).await);
    let authenticator = keys.authenticator();
    tokio::time::pause();
    // A future that was not polled has no place.
    drop(authenticator.until_refused(&one));
    assert_eq!(count(&authenticator), (0, 0, false));
    let mut streams: Vec<_> = (0..10_000)
        .map(|number| Box::pin(authenticator.until_refused(if number % 2 == 0 { &one } else { &two })))
        .collect();
    for stream in &mut streams {
        assert!(futures_util::poll!(stream).is_pending());
    }
    assert_eq!(count(&authenticator), (10_000, 2, true));
    settle().await;
    streams.truncate(5_001);
    assert_eq!(count(&authenticator), (5_001, 2, true));
    revoke(&keys, one.key_id()).await;
    settle().await;
    assert_eq!(count(&authenticator), (2_500, 1, true), "those of the other key are left");
    streams.clear();
    assert_eq!(count(&authenticator).0, 0);
    settle().await;
    assert_eq!(count(&authenticator), (0, 0, false));
    // A new one is told like the first one.
    let end = tokio::spawn(authenticator.until_refused(&two));
    settle().await;
    revoke(&keys, two.key_id()).await;
    let end = end.await.unwrap();
    assert!(matches!(&end, StreamEnd::Refused(error) if error.kind() == AuthErrorKind::Revoked), "{end:?}");
    settle().await;
    assert_eq!(count(&authenticator), (0, 0, false));
}

#[tokio::test]
async fn what_waits_keeps_neither_the_authenticator_nor_the_store() {
    let store = Arc::new(MemoryStore::new());
    let builder = ApiKeys::builder(Arc::clone(&store));
    let keys = builder.params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    let caller = caller(&keys).await;
    tokio::time::pause();
    let (late, end) = (keys.authenticator().until_refused(&caller), keys.authenticator().until_refused(&caller));
    let end = tokio::spawn(end);
    settle().await;
    drop(keys);
    for end in [end.await.unwrap(), late.await] {
        let StreamEnd::Unsure(error) = end else { panic!("{end:?}") };
        assert_eq!(error.kind(), AuthErrorKind::StoreUnavailable);
        let why = std::error::Error::source(&error).and_then(|store| store.source()).unwrap().to_string();
        assert_eq!(why, "the authenticator was dropped");
    }
    // Background work ends by itself.
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    assert_eq!(Arc::strong_count(&store), 1);
}

#[test]
fn without_a_runtime_or_its_time_nobody_can_say() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (keys, caller) = runtime.block_on(async {
        let keys = keys().await;
        let caller = caller(&keys).await;
        (keys, caller)
    });
    let timeless = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let authenticator = keys.authenticator();
    let ends = [
        futures_util::FutureExt::now_or_never(authenticator.until_refused(&caller)).unwrap(),
        timeless.block_on(authenticator.until_refused(&caller)),
    ];
    assert!(ends.iter().all(StreamEnd::is_temporary), "{ends:?}");
    assert_eq!(count(&authenticator).0, 0);
}

#[test]
fn a_stream_outlives_the_runtime_in_which_the_task_began() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let second = runtime();
    for is_dropped in [true, false] {
        let (keys, callers) = second.block_on(async {
            let keys = keys().await;
            let callers = [caller(&keys).await, caller(&keys).await];
            (keys, callers)
        });
        let authenticator = keys.authenticator();
        let first = runtime();
        let mut of_first = Box::pin(authenticator.until_refused(&callers[0]));
        first.block_on(async { assert!(futures_util::poll!(&mut of_first).is_pending()) });
        // Nothing drives it any more.
        let _stands_still = if is_dropped { None } else { Some(first) };
        second.block_on(async {
            tokio::time::pause();
            let mut end = Box::pin(authenticator.until_refused(&callers[1]));
            assert!(futures_util::poll!(&mut end).is_pending());
            // Longer than any request waits for the store.
            assert!(tokio::time::timeout(Duration::from_secs(10), &mut end).await.is_err());
            revoke(&keys, callers[1].key_id()).await;
            let end = tokio::time::timeout(Duration::from_millis(50), end).await.unwrap();
            assert!(matches!(end, StreamEnd::Refused(_)), "{end:?}");
            tokio::time::resume();
        });
    }
}

/// While the store is silent, clients come back again and again, each with a key that has to be checked.
#[tokio::test]
async fn what_came_and_went_leaves_nothing_behind() {
    let keys = keys().await;
    let (one, two) = (caller(&keys).await, caller(&keys).await);
    tokio::time::pause();
    let authenticator = keys.authenticator();
    authenticator.forget_proofs();
    let mut lasting = Box::pin(authenticator.until_refused(&one));
    assert!(futures_util::poll!(&mut lasting).is_pending());
    for _ in 0..1_000 {
        for caller in [&one, &two] {
            let mut stream = Box::pin(authenticator.until_refused(caller));
            assert!(futures_util::poll!(&mut stream).is_pending());
        }
        // This asserts that no key is due twice.
        assert_eq!(count(&authenticator), (1, 1, true));
    }
    drop(lasting);
    assert_eq!(count(&authenticator).0, 0);
}
