use serde::Serialize;
use tower_api_keys::{
    Owner, UserId,
    manage::{BlastRadius, Decision, KeyAction, Target},
};

use super::{
    checklist::{Checklist, checklist},
    delete::SourceView,
    standing::{Look, Standing, change as change_standing},
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, of_path},
    times::When,
    views::{KeyView, place, source_name},
};

#[derive(Serialize)]
struct PersonView {
    name: String,
    left: bool,
    standing: Standing,
    /// What stops when the person leaves; `None` for an admin of teams, who sees the part of these teams.
    radius: Option<Radius>,
    exposure: Option<Checklist>,
}

#[derive(Serialize)]
struct Radius {
    sentences: Vec<String>,
    stops: Vec<Stopping>,
    goes_on: Vec<KeyView>,
    unreadable: usize,
}

#[derive(Serialize)]
struct Stopping {
    key: KeyView,
    sources: Vec<SourceView>,
    shared: Vec<String>,
}

/// What stops if the person leaves, and what they saw.
pub(in crate::page) async fn show(call: &Call, segment: &str) -> Result<Reply, Stop> {
    screen(call, &user(segment)?, None).await
}

/// Suspends, reinstates or closes the person, after a look at what that would do.
pub(in crate::page) async fn change(call: &Call, segment: &str) -> Result<Reply, Stop> {
    let user = user(segment)?;
    let owner = Owner::User(user.clone());
    match change_standing(call, &owner).await? {
        Some(look) => screen(call, &user, Some(look)).await,
        None => Ok(Reply::See(place(&owner))),
    }
}

fn user(segment: &str) -> Result<UserId, Stop> {
    UserId::new(of_path(segment)?).map_err(|_| Stop::NotFound)
}

async fn screen(call: &Call, user: &UserId, look: Option<Look>) -> Result<Reply, Stop> {
    let owner = Owner::User(user.clone());
    let may = async |action| Ok::<_, Stop>(call.manager.can(&call.actor, action, &Target::Owner(&owner)).await?);
    let manages_a_team = call.actor.teams().any(|team| call.actor.manages_keys_of(team.id));
    // Asked first: a denied attempt would be recorded.
    let sees_exposure = may(KeyAction::SeeExposure).await? == Decision::Allow;
    let sees_part = sees_exposure && manages_a_team;
    let sees_what_stops = may(KeyAction::SeeBlastRadius).await? != Decision::Hide || !sees_part;
    let own = if sees_what_stops { Some(call.manager.owner(&owner, &call.actor).await?.own_status) } else { None };
    let standing = Standing::of(call, &owner, own.as_ref(), look).await?;
    let mut view = PersonView::of(user, standing);
    if sees_what_stops {
        let radius = call.manager.blast_radius(user, &call.actor).await?;
        view.name = radius.names.of_user(user).unwrap_or(user.as_str()).to_owned();
        view.left = radius.names.has_left(user);
        view.add_radius(call, &radius);
    }
    if sees_exposure {
        let exposure = call.manager.exposure(user, &call.actor).await?;
        if let Some(name) = exposure.names.of_user(user).filter(|_| !sees_what_stops) {
            name.clone_into(&mut view.name);
            view.left = exposure.names.has_left(user);
        }
        view.exposure = Some(checklist(call, user, &exposure).await?);
    }
    Ok(Screen::new("person.html", view.name.clone(), &view).into())
}

impl PersonView {
    fn of(user: &UserId, standing: Standing) -> Self {
        Self { name: user.to_string(), left: false, standing, radius: None, exposure: None }
    }

    fn add_radius(&mut self, call: &Call, radius: &BlastRadius) {
        let words = call.site.words();
        let stops = radius.stops.iter().map(|stops| Stopping {
            key: KeyView::of(call, &stops.key, &radius.names),
            sources: stops
                .sources
                .iter()
                .map(|count| SourceView {
                    source: source_name(call, &count.source),
                    count: count.count,
                    last: When::ago(count.last_at, radius.asked_at, words),
                    lately: false,
                })
                .collect(),
            shared: stops.shared_because.iter().map(|why| words.sentence(&why.sentence)).collect(),
        });
        self.radius = Some(Radius {
            sentences: radius.sentences().iter().map(|sentence| words.sentence(sentence)).collect(),
            stops: stops.collect(),
            goes_on: radius.goes_on.iter().map(|key| KeyView::of(call, key, &radius.names)).collect(),
            unreadable: radius.unreadable.len(),
        });
    }
}
