//! A server of the routes for programs that read the OpenAPI document and try what it says: three people, some keys, one
//! store in memory.
//!
//! `cargo run -p tower-api-keys-http --example three_people` prints one line of JSON with its address and the ids that
//! exist. The header `x-user` says who asks: `mo`, a member of a team, `alice`, its admin, or `olga`, an admin of the
//! organization. It ends when its standard input does. `scripts/openapi.sh` runs schemathesis against it.

use std::{
    error::Error,
    io::{self, Read, Write},
};

use axum::{
    Router,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use tokio::sync::oneshot;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Scope, TeamId, UserId,
    hash::Argon2Params,
    manage::{Rights, RotateKey, TeamRole},
    store::MemoryStore,
};
use tower_api_keys_http::routes;

/// Of each kind: tools revoke them while they try.
const KEYS: usize = 30;

struct CurrentUser(Actor);

impl<St: Sync> FromRequestParts<St> for CurrentUser {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, StatusCode> {
        let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
        name.and_then(actor).map(Self).ok_or(StatusCode::UNAUTHORIZED)
    }
}

impl From<CurrentUser> for Actor {
    fn from(CurrentUser(actor): CurrentUser) -> Self {
        actor
    }
}

fn actor(name: &str) -> Option<Actor> {
    let rights = Rights::none().team_keys_included();
    let engineering = TeamId::new("engineering").ok()?;
    let rights = match name {
        "alice" => rights.team(engineering, TeamRole::Admin),
        "mo" => rights.team(engineering, TeamRole::Member),
        "olga" => rights.org_admin(),
        _ => return None,
    };
    Some(Actor::user(UserId::new(name).ok()?, rights))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Cheap hashes: these keys protect nothing.
    let keys = ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET);
    let keys = keys.scopes([Scope::new("agents:read")?, Scope::new("agents:write")?]).build().await?;
    let (manager, setup) = (keys.manager(), Actor::system("first start")?);
    let mut ids = Vec::new();
    for n in 0..KEYS {
        let names = ["GitHub Actions - production", "Monday cron", "key1"];
        let name = names.get(n % names.len()).copied().unwrap_or_default();
        for request in [
            IssueKey::team(TeamId::new("engineering")?),
            IssueKey::team(TeamId::new("sales")?),
            IssueKey::user(UserId::new("alice")?),
            IssueKey::user(UserId::new("mo")?),
        ] {
            ids.push(manager.issue(request.named(name), &setup).await?.info().id);
        }
    }
    // A fifth of them is being rotated.
    for old in ids.clone().into_iter().step_by(5) {
        ids.push(manager.begin_rotation(RotateKey::of(old), &setup).await?.info().id);
    }
    let app: Router = Router::new().nest("/api/api-keys", routes::router::<(), CurrentUser>(&keys));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/api/api-keys", listener.local_addr()?);
    writeln!(io::stdout(), "{}", serde_json::json!({ "url": url, "keys": ids }))?;

    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(end);
    });
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            let _ = ended.await;
        })
        .await?;
    Ok(keys.shutdown().await?)
}
