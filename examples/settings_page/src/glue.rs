//! Everything that a service writes to mount the settings page and the routes. A test counts the lines of this file.

use std::{convert::Infallible, future::ready, sync::Arc};

use axum::{Router, extract::FromRequestParts, http::StatusCode, http::request::Parts};
use tower_api_keys::manage::{Directory, NamedTeam, Names, Rights, TeamRole};
use tower_api_keys::{
    Actor, ApiKeys, InvalidId, OrganizationId, TeamId, TeamRef, UserId, record::NamePart, store::Ledger,
};
use tower_api_keys_http::{page, page::Page, routes};

use crate::accounts::{Accounts, Person, Plan, Role};

type Teams = Option<Vec<NamedTeam>>;

/// The person of the session, with the roles and the plan of this moment.
pub struct CurrentUser(Actor);

impl FromRequestParts<Arc<Accounts>> for CurrentUser {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, accounts: &Arc<Accounts>) -> Result<Self, Self::Rejection> {
        let person = accounts.signed_in(&parts.headers).ok_or((StatusCode::UNAUTHORIZED, "Sign in first, at /."))?;
        let actor = actor(person, accounts.plan(person.customer));
        actor.map(Self).map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "This account cannot have keys."))
    }
}

impl From<CurrentUser> for Actor {
    fn from(user: CurrentUser) -> Self {
        user.0
    }
}

pub fn actor(person: &Person, plan: Plan) -> Result<Actor, InvalidId> {
    let rights = match person.role {
        Role::Member(team) => Rights::none().team(TeamId::new(team)?, TeamRole::Member),
        Role::TeamAdmin(team) => Rights::none().team(TeamId::new(team)?, TeamRole::Admin),
        Role::OrgAdmin => Rights::none().org_admin(),
    };
    let rights = if plan.includes_team_keys() { rights.team_keys_included() } else { rights };
    Ok(Actor::user(UserId::new(person.id)?, rights).with_organization(OrganizationId::new(person.customer)?))
}

impl Directory for Accounts {
    type Error = Infallible;

    async fn has_team(&self, asked: &TeamRef) -> Result<bool, Infallible> {
        Ok(self.team_name(asked.organization.as_str(), asked.team.as_str()).is_some())
    }

    async fn names(&self, of: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> Result<Names, Infallible> {
        let people = users.iter().filter_map(|id| Some((id, self.person(of.as_str(), id.as_str())?)));
        let names = people.fold(Names::none(), |names, (id, person)| {
            let names = names.with_user(id.clone(), person.name);
            if person.has_left { names.with_left(id.clone()) } else { names }
        });
        let teams = teams.iter().filter_map(|id| Some((id, self.team_name(of.as_str(), id.as_str())?)));
        Ok(teams.fold(names, |names, (id, name)| names.with_team(id.clone(), name)))
    }

    async fn teams(&self, of: &OrganizationId, like: Option<&NamePart>, most: usize) -> Result<Teams, Infallible> {
        let asked = self.teams(of.as_str()).filter(|(_, name)| like.is_none_or(|part| part.is_in(name))).take(most);
        Ok(asked.map(|(id, name)| Some(NamedTeam::new(TeamId::new(id).ok()?).with_name(name))).collect())
    }
}

pub fn mount(keys: &ApiKeys<impl Ledger>, page: Page, accounts: Arc<Accounts>) -> Router<Arc<Accounts>> {
    let page = page.whom_to_ask(move |actor, team| {
        let (customer, team) = (actor.organization().map(OrganizationId::as_str), team.as_ref().map(TeamId::as_str));
        ready(accounts.admins(customer.unwrap_or_default(), team))
    });
    Router::new()
        .nest("/settings/api-keys", page::router::<_, CurrentUser>(keys, page))
        .nest("/api/api-keys", routes::router::<_, CurrentUser>(keys))
}
