//! Word of changes, by `LISTEN`. It makes bounded freshness quicker and proves nothing: whatever goes wrong here costs
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

/// After a failure the next attempt waits so long, and twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a connection on which nothing is heard is asked whether it still carries anything.
const PROBE_AGAIN: Duration = Duration::from_secs(5);

/// A connection that listens, made anew when it is lost.
pub(super) struct Listener {
    server: Arc<Server>,
    schema: String,
    timeout: Duration,
    /// The position of the log that was heard of last; none on a new connection.
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

    /// Whether what is sent by others arrives here: a pooler takes `LISTEN`, and delivers nothing.
    pub(super) async fn probe(&self, sender: &Client) -> Result<(), PostgresError> {
        let arrived = timeout(self.timeout, async {
            let bytes = random_bytes::<8>().map_err(Failure::unavailable)?;
            // Of hexadecimal digits, so that there is nothing to quote.
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

    /// Waits until the log is said to go on beyond this position.
    pub(super) async fn wait_for_change(self: &Arc<Self>, position: i64) {
        self.background.start(|| run(Arc::clone(self)));
        let mut heard = self.position.subscribe();
        // It cannot end while the sender is here, and if it did: a hint for nothing is harmless.
        drop(heard.wait_for(|now| now.is_some_and(|now| now > position)).await);
    }

    async fn listen(&self, hear: impl Fn(&str) + Send + 'static) -> Result<Client, Failure> {
        let client = self.server.connect(hear).await?;
        client.batch_execute(&format!("listen {CHANNEL}")).await?;
        Ok(client)
    }

    /// Listens until the connection is lost, or until nobody else has the listener.
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
        // What was missed while nobody listened is noticed at the next interval.
        let client = timeout(self.timeout, self.listen(hear)).await??;
        while !self.is_abandoned() {
            // The sender is part of what hears, and gone with it.
            if timeout(PROBE_AGAIN, ended.changed()).await.is_ok() {
                return Err(Failure::unavailable("the connection was lost"));
            }
            // A line that is dead without a word shows only when it is used.
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
        // A position of another server, or of one that was restored, says nothing of what comes.
        listener.position.send_replace(None);
        if let Some(_times) = failed.happened() {
            let _error = &_error as &dyn std::error::Error;
            log!(warn, times = _times, error = _error, "no word of changes: they are noticed at intervals");
        }
        pause = if begun.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { pause.saturating_mul(2).min(LONGEST_PAUSE) };
        sleep(pause).await;
    }
}
