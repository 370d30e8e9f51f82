use super::{
    failure::Failure,
    key_rows::column,
    session::Sessions,
    sql::{Query, Sql},
};
use crate::store::{Prune, Pruned};

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

pub(super) async fn prune(sessions: &Sessions, sql: &Sql, prune: &Prune) -> Result<Pruned, Failure> {
    let events = prune.events_before.map(|before| before.as_millis());
    let attempts = prune.attempts_before.map(|before| before.as_millis());
    let log_rows = prune.keep_log_rows.map(i64::from);
    let changes = prune.changes_before.map(|before| before.as_millis());
    Ok(Pruned {
        events: delete(sessions, &sql.prune_events, events).await?,
        attempts: delete(sessions, &sql.prune_attempts, attempts).await?,
        log_rows: delete(sessions, &sql.prune_log, log_rows).await?,
        changes: delete(sessions, &sql.prune_changes, changes).await?,
    })
}

async fn delete(sessions: &Sessions, query: &Query, bound: Option<i64>) -> Result<u64, Failure> {
    match bound {
        Some(bound) => sessions.execute(query, &[&bound]).await,
        None => Ok(0),
    }
}
