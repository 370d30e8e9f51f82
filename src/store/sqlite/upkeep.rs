use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    event_rows::insert_event,
    failure::Failure,
    key_rows::key_row,
    transaction::{begin, commit},
};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::key_columns,
    store::{DeadKeys, EndedKeys, Prune, Pruned, Trail, UsedKeys},
    time::Timestamp,
};

const META: &str = "select value from api_key_meta where name = ?1";
const PUT_META: &str = "insert into api_key_meta (name, value) values (?1, ?2) on conflict (name) do nothing";

pub(super) fn put_meta_if_absent(connection: &mut Connection, name: &str, value: &[u8]) -> Result<Vec<u8>, Failure> {
    // Read first: if there is a value, nothing is written, and a service also starts on a disk that became read-only.
    if let Some(standing) = meta(connection, name)? {
        return Ok(standing);
    }
    let transaction = begin(connection)?;
    transaction.prepare_cached(PUT_META)?.execute(params![name, value])?;
    let standing = meta(&transaction, name)?;
    commit(transaction)?;
    Ok(standing.unwrap_or_else(|| value.to_vec()))
}

fn meta(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    connection.prepare_cached(META)?.query_row([name], |row| row.get(0)).optional()
}

const NOTE: &str = "select value from api_key_notes where name = ?1";
const PUT_NOTE: &str = "\
    insert into api_key_notes (name, value) values (?1, ?3) \
    on conflict (name) do update set value = excluded.value where value = ?2";
const REPLACE_NOTE: &str = "update api_key_notes set value = ?3 where name = ?1 and value = ?2";

pub(super) fn replace_note(
    connection: &mut Connection,
    name: &str,
    old: &[u8],
    new: &[u8],
) -> Result<Vec<u8>, Failure> {
    // Only reads: a service may start on a disk that became read-only.
    if old == new {
        return Ok(note(connection, name)?);
    }
    let transaction = begin(connection)?;
    let sql = if old.is_empty() { PUT_NOTE } else { REPLACE_NOTE };
    transaction.prepare_cached(sql)?.execute(params![name, old, new])?;
    let standing = note(&transaction, name)?;
    commit(transaction)?;
    Ok(standing)
}

fn note(connection: &Connection, name: &str) -> Result<Vec<u8>, rusqlite::Error> {
    let standing = connection.prepare_cached(NOTE)?.query_row([name], |row| row.get(0)).optional()?;
    Ok(standing.unwrap_or_default())
}

pub(super) const TRAIL: &str = "\
    select count(*), count(*) filter (where at < ?2), max(at) from api_key_events where is_attempt = ?1";

pub(super) fn trail(connection: &mut Connection, attempts: bool, before: Timestamp) -> Result<Trail, Failure> {
    let row = connection.prepare_cached(TRAIL)?.query_row(params![attempts, before.as_millis()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    let (events, before, newest) = row;
    Ok(Trail {
        events: events.unsigned_abs(),
        before: before.unsigned_abs(),
        newest_at: newest.and_then(|at| Timestamp::from_millis(at).ok()),
    })
}

/// The most rows of a kind in one turn: other writers wait meanwhile.
const MOST_ROWS: i64 = 10_000;

pub(super) const PRUNE_EVENTS: &str = "\
    delete from api_key_events where sequence in (\
        select sequence from api_key_events where is_attempt = 0 and at < ?1 \
            and (?3 is null or sequence <= ?3) order by at limit ?2)";
pub(super) const PRUNE_ATTEMPTS: &str = "\
    delete from api_key_events where sequence in (\
        select sequence from api_key_events where is_attempt = 1 and at < ?1 order by at limit ?2)";
/// Positions have no gaps, so the last rows are known by their positions. The oldest are deleted first, so that no gaps
/// appear.
const PRUNE_LOG: &str = "\
    delete from api_key_log where position in (\
        select position from api_key_log where position <= (select position from api_key_head) - ?1 \
        order by position limit ?2)";
const PRUNE_CHANGES: &str = "\
    delete from api_key_changes where id in (select id from api_key_changes where at < ?1 limit ?2)";

pub(super) const PRUNE_DAYS: &str = "\
    delete from api_key_usage_days where (key_id, day) in (\
        select key_id, day from api_key_usage_days where day < ?1 limit ?2)";

/// The next keys that were used, and whether the store still has each. One step in the index for each of them.
pub(super) const USED_KEYS: &str = "\
    with recursive used (id) as (\
        select min(key_id) from api_key_usage where key_id > ?1 \
        union all \
        select (select min(key_id) from api_key_usage where key_id > used.id) from used where used.id is not null \
        limit 1000\
    ) select id, exists (select 1 from api_keys where api_keys.id = used.id) from used where id is not null";
const FORGET_USAGE: &str = "delete from api_key_usage where key_id = ?1";
const FORGET_USAGE_DAYS: &str = "delete from api_key_usage_days where key_id = ?1";

fn forget_usage(connection: &Connection, after: &KeyId) -> Result<(u64, Option<KeyId>), rusqlite::Error> {
    let mut statement = connection.prepare_cached(USED_KEYS)?;
    let used = statement.query_map([after.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let UsedKeys { gone, next } = UsedKeys::of(used.collect::<Result<_, _>>()?);
    let mut rows = 0;
    for key in gone {
        rows += connection.prepare_cached(FORGET_USAGE)?.execute([&key])?;
        rows += connection.prepare_cached(FORGET_USAGE_DAYS)?.execute([&key])?;
    }
    Ok((rows as u64, next))
}

/// When a key ended or will end, in the expression of an index.
macro_rules! end {
    ($key:literal) => {
        concat!(
            "min(ifnull(",
            $key,
            "revoked_at, 9223372036854775807), ifnull(",
            $key,
            "expires_at, 9223372036854775807))"
        )
    };
}

pub(super) const ENDED_KEYS: &str = concat!(
    "select count(*), count(*) filter (where ",
    end!(""),
    " < ?1) from api_keys where revoked_at is not null or expires_at is not null"
);
/// Dead keys that no other key needs. A key stays if another key replaces it or is replaced by it and has not ended
/// before the time, or was made with it.
pub(super) const DEAD_KEYS: &str = concat!(
    "select ",
    key_columns!(),
    " from api_keys k where (revoked_at is not null or expires_at is not null) and ",
    end!(""),
    " < ?1 and not exists (select 1 from api_keys n where n.replaces = k.id and ",
    end!("n."),
    " >= ?1) and not exists (select 1 from api_keys p where p.id = k.replaces and ",
    end!("p."),
    " >= ?1) and not exists (\
        select 1 from api_keys m where m.organization = k.organization and m.created_via_key = k.id) order by ",
    end!(""),
    ", id limit ?2"
);
/// A trigger writes the tombstone.
const PURGE_KEY: &str = "delete from api_keys where id = ?1";

pub(super) fn ended_keys(connection: &mut Connection, before: Timestamp) -> Result<EndedKeys, Failure> {
    let counts = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (all, before) = connection.prepare_cached(ENDED_KEYS)?.query_row([before.as_millis()], counts)?;
    Ok(EndedKeys { all: all.unsigned_abs(), before: before.unsigned_abs() })
}

fn purge(connection: &Connection, dead: &DeadKeys) -> Result<u64, Failure> {
    let most = i64::try_from(dead.limit()).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(DEAD_KEYS)?;
    let keys = statement.query_map([dead.ended_before.as_millis(), most], key_row)?;
    let mut purged = 0;
    for key in keys.collect::<Result<Vec<_>, _>>()? {
        let Some(event) = EventRow::of_purge(&key, dead.at) else { continue };
        connection.prepare_cached(PURGE_KEY)?.execute([&key.id])?;
        insert_event(connection, &event)?;
        purged += 1;
    }
    Ok(purged)
}

pub(super) fn prune(connection: &mut Connection, prune: &Prune) -> Result<Pruned, Failure> {
    let transaction = begin(connection)?;
    let mut pruned = Pruned::default();
    if let Some(before) = prune.events_before {
        let most = at_most(prune.most_events);
        let row = params![before.as_millis(), most, prune.events_until];
        pruned.events = transaction.prepare_cached(PRUNE_EVENTS)?.execute(row)? as u64;
    }
    if let Some(before) = prune.attempts_before {
        pruned.attempts = delete(&transaction, PRUNE_ATTEMPTS, before.as_millis(), prune.most_attempts)?;
    }
    if let Some(keep) = prune.keep_log_rows {
        pruned.log_rows = delete(&transaction, PRUNE_LOG, keep.into(), None)?;
    }
    if let Some(before) = prune.changes_before {
        pruned.changes = delete(&transaction, PRUNE_CHANGES, before.as_millis(), None)?;
    }
    if let Some(before) = prune.days_before {
        pruned.days = delete(&transaction, PRUNE_DAYS, before.into(), None)?;
    }
    if let Some(dead) = &prune.keys {
        pruned.keys = purge(&transaction, dead)?;
    }
    if let Some(after) = prune.usage_after {
        (pruned.usage, pruned.usage_next) = forget_usage(&transaction, &after)?;
    }
    commit(transaction)?;
    Ok(pruned)
}

fn delete(connection: &Connection, sql: &str, bound: i64, most: Option<u64>) -> Result<u64, rusqlite::Error> {
    let deleted = connection.prepare_cached(sql)?.execute([bound, at_most(most)])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

fn at_most(most: Option<u64>) -> i64 {
    most.and_then(|most| i64::try_from(most).ok()).map_or(MOST_ROWS, |most| most.min(MOST_ROWS))
}
