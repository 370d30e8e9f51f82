//! A service whose callers need an API key, with the keys in an SQLite file:
//!
//! ```text
//! cargo run --example quickstart --features sqlite
//! ```
//!
//! The first start makes `keys.db` in the current folder and two keys, and prints them with `curl` lines to paste. It
//! listens on 127.0.0.1, port 3000 unless the variable `PORT` names another.

use std::{
    env,
    error::Error,
    io::{self, Write, stdout},
    net::SocketAddr,
};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use tokio::net::TcpListener;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Owner, Principal, TeamId, UserId,
    manage::ListKeys,
    store::{Liveness, SqliteStore},
};

const FILE: &str = "keys.db";
const SHOWN: &str = "quickstart";
const NOT_SHOWN: &str = "quickstart, not shown yet";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let stop = stop_signal()?;
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    // The port comes first: a start that cannot serve makes no keys.
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    let listener = listener.map_err(|error| format!("PORT={port} cannot be listened on: {error}"))?;
    let address = listener.local_addr()?;

    let keys = ApiKeys::new(SqliteStore::open(FILE).await.map_err(|error| error.to_string())?)?;
    hand_out(&keys, UserId::new("alice")?.into(), address).await?;
    hand_out(&keys, TeamId::new("engineering")?.into(), address).await?;
    say(&format!("Listening on http://{address} until Ctrl-C."))?;

    let app = Router::new().route("/whoami", get(whoami)).route("/intake/{name}", post(intake)).layer(keys.layer());
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;

    // Writes what was counted since the last flush: without it, the last seconds of usage are lost.
    keys.shutdown().await?;
    Ok(())
}

/// A handler with a [`Principal`] runs for requests with a good key only.
async fn whoami(caller: Principal) -> String {
    match caller.owner() {
        Owner::User(user) => format!("user {user}, with key {}\n", caller.key_id()),
        Owner::Team(team) => format!("team {team}, with key {}\n", caller.key_id()),
    }
}

/// Takes either kind of key. The example `intake_webhook` also asks whose resource it is.
async fn intake(caller: Principal, Path(name): Path<String>, body: Bytes) -> (StatusCode, String) {
    (StatusCode::ACCEPTED, format!("{} bytes for {name:?} from {}\n", body.len(), caller.owner()))
}

/// Issues a key to an owner who has none, and shows it.
async fn hand_out(keys: &ApiKeys<SqliteStore>, owner: Owner, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let (manager, actor) = (keys.manager(), Actor::system("quickstart")?);
    for key in manager.list(ListKeys::of(owner.clone()).with_liveness(Liveness::Live), &actor).await?.keys {
        if key.name.as_str() != NOT_SHOWN {
            say(&format!(
                "The key of {owner} was issued and shown before; {FILE} has only its hash.\n\
                 To start anew: stop this service, rm {FILE}*, and run it again.\n"
            ))?;
            return Ok(());
        }
        // An earlier start was killed before it could show this key: nobody has it.
        manager.revoke(&key.id, &actor).await?;
    }

    let issued = manager.issue(IssueKey::of(owner.clone()).named(NOT_SHOWN), &actor).await?;
    let key = issued.plaintext().expose_secret(); // the only time
    say(&format!(
        "The key of {owner}, shown this once:\n\n    {key}\n\n    \
         curl -H 'Authorization: Bearer {key}' http://{address}/whoami\n    \
         curl -H 'x-api-key: {key}' http://{address}/whoami\n    \
         curl -H 'x-api-key: {key}' -d 'it works' http://{address}/intake/build\n"
    ))?;
    manager.rename(&issued.info().id, SHOWN, &actor).await?;
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    writeln!(stdout(), "{text}")?;
    stdout().flush()
}

/// Ends when the service is asked to stop. Signals are caught from this call on, not from the first poll.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
