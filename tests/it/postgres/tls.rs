//! TLS to the server: either the certificate is checked, or there is no connection.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;
use tower_api_keys::store::{PostgresErrorKind, PostgresStore};

use super::{RECOVERY, check, known_key, node_of, server::Server, settings};

/// Runs openssl in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let ran = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A certificate authority, and a server with a certificate for this name.
fn server_named(name: &str) -> (String, Server) {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(at, &format!("req -x509 {new} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
    openssl(at, &format!("req -new {new} -keyout server.key -out server.csr -subj /CN=server"));
    fs::write(at.join("names"), format!("subjectAltName={name}")).unwrap();
    openssl(
        at,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
    let mut server = Server::start();
    server.kill();
    // The files get the server's user as owner: the server refuses a key file of another user.
    for name in ["server.pem", "server.key"] {
        fs::copy(at.join(name), server.data().join(name)).unwrap();
    }
    let data = server.data();
    let mut given = Command::new("chown");
    given.arg("--reference").arg(data.join("PG_VERSION")).args([data.join("server.pem"), data.join("server.key")]);
    assert!(given.status().unwrap().success());
    let on = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n";
    let config = data.join("postgresql.conf");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + on).unwrap();
    server.run();
    (fs::read_to_string(at.join("ca.pem")).unwrap(), server)
}

fn encrypted(server: &Server) -> String {
    format!("{}?sslmode=require", server.url())
}

#[tokio::test]
async fn with_tls_a_node_is_encrypted_throughout() {
    let (authority, server) = server_named("IP:127.0.0.1");
    let trusting = || settings().with_root_certificates(authority.clone());
    PostgresStore::migrate_with(&encrypted(&server), trusting()).await.unwrap();
    let store = PostgresStore::connect_with(&encrypted(&server), trusting()).await.unwrap();
    let bounded = tower_api_keys::auth::Freshness::Bounded(RECOVERY);
    let keys = node_of(store, bounded).await;
    let key = known_key(&keys).await;
    assert_eq!(check(&keys, &key).await, Ok(()));
    let plain = "select count(*) filter (where not s.ssl), count(*) from pg_stat_activity a \
                 join pg_stat_ssl s using (pid) where a.application_name = 'tower-api-keys'";
    let row = server.client().await.query_one(plain, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0, "connections without TLS");
    assert!(row.get::<_, i64>(1) >= 3);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (_, server) = server_named("IP:127.0.0.1");
    let (other_authority, _other) = server_named("IP:127.0.0.1");
    let error =
        PostgresStore::migrate_with(&encrypted(&server), settings().with_root_certificates(other_authority)).await;
    assert_eq!(error.unwrap_err().kind(), PostgresErrorKind::Unavailable);
}

#[tokio::test]
async fn a_certificate_of_another_server_is_refused() {
    let (authority, server) = server_named("DNS:db.example.com");
    let error = PostgresStore::migrate_with(&encrypted(&server), settings().with_root_certificates(authority)).await;
    assert_eq!(error.unwrap_err().kind(), PostgresErrorKind::Unavailable);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    let server = Server::start();
    let (authority, _other) = server_named("IP:127.0.0.1");
    let error = PostgresStore::migrate_with(&encrypted(&server), settings().with_root_certificates(authority)).await;
    assert_eq!(error.unwrap_err().kind(), PostgresErrorKind::Unavailable);
}

#[tokio::test]
async fn certificates_that_are_none_are_refused() {
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let url = "postgres://127.0.0.1/keys?sslmode=require";
        let error = PostgresStore::migrate_with(url, settings().with_root_certificates(pem)).await.unwrap_err();
        assert_eq!(error.kind(), PostgresErrorKind::Settings);
    }
}
