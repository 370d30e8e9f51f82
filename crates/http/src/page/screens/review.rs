use std::collections::BTreeSet;

use axum::{body::Body, response::IntoResponse};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use serde::Serialize;
use tower_api_keys::{
    KeyId,
    manage::{ExportFormat, InventoryPage, InventoryQuery, KeyFlag, ListKeys, ManageError, RevokeMany},
    record::NamePart,
    store::{KeyCursor, Liveness},
};

use super::{
    all::owner,
    create::Choice,
    flagged::{Evidence, Row, row, say_once},
    refusals::{RefusalsView, latest},
    reviewed,
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, key_id},
    times::When,
    views::plain,
};

/// How many keys a form may name: as many as a screen has.
const MOST: usize = 100;
/// How many refusals without a key are shown.
const REFUSALS: usize = 5;

#[derive(Serialize)]
struct ReviewView {
    flags: Vec<Choice>,
    owner: String,
    label: String,
    dead: bool,
    rows: Vec<Row>,
    unreadable: usize,
    names_missing: bool,
    more: Option<String>,
    csv: String,
    /// Requests that showed no key which is known, for those who may see them.
    refusals: Option<RefusalsView>,
    asked: When,
    until: Option<When>,
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
    let refusals = latest(call, REFUSALS).await?;
    let view = ReviewView {
        refusals,
        flags: flags.collect(),
        owner: fields.echo("owner"),
        label: fields.echo("label"),
        dead: fields.is("dead", "1"),
        rows,
        unreadable: unreadable.len(),
        names_missing: !names.is_complete(),
        more,
        csv: call.at(&format!("/review.csv{}", fields.clone().unset("after").query())),
        asked: When::minute(asked_at, words),
        until: counted.until.map(|until| When::minute(until, words)),
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
        query = match label.split_once('=') {
            Some((label, value)) => query.label_value(label, value),
            None => query.label(label),
        };
    }
    Ok((query, flags))
}

/// The same keys as a table for a spreadsheet.
pub(in crate::page) async fn export(call: &Call) -> Result<Reply, Stop> {
    let (query, _) = query(call)?;
    let pieces = call.manager.inventory_pieces(query, ExportFormat::Csv, &call.actor);
    file("api-keys.csv", Box::pin(pieces)).await
}

/// An export as a file. Its first piece is read before the answer begins, so that a refusal has its status.
pub(super) async fn file(
    name: &'static str,
    mut pieces: std::pin::Pin<Box<impl Stream<Item = Result<Bytes, ManageError>> + Send + 'static>>,
) -> Result<Reply, Stop> {
    let first = pieces.next().await.transpose()?.unwrap_or_default();
    // An error later on breaks the answer off, so that nobody takes a part for the whole.
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(pieces));
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(ExportFormat::Csv.media_type())),
        (CONTENT_DISPOSITION, disposition.parse().unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    Ok(Reply::Other((headers, body).into_response()))
}

#[derive(Serialize)]
struct ManyView {
    /// What this is about.
    title: String,
    keys: Vec<String>,
    /// Whether this only says what would be done.
    dry_run: bool,
    sentences: Vec<String>,
    revoked: u64,
    because: String,
    effect: String,
    /// Why it stopped half-way.
    failed: Option<String>,
}

/// Deletes many keys, after a look at what that would do.
pub(in crate::page) async fn many(call: &Call) -> Result<Reply, Stop> {
    let ids: Vec<KeyId> = call.fields.all("key").map(key_id).collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect();
    if ids.len() > MOST {
        return Err(Stop::Malformed("key"));
    }
    if ids.is_empty() {
        return Ok(Reply::See(format!("/review{}", call.fields.clone().unset("key").unset("step").query())));
    }
    if call.fields.is("step", "reviewed") {
        let marked = reviewed::mark(call, &ids).await?;
        let view = ManyView {
            title: call.say("review.mark"),
            keys: Vec::new(),
            dry_run: false,
            sentences: marked,
            revoked: 0,
            because: String::new(),
            effect: String::new(),
            failed: None,
        };
        return Ok(Screen::new("many.html", call.say("review.mark"), &view).into());
    }
    let dry_run = !call.fields.is("step", "delete");
    let mut request = RevokeMany::keys(ids.iter().copied());
    if let Some(reason) = call.fields.some("because") {
        request = request.because(reason);
    }
    let request = if dry_run { request.dry_run() } else { request };
    let words = call.site.words();
    let (report, failed, status) = match call.manager.revoke_many(request, &call.actor).await {
        Ok(report) => (report, None, StatusCode::OK),
        Err(stopped) => {
            let so_far = stopped.so_far().clone();
            let error = stopped.into_error();
            let sentence = words.sentence(&error.sentence());
            if so_far.matched == 0 {
                return Err(error.into());
            }
            (so_far, Some(sentence), error.status())
        }
    };
    let view = ManyView {
        title: call.say("many.title"),
        keys: ids.iter().map(ToString::to_string).collect(),
        dry_run,
        sentences: report.sentences().iter().map(|sentence| words.sentence(sentence)).collect(),
        revoked: report.revoked,
        because: call.fields.echo("because"),
        effect: call.effect(),
        failed,
    };
    Ok(Screen::new("many.html", call.say("many.title"), &view).with_status(status).into())
}
