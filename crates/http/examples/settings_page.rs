//! A service with the settings page, three people and some keys.
//!
//! `cargo run -p tower-api-keys-http --example settings_page`, then open <http://127.0.0.1:3000/sign-in/alice>. There are
//! also `mo`, a member of the team, and `olga`, an admin of the organization.

use std::{error::Error, io};

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::Redirect,
    routing::get,
};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, Principal, Scope, TeamId, TeamRef, UserId,
    manage::{Directory, Names, Rights, TeamRole},
    store::MemoryStore,
    usage::Source,
};
use tower_api_keys_http::{
    page::{self, Page},
    routes,
};

const ENGINEERING: &str = "engineering";
const PEOPLE: [(&str, &str); 3] = [("alice", "Alice Jones"), ("mo", "Mo Brown"), ("olga", "Olga Ivanova")];

/// The person who is signed in. In your service: the session, and the roles and the plan of that moment.
struct CurrentUser(UserId);

impl<St: Sync> FromRequestParts<St> for CurrentUser {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, Self::Rejection> {
        let cookies = parts.headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
        let name = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("user="));
        let user = name.filter(|name| PEOPLE.iter().any(|(id, _)| id == name)).and_then(|id| UserId::new(id).ok());
        user.map(Self).ok_or((StatusCode::UNAUTHORIZED, "sign in first, at /sign-in/alice"))
    }
}

impl From<CurrentUser> for Actor {
    fn from(CurrentUser(user): CurrentUser) -> Self {
        let rights = Rights::none().team_keys_included();
        let rights = match (user.as_str(), TeamId::new(ENGINEERING)) {
            ("olga", _) => rights.org_admin(),
            ("alice", Ok(team)) => rights.team(team, TeamRole::Admin),
            (_, Ok(team)) => rights.team(team, TeamRole::Member),
            (_, Err(_)) => rights,
        };
        Self::user(user, rights)
    }
}

/// The names of people and teams. In your service: your tables.
struct Tables;

impl Directory for Tables {
    type Error = io::Error;

    async fn has_team(&self, team: &TeamRef) -> io::Result<bool> {
        Ok(team.team.as_str() == ENGINEERING)
    }

    async fn names(&self, _: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> io::Result<Names> {
        let mut names = Names::none();
        for user in users {
            names = match PEOPLE.iter().find(|(id, _)| *id == user.as_str()) {
                Some((_, name)) => names.with_user(user.clone(), name),
                None => names.with_unknown(user.clone()),
            };
        }
        for team in teams {
            names = names.with_team(team.clone(), "Engineering");
        }
        Ok(names)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keys = ApiKeys::builder(MemoryStore::new())
        .directory(Tables)
        .scopes([Scope::new("agents:read")?, Scope::new("agents:write")?])
        .build()
        .await?;
    let (manager, setup) = (keys.manager(), Actor::system("first start")?);
    for name in ["GitHub Actions - production", "Monday cron", "key1"] {
        let _ = manager.issue(IssueKey::team(TeamId::new(ENGINEERING)?).named(name), &setup).await?;
    }
    let page = Page::new("Auxot").api_at("http://127.0.0.1:3000/whoami")?;
    let whoami = Router::new().route("/whoami", get(whoami)).layer(keys.layer().source(Source::new("api")?));
    let app = Router::new()
        .nest("/settings/api-keys", page::router::<(), CurrentUser>(&keys, page))
        .nest("/api/api-keys", routes::router::<(), CurrentUser>(&keys))
        .route("/sign-in/{name}", get(sign_in))
        .merge(whoami);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(keys.shutdown().await?)
}

/// In your service: a password, a passkey, or your identity provider.
async fn sign_in(Path(name): Path<String>) -> Result<(HeaderMap, Redirect), StatusCode> {
    let cookie = format!("user={name}; Path=/; HttpOnly; SameSite=Lax");
    let cookie = HeaderValue::from_str(&cookie).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok((HeaderMap::from_iter([(header::SET_COOKIE, cookie)]), Redirect::to("/settings/api-keys")))
}

async fn whoami(caller: Principal) -> String {
    format!("{}\n", caller.owner())
}
