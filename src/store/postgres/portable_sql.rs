//! Statements that move whole tables, with a placeholder for the schema.

use tokio_postgres::types::Type;

use super::key_rows::read_key_columns;

// `unnest` of more than one array is syntax: the server takes it as `pg_catalog.unnest`, with any search path.

/// Rows of a table after a place, in the order of its primary key. The index scan begins at the place. A condition on
/// each row decides about the row at the place itself, which is wanted only if the place is the beginning.
macro_rules! rows_after {
    ($table:ident ($columns:expr) by $key:literal: $cursor:literal, $first:literal, $limit:literal) => {
        concat!(
            "select ",
            $columns,
            " from {s}.",
            stringify!($table),
            " k where (",
            $key,
            ") {>=} (",
            $cursor,
            ") \
             and (",
            $first,
            " or (",
            $key,
            ") {<>} (",
            $cursor,
            ")) order by ",
            $key,
            " limit ",
            $limit
        )
    };
}

/// Writes rows, given as an array for each column, where there is no row with the same primary key. An identity column
/// gets the given number.
macro_rules! import {
    ($table:ident ($columns:expr) $($overriding:literal)?) => {
        concat!(
            "insert into {s}.", stringify!($table), " (", $columns, ") ", $($overriding,)?
            "select * from unnest({all}) on conflict do nothing"
        )
    };
}

/// The first of these rows that is not stored as it is given.
macro_rules! differing {
    ($table:ident ($columns:expr) by $key:literal: $given:literal) => {
        concat!(
            "select ",
            $key,
            " from (select * from unnest({all}) as given (",
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

macro_rules! tombstone_columns {
    () => {
        "id, organization, lineage, created_via_key, revoked_at, expires_at"
    };
}

macro_rules! usage_columns {
    () => {
        "key_id, organization, outcome, label, client, network, count, first_at, last_at"
    };
}

macro_rules! usage_day_columns {
    () => {
        "key_id, day, accepted, refused"
    };
}

macro_rules! event_columns {
    () => {
        "sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience"
    };
}

pub(super) const PLACE_BY_TEXT: &[Type] = &[Type::TEXT, Type::BOOL, Type::INT8];
pub(super) const PLACE_BY_WORDS: &[Type] = &[Type::TEXT, Type::TEXT, Type::TEXT, Type::BOOL, Type::INT8];
pub(super) const PLACE_OF_USAGE: &[Type] =
    &[Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::BOOL, Type::INT8];
pub(super) const PLACE_BY_DAY: &[Type] = &[Type::TEXT, Type::DATE, Type::BOOL, Type::INT8];
pub(super) const PLACE_BY_NUMBER: &[Type] = &[Type::INT8, Type::BOOL, Type::INT8];
pub(super) const META: &[Type] = &[Type::TEXT_ARRAY, Type::BYTEA_ARRAY];
pub(super) const OWNERS: &[Type] = &[
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
];
pub(super) const TOMBSTONES: &[Type] = &[
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
];
pub(super) const USAGE: &[Type] = &[
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
];
pub(super) const USAGE_DAYS: &[Type] = &[Type::TEXT_ARRAY, Type::DATE_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY];
pub(super) const EVENTS: &[Type] = &[
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::TEXT_ARRAY,
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
pub(super) const EXPORT_KEYS: &str = rows_after!(api_keys (read_key_columns!()) by "id": "$1", "$2", "$3");
pub(super) const EXPORT_TOMBSTONES: &str =
    rows_after!(api_key_tombstones (tombstone_columns!()) by "id": "$1", "$2", "$3");
pub(super) const EXPORT_USAGE: &str = rows_after!(
    api_key_usage (usage_columns!()) by "key_id, organization, outcome, label, client, network":
    "$1, $2, $3, $4, $5, $6", "$7", "$8"
);
pub(super) const EXPORT_USAGE_DAYS: &str =
    rows_after!(api_key_usage_days (usage_day_columns!()) by "key_id, day": "$1, $2", "$3", "$4");
pub(super) const EXPORT_EVENTS: &str = rows_after!(api_key_events (event_columns!()) by "sequence": "$1", "$2", "$3");
pub(super) const IMPORT_META: &str = import!(api_key_meta(meta_columns!()));
pub(super) const DIFFERING_META: &str = differing!(api_key_meta (meta_columns!()) by "name": "pg_catalog.unnest($1)");
pub(super) const IMPORT_OWNERS: &str = import!(api_key_owners(owner_columns!()));
pub(super) const DIFFERING_OWNERS: &str = differing!(
    api_key_owners (owner_columns!()) by "organization, kind, id": "unnest($1, $2, $3)"
);
/// A key that exists gets no tombstone.
pub(super) const IMPORT_TOMBSTONES: &str = concat!(
    "insert into {s}.api_key_tombstones (",
    tombstone_columns!(),
    ") select * from unnest({all}) as given (",
    tombstone_columns!(),
    ") where not exists (select 1 from {s}.api_keys k where k.id {=} given.id) on conflict do nothing"
);
pub(super) const DIFFERING_TOMBSTONES: &str =
    differing!(api_key_tombstones (tombstone_columns!()) by "id": "pg_catalog.unnest($1)");
pub(super) const IMPORT_USAGE: &str = import!(api_key_usage(usage_columns!()));
pub(super) const DIFFERING_USAGE: &str = differing!(
    api_key_usage (usage_columns!()) by "key_id, organization, outcome, label, client, network":
    "unnest($1, $2, $3, $4, $5, $6)"
);
pub(super) const IMPORT_USAGE_DAYS: &str = import!(api_key_usage_days(usage_day_columns!()));
pub(super) const DIFFERING_USAGE_DAYS: &str = differing!(
    api_key_usage_days (usage_day_columns!()) by "key_id, day": "unnest($1, $2)"
);
pub(super) const IMPORT_EVENTS: &str = import!(
    api_key_events (event_columns!()) "overriding system value "
);
pub(super) const DIFFERING_EVENTS: &str = differing!(
    api_key_events (event_columns!()) by "sequence": "pg_catalog.unnest($1)"
);
