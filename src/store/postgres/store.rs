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
    upkeep::{missing_grants, server_time},
};
use crate::{store::StoreError, time::Timestamp};

/// Keys in PostgreSQL, for any number of nodes.
///
/// Cheap to clone. Requests use two connections: one for reads of the change log, and one on which look-ups are
/// pipelined. A small pool serves changes, lists, usage and events. Lost connections are replaced. A server that is a
/// standby, or becomes one, is refused.
///
/// Every node notices every change, and any plain SQL on the tables `api_keys` and `api_key_owners`, because triggers
/// write the change log. To suspend an owner in a transaction of the service's own, call
/// `api_keys.api_key_suspend_owner(organization, kind, id, 'admin' | 'plan')` in it,
/// `api_keys.api_key_reinstate_owner(organization, kind, id, 'admin' | 'plan')` to end that suspension, and
/// `api_keys.api_key_close_owner(organization, kind, id)` to close the owner, which is final. Each leaves its audit
/// event.
///
/// # Security
/// Nothing here depends on a search path, of sessions or of the database. A schema in which other roles may create, and
/// tables on which they may create triggers, are refused: the error names the statement that ends it. A server that is
/// not on this machine is reached by TLS (`sslmode=require`), or in the clear if the URL says `sslmode=disable`. In a
/// pool of your own, you choose the transport.
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
    /// Only for reads of the change log.
    pub(super) log: Link,
    /// Whether the last read of the log found changes: then the next one does not ask for the head first.
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

    /// Uses a pool that the service already has, with the pool's transport and login.
    ///
    /// Two connections are taken out of the pool permanently, and the pool replaces them: the server sees two more than
    /// its size. If the server does not answer in time, idle connections of the pool are closed, because they are
    /// usually dead, too. The setting `pool_size` has no effect.
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

    /// Uses clients that the service makes: for passwords that expire, or for another TLS. The caller has to run the
    /// connection of each client.
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

    /// Makes the schema if there is none, and brings its tables up to date. Nodes may do it at the same time.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it. If other sessions hold a lock it waits for, the error names them.
    pub async fn migrate(url: &str, schema: &str) -> Result<(), PostgresError> {
        Self::migrate_with(url, PostgresSettings::new().with_schema(schema)).await
    }

    /// Brings the tables up to date, with these settings: schema, the times to connect and to migrate, and certificates
    /// are used.
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

    /// Brings the tables in this schema up to date, on a connection of this pool.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn migrate_pool(pool: &Pool, schema: &str) -> Result<(), PostgresError> {
        let settings = PostgresSettings::new().with_schema(schema);
        settings.check()?;
        let client = in_time(&settings, async { pool.get().await.map_err(PostgresError::of_pool) }).await?;
        // Never given back: if this future is dropped half-way, the pool must not lend a connection with an open
        // transaction.
        migrate(&Object::take(client), &Aside::pool(pool.clone()), &settings).await
    }

    /// The SQL of all migrations of a schema, in order, for your own migration tool. Run each in a transaction, and at
    /// its end insert its number into `api_key_schema` of that schema. Numbers begin at 1.
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
    /// The name is not allowed for the schema of the keys: see [`PostgresSettings::with_schema`].
    pub fn migrations(schema: &str) -> Result<Vec<String>, PostgresError> {
        PostgresSettings::new().with_schema(schema).check()?;
        Ok(migrations(schema).collect())
    }

    /// The rights that the role of this store lacks to check and manage keys, each as the statement that gives it. Empty
    /// if it has them all. Rights that only some services need are not among them: to prune, to purge, to erase, and to
    /// receive a copy.
    ///
    /// ```no_run
    /// # async fn example(store: tower_api_keys::store::PostgresStore) -> Result<(), tower_api_keys::store::StoreError> {
    /// for statement in store.missing_grants().await? {
    ///     println!("{statement};"); // grant insert on "api_keys".api_keys to keys_node;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError`]: unavailable.
    pub async fn missing_grants(&self) -> Result<Vec<String>, StoreError> {
        Ok(missing_grants(&self.0.sessions, &self.0.sql).await?)
    }

    /// The time by the server's clock: to compare with the clock of a node.
    ///
    /// ```no_run
    /// # async fn example(store: tower_api_keys::store::PostgresStore) -> Result<(), tower_api_keys::store::StoreError> {
    /// println!("the server says {}", store.server_time().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or corrupt if the time is not between 1970 and 9999.
    pub async fn server_time(&self) -> Result<Timestamp, StoreError> {
        let millis = server_time(&self.0.sessions, &self.0.sql).await?;
        Timestamp::from_millis(millis).map_err(StoreError::corrupt)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// Limits this to the time that connecting may take.
async fn in_time<T>(
    settings: &PostgresSettings,
    done: impl Future<Output = Result<T, PostgresError>>,
) -> Result<T, PostgresError> {
    let late = |_| PostgresError::unavailable("the server did not answer in time");
    timeout(settings.connect_timeout, done).await.map_err(late)?
}

/// Makes clients with a function of the service.
struct Connector<C>(C);

impl<C, F> Connect for Connector<C>
where
    C: Fn() -> F + Send + Sync,
    F: Future<Output = Result<Client, tokio_postgres::Error>> + Send + 'static,
{
    fn connect(&self, _config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let client = (self.0)();
        // The pool needs a task that it can end with the client. The service runs the connection, which ends by itself.
        Box::pin(async move { Ok((client.await?, tokio::spawn(async {}))) })
    }
}
