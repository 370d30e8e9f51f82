//! The product: an API that callers use with a key.

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use tower_api_keys::{ApiKeys, InvalidId, Owner, Principal, store::Ledger, usage::Source};

/// Each part of the API has a name of its own, which people read in "Used from".
pub fn router(keys: &ApiKeys<impl Ledger>) -> Result<Router, InvalidId> {
    let api = Router::new().route("/whoami", get(whoami)).route_layer(keys.layer().source(Source::new("api")?));
    let intake =
        Router::new().route("/intake/{name}", post(intake)).route_layer(keys.layer().source(Source::new("intake")?));
    Ok(api.merge(intake))
}

async fn whoami(caller: Principal) -> String {
    match caller.owner() {
        Owner::User(user) => format!("user {user} of {}\n", caller.organization()),
        Owner::Team(team) => format!("team {team} of {}\n", caller.organization()),
    }
}

/// A webhook. The work belongs to the owner of the key.
async fn intake(caller: Principal, Path(name): Path<String>, work: Bytes) -> (StatusCode, String) {
    (StatusCode::ACCEPTED, format!("{} bytes of work {name:?} for {}\n", work.len(), caller.owner()))
}
