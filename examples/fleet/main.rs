//! Shows that a revocation reaches every node at once. Several node processes share one PostgreSQL. A key that one of
//! them, or another process, revokes is refused by all of them.
//!
//! ```text
//! cargo run --release --example fleet --all-features -- --requests 1000000 --nodes 4
//! ```
//!
//! The program starts its own PostgreSQL server. With `--url postgres://…` it uses a schema of its own in that
//! database, and drops the schema at the end. Each node is a process with an HTTP server on loopback. Clients send
//! requests to all nodes without pause, or at `--rate` requests a second (then each task also waits 0.2 s between two
//! changes). Meanwhile keys are revoked and rotated, and their owners are suspended and reinstated. A rotation begins,
//! every node accepts the new key beside the old one, and then the rotation is finished. A manager in this process
//! makes half of the changes; the managers of the nodes make the other half. Every node has accepted each key before it
//! ends. A quarter of the requests use keys that are being ended at that moment, and some use keys that ended long ago.
//!
//! The start of a request is the time before its first byte is written. The return of a change is the time when its
//! call returns. One clock, in this process, measures both. With `--freshness strict`, a request that started after the
//! return and was accepted is a stale accept. With `--freshness bounded`, it is one if the request started more than
//! the bound, one second, after the return.
//!
//! Prints one line for each figure: name, tab, figure.
//!
//! | line | meaning |
//! |---|---|
//! | `requests` | answers, at least `--requests` (default 100,000): the run continues until every kind of change was made |
//! | `stale_accepts` | stale accepts, as defined above |
//! | `revocation_p50_ms`, `_p99_ms`, `_max_ms` | time from the return of a revocation, finished rotation or suspension until every node has refused a request that started after it. Never less than a request takes under this load. These requests are sent at once, and again one millisecond after each acceptance |
//! | `checks_per_second_per_node` | `requests` divided by time and nodes |
//! | `freshness_reads_per_second_per_node` | reads of the change log, as the nodes count them |
//! | `database_queries_per_second` | transactions in this database, as the server counts them: each read of the change log, each look-up of a key that is new or has ended, each change, each write of usage. The server's count lags by up to a second, so a short run may include part of the preparation |
//! | `revocations` | revocations, finished rotations and suspensions |
//! | `refused_live` | 401 for a key that was valid all the time |
//! | `unavailable` | answers with 503: neither a refusal nor an acceptance |
//!
//! The exit status is 1 after any stale accept or refused live key, and if a node ends, does not answer or does not
//! make a change. It is 2 for a bad argument. `--answer-cache` puts a cache of answers in front of each node, which is
//! the usual mistake, and shows that this program finds it.

mod arguments;
mod change;
mod changer;
mod client;
mod judge;
mod load;
mod node;
mod report;

#[path = "../../tests/it/support/postgres.rs"]
#[allow(
    clippy::expect_used,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "shared with tests: without a server there is nothing to show"
)]
mod server;

use std::{
    env,
    error::Error,
    io::{self, Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use tokio::{runtime::Runtime, time::timeout};

use arguments::{Arguments, USAGE};
use server::Server;

fn main() -> ExitCode {
    if env::args_os().nth(1).is_some_and(|argument| argument == node::ARGUMENT) {
        return ended(Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(node::serve())));
    }
    let Some(arguments) = Arguments::parse(env::args_os().skip(1)) else {
        let _ = writeln!(stderr(), "{USAGE}");
        return ExitCode::from(2);
    };
    ended(run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error + Send + Sync>> {
    // The server outlives the runtime and so all connections. It stops when it is dropped.
    let own = arguments.url.is_none().then(Server::start);
    let url = arguments.url.clone().or_else(|| own.as_ref().map(Server::url)).unwrap_or_default();
    let report = Runtime::new()?.block_on(async {
        let schema = format!("fleet_{}", std::process::id());
        let run = tokio::select! {
            run = timeout(patience(arguments), load::run(arguments, &url, &schema)) => {
                run.unwrap_or_else(|_| Err("the run took too long".into()))
            }
            stopped = stopped() => Err(stopped.map_or_else(Into::into, |()| "interrupted".into())),
        };
        if own.is_none() {
            report::drop_schema(&url, &schema).await?;
        }
        run
    })?;
    write!(stdout(), "{report}")?;
    stdout().flush()?;
    report.into_result()
}

/// Waits for a signal to stop.
#[cfg(unix)]
async fn stopped() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Waits for a signal to stop.
#[cfg(not(unix))]
async fn stopped() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// The time limit of a run. A machine that answers a thousand requests a second is fast enough.
fn patience(arguments: &Arguments) -> Duration {
    let paced = arguments.rate.map_or(0.0, |rate| arguments.requests as f64 / rate as f64);
    Duration::from_secs_f64(120.0 + 2.0 * paced) + Duration::from_millis(arguments.requests)
}

fn ended(result: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = write!(stderr(), "fleet: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                let _ = write!(stderr(), ": {error}");
                source = error.source();
            }
            let _ = writeln!(stderr());
            ExitCode::FAILURE
        }
    }
}
