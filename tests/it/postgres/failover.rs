//! The primary fails and a standby replaces it.

use std::time::{Duration, Instant};

use futures_util::TryFutureExt;
use tower_api_keys::{
    OrganizationId, Owner, TeamId,
    auth::AuthErrorKind,
    manage::ManageErrorKind,
    store::{KeyQuery, KeyStore, OwnerRef, PostgresErrorKind, PostgresStore, StoreErrorKind},
};

use super::{
    Keys, NO_NODE, RECOVERY, check, comes_to, known_key, node_at,
    proxy::{Proxy, Weather},
    revoke,
    server::Server,
    settings, until,
};

/// A primary, the network to its standby, the standby, an address that leads to the primary, and a node that uses this
/// address.
struct Pair {
    primary: Server,
    replication: Proxy,
    standby: Server,
    address: Proxy,
    keys: Keys,
}

impl Pair {
    async fn start() -> Self {
        let primary = Server::start_with(&["wal_level=replica"]);
        PostgresStore::migrate(&primary.url(), "keys").await.unwrap();
        let replication = Proxy::to(primary.port()).await;
        let port = replication.port();
        let (primary, standby) = tokio::task::spawn_blocking(move || {
            let standby = primary.standby(port);
            (primary, standby)
        })
        .await
        .unwrap();
        let address = Proxy::to(primary.port()).await;
        let keys = node_at(&primary.url_through(address.port())).await;
        Self { primary, replication, standby, address, keys }
    }

    /// Makes commits wait for the standby.
    async fn make_synchronous(&self) {
        let client = self.primary.client().await;
        client.batch_execute("alter system set synchronous_standby_names = '*'").await.unwrap();
        client.batch_execute("select pg_reload_conf()").await.unwrap();
        until(&client, "select count(*) > 0 from pg_stat_replication where sync_state = 'sync'").await;
    }

    /// Waits until the standby has received everything.
    async fn catch_up(&self) {
        let (primary, standby) = (self.primary.client().await, self.standby.client().await);
        let end: String = primary.query_one("select pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
        until(&standby, &format!("select pg_last_wal_replay_lsn() >= '{end}'")).await;
    }

    /// Makes the address lead to the standby, and cuts its open connections.
    async fn lead_to_standby(&self) {
        self.address.lead_to(self.standby.port());
        self.address.set(Weather::Cut);
        until(&self.primary.client().await, NO_NODE).await;
        self.address.set(Weather::Fair);
    }

    fn fail_over(&mut self) {
        self.primary.kill();
        self.standby.promote();
        self.address.lead_to(self.standby.port());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_synchronous_standby_nothing_is_lost_and_nothing_hashed_again() {
    let mut pair = Pair::start().await;
    let (live, revoked) = (known_key(&pair.keys).await, known_key(&pair.keys).await);
    pair.make_synchronous().await;
    revoke(&pair.keys, &revoked).await;
    let runs = pair.keys.authenticator().argon2_runs();
    pair.fail_over();
    let back = comes_to(&pair.keys, &live, Ok(())).await;
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
    assert_eq!(check(&pair.keys, &revoked).await, Err(AuthErrorKind::Revoked));
    assert_eq!(pair.keys.authenticator().argon2_runs(), runs);
    assert_eq!(pair.keys.authenticator().metrics().log_losses, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_asynchronous_standby_had_not_received_is_reported() {
    let mut pair = Pair::start().await;
    let (live, lost) = (known_key(&pair.keys).await, known_key(&pair.keys).await);
    pair.catch_up().await;
    pair.replication.set(Weather::Cut);
    revoke(&pair.keys, &lost).await;
    assert_eq!(check(&pair.keys, &lost).await, Err(AuthErrorKind::Revoked));
    let runs = pair.keys.authenticator().argon2_runs();
    pair.fail_over();
    comes_to(&pair.keys, &live, Ok(())).await;
    // The database says that the key is valid again, and the node cannot know better. The loss is reported to the
    // operator.
    assert_eq!(check(&pair.keys, &lost).await, Ok(()));
    assert_eq!(pair.keys.authenticator().metrics().log_losses, 1);
    assert_eq!(pair.keys.authenticator().argon2_runs(), runs);
    revoke(&pair.keys, &lost).await;
    assert_eq!(check(&pair.keys, &lost).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_neither_starts_on_a_standby_nor_trusts_one() {
    let pair = Pair::start().await;
    let key = known_key(&pair.keys).await;
    pair.catch_up().await;
    let refused = PostgresStore::connect_with(&pair.standby.url(), settings()).await.unwrap_err();
    assert_eq!(refused.kind(), PostgresErrorKind::Standby);
    pair.lead_to_standby().await;
    is_on_standby(&pair, || check(&pair.keys, &key)).await;
    for _ in 0..20 {
        assert_eq!(check(&pair.keys, &key).await, Err(AuthErrorKind::StoreUnavailable));
    }
    // As soon as the standby is the primary, checks succeed, also on connections that were made before.
    pair.standby.promote();
    let back = comes_to(&pair.keys, &key, Ok(())).await;
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
}

/// Asks until the standby has answered the node. Neither before nor from the standby does a check succeed.
async fn is_on_standby<T, E>(pair: &Pair, ask: impl AsyncFn() -> Result<T, E>) {
    let (begun, answers) = (Instant::now(), pair.address.answers());
    while pair.address.answers() == answers {
        assert!(ask().await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(30), "the node does not connect to the standby");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_led_to_a_standby_for_a_moment_finds_back_to_the_primary() {
    let pair = Pair::start().await;
    let (key, other) = (known_key(&pair.keys).await, known_key(&pair.keys).await);
    pair.catch_up().await;
    pair.lead_to_standby().await;
    is_on_standby(&pair, || check(&pair.keys, &key)).await;
    let change = async || {
        let revoked = pair.keys.manager().revoke(&other.id(), &super::admin()).await;
        revoked.map(drop).map_err(|error| error.kind())
    };
    assert_eq!(change().await, Err(ManageErrorKind::StoreUnavailable));
    // This time no connection is cut.
    pair.address.lead_to(pair.primary.port());
    let begun = Instant::now();
    comes_to(&pair.keys, &key, Ok(())).await;
    while let Err(refused) = change().await {
        assert_eq!(refused, ManageErrorKind::StoreUnavailable);
        assert!(begun.elapsed() < RECOVERY, "changes still go to the standby");
    }
    assert!(begun.elapsed() < RECOVERY, "the node needed {:?} to come back", begun.elapsed());
    assert_eq!(check(&pair.keys, &other).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_standby_says_is_an_answer() {
    let pair = Pair::start().await;
    let owner = Owner::Team(TeamId::new("engineering").unwrap());
    let owner = OwnerRef { organization: OrganizationId::single(), owner };
    let (query, now) = (KeyQuery::all(OrganizationId::single()), "2026-03-01T12:00:00Z".parse().unwrap());
    let store = PostgresStore::connect_with(&pair.primary.url_through(pair.address.port()), settings()).await.unwrap();
    assert!(store.list(&query, now).await.is_ok());
    assert!(store.owner_status(&owner).await.is_ok());
    pair.catch_up().await;
    pair.lead_to_standby().await;
    is_on_standby(&pair, || store.list(&query, now).map_err(|error| error.kind())).await;
    for _ in 0..20 {
        let listed = store.list(&query, now).await.map_err(|error| error.kind());
        assert_eq!(listed, Err(StoreErrorKind::Unavailable));
        let status = store.owner_status(&owner).await.map_err(|error| error.kind());
        assert_eq!(status, Err(StoreErrorKind::Unavailable));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_issue_the_standby_had_not_received_is_refused_or_reported() {
    let mut pair = Pair::start().await;
    let live = known_key(&pair.keys).await;
    pair.catch_up().await;
    pair.replication.set(Weather::Cut);
    let lost = known_key(&pair.keys).await;
    pair.fail_over();
    comes_to(&pair.keys, &live, Ok(())).await;
    let client = pair.standby.client().await;
    let rows = client.query("select from keys.api_keys where id = $1", &[&lost.id().as_str()]).await.unwrap();
    assert!(rows.is_empty(), "nothing was lost");
    let seen = check(&pair.keys, &lost).await;
    let losses = pair.keys.authenticator().metrics().log_losses;
    assert!(seen == Err(AuthErrorKind::Invalid) || losses == 1, "{seen:?} and {losses} losses");
}
