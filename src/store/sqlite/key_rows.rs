use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::failure::Failure;
use crate::{
    key::KeyId,
    record::{KeyRow, OwnerStatusRow, key_columns, with_key_columns},
    store::{EndingQuery, FoundKey, RehashedKey},
    time::Timestamp,
};

/// As many parameters as a key has columns.
macro_rules! key_parameters {
    () => { with_key_columns!(key_parameters) };
    ($_:ident: $__:ident, $($name:ident: $___:ident),+) => { concat!("?", $(key_parameters!(@ $name)),+) };
    (@ $name:ident) => { ", ?" };
}

/// The columns of a key `k` and of the statuses of its owner `o` and its organization `g`, as [`found_key`] reads them.
macro_rules! found_columns {
    () => { $crate::record::with_key_columns!(found_columns) };
    ($first:ident: $_:ident, $($name:ident: $__:ident),+) => {
        concat!("k.", stringify!($first), $(", k.", stringify!($name)),+,
            ", o.suspended_at, o.plan_suspended_at, o.closed_at, g.suspended_at, g.plan_suspended_at, g.closed_at")
    };
}

/// Keys `k`, read by this index if one is named, with their owners `o`.
macro_rules! keys_and_owners {
    ($($indexed_by:literal)?) => {
        concat!(" from api_keys k ", $("indexed by ", $indexed_by,)? owner_and_organization!())
    };
}

/// The owner `o` and the organization `g` of a key `k`.
macro_rules! owner_and_organization {
    () => {
        " left join api_key_owners o on o.organization = k.organization and o.kind = k.kind and o.id = k.owner \
         left join api_key_owners g on g.organization = k.organization and g.kind = 'organization' and g.id = '' "
    };
}

pub(super) use {found_columns, keys_and_owners, owner_and_organization};

const FIND: &str = concat!("select ", found_columns!(), keys_and_owners!(), "where k.id = ?1");

pub(super) fn find(connection: &Connection, id: &KeyId) -> Result<Option<FoundKey>, Failure> {
    Ok(connection.prepare_cached(FIND)?.query_row([id.as_str()], found_key).optional()?)
}

/// By the index of keys whose end is not fully announced; the condition has to be word for word that of the index.
pub(super) const ENDING: &str = concat!(
    "select ",
    key_columns!(),
    " from api_keys indexed by api_keys_by_untold_end where revoked_at is null and expires_at is not null \
        and (warned_end is not expires_at or warned_before_ms is not 0) \
        and expires_at > ?1 and expires_at <= ?2 \
        and (warned_end is not expires_at or warned_before_ms is null or warned_before_ms > ?3) \
     order by expires_at, id limit ?4"
);

pub(super) fn ending(connection: &Connection, query: &EndingQuery) -> Result<Vec<KeyRow>, Failure> {
    let EndingQuery { after, until, before_ms, limit } = query;
    let after = after.map_or(i64::MIN, Timestamp::as_millis);
    let mut statement = connection.prepare_cached(ENDING)?;
    let rows = statement.query_map(params![after, until.as_millis(), before_ms, limit], key_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

macro_rules! read_and_write {
    ($($name:ident: $_:ident),+) => {
        const KEY_COLUMNS: usize = [$(stringify!($name)),+].len();

        /// Reads the columns of a key, which come first.
        pub(super) fn key_row(row: &Row<'_>) -> Result<KeyRow, rusqlite::Error> {
            let mut places = 0..;
            let mut next = || places.next().unwrap_or_default();
            Ok(KeyRow { $($name: row.get(next())?),+ })
        }

        fn execute(statement: &mut Statement<'_>, row: &KeyRow) -> Result<usize, rusqlite::Error> {
            statement.execute(params![$(row.$name),+])
        }
    };
}

with_key_columns!(read_and_write);

/// How many columns [`found_key`] reads; the caller reads those after them.
pub(super) const FOUND_COLUMNS: usize = KEY_COLUMNS + 6;

pub(super) fn found_key(row: &Row<'_>) -> Result<FoundKey, rusqlite::Error> {
    Ok(FoundKey { key: key_row(row)?, owner: status(row, KEY_COLUMNS)?, organization: status(row, KEY_COLUMNS + 3)? })
}

/// The three columns of a status; the first one is at this place.
pub(super) fn status(row: &Row<'_>, place: usize) -> Result<OwnerStatusRow, rusqlite::Error> {
    Ok(OwnerStatusRow {
        suspended_at: row.get(place)?,
        plan_suspended_at: row.get(place + 1)?,
        closed_at: row.get(place + 2)?,
    })
}

/// No key is inserted under the id of a purged key.
const INSERT: &str = concat!(
    "insert into api_keys (",
    key_columns!(),
    ") select ",
    key_parameters!(),
    " where not exists (select 1 from api_key_tombstones where id = ?2) on conflict (id) do nothing"
);

/// Inserts a key. Returns whether its id was free.
pub(super) fn insert(connection: &Connection, row: &KeyRow) -> Result<bool, rusqlite::Error> {
    Ok(execute(&mut *connection.prepare_cached(INSERT)?, row)? > 0)
}

const REHASH: &str = "\
    update api_keys set hash = ?3, tag = ?4, pepper_id = ?5, proof = ?6, rehashes = rehashes + 1 \
    where id = ?1 and hash = ?2 and revoked_at is null";

pub(super) fn rehash(connection: &Connection, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, Failure> {
    let RehashedKey { hash, tag, pepper_id, proof } = new;
    let row = params![id.as_str(), old, hash, tag, pepper_id, proof];
    Ok(connection.prepare_cached(REHASH)?.execute(row)? > 0)
}
