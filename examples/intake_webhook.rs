//! A webhook that takes either kind of key, for work that belongs to a team:
//!
//! - a team's key reaches its own team's webhooks and no others;
//! - a user's key reaches those of the teams the user is a member of *now*, and only the service knows which.
//!
//! ```text
//! cargo run --example intake_webhook
//! ```
//!
//! Who is a member stands in `members.txt` in the current folder, read for each request: change it, or take it away,
//! while the service runs. It listens on 127.0.0.1, port 3000 unless the variable `PORT` names another.

use std::{
    env,
    error::Error,
    io::{self, Write, stdout},
};

use axum::{Router, body::Bytes, extract::Path, http::StatusCode, response::IntoResponse, routing::post};
use tokio::{fs, net::TcpListener};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Owner, Principal, TeamId, TeamRefused, UserId, middleware::Refusal, store::MemoryStore,
};

const MEMBERS: &str = "members.txt";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let bound = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    let listener = bound.map_err(|error| format!("PORT={port} cannot be listened on: {error}"))?;
    let address = listener.local_addr()?;
    fs::write(MEMBERS, "alice engineering\nbob sales\n").await?;

    let keys = ApiKeys::new(MemoryStore::new())?;
    let owners: [(Owner, &str); 4] = [
        (UserId::new("alice")?.into(), "202, a member"),
        (UserId::new("bob")?.into(), "403, not a member"),
        (TeamId::new("engineering")?.into(), "202, the team's own"),
        (TeamId::new("sales")?.into(), "403, another team's"),
    ];
    for (owner, outcome) in owners {
        let issued = keys.manager().issue(IssueKey::of(owner), &Actor::system("first start")?).await?;
        let key = issued.plaintext().expose_secret(); // the only time
        writeln!(stdout(), "curl -i -H 'x-api-key: {key}' -d done http://{address}/intake/deploys # {outcome}")?;
    }
    writeln!(stdout(), "Without {MEMBERS}, users' keys get 503, and teams' keys work on. Ctrl-C stops.")?;

    let app = Router::new().route("/intake/{name}", post(intake)).layer(keys.layer());
    axum::serve(listener, app).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    keys.shutdown().await?;
    Ok(())
}

/// The team comes from the webhook, never from what the caller says of itself.
async fn intake(caller: Principal, Path(name): Path<String>, work: Bytes) -> Result<impl IntoResponse, Refusal> {
    let Some(team) = team_of(&name) else {
        return Ok((StatusCode::NOT_FOUND, "there is no such webhook\n".to_owned()));
    };
    // Asks `is_member` for a user's key only. There is no form of this that lets a user's key pass unasked.
    caller.authorize_team(&team, |user| is_member(user, &team)).await.map_err(|refused| {
        // Not knowing is no reason to refuse a key for good: 503 tells the client to keep it and to come again.
        if let TeamRefused::Unknown(error) = &refused {
            log(&format!("the members of {team} could not be looked up: {error}"));
        }
        Refusal::from(&refused)
    })?;
    Ok((StatusCode::ACCEPTED, format!("{} bytes of work for team {team}, from {}\n", work.len(), caller.owner())))
}

/// Whose webhook it is: a row of a table, in earnest.
fn team_of(webhook: &str) -> Option<TeamId> {
    (webhook == "deploys").then(|| TeamId::new("engineering").ok())?
}

/// A query to the service's own directory, in earnest, and not cached: who left the team is out at once.
async fn is_member(user: UserId, team: &TeamId) -> io::Result<bool> {
    let wanted = format!("{user} {team}");
    Ok(fs::read_to_string(MEMBERS).await?.lines().any(|line| line == wanted))
}

fn log(text: &str) {
    // A service goes on when nobody reads its log.
    let _ = writeln!(io::stderr(), "{text}");
}
