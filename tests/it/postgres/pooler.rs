//! A store behind a real PgBouncer that lends a connection for one transaction at a time.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tower_api_keys::{
    auth::{AuthErrorKind, Freshness},
    store::{PostgresErrorKind, PostgresStore},
};
use tower_api_keys_conformance::{check_pair, check_store};

use super::{
    RECOVERY, check, comes_to, connected, known_key, migrated, node, node_of, revoke,
    server::{Server, free_port, is_root},
    settings,
};

pub(super) struct Pooler {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Pooler {
    pub(super) async fn before(server: &Server) -> Self {
        // Another process may take the port before the pooler does.
        for _ in 0..10 {
            if let Some(pooler) = Self::started(server).await {
                return pooler;
            }
        }
        panic!("the pooler does not start");
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// None if it ended at once.
    async fn started(server: &Server) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        // Few connections for many clients, so that clients share them.
        let config = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=admin\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n",
            server.port()
        );
        let path = folder.path().join("pgbouncer.ini");
        fs::write(&path, config).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("pgbouncer");
        // On Debian only root's path has its folder.
        command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin");
        if is_root() {
            command.args(["--user", "nobody"]);
        }
        let process = command
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("no pgbouncer here: install it (Debian: apt-get install pgbouncer)");
        let mut pooler = Self { process, url: server.url_through(port), _folder: folder };
        let begun = std::time::Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the pooler is not reached");
            if pooler.process.try_wait().unwrap().is_some() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn pooled(pooler: &Pooler) -> PostgresStore {
    PostgresStore::connect_with(&pooler.url, settings().behind_pooler()).await.unwrap()
}

#[tokio::test]
async fn a_store_behind_a_pooler_keeps_the_contract() {
    let server = migrated().await;
    let pooler = Pooler::before(&server).await;
    let (store, other) = (pooled(&pooler).await, pooled(&pooler).await);
    check_store(&store).await.into_result().unwrap();
    check_pair(&store, &other).await.into_result().unwrap();
}

#[tokio::test]
async fn a_revocation_counts_at_once_on_a_node_behind_a_pooler() {
    let server = migrated().await;
    let pooler = Pooler::before(&server).await;
    let (strict, direct) = (node_of(pooled(&pooler).await, Freshness::Strict).await, node(&server).await);
    let live = known_key(&strict).await;
    for _ in 0..20 {
        let key = known_key(&strict).await;
        revoke(&direct, &key).await;
        assert_eq!(check(&strict, &key).await, Err(AuthErrorKind::Revoked));
    }
    let ends = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() \
                and backend_type = 'client backend'";
    server.client().await.batch_execute(ends).await.unwrap();
    assert!(comes_to(&strict, &live, Ok(())).await < RECOVERY);
}

#[tokio::test]
async fn a_pooler_is_no_place_to_listen_and_says_so_at_the_start() {
    let server = migrated().await;
    let pooler = Pooler::before(&server).await;
    let deaf = settings().behind_pooler().with_listen_url(&pooler.url);
    let error = PostgresStore::connect_with(&pooler.url, deaf).await.unwrap_err();
    assert_eq!(error.kind(), PostgresErrorKind::Settings);
    assert!(error.to_string().contains("notifications do not arrive"), "{error}");
    let hears = settings().behind_pooler().with_listen_url(server.url());
    drop(PostgresStore::connect_with(&pooler.url, hears).await.unwrap());
    drop(connected(&server.url()).await);
}
