use std::{
    ops::Deref,
    sync::{
        Arc, Mutex as Lock, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{Object, Pool};
use futures_util::future::try_join_all;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout},
};
use tokio_postgres::{
    Client, Row, Statement,
    error::{Severity, SqlState},
    types::ToSql,
};

use super::{
    connect::Server,
    failure::Failure,
    session::{ask, doubt_idle, is_of_standby, is_standby, refuse_standby},
    settings::PostgresSettings,
    sql::Query,
};

/// The pause after a failure to connect, which doubles after each further one. Both limits are less than the 100 ms
/// after which an authenticator asks a failed store again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

/// Where a link gets its connections.
#[derive(Clone)]
pub(super) enum Source {
    /// Directly from the server: so an exhausted pool does not delay requests.
    Server(Arc<Server>),
    /// Taken out of the pool permanently: the pool makes another one instead.
    Pool,
}

/// One connection for a few queries, replaced when it is lost. The queries of many tasks are pipelined on it: none
/// waits for the answer to another.
pub(super) struct Link(Arc<Inner>);

struct Inner {
    source: Source,
    /// The pool of the store.
    pool: Pool,
    queries: Vec<Query>,
    /// The column of each answer that says whether a standby gave it.
    standby_column: usize,
    connect_timeout: Duration,
    answer_timeout: Duration,
    /// Whether the queries are prepared once for each connection.
    prepares: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// How often in a row connecting failed.
    failures: u32,
    pause_until: Option<Instant>,
}

#[derive(Clone)]
struct Live {
    client: Arc<dyn Deref<Target = Client> + Send + Sync>,
    /// The prepared queries; empty if nothing is prepared.
    statements: Arc<[Statement]>,
    pulse: Arc<Pulse>,
}

/// Since when the server has not answered although it was asked. It outlives the callers: a connection that is cut
/// silently shows only here.
#[derive(Default)]
struct Pulse {
    asked_at: Lock<Option<Instant>>,
    /// Whether this connection must not be used again.
    is_stopped: AtomicBool,
}

impl Link {
    pub(super) fn new(
        source: Source,
        pool: Pool,
        queries: Vec<Query>,
        standby_column: usize,
        settings: &PostgresSettings,
    ) -> Self {
        Self(Arc::new(Inner {
            source,
            pool,
            queries,
            standby_column,
            connect_timeout: settings.connect_timeout,
            answer_timeout: settings.answer_timeout,
            prepares: !settings.behind_pooler,
            state: Arc::default(),
        }))
    }

    /// Runs one of the queries of this link, by its place among them.
    pub(super) async fn ask(&self, query: usize, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let text = self.0.queries.get(query).ok_or_else(|| Failure::unavailable("the link has no such query"))?;
        let live = self.live().await?;
        let Live { client, statements, pulse } = &live;
        pulse.asked();
        let answer = async {
            match statements.get(query) {
                Some(statement) => client.query(statement, params).await,
                None => ask(client, text, params).await,
            }
        };
        let answer = timeout(self.0.answer_timeout, answer).await.inspect_err(|_| doubt_idle(&self.0.pool))?;
        pulse.heard();
        let rows = match answer {
            Ok(rows) => rows,
            Err(error) => {
                if is_last(&error) {
                    pulse.stop();
                }
                return Err(error.into());
            }
        };
        // An answer of a standby may be older than an earlier one of the primary. The next connection may lead to the
        // primary again.
        refuse_standby(is_of_standby(&rows, self.0.standby_column)).inspect_err(|_| pulse.stop())?;
        Ok(rows)
    }

    /// Makes the next query use a new connection, unless the returned doubt is dismissed.
    pub(super) fn doubt_unless_answered(&self) -> Doubt<'_> {
        Doubt(Some(self))
    }

    /// The connection. The first caller that finds it lost starts a new one, and the others wait for that.
    async fn live(&self) -> Result<Live, Failure> {
        let state = Arc::clone(&self.0.state).lock_owned().await;
        if let Some(live) = &state.live
            && !live.client.is_closed()
            && !live.pulse.is_missing(self.0.answer_timeout)
        {
            return Ok(live.clone());
        }
        if state.pause_until.is_some_and(|until| Instant::now() < until) {
            return Err(Failure::unavailable("the server could not be reached a moment ago"));
        }
        // Not in the request's own future: if all clients disconnect before the connection is made, it would never be
        // made.
        tokio::spawn(Arc::clone(&self.0).renew(state)).await.map_err(Failure::unavailable)?
    }
}

/// Whether the connection with this error cannot be used any more. Either the prepared statement is no longer valid,
/// and a new connection prepares it again; or the server closes the connection, which shows a moment later.
fn is_last(error: &tokio_postgres::Error) -> bool {
    let is_stale = [&SqlState::FEATURE_NOT_SUPPORTED, &SqlState::INVALID_SQL_STATEMENT_NAME];
    error.is_closed()
        || error.code().is_some_and(|code| is_stale.contains(&code))
        || error.as_db_error().is_some_and(|said| is_fatal(said.parsed_severity(), said.severity()))
}

/// Decides by the severity that the protocol gives for programs. A pooler gives only the one for people, in English.
fn is_fatal(severity: Option<Severity>, for_people: &str) -> bool {
    match severity {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => matches!(for_people, "FATAL" | "PANIC"),
    }
}

/// Stops a connection when it is dropped, also if the caller no longer waits for the answer that would dismiss it.
pub(super) struct Doubt<'a>(Option<&'a Link>);

impl Doubt<'_> {
    pub(super) fn dismiss(mut self) {
        self.0 = None;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        // If the state is locked, a new connection is being made.
        if let Some(link) = self.0
            && let Ok(state) = link.0.state.try_lock()
            && let Some(live) = &state.live
        {
            live.pulse.stop();
        }
    }
}

impl Inner {
    async fn renew(self: Arc<Self>, mut state: OwnedMutexGuard<State>) -> Result<Live, Failure> {
        state.live = None;
        let made = timeout(self.connect_timeout, self.connect()).await;
        if !matches!(made, Ok(Ok(_))) {
            doubt_idle(&self.pool);
        }
        match made {
            Ok(Ok(live)) => {
                *state = State { live: Some(live.clone()), ..State::default() };
                Ok(live)
            }
            failed => {
                let pause = FIRST_PAUSE.saturating_mul(1 << state.failures.min(16)).min(LONGEST_PAUSE);
                state.failures += 1;
                state.pause_until = Some(Instant::now() + pause);
                failed?
            }
        }
    }

    async fn connect(&self) -> Result<Live, Failure> {
        let client: Arc<dyn Deref<Target = Client> + Send + Sync> = match &self.source {
            Source::Server(server) => Arc::new(Box::new(server.connect(|_| {}).await?)),
            Source::Pool => Arc::new(Object::take(self.pool.get().await?)),
        };
        refuse_standby(is_standby(&client).await?)?;
        let prepared = self.queries.iter().filter(|_| self.prepares);
        let statements = try_join_all(prepared.map(|query| client.prepare_typed(&query.text, query.types))).await?;
        Ok(Live { client, statements: statements.into(), pulse: Arc::default() })
    }
}

impl Pulse {
    fn asked(&self) {
        self.asked_at().get_or_insert_with(Instant::now);
    }

    fn heard(&self) {
        *self.asked_at() = None;
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    fn is_missing(&self, limit: Duration) -> bool {
        self.is_stopped.load(Ordering::Relaxed) || self.asked_at().is_some_and(|since| since.elapsed() >= limit)
    }

    fn asked_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fatal_is_told_by_the_protocol_or_by_a_pooler() {
        for (severity, for_people, expected) in [
            (Some(Severity::Fatal), "FATAL", true),
            (Some(Severity::Fatal), "SCHWERWIEGEND", true),
            (Some(Severity::Panic), "PANIK", true),
            (Some(Severity::Error), "FATAL", false),
            (None, "FATAL", true),
            (None, "PANIC", true),
            (None, "ERROR", false),
            (None, "", false),
        ] {
            assert_eq!(is_fatal(severity, for_people), expected, "{severity:?} {for_people}");
        }
    }
}
