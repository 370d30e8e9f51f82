//! An erased owner is in no column of a server's tables.

use tower_api_keys::store::PostgresStore;

use super::{connected, migrated, roles::grant, server::Server, settings};
use crate::erasure::{STEPS, Whom, erased_after_failures, nothing_is_left};

/// All rows of all tables of the schema, found in the catalogue.
async fn rows_of(server: &Server) -> Vec<String> {
    let sql = server.client().await;
    let tables = "select format('%I', tablename) from pg_tables where schemaname = 'keys'";
    let tables: Vec<String> = sql.query(tables, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.len() > 12);
    let mut rows = Vec::new();
    for table in tables {
        let all = format!("select '{table} ' || to_jsonb(t)::text from keys.{table} t");
        rows.extend(sql.query(&all, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    }
    rows
}

#[tokio::test]
async fn nobody_who_was_erased_is_in_a_table_of_a_server() {
    for whom in [Whom::User, Whom::Team, Whom::Organization] {
        let server = migrated().await;
        nothing_is_left(connected(&server.url()).await, whom, 3, async |_| rows_of(&server).await).await;
    }
}

/// Each step of the erasure is made to fail on the server. Then nothing is erased.
#[tokio::test]
async fn half_of_an_erasure_is_never_on_a_server() {
    for whom in [Whom::User, Whom::Organization] {
        let server = migrated().await;
        let store = connected(&server.url()).await;
        let sql = server.client().await;
        let stop = "create function keys.stop() returns trigger language plpgsql as \
            $$ begin raise exception 'stopped'; end $$";
        sql.batch_execute(stop).await.unwrap();
        let stops = async |step: &str| {
            let (act, table) = step.split_once(" on ").unwrap();
            let trigger =
                format!("create trigger stop before {act} on keys.{table} for each row execute function keys.stop()");
            sql.batch_execute(&trigger).await.unwrap();
        };
        let goes_on = async |step: &str| {
            let table = step.split_once(" on ").unwrap().1;
            sql.batch_execute(&format!("drop trigger stop on keys.{table}")).await.unwrap();
        };
        assert!(STEPS.len() > 7);
        erased_after_failures(store, whom, async |_| rows_of(&server).await, stops, goes_on).await;
    }
}

#[tokio::test]
async fn a_node_erases_with_the_rights_of_the_manual() {
    let server = migrated().await;
    grant(&server).await;
    let url = server.url().replace("admin", "keys_node");
    let store = PostgresStore::connect_with(&url, settings()).await.unwrap();
    nothing_is_left(store, Whom::User, 3, async |_| rows_of(&server).await).await;
    // The function accepts no name as the pseudonym, so it cannot put one into the trail.
    let sql = server.client().await;
    let named = "select keys.api_key_erase('default', 'user', 'bob', 'mallory')";
    assert!(sql.query(named, &[]).await.is_err());
}
