use super::{
    day::Day,
    export::{day_row, usage_row},
    failure::Failure,
    session::Sessions,
    sql::Sql,
    time::IsTime,
};
use crate::{
    key::KeyId,
    owner::OrganizationId,
    store::UsageScope,
    usage::{DAYS, UsageBatch, UsageDayRow, UsageRow},
};

pub(super) async fn record_usage(sessions: &Sessions, sql: &Sql, batch: &UsageBatch) -> Result<(), Failure> {
    // Sequences begin at 1.
    if batch.sequence < 1 {
        return Ok(());
    }
    let text = |of: fn(&UsageRow) -> &str| batch.rows.iter().map(of).collect::<Vec<_>>();
    let number = |of: fn(&UsageRow) -> i64| batch.rows.iter().map(of).collect::<Vec<_>>();
    let days = &batch.days;
    sessions
        .execute(
            &sql.record_usage,
            &[
                &batch.writer.as_slice(),
                &batch.sequence,
                &text(|row| row.key.as_deref().unwrap_or_default()),
                &text(|row| row.organization.as_deref().unwrap_or_default()),
                &text(|row| &row.outcome),
                &text(|row| &row.label),
                &text(|row| &row.client),
                &text(|row| &row.network),
                &number(|row| row.count),
                &number(|row| row.first_at).into_iter().map(IsTime::written).collect::<Vec<_>>(),
                &number(|row| row.last_at).into_iter().map(IsTime::written).collect::<Vec<_>>(),
                &days.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(),
                &days.iter().map(|row| Day(row.day)).collect::<Vec<_>>(),
                &days.iter().map(|row| row.accepted).collect::<Vec<_>>(),
                &days.iter().map(|row| row.refused).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn usage(sessions: &Sessions, sql: &Sql, of: &UsageScope) -> Result<Vec<UsageRow>, Failure> {
    let (sql, asked): (_, Vec<&str>) = match of {
        UsageScope::Keys(ids) => (&sql.usage, ids.iter().map(KeyId::as_str).collect()),
        UsageScope::NoKey(of) => {
            let word = |of| Option::as_ref(of).map_or("", OrganizationId::as_str);
            (&sql.usage_without_key, of.iter().map(word).collect())
        }
    };
    sessions.rows(sql, &[&asked]).await?.iter().map(usage_row).collect()
}

pub(super) async fn usage_days(
    sessions: &Sessions,
    sql: &Sql,
    keys: &[KeyId],
    from: i32,
) -> Result<Vec<UsageDayRow>, Failure> {
    let keys: Vec<&str> = keys.iter().map(KeyId::as_str).collect();
    let (from, until) = (Day(from), Day(from.saturating_add(DAYS)));
    sessions.rows(&sql.usage_days, &[&keys, &from, &until]).await?.iter().map(day_row).collect()
}
