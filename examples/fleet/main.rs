//! A revocation reaches every node at once: several node processes share one PostgreSQL, and what one of them, or
//! somebody else, revokes, none of them accepts any more.
//!
//! ```text
//! cargo run --release --example fleet --all-features -- --requests 1000000 --nodes 4
//! ```
//!
//! It starts a PostgreSQL server of its own, or uses a schema of its own in the database of `--url postgres://…`, which
//! it drops at the end. Each node is a process with an HTTP server on loopback. Clients ask all of them without pause, or
//! at `--rate` requests a second (then there are 0.2 s between two changes, too), while keys are revoked, rotated (the
//! rotation is begun, every node accepts the new key beside the old one, and then it is finished), and their owners
//! suspended and reinstated: half of it by a manager in this process, half by the nodes' own. Every key was accepted by
//! every node before it ends. A quarter of the requests are for the keys that are ended at that
//! moment, and some for keys that ended long ago.
//!
//! A request has a start, taken before its first byte is written, and a change has a return: one clock, in this process,
//! tells both. With `--freshness strict` an acceptance of a request that started after the return is a stale accept; with
//! `--freshness bounded` it is one if the request started more than the bound, a second, later.
//!
//! Prints a line each: name, tab, figure.
//!
//! | line | is |
//! |---|---|
//! | `requests` | answers, at least `--requests` (100,000): it goes on until there was every kind of change |
//! | `stale_accepts` | acceptances as above |
//! | `revocation_p50_ms`, `_p99_ms`, `_max_ms` | from the return of a revocation, finished rotation or suspension until every node has refused a request that started after it: never less than a request takes under this load; they are sent at once, and then a millisecond after each acceptance |
//! | `checks_per_second_per_node` | `requests` by time and nodes |
//! | `freshness_reads_per_second_per_node` | reads of the change log, as the nodes count them |
//! | `database_queries_per_second` | transactions in this database, as the server counts them: each read of the change log, each look-up of a key that is new or has ended, each change, each write of usage. Its count lags by up to a second, so a short run may include a part of the preparations |
//! | `revocations` | revocations, finished rotations and suspensions |
//! | `refused_live` | 401 for a key that was good all along |
//! | `unavailable` | answers with 503: neither a refusal nor an acceptance |
//!
//! Exits with 1 on any stale accept or refused live key, and if a node ends, stays silent or does not carry out a change;
//! with 2 on a bad argument. `--answer-cache` puts a cache of answers in front of each node, which is the usual mistake,
//! and shows that it is found.

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
    // Outlives the runtime, and with it all who are connected. Ended when it is dropped.
    let own = arguments.url.is_none().then(Server::start);
    let url = arguments.url.clone().or_else(|| own.as_ref().map(Server::url)).unwrap_or_default();
    let report = Runtime::new()?.block_on(async {
        let schema = format!("fleet_{}", std::process::id());
        let run = tokio::select! {
            run = timeout(patience(arguments), load::run(arguments, &url, &schema)) => {
                run.unwrap_or_else(|_| Err("it takes too long".into()))
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

/// Waits until somebody wants this to end.
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

/// Waits until somebody wants this to end.
#[cfg(not(unix))]
async fn stopped() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// A machine that answers a thousand requests a second is in time.
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
