use sqlx::PgPool;
use tower_api_keys::{
    store::UsageScope,
    usage::{UsageBatch, UsageRow},
};

use crate::{failure::Failure, rows, time::Time};

/// One statement: the writer's sequence and the counts stand or fall together. In the order of keys, so that two of them
/// lock rows in one order.
pub(crate) async fn record(pool: &PgPool, batch: &UsageBatch) -> Result<(), Failure> {
    const SQL: &str = "with next as (\
            insert into keys.api_key_usage_writers as w (writer, sequence) values ($1, $2) \
            on conflict (writer) do update set sequence = excluded.sequence where excluded.sequence > w.sequence \
            returning 1\
        ) \
        insert into keys.api_key_usage as u (key_id, outcome, source, count, first_at, last_at) \
        select key_id, outcome, source, sum(count)::bigint, min(first_at), max(last_at) \
        from unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[]) \
            as b (key_id, outcome, source, count, first_at, last_at) \
        where exists (select 1 from next) \
        group by key_id, outcome, source order by key_id, outcome, source \
        on conflict (key_id, outcome, source) do update set count = u.count + excluded.count, \
            first_at = least(u.first_at, excluded.first_at), last_at = greatest(u.last_at, excluded.last_at)";
    let text = |of: fn(&UsageRow) -> &str| batch.rows.iter().map(of).collect::<Vec<_>>();
    let number = |of: fn(&UsageRow) -> i64| batch.rows.iter().map(of).collect::<Vec<_>>();
    sqlx::query(SQL)
        .bind(&batch.writer[..])
        .bind(batch.sequence)
        .bind(text(|row| row.key.as_deref().unwrap_or_default()))
        .bind(text(|row| &row.outcome))
        .bind(text(|row| &row.source))
        .bind(number(|row| row.count))
        .bind(number(|row| row.first_at).into_iter().map(Time).collect::<Vec<_>>())
        .bind(number(|row| row.last_at).into_iter().map(Time).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(())
}

pub(crate) async fn read(pool: &PgPool, of: &UsageScope) -> Result<Vec<UsageRow>, Failure> {
    const SQL: &str = "select * from keys.api_key_usage where key_id = any($1) order by key_id, outcome, source";
    let keys = match of {
        UsageScope::Keys(ids) => ids.iter().map(|id| id.as_str()).collect(),
        UsageScope::NoKey => vec![""],
    };
    sqlx::query(SQL).bind(keys).fetch_all(pool).await?.iter().map(rows::usage).collect()
}
