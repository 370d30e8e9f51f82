use serde::Serialize;
use tower_api_keys::manage::{Decision, KeyAction, RefusalsWithoutKey, Target};

use crate::page::{
    answer::{Reply, Screen, Stop},
    request::Call,
    times::When,
    views::{Counted, plain, source_name},
};

#[derive(Serialize)]
pub(super) struct RefusalsView {
    rows: Vec<Refused>,
    counted: Counted,
}

#[derive(Serialize)]
struct Refused {
    outcome: String,
    meaning: String,
    count: i64,
    first: When,
    last: When,
    sources: String,
}

/// Requests that were refused without a key of this organization being known.
pub(in crate::page) async fn show(call: &Call) -> Result<Reply, Stop> {
    let refused = call.manager.refusals_without_key(&call.actor).await?;
    let view = view(call, &refused, usize::MAX);
    Ok(Screen::new("refusals.html", call.say("refusals.title"), &view).into())
}

/// The latest of them, beside something else; `None` for a caller that may not see them.
pub(super) async fn latest(call: &Call, most: usize) -> Result<Option<RefusalsView>, Stop> {
    // Asked first: a denied attempt would be recorded.
    let decision = call.manager.can(&call.actor, KeyAction::SeeUsage, &Target::Organization).await?;
    if decision != Decision::Allow {
        return Ok(None);
    }
    let refused = call.manager.refusals_without_key(&call.actor).await?;
    Ok(Some(view(call, &refused, most)))
}

fn view(call: &Call, refused: &RefusalsWithoutKey, most: usize) -> RefusalsView {
    let words = call.site.words();
    let rows = refused.detail.by_outcome();
    let rows = rows.iter().take(most).map(|seen| Refused {
        outcome: plain(&seen.outcome.word()),
        meaning: words.sentence(&seen.meaning),
        count: seen.count,
        first: When::minute(seen.first_at, words),
        last: When::minute(seen.last_at, words),
        sources: seen.sources.iter().map(|source| source_name(call, source)).collect::<Vec<_>>().join(", "),
    });
    RefusalsView { rows: rows.collect(), counted: Counted::of(&refused.counted, words) }
}
