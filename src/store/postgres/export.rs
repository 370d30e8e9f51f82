use tokio_postgres::{Row, types::ToSql};

use super::{
    day::Day,
    event_rows::event_row,
    failure::Failure,
    key_rows::{column, key_row, status, time},
    session::Sessions,
    sql::{Query, Sql},
};
use crate::{
    store::transfer::{Batch, Cursor, MetaRow, OwnerRow, Page, Tombstone},
    usage::{UsageDayRow, UsageRow},
};

pub(super) async fn export(sessions: &Sessions, sql: &Sql, from: &Cursor, limit: u16) -> Result<Page, Failure> {
    let most = i64::from(limit.max(1));
    let rows = match from {
        Cursor::Meta(after) => {
            let (cursor, first) = text(after);
            Batch::Meta(read(sessions, &sql.export_meta, &[&cursor, &first, &most], meta_row).await?)
        }
        Cursor::Owners(after) => {
            let ([organization, kind, id], first) = words(after);
            let params: [&(dyn ToSql + Sync); 5] = [&organization, &kind, &id, &first, &most];
            Batch::Owners(read(sessions, &sql.export_owners, &params, owner_row).await?)
        }
        Cursor::Keys(after) => {
            let (cursor, first) = text(after);
            Batch::Keys(read(sessions, &sql.export_keys, &[&cursor, &first, &most], key_row).await?)
        }
        Cursor::Tombstones(after) => {
            let (cursor, first) = text(after);
            Batch::Tombstones(read(sessions, &sql.export_tombstones, &[&cursor, &first, &most], tombstone).await?)
        }
        Cursor::Usage(after) => {
            let words = after.as_ref().map_or([""; 6], |after| after.each_ref().map(|word| &**word));
            let [key, organization, outcome, label, client, network] = &words;
            let params: [&(dyn ToSql + Sync); 8] =
                [key, organization, outcome, label, client, network, &after.is_none(), &most];
            Batch::Usage(read(sessions, &sql.export_usage, &params, usage_row).await?)
        }
        Cursor::UsageDays(after) => {
            let (key, day) = after.as_ref().map_or(("", Day(i32::MIN)), |(key, day)| (key, Day(*day)));
            let params: [&(dyn ToSql + Sync); 4] = [&key, &day, &after.is_none(), &most];
            Batch::UsageDays(read(sessions, &sql.export_usage_days, &params, day_row).await?)
        }
        Cursor::Events(after) => {
            let params: [&(dyn ToSql + Sync); 3] = [&after.unwrap_or(i64::MIN), &after.is_none(), &most];
            Batch::Events(read(sessions, &sql.export_events, &params, event_row).await?)
        }
    };
    Ok(Page::of(rows, limit))
}

/// Nothing comes before the empty text.
fn text(after: &Option<String>) -> (&str, bool) {
    (after.as_deref().unwrap_or_default(), after.is_none())
}

fn words(after: &Option<(String, String, String)>) -> ([&str; 3], bool) {
    let words = after.as_ref().map(|(one, two, three)| [one.as_str(), two, three]);
    (words.unwrap_or_default(), words.is_none())
}

async fn read<T>(
    sessions: &Sessions,
    query: &Query,
    params: &[&(dyn ToSql + Sync)],
    row: fn(&Row) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    sessions.rows(query, params).await?.iter().map(row).collect()
}

fn meta_row(row: &Row) -> Result<MetaRow, Failure> {
    Ok(MetaRow { name: column(row, 0)?, value: column(row, 1)? })
}

fn owner_row(row: &Row) -> Result<OwnerRow, Failure> {
    let status = status(row, 3)?;
    Ok(OwnerRow { organization: column(row, 0)?, kind: column(row, 1)?, id: column(row, 2)?, status })
}

fn tombstone(row: &Row) -> Result<Tombstone, Failure> {
    Ok(Tombstone {
        id: column(row, 0)?,
        organization: column(row, 1)?,
        lineage: column(row, 2)?,
        created_via_key: column(row, 3)?,
        revoked_at: time(row, 4)?,
        expires_at: time(row, 5)?,
    })
}

pub(super) fn usage_row(row: &Row) -> Result<UsageRow, Failure> {
    let [key, organization] = [column(row, 0)?, column(row, 1)?].map(|word: String| (!word.is_empty()).then_some(word));
    Ok(UsageRow {
        key,
        organization,
        outcome: column(row, 2)?,
        label: column(row, 3)?,
        client: column(row, 4)?,
        network: column(row, 5)?,
        count: column(row, 6)?,
        first_at: time(row, 7)?,
        last_at: time(row, 8)?,
    })
}

pub(super) fn day_row(row: &Row) -> Result<UsageDayRow, Failure> {
    let Day(day) = column(row, 1)?;
    Ok(UsageDayRow { key: column(row, 0)?, day, accepted: column(row, 2)?, refused: column(row, 3)? })
}
