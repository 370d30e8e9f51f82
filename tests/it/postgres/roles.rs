//! The rights that the manual tells to grant are enough for a node, and no more than that.

use tower_api_keys::{
    Authenticator,
    auth::AuthSettings,
    store::{PostgresStore, conformance::check_store},
};

use super::{issue, known_key, migrated, node, revoke, server::Server, settings};

/// The statements of the manual.
async fn grant(server: &Server) {
    let manual = include_str!("../../../docs/postgres.md");
    let statements: Vec<&str> = manual
        .split("```sql\n")
        .skip(1)
        .filter_map(|block| block.split_once("\n```").map(|(sql, _)| sql))
        .filter(|sql| sql.contains("grant "))
        .collect();
    assert_eq!(statements.len(), 1, "the manual has one block of grants");
    server.client().await.batch_execute(&statements.join("\n")).await.unwrap();
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

#[tokio::test]
async fn a_node_cannot_rewrite_the_log_or_the_audit_trail() {
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
        "select keys.api_key_log_key('AAAAAAAAAAAAAAAAAAAA')",
    ];
    refused(&server, "keys_node", &statements).await;
}

async fn refused(server: &Server, role: &str, statements: &[&str]) {
    let client = server.client().await;
    client.batch_execute(&format!("set role {role}")).await.unwrap();
    for statement in statements {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(
            error.code(),
            Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE),
            "{statement}: {error}"
        );
    }
}
