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

    pub(super) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::caused(
            PostgresErrorKind::Unavailable,
            "the PostgreSQL server cannot be used: check that it runs and who may connect",
            source,
        )
    }

    pub(super) fn of_pool(error: PoolError) -> Self {
        Self::unavailable(cause_of(error))
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> PostgresErrorKind {
        self.kind
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
