use serde::Serialize;
use tower_api_keys::{
    Owner, Suspension, UserId,
    manage::{BlastRadius, ChangeOwner, Decision, KeyAction, Target},
};

use super::{
    checklist::{Checklist, checklist},
    delete::SourceView,
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, in_path, of_path},
    times::When,
    views::{KeyView, source_name},
};

#[derive(Serialize)]
struct PersonView {
    user: String,
    name: String,
    left: bool,
    status: Option<String>,
    /// What stops when the person leaves; `None` for an admin of teams, who sees the part of these teams.
    radius: Option<Radius>,
    exposure: Option<Checklist>,
    changes: Vec<Change>,
    /// The change that was looked at, with what it would do.
    dry_run: Option<DryRun>,
    /// How soon a change takes effect everywhere.
    effect: String,
    at: String,
    failed: Option<String>,
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

#[derive(Serialize)]
struct Change {
    id: &'static str,
    text: String,
    danger: bool,
}

#[derive(Serialize)]
struct DryRun {
    change: Change,
    sentence: String,
    unknown: bool,
    /// Whether the id has to be typed: the change cannot be undone.
    confirms: bool,
}

/// What stops if the person leaves, and what they saw.
pub(in crate::page) async fn show(call: &Call, segment: &str) -> Result<Reply, Stop> {
    screen(call, &user(segment)?, None, None).await
}

/// Suspends, reinstates or closes the person, after a look at what that would do.
pub(in crate::page) async fn change(call: &Call, segment: &str) -> Result<Reply, Stop> {
    let user = user(segment)?;
    let asked = call.fields.text("do");
    let only_looks = !call.fields.is("step", "do");
    if asked == "close" && !only_looks && call.fields.text("confirm") != user.as_str() {
        let failed = Some(call.say("confirm.differs"));
        let dry_run = Some(apply(call, &user, "close", true).await?);
        return screen(call, &user, dry_run, failed).await;
    }
    let done = match asked {
        "suspend" => apply(call, &user, "suspend", only_looks).await?,
        "reinstate" => apply(call, &user, "reinstate", only_looks).await?,
        "close" => apply(call, &user, "close", only_looks).await?,
        _ => return Err(Stop::Malformed("do")),
    };
    if only_looks {
        return screen(call, &user, Some(done), None).await;
    }
    Ok(Reply::See(format!("/people/{}", in_path(user.as_str()))))
}

fn user(segment: &str) -> Result<UserId, Stop> {
    UserId::new(of_path(segment)?).map_err(|_| Stop::NotFound)
}

async fn apply(call: &Call, user: &UserId, id: &'static str, only_looks: bool) -> Result<DryRun, Stop> {
    let change = ChangeOwner::of(user.clone());
    let change = if only_looks { change.dry_run() } else { change };
    let (live_keys, unknown) = match id {
        "reinstate" => {
            let done = call.manager.reinstate(change, Suspension::Admin, &call.actor).await?;
            (done.live_keys, false)
        }
        "close" => {
            let done = call.manager.close(change, &call.actor).await?;
            (done.live_keys, done.is_unknown)
        }
        _ => {
            let done = call.manager.suspend(change, Suspension::Admin, &call.actor).await?;
            (done.live_keys, done.is_unknown)
        }
    };
    let words = call.site.words();
    let sentence = match live_keys {
        Some(keys) => words.say(&format!("people.keys.{id}"), &[("count", keys.to_string())]),
        None => words.say("people.not_counted", &[]),
    };
    Ok(DryRun { change: named(call, id), sentence, unknown, confirms: id == "close" })
}

fn named(call: &Call, id: &'static str) -> Change {
    Change { id, text: call.say(&format!("button.{id}")), danger: id != "reinstate" }
}

async fn screen(call: &Call, user: &UserId, dry_run: Option<DryRun>, failed: Option<String>) -> Result<Reply, Stop> {
    let owner = Owner::User(user.clone());
    let may = async |action| Ok::<_, Stop>(call.manager.can(&call.actor, action, &Target::Owner(&owner)).await?);
    let manages_a_team = call.actor.teams().any(|team| call.actor.manages_keys_of(team.id));
    // Asked first: a denied attempt would be recorded.
    let sees_exposure = may(KeyAction::SeeExposure).await? == Decision::Allow;
    let sees_part = sees_exposure && manages_a_team;
    let sees_what_stops = may(KeyAction::SeeBlastRadius).await? != Decision::Hide || !sees_part;
    let mut view = PersonView::of(call, user, dry_run, failed);
    if sees_what_stops {
        let radius = call.manager.blast_radius(user, &call.actor).await?;
        view.name = radius.names.of_user(user).unwrap_or(user.as_str()).to_owned();
        view.left = radius.names.has_left(user);
        view.add_radius(call, &radius);
        view.add_changes(call, &owner).await?;
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
    fn of(call: &Call, user: &UserId, dry_run: Option<DryRun>, failed: Option<String>) -> Self {
        Self {
            user: user.to_string(),
            name: user.to_string(),
            left: false,
            status: None,
            radius: None,
            exposure: None,
            changes: Vec::new(),
            dry_run,
            effect: call.effect(),
            at: call.at(&format!("/people/{}", in_path(user.as_str()))),
            failed,
        }
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

    /// What the caller may do to the person, and how the person is now.
    async fn add_changes(&mut self, call: &Call, owner: &Owner) -> Result<(), Stop> {
        let words = call.site.words();
        let own = call.manager.owner(owner, &call.actor).await?.own_status;
        let wanted = [
            ("suspend", KeyAction::Suspend, !own.has(Suspension::Admin)),
            ("reinstate", KeyAction::Reinstate, own.has(Suspension::Admin)),
            ("close", KeyAction::Close, true),
        ];
        for (id, action, makes_sense) in wanted {
            if makes_sense
                && own.closed_at().is_none()
                && call.manager.can(&call.actor, action, &Target::Owner(owner)).await? == Decision::Allow
            {
                self.changes.push(named(call, id));
            }
        }
        self.status = if let Some(at) = own.closed_at() {
            Some(words.say("people.closed_at", &[("at", When::minute(at, words).text)]))
        } else {
            own.suspended_since(Suspension::Admin)
                .map(|at| words.say("people.suspended_at", &[("at", When::minute(at, words).text)]))
        };
        Ok(())
    }
}
