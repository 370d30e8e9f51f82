use tokio_postgres::{Row, types::ToSql};

use super::{
    failure::Failure,
    key_rows::{FOUND_COLUMNS, column, found_key, status, time},
    session::Sessions,
    sql::Sql,
    time::IsTime,
};
use crate::{
    store::{KeyQuery, ListedKey, Liveness},
    time::Timestamp,
    usage::UsageTotals,
};

/// By the condition that leaves fewest keys; one more than the limit, to know whether more follows.
pub(super) async fn list(
    sessions: &Sessions,
    sql: &Sql,
    query: &KeyQuery,
    now: Timestamp,
) -> Result<Vec<ListedKey>, Failure> {
    let statement = match query {
        KeyQuery { predecessor: Some(_), .. } => &sql.list_of_predecessor,
        KeyQuery { created_via_key: Some(_), .. } => &sql.list_of_created_via_key,
        KeyQuery { owner: Some(_), .. } => &sql.list_of_owner,
        KeyQuery { creator: Some(_), .. } => &sql.list_of_creator,
        _ => &sql.list,
    };
    let (after, after_id) = match &query.after {
        Some(cursor) => (cursor.created_at.as_millis(), cursor.id.as_str()),
        None => (i64::MIN, ""),
    };
    let params: [&(dyn ToSql + Sync); 13] = [
        &query.organization.as_str(),
        &query.owner.as_ref().map(|owner| owner.kind().as_str()),
        &query.owner.as_ref().map(|owner| owner.id()),
        &query.creator.as_ref().map(ToString::to_string),
        &query.created_via_key.as_ref().map(|creator| creator.as_str()),
        &query.liveness.map(|liveness| liveness == Liveness::Live),
        &query.unused_since.map(Timestamp::as_millis).written(),
        &after.written(),
        &after_id,
        &now.as_millis().written(),
        &(i64::from(query.limit) + 1),
        &query.predecessor.as_ref().map(|predecessor| predecessor.as_str()),
        &query.created_before.map_or(i64::MAX, Timestamp::as_millis).written(),
    ];
    sessions.rows(statement, &params).await?.iter().map(listed_key).collect()
}

fn listed_key(row: &Row) -> Result<ListedKey, Failure> {
    let found = found_key(row)?;
    let number = |place: usize| column::<Option<i64>>(row, FOUND_COLUMNS + place);
    let at = |place: usize| {
        let millis = time::<Option<i64>>(row, FOUND_COLUMNS + place)?;
        Ok::<_, Failure>(millis.and_then(|millis| Timestamp::from_millis(millis).ok()))
    };
    let usage = UsageTotals {
        successes: number(3)?.unwrap_or(0),
        last_success_at: at(4)?,
        failures: number(5)?.unwrap_or(0),
        last_failure_at: at(6)?,
    };
    Ok(ListedKey {
        key: found.key,
        owner: found.owner,
        organization: found.organization,
        creator: status(row, FOUND_COLUMNS)?,
        usage,
        successor: column(row, FOUND_COLUMNS + 7)?,
        predecessor_is_live: column(row, FOUND_COLUMNS + 8)?,
    })
}
