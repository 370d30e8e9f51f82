//! A value that the store does not accept costs only the record it belongs to. It delays no other record, and is not
//! written again.

use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    Actor, ApiKeyLayer, ApiKeys, OrganizationId,
    key::PlaintextKey,
    manage::{IssueKey, ManageErrorKind, Rights, TeamRole},
    store::{EventQuery, Ledger, UsageScope},
    usage::Source,
};

use crate::support::{
    cheap, clock,
    hooked::Hooked,
    issue, keys,
    narrow::{Manner, NarrowStore, Width},
    system, team, user,
};

/// A store with a column that is only three characters wide.
fn narrow(table: &'static str, column: &'static str) -> Arc<NarrowStore> {
    Arc::new(NarrowStore::new(table, column, Width::Characters(3), Manner::Refuses))
}

async fn send<S: Ledger>(layer: ApiKeyLayer<S>, key: &PlaintextKey, agent: &str) {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let request = Request::builder().header("x-api-key", key.expose_secret()).header("user-agent", agent);
    layer.layer(inner).oneshot(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
}

async fn counts(store: &NarrowStore, key: &PlaintextKey) -> Vec<(String, i64)> {
    let rows = store.sound.usage(&UsageScope::Keys(vec![key.id()])).await.unwrap();
    rows.into_iter().map(|row| (row.client, row.count)).collect()
}

#[tokio::test]
async fn a_count_that_is_refused_keeps_back_no_other() {
    let store = narrow("api_key_usage", "client");
    let keys = keys(store.clone(), &clock()).await;
    let some = [issue(&keys, team("blue")).await, issue(&keys, team("red")).await, issue(&keys, user("bob")).await];
    for round in 1..=3 {
        for key in &some {
            for agent in ["job/2", "a-long-name/1", "cli"] {
                send(keys.layer(), key, agent).await;
            }
            send(keys.layer(), key, "another-long-name/1").await;
        }
        keys.flush_usage().await.unwrap();
        for key in &some {
            assert_eq!(counts(&store, key).await, [("cli".to_owned(), round), ("job".to_owned(), round)]);
        }
        // Two of the four requests of each key.
        assert_eq!(keys.authenticator().metrics().usage_refused, u64::try_from(round).unwrap() * 6);
    }
    keys.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_line_of_the_access_log_that_is_refused_keeps_back_no_other_and_is_told_of() {
    let store = narrow("api_key_events", "source");
    let builder = ApiKeys::builder(store.clone()).hasher(cheap()).clock(clock()).access_log(true);
    let keys = builder.build().await.unwrap();
    let key = issue(&keys, team("blue")).await;
    for agent in ["job/2", "a-long-name/1", "cli", "another-long-name/1"] {
        send(keys.layer(), &key, agent).await;
    }
    keys.shutdown().await.unwrap();
    let query = EventQuery { attempts: true, ..EventQuery::all(OrganizationId::single()) };
    let lines = store.sound.events(&query).await.unwrap().rows;
    let lines: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.source.as_deref())).collect();
    let (accepted, dropped) = ("attempt.accepted", "attempt.dropped");
    assert_eq!(lines, [(accepted, Some("job")), (dropped, None), (accepted, Some("cli")), (dropped, None)]);
    let metrics = keys.authenticator().metrics();
    assert_eq!((metrics.access_log_written, metrics.access_log_dropped), (2, 2));
}

#[tokio::test]
async fn a_change_that_is_refused_is_not_asked_for_again() {
    let store = narrow("api_keys", "name");
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock()).await;
    let named = |name: &str| IssueKey::team(team("blue")).named(name);
    let error = keys.manager().issue(named("nightly job"), &system()).await.unwrap_err();
    assert_eq!((error.kind(), hooks.count("apply")), (ManageErrorKind::StoreRefused, 1));
    let told = format!("{error}: {}", error.source().unwrap());
    assert!(!told.contains("ask again") && !told.contains("nightly"), "{told}");
    // Nothing of the refused change is left, and a key that fits can be created.
    let issued = keys.manager().issue(named("job"), &system()).await.unwrap();
    let all = tower_api_keys::manage::ListKeys::all();
    let listed = keys.manager().list(all, &system()).await.unwrap().keys;
    assert_eq!(listed.iter().map(|info| info.id).collect::<Vec<_>>(), [issued.info().id]);
}

#[tokio::test]
async fn a_denied_attempt_that_is_refused_keeps_back_no_other() {
    let store = narrow("api_key_events", "source");
    let keys = keys(store.clone(), &clock()).await;
    for (name, source) in [("alice", "cli"), ("bob", "a long name"), ("carol", "job")] {
        let actor = Actor::user(user(name), Rights::none().team(team("blue"), TeamRole::Member))
            .with_source(Source::new(source).unwrap());
        let denied = keys.manager().issue(IssueKey::team(team("blue")), &actor).await.unwrap_err();
        assert!(matches!(denied.kind(), ManageErrorKind::Denied(_)), "{denied}");
    }
    keys.shutdown().await.unwrap();
    let events = store.sound.events(&EventQuery::all(OrganizationId::single())).await.unwrap().rows;
    let mut actors: Vec<_> = events.iter().map(|event| event.actor.as_str()).collect();
    actors.sort_unstable();
    assert_eq!(actors, ["user:alice", "user:carol"]);
}
