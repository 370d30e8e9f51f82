use std::{future::poll_fn, net::IpAddr, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls,
    config::{Host, SslMode},
};

use super::{
    connect_error::{PostgresError, PostgresErrorKind},
    settings::PostgresSettings,
};

/// Connections are not tested before use: a lost one fails at once, and a silent one after its time-out.
pub(super) const MANAGER: ManagerConfig = ManagerConfig { recycling_method: RecyclingMethod::Fast };

/// How to reach a server: its address and the transport.
pub(super) struct Server {
    config: Config,
    transport: Transport,
}

enum Transport {
    Plain,
    #[cfg(feature = "postgres-tls")]
    Tls(tokio_postgres_rustls::MakeRustlsConnect),
}

impl Server {
    /// The server of this URL.
    pub(super) fn new(url: &str, settings: &PostgresSettings) -> Result<Self, PostgresError> {
        let malformed =
            |error| PostgresError::caused(PostgresErrorKind::Settings, "the URL of the database is malformed", error);
        let mut config: Config = url.parse().map_err(malformed)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(settings.connect_timeout);
        }
        if config.get_application_name().is_none() {
            config.application_name("tower-api-keys");
        }
        // Data that a dead network does not deliver is given up after this time, also on connections that no request
        // watches.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(settings.change_timeout);
        }
        config.keepalives_idle(Duration::from_secs(30));
        let transport = Transport::of(&mut config, settings)?;
        Ok(Self { config, transport })
    }

    /// Connections for changes, lists, usage and events.
    pub(super) fn pool(&self, settings: &PostgresSettings) -> Result<Pool, PostgresError> {
        let manager = match &self.transport {
            Transport::Plain => Manager::from_config(self.config.clone(), NoTls, MANAGER),
            #[cfg(feature = "postgres-tls")]
            Transport::Tls(tls) => Manager::from_config(self.config.clone(), tls.clone(), MANAGER),
        };
        pool_of(manager, settings)
    }

    /// A connection that passes each notification to `hear`.
    pub(super) async fn connect(&self, hear: impl Fn(&str) + Send + 'static) -> Result<Client, tokio_postgres::Error> {
        // Boxed to hide the type: most calls contain this future, and the compiler has a limit on how deep it looks to
        // decide whether a future is `Send`.
        match &self.transport {
            Transport::Plain => {
                let (client, connection) = self.config.connect(NoTls).boxed().await?;
                drive(connection, hear);
                Ok(client)
            }
            #[cfg(feature = "postgres-tls")]
            Transport::Tls(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).boxed().await?;
                drive(connection, hear);
                Ok(client)
            }
        }
    }
}

impl Transport {
    /// TLS with a checked certificate if the URL says `sslmode=require`; plain if it says `disable`. A URL that says
    /// neither must lead to a server on this machine, whether this crate was built with TLS or not.
    #[cfg_attr(not(feature = "postgres-tls"), expect(unused_variables, reason = "certificates belong to TLS"))]
    fn of(config: &mut Config, settings: &PostgresSettings) -> Result<Self, PostgresError> {
        if config.get_ssl_mode() != SslMode::Require {
            if config.get_ssl_mode() != SslMode::Disable && !is_local(config) {
                let what = "without TLS, others on the network can read hashes of keys and change answers: write \
                            `sslmode=require` into the URL (feature `postgres-tls`), or `sslmode=disable` if the \
                            network is safe";
                return Err(PostgresError::new(PostgresErrorKind::Settings, what));
            }
            config.ssl_mode(SslMode::Disable);
            return Ok(Self::Plain);
        }
        if config.get_hosts().iter().any(|host| !matches!(host, Host::Tcp(_))) {
            let what = "the URL asks for TLS on a Unix socket, which has no TLS: remove `sslmode`, or connect by TCP";
            return Err(PostgresError::new(PostgresErrorKind::Settings, what));
        }
        #[cfg(feature = "postgres-tls")]
        return super::tls::transport(settings).map(Self::Tls);
        #[cfg(not(feature = "postgres-tls"))]
        Err(PostgresError::new(
            PostgresErrorKind::Settings,
            "the URL asks for TLS: build this crate with the feature `postgres-tls`",
        ))
    }
}

/// Whether every server of this URL is reached without leaving this machine. An address takes precedence over a name.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address| is_loopback(&address))
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn is_loopback(address: &IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A pool with connections from this manager.
pub(super) fn pool_of(manager: Manager, settings: &PostgresSettings) -> Result<Pool, PostgresError> {
    Pool::builder(manager)
        .max_size(settings.pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(settings.change_timeout))
        .create_timeout(Some(settings.connect_timeout))
        .build()
        .map_err(PostgresError::unavailable)
}

/// Runs a connection until it ends, which drops `hear`.
fn drive<S, T>(mut connection: Connection<S, T>, hear: impl Fn(&str) + Send + 'static)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message {
                hear(notification.payload());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_a_server_is_on_this_machine_unless_the_url_says_otherwise() {
        let local = [
            "postgres://keys@localhost/keys",
            "postgres://keys@LocalHost/keys",
            "postgres://keys@127.0.0.1/keys",
            "postgres://keys@127.8.9.10:5433/keys",
            "postgres://keys@[::1]/keys",
            "postgres://keys@%2Fvar%2Frun%2Fpostgresql/keys",
            "postgres://keys@localhost,127.0.0.1:5433/keys",
            "postgres://keys@localhost/keys?sslmode=prefer",
            "host=/var/run/postgresql user=keys",
            "host=db.example.com hostaddr=127.0.0.1 user=keys",
            "host=::ffff:127.0.0.1 user=keys",
            "postgres://keys@db.example.com/keys?sslmode=disable",
            "host=10.0.0.5 user=keys sslmode=disable",
        ];
        for url in local {
            assert!(transport(url).is_ok(), "{url}");
        }
        let remote = [
            "postgres://keys@db.example.com/keys",
            "postgres://keys@db.example.com/keys?sslmode=prefer",
            "postgres://keys@10.0.0.5/keys",
            "postgres://keys@0.0.0.0/keys",
            "postgres://keys@[::]/keys",
            "postgres://keys@[fe80::1]/keys",
            "postgres://keys@localhost.example.com/keys",
            "postgres://keys@localhost,db.example.com/keys",
            "host=localhost hostaddr=10.0.0.5 user=keys",
            "host=localhost,localhost hostaddr=127.0.0.1,10.0.0.5 user=keys",
            "host=/var/run/postgresql,db.example.com user=keys",
        ];
        for url in remote {
            let error = transport(url).err().expect(url);
            assert_eq!(error.kind(), PostgresErrorKind::Settings, "{url}");
            for way_out in ["sslmode=require", "postgres-tls", "sslmode=disable"] {
                assert!(error.to_string().contains(way_out), "{url}: {error}");
            }
        }
    }

    fn transport(url: &str) -> Result<Transport, PostgresError> {
        Transport::of(&mut url.parse().expect(url), &PostgresSettings::new())
    }
}
