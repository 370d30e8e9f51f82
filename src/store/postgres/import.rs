use tokio_postgres::{Row, types::ToSql};

use super::{
    day::Day,
    failure::Failure,
    key_rows::{column, key_parameters},
    session::Session,
    sql::{Query, Sql},
    time::IsTime,
};
use crate::{
    audit::EventRow,
    record::KeyRow,
    store::transfer::{Batch, Cursor, MetaRow, OwnerRow, Tombstone},
    usage::{UsageDayRow, UsageRow},
};

/// Imports in a transaction that holds the lock of the change log, so that no other transaction numbers events
/// meanwhile.
pub(super) async fn import(session: &Session<'_>, sql: &Sql, rows: &Batch) -> Result<u64, Failure> {
    match rows {
        Batch::Meta(rows) => import_meta(session, sql, rows).await,
        Batch::Owners(rows) => import_owners(session, sql, rows).await,
        Batch::Keys(rows) => import_keys(session, sql, rows).await,
        Batch::Tombstones(rows) => import_tombstones(session, sql, rows).await,
        Batch::Usage(rows) => import_usage(session, sql, rows).await,
        Batch::UsageDays(rows) => import_usage_days(session, sql, rows).await,
        Batch::Events(rows) => import_events(session, sql, rows).await,
    }
}

/// Writes the rows that are absent. If some were there already, it compares them: a row that differs ends the
/// transaction, and rolls back what was written.
async fn insert(
    session: &Session<'_>,
    insert: &Query,
    differing: &Query,
    columns: &[&(dyn ToSql + Sync)],
    rows: usize,
    cursor: fn(&Row) -> Result<Cursor, Failure>,
) -> Result<u64, Failure> {
    let written = session.execute(insert, columns).await?;
    if written < rows as u64
        && let Some(row) = session.row(differing, columns).await?
    {
        return Err(Failure::Differs(cursor(&row)?.into()));
    }
    Ok(written)
}

/// One column of all rows.
fn all<'a, R, T>(rows: &'a [R], column: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

async fn import_meta(session: &Session<'_>, sql: &Sql, rows: &[MetaRow]) -> Result<u64, Failure> {
    let (names, values) = (all(rows, |row| &row.name), all(rows, |row| &row.value));
    let columns: [&(dyn ToSql + Sync); 2] = [&names, &values];
    let cursor = |row: &Row| Ok(Cursor::Meta(Some(column(row, 0)?)));
    insert(session, &sql.import_meta, &sql.differing_meta, &columns, rows.len(), cursor).await
}

async fn import_owners(session: &Session<'_>, sql: &Sql, rows: &[OwnerRow]) -> Result<u64, Failure> {
    let columns: [&(dyn ToSql + Sync); 6] = [
        &all(rows, |row| &row.organization),
        &all(rows, |row| &row.kind),
        &all(rows, |row| &row.id),
        &all(rows, |row| row.status.suspended_at.written()),
        &all(rows, |row| row.status.plan_suspended_at.written()),
        &all(rows, |row| row.status.closed_at.written()),
    ];
    let cursor = |row: &Row| Ok(Cursor::Owners(Some((column(row, 0)?, column(row, 1)?, column(row, 2)?))));
    insert(session, &sql.import_owners, &sql.differing_owners, &columns, rows.len(), cursor).await
}

async fn import_keys(session: &Session<'_>, sql: &Sql, rows: &[KeyRow]) -> Result<u64, Failure> {
    let columns = key_parameters(rows);
    let columns = columns.each_ref().map(|column| &**column as &(dyn ToSql + Sync));
    let cursor = |row: &Row| Ok(Cursor::Keys(Some(column(row, 0)?)));
    insert(session, &sql.insert_keys, &sql.differing_keys, &columns, rows.len(), cursor).await
}

async fn import_tombstones(session: &Session<'_>, sql: &Sql, rows: &[Tombstone]) -> Result<u64, Failure> {
    let columns: [&(dyn ToSql + Sync); 6] = [
        &all(rows, |row| &row.id),
        &all(rows, |row| &row.organization),
        &all(rows, |row| &row.lineage),
        &all(rows, |row| &row.created_via_key),
        &all(rows, |row| row.revoked_at.written()),
        &all(rows, |row| row.expires_at.written()),
    ];
    let cursor = |row: &Row| Ok(Cursor::Tombstones(Some(column(row, 0)?)));
    insert(session, &sql.import_tombstones, &sql.differing_tombstones, &columns, rows.len(), cursor).await
}

async fn import_usage(session: &Session<'_>, sql: &Sql, rows: &[UsageRow]) -> Result<u64, Failure> {
    let columns: [&(dyn ToSql + Sync); 9] = [
        &all(rows, |row| row.key.as_deref().unwrap_or_default()),
        &all(rows, |row| row.organization.as_deref().unwrap_or_default()),
        &all(rows, |row| &row.outcome),
        &all(rows, |row| &row.label),
        &all(rows, |row| &row.client),
        &all(rows, |row| &row.network),
        &all(rows, |row| row.count),
        &all(rows, |row| row.first_at.written()),
        &all(rows, |row| row.last_at.written()),
    ];
    let cursor = |row: &Row| {
        let [key, organization] = [column(row, 0)?, column(row, 1)?];
        let cursor = [key, organization, column(row, 2)?, column(row, 3)?, column(row, 4)?, column(row, 5)?];
        Ok(Cursor::Usage(Some(cursor)))
    };
    insert(session, &sql.import_usage, &sql.differing_usage, &columns, rows.len(), cursor).await
}

async fn import_usage_days(session: &Session<'_>, sql: &Sql, rows: &[UsageDayRow]) -> Result<u64, Failure> {
    let columns: [&(dyn ToSql + Sync); 4] = [
        &all(rows, |row| &row.key),
        &all(rows, |row| Day(row.day)),
        &all(rows, |row| row.accepted),
        &all(rows, |row| row.refused),
    ];
    let cursor = |row: &Row| {
        let (key, Day(day)) = (column(row, 0)?, column(row, 1)?);
        Ok(Cursor::UsageDays(Some((key, day))))
    };
    insert(session, &sql.import_usage_days, &sql.differing_usage_days, &columns, rows.len(), cursor).await
}

async fn import_events(session: &Session<'_>, sql: &Sql, rows: &[EventRow]) -> Result<u64, Failure> {
    let columns: [&(dyn ToSql + Sync); 12] = [
        &all(rows, |row| row.sequence),
        &all(rows, |row| &row.organization),
        &all(rows, |row| row.at.written()),
        &all(rows, |row| &row.actor),
        &all(rows, |row| &row.action),
        &all(rows, |row| &row.key),
        &all(rows, |row| &row.owner_kind),
        &all(rows, |row| &row.owner),
        &all(rows, |row| &row.before),
        &all(rows, |row| &row.after),
        &all(rows, |row| &row.source),
        &all(rows, |row| &row.audience),
    ];
    let cursor = |row: &Row| Ok(Cursor::Events(Some(column(row, 0)?)));
    let written = insert(session, &sql.import_events, &sql.differing_events, &columns, rows.len(), cursor).await?;
    if written > 0
        && let Some(last) = rows.iter().map(|row| row.sequence).max()
    {
        session.rows(&sql.number_events_above, &[&last]).await?;
    }
    Ok(written)
}
