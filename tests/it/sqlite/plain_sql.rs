//! Changes to the tables in plain SQL.

use tower_api_keys::{
    ApiKeys, OrganizationId, TeamId,
    auth::AuthErrorKind,
    key::{KeyId, PlaintextKey},
    record::Suspension,
    store::{Changes, Head, KeyReader, KeyStore, OwnerChange, OwnerRef, RehashedKey, SqliteStore, Write},
};

use super::{Folder, change, id, insert, revoke, sql};
use crate::support::{cheap, issue, user};

fn team(name: &str) -> OwnerRef {
    OwnerRef { organization: OrganizationId::single(), owner: TeamId::new(name).unwrap().into() }
}

/// Keys 1 and 2, one suspended team, and one active team.
async fn filled(folder: &Folder) -> SqliteStore {
    let store = SqliteStore::open(folder.file()).await.unwrap();
    for number in [1, 2] {
        store.apply(&change(number, insert(number))).await.unwrap();
    }
    let stop = |name: &str, change| Write::Owner(team(name), change);
    store.apply(&change(3, stop("suspended", OwnerChange::Suspend(Suspension::Plan)))).await.unwrap();
    store.apply(&change(4, stop("reinstated", OwnerChange::Suspend(Suspension::Plan)))).await.unwrap();
    store.apply(&change(5, stop("reinstated", OwnerChange::Reinstate(Suspension::Plan)))).await.unwrap();
    store
}

/// The changes that a statement adds to the log of a filled file, as another handle reads them.
async fn logged(statement: &str) -> Changes {
    let folder = Folder::new();
    let store = filled(&folder).await;
    let before = store.try_head().unwrap();
    assert_eq!(before.position, 3);
    sql(&folder.file()).execute_batch(statement).unwrap();
    let changes = store.changes_since(Some(before)).await.unwrap();
    if let Changes::Changed { head, .. } = &changes {
        assert_eq!(store.try_head(), Some(*head), "{statement}");
        assert_ne!(before.change, head.change, "{statement}");
    }
    changes
}

#[tokio::test]
async fn a_key_that_changes_what_it_means_is_in_the_log() {
    // All columns except the generated one, which cannot be written.
    let folder = Folder::new();
    drop(filled(&folder).await);
    let columns = "select group_concat(name, ', ') from pragma_table_info('api_keys')";
    let columns: String = sql(&folder.file()).query_row(columns, [], |row| row.get(0)).unwrap();
    let other =
        format!("insert or replace into api_keys ({columns}) select {columns} from api_keys where id like '%1'");
    for (statement, numbers) in [
        ("update api_keys set revoked_at = 7 where id like '%1'", vec![1]),
        ("update api_keys set revoked_at = 7, revoked_by = 'user:x'", vec![1, 2]),
        ("update api_keys set expires_at = 7 where id like '%2'", vec![2]),
        ("update api_keys set scopes = '' where id like '%2'", vec![2]),
        ("update api_keys set owner = 'sales' where id like '%2'", vec![2]),
        ("update api_keys set kind = 'user' where id like '%2'", vec![2]),
        ("update api_keys set organization = 'other' where id like '%2'", vec![2]),
        ("update api_keys set id = '00000000000000000003' where id like '%2'", vec![2, 3]),
        ("update or replace api_keys set id = '00000000000000000001' where id like '%2'", vec![2, 1]),
        ("delete from api_keys where id like '%2'", vec![2]),
        (&other, vec![1]),
        ("pragma recursive_triggers = on; delete from api_keys", vec![1, 2]),
        ("update api_keys set name = 'x', scopes = 'y' where id like '%1'", vec![1]),
        ("update api_keys set paused_at = 7 where id like '%1'", vec![1]),
        ("update api_keys set paused_by = 'user:x' where id like '%1'", vec![1]),
        ("update api_keys set allowed_networks = '10.0.0.0/8' where id like '%1'", vec![1]),
        ("update api_keys set limits = '60 a minute' where id like '%1'", vec![1]),
        ("update api_keys set hash = 'x' where id like '%1'", vec![1]),
        ("update api_keys set tag = x'01020304' where id like '%1'", vec![1]),
        ("update api_keys set pepper_id = 7 where id like '%2'", vec![2]),
        ("update api_keys set proof = x'00'", vec![1, 2]),
        ("update api_keys set hash = 'x', tag = x'01020304', revoked_at = 7 where id like '%1'", vec![1]),
    ] {
        let Changes::Changed { mut keys, owners, .. } = logged(statement).await else { panic!("{statement}") };
        keys.sort_unstable();
        let mut expected: Vec<_> = numbers.into_iter().map(id).collect();
        expected.sort_unstable();
        assert_eq!((keys, owners), (expected, vec![]), "{statement}");
    }
}

#[tokio::test]
async fn a_revocation_that_is_taken_back_by_hand_is_in_the_log() {
    let folder = Folder::new();
    let store = filled(&folder).await;
    store.apply(&change(6, revoke(1))).await.unwrap();
    let revoked = store.try_head();
    sql(&folder.file()).execute("update api_keys set revoked_at = null, revoked_by = null", []).unwrap();
    let Changes::Changed { keys, .. } = store.changes_since(revoked).await.unwrap() else { panic!() };
    assert_eq!(keys, [id(1)]);
}

#[tokio::test]
async fn a_key_that_means_the_same_is_not_in_the_log() {
    for statement in [
        "update api_keys set name = 'x', labels = '{\"a\":\"b\"}', version = version + 1",
        "update api_keys set hash = 'x', tag = x'01020304', pepper_id = 7, rehashes = rehashes + 1",
        "update api_keys set hash = hash, tag = tag, pepper_id = pepper_id, proof = proof",
        "update api_keys set revoked_at = revoked_at, expires_at = expires_at, scopes = scopes, owner = owner",
        "insert into api_keys (id, organization, kind, owner, name, labels, hash, tag, scopes, created_by, created_at, lineage) \
            select '00000000000000000003', organization, kind, owner, name, labels, hash, tag, scopes, created_by, \
            created_at, lineage from api_keys where id like '%1'",
        "update api_keys set imported_from = 'old', responsible = 'user:bob', lineage = 'x', \
            predecessor_expires_at = 7, grace_ends_at = 7, warned_end = 7, warned_before_ms = 7",
        "insert into api_key_usage values ('00000000000000000001', '', 'success', '', '', '', 1, 1, 1)",
        "begin; update api_keys set revoked_at = 7; rollback",
        "insert into api_key_owners values ('default', 'team', 'new', null, null, null)",
        "update api_key_owners set plan_suspended_at = plan_suspended_at",
        "delete from api_key_owners where id = 'reinstated'",
    ] {
        assert_eq!(logged(statement).await, Changes::Unchanged, "{statement}");
    }
}

#[tokio::test]
async fn a_hash_that_the_store_replaced_itself_is_not_in_the_log() {
    let folder = Folder::new();
    let store = filled(&folder).await;
    let before = store.try_head();
    let old = store.find(&id(1)).await.unwrap().unwrap().key.hash;
    let new = RehashedKey { hash: "new".into(), tag: [9; 4], pepper_id: Some(9), proof: Some(vec![9; 32]) };
    assert!(store.rehash(&id(1), &old, &new).await.unwrap());
    assert_eq!(store.try_head(), before);
}

#[tokio::test]
async fn a_hash_that_is_replaced_by_hand_is_noticed_by_nodes_that_know_the_old_text() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    let keys = ApiKeys::builder(store).hasher(cheap()).build().await.unwrap();
    let (key, other) = (issue(&keys, user("alice")).await, issue(&keys, user("alice")).await);
    let check = async |key: &PlaintextKey| {
        let checked = keys.authenticator().authenticate(key.expose_secret()).await;
        checked.map(drop).map_err(|error| error.kind())
    };
    for key in [&key, &other] {
        check(key).await.unwrap();
    }
    let file = sql(&folder.file());
    file.execute_batch("create table kept as select id, hash, tag from api_keys").unwrap();
    let take = |from: KeyId| {
        let update = "update api_keys set (hash, tag) = (select hash, tag from kept where id = ?1) where id = ?2";
        file.execute(update, [from.as_str(), key.id().as_str()]).unwrap();
    };
    take(other.id());
    assert_eq!(check(&key).await, Err(AuthErrorKind::Invalid));
    assert_eq!(check(&other).await, Ok(()));
    take(key.id());
    assert_eq!(check(&key).await, Ok(()));
}

#[tokio::test]
async fn an_owner_whose_status_changes_is_in_the_log() {
    for (statement, names) in [
        ("insert into api_key_owners values ('default', 'team', 'new', 7, null, null)", vec!["new"]),
        ("update api_key_owners set suspended_at = 7", vec!["reinstated", "suspended"]),
        ("update api_key_owners set plan_suspended_at = null where id = 'suspended'", vec!["suspended"]),
        ("update api_key_owners set closed_at = 7 where id = 'suspended'", vec!["suspended"]),
        ("update api_key_owners set id = 'new' where id = 'suspended'", vec!["new", "suspended"]),
        ("delete from api_key_owners where id = 'suspended'", vec!["suspended"]),
        (
            "insert or replace into api_key_owners values ('default', 'team', 'suspended', null, null, null)",
            vec!["suspended"],
        ),
    ] {
        let Changes::Changed { keys, mut owners, .. } = logged(statement).await else { panic!("{statement}") };
        owners.sort();
        let expected: Vec<_> = names.into_iter().map(team).collect();
        assert_eq!((keys, owners), (vec![], expected), "{statement}");
    }
}

#[tokio::test]
async fn an_organization_whose_status_changes_is_in_the_log() {
    for statement in [
        "insert into api_key_owners values ('other', 'organization', '', 7, null, null)",
        "update api_key_owners set organization = 'other', kind = 'organization', id = '' where id = 'suspended'",
    ] {
        let Changes::Changed { organizations, .. } = logged(statement).await else { panic!("{statement}") };
        assert_eq!(organizations, [OrganizationId::new("other").unwrap()], "{statement}");
    }
}

#[tokio::test]
async fn a_key_is_shown_to_people_with_times_that_they_can_read() {
    let folder = Folder::new();
    let _store = filled(&folder).await;
    let file = sql(&folder.file());
    file.execute("update api_keys set expires_at = 1772366400123", []).unwrap();
    let read = "select distinct expires_at from api_keys_readable";
    assert_eq!(file.query_row(read, [], |row| row.get::<_, String>(0)).unwrap(), "2026-03-01 12:00:00.123");
}

#[tokio::test]
async fn a_log_that_lacks_changes_resets_its_readers() {
    for statement in [
        // A text that is no id.
        "update api_keys set id = 'x' where id like '%1'",
        "update api_key_owners set kind = 'robot', suspended_at = 7",
        // Log rows that are missing, or that do not belong to this log.
        "update api_keys set revoked_at = 7; delete from api_key_log",
        "update api_keys set revoked_at = 7; delete from api_key_log where position = 4",
        "update api_keys set revoked_at = 7; update api_key_log set change = randomblob(16)",
        "update api_key_head set change = randomblob(16)",
        "update api_key_head set position = 1",
        "update api_key_head set position = 9223372036854775807",
        "update api_key_head set position = -9223372036854775808",
    ] {
        assert!(matches!(logged(statement).await, Changes::Reset { .. }), "{statement}");
    }
}

#[tokio::test]
async fn a_reader_more_than_a_thousand_changes_behind_is_reset() {
    let folder = Folder::new();
    let store = filled(&folder).await;
    let before = store.try_head();
    let many = |count: u32| {
        format!(
            "with recursive n (n) as (select 1 union all select n + 1 from n where n < {count}) \
             insert into api_key_owners select 'default', 'team', 'mass {count} ' || n, 7, null, null from n"
        )
    };
    sql(&folder.file()).execute(&many(1_000), []).unwrap();
    let Changes::Changed { head, owners, .. } = store.changes_since(before).await.unwrap() else { panic!() };
    assert_eq!((owners.len(), head.position), (1_000, 1_003));

    sql(&folder.file()).execute(&many(1), []).unwrap();
    assert!(matches!(store.changes_since(before).await.unwrap(), Changes::Reset { head } if head.position == 1_004));
    let Changes::Changed { owners, .. } = store.changes_since(Some(head)).await.unwrap() else { panic!() };
    assert_eq!(owners.len(), 1);
    assert!(matches!(store.changes_since(Some(Head::EMPTY)).await.unwrap(), Changes::Reset { .. }));
    assert!(matches!(store.changes_since(None).await.unwrap(), Changes::Reset { .. }));
}

#[tokio::test]
async fn a_log_without_its_beginning_resets_a_reader_that_saw_nothing() {
    let folder = Folder::new();
    let store = filled(&folder).await;
    assert!(matches!(store.changes_since(Some(Head::EMPTY)).await.unwrap(), Changes::Changed { .. }));
    sql(&folder.file()).execute("delete from api_key_log where position = 1", []).unwrap();
    assert!(matches!(store.changes_since(Some(Head::EMPTY)).await.unwrap(), Changes::Reset { .. }));
}
