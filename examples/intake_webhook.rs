//! A webhook that takes both kinds of key, for work that belongs to a team:
//!
//! - a team key can use the webhooks of its own team and no others;
//! - a personal key can use the webhooks of the teams that the user is a member of *now*. Only your service knows
//!   which.
//!
//! ```text
//! cargo run --example intake_webhook
//! ```
//!
//! The members are in `members.txt` in the current folder, which is read for each request. Change or remove the file
//! while the service runs. The service listens on 127.0.0.1, on port 3000 unless you set the variable `PORT`.

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
    let listener = bound.map_err(|error| format!("cannot listen on PORT={port}: {error}"))?;
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
    writeln!(stdout(), "Without {MEMBERS}, personal keys get 503, and team keys still work. Press Ctrl-C to stop.")?;

    let app = Router::new().route("/intake/{name}", post(intake)).layer(keys.layer());
    axum::serve(listener, app).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    keys.shutdown().await?;
    Ok(())
}

/// The team comes from the webhook, never from the caller.
async fn intake(caller: Principal, Path(name): Path<String>, work: Bytes) -> Result<impl IntoResponse, Refusal> {
    let Some(team) = team_of(&name) else {
        return Ok((StatusCode::NOT_FOUND, "there is no such webhook\n".to_owned()));
    };
    // Calls `is_member` for a personal key only. No variant of this method lets a personal key pass without the
    // question.
    caller.authorize_team(&team, |user| is_member(user, &team)).await.map_err(|refused| {
        // If the members are unknown, the key may still be right: 503 tells the client to keep it and to try again.
        if let TeamRefused::Unknown(error) = &refused {
            log(&format!("the members of {team} could not be looked up: {error}"));
        }
        Refusal::from(&refused)
    })?;
    Ok((StatusCode::ACCEPTED, format!("{} bytes of work for team {team}, from {}\n", work.len(), caller.owner())))
}

/// The team of a webhook. In a real service, read it from a table.
fn team_of(webhook: &str) -> Option<TeamId> {
    (webhook == "deploys").then(|| TeamId::new("engineering").ok())?
}

/// Whether the user is a member. In a real service, query your directory, and do not cache the answer: then a user who
/// leaves the team loses access at once.
async fn is_member(user: UserId, team: &TeamId) -> io::Result<bool> {
    let wanted = format!("{user} {team}");
    Ok(fs::read_to_string(MEMBERS).await?.lines().any(|line| line == wanted))
}

fn log(text: &str) {
    // The service still works if its log cannot be written.
    let _ = writeln!(io::stderr(), "{text}");
}
