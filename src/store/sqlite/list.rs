use std::collections::BTreeSet;

use rusqlite::{Connection, Row, ToSql, functions::FunctionFlags, types::Type};
use serde_json::json;

use super::{
    failure::Failure,
    key_rows::{FOUND_COLUMNS, found_key, status},
    list_sql::{
        LIST_ALL, LIST_OF_CREATED_VIA_KEY, LIST_OF_CREATOR, LIST_OF_KEYS, LIST_OF_KIND, LIST_OF_LINEAGE, LIST_OF_OWNER,
        LIST_OF_OWNERS, LIST_OF_PREDECESSOR,
    },
};
use crate::{
    owner::KeyKind,
    record::{NamePart, has_part},
    store::{KeyOrder, KeyQuery, ListedKey, Liveness, Page, SuccessorRow},
    time::Timestamp,
    usage::UsageTotals,
};

/// Adds the function that lists call: whether a name has a part, which is given in small letters.
pub(super) fn add_functions(connection: &Connection) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("api_key_name_has", 2, flags, |arguments| {
        Ok(has_part(&arguments.get::<Box<str>>(0)?, &arguments.get::<Box<str>>(1)?))
    })
}

/// The statement for the condition that leaves the fewest keys, in the order of the query.
fn statement(query: &KeyQuery, owners: usize) -> &'static str {
    let [oldest_first, newest_first, soonest_end_first] = match query {
        KeyQuery { keys, .. } if !keys.is_empty() => LIST_OF_KEYS,
        KeyQuery { predecessor: Some(_), .. } => LIST_OF_PREDECESSOR,
        KeyQuery { lineage: Some(_), .. } => LIST_OF_LINEAGE,
        KeyQuery { created_via_key: Some(_), .. } => LIST_OF_CREATED_VIA_KEY,
        _ if owners == 1 => LIST_OF_OWNER,
        _ if owners > 1 => LIST_OF_OWNERS,
        KeyQuery { creator: Some(_), .. } => LIST_OF_CREATOR,
        KeyQuery { kind: Some(_), .. } => LIST_OF_KIND,
        _ => LIST_ALL,
    };
    match query.order {
        KeyOrder::NewestFirst => newest_first,
        KeyOrder::OldestFirst => oldest_first,
        KeyOrder::SoonestEndFirst => soonest_end_first,
    }
}

pub(super) fn list(connection: &Connection, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, Failure> {
    let owners = query.wanted_owners();
    if owners.as_ref().is_some_and(BTreeSet::is_empty) {
        return Ok(page(Vec::new(), query.limit));
    }
    let named: Option<Vec<_>> = owners.map(|owners| owners.iter().map(|of| (of.kind().as_str(), of.id())).collect());
    let first = named.as_ref().and_then(|owners| owners.first());
    let (from, until) = (query.from(), query.until());
    let parameters: [(&str, &dyn ToSql); 23] = [
        (":organization", &query.organization.as_str()),
        (":keys", &(!query.keys.is_empty()).then(|| json!(query.keys).to_string())),
        (":kind", &query.kind.map(KeyKind::as_str)),
        (":owner_kind", &first.map(|(kind, _)| *kind)),
        (":owner", &first.map(|(_, owner)| *owner)),
        (":owners", &named.as_ref().map(|owners| json!(owners).to_string())),
        (":named_like", &query.named_like.as_ref().map(NamePart::as_str)),
        (":creator", &query.creator.as_ref().map(ToString::to_string)),
        (":created_via_key", &query.created_via_key.as_ref().map(|creator| creator.as_str())),
        (":predecessor", &query.predecessor.as_ref().map(|predecessor| predecessor.as_str())),
        (":lineage", &query.lineage.as_ref().map(|first| first.as_str())),
        (":live", &query.liveness.map(|liveness| liveness == Liveness::Live)),
        (":unused_since", &query.unused_since.map(Timestamp::as_millis)),
        (":created_since", &query.created_since.map(Timestamp::as_millis)),
        (":created_before", &query.created_before.map(Timestamp::as_millis)),
        (":expires_before", &query.expires_before.map(Timestamp::as_millis)),
        (":now", &now.as_millis()),
        (":from", &from.0),
        (":from_id", &from.1),
        (":until", &until.0),
        (":until_id", &until.1),
        (":with_usage", &query.with_usage),
        (":limit", &one_more(query.limit)),
    ];
    let mut statement = connection.prepare_cached(statement(query, named.as_ref().map_or(0, Vec::len)))?;
    for (name, value) in parameters {
        // Each statement has only some of them.
        if let Some(place) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(place, value)?;
        }
    }
    let rows = statement.raw_query().mapped(listed_key).collect::<Result<_, _>>()?;
    Ok(page(rows, query.limit))
}

fn listed_key(row: &Row<'_>) -> Result<ListedKey, rusqlite::Error> {
    let found = found_key(row)?;
    Ok(ListedKey {
        key: found.key,
        owner: found.owner,
        organization: found.organization,
        creator: status(row, FOUND_COLUMNS)?,
        usage: totals(row, FOUND_COLUMNS + 3)?,
        successor: successor(row, FOUND_COLUMNS + 4)?,
        predecessor_is_live: row.get(FOUND_COLUMNS + 9)?,
    })
}

/// The sums in this column: a list of four numbers, some of which may be null. None if the query does not want them.
fn totals(row: &Row<'_>, place: usize) -> Result<Option<UsageTotals>, rusqlite::Error> {
    let Some(sums) = row.get_ref(place)?.as_str_or_null()? else { return Ok(None) };
    let numbers = serde_json::from_str::<[Option<i64>; 4]>(sums);
    let numbers =
        numbers.map_err(|error| rusqlite::Error::FromSqlConversionFailure(place, Type::Text, error.into()))?;
    let [successes, last_success_at, failures, last_failure_at] = numbers;
    let time = |millis: Option<i64>| millis.and_then(|millis| Timestamp::from_millis(millis).ok());
    Ok(Some(UsageTotals {
        successes: successes.unwrap_or(0),
        last_success_at: time(last_success_at),
        failures: failures.unwrap_or(0),
        last_failure_at: time(last_failure_at),
    }))
}

/// The five columns of a successor, the first one at this place; none if they are null.
fn successor(row: &Row<'_>, place: usize) -> Result<Option<SuccessorRow>, rusqlite::Error> {
    let Some(id) = row.get(place)? else { return Ok(None) };
    Ok(Some(SuccessorRow {
        id,
        kind: row.get(place + 1)?,
        owner: row.get(place + 2)?,
        created_by: row.get(place + 3)?,
        created_via_key: row.get(place + 4)?,
    }))
}

/// How many rows to read to know whether there are more.
pub(super) fn one_more(limit: u16) -> i64 {
    i64::from(limit) + 1
}

pub(super) fn page<T>(mut rows: Vec<T>, limit: u16) -> Page<T> {
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    Page { rows, more }
}
