use serde::Serialize;
use tower_api_keys::{Owner, TeamId};

use super::standing::{Look, Standing, change as change_standing};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, in_query, of_path},
    views::{owner_name, place},
};

#[derive(Serialize)]
struct TeamView {
    name: String,
    standing: Standing,
    /// The keys of the team, and what was done with them.
    keys: String,
    trail: String,
}

/// How a team is, and what an admin of the organization can do about it.
pub(in crate::page) async fn show(call: &Call, segment: &str) -> Result<Reply, Stop> {
    screen(call, &owner(segment)?, None).await
}

/// Suspends, reinstates or closes the team, after a look at what that would do.
pub(in crate::page) async fn change(call: &Call, segment: &str) -> Result<Reply, Stop> {
    let owner = owner(segment)?;
    match change_standing(call, &owner).await? {
        Some(look) => screen(call, &owner, Some(look)).await,
        None => Ok(Reply::See(place(&owner))),
    }
}

fn owner(segment: &str) -> Result<Owner, Stop> {
    TeamId::new(of_path(segment)?).map(Owner::Team).map_err(|_| Stop::NotFound)
}

async fn screen(call: &Call, owner: &Owner, look: Option<Look>) -> Result<Reply, Stop> {
    let info = call.manager.owner(owner, &call.actor).await?;
    let view = TeamView {
        name: owner_name(owner, &info.names),
        standing: Standing::of(call, owner, Some(&info.own_status), look).await?,
        keys: call.at(&format!("/?team={}", in_query(owner.id()))),
        trail: call.at(&format!("/trail?owner={}", in_query(&owner.to_string()))),
    };
    Ok(Screen::new("team.html", view.name.clone(), &view).into())
}
