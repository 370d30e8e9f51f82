use serde::Serialize;
use tower_api_keys::{
    manage::{ExportFormat, InventoryPage, InventoryQuery, KeyFlag, ListKeys},
    record::NamePart,
    store::{KeyCursor, Liveness},
};

use super::{
    all::owner,
    create::Choice,
    flagged::{Evidence, Row, row, say_once},
    refusals::{RefusalsView, latest},
    reviewed::{Reviewed, Reviews},
};
use crate::{
    answer::export,
    page::{
        answer::{Reply, Screen, Stop},
        request::Call,
        times::When,
        views::{Counted, plain},
    },
};

/// How many refusals without a key are shown.
const REFUSALS: usize = 5;

#[derive(Serialize)]
struct ReviewView {
    flags: Vec<Choice>,
    owner: String,
    label: String,
    dead: bool,
    /// These filters, for the way back.
    query: String,
    rows: Vec<Reviewable>,
    unreadable: usize,
    names_missing: bool,
    more: Option<String>,
    csv: String,
    /// Requests that showed no key which is known, for those who may see them.
    refusals: Option<RefusalsView>,
    asked: When,
    counted: Counted,
}

/// A row with its last review.
#[derive(Serialize)]
struct Reviewable {
    #[serde(flatten)]
    row: Row,
    reviewed: Option<Reviewed>,
}

/// The keys with what needs attention.
pub(in crate::page) async fn show(call: &Call) -> Result<Reply, Stop> {
    let fields = &call.fields;
    let (query, chosen) = query(call)?;
    let query = match fields.parsed::<KeyCursor>("after")? {
        Some(cursor) => query.after(cursor),
        None => query,
    };
    let page = call.manager.inventory(query, &call.actor).await?;
    let InventoryPage { asked_at, entries, unreadable, names, next, counted, .. } = page;
    let words = call.site.words();
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
    let evidence = Evidence {
        asked_at: Some(asked_at),
        entries: entries.into_iter().map(|entry| (entry.key.id, entry)).collect(),
    };
    let more = next.map(|next| {
        let query = fields.clone().set("after", &next.to_string()).query();
        call.at(&format!("/review{query}"))
    });
    let flags = KeyFlag::ALL.iter().map(|flag| Choice {
        value: flag.as_str().to_owned(),
        text: plain(flag.as_str()),
        chosen: chosen.contains(flag),
    });
    let mut rows: Vec<_> = keys.iter().map(|key| row(call, key, &names, &evidence)).collect::<Result<_, _>>()?;
    say_once(rows.iter_mut());
    let reviews = Reviews::of(call, &keys).await?;
    let rows =
        rows.into_iter().zip(&keys).map(|(row, key)| Reviewable { reviewed: reviews.of_key(call, key, &names), row });
    let refusals = latest(call, REFUSALS).await?;
    let view = ReviewView {
        refusals,
        flags: flags.collect(),
        owner: fields.echo("owner"),
        label: fields.echo("label"),
        dead: fields.is("dead", "1"),
        query: fields.query(),
        rows: rows.collect(),
        unreadable: unreadable.len(),
        names_missing: !names.is_complete(),
        more,
        csv: call.at(&format!("/review.csv{}", fields.clone().unset("after").query())),
        asked: When::minute(asked_at, words),
        counted: Counted::of(&counted, words),
    };
    Ok(Screen::new("review.html", call.say("review.title"), &view).into())
}

fn query(call: &Call) -> Result<(InventoryQuery, Vec<KeyFlag>), Stop> {
    let fields = &call.fields;
    let mut list = match owner(call)? {
        Some(owner) => ListKeys::of(owner),
        None => ListKeys::all(),
    };
    if !fields.is("dead", "1") {
        list = list.liveness(Liveness::Live);
    }
    if let Some(part) = fields.some("q") {
        list = list.named_like(NamePart::new(part).map_err(|_| Stop::Malformed("q"))?);
    }
    let flags = fields.all("flag").filter(|flag| !flag.is_empty());
    let flags = flags.map(|flag| flag.parse().map_err(|_| Stop::Malformed("flag")));
    let flags: Vec<KeyFlag> = flags.collect::<Result<_, _>>()?;
    let mut query = InventoryQuery::matching(list.newest_first()).flagged(flags.iter().copied());
    if let Some(label) = fields.some("label") {
        query = match label.split_once(['=', ':']) {
            Some((label, value)) => query.label_value(label, value),
            None => query.label(label),
        };
    }
    Ok((query, flags))
}

/// The same keys as a table for a spreadsheet.
pub(in crate::page) async fn file(call: &Call) -> Result<Reply, Stop> {
    let (query, _) = query(call)?;
    let pieces = call.manager.inventory_pieces(query, ExportFormat::Csv, &call.actor);
    Ok(Reply::Other(export("api-keys", ExportFormat::Csv, pieces).await?))
}
