use std::collections::BTreeSet;

use tokio_postgres::{Row, types::ToSql};

use super::{
    failure::Failure,
    key_rows::{FOUND_COLUMNS, column, found_key, key_row, status, time},
    session::Sessions,
    sql::{Query, Sql},
    time::IsTime,
};
use crate::{
    key::KeyId,
    owner::KeyKind,
    record::{KeyRow, NamePart},
    store::{EndingQuery, KeyOrder, KeyQuery, ListedKey, Liveness, SuccessorRow},
    time::Timestamp,
    usage::UsageTotals,
};

/// The statement for the condition that leaves the fewest keys, in the order of the query.
fn statement<'a>(sql: &'a Sql, query: &KeyQuery, owners: usize) -> &'a Query {
    let [oldest_first, newest_first, soonest_end_first] = match query {
        KeyQuery { keys, .. } if !keys.is_empty() => [&sql.list_of_keys, &sql.latest_of_keys, &sql.soonest_of_keys],
        KeyQuery { predecessor: Some(_), .. } => {
            [&sql.list_of_predecessor, &sql.latest_of_predecessor, &sql.soonest_of_predecessor]
        }
        KeyQuery { lineage: Some(_), .. } => [&sql.list_of_lineage, &sql.latest_of_lineage, &sql.soonest_of_lineage],
        KeyQuery { created_via_key: Some(_), .. } => {
            [&sql.list_of_created_via_key, &sql.latest_of_created_via_key, &sql.soonest_of_created_via_key]
        }
        _ if owners == 1 => [&sql.list_of_owner, &sql.latest_of_owner, &sql.soonest_of_owner],
        _ if owners > 1 => [&sql.list_of_owners, &sql.latest_of_owners, &sql.soonest_of_owners],
        KeyQuery { creator: Some(_), .. } => [&sql.list_of_creator, &sql.latest_of_creator, &sql.soonest_of_creator],
        KeyQuery { kind: Some(_), .. } => [&sql.list_of_kind, &sql.latest_of_kind, &sql.soonest_of_kind],
        _ => [&sql.list, &sql.latest, &sql.soonest],
    };
    match query.order {
        KeyOrder::NewestFirst => newest_first,
        KeyOrder::OldestFirst => oldest_first,
        KeyOrder::SoonestEndFirst => soonest_end_first,
    }
}

/// Reads one more row than the limit, to know whether more follow.
pub(super) async fn list(
    sessions: &Sessions,
    sql: &Sql,
    query: &KeyQuery,
    now: Timestamp,
) -> Result<Vec<ListedKey>, Failure> {
    let owners = query.wanted_owners();
    if owners.as_ref().is_some_and(BTreeSet::is_empty) {
        return Ok(Vec::new());
    }
    let statement = statement(sql, query, owners.as_ref().map_or(0, BTreeSet::len));
    let (kinds, owners): (Option<Vec<_>>, Option<Vec<_>>) =
        owners.map(|owners| owners.iter().map(|of| (of.kind().as_str(), of.id())).unzip()).unzip();
    let (capitals, letters) = query.named_like.as_ref().map(NamePart::capitals).unzip();
    let (from, until) = (query.from(), query.until());
    let params: [&(dyn ToSql + Sync); 24] = [
        &query.organization.as_str(),
        &query.kind.map(KeyKind::as_str),
        &query.keys.iter().map(KeyId::as_str).collect::<Vec<_>>(),
        &query.creator.as_ref().map(ToString::to_string),
        &query.created_via_key.as_ref().map(KeyId::as_str),
        &query.liveness.map(|liveness| liveness == Liveness::Live),
        &query.unused_since.map(Timestamp::as_millis).written(),
        &from.0.written(),
        &from.1,
        &now.as_millis().written(),
        &(i64::from(query.limit) + 1),
        &query.predecessor.as_ref().map(KeyId::as_str),
        &until.0.written(),
        &until.1,
        &kinds,
        &owners,
        &query.named_like.as_ref().map(NamePart::as_str),
        &capitals,
        &letters,
        &query.with_usage,
        &query.created_since.map(Timestamp::as_millis).written(),
        &query.created_before.map(Timestamp::as_millis).written(),
        &query.expires_before.map(Timestamp::as_millis).written(),
        &query.lineage.as_ref().map(KeyId::as_str),
    ];
    let rows = sessions.rows(statement, &params).await?;
    rows.iter().map(|row| listed_key(row, query.with_usage)).collect()
}

/// Keys whose end has to be announced.
pub(super) async fn ending(sessions: &Sessions, sql: &Sql, query: &EndingQuery) -> Result<Vec<KeyRow>, Failure> {
    let after = query.after.map_or(i64::MIN, Timestamp::as_millis);
    let params: [&(dyn ToSql + Sync); 4] =
        [&after.written(), &query.until.as_millis().written(), &query.before_ms, &i64::from(query.limit)];
    sessions.rows(&sql.ending, &params).await?.iter().map(key_row).collect()
}

fn listed_key(row: &Row, with_usage: bool) -> Result<ListedKey, Failure> {
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
        usage: with_usage.then_some(usage),
        successor: successor(row, FOUND_COLUMNS + 7)?,
        predecessor_is_live: column(row, FOUND_COLUMNS + 12)?,
    })
}

/// The five columns of a successor, the first one at this place; none if they are null.
fn successor(row: &Row, place: usize) -> Result<Option<SuccessorRow>, Failure> {
    let Some(id) = column(row, place)? else { return Ok(None) };
    Ok(Some(SuccessorRow {
        id,
        kind: column(row, place + 1)?,
        owner: column(row, place + 2)?,
        created_by: column(row, place + 3)?,
        created_via_key: column(row, place + 4)?,
    }))
}
