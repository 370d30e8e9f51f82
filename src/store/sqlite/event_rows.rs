use rusqlite::{Connection, Row, named_params, params};

use super::{
    failure::Failure,
    list::{one_more, page},
    transaction::{begin, commit},
};
use crate::{
    audit::EventRow,
    store::{EventQuery, Page},
    time::Timestamp,
};

const INSERT: &str = "\
    insert into api_key_events (organization, at, actor, action, key_id, owner_kind, owner, before, after, source, \
        audience) \
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Writes an event in the caller's transaction. Only one transaction writes at a time, so numbers are in commit order.
pub(super) fn insert_event(connection: &Connection, event: &EventRow) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(INSERT)?.execute(params![
        event.organization,
        event.at,
        event.actor,
        event.action,
        event.key,
        event.owner_kind,
        event.owner,
        event.before,
        event.after,
        event.source,
        event.audience,
    ])?;
    Ok(())
}

pub(super) fn append_events(connection: &mut Connection, events: &[EventRow]) -> Result<(), Failure> {
    let transaction = begin(connection)?;
    for event in events {
        insert_event(&transaction, event)?;
    }
    commit(transaction)
}

/// Events in the order of an index, which begins with the conditions given to the macro. All other conditions are
/// checked on the rows that it yields. The index is named: without statistics, SQLite uses the index of the
/// organization also for a key or an owner; with statistics, it uses no index for a small organization next to a large
/// one.
macro_rules! events {
    ($after:literal, $order:literal, $index:literal $(, $indexed:literal)*) => {
        concat!(
            "select sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience \
             from api_key_events indexed by ", $index, " where organization = :organization and is_attempt = :attempts",
            $(" and ", $indexed,)*
            " and sequence ", $after, " :after_sequence \
             and (:key is null or key_id = :key) \
             and (:kind is null or owner_kind = :kind) and (:owner is null or owner = :owner) \
             and (:actor is null or actor = :actor) and (:action is null or action = :action) \
             and (:source is null or source = :source) \
             and (:from is null or at >= :from) and (:until is null or at < :until) \
             order by sequence ", $order, " limit :limit"
        )
    };
}

/// A statement in log order, and one in reverse.
macro_rules! both_ways {
    ($index:literal $(, $indexed:literal)*) => {
        [events!(">", "asc", $index $(, $indexed)*), events!("<", "desc", $index $(, $indexed)*)]
    };
}

pub(super) const EVENTS: [&str; 2] = both_ways!("api_key_events_by_organization");
pub(super) const EVENTS_OF_KEY: [&str; 2] = both_ways!("api_key_events_by_key", "key_id = :key");
pub(super) const EVENTS_OF_OWNER: [&str; 2] =
    both_ways!("api_key_events_by_owner", "owner_kind = :kind", "owner = :owner");
pub(super) const EVENTS_OF_ACTOR: [&str; 2] = both_ways!("api_key_events_by_actor", "actor = :actor");

pub(super) fn events(connection: &Connection, query: &EventQuery) -> Result<Page<EventRow>, Failure> {
    // By the condition that leaves the fewest events.
    let [oldest_first, newest_first] = match query {
        EventQuery { key: Some(_), .. } => EVENTS_OF_KEY,
        EventQuery { owner: Some(_), .. } => EVENTS_OF_OWNER,
        EventQuery { actor: Some(_), .. } => EVENTS_OF_ACTOR,
        _ => EVENTS,
    };
    let (sql, beginning) = if query.newest_first { (newest_first, i64::MAX) } else { (oldest_first, i64::MIN) };
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(
        named_params! {
            ":organization": query.organization.as_str(),
            ":attempts": query.attempts,
            ":after_sequence": query.after.unwrap_or(beginning),
            ":key": query.key.as_ref().map(|key| key.as_str()),
            ":kind": query.owner.as_ref().map(|owner| owner.kind().as_str()),
            ":owner": query.owner.as_ref().map(|owner| owner.id()),
            ":actor": query.actor.as_ref().map(ToString::to_string),
            ":action": query.action,
            ":source": query.source,
            ":from": query.from.map(Timestamp::as_millis),
            ":until": query.until.map(Timestamp::as_millis),
            ":limit": one_more(query.limit),
        },
        event_row,
    )?;
    Ok(page(rows.collect::<Result<_, _>>()?, query.limit))
}

pub(super) const FEED: &str = "\
    select sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience \
    from api_key_events indexed by api_key_events_by_place where is_attempt = 0 and sequence > ?1 \
    order by sequence limit ?2";

pub(super) fn feed(connection: &Connection, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, Failure> {
    let mut statement = connection.prepare_cached(FEED)?;
    let rows = statement.query_map(params![after.unwrap_or(i64::MIN), one_more(limit)], event_row)?;
    Ok(page(rows.collect::<Result<_, _>>()?, limit))
}

pub(super) fn event_row(row: &Row<'_>) -> Result<EventRow, rusqlite::Error> {
    Ok(EventRow {
        sequence: row.get(0)?,
        organization: row.get(1)?,
        at: row.get(2)?,
        actor: row.get(3)?,
        action: row.get(4)?,
        key: row.get(5)?,
        owner_kind: row.get(6)?,
        owner: row.get(7)?,
        before: row.get(8)?,
        after: row.get(9)?,
        source: row.get(10)?,
        audience: row.get(11)?,
    })
}
