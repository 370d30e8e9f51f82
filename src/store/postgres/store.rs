use std::{fmt, sync::Arc};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Config, NoTls, Row, types::ToSql};

use super::{
    apply::{apply, owner_status},
    connect_error::{PostgresError, PostgresErrorKind},
    event_rows::{events, insert_events},
    failure::Failure,
    key_rows::find,
    link::Link,
    list::list,
    log::changes_since,
    schema::{MIGRATIONS, check, migrate},
    settings::PostgresSettings,
    sql::{Query, Sql},
    upkeep::{prune, put_meta_if_absent},
    usage_rows::record_usage,
};
use crate::{
    audit::EventRow,
    key::KeyId,
    owner::OwnerRef,
    record::OwnerStatusRow,
    store::{
        Applied, Change, Changes, EventQuery, FoundKey, Head, KeyQuery, KeyReader, KeyStore, ListedKey, Page, Prune,
        Pruned, RehashedKey, StoreError,
    },
    time::Timestamp,
    usage::UsageBatch,
};

/// Keys in PostgreSQL, for any number of nodes.
///
/// Cheap to clone. Requests use two connections: reads of the change log have one, look-ups are pipelined on another.
/// A small pool serves changes, lists, usage and events. Lost connections are made anew.
///
/// Every change is noticed by every node, and so is plain SQL on the tables `api_keys` and `api_key_owners`, whoever
/// runs it: triggers write the change log.
///
/// ```no_run
/// use tower_api_keys::store::PostgresStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = "postgres://keys@db.example.com/service";
/// PostgresStore::migrate(url, "public").await?;
/// let store = PostgresStore::connect(url).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    sql: Sql,
    /// Reads of the change log, and nothing else.
    log: Link,
    /// Look-ups of single keys.
    finder: Link,
    pool: Pool,
}

impl PostgresStore {
    /// Connects to the server at this URL, whose schema `public` has the tables.
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
        if !settings.has_valid_schema() || !settings.has_valid_sizes() {
            let what = "a setting is out of its range: see `PostgresSettings`";
            return Err(PostgresError::new(PostgresErrorKind::Settings, what));
        }
        let config = config(url, &settings)?;
        let sql = Sql::new(&settings.schema);
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config.clone(), NoTls, manager_config))
            .max_size(settings.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.connect_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .build()
            .map_err(PostgresError::unavailable)?;
        check(&*pool.get().await.map_err(PostgresError::unavailable)?, &sql).await?;
        let link = || Link::new(config.clone(), &settings);
        Ok(Self(Arc::new(Inner { log: link(), finder: link(), pool, sql })))
    }

    /// Brings the tables in this schema up to date, and the schema into being. Nodes may do it at the same time.
    ///
    /// # Errors
    /// [`PostgresError`], with what to do about it.
    pub async fn migrate(url: &str, schema: &str) -> Result<(), PostgresError> {
        let settings = PostgresSettings::new().schema(schema);
        if !settings.has_valid_schema() {
            return Err(PostgresError::new(
                PostgresErrorKind::Settings,
                "this is no name of a schema: see `PostgresSettings::schema`",
            ));
        }
        let (mut client, connection) =
            config(url, &settings)?.connect(NoTls).await.map_err(PostgresError::unavailable)?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        let migrated = migrate(&mut client, schema, &Sql::new(schema)).await;
        driver.abort();
        migrated
    }

    /// The SQL of all migrations, in order, for whoever migrates in their own way. Run each in a transaction with the
    /// schema first in the search path, and insert its number, from 1 on, into `api_key_schema` behind it.
    #[must_use]
    pub const fn migrations() -> &'static [&'static str] {
        MIGRATIONS
    }

    /// Does something in a transaction, under the lock that orders the log if it `orders`, and commits it.
    pub(super) async fn transact<T>(
        &self,
        orders: bool,
        job: impl AsyncFnOnce(&Transaction<'_>, &Sql) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let sql = &self.0.sql;
        let done = async {
            let mut client = self.0.pool.get().await?;
            let transaction = Transaction(client.transaction().await?);
            if orders {
                // In a statement of its own: the next one sees what was committed before it got the lock.
                transaction.execute(&sql.lock_head, &[]).await?;
            }
            let done = job(&transaction, sql).await?;
            transaction.0.commit().await.map_err(Failure::Commit)?;
            Ok::<_, Failure>(done)
        };
        Ok(done.await?)
    }
}

fn config(url: &str, settings: &PostgresSettings) -> Result<Config, PostgresError> {
    let malformed =
        |error| PostgresError::caused(PostgresErrorKind::Settings, "the URL of the database is malformed", error);
    let mut config: Config = url.parse().map_err(malformed)?;
    config.connect_timeout(settings.connect_timeout);
    if config.get_application_name().is_none() {
        config.application_name("tower-api-keys");
    }
    Ok(config)
}

/// A transaction that prepares nothing which outlives an answer.
pub(super) struct Transaction<'a>(deadpool_postgres::Transaction<'a>);

impl Transaction<'_> {
    pub(super) async fn rows(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let typed: Vec<_> = params.iter().copied().zip(query.types.iter().cloned()).collect();
        Ok(self.0.query_typed(&query.text, &typed).await?)
    }

    pub(super) async fn row(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Failure> {
        Ok(self.rows(query, params).await?.into_iter().next())
    }

    /// How many rows it wrote.
    pub(super) async fn execute(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        let typed: Vec<_> = params.iter().copied().zip(query.types.iter().cloned()).collect();
        Ok(self.0.execute_typed(&query.text, &typed).await?)
    }
}

fn page<T>(mut rows: Vec<T>, limit: u16) -> Page<T> {
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    Page { rows, more }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl KeyReader for PostgresStore {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        Ok(find(&self.0.finder, &self.0.sql, id).await?)
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        Ok(changes_since(&self.0.log, &self.0.sql, head).await?)
    }

    fn head_now(&self) -> Option<Head> {
        None
    }
}

impl KeyStore for PostgresStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        self.transact(true, async |transaction, sql| apply(transaction, sql, change).await).await
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        let replaced = self.transact(false, async |transaction, sql| {
            let row: [&(dyn ToSql + Sync); 5] = [&id.as_str(), &old, &new.hash, &new.tag.as_slice(), &new.pepper_id];
            transaction.execute(&sql.rehash, &row).await
        });
        Ok(replaced.await? > 0)
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        let rows = self.transact(false, async |transaction, sql| list(transaction, sql, query, now).await);
        Ok(page(rows.await?, query.limit))
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<OwnerStatusRow, StoreError> {
        self.transact(false, async |transaction, sql| owner_status(transaction, sql, owner).await).await
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.transact(false, async |transaction, sql| record_usage(transaction, sql, batch).await).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        let events: Vec<&EventRow> = events.iter().collect();
        self.transact(true, async |transaction, sql| insert_events(transaction, sql, &events).await).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        let rows = self.transact(false, async |transaction, sql| events(transaction, sql, query).await);
        Ok(page(rows.await?, query.limit))
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.transact(false, async |transaction, sql| put_meta_if_absent(transaction, sql, name, value).await).await
    }

    async fn prune(&self, what: &Prune) -> Result<Pruned, StoreError> {
        self.transact(false, async |transaction, sql| prune(transaction, sql, what).await).await
    }
}
