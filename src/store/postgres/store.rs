use std::{
    fmt,
    future::Future,
    sync::{Arc, atomic::AtomicBool},
};

use deadpool_postgres::{Connect, Manager, Object, Pool};
use futures_util::future::BoxFuture;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config};

use super::{
    blockers::Aside,
    connect::{MANAGER, Server, pool_of},
    connect_error::PostgresError,
    key_rows::FOUND_COLUMNS,
    link::{Link, Source},
    listener::Listener,
    log::STANDBY_COLUMN,
    migrate::migrate,
    schema::{check, migrations},
    session::Sessions,
    settings::PostgresSettings,
    sql::Sql,
};

/// Keys in PostgreSQL, for any number of nodes.
///
/// Cheap to clone. Requests use two connections: reads of the change log have one, look-ups are pipelined on another.
/// A small pool serves changes, lists, usage and events. Lost connections are made again. A server that is a standby, or
/// becomes one, is refused.
///
/// Every change is noticed by every node, and so is plain SQL on the tables `api_keys` and `api_key_owners`, whoever
/// runs it: triggers write the change log. To suspend an owner in a transaction of the service's own, call
/// `api_keys.api_key_suspend_owner(organization, kind, id, 'admin' | 'plan')` in it,
/// `api_keys.api_key_reinstate_owner(organization, kind, id, 'admin' | 'plan')` to end that suspension, and
/// `api_keys.api_key_close_owner(organization, kind, id)` to close the owner, which is final. Each leaves its audit event.
///
/// # Security
/// Nothing here depends on a search path, of sessions or of the database. A schema in which other roles may create, and
/// tables on which they may put triggers, are refused: the error says which statement ends it. A server that is not on
/// this machine is reached by TLS (`sslmode=require`), or in the clear if the URL says `sslmode=disable`; a pool of your
/// own is your own.
///
/// How to run it, with poolers, standbys, roles and many nodes: [the manual](crate::manual::postgres).
///
/// ```no_run
/// use tower_api_keys::store::PostgresStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = "postgres://keys@db.example.com/service?sslmode=require"; // TLS: feature `postgres-tls`
/// PostgresStore::migrate(url, "api_keys").await?;
/// let store = PostgresStore::connect(url).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) sql: Sql,
    /// Reads of the change log, and nothing else.
    pub(super) log: Link,
    /// Whether the last read of the log found something new: then the next one does not ask for the head first.
    pub(super) has_moved: AtomicBool,
    /// Look-ups of single keys.
    pub(super) finder: Link,
    pub(super) sessions: Sessions,
    pub(super) listener: Option<Arc<Listener>>,
}

impl PostgresStore {
    /// Connects to the server at this URL, whose schema `api_keys` has the tables.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn connect(url: &str) -> Result<Self, PostgresError> {
        Self::connect_with(url, PostgresSettings::new()).await
    }

    /// Connects with settings.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn connect_with(url: &str, settings: PostgresSettings) -> Result<Self, PostgresError> {
        settings.check()?;
        let server = Arc::new(Server::new(url, &settings)?);
        let pool = server.pool(&settings)?;
        let listens_at = if settings.behind_pooler { None } else { Some(Arc::clone(&server)) };
        Self::assemble(pool, Source::Server(server), listens_at, &settings).await
    }

    /// Uses a pool that the service has already, with its transport and its way to log in.
    ///
    /// Two connections are taken out of it for good, which it replaces: the server sees two more than its size. When a
    /// server does not answer in time, idle connections of the pool are closed, for those beside a dead line are dead as
    /// a rule. Of the settings, `pool_size` does not count.
    ///
    /// ```no_run
    /// use tower_api_keys::store::{PostgresSettings, PostgresStore};
    ///
    /// # async fn example(pool: deadpool_postgres::Pool) -> Result<(), Box<dyn std::error::Error>> {
    /// PostgresStore::migrate_pool(&pool, "keys").await?;
    /// let store = PostgresStore::from_pool(pool, PostgresSettings::new().with_schema("keys")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn from_pool(pool: Pool, settings: PostgresSettings) -> Result<Self, PostgresError> {
        settings.check()?;
        Self::assemble(pool, Source::Pool, None, &settings).await
    }

    /// Uses clients that the service makes: for passwords that expire, or another TLS. The connection behind a client is
    /// the caller's to run.
    ///
    /// ```no_run
    /// use tower_api_keys::store::{PostgresSettings, PostgresStore};
    /// # async fn token() -> String { String::new() }
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let connect = || async {
    ///     let mut config: tokio_postgres::Config = "postgres://keys@db.example.com/service".parse()?;
    ///     let (client, connection) = config.password(token().await).connect(tokio_postgres::NoTls).await?;
    ///     tokio::spawn(connection);
    ///     Ok(client)
    /// };
    /// let store = PostgresStore::from_connector(connect, PostgresSettings::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn from_connector<C, F>(connector: C, settings: PostgresSettings) -> Result<Self, PostgresError>
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Client, tokio_postgres::Error>> + Send + 'static,
    {
        settings.check()?;
        let manager = Manager::from_connect(Config::new(), Connector(connector), MANAGER);
        Self::assemble(pool_of(manager, &settings)?, Source::Pool, None, &settings).await
    }

    async fn assemble(
        pool: Pool,
        source: Source,
        listens_at: Option<Arc<Server>>,
        settings: &PostgresSettings,
    ) -> Result<Self, PostgresError> {
        let sql = Sql::new(&settings.schema);
        let first = in_time(settings, async {
            let first = pool.get().await.map_err(PostgresError::of_pool)?;
            check(&first, &settings.schema, &sql).await?;
            Ok(first)
        })
        .await?;
        let listener = |server| Listener::new(server, settings.schema.clone(), settings.answer_timeout);
        let listener = match &settings.listen_url {
            Some(url) => {
                let listener = listener(Arc::new(Server::new(url, settings)?));
                listener.probe(&first).await?;
                Some(listener)
            }
            None => listens_at.map(listener),
        };
        let of_log = vec![sql.head.clone(), sql.changes_since.clone()];
        let log = Link::new(source.clone(), pool.clone(), of_log, STANDBY_COLUMN, settings);
        let aside = match &source {
            Source::Server(server) => Aside::server(Arc::clone(server)),
            Source::Pool => Aside::pool(pool.clone()),
        };
        let finder = Link::new(source, pool.clone(), vec![sql.find.clone()], FOUND_COLUMNS, settings);
        let sessions = Sessions::new(pool, aside, settings);
        Ok(Self(Arc::new(Inner { sql, log, has_moved: AtomicBool::new(false), finder, sessions, listener })))
    }

    /// Brings the tables in this schema up to date, and the schema into being. Nodes may do it at the same time.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it. If others hold what it waits for, the error says who.
    pub async fn migrate(url: &str, schema: &str) -> Result<(), PostgresError> {
        Self::migrate_with(url, PostgresSettings::new().with_schema(schema)).await
    }

    /// The same with settings, of which schema, the times to connect and to migrate, and certificates count.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn migrate_with(url: &str, settings: PostgresSettings) -> Result<(), PostgresError> {
        settings.check()?;
        let server = Arc::new(Server::new(url, &settings)?);
        let client =
            in_time(&settings, async { server.connect(|_| {}).await.map_err(PostgresError::unavailable) }).await?;
        migrate(&client, &Aside::server(server), &settings).await
    }

    /// The same on a connection of this pool.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn migrate_pool(pool: &Pool, schema: &str) -> Result<(), PostgresError> {
        let settings = PostgresSettings::new().with_schema(schema);
        settings.check()?;
        let client = in_time(&settings, async { pool.get().await.map_err(PostgresError::of_pool) }).await?;
        // Never given back: if this future is dropped half-way, nobody gets a connection with an open transaction.
        migrate(&Object::take(client), &Aside::pool(pool.clone()), &settings).await
    }

    /// The SQL of all migrations of a schema, in order, for tools that migrate in their own way. Run each in a transaction,
    /// and insert its number, from 1 on, into `api_key_schema` of that schema behind it.
    ///
    /// ```
    /// use tower_api_keys::store::PostgresStore;
    ///
    /// let migrations = PostgresStore::migrations("keys")?;
    /// assert!(migrations.iter().all(|sql| sql.contains("\"keys\".api_keys")));
    /// # Ok::<(), tower_api_keys::store::PostgresError>(())
    /// ```
    ///
    /// # Errors
    /// This is no name of a schema for keys: see [`PostgresSettings::with_schema`].
    pub fn migrations(schema: &str) -> Result<Vec<String>, PostgresError> {
        PostgresSettings::new().with_schema(schema).check()?;
        Ok(migrations(schema).collect())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// Not longer than connecting may take.
async fn in_time<T>(
    settings: &PostgresSettings,
    done: impl Future<Output = Result<T, PostgresError>>,
) -> Result<T, PostgresError> {
    let late = |_| PostgresError::unavailable("the server did not answer in time");
    timeout(settings.connect_timeout, done).await.map_err(late)?
}

/// Makes clients in a way of the service's own.
struct Connector<C>(C);

impl<C, F> Connect for Connector<C>
where
    C: Fn() -> F + Send + Sync,
    F: Future<Output = Result<Client, tokio_postgres::Error>> + Send + 'static,
{
    fn connect(&self, _config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let client = (self.0)();
        // The pool wants a task to end with its client. The service runs the connection, which ends by itself then.
        Box::pin(async move { Ok((client.await?, tokio::spawn(async {}))) })
    }
}
