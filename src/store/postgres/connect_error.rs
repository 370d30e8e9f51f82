use std::{borrow::Cow, error::Error, fmt};

use deadpool_postgres::PoolError;

use super::failure::cause_of;

/// Why a [`PostgresStore`](super::PostgresStore) cannot be used.
///
/// ```
/// use tower_api_keys::store::{PostgresErrorKind, PostgresSettings, PostgresStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let settings = PostgresSettings::new().with_schema("no schema");
/// let error = PostgresStore::connect_with("postgres://localhost/keys", settings).await.unwrap_err();
/// assert_eq!(error.kind(), PostgresErrorKind::Settings);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct PostgresError {
    kind: PostgresErrorKind,
    what: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`PostgresError`].
///
/// ```
/// use tower_api_keys::store::PostgresErrorKind;
///
/// assert_ne!(PostgresErrorKind::Schema, PostgresErrorKind::Standby);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresErrorKind {
    /// Untrusted roles can replace what keys are checked with.
    Exposed,
    /// A migration waited for a lock that another session holds.
    Locked,
    /// The tables do not exist, or have a version that this crate cannot use.
    Schema,
    /// The URL or a setting is out of range.
    Settings,
    /// The server is a standby, whose data may be behind.
    Standby,
    /// The server cannot be reached, or refuses the connection.
    Unavailable,
}

impl PostgresError {
    pub(super) fn new(kind: PostgresErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    pub(super) fn caused(
        kind: PostgresErrorKind,
        what: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, what: what.into(), source: Some(source.into()) }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> PostgresErrorKind {
        self.kind
    }
}

// What is wrong with a server or its tables. What is wrong with a setting is said beside its rule.
impl PostgresError {
    pub(super) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let what = "the PostgreSQL server cannot be used: check that it runs, and that this role may connect";
        Self::caused(PostgresErrorKind::Unavailable, what, source)
    }

    pub(super) fn of_pool(error: PoolError) -> Self {
        Self::unavailable(cause_of(error))
    }

    pub(super) fn standby() -> Self {
        let what = "the server is a standby, and its data may be old: connect to the primary";
        Self::new(PostgresErrorKind::Standby, what)
    }

    pub(super) fn no_notifications(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let what = "notifications do not arrive through the listen URL: it must lead directly to the server, not to a \
                    pooler, and to the same database";
        Self::caused(PostgresErrorKind::Settings, what, source)
    }

    pub(super) fn no_tables(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let what = "the tables do not exist, or this role may not read them: call `PostgresStore::migrate` first, set \
                    the right schema, or grant the rights of a node";
        Self::caused(PostgresErrorKind::Schema, what, source)
    }

    pub(super) fn other_version() -> Self {
        let what = "the tables have a version that this service cannot use: migrate them, or update the service";
        Self::new(PostgresErrorKind::Schema, what)
    }

    /// With what to run, for each exposure.
    pub(super) fn exposed(exposures: &str) -> Self {
        Self::new(PostgresErrorKind::Exposed, format!("other roles can change how keys are checked: {exposures}"))
    }

    pub(super) fn other_keeper(schema: &str, keeper: &str) -> Self {
        let what = format!(
            "the tables in the schema \"{schema}\" belong to the role {keeper}, which can change how keys are checked: \
             if you trust that role, migrate as that role; if not, drop its tables, or use another schema"
        );
        Self::new(PostgresErrorKind::Exposed, what)
    }

    pub(super) fn no_right_to_migrate(role: &str, statement: &str) -> Self {
        let what = format!(
            "the role {role} has no right to create the tables: migrate as another role, or run `{statement}` as the \
             owner of the database"
        );
        Self::new(PostgresErrorKind::Schema, what)
    }

    pub(super) fn locked(holders: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let what = format!("the migration waited for locks of other sessions: {holders}");
        Self::caused(PostgresErrorKind::Locked, what, source)
    }

    pub(super) fn late_migration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let what = "the migration did not end in time: see `PostgresSettings::with_migration_timeout`";
        Self::caused(PostgresErrorKind::Unavailable, what, source)
    }

    pub(super) fn refused_migration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::caused(PostgresErrorKind::Schema, "the server refused a migration: its own message says why", source)
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for PostgresError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
