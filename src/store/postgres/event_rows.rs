use tokio_postgres::{Row, types::ToSql};

use super::{
    failure::Failure,
    key_rows::{column, time},
    session::{Session, Sessions},
    sql::Sql,
    time::IsTime,
};
use crate::{audit::EventRow, store::EventQuery, time::Timestamp};

/// Writes events, in this order, in the caller's transaction. The caller holds the lock of the change log, so that
/// numbers are in commit order.
pub(super) async fn insert_events(session: &Session<'_>, sql: &Sql, events: &[&EventRow]) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let text = |of: fn(&EventRow) -> &str| events.iter().map(|event| of(event)).collect::<Vec<_>>();
    let optional =
        |of: fn(&EventRow) -> &Option<String>| events.iter().map(|event| of(event).as_deref()).collect::<Vec<_>>();
    let at: Vec<_> = events.iter().map(|event| event.at.written()).collect();
    session
        .execute(
            &sql.insert_events,
            &[
                &text(|event| &event.organization),
                &at,
                &text(|event| &event.actor),
                &text(|event| &event.action),
                &optional(|event| &event.key),
                &text(|event| &event.owner_kind),
                &text(|event| &event.owner),
                &optional(|event| &event.before),
                &optional(|event| &event.after),
                &optional(|event| &event.source),
                &text(|event| &event.audience),
            ],
        )
        .await?;
    Ok(())
}

/// Reads events with the statement whose index leaves the fewest.
pub(super) async fn events(sessions: &Sessions, sql: &Sql, query: &EventQuery) -> Result<Vec<EventRow>, Failure> {
    let (oldest_first, newest_first) = match query {
        EventQuery { key: Some(_), .. } => (&sql.events_of_key, &sql.latest_events_of_key),
        EventQuery { owner: Some(_), .. } => (&sql.events_of_owner, &sql.latest_events_of_owner),
        EventQuery { actor: Some(_), .. } => (&sql.events_of_actor, &sql.latest_events_of_actor),
        _ => (&sql.events, &sql.latest_events),
    };
    let (statement, beginning) = if query.newest_first { (newest_first, i64::MAX) } else { (oldest_first, i64::MIN) };
    let params: [&(dyn ToSql + Sync); 12] = [
        &query.organization.as_str(),
        &query.after.unwrap_or(beginning),
        &query.key.as_ref().map(|key| key.as_str()),
        &query.owner.as_ref().map(|owner| owner.kind().as_str()),
        &query.owner.as_ref().map(|owner| owner.id()),
        &query.actor.as_ref().map(ToString::to_string),
        &query.action,
        &query.source,
        &query.from.map(Timestamp::as_millis).written(),
        &query.until.map(Timestamp::as_millis).written(),
        &(i64::from(query.limit) + 1),
        &query.attempts,
    ];
    sessions.rows(statement, &params).await?.iter().map(event_row).collect()
}

/// Numbers are in commit order, because each transaction that gives one holds the lock of the change log.
pub(super) async fn feed(
    sessions: &Sessions,
    sql: &Sql,
    after: Option<i64>,
    limit: u16,
) -> Result<Vec<EventRow>, Failure> {
    let params: [&(dyn ToSql + Sync); 2] = [&after.unwrap_or(i64::MIN), &(i64::from(limit) + 1)];
    sessions.rows(&sql.feed, &params).await?.iter().map(event_row).collect()
}

pub(super) fn event_row(row: &Row) -> Result<EventRow, Failure> {
    Ok(EventRow {
        sequence: column(row, 0)?,
        organization: column(row, 1)?,
        at: time(row, 2)?,
        actor: column(row, 3)?,
        action: column(row, 4)?,
        key: column(row, 5)?,
        owner_kind: column(row, 6)?,
        owner: column(row, 7)?,
        before: column(row, 8)?,
        after: column(row, 9)?,
        source: column(row, 10)?,
        audience: column(row, 11)?,
    })
}
