//! Who asks, and what a page needs to know before it shows a button.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde::Serialize;
use tower_api_keys::{
    Actor, KeyKind, KeyManager, ManagingScope, OrganizationId, Owner, Scope, TeamId, TeamRole,
    manage::{Decision, DenialReason, KeyAction, ManageErrorKind, NamedTeam, Staleness, Target},
    record::{ActorId, NamePart},
    sentence::Sentence,
};

use crate::{
    answer::ok,
    call::Call,
    problem::Problem,
    table::{Answer, Form, Param, Route, Success},
};

const NAMED_TEAM: Param = Param::one("named", Form::Text, "Only teams with this in their names.");

/// For how many teams the directory is asked at once.
const AT_ONCE: usize = 16;

pub(super) static ROUTES: [Route; 2] = [
    Route {
        method: Method::GET,
        path: "/me",
        id: "getMe",
        about: "Who you are here, for whom you may create keys, and which scopes there are.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<Me<'static>>(200),
        errors: &[],
        call: |call| Box::pin(me(call)),
    },
    Route {
        method: Method::GET,
        path: "/teams",
        id: "listTeams",
        about: "The teams for which you may create keys, with their names, for a select list: at most 1,000 of the \
            directory. Where there may be more, search by a part of the name.",
        query: &[&[NAMED_TEAM]],
        headers: &[],
        body: None,
        ok: Success::json::<Teams>(200),
        errors: &[],
        call: |call| Box::pin(teams(call)),
    },
];

/// Who asks.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Me<'a> {
    actor: ActorId,
    organization: &'a OrganizationId,
    org_admin: bool,
    auditor: bool,
    /// How the texts of new keys begin.
    prefixes: Prefixes,
    /// The scopes that a key can have; null if any can be given.
    scopes: Option<&'a BTreeSet<Scope>>,
    /// The scopes for managing keys, which a key can have, too.
    managing_scopes: &'a [ManagingScope],
    /// How long a key may still be accepted somewhere after it was revoked or paused here.
    revocation: Staleness,
    /// Your own personal keys; null if a team's key asks.
    personal: Option<Personal>,
    /// Your teams.
    teams: Vec<Team<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Prefixes {
    user: String,
    team: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Personal {
    create: Allowed,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MyTeam"))]
struct Team<'a> {
    id: &'a TeamId,
    /// Your role in it; null if you have none.
    role: Option<TeamRole>,
    /// Whether you manage its keys.
    manages_keys: bool,
    team_keys: TeamKeys,
    create: Allowed,
}

/// Whether the plan of a team includes team keys.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct TeamKeys {
    included: bool,
    /// Why not, and what would change it.
    sentence: Option<Sentence>,
}

/// Whether an attempt would be allowed, and if not, why.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Allowed {
    allowed: bool,
    code: Option<&'static str>,
    sentence: Option<Sentence>,
    remedy: Option<Sentence>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Teams {
    /// In display order.
    teams: Vec<NamedTeam>,
}

async fn teams(call: Call) -> Answer {
    let teams = match call.query.one_with("named", |text| NamePart::new(text).ok())? {
        None => call.manager.teams_to_issue_for(&call.actor).await?,
        Some(part) => call.manager.find_teams_to_issue_for(&part, &call.actor).await?,
    };
    ok(&Teams { teams })
}

async fn me(call: Call) -> Answer {
    let (manager, actor) = (&call.manager, &call.actor);
    let personal = match actor.user_id() {
        None => None,
        Some(user) => Some(Personal { create: create(manager, actor, Owner::User(user.clone())).await? }),
    };
    let teams: Vec<_> = actor
        .teams()
        .map(|team| {
            let (id, role, manages_keys, included) = (team.id, team.role, team.manages_keys, team.includes_team_keys);
            async move {
                let sentence = (!included).then(|| manager.denial(DenialReason::PlanRequired).sentence());
                let create = create(manager, actor, Owner::Team(id.clone())).await?;
                Ok::<_, Problem>(Team { id, role, manages_keys, team_keys: TeamKeys { included, sentence }, create })
            }
        })
        .collect();
    let teams = stream::iter(teams).buffered(AT_ONCE).try_collect().await?;
    let prefix = |kind| manager.format().prefix(kind);
    ok(&Me {
        actor: actor.id(),
        organization: manager.organization(),
        org_admin: actor.is_org_admin(),
        auditor: actor.is_auditor(),
        prefixes: Prefixes { user: prefix(KeyKind::User), team: prefix(KeyKind::Team) },
        scopes: manager.scopes(),
        managing_scopes: &ManagingScope::ALL,
        revocation: manager.staleness(),
        personal,
        teams,
    })
}

/// Whether the actor may create a key for this owner.
async fn create(manager: &KeyManager, actor: &Actor, owner: Owner) -> Result<Allowed, Problem> {
    let decision = manager.can(actor, KeyAction::Issue, &Target::new_key(&owner)).await?;
    let refusal = match decision {
        Decision::Allow => None,
        Decision::Deny(reason) => Some(ManageErrorKind::Denied(manager.denial(reason))),
        Decision::Hide => Some(ManageErrorKind::NotFound),
    };
    Ok(Allowed {
        allowed: refusal.is_none(),
        code: refusal.map(ManageErrorKind::code),
        sentence: refusal.map(ManageErrorKind::sentence),
        remedy: refusal.and_then(ManageErrorKind::remedy),
    })
}
