//! Keys in a real PostgreSQL server.

#[path = "support/postgres.rs"]
mod server;

use server::Server;
use tower_api_keys::store::{PostgresSettings, PostgresStore, conformance::check_store};

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    for settings in [PostgresSettings::new(), PostgresSettings::new().behind_pooler()] {
        let store = PostgresStore::connect_with(&server.url(), settings.schema("keys")).await.unwrap();
        check_store(&store).await.into_result().unwrap();
    }
}
