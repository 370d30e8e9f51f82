use tokio_postgres::types::ToSql;

use super::{
    day::Day,
    failure::Failure,
    key_rows::{column, time},
    session::Sessions,
    sql::{Query, Sql},
    time::IsTime,
};
use crate::{
    key::KeyId,
    store::{Prune, Pruned, Trail, UsedKeys},
    time::Timestamp,
};

pub(super) async fn put_meta_if_absent(
    sessions: &Sessions,
    sql: &Sql,
    name: &str,
    value: &[u8],
) -> Result<Vec<u8>, Failure> {
    // Nothing is written where something stands, so that a service starts on a server that became read-only.
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
    let log_rows = prune.keep_log_rows.map(i64::from);
    let changes = prune.changes_before.map(|before| before.as_millis().written());
    let (usage, usage_next) = match prune.usage_after {
        Some(after) => forget_usage(sessions, sql, &after).await?,
        None => (0, None),
    };
    Ok(Pruned {
        events: delete_events(sessions, &sql.prune_events, prune.events_before, prune.most_events).await?,
        attempts: delete_events(sessions, &sql.prune_attempts, prune.attempts_before, prune.most_attempts).await?,
        log_rows: delete(sessions, &sql.prune_log, log_rows).await?,
        changes: delete(sessions, &sql.prune_changes, changes).await?,
        days: delete(sessions, &sql.prune_days, prune.days_before.map(Day)).await?,
        usage,
        usage_next,
    })
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

async fn delete_events(
    sessions: &Sessions,
    query: &Query,
    before: Option<Timestamp>,
    most: Option<u64>,
) -> Result<u64, Failure> {
    let most = most.and_then(|most| i64::try_from(most).ok()).unwrap_or(i64::MAX);
    match before {
        Some(before) => sessions.execute(query, &[&before.as_millis().written(), &most]).await,
        None => Ok(0),
    }
}

async fn delete<T: ToSql + Sync>(sessions: &Sessions, query: &Query, bound: Option<T>) -> Result<u64, Failure> {
    match bound {
        Some(bound) => sessions.execute(query, &[&bound]).await,
        None => Ok(0),
    }
}
