//! Two customers in one service. Both have a team `engineering`, and neither can reach what belongs to the other.
//!
//! - The customer's manager issues keys: `keys.manager_for(organization)`. With `several_organizations()`, a manager
//!   without a customer is refused, and so is a person without one.
//! - A [`Directory`] says which teams a customer has, so that its admins can issue keys for no others. It also has the
//!   names of people and teams.
//! - A [`RequireKeyLayer`] compares the customer and the team of a request with those of the key. Both can be in the
//!   path, or the customer can be in the host name.
//!
//! ```text
//! cargo run --example two_customers
//! ```

use std::{
    error::Error,
    io::{self, Write, stdout},
};

use axum::{
    Router,
    body::Body,
    http::{Request, request::Parts},
    routing::get,
};
use tower::ServiceExt;
use tower_api_keys::{
    ApiKeys, IssueKey, OrganizationId, TeamId, TeamRef, UserId,
    extract::InOrganization,
    manage::{Directory, ListKeys, ManageErrorKind, Names, Rights},
    middleware::{MembershipQuestion, RequireKeyLayer},
    store::MemoryStore,
};

/// The service's own tables. In your service, this holds a connection pool.
struct Teams;

impl Directory for Teams {
    type Error = io::Error;

    async fn has_team(&self, team: &TeamRef) -> io::Result<bool> {
        let teams = [("acme", "engineering"), ("acme", "payments"), ("globex", "engineering")];
        Ok(teams.contains(&(team.organization.as_str(), team.team.as_str())))
    }

    async fn names(&self, of: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> io::Result<Names> {
        // In your service, run: select id, name, left_at is not null from people where organization = $1 and id =
        // any($2)
        let people = [("acme", "ada", "Ada Acker"), ("globex", "ada", "Adam Glover")];
        let all_teams = [("acme", "engineering", "Engineering"), ("globex", "engineering", "Research")];
        let called = |table: &[(&str, &str, &'static str)], id: &str| {
            table.iter().find(|row| (row.0, row.1) == (of.as_str(), id)).map(|row| row.2)
        };
        let mut names = Names::none();
        for user in users {
            if let Some(name) = called(&people, user.as_str()) {
                names = names.with_user(user.clone(), name);
            }
        }
        for team in teams {
            if let Some(name) = called(&all_teams, team.as_str()) {
                names = names.with_team(team.clone(), name);
            }
        }
        Ok(names)
    }
}

/// The layer has already checked that the user and the team are of the same customer.
async fn is_member(asked: MembershipQuestion) -> io::Result<bool> {
    let members = [("acme", "engineering", "alice")];
    Ok(members.contains(&(asked.team.organization.as_str(), asked.team.team.as_str(), asked.user.as_str())))
}

/// The customer of `acme.example.com`. The layer compares it with the customer of the key, so a forged host gives no
/// access.
fn customer_of(request: &Parts) -> Option<OrganizationId> {
    let host = request.headers.get("host")?.to_str().ok()?;
    OrganizationId::new(host.strip_suffix(".example.com")?).ok()
}

async fn agents(caller: InOrganization) -> String {
    format!("agents of {}, for {}\n", caller.organization(), caller.owner())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let upgrade =
        "Team API keys are not included. Upgrade to Business or Enterprise to create team-scoped service keys.";
    let keys = ApiKeys::builder(MemoryStore::new()).several_organizations().directory(Teams).upgrade_sentence(upgrade);
    let keys = keys.build().await?;
    let by_path = RequireKeyLayer::new().team_at("/orgs/{organization}/teams/{team}/…")?.membership(is_member);
    let by_host = RequireKeyLayer::new().organization(customer_of).team_at("/teams/{team}/…")?.membership(is_member);
    let app = Router::new()
        .merge(Router::new().route("/orgs/{organization}/teams/{team}/agents", get(agents)).layer(by_path))
        .merge(Router::new().route("/teams/{team}/agents", get(agents)).layer(by_host))
        .layer(keys.layer());

    for customer in ["acme", "globex"] {
        let manager = keys.manager_for(OrganizationId::new(customer)?);
        // Take these from your session: the rights of the person, and the plan of the team that the form names.
        let rights = |team: &TeamId| Rights::none().org_admin().team_keys_included_for(team.clone());
        let engineering = TeamId::new("engineering")?;
        let admin = manager.actor(UserId::new("ada")?, rights(&engineering));
        let issued = manager.issue(IssueKey::team(engineering).named("CI, staging"), &admin).await?;
        for (host, path) in [
            ("example.com", "/orgs/acme/teams/engineering/agents"),
            ("example.com", "/orgs/globex/teams/engineering/agents"),
            ("acme.example.com", "/teams/engineering/agents"),
            ("globex.example.com", "/teams/engineering/agents"),
        ] {
            let key = issued.plaintext().expose_secret();
            let request = Request::get(path).header("host", host).header("x-api-key", key);
            let status = app.clone().oneshot(request.body(Body::empty())?).await?.status();
            writeln!(stdout(), "engineering of {customer} at {host}{path}: {status}")?;
        }

        let payments = TeamId::new("payments")?;
        let admin = manager.actor(UserId::new("ada")?, rights(&payments));
        let made = match manager.issue(IssueKey::team(payments), &admin).await {
            Ok(_) => "made",
            Err(error) if error.kind() == ManageErrorKind::NotFound => "no such team",
            Err(error) => return Err(error.into()),
        };
        writeln!(stdout(), "a key for payments of {customer}: {made}")?;

        let page = manager.list(ListKeys::all(), &admin).await?;
        for key in &page.keys {
            let owner = page.names.of_owner(&key.owner).unwrap_or(key.owner.id());
            let creator = page.names.of_actor(&key.created_by).unwrap_or("an unknown creator");
            writeln!(stdout(), "{customer}: {} of {owner}, made by {creator}", key.name)?;
        }
    }
    keys.shutdown().await?;
    Ok(())
}
