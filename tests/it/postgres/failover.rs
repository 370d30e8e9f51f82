//! The primary is gone and a standby takes its place.

use tower_api_keys::{
    auth::AuthErrorKind,
    store::{PostgresErrorKind, PostgresStore},
};

use super::{
    Keys, RECOVERY, check, comes_to, known_key, node_at,
    proxy::{Proxy, Weather},
    revoke,
    server::Server,
    settings,
};

/// A primary, the network to its standby, the standby, an address that leads to the primary, and a node that uses it.
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

    /// From now on a commit waits for the standby.
    async fn make_synchronous(&self) {
        let client = self.primary.client().await;
        client.batch_execute("alter system set synchronous_standby_names = '*'").await.unwrap();
        client.batch_execute("select pg_reload_conf()").await.unwrap();
        let sync = "select count(*) from pg_stat_replication where sync_state = 'sync'";
        while client.query_one(sync, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Waits until the standby has everything.
    async fn catch_up(&self) {
        let (primary, standby) = (self.primary.client().await, self.standby.client().await);
        let end: String = primary.query_one("select pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
        let replayed = "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
        while !standby.query_one(replayed, &[&end]).await.unwrap().get::<_, bool>(0) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
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
    // The database says so again, and nobody can know better; the operator is told.
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
    // Its address leads to the standby from now on, and what it had is cut.
    pair.address.lead_to(pair.standby.port());
    pair.address.set(Weather::Cut);
    assert_eq!(check(&pair.keys, &key).await, Err(AuthErrorKind::StoreUnavailable));
    pair.address.set(Weather::Fair);
    tokio::time::sleep(super::RECOVERY / 2).await;
    for _ in 0..20 {
        assert_eq!(check(&pair.keys, &key).await, Err(AuthErrorKind::StoreUnavailable));
    }
    // As soon as it is the primary, all is well: on the connections that were made before, too.
    pair.standby.promote();
    let back = comes_to(&pair.keys, &key, Ok(())).await;
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
}
