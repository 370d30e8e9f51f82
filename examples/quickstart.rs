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
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use tokio::{net::TcpListener, time::sleep};
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
    let (stop, give_up) = (stop_signal(Duration::ZERO)?, stop_signal(Duration::from_secs(5))?);
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    // The port comes first: a start that cannot serve makes no keys.
    let bound = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    let listener = bound.map_err(|error| format!("PORT={port} cannot be listened on: {error}"))?;
    let address = listener.local_addr()?;

    let keys = ApiKeys::new(SqliteStore::open(FILE).await.map_err(|error| error.to_string())?)?;
    hand_out(&keys, UserId::new("alice")?.into(), address).await?;
    hand_out(&keys, TeamId::new("engineering")?.into(), address).await?;
    say(&format!("Listening on http://{address} until Ctrl-C."))?;

    let app = Router::new().route("/whoami", get(whoami)).route("/intake/{name}", post(intake)).layer(keys.layer());
    let served = axum::serve(listener, app).with_graceful_shutdown(stop).into_future();
    // Requests under way are finished; a client that stalls is waited for five seconds.
    tokio::select! { ended = served => ended?, () = give_up => () }

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
    for key in manager.list(ListKeys::of(owner.clone()).liveness(Liveness::Live), &actor).await?.keys {
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

/// Ends so long after the service is asked to stop. Signals are caught from this call on, not from the first poll.
fn stop_signal(later: Duration) -> io::Result<impl Future<Output = ()> + Send> {
    #[cfg(unix)]
    use tokio::signal::unix::{SignalKind, signal};
    #[cfg(unix)]
    let (mut ctrl_c, mut close) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    #[cfg(windows)]
    let (mut ctrl_c, mut close) = (tokio::signal::windows::ctrl_c()?, tokio::signal::windows::ctrl_close()?);
    Ok(async move {
        tokio::select! { _ = ctrl_c.recv() => (), _ = close.recv() => () }
        sleep(later).await;
    })
}
