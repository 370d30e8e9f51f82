//! Purged keys: their texts are refused, their ids cannot be used again, and answers about other keys stay complete.

use std::time::Duration;

use tower_api_keys::{
    Actor, ApiKeys, ManualClock,
    auth::AuthErrorKind,
    key::{KeyId, PlaintextKey},
    manage::{AuditQuery, ManageErrorKind, RevokeMany, Rights, RotateKey},
    record::KeyRow,
    store::{
        AuditedWrite, Change, ChangeId, Conflict, DeadKeys, KeyReader, KeyStore, Ledger, MemoryStore, Prune,
        SqliteStore, StoreErrorKind, UsageScope, Write,
        transfer::{self, Batch, Cursor, PortableStore},
    },
};

use crate::support::{clock, issue, keys, secrets, system, user, wrong_secret};

const DAY: Duration = Duration::from_secs(86_400);

/// Purges keys that ended more than a day before the clock's time, and their counts.
async fn purge<S: Ledger>(store: &S, clock: &ManualClock) -> u64 {
    use tower_api_keys::Clock;
    let at = clock.now();
    let keys = DeadKeys { ended_before: at.saturating_sub(DAY), most: u64::MAX, at };
    let prune = Prune { keys: Some(keys), usage_after: Some(KeyId::LEAST), ..Prune::default() };
    store.prune(&prune).await.unwrap().keys
}

async fn refusal<S: Ledger>(keys: &ApiKeys<S>, text: &str) -> AuthErrorKind {
    keys.authenticator().authenticate(text).await.unwrap_err().kind()
}

/// The result of inserting this row.
async fn inserted<S: KeyStore>(store: &S, row: KeyRow) -> Result<(), StoreErrorKind> {
    let write = Write::Insert(row);
    let event = tower_api_keys::audit::EventRow::example();
    let change = Change {
        id: ChangeId::from_bytes([9; 16]),
        at: crate::support::noon(),
        writes: vec![AuditedWrite { write, event }],
        guards: Vec::new(),
        idempotency: None,
    };
    store.apply(&change).await.map(drop).map_err(|error| error.kind())
}

/// From the revocation until only the id is left. `again` opens the same store, as after a restart.
async fn a_purged_key_stays_dead<S: PortableStore + Clone>(store: S, again: impl AsyncFn(S) -> S) {
    let clock = clock();
    let first = keys(store.clone(), &clock).await;
    let (dead, live) = (issue(&first, user("alice")).await, issue(&first, user("alice")).await);
    let unknown = { issue(&keys(MemoryStore::new(), &clock).await, user("alice")).await };
    for key in [&dead, &live] {
        first.authenticator().authenticate(key.expose_secret()).await.unwrap();
    }
    first.flush_usage().await.unwrap();
    let row = store.find(&dead.id()).await.unwrap().unwrap().key;
    first.manager().revoke(&dead.id(), &system()).await.unwrap();
    assert_eq!(refusal(&first, dead.expose_secret()).await, AuthErrorKind::Revoked);
    assert_eq!(purge(&store, &clock).await, 0, "not yet");
    clock.advance(DAY + Duration::from_millis(1));
    assert_eq!(purge(&store, &clock).await, 1);

    // The answer is that for an unknown key: at once on the node with the key in its cache, and after a restart.
    let expected = refusal(&first, unknown.expose_secret()).await;
    assert_eq!(refusal(&first, dead.expose_secret()).await, expected);
    assert_eq!(refusal(&first, &wrong_secret(&dead)).await, expected);
    first.shutdown().await.unwrap();
    let store = again(store).await;
    let second = keys(store.clone(), &clock).await;
    assert_eq!(refusal(&second, dead.expose_secret()).await, expected);
    second.authenticator().authenticate(live.expose_secret()).await.unwrap();

    let manager = second.manager();
    assert_eq!(manager.find(&dead.id(), &system()).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    assert_eq!(manager.explain(&dead.id(), &system()).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    assert_eq!(manager.revoke(&dead.id(), &system()).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    assert!(manager.identify(dead.expose_secret(), &system()).await.unwrap().keys.is_empty());
    let trail = manager.events(AuditQuery::all().of_key(dead.id()), &system()).await.unwrap();
    assert_eq!(trail.entries.first().unwrap().event.action.as_str(), "key.purged");
    second.flush_usage().await.unwrap();
    purge(&store, &clock).await;
    assert!(store.usage(&UsageScope::Keys(vec![dead.id()])).await.unwrap().is_empty());

    // No id can be used twice: not by a change, not by an import, and not in a copy of the store.
    let taken = Err(StoreErrorKind::Conflict(Conflict::IdTaken));
    assert_eq!(inserted(&store, row.clone()).await, taken);
    store.import(&Batch::Keys(vec![row.clone()])).await.unwrap_err();
    let copy = MemoryStore::new();
    transfer::copy(&store, &copy).await.unwrap();
    assert_eq!(inserted(&copy, row.clone()).await, taken);
    let Batch::Tombstones(left) = store.export(&Cursor::Tombstones(None), 9).await.unwrap().rows else { panic!() };
    assert_eq!(left.len(), 1);
    assert_eq!((&*left[0].id, left[0].revoked_at.is_some()), (dead.id().as_str(), true));
    assert_eq!(refusal(&second, dead.expose_secret()).await, expected);
}

#[tokio::test]
async fn a_purged_key_stays_dead_in_memory() {
    a_purged_key_stays_dead(std::sync::Arc::new(MemoryStore::new()), async |store| store).await;
}

#[tokio::test]
async fn a_purged_key_stays_dead_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let again = async |store: SqliteStore| {
        drop(store);
        SqliteStore::open(&path).await.unwrap()
    };
    a_purged_key_stays_dead(store, again).await;
}

/// A deletion in plain SQL also keeps the id.
#[tokio::test]
async fn the_id_of_a_deleted_row_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let service = keys(store.clone(), &clock()).await;
    let key = issue(&service, user("alice")).await;
    let row = store.find(&key.id()).await.unwrap().unwrap().key;
    rusqlite::Connection::open(&path).unwrap().execute("delete from api_keys", []).unwrap();
    assert_eq!(refusal(&service, key.expose_secret()).await, AuthErrorKind::Invalid);
    assert_eq!(inserted(&store, row).await, Err(StoreErrorKind::Conflict(Conflict::IdTaken)));
}

#[tokio::test]
async fn a_rotation_is_told_of_as_long_as_one_of_its_keys_needs_it() {
    let (store, clock) = (std::sync::Arc::new(MemoryStore::new()), clock());
    let service = keys(std::sync::Arc::clone(&store), &clock).await;
    let manager = service.manager();
    let mut chain = vec![issue(&service, user("alice")).await];
    for _ in 0..2 {
        let old = chain.last().unwrap().id();
        let alice = Actor::user(user("alice"), Rights::none());
        let begun = manager.begin_rotation(RotateKey::of(old), &alice).await.unwrap();
        let new: PlaintextKey = begun.into_plaintext();
        secrets::remember(new.expose_secret());
        service.authenticator().authenticate(new.expose_secret()).await.unwrap();
        service.flush_usage().await.unwrap();
        // During a rotation nothing is purged, however long it takes.
        clock.advance(DAY * 3);
        let before = manager.rotation(&new.id(), &alice).await.unwrap();
        assert_eq!(manager.find(&old, &alice).await.unwrap().successor, Some(new.id()));
        manager.revoke(&old, &system()).await.unwrap();
        clock.advance(DAY * 3);
        purge(&*store, &clock).await;
        let after = manager.rotation(&new.id(), &alice).await.unwrap();
        assert_eq!((before.old.id, after.old.id), (old, old));
        manager.explain(&new.id(), &alice).await.unwrap();
        manager.find(&old, &alice).await.unwrap();
        chain.push(new);
    }
    // The first key is gone. Its successor, which is dead, is still shown with the live key.
    let ids: Vec<KeyId> = chain.iter().map(PlaintextKey::id).collect();
    assert_eq!(manager.find(&ids[0], &system()).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    let told = manager.rotation(&ids[1], &system()).await.unwrap();
    assert_eq!((told.old.id, told.new.id), (ids[1], ids[2]));
    manager.explain(&ids[1], &system()).await.unwrap();
    let row = store.find(&ids[2]).await.unwrap().unwrap().key;
    assert_eq!(row.lineage, ids[0].as_str(), "what stays the same through rotations");
    manager.revoke(&ids[2], &system()).await.unwrap();
    clock.advance(DAY * 3);
    assert_eq!(purge(&*store, &clock).await, 2);
}

#[tokio::test]
async fn what_a_dead_key_made_is_found_by_it_as_long_as_it_lives() {
    let (store, clock) = (std::sync::Arc::new(MemoryStore::new()), clock());
    let service = keys(std::sync::Arc::clone(&store), &clock).await;
    let manager = service.manager();
    // A key cannot create a key that creates keys. But other actors may say that one key was created with another.
    let id = |number: usize| format!("{number:0>20}");
    let row = |number: usize| KeyRow {
        id: id(number),
        lineage: id(number),
        created_via_key: number.checked_sub(1).map(id),
        revoked_at: (number < 3).then(|| crate::support::noon().as_millis()),
        ..KeyRow::example()
    };
    store.import(&Batch::Keys((0..4).map(row).collect())).await.unwrap();
    let ids: Vec<KeyId> = (0..4).map(|number| KeyId::new(&id(number)).unwrap()).collect();
    clock.advance(DAY * 3);
    assert_eq!(purge(&*store, &clock).await, 0, "the last one lives, and each was made with the one before");
    let report = manager.revoke_many(RevokeMany::key_and_made(ids[0]), &system()).await.unwrap();
    assert_eq!((report.matched, report.revoked, report.already_dead), (4, 1, 3));
    clock.advance(DAY * 3);
    let mut turns = Vec::new();
    for _ in 0..5 {
        turns.push(purge(&*store, &clock).await);
    }
    assert_eq!(turns, [1, 1, 1, 1, 0]);
}
