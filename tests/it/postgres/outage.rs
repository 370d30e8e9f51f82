//! A server that accepts connections but does not answer: the first request is refused within a second, later requests
//! at once.

use std::time::{Duration, Instant};

use futures_util::poll;
use tower_api_keys::{
    KeyKind, OrganizationId, Timestamp,
    auth::{AuthErrorKind, Freshness},
    key::KeyFormat,
    store::{KeyQuery, KeyStore, PostgresStore},
};

use super::{
    RECOVERY, check, comes_to, connected, issue, known_key, migrated, node_behind_proxy, node_of, proxy::Weather,
    settings, until,
};

const UNAVAILABLE: Result<(), AuthErrorKind> = Err(AuthErrorKind::StoreUnavailable);

/// Asserts that in this weather the first request is refused within about a second, and that the next hundred, with
/// known and new keys, together take no longer. Each of them alone would take that long if it waited.
async fn is_answered_at_once(weather: Weather) {
    let (_server, proxy, keys) = node_behind_proxy().await;
    let (known, fresh) = (known_key(&keys).await, issue(&keys).await);
    proxy.set(weather);
    let begun = Instant::now();
    assert_eq!(check(&keys, &known).await, UNAVAILABLE);
    let first = begun.elapsed();
    assert!(first < Duration::from_secs(2), "the first request was held for {first:?}");
    let begun = Instant::now();
    for key in [&known, &fresh].into_iter().cycle().take(100) {
        assert_eq!(check(&keys, key).await, UNAVAILABLE);
    }
    let next = begun.elapsed();
    assert!(next < Duration::from_secs(1), "a hundred more took {next:?}");
    proxy.set(Weather::Fair);
    let back = comes_to(&keys, &known, Ok(())).await;
    println!("{weather:?}: first {first:?}, a hundred more {next:?}, back after {back:?}");
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
    assert_eq!(check(&keys, &fresh).await, Ok(()));
}

#[tokio::test]
async fn a_network_that_swallows_everything_holds_one_request_and_no_other() {
    is_answered_at_once(Weather::Silent).await;
}

#[tokio::test]
async fn a_network_that_is_cut_holds_no_request() {
    is_answered_at_once(Weather::Cut).await;
}

#[tokio::test]
async fn a_line_that_was_cut_is_made_again_before_anybody_waits_long() {
    let (server, _proxy, keys) = node_behind_proxy().await;
    let key = known_key(&keys).await;
    super::disconnect_nodes(&server.client().await).await;
    let back = comes_to(&keys, &key, Ok(())).await;
    assert!(back < Duration::from_secs(1), "{back:?}");
}

/// Begins to check keys that do not exist, and drops each check, as clients do that hang up.
async fn begin_and_drop(keys: &super::Keys, requests: usize) -> usize {
    let authenticator = keys.authenticator();
    let (mut ended, text) = (0, KeyFormat::unbranded().generate(KeyKind::User).unwrap());
    for number in 0..requests {
        let mut request = Box::pin(authenticator.authenticate(text.expose_secret()));
        ended += usize::from(poll!(&mut request).is_ready());
        drop(request);
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    ended
}

/// Resident memory of this process, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
}

#[tokio::test]
async fn a_hundred_thousand_dropped_requests_cost_an_honest_one_nothing() {
    let server = migrated().await;
    let bound = Freshness::Bounded(Duration::from_secs(600));
    let keys = node_of(connected(&server.url()).await, bound).await;
    known_key(&keys).await;
    let other = node_of(connected(&server.url()).await, bound).await;
    let fresh = [issue(&other).await, issue(&other).await, issue(&other).await];
    let (before, begun) = (resident(), Instant::now());
    let ended = begin_and_drop(&keys, 100_000).await;
    let more = resident() - before;
    println!(
        "100000 requests begun and dropped in {:?} ({ended} ended at once), memory {more:+.1} MB",
        begun.elapsed()
    );
    for (number, key) in fresh.iter().enumerate() {
        let begun = Instant::now();
        assert_eq!(check(&keys, key).await, Ok(()), "first use {number} after {:?}", begun.elapsed());
        println!("first use {number} after it: ok in {:?}", begun.elapsed());
    }
    assert!(more < 16.0, "{more:+.1} MB");
}

#[tokio::test]
async fn a_dropped_list_keeps_its_place_in_the_pool_until_the_server_is_done_with_it() {
    let server = migrated().await;
    let settings = settings().with_pool_size(2);
    let store = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
    let (client, watcher) = (server.client().await, server.client().await);
    // Lists wait for this lock.
    client.batch_execute("begin; lock table keys.api_keys in access exclusive mode").await.unwrap();
    let waiting = "from pg_stat_activity where application_name = 'tower-api-keys' and wait_event_type = 'Lock'";
    for _ in 0..20 {
        let query = KeyQuery::all(OrganizationId::single());
        let now = Timestamp::MIN;
        drop(tokio::time::timeout(Duration::from_millis(100), store.list(&query, now)).await);
    }
    until(&watcher, &format!("select count(*) > 0 {waiting}")).await;
    let seen = watcher.query_one(&format!("select count(*) {waiting}"), &[]).await.unwrap().get::<_, i64>(0);
    client.batch_execute("rollback").await.unwrap();
    assert!(seen <= 2, "{seen} lists are under way on a pool of two connections");
    // The places become free again.
    let query = KeyQuery::all(OrganizationId::single());
    for _ in 0..4 {
        store.list(&query, Timestamp::MIN).await.unwrap();
    }
}
