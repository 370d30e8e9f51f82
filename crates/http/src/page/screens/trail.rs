use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tower_api_keys::{
    KeyId,
    audit::{Action, Subject},
    manage::{AuditEntry, AuditQuery, ExportFormat, Names},
    record::ActorId,
    usage::Source,
};

use super::all::owner;
use crate::{
    answer::export,
    page::{
        answer::{Reply, Screen, Stop},
        request::Call,
        times::When,
        views::{Person, owner_name, plain},
        words::Words,
    },
};

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Serialize)]
struct TrailView {
    key: String,
    owner: String,
    actor: String,
    action: String,
    source: String,
    from: String,
    until: String,
    order: String,
    attempts: bool,
    lines: Vec<Line>,
    unreadable: u64,
    names_missing: bool,
    more: Option<String>,
    csv: String,
}

/// One change, or one attempt.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) at: When,
    pub(super) by: Person,
    /// The owner of the key that acted.
    pub(super) behalf: Option<String>,
    pub(super) action: String,
    pub(super) key: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) source: Option<String>,
}

/// Who did what, with filters.
pub(in crate::page) async fn show(call: &Call) -> Result<Reply, Stop> {
    let fields = &call.fields;
    let query = match fields.parsed::<i64>("after")? {
        Some(after) => query(call)?.after(after),
        None => query(call)?,
    };
    let page = call.manager.events(query, &call.actor).await?;
    let more = page.next.map(|next| {
        let query = fields.clone().set("after", &next.to_string()).query();
        call.at(&format!("/trail{query}"))
    });
    let text = |name| fields.echo(name);
    let view = TrailView {
        key: text("key"),
        owner: text("owner"),
        actor: text("actor"),
        action: text("action"),
        source: text("source"),
        from: text("from"),
        until: text("until"),
        order: text("order"),
        attempts: fields.is("attempts", "1"),
        lines: lines(call, &page.entries, &page.names),
        unreadable: page.unreadable,
        names_missing: !page.names.is_complete(),
        more,
        csv: call.at(&format!("/trail.csv{}", fields.clone().unset("after").query())),
    };
    Ok(Screen::new("trail.html", call.say("trail.title"), &view).into())
}

/// The same as a table for a spreadsheet.
pub(in crate::page) async fn file(call: &Call) -> Result<Reply, Stop> {
    let pieces = call.manager.trail_pieces(query(call)?, ExportFormat::Csv, &call.actor);
    Ok(Reply::Other(export("api-keys-trail", ExportFormat::Csv, pieces).await?))
}

fn query(call: &Call) -> Result<AuditQuery, Stop> {
    let fields = &call.fields;
    let mut query = AuditQuery::all();
    if let Some(key) = fields.parsed::<KeyId>("key")? {
        query = query.of_key(key);
    }
    if let Some(first) = fields.parsed::<KeyId>("lineage")? {
        query = query.of_lineage(first);
    }
    if let Some(owner) = owner(call)? {
        query = query.of(owner);
    }
    if let Some(actor) = fields.parsed::<ActorId>("actor")? {
        query = query.by(actor);
    }
    if let Some(action) = fields.some("action") {
        query = query.action(Action::from(action));
    }
    if let Some(source) = fields.some("source") {
        query = query.source(source_of(source)?);
    }
    if let Some(from) = fields.day("from")? {
        query = query.from(from);
    }
    if let Some(until) = fields.day("until")? {
        // That day is included.
        query = query.until(until.saturating_add(DAY));
    }
    if fields.is("order", "oldest") {
        query = query.oldest_first();
    }
    Ok(if fields.is("attempts", "1") { query.attempts() } else { query })
}

/// A source as it is shown: `api/curl` is the label of a layer and a client, `api` only a label.
fn source_of(text: &str) -> Result<Source, Stop> {
    let wrong = |_| Stop::Malformed("source");
    match text.split_once('/') {
        None => Source::new(text).map_err(wrong),
        Some(("", client)) => Source::default().with_client(client).map_err(wrong),
        Some((label, client)) => match client.split_once('@') {
            None => Source::new(label).and_then(|source| source.with_client(client)).map_err(wrong),
            Some((client, network)) => {
                let source = Source::new(label).and_then(|source| source.with_client(client));
                source.and_then(|source| source.with_network(network)).map_err(wrong)
            }
        },
    }
}

/// The lines of these events.
pub(super) fn lines(call: &Call, entries: &[AuditEntry], names: &Names) -> Vec<Line> {
    let words = call.site.words();
    let line = |entry: &AuditEntry| {
        let event = &entry.event;
        let (key, owner) = match &event.subject {
            Subject::Key(id, owner) => (Some(id.to_string()), Some(owner_name(owner, names))),
            Subject::Owner(owner) => (None, Some(owner_name(owner, names))),
            _ => (None, None),
        };
        Line {
            at: When::minute(event.at, words),
            by: Person::of(call, &event.actor, names),
            behalf: entry.on_behalf_of.as_ref().map(|owner| owner_name(owner, names)),
            action: plain(event.action.as_str()),
            key,
            owner,
            before: event.before.as_deref().map(|text| told(text, words)),
            after: event.after.as_deref().map(|text| told(text, words)),
            source: event.source.clone(),
        }
    };
    entries.iter().map(line).collect()
}

/// A change in a row is a text, or an object as text.
fn told(text: &str, words: &Words) -> String {
    let Ok(Value::Object(told)) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let says_something = |told: &Value| match told {
        Value::Null | Value::Bool(false) => false,
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    let pairs = told.iter().filter(|(_, told)| says_something(told));
    pairs.map(|(name, told)| format!("{}: {}", plain(name), value(name, told, words))).collect::<Vec<_>>().join(", ")
}

/// A value for people: times as the page shows times, and labels as its filters take them.
fn value(name: &str, value: &Value, words: &Words) -> String {
    match value {
        Value::String(text) => match text.parse() {
            Ok(at) if name.ends_with("_at") => words.minute(at),
            _ => text.clone(),
        },
        Value::Object(labels) => {
            let label = |(name, text): (&String, &Value)| format!("{name}={}", self::value(name, text, words));
            labels.iter().map(label).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_as_people_write() {
        let words = Words::english();
        let told = |text: &str| told(text, &words);
        assert_eq!(told("Monday cron"), "Monday cron");
        assert_eq!(
            told(r#"{"name":"a","labels":{"ticket":"OPS-1"},"scopes":"*"}"#),
            "Labels: ticket=OPS-1, Name: a, Scopes: *"
        );
        assert_eq!(told(r#"{"expires_at":"2027-03-01T02:48:29.758Z"}"#), "Expires at: 1 Mar 2027, 02:48 UTC");
        // A name is what somebody chose.
        assert_eq!(told(r#"{"name":"2027-03-01T02:48:29Z"}"#), "Name: 2027-03-01T02:48:29Z");
        assert_eq!(told(r#"{"labels":{},"name":"","responsible":null}"#), "Name: ");
    }
}
