//! Changes in plain SQL are noticed at once; and tests that the conformance kit cannot express.

use std::time::{Duration, Instant};

use tower_api_keys::{
    Actor, OrganizationId, Owner, TeamId, Timestamp,
    audit::EventRow,
    auth::AuthErrorKind,
    key::{KeyId, PlaintextKey},
    manage::AuditQuery,
    record::Suspension,
    store::{AuditedWrite, Change, ChangeId, KeyReader, KeyStore, Prune, RehashedKey, Write},
    usage::{UsageBatch, UsageRow},
};

use super::{check, known_key, migrated, node};

const REVOKED: Result<(), AuthErrorKind> = Err(AuthErrorKind::Revoked);
const CLOSED: Result<(), AuthErrorKind> = Err(AuthErrorKind::OwnerClosed);
const SUSPENDED: Result<(), AuthErrorKind> = Err(AuthErrorKind::OwnerSuspended);

/// A change that revokes this key.
pub(super) fn revocation_of(id: &KeyId) -> Change {
    let organization = OrganizationId::single();
    let event = EventRow { organization: organization.to_string(), key: Some(id.to_string()), ..EventRow::example() };
    let write = Write::Revoke { organization, id: *id, by: "system:test".to_owned() };
    Change {
        id: ChangeId::from_bytes([7; 16]),
        at: "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap(),
        writes: vec![AuditedWrite { write, event }],
        guards: Vec::new(),
        idempotency: None,
    }
}

/// The usage of this number of keys, these among them.
pub(super) fn usage_batch(keys: usize, sequence: i64, some: &[PlaintextKey]) -> UsageBatch {
    let ids = some.iter().map(|key| key.id().to_string()).chain((some.len()..keys).map(|key| format!("{key:020}")));
    let row = |id| UsageRow {
        key: Some(id),
        organization: None,
        outcome: "success".to_owned(),
        label: String::new(),
        client: String::new(),
        network: String::new(),
        count: 1,
        first_at: sequence,
        last_at: sequence,
    };
    UsageBatch { writer: [1; 16], sequence, rows: ids.map(row).collect(), days: Vec::new() }
}

#[tokio::test]
async fn a_key_that_plain_sql_revokes_is_refused_at_once_and_revives_with_it() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let update = |set: &str| format!("update keys.api_keys set {set} where id = '{}'", key.id());
    for _ in 0..10 {
        sql.batch_execute(&update("revoked_at = now(), revoked_by = 'system:psql'")).await.unwrap();
        assert_eq!(check(&keys, &key).await, REVOKED);
        sql.batch_execute(&update("revoked_at = null, revoked_by = null")).await.unwrap();
        assert_eq!(check(&keys, &key).await, Ok(()));
    }
}

#[tokio::test]
async fn a_key_that_plain_sql_deletes_is_refused_at_once() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    for statement in ["delete from keys.api_keys", "truncate keys.api_keys"] {
        let key = known_key(&keys).await;
        sql.batch_execute(statement).await.unwrap();
        assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Invalid), "{statement}");
    }
}

#[tokio::test]
async fn an_owner_is_suspended_and_reinstated_in_the_service_s_own_transaction() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let suspension = "select keys.api_key_suspend_owner('default', 'team', 'engineering', 'admin', '2026-01-01Z')";
    let reinstatement = "select keys.api_key_reinstate_owner('default', 'team', 'engineering', 'admin')";
    let changes = async |statement: &str| sql.query_one(statement, &[]).await.unwrap().get::<_, bool>(0);

    sql.batch_execute("begin").await.unwrap();
    assert!(changes(suspension).await);
    assert_eq!(check(&keys, &key).await, Ok(()), "nothing is committed");
    sql.batch_execute("rollback").await.unwrap();
    assert_eq!(check(&keys, &key).await, Ok(()));

    sql.batch_execute("begin").await.unwrap();
    assert!(changes(suspension).await);
    assert!(!changes(suspension).await, "suspended already");
    sql.batch_execute("commit").await.unwrap();
    assert_eq!(check(&keys, &key).await, SUSPENDED);
    assert!(changes(reinstatement).await);
    assert!(!changes(reinstatement).await, "reinstated already");
    assert_eq!(check(&keys, &key).await, Ok(()));
}

/// Action, actor, owner, and the states before and after, of all events of owners.
async fn owner_events(sql: &tokio_postgres::Client) -> Vec<[String; 5]> {
    let events = "select action, actor, organization || '/' || owner_kind || '/' || owner, coalesce(before, ''), \
                  coalesce(after, '') from keys.api_key_events where action ~ '^(owner|organization)[.]' order by sequence";
    let rows = sql.query(events, &[]).await.unwrap();
    rows.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect()
}

#[tokio::test]
async fn what_the_functions_change_about_an_owner_has_the_event_that_the_manager_writes() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let call =
        async |call: &str| sql.query_one(&format!("select keys.api_key_{call}"), &[]).await.unwrap().get::<_, bool>(0);
    let of = "'default', 'team', 'engineering'";
    for (statement, changes) in [
        (format!("suspend_owner({of}, 'plan', actor => 'user:carol')"), true),
        (format!("suspend_owner({of}, 'plan', actor => 'user:dave')"), false),
        (format!("reinstate_owner({of}, 'plan', actor => 'user:carol')"), true),
        (format!("reinstate_owner({of}, 'plan')"), false),
        (format!("suspend_owner({of}, 'admin')"), true),
        (format!("close_owner({of}, '2026-03-01 12:00Z', 'system:directory')"), true),
        (format!("close_owner({of})"), false),
        (format!("suspend_owner({of}, 'plan')"), false),
        ("suspend_owner('default', 'organization', '', 'plan')".to_owned(), true),
        ("reinstate_owner('default', 'organization', '', 'plan')".to_owned(), true),
        ("close_owner('default', 'organization', '')".to_owned(), true),
    ] {
        assert_eq!(call(&statement).await, changes, "{statement}");
    }
    sql.batch_execute("begin; select keys.api_key_close_owner('default', 'user', 'eve'); rollback").await.unwrap();
    let team = "default/team/engineering";
    let expected = [
        ["owner.suspended", "user:carol", team, "", "plan"],
        ["owner.reinstated", "user:carol", team, "plan", ""],
        ["owner.suspended", "system:admin", team, "", "admin"],
        ["owner.closed", "system:directory", team, "", ""],
        ["organization.suspended", "system:admin", "default/organization/", "", "plan"],
        ["organization.reinstated", "system:admin", "default/organization/", "plan", ""],
        ["organization.closed", "system:admin", "default/organization/", "", ""],
    ];
    assert_eq!(owner_events(&sql).await, expected);
    assert_eq!(check(&keys, &key).await, CLOSED);

    // The manager can read them, and writes the same.
    let [team, other] = ["engineering", "sales"].map(|id| Owner::from(TeamId::new(id).unwrap()));
    let (manager, carol) = (keys.manager(), Actor::system("carol").unwrap());
    manager.suspend(&other, Suspension::Plan, &carol).await.unwrap();
    manager.reinstate(&other, Suspension::Plan, &carol).await.unwrap();
    manager.close(&other, &carol).await.unwrap();
    let read = async |owner: &Owner| {
        let page = manager.events(AuditQuery::all().of(owner.clone()).oldest_first(), &carol).await.unwrap();
        assert_eq!(page.unreadable, 0);
        let events =
            page.entries.into_iter().map(|entry| entry.event).filter(|event| event.action.as_str() != "key.issued");
        events.map(|event| (event.action, event.before, event.after, event.audience)).collect::<Vec<_>>()
    };
    let (mut of_functions, of_manager) = (read(&team).await, read(&other).await);
    // Without the suspension by an admin, which the manager did not make.
    of_functions.remove(2);
    assert_eq!(of_functions, of_manager);
}

#[tokio::test]
async fn an_actor_that_no_event_could_have_is_refused() {
    let server = migrated().await;
    let sql = server.client().await;
    for actor in [
        "null",
        "''",
        "'carol'",
        "'user:'",
        "'key:short'",
        "E'user:a\nb'",
        "'system:' || repeat('x', 129)",
        "'user:' || repeat('é', 65)",
        "'user: carol'",
        "'user:carol '",
        "'system: '",
    ] {
        for call in [
            "suspend_owner('default', 'user', 'eve', 'plan',",
            "reinstate_owner('default', 'user', 'eve', 'plan',",
            "close_owner('default', 'user', 'eve',",
        ] {
            let refused = sql.batch_execute(&format!("select keys.api_key_{call} actor => {actor})")).await;
            let error = refused.expect_err(actor);
            assert!(error.as_db_error().unwrap().message().starts_with("an actor is"), "{actor}: {error}");
        }
    }
    assert!(owner_events(&sql).await.is_empty());
}

#[tokio::test]
async fn an_id_that_no_node_could_read_is_refused_and_the_longest_are_taken() {
    let server = migrated().await;
    let sql = server.client().await;
    let call = async |organization: &str, id: &str, call: &str| {
        let (name, rest) = call.split_once('(').unwrap();
        let of = format!("{organization}, 'user', {id}");
        sql.batch_execute(&format!("select keys.api_key_{name}({of}{rest}")).await
    };
    let calls = ["suspend_owner(, 'plan')", "reinstate_owner(, 'plan')", "close_owner()"];
    for id in
        ["null", "''", "' eve'", "'eve '", "' '", "E'e\nve'", "repeat('x', 129)", "repeat('é', 65)", "repeat('中', 43)"]
    {
        for of in calls {
            for (organization, user) in [("'default'", id), (id, "'eve'")] {
                let error = call(organization, user, of).await.expect_err(id);
                assert!(error.as_db_error().unwrap().message().starts_with("an id has"), "{of} {id}: {error}");
            }
        }
    }
    let owner_rows = async || sql.query("select from keys.api_key_owners", &[]).await.unwrap().len();
    assert_eq!(owner_rows().await, 0);
    assert!(owner_events(&sql).await.is_empty());
    for id in ["repeat('é', 64)", "'e ve'", "'中'"] {
        for of in calls {
            call("'default'", id, of).await.unwrap();
        }
    }
    let longest = "select keys.api_key_close_owner('default', 'user', 'eve', actor => 'user:' || repeat('é', 64))";
    sql.batch_execute(longest).await.unwrap();
    let organization = "select keys.api_key_suspend_owner('default', 'organization', 'eve', 'admin')";
    sql.batch_execute(organization).await.unwrap_err();
    assert_eq!(owner_rows().await, 4);
    // Nodes can read all of it.
    let (manager, admin) = (node(&server).await.manager().clone(), Actor::system("test").unwrap());
    let page = manager.events(AuditQuery::all(), &admin).await.unwrap();
    assert_eq!((page.entries.len(), page.unreadable), (10, 0));
}

#[tokio::test]
async fn a_hash_that_plain_sql_replaces_is_noticed_at_once() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let (key, other) = (known_key(&keys).await, known_key(&keys).await);
    let columns = "hash, tag, pepper_id, proof";
    let keep = format!("create table kept as select id, {columns} from keys.api_keys");
    sql.batch_execute(&keep).await.unwrap();
    let take = |from: &KeyId| {
        format!(
            "update keys.api_keys k set (hash, tag) = (select hash, tag from kept where id = '{from}') \
                 where k.id = '{}'",
            key.id()
        )
    };
    sql.batch_execute(&take(&other.id())).await.unwrap();
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Invalid));
    assert_eq!(check(&keys, &other).await, Ok(()));
    sql.batch_execute(&take(&key.id())).await.unwrap();
    assert_eq!(check(&keys, &key).await, Ok(()));
}

#[tokio::test]
async fn what_stands_for_the_text_of_a_key_is_in_the_log_unless_the_store_replaced_it_itself() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let (key, _other) = (known_key(&keys).await, known_key(&keys).await);
    let store = super::connected(&server.url()).await;
    let head = async || sql.query_one("select position from keys.api_key_head", &[]).await.unwrap().get::<_, i64>(0);
    for (set, steps) in [
        ("hash = 'x'", 1),
        ("tag = '\\x01020304'", 1),
        ("pepper_id = 7", 1),
        ("proof = '\\x00'", 1),
        ("hash = 'y', revoked_at = now()", 1),
        ("hash = hash, tag = tag, pepper_id = pepper_id, proof = proof", 0),
        ("hash = 'z', tag = '\\x00', rehashes = rehashes + 1", 0),
        ("name = 'x', labels = '{}'", 0),
        ("revoked_at = null", 1),
    ] {
        let before = head().await;
        sql.batch_execute(&format!("update keys.api_keys set {set} where id = '{}'", key.id())).await.unwrap();
        assert_eq!(head().await - before, steps, "{set}");
    }
    let before = head().await;
    let new = RehashedKey { hash: "new".into(), tag: [1; 4], pepper_id: None, proof: Some(vec![1]) };
    assert!(store.rehash(&key.id(), "z", &new).await.unwrap());
    assert_eq!(head().await, before);
    sql.batch_execute("update keys.api_keys set tag = '\\x05060708'").await.unwrap();
    assert_eq!(head().await, before + 2);
}

#[tokio::test]
async fn a_suspension_ends_by_itself_only_and_a_closed_owner_stays() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let call = async |call: &str| {
        sql.query_one(&format!("select keys.api_key_{call}"), &[]).await.map(|row| row.get::<_, bool>(0))
    };
    assert!(call("suspend_owner('default', 'team', 'engineering', 'plan')").await.unwrap());
    assert!(call("suspend_owner('default', 'team', 'engineering', 'admin', '1970-01-01Z')").await.unwrap());
    assert!(call("reinstate_owner('default', 'team', 'engineering', 'admin')").await.unwrap());
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::OwnerPlanSuspended));
    assert!(call("reinstate_owner('default', 'team', 'engineering', 'plan')").await.unwrap());
    assert_eq!(check(&keys, &key).await, Ok(()));
    sql.batch_execute("update keys.api_key_owners set closed_at = now()").await.unwrap();
    assert_eq!(check(&keys, &key).await, CLOSED);
    assert!(!call("suspend_owner('default', 'team', 'engineering', 'plan', '1970-01-01Z')").await.unwrap());
    assert!(!call("reinstate_owner('default', 'team', 'engineering', 'plan')").await.unwrap());
    assert!(call("suspend_owner('default', 'teams', 'engineering', 'plan')").await.is_err());
    assert!(call("reinstate_owner('default', 'team', 'engineering', 'closed')").await.is_err());
}

#[tokio::test]
async fn the_keys_of_an_owner_or_an_organization_are_ended_by_one_statement_that_everybody_can_write() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let of_owner = "where (organization, kind, owner) = ('default', 'team', 'engineering')";
    for (statement, expected) in [
        (format!("update keys.api_keys set revoked_at = now() {of_owner}"), REVOKED),
        ("insert into keys.api_key_owners values ('default', 'organization', '', now())".to_owned(), SUSPENDED),
        ("update keys.api_key_owners set closed_at = now()".to_owned(), CLOSED),
    ] {
        sql.batch_execute("truncate keys.api_key_owners").await.unwrap();
        let key = known_key(&keys).await;
        if statement.starts_with("update keys.api_key_owners") {
            let active = "insert into keys.api_key_owners values ('default', 'organization', '')";
            sql.batch_execute(active).await.unwrap();
            assert_eq!(check(&keys, &key).await, Ok(()));
        }
        assert_eq!(sql.execute(&statement, &[]).await.unwrap(), 1, "{statement}");
        assert_eq!(check(&keys, &key).await, expected, "{statement}");
        sql.batch_execute("delete from keys.api_keys").await.unwrap();
    }
}

#[tokio::test]
async fn another_organization_is_suspended_without_this_one() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let statement = "select keys.api_key_suspend_owner('other', 'organization', '', 'admin')";
    assert!(sql.query_one(statement, &[]).await.unwrap().get::<_, bool>(0));
    assert_eq!(check(&keys, &key).await, Ok(()));
}

#[tokio::test]
async fn times_are_those_of_ten_thousand_years_to_the_millisecond() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let store = super::connected(&server.url()).await;
    for (text, millis) in [
        ("1970-01-01Z", 0),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("2026-03-01T12:00:00.123456Z", 1_772_366_400_123),
        ("2026-03-01T12:00:00.9999Z", 1_772_366_401_000),
    ] {
        sql.batch_execute(&format!("update keys.api_keys set expires_at = '{text}'")).await.unwrap();
        let found = store.find(&key.id()).await.unwrap().unwrap();
        assert_eq!(found.key.expires_at, Some(millis), "{text}");
    }
    for text in ["infinity", "-infinity", "1969-12-31T23:59:59.999Z", "10000-01-01Z", "9999-12-31T23:59:59.9999Z"] {
        for column in [
            "created_at",
            "expires_at",
            "revoked_at",
            "paused_at",
            "predecessor_expires_at",
            "grace_ends_at",
            "warned_end",
        ] {
            let refused = sql.batch_execute(&format!("update keys.api_keys set {column} = '{text}'")).await;
            assert!(refused.is_err(), "{column} = {text}");
        }
        let refused = format!("insert into keys.api_key_owners values ('default', 'team', 'blue', '{text}')");
        assert!(sql.batch_execute(&refused).await.is_err(), "{text}");
    }
}

#[tokio::test]
async fn what_changes_the_meaning_of_a_key_is_in_the_log_and_nothing_else() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let position =
        async || sql.query_one("select position from keys.api_key_head", &[]).await.unwrap().get::<_, i64>(0);
    for (change, steps) in [
        ("paused_at = now()", 1),
        ("paused_by = 'user:bob'", 1),
        ("allowed_networks = '{10.0.0.0/8}'", 1),
        ("limits = '60 a minute'", 1),
        ("scopes = '{read}'", 1),
        ("labels = '{\"a\": \"b\"}'", 0),
        ("imported_from = 'old', responsible = 'user:bob', name = 'x'", 0),
    ] {
        let before = position().await;
        sql.batch_execute(&format!("update keys.api_keys set {change} where id = '{}'", key.id())).await.unwrap();
        assert_eq!(position().await - before, steps, "{change}");
    }
}

#[tokio::test]
async fn each_column_says_what_it_is() {
    let server = migrated().await;
    let silent = "select string_agg(attname, ' ') from pg_attribute a join pg_class c on c.oid = attrelid \
        where relnamespace = 'keys'::regnamespace and relname in ('api_keys', 'api_key_owners') and attnum > 0 \
            and col_description(attrelid, attnum) is null";
    let silent = server.client().await.query_one(silent, &[]).await.unwrap().get::<_, Option<String>>(0);
    // Only columns with a well-known meaning have no comment.
    assert_eq!(silent.as_deref(), Some("organization created_at"));
}

#[tokio::test]
async fn stores_in_two_schemas_know_nothing_of_each_other() {
    let server = migrated().await;
    tower_api_keys::store::PostgresStore::migrate(&server.url(), "other").await.unwrap();
    let settings = tower_api_keys::store::PostgresSettings::new().with_schema("other");
    let other = tower_api_keys::store::PostgresStore::connect_with(&server.url(), settings).await.unwrap();
    let (one, other) = (node(&server).await, super::node_of(other, tower_api_keys::auth::Freshness::Strict).await);
    let key = known_key(&one).await;
    assert_eq!(check(&other, &key).await, Err(AuthErrorKind::Invalid));
    let its_own = known_key(&other).await;
    super::revoke(&one, &key).await;
    assert_eq!((check(&one, &key).await, check(&other, &its_own).await), (REVOKED, Ok(())));
}

#[tokio::test]
async fn every_statement_that_revokes_is_noticed() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let version = sql.query_one("select current_setting('server_version_num')::integer", &[]).await.unwrap();
    let mut statements = vec![
        "update keys.api_keys k set revoked_at = now() from (values ('{id}')) as v (id) where k.id = v.id",
        "insert into keys.api_keys select * from keys.api_keys where id = '{id}' \
         on conflict (id) do update set revoked_at = now()",
        "with revoked as (update keys.api_keys set revoked_at = now() where id = '{id}' returning 1) select 1",
    ];
    // Older servers have no `merge`.
    if version.get::<_, i32>(0) >= 150_000 {
        statements.push(
            "merge into keys.api_keys k using (values ('{id}')) as v (id) on k.id = v.id \
             when matched then update set revoked_at = now()",
        );
    }
    let bystander = known_key(&keys).await;
    for statement in statements {
        let key = known_key(&keys).await;
        sql.batch_execute(&statement.replace("{id}", key.id().as_str())).await.unwrap();
        assert_eq!(check(&keys, &key).await, REVOKED, "{statement}");
        assert_eq!(check(&keys, &bystander).await, Ok(()), "{statement}");
    }
}

#[tokio::test]
async fn twenty_thousand_keys_are_revoked_by_one_statement_in_time() {
    let server = migrated().await;
    let (one, other, sql) = (node(&server).await, node(&server).await, server.client().await);
    let key = known_key(&one).await;
    assert_eq!(check(&other, &key).await, Ok(()));
    let copies = "insert into keys.api_keys \
                  select (jsonb_populate_record(k, jsonb_build_object('id', lpad(n::text, 20, 'A')))).* \
                  from keys.api_keys k, generate_series(1, 20000) n";
    assert_eq!(sql.execute(copies, &[]).await.unwrap(), 20_000);
    let begun = Instant::now();
    assert_eq!(sql.execute("update keys.api_keys set revoked_at = now()", &[]).await.unwrap(), 20_001);
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    for keys in [&one, &other] {
        assert_eq!(check(keys, &key).await, REVOKED);
    }
}

#[tokio::test]
async fn a_suspension_with_something_missing_is_an_error_and_nothing_is_done() {
    let server = migrated().await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let key = known_key(&keys).await;
    let state = async || {
        let both = "select position, (select count(*) from keys.api_key_owners) from keys.api_key_head";
        let row = sql.query_one(both, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    let before = state().await;
    for arguments in [
        "'default', 'team', 'engineering', null",
        "'default', 'team', 'engineering', 'suspended', null",
        "'default', 'team', 'engineering', 'plan', null",
        "'default', null, 'engineering', 'suspended'",
        "'default', 'team', null, 'suspended'",
        "null, 'team', 'engineering', 'suspended'",
    ] {
        let suspended = sql.batch_execute(&format!("select keys.api_key_suspend_owner({arguments})")).await;
        assert!(suspended.is_err(), "{arguments}");
        assert_eq!(state().await, before, "{arguments}");
    }
    assert_eq!(check(&keys, &key).await, Ok(()));
}

#[tokio::test]
async fn one_call_forgets_ten_thousand_events_and_the_next_one_more() {
    let server = migrated().await;
    let (store, sql) = (super::connected(&server.url()).await, server.client().await);
    let events = "insert into keys.api_key_events (organization, at, actor, action, owner_kind, owner) \
                  select 'default', to_timestamp(n), 'system:test', 'key.revoked', 'team', 'engineering' \
                  from generate_series(1, 10500) n";
    sql.execute(events, &[]).await.unwrap();
    let noon = "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap();
    let old = Prune { events_before: Some(noon), ..Prune::default() };
    let mut forgotten = Vec::new();
    for _ in 0..100 {
        forgotten.push(store.prune(&old).await.unwrap().events);
    }
    assert!(forgotten.iter().all(|events| *events <= 10_000), "{forgotten:?}");
    assert_eq!(forgotten.iter().sum::<u64>(), 10_500);
}

#[tokio::test]
async fn a_schema_one_version_newer_is_used_as_it_is_and_two_are_refused() {
    let server = migrated().await;
    let sql = server.client().await;
    sql.batch_execute("insert into keys.api_key_schema (version) values (2)").await.unwrap();
    known_key(&node(&server).await).await;
    sql.batch_execute("insert into keys.api_key_schema (version) values (3)").await.unwrap();
    let error = tower_api_keys::store::PostgresStore::connect_with(&server.url(), super::settings()).await.unwrap_err();
    assert_eq!(error.kind(), tower_api_keys::store::PostgresErrorKind::Schema);
}
