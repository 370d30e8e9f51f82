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
    store::{Exported, MetaRow, OwnerRow, Place, Rows, Tombstone},
    usage::{UsageDayRow, UsageRow},
};

pub(super) async fn export(sessions: &Sessions, sql: &Sql, from: &Place, limit: u16) -> Result<Exported, Failure> {
    let most = i64::from(limit.max(1));
    let rows = match from {
        Place::Meta(after) => {
            let (place, first) = text(after);
            Rows::Meta(read(sessions, &sql.export_meta, &[&place, &first, &most], meta_row).await?)
        }
        Place::Owners(after) => {
            let ([organization, kind, id], first) = words(after);
            let params: [&(dyn ToSql + Sync); 5] = [&organization, &kind, &id, &first, &most];
            Rows::Owners(read(sessions, &sql.export_owners, &params, owner_row).await?)
        }
        Place::Keys(after) => {
            let (place, first) = text(after);
            Rows::Keys(read(sessions, &sql.export_keys, &[&place, &first, &most], key_row).await?)
        }
        Place::Tombstones(after) => {
            let (place, first) = text(after);
            Rows::Tombstones(read(sessions, &sql.export_tombstones, &[&place, &first, &most], tombstone).await?)
        }
        Place::Usage(after) => {
            let [key, outcome, label, client, network] =
                after.as_ref().map_or([""; 5], |after| after.each_ref().map(|word| &**word));
            let params: [&(dyn ToSql + Sync); 7] = [&key, &outcome, &label, &client, &network, &after.is_none(), &most];
            Rows::Usage(read(sessions, &sql.export_usage, &params, usage_row).await?)
        }
        Place::UsageDays(after) => {
            let (key, day) = after.as_ref().map_or(("", Day(i32::MIN)), |(key, day)| (key, Day(*day)));
            let params: [&(dyn ToSql + Sync); 4] = [&key, &day, &after.is_none(), &most];
            Rows::UsageDays(read(sessions, &sql.export_usage_days, &params, day_row).await?)
        }
        Place::Events(after) => {
            let params: [&(dyn ToSql + Sync); 3] = [&after.unwrap_or(i64::MIN), &after.is_none(), &most];
            Rows::Events(read(sessions, &sql.export_events, &params, event_row).await?)
        }
    };
    Ok(Exported::page(rows, limit))
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
    })
}

pub(super) fn usage_row(row: &Row) -> Result<UsageRow, Failure> {
    let key: String = column(row, 0)?;
    Ok(UsageRow {
        key: (!key.is_empty()).then_some(key),
        outcome: column(row, 1)?,
        label: column(row, 2)?,
        client: column(row, 3)?,
        network: column(row, 4)?,
        count: column(row, 5)?,
        first_at: time(row, 6)?,
        last_at: time(row, 7)?,
    })
}

pub(super) fn day_row(row: &Row) -> Result<UsageDayRow, Failure> {
    let Day(day) = column(row, 1)?;
    Ok(UsageDayRow { key: column(row, 0)?, day, accepted: column(row, 2)?, refused: column(row, 3)? })
}
