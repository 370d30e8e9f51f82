use rusqlite::{Connection, Params, Row, params};

use super::{
    event_rows::event_row,
    failure::Failure,
    key_rows::{key_row, status},
};
use crate::{
    record::key_columns,
    store::transfer::{Batch, Cursor, MetaRow, OwnerRow, Page, Tombstone},
    usage::{UsageDayRow, UsageRow},
};

/// Rows of a table after a place, in the order of its primary key. Only `>=` makes SQLite begin at the place. So a
/// condition on each row decides about the row at the place itself, which is wanted only if the place is the beginning.
macro_rules! rows_after {
    ($columns:expr, $table:literal, $key:literal, $cursor:literal, $flag:literal, $limit:literal) => {
        concat!(
            "select ",
            $columns,
            " from ",
            $table,
            " where (",
            $key,
            ") >= (",
            $cursor,
            ") \
             and (",
            $flag,
            " or (",
            $key,
            ") <> (",
            $cursor,
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
pub(super) const TOMBSTONES: &str = rows_after!(
    "id, organization, lineage, created_via_key, revoked_at, expires_at",
    "api_key_tombstones",
    "id",
    "?1",
    "?2",
    "?3"
);
pub(super) const USAGE: &str = rows_after!(
    "key_id, organization, outcome, label, client, network, count, first_at, last_at",
    "api_key_usage",
    "key_id, organization, outcome, label, client, network",
    "?1, ?2, ?3, ?4, ?5, ?6",
    "?7",
    "?8"
);
pub(super) const USAGE_DAYS: &str =
    rows_after!("key_id, day, accepted, refused", "api_key_usage_days", "key_id, day", "?1, ?2", "?3", "?4");
pub(super) const EVENTS: &str = rows_after!(
    "sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience",
    "api_key_events",
    "sequence",
    "?1",
    "?2",
    "?3"
);

pub(super) fn export(connection: &Connection, from: &Cursor, limit: u16) -> Result<Page, Failure> {
    let most = limit.max(1);
    let rows = match from {
        Cursor::Meta(after) => {
            let (cursor, first) = text(after);
            Batch::Meta(read(connection, META, params![cursor, first, most], meta_row)?)
        }
        Cursor::Owners(after) => {
            let ([organization, kind, id], first) = words(after);
            Batch::Owners(read(connection, OWNERS, params![organization, kind, id, first, most], owner_row)?)
        }
        Cursor::Keys(after) => {
            let (cursor, first) = text(after);
            Batch::Keys(read(connection, KEYS, params![cursor, first, most], key_row)?)
        }
        Cursor::Tombstones(after) => {
            let (cursor, first) = text(after);
            Batch::Tombstones(read(connection, TOMBSTONES, params![cursor, first, most], tombstone)?)
        }
        Cursor::Usage(after) => {
            let [key, organization, outcome, label, client, network] =
                after.as_ref().map_or([""; 6], |after| after.each_ref().map(|word| &**word));
            let cursor = params![key, organization, outcome, label, client, network, after.is_none(), most];
            Batch::Usage(read(connection, USAGE, cursor, usage_row)?)
        }
        Cursor::UsageDays(after) => {
            let (key, day) = after.as_ref().map_or(("", i32::MIN), |(key, day)| (key, *day));
            Batch::UsageDays(read(connection, USAGE_DAYS, params![key, day, after.is_none(), most], day_row)?)
        }
        Cursor::Events(after) => {
            let cursor = params![after.unwrap_or(i64::MIN), after.is_none(), most];
            Batch::Events(read(connection, EVENTS, cursor, event_row)?)
        }
    };
    Ok(Page::of(rows, limit))
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
        expires_at: row.get(5)?,
    })
}

pub(super) fn usage_row(row: &Row<'_>) -> Result<UsageRow, rusqlite::Error> {
    let [key, organization] = [row.get(0)?, row.get(1)?].map(|word: String| (!word.is_empty()).then_some(word));
    Ok(UsageRow {
        key,
        organization,
        outcome: row.get(2)?,
        label: row.get(3)?,
        client: row.get(4)?,
        network: row.get(5)?,
        count: row.get(6)?,
        first_at: row.get(7)?,
        last_at: row.get(8)?,
    })
}

pub(super) fn day_row(row: &Row<'_>) -> Result<UsageDayRow, rusqlite::Error> {
    Ok(UsageDayRow { key: row.get(0)?, day: row.get(1)?, accepted: row.get(2)?, refused: row.get(3)? })
}
