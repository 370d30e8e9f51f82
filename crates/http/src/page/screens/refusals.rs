use serde::Serialize;

use crate::page::{
    answer::{Reply, Screen, Stop},
    request::Call,
    times::When,
    views::{plain, source_name},
};

#[derive(Serialize)]
struct RefusalsView {
    rows: Vec<Refused>,
    until: Option<When>,
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
    let words = call.site.words();
    let refused = call.manager.refusals_without_key(&call.actor).await?;
    let rows = refused.detail.by_outcome();
    let rows = rows.iter().map(|seen| Refused {
        outcome: plain(&seen.outcome.word()),
        meaning: words.sentence(&seen.meaning),
        count: seen.count,
        first: When::minute(seen.first_at, words),
        last: When::minute(seen.last_at, words),
        sources: seen.sources.iter().map(|source| source_name(call, source)).collect::<Vec<_>>().join(", "),
    });
    let until = refused.counted.until.map(|until| When::minute(until, words));
    Ok(Screen::new("refusals.html", call.say("refusals.title"), &RefusalsView { rows: rows.collect(), until }).into())
}
