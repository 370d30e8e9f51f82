//! The rights that the manual grants are exactly enough for a node.

use tokio_postgres::{Client, error::SqlState};
use tower_api_keys::{
    Authenticator, Clock, SystemClock,
    auth::{AuthErrorKind, AuthSettings},
    store::PostgresStore,
};
use tower_api_keys_conformance::check_store;

use super::{check, issue, known_key, migrated, node, revoke, server::Server, settings};

/// Runs the statements of the manual, with the schema of the tests.
pub(super) async fn grant(server: &Server) {
    let manual = include_str!("../../../docs/postgres.md");
    let statements: Vec<&str> = manual
        .split("```sql\n")
        .skip(1)
        .filter_map(|block| block.split_once("\n```").map(|(sql, _)| sql))
        .filter(|sql| sql.contains("grant "))
        .collect();
    assert_eq!(statements.len(), 1, "the manual has one block of grants");
    let in_schema = statements.join("\n").replace("api_keys.", "keys.").replace("schema api_keys ", "schema keys ");
    server.client().await.batch_execute(&in_schema).await.unwrap();
}

async fn store_as(server: &Server, role: &str) -> PostgresStore {
    PostgresStore::connect_with(&server.url().replace("admin", role), settings()).await.unwrap()
}

#[tokio::test]
async fn the_rights_of_a_node_are_enough_for_all_that_a_node_does() {
    let server = migrated().await;
    grant(&server).await;
    check_store(&store_as(&server, "keys_node").await).await.into_result().unwrap();
}

#[tokio::test]
async fn the_rights_of_a_checker_are_enough_to_check_and_for_nothing_else() {
    let server = migrated().await;
    grant(&server).await;
    let admin = node(&server).await;
    let (key, other) = (issue(&admin).await, known_key(&admin).await);
    let checker = Authenticator::new(store_as(&server, "keys_checker").await, AuthSettings::new()).unwrap();
    checker.authenticate(key.expose_secret()).await.unwrap();
    revoke(&admin, &key).await;
    assert!(checker.authenticate(key.expose_secret()).await.is_err());
    checker.authenticate(other.expose_secret()).await.unwrap();
    refused(&server, "keys_checker", &["update keys.api_keys set revoked_at = null", "delete from keys.api_keys"])
        .await;
}

/// Both lists name the same rights: each that is taken away is named, and nothing is missing before.
#[tokio::test]
async fn a_store_names_the_rights_that_its_role_lacks() {
    let server = migrated().await;
    grant(&server).await;
    let (admin, store) = (server.client().await, store_as(&server, "keys_node").await);
    assert!(store.missing_grants().await.unwrap().is_empty());
    for (taken, needed) in [
        ("insert on keys.api_key_events", "insert on \"keys\".api_key_events"),
        ("update (only_row) on keys.api_key_head", "update (only_row) on \"keys\".api_key_head"),
        ("update (paused_by) on keys.api_keys", "update (name, "),
        ("delete on keys.api_key_usage_days", "delete on \"keys\".api_key_usage_days"),
    ] {
        admin.batch_execute(&format!("revoke {taken} from keys_node")).await.unwrap();
        let missing = store.missing_grants().await.unwrap();
        let [statement] = missing.as_slice() else { panic!("{missing:?}") };
        assert!(
            statement.starts_with(&format!("grant {needed}")) && statement.ends_with(" to keys_node"),
            "{statement}"
        );
        admin.batch_execute(statement).await.unwrap();
        assert!(store.missing_grants().await.unwrap().is_empty(), "{statement}");
    }
    let lacks = store_as(&server, "keys_checker").await.missing_grants().await.unwrap();
    assert!(lacks.len() > 20 && !lacks.iter().any(|right| right.contains("select on \"keys\".api_keys ")), "{lacks:?}");
}

#[tokio::test]
async fn a_store_says_the_time_of_its_server() {
    let server = migrated().await;
    let store = store_as(&server, "admin").await;
    let (said, here) = (store.server_time().await.unwrap(), SystemClock::default().now());
    // Both read the clock of this machine.
    assert!(said.as_millis().abs_diff(here.as_millis()) < 60_000, "{said} {here}");
}

#[tokio::test]
async fn a_node_can_neither_write_the_log_nor_change_an_event_nor_delete_a_key() {
    let server = migrated().await;
    grant(&server).await;
    let statements = [
        "update keys.api_key_head set position = 0",
        "insert into keys.api_key_log (position, change) values (1, '')",
        "update keys.api_key_log set key_id = null",
        "update keys.api_key_events set actor = 'system:somebody'",
        "update keys.api_key_meta set value = ''",
        "delete from keys.api_keys",
        "truncate keys.api_keys",
        "alter table keys.api_keys disable trigger all",
        "select keys.api_key_log_move(1)",
        "select keys.api_key_log_keys('{AAAAAAAAAAAAAAAAAAAA}')",
        "select keys.api_key_log_owners('{default}', '{team}', '{engineering}')",
    ];
    refused(&server, "keys_node", &statements).await;
}

#[tokio::test]
async fn a_node_purges_no_key_that_lives_or_has_just_ended() {
    let server = migrated().await;
    grant(&server).await;
    let admin = node(&server).await;
    let (live, today, long_ago) = (known_key(&admin).await, known_key(&admin).await, known_key(&admin).await);
    revoke(&admin, &today).await;
    let sql = server.client().await;
    let ends =
        format!("update keys.api_keys set revoked_at = now() - interval '25 hours' where id = '{}'", long_ago.id());
    sql.batch_execute(&ends).await.unwrap();
    // Even if the clock of the node is far ahead.
    let all = [live.id(), today.id(), long_ago.id()].map(|id| id.to_string());
    let purge = "select keys.api_key_purge($1, now() + interval '100 years')";
    let purged = client_as(&server, "keys_node").await.query(purge, &[&all.as_slice()]).await.unwrap();
    assert_eq!(purged.iter().map(|row| row.get(0)).collect::<Vec<String>>(), [long_ago.id().to_string()]);
    check(&admin, &live).await.unwrap();
    let left = "select count(*) from keys.api_key_tombstones where id = $1 and revoked_at is not null";
    assert_eq!(sql.query_one(left, &[&long_ago.id().as_str()]).await.unwrap().get::<_, i64>(0), 1);
    refused(&server, "keys_checker", &["select keys.api_key_purge('{}', now())"]).await;
}

#[tokio::test]
async fn the_rights_that_the_manual_gives_a_service_are_enough_for_the_functions_about_owners_and_needed() {
    let server = migrated().await;
    let manual = include_str!("../../../docs/postgres.md");
    let grants = manual.split("```text\n").filter_map(|block| block.split_once("\n```").map(|(sql, _)| sql));
    let grants: Vec<&str> = grants.filter(|sql| sql.contains(" to my_service")).flat_map(str::lines).collect();
    assert_eq!(grants.len(), 4, "{grants:?}");
    let admin = server.client().await;
    admin.batch_execute("create role my_service login").await.unwrap();
    let service = client_as(&server, "my_service").await;
    let of = "'default', 'team', 'engineering'";
    let calls = [
        format!("select keys.api_key_suspend_owner({of}, 'admin')"),
        format!("select keys.api_key_reinstate_owner({of}, 'admin')"),
        format!("select keys.api_key_close_owner({of})"),
    ];
    for grant in grants {
        // The call to reinstate is left out: there is nothing to reinstate.
        for call in [&calls[0], &calls[2]] {
            is_refused(&service, call).await;
        }
        let grant = grant.replace("api_keys.", "keys.").replace("schema api_keys ", "schema keys ");
        admin.batch_execute(&grant).await.unwrap();
    }
    for call in &calls {
        assert!(service.query_one(call.as_str(), &[]).await.unwrap().get::<_, bool>(0), "{call}");
    }
    let actors = "select distinct actor from keys.api_key_events";
    assert_eq!(admin.query_one(actors, &[]).await.unwrap().get::<_, String>(0), "system:my_service");
    let statements =
        ["select * from keys.api_keys", "delete from keys.api_key_owners", "delete from keys.api_key_events"];
    refused(&server, "my_service", &statements).await;
}

#[tokio::test]
async fn tables_of_a_node_s_own_do_not_divert_the_log() {
    let server = migrated().await;
    grant(&server).await;
    let keys = node(&server).await;
    let (key, other) = (known_key(&keys).await, known_key(&keys).await);
    let client = client_as(&server, "keys_node").await;
    // A session finds its temporary tables first, unless its search path names `pg_temp` later.
    let decoys = "create temp table api_key_head (like keys.api_key_head including all); \
                  insert into pg_temp.api_key_head select * from keys.api_key_head; \
                  create temp table api_key_log (like keys.api_key_log including all); \
                  create temp table api_key_owners (like keys.api_key_owners including all); \
                  grant all on pg_temp.api_key_head, pg_temp.api_key_log, pg_temp.api_key_owners to public";
    client.batch_execute(decoys).await.unwrap();
    let position = async || {
        let row = client.query_one("select position from keys.api_key_head", &[]).await.unwrap();
        row.get::<_, i64>(0)
    };
    let before = position().await;
    let revokes = format!("update keys.api_keys set revoked_at = now() where id = '{}'", key.id());
    client.batch_execute(&revokes).await.unwrap();
    assert!(position().await > before, "the log did not move");
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
    let suspends = "select keys.api_key_suspend_owner('default', 'team', 'engineering', 'admin')";
    client.batch_execute(suspends).await.unwrap();
    assert_eq!(check(&keys, &other).await, Err(AuthErrorKind::OwnerSuspended));
}

#[tokio::test]
async fn what_writes_the_log_is_for_nobody_s_own_tables() {
    let server = migrated().await;
    grant(&server).await;
    let triggers = "select p.oid::regproc::text from pg_proc p join pg_trigger t on t.tgfoid = p.oid \
                    where p.prosecdef and p.pronamespace = 'keys'::regnamespace";
    let triggers = server.client().await.query(triggers, &[]).await.unwrap();
    assert!(triggers.len() >= 3, "triggers that write the log");
    for role in ["keys_node", "keys_checker"] {
        let client = client_as(&server, role).await;
        client.batch_execute("create temp table bait (like keys.api_keys)").await.unwrap();
        for trigger in &triggers {
            let function: &str = trigger.get(0);
            let on_bait = format!("create trigger t after delete on pg_temp.bait execute function {function}()");
            is_refused(&client, &on_bait).await;
        }
    }
}

async fn client_as(server: &Server, role: &str) -> Client {
    let url = server.url().replace("admin", role);
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

async fn refused(server: &Server, role: &str, statements: &[&str]) {
    let client = client_as(server, role).await;
    for statement in statements {
        is_refused(&client, statement).await;
    }
}

async fn is_refused(client: &Client, statement: &str) {
    let error = client.batch_execute(statement).await.expect_err(statement);
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}: {error}");
}
