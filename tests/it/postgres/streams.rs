//! Streams of one node end by a change on another node, and by a server that does not answer.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tower_api_keys::{
    Principal,
    auth::{AuthErrorKind, Freshness, StreamEnd},
};

use super::{Keys, connected, known_key, migrated, node, node_behind_proxy, node_of, proxy::Weather, revoke};

const SECOND: Duration = Duration::from_secs(1);

/// Longer than anything here takes. A test that reaches this limit has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn caller(keys: &Keys, key: &tower_api_keys::key::PlaintextKey) -> Principal {
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap()
}

fn refused(end: &StreamEnd) -> Option<AuthErrorKind> {
    match end {
        StreamEnd::Refused(error) => Some(error.kind()),
        _ => None,
    }
}

#[tokio::test]
async fn a_thousand_streams_of_one_node_end_when_another_node_revokes_their_key() {
    let server = migrated().await;
    let (ours, other) = (node(&server).await, node(&server).await);
    let (revoked, good) = (known_key(&ours).await, known_key(&ours).await);
    let authenticator = ours.authenticator();
    let (of_revoked, of_good) = (caller(&ours, &revoked).await, caller(&ours, &good).await);
    let streams: Vec<_> = (0..1_000).map(|_| tokio::spawn(authenticator.until_refused(&of_revoked))).collect();
    let lasting = tokio::spawn(authenticator.until_refused(&of_good));
    let reads = || authenticator.metrics().freshness_reads;
    let (begun, before) = (Instant::now(), reads());
    tokio::time::sleep(SECOND).await;
    let most = begun.elapsed().as_millis() / 25 + 5;
    let read = reads() - before;
    assert!(u128::from(read) <= most, "{read} reads of the log, of {most}");
    let begun = Instant::now();
    revoke(&other, &revoked).await;
    let ends = tokio::time::timeout(PATIENCE, join_all(streams)).await.unwrap();
    println!("1,000 streams ended {:?} after the call, {read} reads a second", begun.elapsed());
    assert!(ends.into_iter().all(|end| refused(&end.unwrap()) == Some(AuthErrorKind::Revoked)));
    assert!(!lasting.is_finished());
}

#[tokio::test]
async fn under_a_long_bound_word_of_the_change_ends_streams() {
    let server = migrated().await;
    let bound = Freshness::Bounded(SECOND * 600);
    let (ours, other) = (node_of(connected(&server.url()).await, bound).await, node(&server).await);
    let key = known_key(&ours).await;
    let stream = tokio::spawn(ours.authenticator().until_refused(&caller(&ours, &key).await));
    revoke(&other, &key).await;
    let end = tokio::time::timeout(PATIENCE, stream).await.unwrap().unwrap();
    assert_eq!(refused(&end), Some(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_server_that_says_nothing_leaves_streams_unsure_and_they_can_wait_again() {
    let (server, proxy, ours) = node_behind_proxy().await;
    let other = node(&server).await;
    let key = known_key(&ours).await;
    let caller = caller(&ours, &key).await;
    for weather in [Weather::Silent, Weather::Cut] {
        proxy.set(Weather::Fair);
        super::comes_to(&ours, &key, Ok(())).await;
        let stream = tokio::spawn(ours.authenticator().until_refused(&caller));
        tokio::time::sleep(SECOND / 10).await;
        proxy.set(weather);
        let end = tokio::time::timeout(PATIENCE, stream).await.unwrap().unwrap();
        assert!(end.is_temporary(), "{end:?}");
    }
    // Changes made meanwhile arrive as soon as the server answers.
    revoke(&other, &key).await;
    proxy.set(Weather::Fair);
    let end = async {
        loop {
            let end = ours.authenticator().until_refused(&caller).await;
            if !end.is_temporary() {
                return end;
            }
        }
    };
    let end = tokio::time::timeout(PATIENCE, end).await.unwrap();
    assert_eq!(refused(&end), Some(AuthErrorKind::Revoked));
}
