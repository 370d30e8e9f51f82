use sqlx::{PgExecutor, PgPool, Row, postgres::PgRow};
use tower_api_keys::{
    KeyKind, Timestamp,
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, NamePart},
    store::{EndingQuery, EventQuery, FoundKey, FoundOwner, KeyOrder, KeyQuery, ListedKey, Liveness, OwnerRef, Page},
};

use crate::{failure::Failure, rows, time::Time};

/// Reads key and status in one statement, and so as of one moment.
pub(crate) async fn find(pool: &PgPool, id: &KeyId) -> Result<Option<FoundKey>, Failure> {
    const SQL: &str = "select k.*, k.labels::text as labels_text, o.suspended_at, o.plan_suspended_at, o.closed_at, g.suspended_at as organization_suspended_at, \
            g.plan_suspended_at as organization_plan_suspended_at, g.closed_at as organization_closed_at \
        from keys.api_keys k \
        left join keys.api_key_owners o on o.organization = k.organization and o.kind = k.kind and o.id = k.owner \
        left join keys.api_key_owners g on g.organization = k.organization and g.kind = 'organization' and g.id = '' \
        where k.id = $1";
    let row = sqlx::query(SQL).bind(id.as_str()).fetch_optional(pool).await?;
    row.as_ref().map(rows::found_key).transpose()
}

/// Reads both statuses in one statement, and so as of one moment.
pub(crate) async fn owner_status(database: impl PgExecutor<'_>, of: &OwnerRef) -> Result<FoundOwner, Failure> {
    const SQL: &str = "select suspended_at, plan_suspended_at, closed_at, kind from keys.api_key_owners \
        where organization = $1 and (kind = $2 and id = $3 or kind = 'organization' and id = '')";
    let query = sqlx::query(SQL).bind(of.organization.as_str()).bind(of.owner.kind().as_str()).bind(of.owner.id());
    let mut found = FoundOwner::default();
    for row in query.fetch_all(database).await? {
        let is_organization = row.try_get::<&str, _>("kind")? == "organization";
        *(if is_organization { &mut found.organization } else { &mut found.owner }) = rows::status(&row, "")?;
    }
    Ok(found)
}

/// One statement for all queries. A service with many keys has one for each index, as [`PostgresStore`] does.
///
/// [`PostgresStore`]: tower_api_keys::store::PostgresStore
pub(crate) async fn list(pool: &PgPool, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, Failure> {
    const SQL: &str = "select k.*, k.labels::text as labels_text, o.suspended_at, o.plan_suspended_at, o.closed_at, g.suspended_at as organization_suspended_at, \
            g.plan_suspended_at as organization_plan_suspended_at, g.closed_at as organization_closed_at, \
            c.suspended_at as creator_suspended_at, c.plan_suspended_at as creator_plan_suspended_at, \
            c.closed_at as creator_closed_at, u.successes, u.last_success, u.failures, u.last_failure, \
            h.id as successor_id, h.kind as successor_kind, h.owner as successor_owner, \
            h.created_by as successor_created_by, h.created_via_key as successor_created_via_key, \
            coalesce(p.is_live, false) as predecessor_is_live \
        from keys.api_keys k \
        left join keys.api_key_owners o on o.organization = k.organization and o.kind = k.kind and o.id = k.owner \
        left join keys.api_key_owners g on g.organization = k.organization and g.kind = 'organization' and g.id = '' \
        left join keys.api_key_owners c on c.organization = k.organization and c.kind = 'user' \
            and left(k.created_by, 5) = 'user:' and c.id = substr(k.created_by, 6) \
        left join lateral (\
            select * from (select * from keys.api_keys where replaces = k.id offset 0) s \
            where organization = k.organization and revoked_at is null \
                and (expires_at is null or $10 < expires_at) order by id limit 1\
        ) h on true \
        left join lateral (\
            select organization = k.organization and revoked_at is null \
                and (expires_at is null or $10 < expires_at) as is_live \
            from keys.api_keys where id = k.replaces offset 0\
        ) p on true \
        left join lateral (\
            select sum(count) filter (where outcome = 'success')::bigint as successes, \
                max(last_at) filter (where outcome = 'success') as last_success, \
                sum(count) filter (where outcome <> 'success')::bigint as failures, \
                max(last_at) filter (where outcome <> 'success') as last_failure \
            from keys.api_key_usage where $21 and key_id = k.id\
        ) u on true \
        where k.organization = $1 and ($3::text[] is null or k.id = any($3)) \
            and case when $14 then (k.created_at, k.id) < ($8, $9) \
                when $22 then (coalesce(k.expires_at, 'infinity'), k.id) > ($8, $9) \
                else (k.created_at, k.id) > ($8, $9) end \
            and ($23::timestamptz is null or k.expires_at < $23) \
            and ($13::timestamptz is null or k.created_at < $13) and ($15::timestamptz is null or k.created_at >= $15) \
            and ($12::text is null or k.replaces = $12) and ($24::text is null or k.lineage = $24) \
            and ($2::text is null or k.kind = $2) and ($16::text[] is null or (k.kind, k.owner) in \
                (select * from unnest($16::text[], $17::text[]))) \
            and ($18::text is null or strpos(translate(k.name, $19, $20), $18) > 0) \
            and ($4::text is null or k.created_by = $4) and ($5::text is null or k.created_via_key = $5) \
            and ($6::boolean is null \
                or $6 = (k.revoked_at is null and (k.expires_at is null or $10 < k.expires_at))) \
            and ($7::timestamptz is null or coalesce((select max(last_at) from keys.api_key_usage \
                where key_id = k.id and outcome = 'success') < $7, true)) \
        order by case when $14 then k.created_at end desc, case when $14 then k.id end desc, \
            case when $22 then coalesce(k.expires_at, 'infinity') else k.created_at end, k.id limit $11";
    let (after, after_id) = match &query.after {
        // Keys without an end come last.
        Some(cursor) if query.order == KeyOrder::SoonestEndFirst => {
            (cursor.expires_at.map_or(i64::MAX, Timestamp::as_millis), cursor.id.as_str())
        }
        Some(cursor) => (cursor.created_at.as_millis(), cursor.id.as_str()),
        None if query.order == KeyOrder::NewestFirst => (i64::MAX, ""),
        None => (i64::MIN, ""),
    };
    let (kinds, owners): (Vec<_>, Vec<_>) = query.owners.iter().map(|of| (of.kind().as_str(), of.id())).unzip();
    let (kinds, owners) = if owners.is_empty() { (None, None) } else { (Some(kinds), Some(owners)) };
    let (capitals, letters) = query.named_like.as_ref().map(NamePart::capitals).unzip();
    let rows = sqlx::query(SQL)
        .bind(query.organization.as_str())
        .bind(query.kind.map(KeyKind::as_str))
        .bind((!query.keys.is_empty()).then(|| query.keys.iter().map(KeyId::as_str).collect::<Vec<_>>()))
        .bind(query.creator.as_ref().map(ToString::to_string))
        .bind(query.created_via_key.as_ref().map(|maker| maker.as_str()))
        .bind(query.liveness.map(|liveness| liveness == Liveness::Live))
        .bind(query.unused_since.map(Timestamp::as_millis).map(Time))
        .bind(Time(after))
        .bind(after_id)
        .bind(Time(now.as_millis()))
        .bind(i64::from(query.limit) + 1)
        .bind(query.predecessor.as_ref().map(|predecessor| predecessor.as_str()))
        .bind(query.created_before.map(Timestamp::as_millis).map(Time))
        .bind(query.order == KeyOrder::NewestFirst)
        .bind(query.created_since.map(Timestamp::as_millis).map(Time))
        .bind(kinds)
        .bind(owners)
        .bind(query.named_like.as_ref().map(NamePart::as_str))
        .bind(capitals)
        .bind(letters)
        .bind(query.with_usage)
        .bind(query.order == KeyOrder::SoonestEndFirst)
        .bind(query.expires_before.map(Timestamp::as_millis).map(Time))
        .bind(query.lineage.as_ref().map(|first| first.as_str()))
        .fetch_all(pool)
        .await?;
    page(&rows, query.limit, |row| rows::listed_key(row, query.with_usage))
}

pub(crate) async fn ending(pool: &PgPool, query: &EndingQuery) -> Result<Vec<KeyRow>, Failure> {
    // The first condition has to be word for word that of an index.
    const SQL: &str = "select *, labels::text as labels_text from keys.api_keys \
        where revoked_at is null and expires_at is not null \
            and (warned_end is null or warned_end <> expires_at or warned_before_ms is null or warned_before_ms <> 0) \
            and ($1::timestamptz is null or expires_at > $1) and expires_at <= $2 \
            and (warned_end is distinct from expires_at or warned_before_ms is null or warned_before_ms > $3) \
        order by expires_at, id limit $4";
    let query = sqlx::query(SQL)
        .bind(query.after.map(Timestamp::as_millis).map(Time))
        .bind(Time(query.until.as_millis()))
        .bind(query.before_ms)
        .bind(i64::from(query.limit));
    query.fetch_all(pool).await?.iter().map(rows::key).collect()
}

/// Numbers are in commit order, because each transaction that gives one holds the lock of the log. A trigger takes it.
pub(crate) async fn feed(pool: &PgPool, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, Failure> {
    const SQL: &str = "select * from keys.api_key_events where not is_attempt and 1 * sequence > $1 \
        order by 1 * sequence limit $2";
    let query = sqlx::query(SQL).bind(after.unwrap_or(i64::MIN)).bind(i64::from(limit) + 1);
    page(&query.fetch_all(pool).await?, limit, rows::event)
}

pub(crate) async fn events(pool: &PgPool, query: &EventQuery) -> Result<Page<EventRow>, Failure> {
    const SQL: &str = "select * from keys.api_key_events where organization = $1 and is_attempt = $13 \
            and case when $12 then sequence < $2 else sequence > $2 end \
            and ($3::text is null or key_id = $3) \
            and ($4::text is null or owner_kind = $4) and ($5::text is null or owner = $5) \
            and ($6::text is null or actor = $6) and ($7::text is null or action = $7) \
            and ($8::text is null or source = $8) \
            and ($9::timestamptz is null or at >= $9) and ($10::timestamptz is null or at < $10) \
        order by case when $12 then -sequence else sequence end limit $11";
    let rows = sqlx::query(SQL)
        .bind(query.organization.as_str())
        .bind(query.after.unwrap_or(if query.newest_first { i64::MAX } else { i64::MIN }))
        .bind(query.key.as_ref().map(|key| key.as_str()))
        .bind(query.owner.as_ref().map(|owner| owner.kind().as_str()))
        .bind(query.owner.as_ref().map(|owner| owner.id()))
        .bind(query.actor.as_ref().map(ToString::to_string))
        .bind(&query.action)
        .bind(&query.source)
        .bind(query.from.map(Timestamp::as_millis).map(Time))
        .bind(query.until.map(Timestamp::as_millis).map(Time))
        .bind(i64::from(query.limit) + 1)
        .bind(query.newest_first)
        .bind(query.attempts)
        .fetch_all(pool)
        .await?;
    page(&rows, query.limit, rows::event)
}

/// The statement reads one row more than the limit, to know whether more follow.
fn page<T>(rows: &[PgRow], limit: u16, read: impl Fn(&PgRow) -> Result<T, Failure>) -> Result<Page<T>, Failure> {
    let limit = usize::from(limit);
    Ok(Page { rows: rows.iter().take(limit).map(read).collect::<Result<_, _>>()?, more: rows.len() > limit })
}
