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

/// How often a transaction that the server gave up for another one is tried.
const ATTEMPTS: usize = 3;

/// Connections for everything but the requests' own two questions.
pub(super) struct Sessions {
    pool: Pool,
    aside: Aside,
    limits: Limits,
    /// Begins a transaction of ours, and says which process on the server it has.
    begin: String,
}

/// A connection of the pool. Nothing is prepared on it that outlives an answer.
///
/// It goes back to the pool only if everything that was asked on it was answered. One that was dropped half-way, or did
/// not answer in time, is closed: nobody inherits an open transaction or a dead line. Its place in the pool is free only
/// once the server is done with what it was asked: else callers who hang up would have it do any number of things at once.
pub(super) struct Session<'a> {
    object: Option<Object>,
    sessions: &'a Sessions,
    /// How much of what was asked is not answered.
    unanswered: AtomicUsize,
    /// Whether something was not answered: nothing more is asked then.
    is_silent: AtomicBool,
    /// The process on the server that has its transaction; 0 if there is none yet.
    pid: AtomicI32,
}

impl Sessions {
    pub(super) fn new(pool: Pool, aside: Aside, settings: &PostgresSettings) -> Self {
        let answer = settings.change_timeout;
        // Less than its client's: the server should give up first, so that nobody stands in its queue any more.
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

    /// Asks a single question of the primary.
    pub(super) async fn rows(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let session = self.open().await?;
        // All sent at once. In one transaction, so that a pooler has one server answer all of it.
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

    /// Does a single thing, which is a transaction of its own. How many rows it wrote.
    pub(super) async fn execute(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        let session = self.open().await?;
        // All sent at once, too. If the statement fails, so does the commit.
        let done = try_join3(session.begin(), session.execute(query, params), session.batch("commit")).await;
        let ((), written, ()) = done.map_err(Failure::of_write)?;
        session.give_back();
        Ok(written)
    }

    /// Begins a transaction that holds the lock which orders the log. [`Session::end`] ends it.
    pub(super) async fn begin(&self, sql: &Sql) -> Result<Session<'_>, Failure> {
        let session = self.open().await?;
        // The lock is a statement of its own: the next one sees what was committed before it got the lock. Sent along.
        match try_join(session.begin(), session.execute(&sql.lock_head, &[])).await {
            Ok(_) => Ok(session),
            Err(failure) => session.end(Err(failure)).await,
        }
    }
}

/// Begins a transaction whose locks are waited for so long.
///
/// Whatever the database's defaults are: with an older snapshot a guard would not see what a lock waited for; and a path
/// with others' schemas is no place for names, though no statement has one that depends on it. The server waits for its
/// client as long as for a lock, since a client that goes silent under a lock holds up everybody else's changes.
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

/// Does something in a transaction, and does it again if the server gave it up for the sake of another one.
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

    /// How many rows it wrote.
    pub(super) async fn execute(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        self.watched(async |client| client.execute_typed(&query.text, &typed(query, params)).await).await
    }

    pub(super) async fn batch(&self, text: &str) -> Result<(), Failure> {
        self.ask(async |client| client.batch_execute(text).await).await
    }

    /// Ends a transaction as it went: commits it, or undoes it.
    pub(super) async fn end<T>(self, done: Result<T, Failure>) -> Result<T, Failure> {
        match done {
            Ok(done) => {
                self.batch("commit").await.map_err(Failure::of_write)?;
                self.give_back();
                Ok(done)
            }
            Err(failure) => {
                // One that cannot be undone is closed, which undoes it; so is one to a server that takes no changes.
                let is_fit = !self.is_silent.load(Ordering::Relaxed) && !failure.is_of_read_only();
                if is_fit && self.batch("rollback").await.is_ok() {
                    self.give_back();
                }
                Err(failure)
            }
        }
    }

    /// Ends its use: everything was answered.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }

    async fn begin(&self) -> Result<(), Failure> {
        let answers = self.ask(async |client| client.simple_query(&self.sessions.begin).await).await?;
        self.pid.store(pid_of(&answers).unwrap_or_default(), Ordering::Relaxed);
        Ok(())
    }

    /// Asks what may have to wait for others' locks. If it was in vain, the failure says who has them.
    async fn watched<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let Sessions { aside, limits, .. } = self.sessions;
        let pid = || Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0);
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        // Boxed: a future of a change contains all futures in it, and compilers refuse to look arbitrarily deep.
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

/// Closes a connection once the server has answered what it was asked: it answers in order.
async fn end(object: Object, limit: Duration) {
    drop(timeout(limit, object.batch_execute("rollback")).await);
    drop(Object::take(object));
}

/// Asks without preparing anything that outlives the answer.
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

/// Whether the server is a standby, or does not say.
pub(super) async fn is_standby(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let rows = client.query_typed("select pg_catalog.pg_is_in_recovery()", &[]).await?;
    Ok(is_of_standby(&rows, 0))
}

/// Whether a standby gave this answer, as far as this column of it tells.
pub(super) fn is_of_standby(rows: &[Row], column: usize) -> bool {
    rows.first().is_none_or(|row| row.try_get(column).unwrap_or(true))
}

/// What a standby says may be behind what the primary said before.
pub(super) fn refuse_standby(is_standby: bool) -> Result<(), Failure> {
    if is_standby { Err(Failure::unavailable("the server is a standby, which may be behind")) } else { Ok(()) }
}

/// Where one line is dead, or leads to a standby, those beside it are: nobody should have to find that out for each.
pub(super) fn doubt_idle(pool: &Pool) {
    drop(pool.retain(|_, _| false));
}
