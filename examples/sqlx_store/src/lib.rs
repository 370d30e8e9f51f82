//! A store over a service's own [`sqlx::PgPool`]. The service and its keys share the pool's TLS, limits and log lines.
//!
//! A node that is cut off in the middle of a change does not stop the others: the server ends its transaction after two
//! seconds, and each node has one transaction at a time in the queue for the lock (`transaction.rs`). Changes do not
//! stop checks, which have connections of their own.
//!
//! The tables are those of [`PostgresStore`], in a schema `keys` next to the service's own. Their triggers write the
//! change log, so that plain SQL is noticed, too. One service can use this store and another one `PostgresStore` on the
//! same database. You can use other tables, if the store passes the conformance kit, as in `tests/store.rs`.

mod apply;
mod failure;
mod log;
mod read;
mod rows;
mod time;
mod transaction;
mod usage;

use failure::Failure;
use sqlx::PgPool;
use time::Time;
use tower_api_keys::{
    Timestamp,
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{
        Applied, Change, Changes, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, KeyQuery, KeyReader,
        KeyStore, Ledger, ListedKey, OwnerRef, Page, PostgresStore, Prune, Pruned, RehashedKey, StoreError, Trail,
        UsageScope,
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};
use transaction::Transactions;

/// Keys in the schema `keys` of a database. Cheap to clone.
///
/// Statements here have bare operators and functions, which the server looks for in the search path of the pool's
/// sessions. That path should name no schema in which other roles may create.
#[derive(Clone, Debug)]
pub struct SqlxStore {
    /// The pool of the service: for everything except checks.
    pool: PgPool,
    /// Only for checks, which must not wait until a change gives a connection back.
    checks: PgPool,
    changes: Transactions,
}

/// Connections for checks: one reads the change log, the others look up keys that the node does not know yet.
const CHECKS: u32 = 4;

impl SqlxStore {
    /// A store over this pool. [`migrate`](Self::migrate) makes the tables. Checks of keys get a small pool of their
    /// own, with the settings of this one.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let options = pool.options().clone().min_connections(0).max_connections(CHECKS);
        let checks = options.connect_lazy_with(pool.connect_options().as_ref().clone());
        Self { changes: Transactions::new(pool.clone()), pool, checks }
    }

    /// Brings the tables up to date. Nodes may do it at the same time. If you use sqlx's own migrations, copy the files
    /// of `migrations/postgres` there instead, and insert the name of the schema. They refuse a schema in which other
    /// roles may create.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::Error> {
        // Any role can take this lock, so the wait for it has a limit.
        const LOCK: &str = "set local lock_timeout to '15s'; \
            select pg_advisory_xact_lock(hashtextextended('migrations of keys', 0))";
        const IS_NEW: &str = "select to_regclass('keys.api_key_schema') is null";
        const VERSION: &str = "select coalesce(max(version), 0) from keys.api_key_schema";
        const RECORD: &str = "insert into keys.api_key_schema (version) values ($1)";
        let migrations = PostgresStore::migrations("keys").map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let mut transaction = pool.begin().await?;
        sqlx::raw_sql(LOCK).execute(&mut *transaction).await?;
        let is_new: bool = sqlx::query_scalar(IS_NEW).fetch_one(&mut *transaction).await?;
        let found = if is_new { 0 } else { sqlx::query_scalar(VERSION).fetch_one(&mut *transaction).await? };
        for (version, migration) in (1_i32..).zip(&migrations).filter(|(version, _)| *version > found) {
            sqlx::raw_sql(migration).execute(&mut *transaction).await?;
            sqlx::query(RECORD).bind(version).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

impl KeyReader for SqlxStore {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        Ok(read::find(&self.checks, id).await?)
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        Ok(log::changes_since(&self.checks, head).await?)
    }

    // Other nodes write, too, so `try_head` cannot know the head. `wait_for_change` could use
    // `sqlx::postgres::PgListener` on the channel `api_keys`; without it, bounded freshness notices changes at its
    // interval.
}

impl KeyStore for SqlxStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        change.erases_alone()?;
        let mut transaction = self.changes.begin().await?;
        let done = apply::apply(transaction.connection()?, change).await;
        Ok(transaction.end(done).await?)
    }

    // The other methods run one statement at a time, which the server does completely or not at all, also if the call
    // is dropped.

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        const SQL: &str = "update keys.api_keys set hash = $3, tag = $4, pepper_id = $5, proof = $6, \
            rehashes = rehashes + 1 \
            where id = $1 and hash = $2 and revoked_at is null";
        let RehashedKey { hash, tag, pepper_id, proof } = new;
        let query = sqlx::query(SQL).bind(id.as_str()).bind(old).bind(hash).bind(&tag[..]).bind(pepper_id).bind(proof);
        Ok(query.execute(&self.pool).await.map_err(Failure::from)?.rows_affected() > 0)
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        Ok(read::list(&self.pool, query, now).await?)
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        Ok(read::ending(&self.pool, query).await?)
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        Ok(read::owner_status(&self.pool, owner).await?)
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        const PUT: &str = "insert into keys.api_key_meta (name, value) values ($1, $2) on conflict (name) do nothing";
        const GET: &str = "select value from keys.api_key_meta where name = $1";
        sqlx::query(PUT).bind(name).bind(value).execute(&self.pool).await.map_err(Failure::from)?;
        Ok(sqlx::query_scalar(GET).bind(name).fetch_one(&self.pool).await.map_err(Failure::from)?)
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        const PUT: &str = "insert into keys.api_key_notes as n (name, value) values ($1, $3) \
            on conflict (name) do update set value = excluded.value where n.value = $2";
        const REPLACE: &str = "update keys.api_key_notes set value = $3 where name = $1 and value = $2";
        const GET: &str = "select value from keys.api_key_notes where name = $1";
        if old != new {
            let query = sqlx::query(if old.is_empty() { PUT } else { REPLACE }).bind(name).bind(old).bind(new);
            if query.execute(&self.pool).await.map_err(Failure::from)?.rows_affected() > 0 {
                return Ok(new.to_vec());
            }
        }
        let standing = sqlx::query_scalar(GET).bind(name).fetch_optional(&self.pool).await;
        Ok(standing.map_err(Failure::from)?.unwrap_or_default())
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        const SQL: &str = "select count(*), count(*) filter (where least(revoked_at, expires_at) < $1) \
            from keys.api_keys where least(revoked_at, expires_at) is not null";
        let query = sqlx::query_as(SQL).bind(Time(before.as_millis()));
        let counts: (i64, i64) = query.fetch_one(&self.pool).await.map_err(Failure::from)?;
        Ok(EndedKeys { all: counts.0.unsigned_abs(), before: counts.1.unsigned_abs() })
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        const EVENTS: &str = "delete from keys.api_key_events where sequence in \
            (select sequence from keys.api_key_events where is_attempt = $1 and at < $2 \
                and ($4::bigint is null or sequence <= $4) order by at limit $3)";
        // Positions have no gaps, so the last rows are known by theirs. The head is in a table of its own, and stays.
        const LOG: &str =
            "delete from keys.api_key_log where position <= (select position from keys.api_key_head) - $1";
        const CHANGES: &str = "delete from keys.api_key_changes where at < $1";
        const DAYS: &str = "delete from keys.api_key_usage_days where day < date '1970-01-01' + $1";
        const USAGE_OF_GONE: &str = "delete from keys.api_key_usage \
            where key_id > $1 and not exists (select 1 from keys.api_keys where id = key_id)";
        const DAYS_OF_GONE: &str = "delete from keys.api_key_usage_days \
            where key_id > $1 and not exists (select 1 from keys.api_keys where id = key_id)";
        let mut pruned = Pruned::default();
        let events = [
            (false, prune.events_before, prune.most_events, prune.events_until, &mut pruned.events),
            (true, prune.attempts_before, prune.most_attempts, None, &mut pruned.attempts),
        ];
        for (attempts, before, most, until, count) in events {
            let Some(before) = before else { continue };
            let most = most.and_then(|most| i64::try_from(most).ok());
            let query = sqlx::query(EVENTS).bind(attempts).bind(Time(before.as_millis())).bind(most).bind(until);
            *count = query.execute(&self.pool).await.map_err(Failure::from)?.rows_affected();
        }
        if let Some(keep) = prune.keep_log_rows {
            let query = sqlx::query(LOG).bind(i64::from(keep));
            pruned.log_rows = query.execute(&self.pool).await.map_err(Failure::from)?.rows_affected();
        }
        if let Some(before) = prune.changes_before {
            let query = sqlx::query(CHANGES).bind(Time(before.as_millis()));
            pruned.changes = query.execute(&self.pool).await.map_err(Failure::from)?.rows_affected();
        }
        if let Some(before) = prune.days_before {
            let query = sqlx::query(DAYS).bind(before);
            pruned.days = query.execute(&self.pool).await.map_err(Failure::from)?.rows_affected();
        }
        if let Some(dead) = &prune.keys {
            let mut transaction = self.changes.begin().await?;
            let purged = apply::purge(transaction.connection()?, dead).await;
            pruned.keys = transaction.end(purged).await?;
        }
        if let Some(after) = prune.usage_after {
            for gone in [USAGE_OF_GONE, DAYS_OF_GONE] {
                let query = sqlx::query(gone).bind(after.as_str());
                pruned.usage += query.execute(&self.pool).await.map_err(Failure::from)?.rows_affected();
            }
        }
        Ok(pruned)
    }
}

impl Ledger for SqlxStore {
    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        // Under the lock, too, so that numbers are given and seen in the same order.
        let mut transaction = self.changes.begin().await?;
        let done = apply::insert_events(transaction.connection()?, &events.iter().collect::<Vec<_>>()).await;
        Ok(transaction.end(done).await?)
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        Ok(usage::record(&self.pool, batch).await?)
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        Ok(usage::read(&self.pool, of).await?)
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        Ok(usage::days(&self.pool, keys, from).await?)
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        Ok(read::events(&self.pool, query).await?)
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        Ok(read::feed(&self.pool, after, limit).await?)
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        const SQL: &str = "select count(*), count(*) filter (where at < $2), max(at) \
            from keys.api_key_events where is_attempt = $1";
        let query = sqlx::query_as(SQL).bind(attempts).bind(Time(before.as_millis()));
        let counts: (i64, i64, Option<Time>) = query.fetch_one(&self.pool).await.map_err(Failure::from)?;
        Ok(Trail {
            events: counts.0.unsigned_abs(),
            before: counts.1.unsigned_abs(),
            newest_at: counts.2.and_then(|Time(at)| Timestamp::from_millis(at).ok()),
        })
    }
}
