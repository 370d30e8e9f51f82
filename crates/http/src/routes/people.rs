//! Users and teams: their status, suspending and closing them, and what stops if a person leaves.

use http::Method;
use tower_api_keys::{
    Suspension,
    manage::{BlastRadius, ChangeOwner, Exposure, OwnerInfo, OwnerReinstated, OwnerStopped},
};

use super::why::Why;
use crate::{
    answer::ok,
    call::Call,
    problem::Problem,
    table::{Answer, BodyOf, Form, Param, Route, Success},
};

const DRY_RUN: Param =
    Param::one("dry_run", Form::Bool, "Whether to say what would be done and do nothing. Default: `false`.");

pub(super) static ROUTES: [Route; 6] = [
    Route {
        method: Method::GET,
        path: "/users/{user}/blast-radius",
        id: "getBlastRadius",
        about: "What stops if a person leaves.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<BlastRadius>(200),
        errors: &[],
        call: |call| Box::pin(blast_radius(call)),
    },
    Route {
        method: Method::GET,
        path: "/users/{user}/exposure",
        id: "getExposure",
        about: "The keys whose texts a person saw.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<Exposure>(200),
        errors: &[],
        call: |call| Box::pin(exposure(call)),
    },
    Route {
        method: Method::GET,
        path: "/owners/{kind}/{owner}",
        id: "getOwner",
        about: "The status of a user or a team.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<OwnerInfo>(200),
        errors: &[],
        call: |call| Box::pin(get_owner(call)),
    },
    Route {
        method: Method::POST,
        path: "/owners/{kind}/{owner}/suspend",
        id: "suspendOwner",
        about: "Suspends a user or a team: its keys are refused until it is reinstated.",
        query: &[&[DRY_RUN]],
        headers: &[],
        body: Some(BodyOf::optional::<Why>()),
        ok: Success::json::<OwnerStopped>(200),
        errors: &[(409, &["conflict", "owner_closed"])],
        call: |call| Box::pin(suspend(call)),
    },
    Route {
        method: Method::POST,
        path: "/owners/{kind}/{owner}/reinstate",
        id: "reinstateOwner",
        about: "Reinstates a suspended user or team.",
        query: &[&[DRY_RUN]],
        headers: &[],
        body: Some(BodyOf::optional::<Why>()),
        ok: Success::json::<OwnerReinstated>(200),
        errors: &[(409, &["conflict", "owner_closed"])],
        call: |call| Box::pin(reinstate(call)),
    },
    Route {
        method: Method::POST,
        path: "/owners/{kind}/{owner}/close",
        id: "closeOwner",
        about: "Closes a user or a team, which cannot be undone: its keys are refused from then on.",
        query: &[&[DRY_RUN]],
        headers: &[],
        body: Some(BodyOf::optional::<Why>()),
        ok: Success::json::<OwnerStopped>(200),
        errors: &[(409, &["conflict"])],
        call: |call| Box::pin(close(call)),
    },
];

async fn blast_radius(call: Call) -> Answer {
    ok(&call.manager.blast_radius(&call.user()?, &call.actor).await?)
}

async fn exposure(call: Call) -> Answer {
    ok(&call.manager.exposure(&call.user()?, &call.actor).await?)
}

async fn get_owner(call: Call) -> Answer {
    ok(&call.manager.owner(&call.owner()?, &call.actor).await?)
}

async fn suspend(mut call: Call) -> Answer {
    let request = change(&mut call)?;
    ok(&call.manager.suspend(request, Suspension::Admin, &call.actor).await?)
}

async fn reinstate(mut call: Call) -> Answer {
    let request = change(&mut call)?;
    ok(&call.manager.reinstate(request, Suspension::Admin, &call.actor).await?)
}

async fn close(mut call: Call) -> Answer {
    let request = change(&mut call)?;
    ok(&call.manager.close(request, &call.actor).await?)
}

fn change(call: &mut Call) -> Result<ChangeOwner, Problem> {
    let (mut request, Why { because }) = (ChangeOwner::of(call.owner()?), call.body()?);
    if let Some(because) = because {
        request = request.because(because);
    }
    Ok(if call.query.is_set("dry_run")? { request.dry_run() } else { request })
}
