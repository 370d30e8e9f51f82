//! The statements that list keys: one text for all indexes and all orders.

use tokio_postgres::types::Type;

/// The parameters of every statement of this kind: organization, kind, keys, creator, the key that made them, liveness,
/// since when unused, the place before the first key, now, the limit, predecessor, the place after the last key, kinds
/// and ids of owners, the part of a name, its capitals, their small letters, whether usage is read, the times since and
/// before which they were made and before which they end, and the first key of a chain of rotations.
pub(super) const LIST: &[Type] = &[
    Type::TEXT,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::BOOL,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TEXT,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::TEXT,
    Type::TIMESTAMPTZ,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::BOOL,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TEXT,
];

/// The columns of a key `k` and of the rows around it.
macro_rules! columns {
    () => {
        concat!(
            "select ",
            found_columns!(),
            ", c.suspended_at, c.plan_suspended_at, c.closed_at, \
             u.successes, u.last_success, u.failures, u.last_failure, \
             h.id, h.kind, h.owner, h.created_by, h.created_via_key, coalesce(p.is_live, false)"
        )
    };
}

/// The rows around a key `k`: its owner `o` and organization `g`, its creator `c`, its live successor `h`, its
/// predecessor `p`, its usage `u`. `offset 0` makes the planner keep the look-up by an index.
macro_rules! around {
    () => {
        concat!(
            owner_and_organization!(),
            "left join lateral (\
                select suspended_at, plan_suspended_at, closed_at from {s}.api_key_owners \
                where organization {=} k.organization and kind {=} 'user' \
                    and pg_catalog.left(k.created_by, 5) {=} 'user:' and id {=} pg_catalog.substr(k.created_by, 6) offset 0\
             ) c on true left join lateral (\
                select id, kind, owner, created_by, created_via_key from (\
                    select * from {s}.api_keys where replaces {=} k.id offset 0\
                ) s where organization {=} k.organization and revoked_at is null \
                    and (expires_at is null or $10 {<} expires_at) order by id limit 1\
             ) h on true left join lateral (\
                select organization {=} k.organization and revoked_at is null \
                    and (expires_at is null or $10 {<} expires_at) as is_live \
                from {s}.api_keys where id {=} k.replaces offset 0\
             ) p on true left join lateral (\
                select pg_catalog.sum(count) filter (where outcome {=} 'success')::bigint as successes, \
                    pg_catalog.max(last_at) filter (where outcome {=} 'success') as last_success, \
                    pg_catalog.sum(count) filter (where outcome {<>} 'success')::bigint as failures, \
                    pg_catalog.max(last_at) filter (where outcome {<>} 'success') as last_failure \
                from {s}.api_key_usage where $20 and key_id {=} k.id\
             ) u on true "
        )
    };
}

/// The order of a list of keys `k`: by time of creation, or by end, where keys without an end come last.
macro_rules! time {
    (created) => {
        "k.created_at"
    };
    (end) => {
        "coalesce(k.expires_at, 'infinity')"
    };
}

/// The kind of a key `k`, in the expression that only the index of kinds in that order has.
macro_rules! kind {
    (created) => {
        "(k.kind {||} '')"
    };
    (end) => {
        "(k.kind {||} '' {||} '')"
    };
}

/// The owner of a key `k`, in the expression that only the index of owners in that order has.
macro_rules! owner {
    (created) => {
        "k.owner"
    };
    (end) => {
        "(k.owner {||} '')"
    };
}

/// The conditions on each key `k` that an index yields.
macro_rules! conditions {
    ($by:ident) => {
        concat!(
            "k.organization {=} $1 and (",
            time!($by),
            ", k.id) {>} ($8, $9) and (",
            time!($by),
            ", k.id) {<} ($13, $14) and ($2 is null or ",
            kind!($by),
            " {=} $2) ",
            conditions!()
        )
    };
    () => {
        "and ($21 is null or k.created_at {>=} $21) and ($22 is null or k.created_at {<} $22) \
         and ($23 is null or k.expires_at {<} $23) \
         and ($4 is null or k.created_by {=} $4) and ($5 is null or k.created_via_key {=} $5) \
         and ($12 is null or k.replaces {=} $12) and ($24 is null or k.lineage {=} $24) \
         and ($6 is null \
            or $6 {=} (k.revoked_at is null and (k.expires_at is null or $10 {<} k.expires_at))) \
         and ($17 is null or pg_catalog.strpos(pg_catalog.translate(k.name, $18, $19), $17) {>} 0) \
         and ($7 is null or coalesce((select pg_catalog.max(last_at) from {s}.api_key_usage \
            where key_id {=} k.id and organization {=} '' and outcome {=} 'success') {<} $7, true))"
    };
}

/// The condition on its owner, if an index does not begin with the owner.
macro_rules! owners {
    () => {
        "($15 is null or exists (select 1 from unnest($15, $16) w (kind, owner) \
            where w.kind {=} k.kind and w.owner {=} k.owner))"
    };
}

/// Keys in the order of an index, which begins with the conditions given to the macro. All other conditions are checked
/// on the rows that it yields.
macro_rules! list {
    ($by:ident, $order:literal, $keys:literal $(, $condition:expr)*) => {
        concat!(
            columns!(), " from ", $keys, " k ", around!(), "where ", $($condition, " and ",)* conditions!($by),
            " order by ", time!($by), " ", $order, ", k.id ", $order, " limit $11"
        )
    };
}

/// Keys by end that an index finds by another condition. They are few, and are sorted before the rows around them are
/// read.
macro_rules! sorted {
    ($found_by:literal $(, $condition:expr)*) => {
        concat!(
            columns!(), " from (select * from (select * from {s}.api_keys where ", $found_by, " offset 0) k where ",
            $($condition, " and ",)* conditions!(end), " order by ", time!(end), ", k.id limit $11 offset 0) k ",
            around!(), "order by ", time!(end), ", k.id"
        )
    };
}

/// Keys of several owners: reads a page of each owner without the rows around the keys, and takes the first keys of
/// all.
macro_rules! list_of_owners {
    ($by:ident, $order:literal) => {
        concat!(
            columns!(),
            " from (select k.* from (\
                select n.id, n.time from unnest($15, $16) w (kind, owner) cross join lateral (\
                    select k.id, ",
            time!($by),
            " as time from {s}.api_keys k \
                    where k.kind {=} w.kind and ",
            owner!($by),
            " {=} w.owner and ",
            conditions!($by),
            " order by ",
            time!($by),
            " ",
            $order,
            ", k.id ",
            $order,
            " limit $11\
                ) n order by n.time ",
            $order,
            ", n.id ",
            $order,
            " limit $11\
             ) m cross join lateral (select * from {s}.api_keys where id {=} m.id offset 0) k offset 0) k ",
            around!(),
            "order by ",
            time!($by),
            " ",
            $order,
            ", k.id ",
            $order
        )
    };
}

pub(super) use {around, columns, conditions, kind, list, list_of_owners, owner, owners, sorted, time};
