use rusqlite::{Connection, Row, named_params};

use super::{
    failure::Failure,
    key_rows::{FOUND_COLUMNS, found_columns, found_key, keys_and_owners, status},
};
use crate::{
    store::{KeyQuery, ListedKey, Liveness, Page},
    time::Timestamp,
    usage::UsageTotals,
};

/// A list that an index answers: the conditions given to the macro are what the index begins with. All others are checked
/// on the rows it yields. SQLite is told which: one that tells less has seemed better to it, without statistics, once
/// more than the beginning of the list was bounded.
macro_rules! list {
    ($index:literal $(, $indexed:literal)*) => {
        concat!(
            "select ", found_columns!(), ", c.suspended_at, c.plan_suspended_at, c.closed_at, \
             (select sum(count) from api_key_usage u where u.key_id = k.id and u.outcome = 'success'), \
             (select max(last_at) from api_key_usage u where u.key_id = k.id and u.outcome = 'success'), \
             (select sum(count) from api_key_usage u where u.key_id = k.id and u.outcome <> 'success'), \
             (select max(last_at) from api_key_usage u where u.key_id = k.id and u.outcome <> 'success'), \
             (select min(s.id) from api_keys s where s.replaces = k.id and +s.organization = k.organization \
                and s.revoked_at is null and (s.expires_at is null or :now < s.expires_at)), \
             exists (select 1 from api_keys p where p.id = k.replaces and +p.organization = k.organization \
                and p.revoked_at is null and (p.expires_at is null or :now < p.expires_at))",
            keys_and_owners!($index),
            "left join api_key_owners c on c.organization = k.organization and c.kind = 'user' \
                and substr(k.created_by, 1, 5) = 'user:' and c.id = substr(k.created_by, 6) \
             where k.organization = :organization",
            $(" and ", $indexed,)*
            " and (k.created_at, k.id) > (:after, :after_id) and k.created_at < :created_before \
             and (:kind is null or k.kind = :kind) and (:owner is null or k.owner = :owner) \
             and (:creator is null or k.created_by = :creator) \
             and (:created_via_key is null or k.created_via_key = :created_via_key) \
             and (:predecessor is null or k.replaces = :predecessor) \
             and (:live is null or :live = (k.revoked_at is null and (k.expires_at is null or :now < k.expires_at))) \
             and (:unused_since is null or not exists (\
                select 1 from api_key_usage u \
                where u.key_id = k.id and u.outcome = 'success' and u.last_at >= :unused_since)) \
             order by k.created_at, k.id limit :limit"
        )
    };
}

pub(super) const LIST_ALL: &str = list!("api_keys_by_organization");
pub(super) const LIST_OF_OWNER: &str = list!("api_keys_by_owner", "k.kind = :kind", "k.owner = :owner");
pub(super) const LIST_OF_CREATOR: &str = list!("api_keys_by_creator", "k.created_by = :creator");
pub(super) const LIST_OF_CREATED_VIA_KEY: &str =
    list!("api_keys_by_created_via_key", "k.created_via_key = :created_via_key");
/// The only ones that are sorted: a key has few successors.
pub(super) const LIST_OF_PREDECESSOR: &str = list!("api_keys_by_predecessor", "k.replaces = :predecessor");

pub(super) fn list(connection: &Connection, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, Failure> {
    // By the condition that leaves fewest keys.
    let sql = match query {
        KeyQuery { predecessor: Some(_), .. } => LIST_OF_PREDECESSOR,
        KeyQuery { created_via_key: Some(_), .. } => LIST_OF_CREATED_VIA_KEY,
        KeyQuery { owner: Some(_), .. } => LIST_OF_OWNER,
        KeyQuery { creator: Some(_), .. } => LIST_OF_CREATOR,
        _ => LIST_ALL,
    };
    let (after, after_id) = match &query.after {
        Some(cursor) => (cursor.created_at.as_millis(), cursor.id.as_str()),
        None => (i64::MIN, ""),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(
        named_params! {
            ":organization": query.organization.as_str(),
            ":kind": query.owner.as_ref().map(|owner| owner.kind().as_str()),
            ":owner": query.owner.as_ref().map(|owner| owner.id()),
            ":creator": query.creator.as_ref().map(ToString::to_string),
            ":created_via_key": query.created_via_key.as_ref().map(|creator| creator.as_str()),
            ":predecessor": query.predecessor.as_ref().map(|predecessor| predecessor.as_str()),
            ":live": query.liveness.map(|liveness| liveness == Liveness::Live),
            ":unused_since": query.unused_since.map(Timestamp::as_millis),
            ":created_before": query.created_before.map_or(i64::MAX, Timestamp::as_millis),
            ":now": now.as_millis(),
            ":after": after,
            ":after_id": after_id,
            ":limit": one_more(query.limit),
        },
        listed_key,
    )?;
    Ok(page(rows.collect::<Result<_, _>>()?, query.limit))
}

fn listed_key(row: &Row<'_>) -> Result<ListedKey, rusqlite::Error> {
    let found = found_key(row)?;
    let number = |place: usize| row.get::<_, Option<i64>>(FOUND_COLUMNS + place);
    let count = |place: usize| Ok::<_, rusqlite::Error>(number(place)?.unwrap_or(0));
    let time = |place: usize| {
        let millis = number(place)?;
        Ok::<_, rusqlite::Error>(millis.and_then(|millis| Timestamp::from_millis(millis).ok()))
    };
    let usage =
        UsageTotals { successes: count(3)?, last_success_at: time(4)?, failures: count(5)?, last_failure_at: time(6)? };
    Ok(ListedKey {
        key: found.key,
        owner: found.owner,
        organization: found.organization,
        creator: status(row, FOUND_COLUMNS)?,
        usage,
        successor: row.get(FOUND_COLUMNS + 7)?,
        predecessor_is_live: row.get(FOUND_COLUMNS + 8)?,
    })
}

/// How many rows to ask for in order to know whether there are more.
pub(super) fn one_more(limit: u16) -> i64 {
    i64::from(limit) + 1
}

pub(super) fn page<T>(mut rows: Vec<T>, limit: u16) -> Page<T> {
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    Page { rows, more }
}
