//! An error says everything once: no cause repeats the message above it.

use std::{error::Error, sync::Arc, time::Duration};

use tower_api_keys::{
    ApiKeys, Authenticator, IssueKey,
    auth::AuthSettings,
    hash::{Pepper, PepperId, Peppers},
    key::KeyFormat,
    manage::{RevokeMany, RotateKey},
    store::{KeyReader, KeyStore, MemoryStore, SqliteStore, transfer::copy},
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked},
    issue, keys, secrets, system, user,
};

/// The messages of an error and its causes, from outside to inside.
fn links(error: &dyn Error) -> Vec<String> {
    let (mut links, mut cause) = (Vec::new(), Some(error));
    while let Some(error) = cause {
        links.push(error.to_string());
        cause = error.source();
    }
    links
}

/// The sentences of a text, and the parts of sentences that have a meaning alone.
fn sentences(text: &str) -> impl Iterator<Item = String> {
    text.split([':', ';']).map(|part| part.trim().to_lowercase()).filter(|part| !part.is_empty())
}

fn assert_says_things_once(error: &dyn Error) {
    let links = links(error);
    println!("{}", links.join(" > "));
    for (place, link) in links.iter().enumerate() {
        for inner in links.iter().skip(place + 1) {
            assert!(!link.contains(inner.as_str()), "`{link}` repeats `{inner}` in {links:#?}");
        }
    }
    let mut all: Vec<String> = links.iter().flat_map(|link| sentences(link)).collect();
    let told = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), told, "a sentence is said twice in {links:#?}");
}

#[tokio::test]
async fn errors_of_a_check_say_things_once() {
    for call in ["changes_since", "find"] {
        for fault in [Fault::Corrupt, Fault::Error, Fault::Hang, Fault::Panic] {
            let store = Arc::new(MemoryStore::new());
            let key = issue(&keys(store.clone(), &clock()).await, user("alice")).await;
            let hooked = Hooked::new(store);
            hooked.hooks.fail(call, fault, usize::MAX);
            let authenticator = Authenticator::new(hooked, AuthSettings::new().with_hasher(cheap())).unwrap();
            tokio::time::pause();
            for _ in 0..3 {
                assert_says_things_once(&authenticator.authenticate(key.expose_secret()).await.unwrap_err());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            tokio::time::resume();
        }
    }
}

#[tokio::test]
async fn errors_about_texts_and_records_say_things_once() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&keys(store.clone(), &clock()).await, user("alice")).await;
    let hooked = Hooked::new(store);
    let hooks = hooked.hooks.clone();
    let format = KeyFormat::unbranded().with_foreign_prefix("ghp_", "another service").unwrap();
    let settings = AuthSettings::new().with_hasher(cheap()).with_format(format);
    let authenticator = Authenticator::new(hooked, settings).unwrap();
    for text in ["", "$API_KEY", "user.short", "ghp_0123456789", "\u{201c}user.\u{201d}", &"x".repeat(5_000)] {
        assert_says_things_once(&authenticator.authenticate(text).await.unwrap_err());
    }
    let alterations: [fn(&mut tower_api_keys::store::FoundKey); 5] = [
        |found| found.key.scopes = "two  spaces".into(),
        |found| found.key.hash = "no hash".into(),
        |found| found.key.kind = "robot".into(),
        |found| found.key.id = "AAAAAAAAAAAAAAAAAAAB".into(),
        |found| found.key.created_at = i64::MAX,
    ];
    for alter in alterations {
        hooks.alter(alter);
        assert_says_things_once(&authenticator.authenticate(key.expose_secret()).await.unwrap_err());
    }
}

#[tokio::test]
async fn errors_of_a_manager_say_things_once() {
    for fault in [Fault::Corrupt, Fault::Error, Fault::Hang, Fault::Panic] {
        let hooked = Hooked::new(MemoryStore::new());
        let hooks = hooked.hooks.clone();
        let keys = keys(hooked, &clock()).await;
        let key = issue(&keys, user("alice")).await;
        let manager = keys.manager();
        for call in ["find", "apply", "list", "owner_status"] {
            hooks.fail(call, fault, usize::MAX);
            tokio::time::pause();
            let revoked = manager.revoke(&key.id(), &system()).await;
            revoked.err().into_iter().for_each(|error| assert_says_things_once(&error));
            let found = manager.find(&key.id(), &system()).await;
            found.err().into_iter().for_each(|error| assert_says_things_once(&error));
            let many = manager.revoke_many(RevokeMany::of(user("alice")), &system()).await;
            many.err().into_iter().for_each(|error| assert_says_things_once(&error));
            let rotated = manager.begin_rotation(RotateKey::of(key.id()), &system()).await;
            rotated.err().into_iter().for_each(|error| assert_says_things_once(&error));
            tokio::time::resume();
            hooks.heal();
        }
    }
    let keys = keys(MemoryStore::new(), &clock()).await;
    let long = "x".repeat(5_000);
    for request in [
        IssueKey::user(user("alice")).named(long.as_str()),
        IssueKey::user(user("alice")).named("\u{202e}"),
        IssueKey::user(user("alice")).labelled("Not A Label", "value"),
        IssueKey::user(user("alice")).expires_at(tower_api_keys::Timestamp::MIN),
    ] {
        assert_says_things_once(&keys.manager().issue(request, &system()).await.unwrap_err());
    }
}

#[tokio::test]
async fn errors_of_the_setup_say_things_once() {
    let id = PepperId::new(1);
    let peppers = || Peppers::new().with(id, Pepper::from_bytes([7; 32])).current(id).unwrap();
    for fault in [Fault::Error, Fault::Hang, Fault::Panic] {
        let hooked = Hooked::new(MemoryStore::new());
        hooked.hooks.fail("put_meta_if_absent", fault, usize::MAX);
        let builder = ApiKeys::builder(hooked).hasher(cheap()).peppers(peppers());
        tokio::time::pause();
        assert_says_things_once(&builder.build().await.unwrap_err());
        tokio::time::resume();
    }
    assert_says_things_once(&ApiKeys::builder(MemoryStore::new()).brand("Not A Brand").build().await.unwrap_err());
}

#[tokio::test]
async fn errors_of_a_file_say_things_once() {
    let folder = secrets::scratch();
    let missing = folder.path().join("missing").join("keys.db");
    assert_says_things_once(&SqliteStore::open(&missing).await.unwrap_err());
    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database at all, but a text that is long enough to be one".repeat(100)).unwrap();
    assert_says_things_once(&SqliteStore::open(&text).await.unwrap_err());
    let path = folder.path().join("keys.db");
    let alone = SqliteStore::open_exclusive(&path).await.unwrap();
    assert_says_things_once(&SqliteStore::open(&path).await.unwrap_err());
    assert_says_things_once(&alone.backup_to(&path).await.unwrap_err());
    assert_says_things_once(&alone.backup_to(folder.path().join("missing").join("copy.db")).await.unwrap_err());
    drop(alone);
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::time::Duration;

    use tower_api_keys::{
        OrganizationId, Timestamp,
        store::{KeyQuery, PostgresSettings, PostgresStore},
    };

    use super::*;
    use crate::postgres::{
        proxy::{Proxy, Weather},
        server::{Server, free_port},
    };

    async fn assert_store_says_things_once(store: &PostgresStore) {
        let id = tower_api_keys::key::KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let query = KeyQuery::all(OrganizationId::single());
        // Three times, because the store already knows of the failure at the second call.
        for _ in 0..3 {
            assert_says_things_once(&store.find(&id).await.unwrap_err());
            assert_says_things_once(&store.changes_since(None).await.unwrap_err());
            assert_says_things_once(&store.list(&query, Timestamp::MIN).await.unwrap_err());
            assert_says_things_once(&store.put_meta_if_absent("name", b"value").await.unwrap_err());
        }
    }

    #[tokio::test]
    async fn errors_of_a_server_say_things_once() {
        let settings = || {
            let short = Duration::from_millis(200);
            let settings = PostgresSettings::new().with_schema("keys").with_change_timeout(Duration::from_secs(1));
            settings.with_answer_timeout(short).with_connect_timeout(short)
        };
        let mut server = Server::start();
        assert_says_things_once(&PostgresStore::connect_with(&server.url(), settings()).await.unwrap_err());
        PostgresStore::migrate(&server.url(), "keys").await.unwrap();
        for url in [
            format!("postgres://admin@127.0.0.1:{}/postgres", free_port()),
            "postgres://admin@no-such-host.invalid/postgres".to_owned(),
            server.url().replace("/postgres", "/no_such_database"),
            server.url().replace("admin@", "stranger@"),
            "no url".to_owned(),
        ] {
            assert_says_things_once(&PostgresStore::connect_with(&url, settings()).await.unwrap_err());
            assert_says_things_once(&PostgresStore::migrate(&url, "keys").await.unwrap_err());
        }
        let proxy = Proxy::to(server.port()).await;
        let url = server.url_through(proxy.port());
        let store = PostgresStore::connect_with(&url, settings()).await.unwrap();
        proxy.set(Weather::Silent);
        assert_store_says_things_once(&store).await;
        assert_says_things_once(&PostgresStore::connect_with(&url, settings()).await.unwrap_err());
        proxy.set(Weather::Cut);
        assert_store_says_things_once(&store).await;
        proxy.set(Weather::Fair);
        server.kill();
        assert_store_says_things_once(&store).await;
        let copied = copy(&store, &MemoryStore::new()).await.unwrap_err();
        assert_says_things_once(&copied);
    }
}
