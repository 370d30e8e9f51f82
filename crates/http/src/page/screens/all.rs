use serde::Serialize;
use tower_api_keys::{
    KeyKind, Owner,
    manage::{KeyPage, ListKeys},
    record::{ActorId, NamePart},
    store::{KeyCursor, Liveness},
};

use super::flagged::{Evidence, Row, row};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::Call,
};

#[derive(Serialize)]
struct AllView {
    q: String,
    q_error: Option<String>,
    owner: String,
    creator: String,
    kind: String,
    state: String,
    order: String,
    rows: Vec<Row>,
    unreadable: usize,
    more: Option<String>,
    names_missing: bool,
}

/// Every key that the caller may see, with filters.
pub(in crate::page) async fn show(call: &Call) -> Result<Reply, Stop> {
    let fields = &call.fields;
    let mut list = match owner(call)? {
        Some(owner) => ListKeys::of(owner),
        None => ListKeys::all(),
    };
    if let Some(kind) = fields.parsed::<KeyKind>("kind")? {
        list = list.kind(kind);
    }
    if let Some(creator) = fields.parsed::<ActorId>("creator")? {
        list = list.created_by(creator);
    }
    list = match fields.text("state") {
        "" => list,
        "live" => list.liveness(Liveness::Live),
        "dead" => list.liveness(Liveness::Dead),
        _ => return Err(Stop::Malformed("state")),
    };
    list = match fields.text("order") {
        "" | "newest" => list.newest_first(),
        "oldest" => list,
        "ends" => list.soonest_end_first(),
        _ => return Err(Stop::Malformed("order")),
    };
    let q_error = match fields.some("q").map(NamePart::new).transpose() {
        Ok(part) => {
            list = part.into_iter().fold(list, ListKeys::named_like);
            None
        }
        Err(error) => Some(call.site.words().sentence(&error.sentence())),
    };
    if let Some(cursor) = fields.parsed::<KeyCursor>("after")? {
        list = list.after(cursor);
    }
    let KeyPage { keys, unreadable, names, next, .. } = call.manager.list(list, &call.actor).await?;
    let evidence = Evidence::none();
    let more = next.map(|next| {
        let query = fields.clone().set("after", &next.to_string()).query();
        call.at(&format!("/keys{query}"))
    });
    let text = |name| fields.echo(name);
    let view = AllView {
        q: text("q"),
        q_error,
        owner: text("owner"),
        creator: text("creator"),
        kind: text("kind"),
        state: text("state"),
        order: text("order"),
        rows: keys.iter().map(|key| row(call, key, &names, &evidence)).collect::<Result<_, _>>()?,
        unreadable: unreadable.len(),
        more,
        names_missing: !names.is_complete(),
    };
    Ok(Screen::new("all.html", call.say("all.title"), &view).into())
}

/// An owner in the form `team:engineering`.
pub(super) fn owner(call: &Call) -> Result<Option<Owner>, Stop> {
    let wrong = || Stop::Malformed("owner");
    let Some(text) = call.fields.some("owner") else { return Ok(None) };
    let (kind, id) = text.split_once(':').ok_or_else(wrong)?;
    let kind: KeyKind = kind.parse().map_err(|_| wrong())?;
    Owner::new(kind, id).map(Some).map_err(|_| wrong())
}
