//! Suspending, reinstating and closing a user or a team, after a look at what that would do.

use serde::Serialize;
use tower_api_keys::{
    Owner, Suspension,
    manage::{ChangeOwner, Decision, KeyAction, Target},
    record::OwnerStatus,
};

use crate::page::{answer::Stop, request::Call, times::When, views::place};

/// How an owner is, and what the caller may change about that.
#[derive(Serialize)]
pub(super) struct Standing {
    kind: &'static str,
    id: String,
    /// Where the forms go.
    at: String,
    status: Option<String>,
    changes: Vec<Change>,
    /// The change that was looked at, with what it would do.
    dry_run: Option<DryRun>,
    because: String,
    /// How soon a change takes effect everywhere.
    effect: String,
    failed: Option<String>,
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

/// A change that was only looked at, or that was not made.
pub(super) struct Look {
    dry_run: DryRun,
    failed: Option<String>,
}

/// Makes the change that the form asks for; `None` if it was made.
pub(super) async fn change(call: &Call, owner: &Owner) -> Result<Option<Look>, Stop> {
    let id = match call.fields.text("do") {
        "suspend" => "suspend",
        "reinstate" => "reinstate",
        "close" => "close",
        _ => return Err(Stop::Malformed("do")),
    };
    if !call.fields.is("step", "do") {
        return Ok(Some(Look { dry_run: apply(call, owner, id, true).await?, failed: None }));
    }
    if id == "close" && call.fields.text("confirm") != owner.id() {
        let failed = Some(call.say("confirm.differs"));
        return Ok(Some(Look { dry_run: apply(call, owner, id, true).await?, failed }));
    }
    apply(call, owner, id, false).await?;
    Ok(None)
}

async fn apply(call: &Call, owner: &Owner, id: &'static str, only_looks: bool) -> Result<DryRun, Stop> {
    let mut change = ChangeOwner::of(owner.clone());
    if let Some(reason) = call.fields.some("because") {
        change = change.because(reason);
    }
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
    let (words, kind) = (call.site.words(), owner.kind().as_str());
    let sentence = match live_keys {
        Some(keys) => words.say(&format!("owner.{kind}.keys.{id}"), &[("count", keys.to_string())]),
        None => words.say("owner.not_counted", &[]),
    };
    Ok(DryRun { change: named(call, id), sentence, unknown, confirms: id == "close" })
}

fn named(call: &Call, id: &'static str) -> Change {
    Change { id, text: call.say(&format!("button.{id}")), danger: id != "reinstate" }
}

impl Standing {
    /// That of this owner, whose own status this is, if the caller may see it.
    pub(super) async fn of(
        call: &Call,
        owner: &Owner,
        own: Option<&OwnerStatus>,
        look: Option<Look>,
    ) -> Result<Self, Stop> {
        let words = call.site.words();
        let (dry_run, failed) = look.map(|look| (look.dry_run, look.failed)).unzip();
        let said = |id: &str, at| words.say(id, &[("at", When::minute(at, words).text)]);
        let status = own.and_then(|own| match own.closed_at() {
            Some(at) => Some(said("owner.closed_at", at)),
            None => own.suspended_since(Suspension::Admin).map(|at| said("owner.suspended_at", at)),
        });
        Ok(Self {
            kind: owner.kind().as_str(),
            id: owner.id().to_owned(),
            at: call.at(&place(owner)),
            status,
            changes: match own {
                Some(own) => changes(call, owner, own).await?,
                None => Vec::new(),
            },
            dry_run,
            because: call.fields.echo("because"),
            effect: call.effect(),
            failed: failed.flatten(),
        })
    }
}

/// What makes sense, as far as the caller may do it.
async fn changes(call: &Call, owner: &Owner, own: &OwnerStatus) -> Result<Vec<Change>, Stop> {
    let is_suspended = own.has(Suspension::Admin);
    let wanted = [
        ("suspend", KeyAction::Suspend, !is_suspended),
        ("reinstate", KeyAction::Reinstate, is_suspended),
        ("close", KeyAction::Close, true),
    ];
    let mut changes = Vec::new();
    for (id, action, makes_sense) in wanted {
        if makes_sense
            && own.closed_at().is_none()
            && call.manager.can(&call.actor, action, &Target::Owner(owner)).await? == Decision::Allow
        {
            changes.push(named(call, id));
        }
    }
    Ok(changes)
}
