use std::{
    future::Future,
    sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering},
    time::Duration,
};

use deadpool_postgres::{Object, Pool};
use futures_util::future::{try_join, try_join3, try_join4};
use tokio::{
    runtime::Handle,
    time::{error::Elapsed, timeout},
};
use tokio_postgres::{Client, Row, SimpleQueryMessage, types::ToSql};

use super::{
    blockers::{Aside, Limits, Waited},
    failure::Failure,
    settings::PostgresSettings,
    sql::{Query, Sql},
};

/// How often to try a transaction that the server aborted because of another one.
const ATTEMPTS: usize = 3;

/// Connections for everything except the two queries of requests.
pub(super) struct Sessions {
    pool: Pool,
    aside: Aside,
    limits: Limits,
    /// The SQL that begins a transaction, and returns its process on the server.
    begin: String,
}

/// A connection of the pool. No prepared statement on it outlives an answer.
///
/// It goes back to the pool only if everything asked on it was answered. A connection that was dropped half-way, or did
/// not answer in time, is closed: no later caller gets an open transaction or a dead connection. Its place in the pool
/// is free only when the server has finished the statement: otherwise callers that disconnect could make the server run
/// any number of statements at once.
pub(super) struct Session<'a> {
    object: Option<Object>,
    sessions: &'a Sessions,
    /// How many statements have no answer yet.
    unanswered: AtomicUsize,
    /// Whether the server did not answer in time: then nothing more is asked.
    is_silent: AtomicBool,
    /// The process on the server that has its transaction; 0 if there is none yet.
    pid: AtomicI32,
}

impl Sessions {
    pub(super) fn new(pool: Pool, aside: Aside, settings: &PostgresSettings) -> Self {
        let answer = settings.change_timeout;
        // Less than the client's limit: the server should give up first, so that the session leaves the queue of the
        // lock.
        let limit = answer * 3 / 4;
        Self { pool, aside, limits: Limits { patience: limit / 8, answer }, begin: begin(limit) }
    }

    pub(super) async fn open(&self) -> Result<Session<'_>, Failure> {
        let object = timeout(self.limits.answer, self.pool.get()).await??;
        Ok(Session {
            object: Some(object),
            sessions: self,
            unanswered: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
            pid: AtomicI32::new(0),
        })
    }

    /// Runs a single query on the primary.
    pub(super) async fn rows(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let session = self.open().await?;
        // All sent at once. In one transaction, so that a pooler sends all of it to one server.
        let (_, is_standby, rows, _) = try_join4(
            session.begin(),
            session.ask(async |client| is_standby(client).await),
            session.rows(query, params),
            session.batch("commit"),
        )
        .await?;
        // Not given back: the next connection may lead to the primary.
        refuse_standby(is_standby)?;
        session.give_back();
        Ok(rows)
    }

    /// Runs a single statement in a transaction of its own. Returns how many rows it wrote.
    pub(super) async fn execute(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        let session = self.open().await?;
        // All sent at once, too. If the statement fails, so does the commit.
        let done = try_join3(session.begin(), session.execute(query, params), session.batch("commit")).await;
        let ((), written, ()) = done.map_err(Failure::of_write)?;
        session.give_back();
        Ok(written)
    }

    /// Begins a transaction that holds the lock of the change log. [`Session::end`] ends it.
    pub(super) async fn begin(&self, sql: &Sql) -> Result<Session<'_>, Failure> {
        let session = self.open().await?;
        // The lock is a statement of its own, so that the next one sees what was committed before the lock was granted.
        // Both are sent together.
        match try_join(session.begin(), session.execute(&sql.lock_head, &[])).await {
            Ok(_) => Ok(session),
            Err(failure) => session.end(Err(failure)).await,
        }
    }
}

/// Begins a transaction that waits for each lock up to a limit.
///
/// It does not rely on the database's defaults. With an older snapshot, a guard would not see the change that the lock
/// waited for. The search path has no schema of others, although no statement depends on it. The server also waits this
/// long for its client, because a client that goes silent while it holds a lock delays all other changes.
pub(super) fn begin(limit: Duration) -> String {
    let limit = limit.as_millis();
    format!(
        "begin isolation level read committed; set local search_path to pg_catalog, pg_temp; \
         set local lock_timeout to {limit}; set local idle_in_transaction_session_timeout to {limit}; \
         select pg_catalog.pg_backend_pid()"
    )
}

/// The process on the server that answered [`begin`].
pub(super) fn pid_of(answers: &[SimpleQueryMessage]) -> Option<i32> {
    answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

/// Does something in a transaction, and repeats it if the server aborted it because of another one.
pub(super) async fn transact<T, F>(attempt: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut number = 1;
    loop {
        match attempt().await {
            Err(Failure::Aborted(_)) if number < ATTEMPTS => number += 1,
            done => return done,
        }
    }
}

impl Session<'_> {
    pub(super) async fn rows(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        self.watched(async |client| ask(client, query, params).await).await
    }

    pub(super) async fn row(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Failure> {
        Ok(self.rows(query, params).await?.into_iter().next())
    }

    /// Runs a statement. Returns how many rows it wrote.
    pub(super) async fn execute(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        self.watched(async |client| client.execute_typed(&query.text, &typed(query, params)).await).await
    }

    pub(super) async fn batch(&self, text: &str) -> Result<(), Failure> {
        self.ask(async |client| client.batch_execute(text).await).await
    }

    /// Ends a transaction: commits it after success, or rolls it back.
    pub(super) async fn end<T>(self, done: Result<T, Failure>) -> Result<T, Failure> {
        match done {
            Ok(done) => {
                self.batch("commit").await.map_err(Failure::of_write)?;
                self.give_back();
                Ok(done)
            }
            Err(failure) => {
                // If the rollback fails, the connection is closed, which also rolls back. A connection to a server that
                // accepts no changes is closed, too.
                let is_fit = !self.is_silent.load(Ordering::Relaxed) && !failure.is_of_read_only();
                if is_fit && self.batch("rollback").await.is_ok() {
                    self.give_back();
                }
                Err(failure)
            }
        }
    }

    /// Gives the connection back to the pool. Everything on it was answered.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }

    async fn begin(&self) -> Result<(), Failure> {
        let answers = self.ask(async |client| client.simple_query(&self.sessions.begin).await).await?;
        self.pid.store(pid_of(&answers).unwrap_or_default(), Ordering::Relaxed);
        Ok(())
    }

    /// Runs a statement that may wait for locks of others. If it fails because of them, the failure names their
    /// holders.
    async fn watched<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let Sessions { aside, limits, .. } = self.sessions;
        let pid = || Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0);
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        // Boxed: a future of a change contains all its futures, and the compiler has a limit on how deep it looks.
        let (answer, holders) = Box::pin(aside.watch(pid, *limits, question(self.client()?))).await;
        self.heard(answer).map_err(|failure| match (failure, holders) {
            (Failure::Unavailable(error), Some(holders)) => Failure::unavailable(Waited::new(holders, error)),
            (failure, _) => failure,
        })
    }

    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        self.heard(timeout(self.sessions.limits.answer, question(self.client()?)).await)
    }

    fn client(&self) -> Result<&Client, Failure> {
        match &self.object {
            Some(object) => Ok(object),
            None => Err(Failure::unavailable("the connection was given back")),
        }
    }

    fn heard<T>(&self, answer: Result<Result<T, tokio_postgres::Error>, Elapsed>) -> Result<T, Failure> {
        match answer {
            Ok(answer) => {
                self.unanswered.fetch_sub(1, Ordering::Relaxed);
                Ok(answer?)
            }
            Err(late) => {
                self.is_silent.store(true, Ordering::Relaxed);
                doubt_idle(&self.sessions.pool);
                Err(late.into())
            }
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        let is_awaited = *self.unanswered.get_mut() > 0 && !*self.is_silent.get_mut();
        match Handle::try_current() {
            Ok(runtime) if is_awaited => drop(runtime.spawn(end(object, self.sessions.limits.answer))),
            _ => drop(Object::take(object)),
        }
    }
}

/// Closes a connection after the server has answered all statements: it answers in order.
async fn end(object: Object, limit: Duration) {
    drop(timeout(limit, object.batch_execute("rollback")).await);
    drop(Object::take(object));
}

/// Runs a query without a prepared statement that outlives the answer.
pub(super) async fn ask(
    client: &Client,
    query: &Query,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    client.query_typed(&query.text, &typed(query, params)).await
}

fn typed<'a>(
    query: &Query,
    params: &[&'a (dyn ToSql + Sync)],
) -> Vec<(&'a (dyn ToSql + Sync), tokio_postgres::types::Type)> {
    params.iter().copied().zip(query.types.iter().cloned()).collect()
}

/// Whether the server is a standby; true if it does not say.
pub(super) async fn is_standby(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let rows = client.query_typed("select pg_catalog.pg_is_in_recovery()", &[]).await?;
    Ok(is_of_standby(&rows, 0))
}

/// Whether a standby gave this answer, by this column; true if the column cannot be read.
pub(super) fn is_of_standby(rows: &[Row], column: usize) -> bool {
    rows.first().is_none_or(|row| row.try_get(column).unwrap_or(true))
}

/// Refuses a standby: its answer may be older than what the primary answered before.
pub(super) fn refuse_standby(is_standby: bool) -> Result<(), Failure> {
    if is_standby { Err(Failure::unavailable("the server is a standby, which may be behind")) } else { Ok(()) }
}

/// Closes idle connections. If one connection is dead or leads to a standby, the others usually are the same, and each
/// would cost a caller a failure.
pub(super) fn doubt_idle(pool: &Pool) {
    drop(pool.retain(|_, _| false));
}
