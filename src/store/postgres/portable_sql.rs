//! Statements that move whole tables, as they are before the schema is put in.

use tokio_postgres::types::Type;

// `unnest` of more than one array is syntax: the server takes it for `pg_catalog.unnest`, whatever the search path.

/// Rows of a table from a place on, in the order of its primary key: an index begins at the place, and whether that row
/// itself is wanted, which it is where the place is the beginning, is asked of each.
macro_rules! rows_after {
    ($table:ident ($columns:expr) by $key:literal: $place:literal, $first:literal, $limit:literal) => {
        concat!(
            "select ",
            $columns,
            " from {s}.",
            stringify!($table),
            " where (",
            $key,
            ") {>=} (",
            $place,
            ") \
             and (",
            $first,
            " or (",
            $key,
            ") {<>} (",
            $place,
            ")) order by ",
            $key,
            " limit ",
            $limit
        )
    };
}

/// Writes rows, given as an array for each column, where none of the same primary key stands. Of an identity column the
/// number is given too.
macro_rules! import {
    ($table:ident ($columns:expr) $params:literal $($overriding:literal)?) => {
        concat!(
            "insert into {s}.", stringify!($table), " (", $columns, ") ", $($overriding,)?
            "select * from unnest(", $params, ") on conflict do nothing"
        )
    };
}

/// The first of the same rows that does not stand as it is given.
macro_rules! differing {
    ($table:ident ($columns:expr) $params:literal by $key:literal: $given:literal) => {
        concat!(
            "select ",
            $key,
            " from (select * from unnest(",
            $params,
            ") as given (",
            $columns,
            ") except select ",
            $columns,
            " from {s}.",
            stringify!($table),
            " where (",
            $key,
            ") {=} any (select * from ",
            $given,
            ")) as different order by ",
            $key,
            " limit 1"
        )
    };
}

macro_rules! meta_columns {
    () => {
        "name, value"
    };
}

macro_rules! owner_columns {
    () => {
        "organization, kind, id, suspended_at, plan_suspended_at, closed_at"
    };
}

/// In the order in which `key_row` reads them.
macro_rules! key_columns {
    () => {
        "organization, id, kind, owner, name, labels, hash, tag, pepper_id, scopes, created_by, created_via_key, \
         created_at, expires_at, revoked_at, revoked_by, replaces, version"
    };
}

macro_rules! usage_columns {
    () => {
        "key_id, outcome, source, count, first_at, last_at"
    };
}

macro_rules! event_columns {
    () => {
        "sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source"
    };
}

pub(super) const PLACE_BY_TEXT: &[Type] = &[Type::TEXT, Type::BOOL, Type::INT8];
pub(super) const PLACE_BY_WORDS: &[Type] = &[Type::TEXT, Type::TEXT, Type::TEXT, Type::BOOL, Type::INT8];
pub(super) const PLACE_BY_NUMBER: &[Type] = &[Type::INT8, Type::BOOL, Type::INT8];
pub(super) const META: &[Type] = &[Type::TEXT_ARRAY, Type::BYTEA_ARRAY];
pub(super) const OWNERS: &[Type] =
    &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY];
pub(super) const KEYS: &[Type] = &[
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::BYTEA_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
];
pub(super) const USAGE: &[Type] = OWNERS;
pub(super) const EVENTS: &[Type] = &[
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
];

pub(super) const EXPORT_META: &str = rows_after!(api_key_meta (meta_columns!()) by "name": "$1", "$2", "$3");
pub(super) const EXPORT_OWNERS: &str =
    rows_after!(api_key_owners (owner_columns!()) by "organization, kind, id": "$1, $2, $3", "$4", "$5");
pub(super) const EXPORT_KEYS: &str = rows_after!(api_keys (key_columns!()) by "id": "$1", "$2", "$3");
pub(super) const EXPORT_USAGE: &str =
    rows_after!(api_key_usage (usage_columns!()) by "key_id, outcome, source": "$1, $2, $3", "$4", "$5");
pub(super) const EXPORT_EVENTS: &str = rows_after!(api_key_events (event_columns!()) by "sequence": "$1", "$2", "$3");
pub(super) const IMPORT_META: &str = import!(api_key_meta (meta_columns!()) "$1, $2");
pub(super) const DIFFERING_META: &str =
    differing!(api_key_meta (meta_columns!()) "$1, $2" by "name": "pg_catalog.unnest($1)");
pub(super) const IMPORT_OWNERS: &str = import!(api_key_owners (owner_columns!()) "$1, $2, $3, $4, $5, $6");
pub(super) const DIFFERING_OWNERS: &str = differing!(
    api_key_owners (owner_columns!()) "$1, $2, $3, $4, $5, $6" by "organization, kind, id": "unnest($1, $2, $3)"
);
pub(super) const IMPORT_KEYS: &str = import!(
    api_keys (key_columns!()) "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18"
);
pub(super) const DIFFERING_KEYS: &str = differing!(
    api_keys (key_columns!()) "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18"
    by "id": "pg_catalog.unnest($2)"
);
pub(super) const IMPORT_USAGE: &str = import!(api_key_usage (usage_columns!()) "$1, $2, $3, $4, $5, $6");
pub(super) const DIFFERING_USAGE: &str = differing!(
    api_key_usage (usage_columns!()) "$1, $2, $3, $4, $5, $6" by "key_id, outcome, source": "unnest($1, $2, $3)"
);
pub(super) const IMPORT_EVENTS: &str = import!(
    api_key_events (event_columns!()) "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11" "overriding system value "
);
pub(super) const DIFFERING_EVENTS: &str = differing!(
    api_key_events (event_columns!()) "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11" by "sequence": "pg_catalog.unnest($1)"
);
