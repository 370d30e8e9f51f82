use std::time::Duration;

/// How a [`PostgresStore`](super::PostgresStore) uses its server.
///
/// ```
/// use tower_api_keys::store::PostgresSettings;
///
/// let settings = PostgresSettings::new().schema("billing").pool_size(8);
/// # let _ = settings;
/// ```
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    pub(super) schema: String,
    pub(super) pool_size: usize,
    pub(super) behind_pooler: bool,
    pub(super) connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
}

impl PostgresSettings {
    /// The defaults: schema `public`, four connections for changes and lists, no pooler, 1 s to connect and 1 s
    /// of silence before a connection is given up.
    #[must_use]
    pub fn new() -> Self {
        Self {
            schema: "public".to_owned(),
            pool_size: 4,
            behind_pooler: false,
            connect_timeout: Duration::from_secs(1),
            answer_timeout: Duration::from_secs(1),
        }
    }

    /// The schema of the tables: a letter or `_`, then letters, digits and `_`, lower case, at most 63 characters.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Connections for changes, lists, usage and events: 1 to 100. Two more serve requests.
    #[must_use]
    pub const fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// The server is behind a pooler that gives a connection for one transaction at a time (PgBouncer's `transaction`):
    /// no statement outlives its transaction.
    #[must_use]
    pub const fn behind_pooler(mut self) -> Self {
        self.behind_pooler = true;
        self
    }

    /// How long to wait for a connection to the server, 100 ms to 60 s.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a server that was asked something may stay silent on a connection that serves requests before another
    /// one is made, 100 ms to 60 s. A network that swallows everything looks like that.
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    pub(super) fn has_valid_schema(&self) -> bool {
        let mut bytes = self.schema.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && self.schema.len() <= 63
    }

    pub(super) fn has_valid_sizes(&self) -> bool {
        let times = Duration::from_millis(100)..=Duration::from_secs(60);
        (1..=100).contains(&self.pool_size)
            && times.contains(&self.connect_timeout)
            && times.contains(&self.answer_timeout)
    }
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self::new()
    }
}
