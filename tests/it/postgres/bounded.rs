//! Bounded freshness across a network: a notification of a change arrives at once. If none arrives, the bound holds.

use std::time::{Duration, Instant};

use tower_api_keys::{
    auth::{AuthErrorKind, Freshness},
    key::PlaintextKey,
    store::{PostgresErrorKind, PostgresSettings, PostgresStore},
};

use super::{
    Keys, RECOVERY, check, comes_to, connected, known_key, migrated, node, node_of,
    proxy::{Proxy, Weather},
    revoke, settings, until,
};

const SECOND: Duration = Duration::from_secs(1);

/// So long that only a notification explains why a change is noticed.
const LONG: Freshness = Freshness::Bounded(Duration::from_secs(600));

/// How long the key is still accepted.
async fn noticed_after(keys: &Keys, key: &PlaintextKey) -> Duration {
    let begun = Instant::now();
    loop {
        match check(keys, key).await {
            Ok(()) => assert!(begun.elapsed() < Duration::from_secs(20), "no word of the revocation arrives"),
            refused => {
                assert_eq!(refused, Err(AuthErrorKind::Revoked));
                return begun.elapsed();
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The condition for a connection that listens for notifications.
const LISTENS: &str = "(query like 'listen %' or query like 'notify %')";

/// Waits until this number of connections listen for notifications.
async fn listeners(server: &super::server::Server, expected: i64) {
    let client = server.client().await;
    until(&client, &format!("select count(*) = {expected} from pg_stat_activity where {LISTENS}")).await;
}

#[tokio::test]
async fn word_of_a_revocation_arrives_long_before_the_bound() {
    let server = migrated().await;
    let (strict, bounded) = (node(&server).await, node_of(connected(&server.url()).await, LONG).await);
    known_key(&bounded).await;
    listeners(&server, 1).await;
    for _ in 0..20 {
        let key = known_key(&bounded).await;
        revoke(&strict, &key).await;
        noticed_after(&bounded, &key).await;
    }
    let known = known_key(&bounded).await;
    let reads = bounded.authenticator().metrics().freshness_reads;
    for _ in 0..1_000 {
        assert_eq!(check(&bounded, &known).await, Ok(()));
    }
    // The notification of the new key may arrive late.
    assert!(bounded.authenticator().metrics().freshness_reads <= reads + 2, "requests wait for reads");
}

#[tokio::test]
async fn a_node_listens_again_when_its_connection_was_lost() {
    let server = migrated().await;
    let (strict, bounded) = (node(&server).await, node_of(connected(&server.url()).await, LONG).await);
    known_key(&bounded).await;
    listeners(&server, 1).await;
    let client = server.client().await;
    let listener = format!("select pid from pg_stat_activity where {LISTENS}");
    let pid: i32 = client.query_one(&listener, &[]).await.unwrap().get(0);
    client.batch_execute(&format!("select pg_terminate_backend({pid})")).await.unwrap();
    until(&client, &format!("select exists ({listener} and pid <> {pid})")).await;
    let key = known_key(&bounded).await;
    revoke(&strict, &key).await;
    noticed_after(&bounded, &key).await;
}

#[tokio::test]
async fn a_url_at_which_nothing_is_heard_is_refused_at_the_start() {
    let server = migrated().await;
    server.client().await.batch_execute("create database elsewhere").await.unwrap();
    let deaf = server.url().replace("/postgres", "/elsewhere");
    let error = PostgresStore::connect_with(&server.url(), settings().with_listen_url(deaf)).await.unwrap_err();
    assert_eq!(error.kind(), PostgresErrorKind::Settings);
    assert!(error.to_string().contains("notifications do not arrive"), "{error}");
}

#[tokio::test]
async fn a_node_behind_a_pooler_listens_where_it_is_told() {
    let server = migrated().await;
    let pooled = |settings: PostgresSettings| settings.behind_pooler();
    let store =
        PostgresStore::connect_with(&server.url(), pooled(settings().with_listen_url(server.url()))).await.unwrap();
    let (strict, bounded) = (node(&server).await, node_of(store, LONG).await);
    let key = known_key(&bounded).await;
    listeners(&server, 1).await;
    revoke(&strict, &key).await;
    noticed_after(&bounded, &key).await;
}

/// Asserts that with this weather between a node and its server, no accepted key is staler than the bound.
async fn keeps_its_bound(weather: Weather) {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let store = connected(&server.url_through(proxy.port())).await;
    let (strict, bounded) = (node(&server).await, node_of(store, Freshness::Bounded(SECOND)).await);
    let (key, live) = (known_key(&bounded).await, known_key(&bounded).await);
    let runs = bounded.authenticator().argon2_runs();
    proxy.set(weather);
    // With a bound, a request does not need the store.
    assert_eq!(check(&bounded, &key).await, Ok(()));
    revoke(&strict, &key).await;
    let revoked = Instant::now();
    loop {
        let begun = revoked.elapsed();
        match check(&bounded, &key).await {
            Ok(()) => assert!(begun < SECOND, "accepted {begun:?} after the revocation"),
            refused => {
                assert_eq!(refused, Err(AuthErrorKind::StoreUnavailable));
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for key in [&key, &live] {
        assert_eq!(check(&bounded, key).await, Err(AuthErrorKind::StoreUnavailable));
    }
    proxy.set(Weather::Fair);
    let back = comes_to(&bounded, &key, Err(AuthErrorKind::Revoked)).await;
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
    assert_eq!(check(&bounded, &live).await, Ok(()));
    assert_eq!(bounded.authenticator().argon2_runs(), runs);
}

#[tokio::test]
async fn a_bound_holds_while_the_network_swallows_everything() {
    keeps_its_bound(Weather::Silent).await;
}

#[tokio::test]
async fn a_bound_holds_while_the_network_is_cut() {
    keeps_its_bound(Weather::Cut).await;
}

#[tokio::test]
async fn a_bound_holds_while_the_network_is_too_slow() {
    keeps_its_bound(Weather::Slow(Duration::from_secs(3))).await;
}

#[tokio::test]
async fn a_node_s_own_revocation_counts_at_once() {
    let server = migrated().await;
    let bounded = node_of(connected(&server.url()).await, LONG).await;
    let key = known_key(&bounded).await;
    revoke(&bounded, &key).await;
    assert_eq!(check(&bounded, &key).await, Err(AuthErrorKind::Revoked));
}
