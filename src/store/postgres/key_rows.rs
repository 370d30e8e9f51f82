use std::collections::BTreeMap;

use tokio_postgres::{
    Row,
    types::{Json, ToSql, Type},
};

use super::{failure::Failure, time::IsTime};
use crate::{
    record::{KeyRow, OwnerStatusRow, with_key_columns},
    store::FoundKey,
};

/// A column of a row; corrupt if it holds a value that this crate never writes.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, Failure> {
    row.try_get(place).map_err(|error| Failure::Corrupt(error.into()))
}

/// A column with a time, or with none if that is allowed.
pub(super) fn time<T: IsTime>(row: &Row, place: usize) -> Result<T, Failure> {
    Ok(T::read(column(row, place)?))
}

/// The columns of a key in a table `k`, as [`key_row`] reads them.
macro_rules! read_key_columns {
    () => { $crate::record::with_key_columns!(read_key_columns) };
    ($first:ident: $_:ident, $($name:ident: $kind:ident),+) => {
        concat!("k.", stringify!($first), $(", ", read_key_columns!(@$kind $name)),+)
    };
    (@Words $name:ident) => { concat!("pg_catalog.array_to_string(k.", stringify!($name), ", ' ')") };
    (@$_:ident $name:ident) => { concat!("k.", stringify!($name)) };
}

/// The same columns from rows `k` of parameters, converted to the types of the table.
macro_rules! given_key_columns {
    () => { $crate::record::with_key_columns!(given_key_columns) };
    ($first:ident: $_:ident, $($name:ident: $kind:ident),+) => {
        concat!("k.", stringify!($first), $(", ", given_key_columns!(@$kind $name)),+)
    };
    (@Words $name:ident) => { concat!("pg_catalog.string_to_array(k.", stringify!($name), ", ' ')") };
    (@Json $name:ident) => { concat!("k.", stringify!($name), "::pg_catalog.jsonb") };
    (@$_:ident $name:ident) => { concat!("k.", stringify!($name)) };
}

pub(super) use {given_key_columns, read_key_columns};

macro_rules! read_and_write {
    ($($name:ident: $kind:ident),+) => {
        const KEY_COLUMNS: usize = [$(stringify!($name)),+].len();

        /// The types of the parameters for keys: an array for each column.
        pub(super) const KEYS: &[Type] = &[$(read_and_write!(@type $kind)),+];

        /// Reads the columns of a key, which come first.
        pub(super) fn key_row(row: &Row) -> Result<KeyRow, Failure> {
            let mut places = 0..;
            let mut next = || places.next().unwrap_or_default();
            Ok(KeyRow { $($name: read_and_write!(@read $kind row, next())),+ })
        }

        pub(super) fn key_parameters(rows: &[KeyRow]) -> [Box<dyn ToSql + Sync + Send + '_>; KEY_COLUMNS] {
            [$(Box::new(rows.iter().map(|row| read_and_write!(@write $kind row.$name)).collect::<Vec<_>>())),+]
        }
    };
    (@type Bytes) => { Type::BYTEA_ARRAY };
    (@type Number) => { Type::INT8_ARRAY };
    (@type Tag) => { Type::BYTEA_ARRAY };
    (@type Time) => { Type::TIMESTAMPTZ_ARRAY };
    (@type $_:ident) => { Type::TEXT_ARRAY };
    (@read Json $row:ident, $place:expr) => { labels(column($row, $place)?)? };
    (@read Tag $row:ident, $place:expr) => { tag(column($row, $place)?)? };
    (@read Time $row:ident, $place:expr) => { time($row, $place)? };
    (@read $_:ident $row:ident, $place:expr) => { column($row, $place)? };
    (@write Tag $value:expr) => { $value.as_slice() };
    (@write Time $value:expr) => { $value.written() };
    (@write $_:ident $value:expr) => { &$value };
}

with_key_columns!(read_and_write);

/// How many columns [`found_key`] reads; the caller reads those after them.
pub(super) const FOUND_COLUMNS: usize = KEY_COLUMNS + 6;

pub(super) fn found_key(row: &Row) -> Result<FoundKey, Failure> {
    Ok(FoundKey { key: key_row(row)?, owner: status(row, KEY_COLUMNS)?, organization: status(row, KEY_COLUMNS + 3)? })
}

fn tag(bytes: &[u8]) -> Result<[u8; 4], Failure> {
    bytes.try_into().map_err(|_| Failure::Corrupt("a tag has 4 bytes".into()))
}

/// A JSON object in the form of a row: the server's form differs.
fn labels(Json(labels): Json<BTreeMap<String, String>>) -> Result<String, Failure> {
    serde_json::to_string(&labels).map_err(|error| Failure::Corrupt(error.into()))
}

/// The three columns of an owner's status; the first one is at this place.
pub(super) fn status(row: &Row, place: usize) -> Result<OwnerStatusRow, Failure> {
    Ok(OwnerStatusRow {
        suspended_at: time(row, place)?,
        plan_suspended_at: time(row, place + 1)?,
        closed_at: time(row, place + 2)?,
    })
}
