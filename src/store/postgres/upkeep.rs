use std::collections::HashSet;

use tokio_postgres::types::ToSql;

use super::{
    day::Day,
    event_rows::insert_events,
    failure::Failure,
    key_rows::{column, key_row, time},
    session::{Sessions, transact},
    sql::{Query, Sql},
    time::IsTime,
};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{DeadKeys, EndedKeys, Prune, Pruned, Trail, UsedKeys},
    time::Timestamp,
};

pub(super) async fn put_meta_if_absent(
    sessions: &Sessions,
    sql: &Sql,
    name: &str,
    value: &[u8],
) -> Result<Vec<u8>, Failure> {
    // Read first: if there is a value, nothing is written, and a service also starts on a server that became read-only.
    if let Some(standing) = meta(sessions, sql, name).await? {
        return Ok(standing);
    }
    sessions.execute(&sql.put_meta, &[&name, &value]).await?;
    Ok(meta(sessions, sql, name).await?.unwrap_or_else(|| value.to_vec()))
}

async fn meta(sessions: &Sessions, sql: &Sql, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    sessions.rows(&sql.meta, &[&name]).await?.first().map(|row| column(row, 0)).transpose()
}

pub(super) async fn replace_note(
    sessions: &Sessions,
    sql: &Sql,
    name: &str,
    old: &[u8],
    new: &[u8],
) -> Result<Vec<u8>, Failure> {
    let query = if old.is_empty() { &sql.put_note } else { &sql.replace_note };
    if old != new && sessions.execute(query, &[&name, &old, &new]).await? > 0 {
        return Ok(new.to_vec());
    }
    let standing = sessions.rows(&sql.note, &[&name]).await?.first().map(|row| column(row, 0)).transpose()?;
    Ok(standing.unwrap_or_default())
}

pub(super) async fn trail(sessions: &Sessions, sql: &Sql, attempts: bool, before: Timestamp) -> Result<Trail, Failure> {
    let rows = sessions.rows(&sql.trail, &[&attempts, &before.as_millis().written()]).await?;
    let Some(row) = rows.first() else { return Ok(Trail::default()) };
    let newest: Option<i64> = time(row, 2)?;
    Ok(Trail {
        events: column::<i64>(row, 0)?.unsigned_abs(),
        before: column::<i64>(row, 1)?.unsigned_abs(),
        newest_at: newest.and_then(|at| Timestamp::from_millis(at).ok()),
    })
}

pub(super) async fn prune(sessions: &Sessions, sql: &Sql, prune: &Prune) -> Result<Pruned, Failure> {
    let keys = match &prune.keys {
        Some(dead) => transact(|| purge(sessions, sql, dead)).await?,
        None => 0,
    };
    let log_rows = prune.keep_log_rows.map(i64::from);
    let changes = prune.changes_before.map(|before| before.as_millis().written());
    let (usage, usage_next) = match prune.usage_after {
        Some(after) => forget_usage(sessions, sql, &after).await?,
        None => (0, None),
    };
    Ok(Pruned {
        events: match prune.events_before {
            Some(before) => {
                let (before, most) = (before.as_millis().written(), at_most(prune.most_events));
                sessions.execute(&sql.prune_events, &[&before, &most, &prune.events_until]).await?
            }
            None => 0,
        },
        attempts: match prune.attempts_before {
            Some(before) => {
                let (before, most) = (before.as_millis().written(), at_most(prune.most_attempts));
                sessions.execute(&sql.prune_attempts, &[&before, &most]).await?
            }
            None => 0,
        },
        log_rows: delete(sessions, &sql.prune_log, log_rows).await?,
        changes: delete(sessions, &sql.prune_changes, changes).await?,
        days: delete(sessions, &sql.prune_days, prune.days_before.map(Day)).await?,
        usage,
        usage_next,
        keys,
    })
}

pub(super) async fn ended_keys(sessions: &Sessions, sql: &Sql, before: Timestamp) -> Result<EndedKeys, Failure> {
    let rows = sessions.rows(&sql.ended_keys, &[&before.as_millis().written()]).await?;
    let Some(row) = rows.first() else { return Ok(EndedKeys::default()) };
    let count = |place| column::<i64>(row, place).map(i64::unsigned_abs);
    Ok(EndedKeys { all: count(0)?, before: count(1)? })
}

/// Under the lock that orders the log: no key with one of these ids, or that needs one of these keys, is inserted
/// meanwhile.
async fn purge(sessions: &Sessions, sql: &Sql, dead: &DeadKeys) -> Result<u64, Failure> {
    let session = sessions.begin(sql).await?;
    let purged = async {
        let most = i64::try_from(dead.limit()).unwrap_or(i64::MAX);
        let before = dead.ended_before.as_millis().written();
        let rows = session.rows(&sql.dead_keys, &[&before, &most]).await?;
        let keys: Vec<KeyRow> = rows.iter().map(key_row).collect::<Result<_, _>>()?;
        let known: Vec<_> = keys.iter().filter_map(|key| Some((&key.id, EventRow::of_purge(key, dead.at)?))).collect();
        let ids: Vec<&String> = known.iter().map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        // Fewer than all of them if the clock of the server differs.
        let gone = session.rows(&sql.purge_keys, &[&ids, &before]).await?;
        let gone: HashSet<String> = gone.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
        let events: Vec<_> = known.iter().filter(|(id, _)| gone.contains(*id)).map(|(_, event)| event).collect();
        insert_events(&session, sql, &events).await?;
        Ok(gone.len() as u64)
    }
    .await;
    session.end(purged).await
}

async fn forget_usage(sessions: &Sessions, sql: &Sql, after: &KeyId) -> Result<(u64, Option<KeyId>), Failure> {
    let rows = sessions.rows(&sql.used_keys, &[&after.as_str()]).await?;
    let used: Vec<_> = rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect::<Result<_, Failure>>()?;
    let UsedKeys { gone, next } = UsedKeys::of(used);
    if gone.is_empty() {
        return Ok((0, next));
    }
    let counts = sessions.execute(&sql.forget_usage, &[&gone]).await?;
    Ok((counts + sessions.execute(&sql.forget_usage_days, &[&gone]).await?, next))
}

fn at_most(most: Option<u64>) -> i64 {
    most.and_then(|most| i64::try_from(most).ok()).unwrap_or(i64::MAX)
}

async fn delete<T: ToSql + Sync>(sessions: &Sessions, query: &Query, bound: Option<T>) -> Result<u64, Failure> {
    match bound {
        Some(bound) => sessions.execute(query, &[&bound]).await,
        None => Ok(0),
    }
}

/// The rights that the current role lacks, each as the statement that gives it.
pub(super) async fn missing_grants(sessions: &Sessions, sql: &Sql) -> Result<Vec<String>, Failure> {
    sessions.rows(&sql.missing_grants, &[]).await?.iter().map(|row| column(row, 0)).collect()
}

/// The time of the server in milliseconds, whatever the transaction.
pub(super) async fn server_time(sessions: &Sessions, sql: &Sql) -> Result<i64, Failure> {
    match sessions.rows(&sql.server_time, &[]).await?.first() {
        Some(row) => time(row, 0),
        None => Err(Failure::Corrupt("the server did not say its time".into())),
    }
}
