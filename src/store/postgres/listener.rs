//! Notifications of changes, by `LISTEN`. They make bounded freshness faster and prove nothing: a failure here costs
//! time, never safety.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::Client;

use super::{connect::Server, connect_error::PostgresError, failure::Failure};
use crate::{
    background::Background,
    log::{Repeated, log},
    random::random_bytes,
};

/// The channel of all schemas of a database; a trigger of the migrations writes to it.
const CHANNEL: &str = "api_keys";

/// The pause after a failure, which doubles after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often to test a connection on which nothing arrives.
const PROBE_AGAIN: Duration = Duration::from_secs(5);

/// A connection that listens, replaced when it is lost.
pub(super) struct Listener {
    server: Arc<Server>,
    schema: String,
    timeout: Duration,
    /// The position of the log in the last notification; none on a new connection.
    position: watch::Sender<Option<i64>>,
    background: Background,
}

impl Listener {
    pub(super) fn new(server: Arc<Server>, schema: String, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            server,
            schema,
            timeout,
            position: watch::Sender::new(None),
            background: Background::default(),
        })
    }

    /// Tests whether notifications from another connection arrive here: a pooler accepts `LISTEN`, and delivers
    /// nothing.
    pub(super) async fn probe(&self, sender: &Client) -> Result<(), PostgresError> {
        let arrived = timeout(self.timeout, async {
            let bytes = random_bytes::<8>().map_err(Failure::unavailable)?;
            // Hexadecimal digits need no quoting.
            let word: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let payload = format!("probe {word}");
            let (heard, mut arrived) = watch::channel(false);
            let expected = payload.clone();
            let hear = move |payload: &str| {
                if payload == expected {
                    heard.send_replace(true);
                }
            };
            let _listening = self.listen(hear).await?;
            sender.batch_execute(&format!("notify {CHANNEL}, '{payload}'")).await?;
            arrived.wait_for(|is| *is).await.map_err(Failure::unavailable)?;
            Ok::<_, Failure>(())
        });
        let arrived = arrived.await.unwrap_or_else(|late| Err(late.into()));
        arrived.map_err(PostgresError::no_notifications)
    }

    /// Waits for a notification that the log continues after this position.
    pub(super) async fn wait_for_change(self: &Arc<Self>, position: i64) {
        self.background.start(|| run(Arc::clone(self)));
        let mut heard = self.position.subscribe();
        // The channel cannot close while the sender is here. If it did, a hint without a change is harmless.
        drop(heard.wait_for(|now| now.is_some_and(|now| now > position)).await);
    }

    async fn listen(&self, hear: impl Fn(&str) + Send + 'static) -> Result<Client, Failure> {
        let client = self.server.connect(hear).await?;
        client.batch_execute(&format!("listen {CHANNEL}")).await?;
        Ok(client)
    }

    /// Listens until the connection is lost, or until only this task has the listener.
    async fn follow(self: &Arc<Self>) -> Result<(), Failure> {
        let (positions, schema) = (self.position.clone(), self.schema.clone());
        let (lives, mut ended) = watch::channel(());
        let hear = move |payload: &str| {
            let _lives = &lives;
            if let Some((position, of)) = payload.split_once(' ')
                && of == schema
            {
                positions.send_replace(position.parse().ok());
            }
        };
        // Changes that were missed before this connection listens are noticed at the next interval.
        let client = timeout(self.timeout, self.listen(hear)).await??;
        while !self.is_abandoned() {
            // `hear` owns the sender, which is dropped with the connection.
            if timeout(PROBE_AGAIN, ended.changed()).await.is_ok() {
                return Err(Failure::unavailable("the connection was lost"));
            }
            // A connection that is silently dead shows only when it is used.
            timeout(self.timeout, client.batch_execute("select 1")).await??;
        }
        Ok(())
    }

    /// Whether only the task of this listener has it.
    fn is_abandoned(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }
}

/// Follows, again and again, until the store is gone.
async fn run(listener: Arc<Listener>) {
    let (mut pause, failed) = (FIRST_PAUSE, Repeated::new());
    while !listener.is_abandoned() {
        let begun = Instant::now();
        let Err(_error) = listener.follow().await else { break };
        // A position of another or a restored server says nothing about later ones.
        listener.position.send_replace(None);
        if let Some(_times) = failed.happened() {
            let _error = &_error as &dyn std::error::Error;
            log!(warn, times = _times, error = _error, "no word of changes: they are noticed at intervals");
        }
        pause = if begun.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { pause.saturating_mul(2).min(LONGEST_PAUSE) };
        sleep(pause).await;
    }
}
