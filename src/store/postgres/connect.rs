use std::{future::poll_fn, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls,
    config::{Host, SslMode},
};

use super::{
    connect_error::{PostgresError, PostgresErrorKind},
    settings::PostgresSettings,
};

/// Nobody asks a connection whether it is well before it is used: one that is lost shows, and a silent one in time.
pub(super) const MANAGER: ManagerConfig = ManagerConfig { recycling_method: RecyclingMethod::Fast };

/// How a server is reached: where it is, and by which transport.
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
        // What a dead network swallows is given up after a while, on connections that no request watches, too.
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

    /// A connection whose notifications are heard.
    pub(super) async fn connect(&self, hear: impl Fn(&str) + Send + 'static) -> Result<Client, tokio_postgres::Error> {
        match &self.transport {
            Transport::Plain => {
                let (client, connection) = self.config.connect(NoTls).await?;
                drive(connection, hear);
                Ok(client)
            }
            #[cfg(feature = "postgres-tls")]
            Transport::Tls(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                drive(connection, hear);
                Ok(client)
            }
        }
    }
}

impl Transport {
    /// TLS where the URL says `sslmode=require`, and then with a certificate that is checked; else none, whether this
    /// crate was built with TLS or not.
    #[cfg_attr(not(feature = "postgres-tls"), expect(unused_variables, reason = "certificates belong to TLS"))]
    fn of(config: &mut Config, settings: &PostgresSettings) -> Result<Self, PostgresError> {
        if config.get_ssl_mode() != SslMode::Require {
            config.ssl_mode(SslMode::Disable);
            return Ok(Self::Plain);
        }
        if config.get_hosts().iter().any(|host| !matches!(host, Host::Tcp(_))) {
            let what = "the URL asks for TLS on a Unix socket, which has none";
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

/// A pool whose connections this manager makes.
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
