//! Which sessions hold the locks that a transaction waits for. The server knows this only while the transaction waits,
//! so another connection asks.

use std::{error::Error, future::Future, pin::pin, sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use futures_util::future::{Either, select};
use tokio::{
    sync::Mutex,
    time::{error::Elapsed, sleep, timeout},
};
use tokio_postgres::{Client, Row, error::SqlState, types::Type};

use super::{connect::Server, sql::qualified};

/// The sessions at the heads of all queues: those that do not wait for a lock themselves. Of sessions of other roles, a
/// role without `pg_read_all_stats` sees only process, role and application.
pub(super) const HOLDERS: &str = "\
    with recursive waited (pid) as (\
        select b.pid from pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) b (pid) \
        union select b.pid from waited w cross join lateral pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) b (pid)\
    ) \
    select w.pid, a.usename::pg_catalog.text, a.application_name, a.state, pg_catalog.host(a.client_addr), \
        pg_catalog.to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
    from waited w left join pg_catalog.pg_stat_activity a on a.pid {=} w.pid \
    where pg_catalog.cardinality(pg_catalog.pg_blocking_pids(w.pid)) {=} 0 order by w.pid limit 3";

/// How much longer to wait for the names of the holders after the server gave up waiting for the lock.
const GRACE: Duration = Duration::from_secs(1);

/// Another connection to the server, apart from the session that waits.
pub(super) struct Aside {
    way: Way,
    /// One query at a time: it locks the server's whole table of locks for a moment.
    turn: Mutex<()>,
}

enum Way {
    /// A connection for one query: those of the pool may all wait for the same lock.
    Server(Arc<Server>),
    Pool(Pool),
}

/// How long an answer may take, and after what time to ask what it waits for.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) patience: Duration,
    pub(super) answer: Duration,
}

/// A statement that failed because of the locks of others.
#[derive(Debug, thiserror::Error)]
#[error("it waited for locks of other sessions: {holders}")]
pub(super) struct Waited {
    holders: String,
    source: Box<dyn Error + Send + Sync>,
}

impl Aside {
    pub(super) fn server(server: Arc<Server>) -> Self {
        Self { way: Way::Server(server), turn: Mutex::default() }
    }

    pub(super) fn pool(pool: Pool) -> Self {
        Self { way: Way::Pool(pool), turn: Mutex::default() }
    }

    /// Awaits an answer. If it takes longer than `patience`, this asks which sessions block it; `pid` then returns its
    /// process on the server.
    pub(super) async fn watch<T>(
        &self,
        pid: impl Fn() -> Option<i32>,
        limits: Limits,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> (Result<Result<T, tokio_postgres::Error>, Elapsed>, Option<String>) {
        let mut answer = pin!(timeout(limits.answer, answer));
        if let Either::Left((answered, _)) = select(answer.as_mut(), pin!(sleep(limits.patience))).await {
            return (answered, None);
        }
        let mut holders = pin!(async {
            match pid() {
                Some(pid) => self.holders(pid).await,
                None => None,
            }
        });
        match select(answer.as_mut(), holders.as_mut()).await {
            Either::Right((holders, _)) => (answer.await, holders),
            Either::Left((answered, _)) if is_of_lock(&answered) => {
                (answered, timeout(GRACE, holders).await.unwrap_or_default())
            }
            Either::Left((answered, _)) => (answered, None),
        }
    }

    /// The holders of the locks that this session waits for; none if it waits for none, or the server does not say.
    async fn holders(&self, pid: i32) -> Option<String> {
        let _turn = self.turn.lock().await;
        match &self.way {
            Way::Server(server) => holders(&server.connect(|_| {}).await.ok()?, pid).await,
            Way::Pool(pool) => holders(&*pool.get().await.ok()?, pid).await,
        }
    }
}

impl Waited {
    pub(super) fn new(holders: String, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { holders, source: source.into() }
    }
}

/// Whether the server gave up waiting for a lock.
fn is_of_lock<T>(answered: &Result<Result<T, tokio_postgres::Error>, Elapsed>) -> bool {
    matches!(answered, Ok(Err(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
}

async fn holders(client: &Client, pid: i32) -> Option<String> {
    let rows = client.query_typed(&qualified(HOLDERS, ""), &[(&pid, Type::INT4)]).await.ok()?;
    let holders: Vec<String> = rows.iter().filter_map(holder).collect();
    if holders.is_empty() { None } else { Some(holders.join("; ")) }
}

fn holder(row: &Row) -> Option<String> {
    let pid: i32 = row.try_get(0).ok()?;
    if pid == 0 {
        return Some(
            "a prepared transaction: find it in `pg_prepared_xacts`, and commit it or roll it back".to_owned(),
        );
    }
    let text = |place: usize| row.try_get::<_, Option<String>>(place).ok().flatten();
    let known = [
        text(2).filter(|name| !name.is_empty()).map(|name| format!("application {name:?}")),
        text(4).map(|address| format!("at {address}")),
        text(3),
        text(5).map(|since| format!("in a transaction since {since}")),
    ];
    let known: Vec<_> = known.into_iter().flatten().collect();
    let role = text(1).unwrap_or_default();
    Some(format!(
        "the session {pid} of the role {role:?} ({}); end its transaction, or run `select \
         pg_terminate_backend({pid})`",
        known.join(", ")
    ))
}
