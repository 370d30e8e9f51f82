use std::{fmt, time::Duration};

use super::connect_error::{PostgresError, PostgresErrorKind};

/// How a [`PostgresStore`](super::PostgresStore) uses its server.
///
/// ```
/// use tower_api_keys::store::PostgresSettings;
///
/// let settings = PostgresSettings::new().with_schema("billing").with_pool_size(8);
/// # let _ = settings;
/// ```
#[derive(Clone)]
pub struct PostgresSettings {
    pub(super) schema: String,
    pub(super) pool_size: usize,
    pub(super) behind_pooler: bool,
    pub(super) connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) change_timeout: Duration,
    pub(super) migration_timeout: Duration,
    pub(super) listen_url: Option<String>,
    #[cfg(feature = "postgres-tls")]
    pub(super) root_certificates: Option<String>,
}

impl PostgresSettings {
    /// The defaults: schema `api_keys`, four connections for changes and lists, no pooler, 1 s to connect, 0.7 s for an
    /// answer to a request, 4 s for an answer to a change, 60 s to migrate, and notifications from the URL that the
    /// store connects to.
    #[must_use]
    pub fn new() -> Self {
        Self {
            schema: "api_keys".to_owned(),
            pool_size: 4,
            behind_pooler: false,
            connect_timeout: Duration::from_secs(1),
            answer_timeout: Duration::from_millis(700),
            change_timeout: Duration::from_secs(4),
            migration_timeout: Duration::from_secs(60),
            listen_url: None,
            #[cfg(feature = "postgres-tls")]
            root_certificates: None,
        }
    }

    /// The schema of the tables, `api_keys` by default: a letter or `_`, then letters, digits and `_`, lower case, at
    /// most 63 characters.
    ///
    /// # Security
    /// Not allowed are `public`, in which every role may create in many databases, and the server's own schemas
    /// (`pg_…`, `information_schema`). A schema in which roles other than the tables' owner may create is refused by
    /// [`migrate`](super::PostgresStore::migrate) and when a store connects.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Connections for changes, lists, usage and events: 1 to 100, 4 by default. Two more serve requests.
    #[must_use]
    pub const fn with_pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// Use this if the server is behind a pooler that gives a connection for one transaction at a time (PgBouncer's
    /// `transaction`). Then no prepared statement outlives its transaction, and every read of a request asks whether it
    /// reached a standby. For bounded freshness, set a [`listen_url`](Self::with_listen_url), too.
    #[must_use]
    pub const fn behind_pooler(mut self) -> Self {
        self.behind_pooler = true;
        self
    }

    /// How long to wait for a connection to the server, 100 ms to 60 s. Default: 1 s.
    #[must_use]
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take to answer a query of a request, 100 ms to 60 s. Default: 0.7 s. Such a query takes
    /// a fraction of a millisecond. If the server is silent for longer than this, the connection counts as lost: the
    /// request is refused with 503, and a new connection is made. Keep it below three quarters of
    /// [`answer_timeout`](crate::ApiKeysBuilder::answer_timeout), which is how long the authenticator waits for the
    /// store.
    #[must_use]
    pub const fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// How long the server may take for each statement of a change, a list or a flush of usage, 1 to 60 s. Default: 4
    /// s. Each of them also waits this long for a connection of the pool. A change waits three quarters of this time
    /// for the locks of others. A connection that took longer is closed. Keep it below
    /// [`store_timeout`](crate::ApiKeysBuilder::store_timeout).
    ///
    /// If a node is cut off in the middle of a change, the changes of other nodes wait for at most three
    /// quarters of this time.
    #[must_use]
    pub const fn with_change_timeout(mut self, timeout: Duration) -> Self {
        self.change_timeout = timeout;
        self
    }

    /// How long [`migrate`](super::PostgresStore::migrate) may take, 4 s to a day. Default: 60 s. It waits a quarter of
    /// this time for each lock that other sessions hold, then names these sessions.
    #[must_use]
    pub const fn with_migration_timeout(mut self, timeout: Duration) -> Self {
        self.migration_timeout = timeout;
        self
    }

    /// The URL at which to listen for notifications of changes. With them, [bounded](crate::auth::Freshness::Bounded)
    /// freshness notices a change in a millisecond or two. Default: the URL that the store connects to. There is no
    /// default if that is [a pooler's](Self::behind_pooler) or the store uses a pool of the service; then changes are
    /// noticed within a quarter of the bound.
    ///
    /// When the store connects, it tests whether notifications arrive there, and fails if they do not. Strict freshness
    /// needs no notifications: without bounded freshness, nothing listens.
    #[must_use]
    pub fn with_listen_url(mut self, url: impl Into<String>) -> Self {
        self.listen_url = Some(url.into());
        self
    }

    /// The root certificates to trust for the server, as PEM text. Default: those that the operating system trusts.
    ///
    /// TLS is used if the URL says `sslmode=require`; the server's certificate and name are then always checked. The
    /// URL of a server that is not on this machine must say either that or `sslmode=disable`.
    #[cfg(feature = "postgres-tls")]
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// # Errors
    /// The first setting that is out of its range.
    pub(super) fn check(&self) -> Result<(), PostgresError> {
        let times = Duration::from_millis(100)..=Duration::from_secs(60);
        let rules = [
            (self.has_valid_schema(), "this is not a valid schema name: see `PostgresSettings::with_schema`"),
            (
                self.has_schema_of_its_own(),
                "keys need a schema of their own, such as `api_keys`: other roles may create tables in `public`, and \
                 the server's own schemas are not for tables",
            ),
            ((1..=100).contains(&self.pool_size), "the pool must have 1 to 100 connections"),
            (times.contains(&self.connect_timeout), "the connect timeout must be 100 ms to 60 s"),
            (times.contains(&self.answer_timeout), "the answer timeout must be 100 ms to 60 s"),
            (
                (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&self.change_timeout),
                "the change timeout must be 1 to 60 s",
            ),
            (
                (Duration::from_secs(4)..=Duration::from_secs(86_400)).contains(&self.migration_timeout),
                "the migration timeout must be 4 s to 1 day",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(PostgresError::new(PostgresErrorKind::Settings, rule)),
            None => Ok(()),
        }
    }

    fn has_valid_schema(&self) -> bool {
        let mut bytes = self.schema.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && self.schema.len() <= 63
    }

    fn has_schema_of_its_own(&self) -> bool {
        !self.schema.starts_with("pg_") && self.schema != "public" && self.schema != "information_schema"
    }
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL to listen at: it may contain a password.
        f.debug_struct("PostgresSettings").field("schema", &self.schema).finish_non_exhaustive()
    }
}
