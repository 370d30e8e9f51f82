//! Peppers: how they are introduced and made current, how wrong ones are recognized, and how a use upgrades a hash.

use std::{error::Error, iter::successors, sync::Arc, time::Duration};

use tower_api_keys::{
    ApiKeys, IssueKey,
    auth::AuthErrorKind,
    hash::{Argon2Params, HasherConfig, Pepper, PepperId, Peppers},
    key::KeyId,
    manage::{ManageErrorKind, RotateKey},
    record::KeyRow,
    store::{KeyReader, KeyStore, MemoryStore},
};

use crate::support::{
    cheap,
    hooked::{Fault, Hooked},
    issue, user,
};

pub(crate) fn pepper(byte: u8) -> Pepper {
    Pepper::from_bytes([byte; 32])
}

pub(crate) fn number(id: u32) -> PepperId {
    PepperId::new(id)
}

/// Pepper 1 is known and current.
pub(crate) fn first() -> Peppers {
    Peppers::new().with(number(1), pepper(1)).current(number(1)).unwrap()
}

/// Peppers 1 and 2 are known, and 2 is current.
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

/// Waits until the record satisfies `is_so`. A re-hash runs in the background.
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
    assert!(error.contains("pepper 1 of this node differs"), "{error}");
    cheap_node(&store, first()).await;
}

#[tokio::test]
async fn a_node_that_does_not_know_the_pepper_says_nothing_against_the_key() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&cheap_node(&store, first()).await, user("alice")).await;
    // A node that did not look at the store when it started.
    let stranger = ApiKeys::new(store.clone()).unwrap();
    let error = stranger.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::CorruptRecord);
}

/// The error that keeps a node with these peppers from starting.
async fn refused(store: &Arc<MemoryStore>, peppers: Peppers) -> String {
    node(store, peppers, Argon2Params::MACHINE_SECRET).await.unwrap_err()
}

fn known(ids: &[u8], current: Option<u32>) -> Peppers {
    let add = |peppers: Peppers, id: &u8| peppers.with(number((*id).into()), pepper(*id));
    let peppers = ids.iter().fold(Peppers::new(), add);
    match current {
        Some(id) => peppers.current(number(id)).unwrap(),
        None => peppers,
    }
}

#[tokio::test]
async fn a_node_that_lacks_the_pepper_of_new_keys_does_not_start() {
    let store = Arc::new(MemoryStore::new());
    cheap_node(&store, second()).await;
    let said = "hashed with pepper 2, which this node does not have";
    for lacking in [Peppers::none(), first(), known(&[1], None), known(&[1, 3], Some(1)), known(&[3], None)] {
        let error = refused(&store, lacking).await;
        assert!(error.contains(said), "{error}");
    }
    for knowing in [second(), known(&[1, 2], Some(1)), known(&[2], Some(2)), known(&[2], None), known(&[2, 3], Some(3))]
    {
        cheap_node(&store, knowing).await;
    }
    // The newest pepper now counts.
    assert!(refused(&store, second()).await.contains("pepper 3"));
}

#[tokio::test]
async fn a_newer_pepper_replaces_one_that_was_lost() {
    let store = Arc::new(MemoryStore::new());
    let old = issue(&cheap_node(&store, first()).await, user("alice")).await;
    let lost = issue(&cheap_node(&store, second()).await, user("alice")).await;
    let next = cheap_node(&store, known(&[1, 3], Some(3))).await;
    assert_eq!(row(&store, issue(&next, user("alice")).await.id()).await.pepper_id, Some(3));
    next.authenticator().authenticate(old.expose_secret()).await.unwrap();
    let error = next.authenticator().authenticate(lost.expose_secret()).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::CorruptRecord);
    // Now the new pepper counts.
    assert!(refused(&store, second()).await.contains("pepper 3"));
    cheap_node(&store, known(&[1, 3], Some(3))).await;
}

#[tokio::test]
async fn a_note_of_peppers_that_cannot_be_read_keeps_nodes_from_starting_and_stays_as_it_is() {
    for note in [&b"no list"[..], b"[1,", b"[-1]", b"[4294967296]", b"{}", b"null", b" ", b"\xff"] {
        let store = Arc::new(MemoryStore::new());
        let early = cheap_node(&store, Peppers::none()).await;
        store.replace_note("peppers", b"", note).await.unwrap();
        for peppers in [Peppers::none(), known(&[1], None), first()] {
            let hasher = cheap().with_peppers(peppers);
            let error = ApiKeys::builder(store.clone()).hasher(hasher).build().await.err().unwrap();
            let chain = successors(error.source(), |error| (*error).source());
            let said = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
            assert!(said.contains(r#"the note "peppers" in the store, which names"#), "{said}");
        }
        let issued = early.manager().issue(IssueKey::user(user("alice")), &crate::support::system()).await;
        assert_eq!(issued.unwrap_err().kind(), ManageErrorKind::StoreUnavailable);
        assert_eq!(store.replace_note("peppers", b"", b"").await.unwrap(), note);
    }
}

#[tokio::test]
async fn a_pepper_that_was_replaced_need_not_be_known_for_ever() {
    let store = Arc::new(MemoryStore::new());
    cheap_node(&store, first()).await;
    cheap_node(&store, second()).await;
    let retired = cheap_node(&store, known(&[2], Some(2))).await;
    assert_eq!(row(&store, issue(&retired, user("alice")).await.id()).await.pepper_id, Some(2));
}

#[tokio::test]
async fn nodes_without_any_pepper_start_and_so_does_the_first_that_has_one() {
    let store = Arc::new(MemoryStore::new());
    for peppers in [Peppers::none(), Peppers::none(), known(&[1], None), Peppers::none(), first()] {
        issue(&cheap_node(&store, peppers).await, user("alice")).await;
    }
    refused(&store, Peppers::none()).await;
}

#[tokio::test]
async fn a_node_that_started_without_the_pepper_of_others_makes_no_key() {
    let store = Arc::new(MemoryStore::new());
    let early = cheap_node(&store, Peppers::none()).await;
    let old = issue(&early, user("alice")).await;
    cheap_node(&store, first()).await;
    for without in [early, ApiKeys::new(store.clone()).unwrap()] {
        let (manager, system) = (without.manager(), crate::support::system());
        let issued = manager.issue(IssueKey::user(user("alice")), &system).await;
        assert_eq!(issued.unwrap_err().kind(), ManageErrorKind::PepperMissing);
        let rotated = manager.begin_rotation(RotateKey::of(old.id()), &system).await;
        assert_eq!(rotated.unwrap_err().kind(), ManageErrorKind::PepperMissing);
    }
    // A node that knows the pepper may create keys without it.
    issue(&cheap_node(&store, known(&[1], None)).await, user("alice")).await;
}

#[tokio::test]
async fn a_node_without_peppers_starts_while_the_store_is_down_and_asks_before_it_makes_a_key() {
    let store = Hooked::new(Arc::new(MemoryStore::new()));
    let hooks = store.hooks.clone();
    let store = Arc::new(store);
    hooks.fail("replace_note", Fault::Error, usize::MAX);
    let build = |peppers| ApiKeys::builder(store.clone()).hasher(cheap().with_peppers(peppers)).build();
    let keys = build(Peppers::none()).await.unwrap();
    assert!(build(known(&[1], None)).await.is_err());
    let (manager, system) = (keys.manager(), crate::support::system());
    let request = IssueKey::user(user("alice"));
    assert_eq!(manager.issue(request, &system).await.unwrap_err().kind(), ManageErrorKind::StoreUnavailable);
    hooks.heal();
    issue(&keys, user("alice")).await;
}

#[tokio::test]
async fn a_node_without_peppers_starts_only_on_a_store_that_did_not_answer() {
    let store = Hooked::new(Arc::new(MemoryStore::new()));
    let hooks = store.hooks.clone();
    let store = Arc::new(store);
    for (fault, starts) in [(Fault::Corrupt, false), (Fault::Error, true), (Fault::DoneUnsaid, true)] {
        hooks.fail("replace_note", fault, 1);
        assert_eq!(ApiKeys::builder(store.clone()).hasher(cheap()).build().await.is_ok(), starts);
        hooks.heal();
    }
}

#[tokio::test]
async fn nodes_that_start_at_once_note_both_peppers() {
    let store = Arc::new(MemoryStore::new());
    let nodes = [1, 2, 3, 4, 5].map(|id| {
        let (store, peppers) = (store.clone(), known(&[1, 2, 3, 4, 5], Some(id)));
        tokio::spawn(async move { cheap_node(&store, peppers).await })
    });
    for node in nodes {
        node.await.unwrap();
    }
    assert!(refused(&store, known(&[1, 2, 3, 4], Some(4))).await.contains("pepper 5"));
    assert_eq!(store.replace_note("peppers", b"", b"").await.unwrap(), b"[1,2,3,4,5]");
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

    // A node that knows both peppers and still hashes with the first.
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
    // The proof belongs to the replaced hash: one more run is needed, and none after it.
    stronger.authenticator().authenticate(key.expose_secret()).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_not_hashed_again() {
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
