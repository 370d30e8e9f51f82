use std::{sync::Arc, thread};

use tower_api_keys::{
    OrganizationId, Timestamp,
    store::{
        Applied, Changes, Effect, EventQuery, Head, KeyQuery, KeyReader, KeyStore, Ledger, Liveness, Prune,
        RehashedKey, SqliteStore,
    },
};

use super::{Folder, begin_and_drop, change, id, insert, now, revoke, sql};

#[tokio::test]
async fn a_key_revoked_by_another_process_is_seen_at_once() {
    let folder = Folder::new();
    let one = SqliteStore::open(folder.file()).await.unwrap();
    let other = SqliteStore::open(folder.file()).await.unwrap();
    one.apply(&change(1, insert(1))).await.unwrap();
    assert!(other.find(&id(1)).await.unwrap().is_some());
    let before = other.try_head().unwrap();
    assert_eq!(before, Head::EMPTY);

    one.apply(&change(2, revoke(1))).await.unwrap();
    let now = other.try_head().unwrap();
    assert_eq!(now, one.try_head().unwrap());
    let changed = Changes::Changed { head: now, keys: vec![id(1)], owners: vec![], organizations: vec![] };
    assert_eq!(other.changes_since(Some(before)).await.unwrap(), changed);
    assert_eq!(other.find(&id(1)).await.unwrap().unwrap().key.revoked_by.as_deref(), Some("user:bob"));
    assert_eq!(other.changes_since(Some(now)).await.unwrap(), Changes::Unchanged);
}

#[tokio::test]
async fn a_repeated_change_gets_its_first_answer_from_any_process() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    store.apply(&change(2, revoke(1))).await.unwrap();
    let again = store.apply(&change(3, revoke(1))).await.unwrap();
    assert_eq!(again, Applied { effects: vec![Effect::Unchanged] });
    let head = store.try_head();
    drop(store);

    let store = SqliteStore::open(folder.file()).await.unwrap();
    for (number, write, outcome) in
        [(1, insert(1), Effect::Changed), (2, revoke(1), Effect::Changed), (3, revoke(1), Effect::Unchanged)]
    {
        assert_eq!(store.apply(&change(number, write)).await.unwrap(), Applied { effects: vec![outcome] });
    }
    assert_eq!(store.try_head(), head);
    assert_eq!(store.events(&EventQuery::all(OrganizationId::single())).await.unwrap().rows.len(), 2);
}

#[tokio::test]
async fn a_change_whose_caller_left_is_done_whole_or_not_at_all() {
    let folder = Folder::new();
    for store in [SqliteStore::open(folder.file()).await.unwrap(), SqliteStore::in_memory().await.unwrap()] {
        // More than the queue has room for.
        for number in 1..=600 {
            begin_and_drop(store.apply(&change(number, insert(number)))).await;
            begin_and_drop(store.find(&id(number))).await;
        }
        for number in 1..=600 {
            store.apply(&change(number, insert(number))).await.unwrap();
        }
        let query = EventQuery { limit: 1_000, ..EventQuery::all(OrganizationId::single()) };
        assert_eq!(store.events(&query).await.unwrap().rows.len(), 600);
        let query = KeyQuery { limit: 1_000, ..KeyQuery::all(OrganizationId::single()) };
        assert_eq!(store.list(&query, now()).await.unwrap().rows.len(), 600);
    }
}

#[tokio::test]
async fn an_opening_whose_caller_left_holds_nothing() {
    let folder = Folder::new();
    begin_and_drop(SqliteStore::open_exclusive(folder.file())).await;
    // Each attempt waits a second for the thread, which still works on the first one.
    for _ in 0..30 {
        if SqliteStore::open_exclusive(folder.file()).await.is_ok() {
            return;
        }
    }
    panic!("the file is held by nobody's store");
}

#[test]
fn clones_may_be_used_by_many_threads_at_once() {
    const THREADS: u32 = 8;
    const CHANGES: u32 = 10;
    let folder = Folder::new();
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap());
    let store = runtime.block_on(SqliteStore::open(folder.file())).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, runtime) = (store.clone(), Arc::clone(&runtime));
            scope.spawn(move || {
                for place in 0..CHANGES {
                    let number = thread * CHANGES + place;
                    runtime.block_on(store.apply(&change(2 * number, insert(number)))).unwrap();
                    let before = store.changes_since(None);
                    let Changes::Reset { head } = runtime.block_on(before).unwrap() else { panic!() };
                    runtime.block_on(store.apply(&change(2 * number + 1, revoke(number)))).unwrap();
                    let since = runtime.block_on(store.changes_since(Some(head))).unwrap();
                    assert!(matches!(since, Changes::Changed { keys, .. } if keys.contains(&id(number))));
                    let found = runtime.block_on(store.find(&id(number))).unwrap().unwrap();
                    assert!(found.key.revoked_at.is_some());
                }
            });
        }
    });
    assert_eq!(store.try_head().unwrap().position, i64::from(THREADS * CHANGES));
    let query = EventQuery { limit: 1_000, ..EventQuery::all(OrganizationId::single()) };
    let events = runtime.block_on(store.events(&query)).unwrap().rows;
    assert!(events.is_sorted_by(|one, next| one.sequence < next.sequence));
    assert_eq!(events.len() as u32, 2 * THREADS * CHANGES);
}

#[tokio::test]
async fn the_head_of_an_exclusive_file_is_known_when_a_change_returns() {
    let folder = Folder::new();
    let store = SqliteStore::open_exclusive(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    assert_eq!(store.try_head(), Some(Head::EMPTY));
    store.apply(&change(2, revoke(1))).await.unwrap();
    let head = store.try_head().unwrap();
    assert_eq!(head.position, 1);
    assert_eq!(store.changes_since(Some(head)).await.unwrap(), Changes::Unchanged);
}

#[tokio::test]
async fn a_new_hash_is_no_change() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    let old = store.find(&id(1)).await.unwrap().unwrap().key;
    let new = RehashedKey { hash: "new".into(), tag: [1, 2, 3, 4], pepper_id: Some(7), proof: Some(vec![8]) };
    assert!(store.rehash(&id(1), &old.hash, &new).await.unwrap());
    assert!(!store.rehash(&id(1), &old.hash, &new).await.unwrap(), "the hash is another one now");
    let stands = store.find(&id(1)).await.unwrap().unwrap().key;
    let expected = RehashedKey { hash: stands.hash, tag: stands.tag, pepper_id: stands.pepper_id, proof: stands.proof };
    assert_eq!((expected, stands.version), (new.clone(), 1));
    assert_eq!(store.try_head(), Some(Head::EMPTY));

    store.apply(&change(2, revoke(1))).await.unwrap();
    assert!(!store.rehash(&id(1), "new", &RehashedKey { hash: "newer".into(), ..new }).await.unwrap());
}

#[tokio::test]
async fn ids_are_compared_byte_by_byte() {
    let store = SqliteStore::in_memory().await.unwrap();
    let [lower, upper] = ["aaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAAAAAA"];
    for (number, id) in [(1, lower), (2, upper)] {
        let row = tower_api_keys::record::KeyRow { id: id.into(), owner: id[..1].into(), ..super::key(1) };
        store.apply(&change(number, tower_api_keys::store::Write::Insert(row))).await.unwrap();
    }
    let found = store.find(&lower.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.key.id.as_str(), found.key.owner.as_str()), (lower, "a"));
    let owner = tower_api_keys::TeamId::new("A").unwrap();
    let query = KeyQuery { owners: vec![owner.into()], ..KeyQuery::all(OrganizationId::single()) };
    let listed = store.list(&query, now()).await.unwrap().rows;
    assert_eq!(listed.iter().map(|listed| listed.key.id.as_str()).collect::<Vec<_>>(), [upper]);
}

#[tokio::test]
async fn a_number_of_an_event_is_never_used_again() {
    let store = SqliteStore::in_memory().await.unwrap();
    let event = tower_api_keys::audit::EventRow::example();
    store.append_events(&[event.clone(), event.clone()]).await.unwrap();
    let all = Prune { events_before: Some(Timestamp::MAX), ..Prune::default() };
    assert_eq!(store.prune(&all).await.unwrap().events, 2);
    store.append_events(&[event]).await.unwrap();
    let events = store.events(&EventQuery::all(OrganizationId::single())).await.unwrap().rows;
    assert_eq!(events[0].sequence, 3);
}

#[tokio::test]
async fn a_restored_backup_is_noticed() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    for number in [1, 2] {
        store.apply(&change(number, insert(number))).await.unwrap();
    }
    store.apply(&change(3, revoke(1))).await.unwrap();
    let backup = folder.0.path().join("backup.db");
    sql(&folder.file()).execute("vacuum into ?1", [backup.to_str().unwrap()]).unwrap();
    store.apply(&change(4, revoke(2))).await.unwrap();
    let lost = store.try_head();
    drop(store);

    let restored = SqliteStore::open(&backup).await.unwrap();
    let Changes::Reset { head } = restored.changes_since(lost).await.unwrap() else { panic!("the head is unknown") };
    assert_eq!(head.position, 1);
    // Another change replaces the lost one.
    restored.apply(&change(5, revoke(2))).await.unwrap();
    assert_eq!(restored.try_head().unwrap().position, lost.unwrap().position);
    assert!(matches!(restored.changes_since(lost).await.unwrap(), Changes::Reset { .. }));
}

#[tokio::test]
async fn pages_of_a_long_list_leave_nothing_out() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    // Groups of keys made in the same millisecond; every third is revoked.
    let fill = "with recursive n (n) as (select 2 union all select n + 1 from n where n < 500) \
        insert into api_keys (id, organization, kind, owner, name, labels, hash, tag, scopes, created_by, created_at, \
        revoked_at, lineage) \
        select printf('%020d', n * 7919 % 500 + 1000), organization, kind, owner, name, labels, hash, tag, scopes, \
        created_by, n / 10, iif(n % 3 = 0, 1, null), lineage from api_keys, n";
    sql(&folder.file()).execute(fill, []).unwrap();
    let mut query = KeyQuery { limit: 7, liveness: Some(Liveness::Live), ..KeyQuery::all(OrganizationId::single()) };
    let mut seen = Vec::new();
    loop {
        let page = store.list(&query, now()).await.unwrap();
        seen.extend(page.rows.iter().map(|listed| (listed.key.created_at, listed.key.id.clone())));
        if !page.more {
            break;
        }
        assert_eq!(page.rows.len(), 7);
        let last = &page.rows[6].key;
        query.after = Some(tower_api_keys::store::KeyCursor {
            created_at: Timestamp::from_millis(last.created_at).unwrap(),
            expires_at: None,
            id: last.id.parse().unwrap(),
        });
    }
    assert!(seen.is_sorted_by(|one, next| one < next));
    assert_eq!(seen.len(), 1 + (2..=500).filter(|number| number % 3 != 0).count());
}
