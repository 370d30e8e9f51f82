use std::{
    ops::Deref,
    sync::{Arc, Mutex as Lock, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_postgres::{Object, Pool};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_postgres::{Client, Row, Statement, types::ToSql};

use super::{connect::Server, failure::Failure, session::ask, settings::PostgresSettings, sql::Query};

/// After a failure to connect the next attempt waits so long, and twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Where a link gets its connections.
#[derive(Clone)]
pub(super) enum Source {
    /// Straight from the server: a pool that is exhausted keeps no request waiting.
    Server(Arc<Server>),
    /// Out of somebody else's pool, for good: it makes another in its place.
    Pool(Pool),
}

/// One connection, kept for a single query and made anew when it is lost. Questions of many tasks are pipelined on it:
/// none waits for the answer to another.
pub(super) struct Link {
    source: Source,
    connect_timeout: Duration,
    answer_timeout: Duration,
    /// Whether the query may be prepared once for all.
    prepares: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// How often in a row connecting failed, and when it may be tried again.
    failures: u32,
    pause_until: Option<Instant>,
}

#[derive(Clone)]
struct Live {
    client: Arc<dyn Deref<Target = Client> + Send + Sync>,
    statement: Option<Statement>,
    pulse: Arc<Pulse>,
}

/// Since when nothing was heard of the server though something was asked. It outlives those who asked: a connection that
/// is cut without a word shows only in this.
#[derive(Default)]
struct Pulse(Lock<Option<Instant>>);

impl Link {
    pub(super) fn new(source: Source, settings: &PostgresSettings) -> Self {
        Self {
            source,
            connect_timeout: settings.connect_timeout,
            answer_timeout: settings.answer_timeout,
            prepares: !settings.behind_pooler,
            state: Mutex::default(),
        }
    }

    /// Asks the one query that this link is for.
    pub(super) async fn ask(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let Live { client, statement, pulse } = self.live(query).await?;
        pulse.asked();
        let answer = async {
            match &statement {
                Some(statement) => client.query(statement, params).await,
                None => ask(&client, query, params).await,
            }
        };
        let answer = timeout(self.answer_timeout, answer).await?;
        pulse.heard();
        Ok(answer?)
    }

    /// The connection. Whoever finds it lost makes another, and the rest wait for that.
    async fn live(&self, query: &Query) -> Result<Live, Failure> {
        let mut state = self.state.lock().await;
        if let Some(live) = &state.live
            && !live.client.is_closed()
            && !live.pulse.is_missing(self.answer_timeout)
        {
            return Ok(live.clone());
        }
        state.live = None;
        let now = Instant::now();
        if state.pause_until.is_some_and(|until| now < until) {
            return Err(Failure::unavailable("the server could not be reached a moment ago"));
        }
        match timeout(self.connect_timeout, self.connect(query)).await {
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

    async fn connect(&self, query: &Query) -> Result<Live, Failure> {
        let client: Arc<dyn Deref<Target = Client> + Send + Sync> = match &self.source {
            Source::Server(server) => Arc::new(Box::new(server.connect(|_| {}).await?)),
            Source::Pool(pool) => Arc::new(Object::take(pool.get().await?)),
        };
        let statement = if self.prepares { Some(client.prepare_typed(&query.text, query.types).await?) } else { None };
        Ok(Live { client, statement, pulse: Arc::default() })
    }
}

impl Pulse {
    fn asked(&self) {
        self.lock().get_or_insert_with(Instant::now);
    }

    fn heard(&self) {
        *self.lock() = None;
    }

    fn is_missing(&self, limit: Duration) -> bool {
        self.lock().is_some_and(|since| since.elapsed() >= limit)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
