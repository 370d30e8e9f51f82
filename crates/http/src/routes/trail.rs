//! The audit trail.

use http::Method;
use tower_api_keys::{
    audit::Action,
    manage::{AuditQuery, EventPage},
};

use super::{
    export::{FORMAT, format},
    filter::{AFTER, BY, CLIENT_OF_SOURCE, KEY, LABEL_OF_SOURCE, LIMIT, LINEAGE_OF, NETWORK_OF_SOURCE, OWNER},
};
use crate::{
    answer::{export, page},
    call::Call,
    problem::Problem,
    query::{Query, owner},
    table::{Answer, Form, Param, Route, Success},
};

const OF: Param = Param::one("owner", OWNER, "Only those about this user or team, or a key of theirs.");
const ACTION: Param = Param::one("action", Form::Text, "Only those of this action, such as `key.issued`.");
const FROM: Param = Param::one("from", Form::Time, "Only those at this time or later.");
const UNTIL: Param = Param::one("until", Form::Time, "Only those before this time.");
const ORDER: Param = Param::one("order", Form::Words(&["newest", "oldest"]), "Which come first. Default: `newest`.");
const ATTEMPTS: Param = Param::one(
    "attempts",
    Form::Bool,
    "Lines of the access log instead of changes, if the service keeps one. Default: `false`.",
);

const QUERY: [Param; 14] = [
    KEY,
    LINEAGE_OF,
    OF,
    BY,
    ACTION,
    LABEL_OF_SOURCE,
    CLIENT_OF_SOURCE,
    NETWORK_OF_SOURCE,
    FROM,
    UNTIL,
    ORDER,
    ATTEMPTS,
    LIMIT,
    AFTER,
];
pub(super) static ROUTES: [Route; 2] = [
    Route {
        method: Method::GET,
        path: "/events",
        id: "listEvents",
        about: "The audit trail, as far as you may see it, a page at a time.",
        query: &[&QUERY],
        headers: &[],
        body: None,
        ok: Success::json::<EventPage>(200),
        errors: &[],
        call: |call| Box::pin(events(call)),
    },
    Route {
        method: Method::GET,
        path: "/events/export",
        id: "exportEvents",
        about: "The audit trail as a file. Only a complete one ends with the end of a line.",
        query: &[&QUERY, &[FORMAT]],
        headers: &[],
        body: None,
        ok: Success::export(),
        errors: &[(403, &["forged_request"])],
        call: |call| Box::pin(export_events(call)),
    },
];

async fn events(call: Call) -> Answer {
    let events = call.manager.events(question(&call.query)?, &call.actor).await?;
    let next = events.next.map(|cursor| call.next_page(&cursor.to_string()));
    page(&events, next)
}

async fn export_events(call: Call) -> Answer {
    let (question, format) = (question(&call.query)?, format(&call.query)?);
    Ok(export("api-key-events", format, call.manager.trail_pieces(question, format, &call.actor)).await?)
}

fn question(query: &Query) -> Result<AuditQuery, Problem> {
    let mut question = AuditQuery::all();
    if let Some(key) = query.read_one("key")? {
        question = question.of_key(key);
    }
    if let Some(first) = query.read_one("lineage")? {
        question = question.of_lineage(first);
    }
    if let Some(owner) = query.one_with("owner", owner)? {
        question = question.of(owner);
    }
    if let Some(actor) = query.read_one("actor")? {
        question = question.by(actor);
    }
    if let Some(action) = query.one("action") {
        question = question.action(Action::from(action));
    }
    if let Some(source) = query.source()? {
        question = question.source(source);
    }
    if let Some(time) = query.read_one("from")? {
        question = question.from(time);
    }
    if let Some(time) = query.read_one("until")? {
        question = question.until(time);
    }
    if query.one_with("order", |word| ["newest", "oldest"].into_iter().find(|known| *known == word))? == Some("oldest")
    {
        question = question.oldest_first();
    }
    if query.is_set("attempts")? {
        question = question.attempts();
    }
    if let Some(cursor) = query.read_one("after")? {
        question = question.after(cursor);
    }
    if let Some(limit) = query.read_one("limit")? {
        question = question.limit(limit);
    }
    Ok(question)
}
