use std::{
    future::Future,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use deadpool_postgres::{Object, Pool};
use futures_util::future::{try_join, try_join4};
use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{Client, Row, types::ToSql};

use super::{
    failure::Failure,
    settings::PostgresSettings,
    sql::{Query, Sql},
};

/// How often a transaction that the server gave up for another one is tried.
const ATTEMPTS: usize = 3;

/// Connections for everything but the requests' own two questions.
pub(super) struct Sessions {
    pool: Pool,
    change_timeout: Duration,
    /// The same as the server reads it, and less: it should give up before its client does.
    limit: String,
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
}

impl Sessions {
    pub(super) fn new(pool: Pool, settings: &PostgresSettings) -> Self {
        Self {
            pool,
            change_timeout: settings.change_timeout,
            limit: (settings.change_timeout.as_millis() * 3 / 4).to_string(),
        }
    }

    pub(super) async fn open(&self) -> Result<Session<'_>, Failure> {
        let object = timeout(self.change_timeout, self.pool.get()).await??;
        let (unanswered, is_silent) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Session { object: Some(object), sessions: self, unanswered, is_silent })
    }

    /// Asks a single question of the primary.
    pub(super) async fn rows(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let session = self.open().await?;
        // All sent at once. In one transaction, so that a pooler has one server answer all of it.
        let (_, is_standby, rows, _) = try_join4(
            session.batch("begin"),
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
        let written = session.execute(query, params).await.map_err(Failure::of_write)?;
        session.give_back();
        Ok(written)
    }

    /// Begins a transaction that holds the lock which orders the log. [`Session::end`] ends it.
    pub(super) async fn begin(&self, sql: &Sql) -> Result<Session<'_>, Failure> {
        let session = self.open().await?;
        // Whatever the database's default is: with an older snapshot a guard would not see what the lock waited for.
        let begin = session.batch("begin isolation level read committed");
        // In a statement of its own: the next one sees what was committed before it got the lock. Sent along.
        let limit: [&(dyn ToSql + Sync); 1] = [&self.limit];
        match try_join(begin, session.execute(&sql.lock_head, &limit)).await {
            Ok(_) => Ok(session),
            Err(failure) => session.end(Err(failure)).await,
        }
    }
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
        self.ask(async |client| ask(client, query, params).await).await
    }

    pub(super) async fn row(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Failure> {
        Ok(self.rows(query, params).await?.into_iter().next())
    }

    /// How many rows it wrote.
    pub(super) async fn execute(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        self.ask(async |client| client.execute_typed(&query.text, &typed(query, params)).await).await
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

    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let Some(object) = &self.object else { return Err(Failure::unavailable("the connection was given back")) };
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        match timeout(self.sessions.change_timeout, question(object)).await {
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
            Ok(runtime) if is_awaited => drop(runtime.spawn(end(object, self.sessions.change_timeout))),
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
    let rows = client.query_typed("select pg_is_in_recovery()", &[]).await?;
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
