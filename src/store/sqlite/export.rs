use rusqlite::{Connection, Params, Row, params};

use super::{
    event_rows::event_row,
    failure::Failure,
    key_rows::{key_row, status},
};
use crate::{
    record::key_columns,
    store::{Exported, MetaRow, OwnerRow, Place, Rows, Tombstone},
    usage::UsageRow,
};

/// Rows of a table from a place on, in the order of its primary key. Nothing but `>=` makes SQLite begin at the place:
/// whether that row itself is wanted, which it is where the place is the beginning, is asked of each.
macro_rules! rows_after {
    ($columns:expr, $table:literal, $key:literal, $place:literal, $flag:literal, $limit:literal) => {
        concat!(
            "select ",
            $columns,
            " from ",
            $table,
            " where (",
            $key,
            ") >= (",
            $place,
            ") \
             and (",
            $flag,
            " or (",
            $key,
            ") <> (",
            $place,
            ")) order by ",
            $key,
            " limit ",
            $limit
        )
    };
}

pub(super) const META: &str = rows_after!("name, value", "api_key_meta", "name", "?1", "?2", "?3");
pub(super) const OWNERS: &str = rows_after!(
    "organization, kind, id, suspended_at, plan_suspended_at, closed_at",
    "api_key_owners",
    "organization, kind, id",
    "?1, ?2, ?3",
    "?4",
    "?5"
);
pub(super) const KEYS: &str = rows_after!(key_columns!(), "api_keys", "id", "?1", "?2", "?3");
pub(super) const TOMBSTONES: &str =
    rows_after!("id, organization, lineage, created_via_key, revoked_at", "api_key_tombstones", "id", "?1", "?2", "?3");
pub(super) const USAGE: &str = rows_after!(
    "key_id, outcome, source, count, first_at, last_at",
    "api_key_usage",
    "key_id, outcome, source",
    "?1, ?2, ?3",
    "?4",
    "?5"
);
pub(super) const EVENTS: &str = rows_after!(
    "sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience",
    "api_key_events",
    "sequence",
    "?1",
    "?2",
    "?3"
);

pub(super) fn export(connection: &Connection, from: &Place, limit: u16) -> Result<Exported, Failure> {
    let most = limit.max(1);
    let rows = match from {
        Place::Meta(after) => {
            let (place, first) = text(after);
            Rows::Meta(read(connection, META, params![place, first, most], meta_row)?)
        }
        Place::Owners(after) => {
            let ([organization, kind, id], first) = words(after);
            Rows::Owners(read(connection, OWNERS, params![organization, kind, id, first, most], owner_row)?)
        }
        Place::Keys(after) => {
            let (place, first) = text(after);
            Rows::Keys(read(connection, KEYS, params![place, first, most], key_row)?)
        }
        Place::Tombstones(after) => {
            let (place, first) = text(after);
            Rows::Tombstones(read(connection, TOMBSTONES, params![place, first, most], tombstone)?)
        }
        Place::Usage(after) => {
            let ([key, outcome, source], first) = words(after);
            Rows::Usage(read(connection, USAGE, params![key, outcome, source, first, most], usage_row)?)
        }
        Place::Events(after) => {
            let place = params![after.unwrap_or(i64::MIN), after.is_none(), most];
            Rows::Events(read(connection, EVENTS, place, event_row)?)
        }
    };
    Ok(Exported::page(rows, limit))
}

/// Nothing comes before the empty text.
fn text(after: &Option<String>) -> (&str, bool) {
    (after.as_deref().unwrap_or_default(), after.is_none())
}

fn words(after: &Option<(String, String, String)>) -> ([&str; 3], bool) {
    let words = after.as_ref().map(|(one, two, three)| [one.as_str(), two, three]);
    (words.unwrap_or_default(), words.is_none())
}

fn read<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    row: fn(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, Failure> {
    Ok(connection.prepare_cached(sql)?.query_map(params, row)?.collect::<Result<_, _>>()?)
}

pub(super) fn meta_row(row: &Row<'_>) -> Result<MetaRow, rusqlite::Error> {
    Ok(MetaRow { name: row.get(0)?, value: row.get(1)? })
}

pub(super) fn owner_row(row: &Row<'_>) -> Result<OwnerRow, rusqlite::Error> {
    Ok(OwnerRow { organization: row.get(0)?, kind: row.get(1)?, id: row.get(2)?, status: status(row, 3)? })
}

pub(super) fn tombstone(row: &Row<'_>) -> Result<Tombstone, rusqlite::Error> {
    Ok(Tombstone {
        id: row.get(0)?,
        organization: row.get(1)?,
        lineage: row.get(2)?,
        created_via_key: row.get(3)?,
        revoked_at: row.get(4)?,
    })
}

pub(super) fn usage_row(row: &Row<'_>) -> Result<UsageRow, rusqlite::Error> {
    let key: String = row.get(0)?;
    Ok(UsageRow {
        key: (!key.is_empty()).then_some(key),
        outcome: row.get(1)?,
        source: row.get(2)?,
        count: row.get(3)?,
        first_at: row.get(4)?,
        last_at: row.get(5)?,
    })
}
