//! A service whose callers need an API key. The keys are in an SQLite file:
//!
//! ```text
//! cargo run --example quickstart --features sqlite
//! ```
//!
//! The first start creates `keys.db` in the current folder and issues two keys. It prints each key with `curl` lines
//! that you can paste. The service listens on 127.0.0.1, on port 3000 unless you set the variable `PORT`.

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
    // Bind the port first: a start that cannot serve issues no keys.
    let bound = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    let listener = bound.map_err(|error| format!("cannot listen on PORT={port}: {error}"))?;
    let address = listener.local_addr()?;

    let keys = ApiKeys::new(SqliteStore::open(FILE).await.map_err(|error| error.to_string())?)?;
    hand_out(&keys, UserId::new("alice")?.into(), address).await?;
    hand_out(&keys, TeamId::new("engineering")?.into(), address).await?;
    say(&format!("Listening on http://{address} until you press Ctrl-C."))?;

    let app = Router::new().route("/whoami", get(whoami)).route("/intake/{name}", post(intake)).layer(keys.layer());
    let served = axum::serve(listener, app).with_graceful_shutdown(stop).into_future();
    // Running requests may finish. A client that stalls gets five seconds.
    tokio::select! { ended = served => ended?, () = give_up => () }

    // Writes the usage counted since the last flush. Without this call, the last seconds of usage are lost.
    keys.shutdown().await?;
    Ok(())
}

/// A handler with a [`Principal`] runs only for requests with a valid key.
async fn whoami(caller: Principal) -> String {
    match caller.owner() {
        Owner::User(user) => format!("user {user}, with key {}\n", caller.key_id()),
        Owner::Team(team) => format!("team {team}, with key {}\n", caller.key_id()),
    }
}

/// Takes both kinds of key. The example `intake_webhook` also checks which team the resource belongs to.
async fn intake(caller: Principal, Path(name): Path<String>, body: Bytes) -> (StatusCode, String) {
    (StatusCode::ACCEPTED, format!("{} bytes for {name:?} from {}\n", body.len(), caller.owner()))
}

/// Issues a key to an owner without one, and shows it.
async fn hand_out(keys: &ApiKeys<SqliteStore>, owner: Owner, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let (manager, actor) = (keys.manager(), Actor::system("quickstart")?);
    for key in manager.list(ListKeys::of(owner.clone()).liveness(Liveness::Live), &actor).await?.keys {
        if key.name.as_str() != NOT_SHOWN {
            say(&format!(
                "The key of {owner} was issued and shown earlier; {FILE} has only its hash.\n\
                 To start over: stop this service, rm {FILE}*, and run it again.\n"
            ))?;
            return Ok(());
        }
        // An earlier start was killed before it showed this key, so no client has it.
        manager.revoke(&key.id, &actor).await?;
    }

    let issued = manager.issue(IssueKey::of(owner.clone()).named(NOT_SHOWN), &actor).await?;
    let key = issued.plaintext().expose_secret(); // the only time
    say(&format!(
        "The key of {owner}, shown only this once:\n\n    {key}\n\n    \
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

/// Returns a future that ends `later` after the signal to stop. Signals are caught as soon as this is called, not at
/// the first poll.
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
