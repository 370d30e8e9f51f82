//! Word of changes, by `LISTEN`. It makes bounded freshness quicker and proves nothing: whatever goes wrong here costs
//! time, never safety.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::Client;

use super::{
    connect::Server,
    connect_error::{PostgresError, PostgresErrorKind},
    failure::Failure,
};
use crate::{log::log, random::random_bytes};

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
    is_running: AtomicBool,
}

impl Listener {
    pub(super) fn new(server: Arc<Server>, schema: String, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            server,
            schema,
            timeout,
            position: watch::Sender::new(None),
            is_running: AtomicBool::new(false),
        })
    }

    /// Whether what is sent by others arrives here: a pooler takes `LISTEN`, and delivers nothing.
    pub(super) async fn probe(&self, sender: &Client) -> Result<(), PostgresError> {
        let (listening, probes) = self.listen().await.map_err(PostgresError::unavailable)?;
        let arrived = self.arrives(sender, probes).await;
        drop(listening);
        let what = "notifications do not arrive at the URL to listen at: it must lead to the server itself, not to a \
                    pooler, and to the same database";
        arrived.map_err(|error| PostgresError::caused(PostgresErrorKind::Settings, what, error))
    }

    /// Waits until the log is said to go on beyond this position.
    pub(super) async fn moved_beyond(self: &Arc<Self>, position: i64) {
        if !self.is_running.swap(true, Ordering::AcqRel) {
            tokio::spawn(run(Running(Arc::clone(self))));
        }
        let mut heard = self.position.subscribe();
        // It cannot end while the sender is here, and if it did: a hint for nothing is harmless.
        drop(heard.wait_for(|now| now.is_some_and(|now| now > position)).await);
    }

    /// A connection that listens, and the probes that arrive on it, for as long as it lives.
    async fn listen(&self) -> Result<(Client, watch::Receiver<String>), Failure> {
        let (probe, probes) = watch::channel(String::new());
        let (positions, schema) = (self.position.clone(), self.schema.clone());
        let hear = move |payload: &str| match payload.split_once(' ') {
            Some(("probe", word)) => drop(probe.send_replace(word.to_owned())),
            Some((position, of)) if of == schema => drop(positions.send_replace(position.parse().ok())),
            _ => {}
        };
        timeout(self.timeout, async {
            let client = self.server.connect(hear).await?;
            client.batch_execute(&format!("listen {CHANNEL}")).await?;
            Ok((client, probes))
        })
        .await?
    }

    /// Sends a word of its own and waits for it.
    async fn arrives(&self, sender: &Client, mut probes: watch::Receiver<String>) -> Result<(), Failure> {
        let bytes = random_bytes::<8>().map_err(Failure::unavailable)?;
        let word: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        timeout(self.timeout, async {
            // Of hexadecimal digits, so there is nothing to quote, and nothing is prepared.
            sender.batch_execute(&format!("notify {CHANNEL}, 'probe {word}'")).await?;
            probes.wait_for(|arrived| *arrived == word).await.map_err(Failure::unavailable)?;
            Ok(())
        })
        .await?
    }

    /// Listens until the connection is lost, or until nobody else has the listener.
    async fn follow(self: &Arc<Self>) -> Result<(), Failure> {
        let (client, probes) = self.listen().await?;
        // What was missed while nobody listened is noticed at the next interval.
        while Arc::strong_count(self) > 1 {
            if timeout(PROBE_AGAIN, probes.clone().wait_for(|_| false)).await.is_ok() {
                return Err(Failure::unavailable("the connection was lost"));
            }
            self.arrives(&client, probes.clone()).await?;
        }
        Ok(())
    }
}

/// Ends when the store is gone, or with its runtime: then another may begin.
struct Running(Arc<Listener>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
    }
}

async fn run(running: Running) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let Err(_error) = running.0.follow().await else { break };
        // A position of another server, or of one that was restored, says nothing of what comes.
        running.0.position.send_replace(None);
        log!(warn, error = &_error as &dyn std::error::Error, "no word of changes: they are noticed at intervals");
        pause = if begun.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { pause.saturating_mul(2).min(LONGEST_PAUSE) };
        sleep(pause).await;
    }
}
