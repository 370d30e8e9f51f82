//! The statements that list keys, one for each index and order.

use super::key_rows::{found_columns, keys_and_owners, owner_and_organization};

/// The columns of a key `k`, of its creator `c`, and of its live successor `s`. Its usage is in one column, so that its
/// counts are read once: SQLite allows only one column in such a subquery. It is null if the query does not want usage.
macro_rules! columns {
    () => {
        concat!(
            "select ",
            found_columns!(),
            ", c.suspended_at, c.plan_suspended_at, c.closed_at, \
             case when :with_usage then (select json_array(\
                sum(count) filter (where outcome = 'success'), max(last_at) filter (where outcome = 'success'), \
                sum(count) filter (where outcome <> 'success'), max(last_at) filter (where outcome <> 'success')) \
                from api_key_usage u where u.key_id = k.id) end, \
             s.id, s.kind, s.owner, s.created_by, s.created_via_key, \
             exists (select 1 from api_keys p where p.id = k.replaces and +p.organization = k.organization \
                and p.revoked_at is null and (p.expires_at is null or :now < p.expires_at))"
        )
    };
}

/// The rows around a key `k`: its creator, and its successor.
macro_rules! creator_and_successor {
    () => {
        "left join api_key_owners c on c.organization = k.organization and c.kind = 'user' \
            and substr(k.created_by, 1, 5) = 'user:' and c.id = substr(k.created_by, 6) \
         left join api_keys s on s.id = (select min(h.id) from api_keys h \
            where h.replaces = k.id and +h.organization = k.organization \
                and h.revoked_at is null and (h.expires_at is null or :now < h.expires_at)) "
    };
}

/// The conditions on each key `k` that an index yields. A unary plus keeps the planner from using another index.
macro_rules! conditions {
    () => {
        " and (:kind is null or +k.kind = :kind) \
         and (:named_like is null or api_key_name_has(k.name, :named_like)) \
         and (:creator is null or +k.created_by = :creator) \
         and (:created_via_key is null or +k.created_via_key = :created_via_key) \
         and (:predecessor is null or +k.replaces = :predecessor) \
         and (:lineage is null or +k.lineage = :lineage) \
         and (:created_since is null or k.created_at >= :created_since) \
         and (:created_before is null or k.created_at < :created_before) \
         and (:expires_before is null or k.expires_at < :expires_before) \
         and (:live is null or :live = (k.revoked_at is null and (k.expires_at is null or :now < k.expires_at))) \
         and (:unused_since is null or not exists (\
            select 1 from api_key_usage u \
            where u.key_id = k.id and u.organization = '' and u.outcome = 'success' and u.last_at >= :unused_since))"
    };
}

/// The condition on its owner, if an index does not begin with the owner.
macro_rules! owners {
    () => {
        "(:owners is null or exists (select 1 from json_each(:owners) w \
            where json_extract(w.value, '$[0]') = k.kind and json_extract(w.value, '$[1]') = k.owner))"
    };
}

/// The organization of a key `k`: for an index that begins with it, and for the primary key.
macro_rules! organization {
    () => {
        "+k.organization"
    };
    ($index:literal) => {
        "k.organization"
    };
}

/// The order of a list: by time of creation, or by end, where keys without an end come last.
macro_rules! time {
    (created) => {
        "created_at"
    };
    (end) => {
        "end_or_never"
    };
}

/// The condition that a key lies between the two places that bound a page.
macro_rules! between {
    ($by:ident) => {
        concat!(
            " and (k.",
            time!($by),
            ", k.id) > (:from, :from_id) and (k.",
            time!($by),
            ", k.id) < (:until, :until_id)"
        )
    };
}

/// A list in the order of an index, which begins with the conditions given to the macro. All other conditions are
/// checked on the rows that it yields. The index is named: without statistics, SQLite has chosen a less selective one
/// when the list was bounded at more than its beginning.
macro_rules! list {
    ($by:ident, $order:literal, [$($index:literal)?] $(, $condition:expr)*) => {
        concat!(
            columns!(), keys_and_owners!($($index)?), creator_and_successor!(),
            "where ", organization!($($index)?), " = :organization",
            $(" and ", $condition,)*
            between!($by),
            conditions!(),
            " order by k.", time!($by), " ", $order, ", k.id ", $order, " limit :limit"
        )
    };
}

/// The place of the first key of an owner `$of` after a place, in an order.
macro_rules! next_place {
    ($by:ident, $order:literal, $index:literal, $of:literal, $from:literal, $until:literal) => {
        concat!(
            "(select k.id from api_keys k indexed by ",
            $index,
            " where k.organization = :organization and k.kind = ",
            $of,
            ".kind and k.owner = ",
            $of,
            ".owner \
                and (k.",
            time!($by),
            ", k.id) > (",
            $from,
            ") and (k.",
            time!($by),
            ", k.id) < (",
            $until,
            ")",
            conditions!(),
            " order by k.",
            time!($by),
            " ",
            $order,
            ", k.id ",
            $order,
            " limit 1)"
        )
    };
}

/// A list of several owners. The rows of `merged` are taken in order: first the first key of each owner, and after each
/// taken key the next one of the same owner. So a page reads no more keys than it returns, and one of each owner. A
/// unary plus removes the affinity of an id: otherwise the index would only be searched by the time.
macro_rules! list_of_owners {
    ($by:ident, $order:literal, $index:literal, [$($of_first:literal),*], [$($of_next:literal),*]) => {
        concat!(
            "with recursive merged (kind, owner, time, id) as (\
                select w.kind, w.owner, f.", time!($by), ", f.id \
                from (select json_extract(value, '$[0]') as kind, json_extract(value, '$[1]') as owner \
                    from json_each(:owners)) w \
                cross join api_keys f on f.id = ", next_place!($by, $order, $index, "w", $($of_first),*), "\
                union all \
                select m.kind, m.owner, f.", time!($by), ", f.id from merged m \
                cross join api_keys f on f.id = ", next_place!($by, $order, $index, "m", $($of_next),*), "\
                order by 3 ", $order, ", 4 ", $order, " limit :limit\
             ) ",
            columns!(),
            " from merged m cross join api_keys k on k.id = m.id ", owner_and_organization!(), creator_and_successor!(),
            "order by k.", time!($by), " ", $order, ", k.id ", $order
        )
    };
}

/// Three statements: by rising time of creation, in reverse, and by rising end, which is sorted.
macro_rules! each_way {
    ([$($index:literal)?] $(, $condition:expr)*) => {
        [
            list!(created, "asc", [$($index)?] $(, $condition)*),
            list!(created, "desc", [$($index)?] $(, $condition)*),
            list!(end, "asc", [$($index)?] $(, $condition)*),
        ]
    };
}

pub(super) const LIST_ALL: [&str; 3] = [
    list!(created, "asc", ["api_keys_by_organization"]),
    list!(created, "desc", ["api_keys_by_organization"]),
    list!(end, "asc", ["api_keys_by_end"]),
];
pub(super) const LIST_OF_KIND: [&str; 3] = [
    list!(created, "asc", ["api_keys_by_kind"], "k.kind = :kind"),
    list!(created, "desc", ["api_keys_by_kind"], "k.kind = :kind"),
    list!(end, "asc", ["api_keys_by_kind_and_end"], "k.kind = :kind"),
];
pub(super) const LIST_OF_OWNER: [&str; 3] = [
    list!(created, "asc", ["api_keys_by_owner"], "k.kind = :owner_kind", "k.owner = :owner"),
    list!(created, "desc", ["api_keys_by_owner"], "k.kind = :owner_kind", "k.owner = :owner"),
    list!(end, "asc", ["api_keys_by_owner_and_end"], "k.kind = :owner_kind", "k.owner = :owner"),
];
pub(super) const LIST_OF_OWNERS: [&str; 3] = [
    list_of_owners!(
        created,
        "asc",
        "api_keys_by_owner",
        [":from, :from_id", ":until, :until_id"],
        ["m.time, +m.id", ":until, :until_id"]
    ),
    list_of_owners!(
        created,
        "desc",
        "api_keys_by_owner",
        [":from, :from_id", ":until, :until_id"],
        [":from, :from_id", "m.time, +m.id"]
    ),
    list_of_owners!(
        end,
        "asc",
        "api_keys_by_owner_and_end",
        [":from, :from_id", ":until, :until_id"],
        ["m.time, +m.id", ":until, :until_id"]
    ),
];
pub(super) const LIST_OF_CREATOR: [&str; 3] = each_way!(["api_keys_by_creator"], "k.created_by = :creator");
pub(super) const LIST_OF_CREATED_VIA_KEY: [&str; 3] =
    each_way!(["api_keys_by_created_via_key"], "k.created_via_key = :created_via_key", owners!());
pub(super) const LIST_OF_LINEAGE: [&str; 3] = each_way!(["api_keys_by_lineage"], "k.lineage = :lineage", owners!());
/// Sorted in every order: a key has few successors, and a query names few keys.
pub(super) const LIST_OF_PREDECESSOR: [&str; 3] =
    each_way!(["api_keys_by_predecessor"], "k.replaces = :predecessor", owners!());
pub(super) const LIST_OF_KEYS: [&str; 3] = each_way!([], "k.id in (select value from json_each(:keys))", owners!());
