//! Peppers: introduced, made current, told apart from wrong ones; and better hashes in passing.

use std::{sync::Arc, time::Duration};

use tower_api_keys::{
    ApiKeys,
    auth::AuthErrorKind,
    hash::{Argon2Params, HasherConfig, Pepper, PepperId, Peppers},
    key::KeyId,
    record::KeyRow,
    store::{KeyReader, MemoryStore},
};

use crate::support::{issue, user};

pub(crate) fn pepper(byte: u8) -> Pepper {
    Pepper::from_bytes([byte; 32])
}

pub(crate) fn number(id: u32) -> PepperId {
    PepperId::new(id)
}

/// Pepper 1 known and current.
pub(crate) fn first() -> Peppers {
    Peppers::new().with(number(1), pepper(1)).current(number(1)).unwrap()
}

/// Peppers 1 and 2 known, 2 current.
pub(crate) fn second() -> Peppers {
    Peppers::new().with(number(1), pepper(1)).with(number(2), pepper(2)).current(number(2)).unwrap()
}

pub(crate) type Keys = ApiKeys<Arc<MemoryStore>>;

async fn node(store: &Arc<MemoryStore>, peppers: Peppers, params: Argon2Params) -> Result<Keys, String> {
    let hasher = HasherConfig::new().with_params(params).with_peppers(peppers);
    ApiKeys::builder(store.clone()).hasher(hasher).build().await.map_err(|error| error.to_string())
}

async fn cheap_node(store: &Arc<MemoryStore>, peppers: Peppers) -> Keys {
    node(store, peppers, Argon2Params::MACHINE_SECRET).await.unwrap()
}

pub(crate) async fn row(store: &MemoryStore, id: KeyId) -> KeyRow {
    store.find(&id).await.unwrap().unwrap().key
}

/// Waits until the record is as it should be: what happens in passing happens in the background.
pub(crate) async fn until(store: &MemoryStore, id: KeyId, is_so: impl Fn(&KeyRow) -> bool) {
    let wait = async {
        while !is_so(&row(store, id).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the record was not improved");
}

#[tokio::test]
async fn a_node_with_another_pepper_does_not_start() {
    let store = Arc::new(MemoryStore::new());
    cheap_node(&store, first()).await;
    let wrong = Peppers::new().with(number(1), pepper(9)).current(number(1)).unwrap();
    let error = node(&store, wrong, Argon2Params::MACHINE_SECRET).await.unwrap_err();
    assert!(error.contains("pepper 1 is not the one"), "{error}");
    cheap_node(&store, first()).await;
}

#[tokio::test]
async fn a_node_that_does_not_know_the_pepper_says_nothing_against_the_key() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&cheap_node(&store, first()).await, user("alice")).await;
    let stranger = cheap_node(&store, Peppers::none()).await;
    let error = stranger.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::CorruptRecord);
}

#[tokio::test]
async fn a_newer_pepper_replaces_an_older_one_in_passing_and_never_the_other_way_round() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&cheap_node(&store, first()).await, user("alice")).await;
    assert_eq!(row(&store, key.id()).await.pepper_id, Some(1));

    let newer = cheap_node(&store, second()).await;
    newer.authenticator().authenticate(key.expose_secret()).await.unwrap();
    until(&store, key.id(), |row| row.pepper_id == Some(2)).await;
    let improved = row(&store, key.id()).await;
    assert_eq!(improved.version, 1);

    // A node that knows both and still hashes with the first.
    let both = Peppers::new().with(number(1), pepper(1)).with(number(2), pepper(2)).current(number(1)).unwrap();
    let older = cheap_node(&store, both).await;
    for _ in 0..3 {
        older.authenticator().authenticate(key.expose_secret()).await.unwrap();
        older.authenticator().forget_proofs();
    }
    assert_eq!(older.authenticator().argon2_runs(), 3, "only checks");
    assert_eq!(row(&store, key.id()).await, improved);
    newer.authenticator().authenticate(key.expose_secret()).await.unwrap();
}

#[tokio::test]
async fn a_stronger_cost_replaces_a_weaker_one_in_passing() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&cheap_node(&store, Peppers::none()).await, user("alice")).await;
    let stronger = node(&store, Peppers::none(), Argon2Params::new(128, 2).unwrap()).await.unwrap();
    stronger.authenticator().authenticate(key.expose_secret()).await.unwrap();
    until(&store, key.id(), |row| row.hash.starts_with("$argon2id$v=19$m=128,t=2,p=1$")).await;
    // The proof goes with the hash: one more run, and none after it.
    stronger.authenticator().authenticate(key.expose_secret()).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_not_hashed_anew() {
    let store = Arc::new(MemoryStore::new());
    let weak = cheap_node(&store, Peppers::none()).await;
    let key = issue(&weak, user("alice")).await;
    weak.manager().revoke(&key.id(), &crate::support::system()).await.unwrap();
    let before = row(&store, key.id()).await;
    let stronger = node(&store, Peppers::none(), Argon2Params::new(128, 2).unwrap()).await.unwrap();
    stronger.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
    assert_eq!(stronger.authenticator().argon2_runs(), 0);
    assert_eq!(row(&store, key.id()).await, before);
}
