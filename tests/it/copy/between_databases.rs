//! From a real SQLite file into a real PostgreSQL server, and back.

use tempfile::TempDir;
use tower_api_keys::{
    ApiKeys,
    auth::AuthErrorKind,
    key::PlaintextKey,
    record::Suspension,
    store::{
        Ledger, PostgresSettings, PostgresStore, SqliteStore,
        transfer::{self, Batch, CopyErrorKind, PortableStore},
    },
};
use tower_api_keys_conformance::check_portable;

use super::{
    content::{all_rows, content, sample},
    stores::{Fault, Faulty},
};
use crate::{
    postgres::server::Server,
    support::{clock, issue, keys, system, team, user},
};

struct Databases {
    server: Server,
    folder: TempDir,
    postgres: PostgresStore,
}

impl Databases {
    async fn start() -> Self {
        let server = Server::start();
        let postgres = Self::schema(&server, "keys").await;
        Self { postgres, folder: tempfile::tempdir().unwrap(), server }
    }

    async fn schema(server: &Server, name: &str) -> PostgresStore {
        PostgresStore::migrate(&server.url(), name).await.unwrap();
        PostgresStore::connect_with(&server.url(), PostgresSettings::new().with_schema(name)).await.unwrap()
    }

    async fn file(&self, name: &str) -> SqliteStore {
        SqliteStore::open(self.folder.path().join(name)).await.unwrap()
    }
}

async fn check<S: Ledger>(keys: &ApiKeys<S>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    keys.authenticator().authenticate(key.expose_secret()).await.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn postgres_is_portable() {
    let databases = Databases::start().await;
    check_portable(&databases.postgres).await.into_result().unwrap();
    let settings = PostgresSettings::new().with_schema("keys").behind_pooler();
    let pooled = PostgresStore::connect_with(&databases.server.url(), settings).await.unwrap();
    check_portable(&pooled).await.into_result().unwrap();
}

#[tokio::test]
async fn a_key_of_a_file_is_accepted_from_postgres_without_being_reissued() {
    let databases = Databases::start().await;
    let (file, clock) = (databases.file("keys.db").await, clock());
    let old = keys(file.clone(), &clock).await;
    let (live, revoked) = (issue(&old, team("engineering")).await, issue(&old, team("engineering")).await);
    let suspended = issue(&old, user("alice")).await;
    for key in [&live, &revoked, &suspended] {
        assert_eq!(check(&old, key).await, Ok(()));
    }
    old.manager().revoke(&revoked.id(), &system()).await.unwrap();
    old.manager().suspend(&user("alice").into(), Suspension::Admin, &system()).await.unwrap();
    old.shutdown().await.unwrap();

    transfer::copy(&file, &databases.postgres).await.unwrap();
    let new = keys(databases.postgres.clone(), &clock).await;
    assert_eq!(check(&new, &live).await, Ok(()));
    assert_eq!(check(&new, &revoked).await, Err(AuthErrorKind::Revoked));
    assert_eq!(check(&new, &suspended).await, Err(AuthErrorKind::OwnerSuspended));
    let info = new.manager().find(&live.id(), &system()).await.unwrap();
    assert_eq!(info.usage.unwrap().successes, 1);
    new.manager().revoke(&live.id(), &system()).await.unwrap();
    assert_eq!(check(&new, &live).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_copy_there_and_back_holds_the_same() {
    let databases = Databases::start().await;
    let (file, back) = (databases.file("keys.db").await, databases.file("back.db").await);
    sample(&file).await;
    transfer::copy(&file, &databases.postgres).page_size(7).await.unwrap();
    assert_eq!(content(&databases.postgres).await, content(&file).await);
    transfer::copy(&databases.postgres, &back).page_size(5).await.unwrap();
    assert_eq!(content(&back).await, content(&file).await);
    assert_eq!(transfer::copy(&file, &databases.postgres).await.unwrap().written, 0);
}

#[tokio::test]
async fn a_copy_goes_on_after_a_failure_at_each_page() {
    let databases = Databases::start().await;
    let file = databases.file("keys.db").await;
    sample(&file).await;
    let whole = all_rows(&file).await;
    let mut imports = 0;
    loop {
        let schema = format!("keys_{imports}");
        let postgres = Databases::schema(&databases.server, &schema).await;
        let fault = if imports % 2 == 0 { Fault::ImportFails(imports) } else { Fault::ImportsWithoutAWord(imports) };
        let target = Faulty::new(postgres, fault);
        let Err(error) = transfer::copy(&file, &target).page_size(6).await else { break };
        assert_eq!(error.kind(), CopyErrorKind::Target);
        transfer::copy(&file, &target).starting_at(error.cursor().clone()).page_size(6).await.unwrap();
        assert_eq!(all_rows(&target).await, whole);
        imports += 1;
    }
    assert!(imports > 8, "the copy had {imports} pages only");
}

#[tokio::test]
async fn a_differing_row_in_postgres_is_a_conflict_and_stays() {
    let databases = Databases::start().await;
    let file = databases.file("keys.db").await;
    sample(&file).await;
    let mut keys = Vec::new();
    for rows in all_rows(&file).await {
        if let Batch::Keys(rows) = rows {
            keys.extend(rows);
        }
    }
    let mut other = keys.remove(4);
    other.scopes = "less".into();
    databases.postgres.import(&Batch::Keys(vec![other])).await.unwrap();
    let before = all_rows(&databases.postgres).await;
    let error = transfer::copy(&file, &databases.postgres).await.unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Conflict);
    assert_eq!(all_rows(&databases.postgres).await, before);
}
