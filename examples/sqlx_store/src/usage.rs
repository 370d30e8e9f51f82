use sqlx::PgPool;
use tower_api_keys::{
    key::KeyId,
    store::UsageScope,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use crate::{failure::Failure, rows, time::Time};

/// One statement, so that the writer's sequence and the counts are written together or not at all. In the order of
/// keys, so that two such statements lock rows in the same order.
pub(crate) async fn record(pool: &PgPool, batch: &UsageBatch) -> Result<(), Failure> {
    const SQL: &str = "with next as (\
            insert into keys.api_key_usage_writers as w (writer, sequence) values ($1, $2) \
            on conflict (writer) do update set sequence = excluded.sequence where excluded.sequence > w.sequence \
            returning 1\
        ), days as (\
            insert into keys.api_key_usage_days as d (key_id, day, accepted, refused) \
            select key_id, date '1970-01-01' + day, accepted, refused \
            from unnest($12::text[], $13::int[], $14::bigint[], $15::bigint[]) as b (key_id, day, accepted, refused) \
            where exists (select 1 from next) order by key_id, day \
            on conflict (key_id, day) do update set accepted = d.accepted + excluded.accepted, \
                refused = d.refused + excluded.refused\
        ) \
        insert into keys.api_key_usage as u \
            (key_id, organization, outcome, label, client, network, count, first_at, last_at) \
        select key_id, organization, outcome, label, client, network, sum(count)::bigint, min(first_at), max(last_at) \
        from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], \
            $10::timestamptz[], $11::timestamptz[]) \
            as b (key_id, organization, outcome, label, client, network, count, first_at, last_at) \
        where exists (select 1 from next) \
        group by key_id, organization, outcome, label, client, network \
        order by key_id, organization, outcome, label, client, network \
        on conflict (key_id, organization, outcome, label, client, network) do update \
        set count = u.count + excluded.count, first_at = least(u.first_at, excluded.first_at), last_at = greatest(u.last_at, excluded.last_at)";
    let text = |of: fn(&UsageRow) -> &str| batch.rows.iter().map(of).collect::<Vec<_>>();
    let number = |of: fn(&UsageRow) -> i64| batch.rows.iter().map(of).collect::<Vec<_>>();
    let days = &batch.days;
    sqlx::query(SQL)
        .bind(&batch.writer[..])
        .bind(batch.sequence)
        .bind(text(|row| row.key.as_deref().unwrap_or_default()))
        .bind(text(|row| row.organization.as_deref().unwrap_or_default()))
        .bind(text(|row| &row.outcome))
        .bind(text(|row| &row.label))
        .bind(text(|row| &row.client))
        .bind(text(|row| &row.network))
        .bind(number(|row| row.count))
        .bind(number(|row| row.first_at).into_iter().map(Time).collect::<Vec<_>>())
        .bind(number(|row| row.last_at).into_iter().map(Time).collect::<Vec<_>>())
        .bind(days.iter().map(|row| row.key.as_str()).collect::<Vec<_>>())
        .bind(days.iter().map(|row| row.day).collect::<Vec<_>>())
        .bind(days.iter().map(|row| row.accepted).collect::<Vec<_>>())
        .bind(days.iter().map(|row| row.refused).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(())
}

pub(crate) async fn read(pool: &PgPool, of: &UsageScope) -> Result<Vec<UsageRow>, Failure> {
    const SQL: &str = "select * from keys.api_key_usage where key_id = any($1) and organization = any($2) \
        order by key_id, organization, outcome, label, client, network";
    let (keys, organizations) = match of {
        UsageScope::Keys(ids) => (ids.iter().map(|id| id.as_str()).collect(), vec![""]),
        UsageScope::NoKey(of) => (vec![""], of.iter().map(|of| of.as_ref().map_or("", |of| of.as_str())).collect()),
    };
    sqlx::query(SQL).bind(keys).bind(organizations).fetch_all(pool).await?.iter().map(rows::usage).collect()
}

pub(crate) async fn days(pool: &PgPool, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, Failure> {
    const SQL: &str = "select key_id, day - date '1970-01-01' as day, accepted, refused from keys.api_key_usage_days \
        where key_id = any($1) and day - date '1970-01-01' between $2 and $2::bigint + 399 order by key_id, day";
    let keys: Vec<&str> = keys.iter().map(KeyId::as_str).collect();
    sqlx::query(SQL).bind(keys).bind(from).fetch_all(pool).await?.iter().map(rows::usage_day).collect()
}
