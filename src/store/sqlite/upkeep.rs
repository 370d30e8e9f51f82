use rusqlite::{Connection, OptionalExtension, params};

use super::{
    failure::Failure,
    transaction::{begin, commit},
};
use crate::store::{Prune, Pruned};

const META: &str = "select value from api_key_meta where name = ?1";
const PUT_META: &str = "insert into api_key_meta (name, value) values (?1, ?2) on conflict (name) do nothing";

pub(super) fn put_meta_if_absent(connection: &mut Connection, name: &str, value: &[u8]) -> Result<Vec<u8>, Failure> {
    // Nothing is written where something stands, so that a service starts on a disk that became read-only.
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

/// The most rows of a kind in one turn: nobody else writes meanwhile.
const MOST_ROWS: i64 = 10_000;

pub(super) const PRUNE_EVENTS: &str = "\
    delete from api_key_events where sequence in (\
        select sequence from api_key_events where is_attempt = 0 and at < ?1 limit ?2)";
pub(super) const PRUNE_ATTEMPTS: &str = "\
    delete from api_key_events where sequence in (\
        select sequence from api_key_events where is_attempt = 1 and at < ?1 limit ?2)";
/// Positions have no gaps, so that the last rows are known by theirs. The oldest go first, so that there are none later.
const PRUNE_LOG: &str = "\
    delete from api_key_log where position in (\
        select position from api_key_log where position <= (select position from api_key_head) - ?1 \
        order by position limit ?2)";
const PRUNE_CHANGES: &str = "\
    delete from api_key_changes where id in (select id from api_key_changes where at < ?1 limit ?2)";

pub(super) fn prune(connection: &mut Connection, prune: &Prune) -> Result<Pruned, Failure> {
    let transaction = begin(connection)?;
    let mut pruned = Pruned::default();
    if let Some(before) = prune.events_before {
        pruned.events = delete(&transaction, PRUNE_EVENTS, before.as_millis())?;
    }
    if let Some(before) = prune.attempts_before {
        pruned.attempts = delete(&transaction, PRUNE_ATTEMPTS, before.as_millis())?;
    }
    if let Some(keep) = prune.keep_log_rows {
        pruned.log_rows = delete(&transaction, PRUNE_LOG, keep.into())?;
    }
    if let Some(before) = prune.changes_before {
        pruned.changes = delete(&transaction, PRUNE_CHANGES, before.as_millis())?;
    }
    commit(transaction)?;
    Ok(pruned)
}

fn delete(connection: &Connection, sql: &str, bound: i64) -> Result<u64, rusqlite::Error> {
    let deleted = connection.prepare_cached(sql)?.execute([bound, MOST_ROWS])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}
