use sqlx::{PgConnection, Row};
use tower_api_keys::{
    Owner, Timestamp,
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow},
    store::{Applied, Change, Conflict, DeadKeys, Effect, Guard, KeyUpdate, OwnerChange, Write},
};

use crate::{
    failure::Failure,
    read::owner_status,
    rows::{self, split},
    time::Time,
};

/// Does a change in a transaction that holds the lock of the change log, so that all it reads is committed.
pub(crate) async fn apply(connection: &mut PgConnection, change: &Change) -> Result<Applied, Failure> {
    const FIRST: &str = "select effects from keys.api_key_changes where id = $1";
    const DONE_UNDER: &str = "select key_id, request_digest from keys.api_key_changes where idempotency_key = $1";
    const REMEMBER: &str = "insert into keys.api_key_changes \
        (id, at, idempotency_key, request_digest, key_id, effects) values ($1, $2, $3, $4, $5, $6)";
    let id = change.id.to_bytes();
    if let Some(row) = sqlx::query(FIRST).bind(&id[..]).fetch_optional(&mut *connection).await? {
        return effects(row.try_get(0)?);
    }
    if let Some(request) = &change.idempotency
        && let Some(done) = sqlx::query(DONE_UNDER).bind(&request.key).fetch_optional(&mut *connection).await?
    {
        return Err(request.used_for(done.try_get(0)?, done.try_get(1)?).into());
    }
    for (place, guard) in change.guards.iter().enumerate() {
        check(connection, place, guard, change.at).await?;
    }
    let mut applied = Applied { effects: Vec::new() };
    let mut events = Vec::new();
    for audited in &change.writes {
        let outcome = write(connection, &audited.write, change.at).await?;
        if outcome == Effect::Changed {
            events.push(&audited.event);
        }
        applied.effects.push(outcome);
    }
    insert_events(connection, &events).await?;
    let (key, digest) = change.idempotency.as_ref().map(|request| (&request.key, &request.digest[..])).unzip();
    let remember = sqlx::query(REMEMBER).bind(&id[..]).bind(Time(change.at.as_millis())).bind(key).bind(digest);
    remember.bind(change.key_made()).bind(letters(&applied)).execute(&mut *connection).await?;
    Ok(applied)
}

async fn check(connection: &mut PgConnection, place: usize, guard: &Guard, at: Timestamp) -> Result<(), Failure> {
    const IS_LIVE: &str = "select exists (select 1 from keys.api_keys \
        where id = $1 and revoked_at is null and (expires_at is null or $2 < expires_at))";
    // Plain SQL may write microseconds, which the crate does not read.
    const HAS_RIGHTS: &str = "select exists (select 1 from keys.api_keys where id = $1 and array_to_string(scopes, ' ') = $2 \
        and paused_at is null and array_to_string(allowed_networks, ' ') is not distinct from $4 \
        and date_trunc('milliseconds', expires_at) is not distinct from $3)";
    const HAS_NO_SUCCESSOR: &str = "select not exists (select 1 from keys.api_keys \
        where replaces = $1 and revoked_at is null and (expires_at is null or $2 < expires_at))";
    const ISSUED_BELOW: &str = "select count(*) < $7 from (\
        select 1 from keys.api_keys where organization = $1 and created_by = $4 and created_at between $5 and $6 \
        union all select 1 from keys.api_keys maker join keys.api_keys made on made.organization = $1 \
            and made.created_via_key = maker.id and made.created_at between $5 and $6 and made.created_by <> $4 \
        where maker.organization = $1 and maker.kind = $2 and maker.owner = $3 limit $7) made";
    const LIVE_KEYS_BELOW: &str = "select count(*) < $5 from (select 1 from keys.api_keys \
        where organization = $1 and kind = $2 and owner = $3 \
            and revoked_at is null and (expires_at is null or $4 < expires_at) limit $5) live";
    let (holds, conflict) = match guard {
        Guard::IssuedBelow { by, since, until, limit } => {
            let person = match &by.owner {
                Owner::User(user) => format!("user:{user}"),
                Owner::Team(_) => String::new(), // which makes keys with its keys only
            };
            let query = sqlx::query_scalar(ISSUED_BELOW).bind(by.organization.as_str());
            let query = query.bind(by.owner.kind().as_str()).bind(by.owner.id()).bind(person);
            let query = query.bind(Time(since.as_millis())).bind(Time(until.as_millis())).bind(i64::from(*limit));
            (query.fetch_one(&mut *connection).await?, Conflict::Guard(place))
        }
        Guard::LiveKeysBelow { owner: of, limit } => {
            let query = sqlx::query_scalar(LIVE_KEYS_BELOW).bind(of.organization.as_str());
            let query = query.bind(of.owner.kind().as_str()).bind(of.owner.id());
            let query = query.bind(Time(at.as_millis())).bind(i64::from(*limit));
            (query.fetch_one(&mut *connection).await?, Conflict::Guard(place))
        }
        Guard::Live(id) => {
            let query = sqlx::query_scalar(IS_LIVE).bind(id.as_str()).bind(Time(at.as_millis()));
            (query.fetch_one(&mut *connection).await?, Conflict::Guard(place))
        }
        Guard::NoLiveSuccessor(id) => {
            let query = sqlx::query_scalar(HAS_NO_SUCCESSOR).bind(id.as_str()).bind(Time(at.as_millis()));
            (query.fetch_one(&mut *connection).await?, Conflict::Successor)
        }
        Guard::SameRights { key, scopes, allowed_networks, expires_at } => {
            let end = expires_at.map(|end| Time(end.as_millis()));
            let query = sqlx::query_scalar(HAS_RIGHTS).bind(key.as_str()).bind(scopes).bind(end).bind(allowed_networks);
            (query.fetch_one(&mut *connection).await?, Conflict::Guard(place))
        }
        Guard::SameVersion { key, version } => {
            const SQL: &str = "select exists (select 1 from keys.api_keys where id = $1 and version = $2)";
            let query = sqlx::query_scalar(SQL).bind(key.as_str()).bind(version);
            (query.fetch_one(&mut *connection).await?, Conflict::Guard(place))
        }
        Guard::OwnerActive(owner) => (owner_status(&mut *connection, owner).await?.is_active(), Conflict::Guard(place)),
        // A guard of a newer version of the crate: this store cannot promise what it does not know.
        _ => (false, Conflict::Guard(place)),
    };
    if holds { Ok(()) } else { Err(conflict.into()) }
}

/// Does one write. Triggers write the change log.
async fn write(connection: &mut PgConnection, write: &Write, at: Timestamp) -> Result<Effect, Failure> {
    match write {
        Write::Erase(erasure) => {
            // A function of the database; the migration says which rows it changes.
            const SQL: &str = "select keys.api_key_erase($1, $2, $3, $4)";
            let (kind, id) =
                erasure.owner.as_ref().map_or(("organization", ""), |owner| (owner.kind().as_str(), owner.id()));
            let query = sqlx::query_scalar(SQL).bind(erasure.organization.as_str()).bind(kind).bind(id);
            match query.bind(erasure.pseudonym.to_string()).fetch_one(&mut *connection).await? {
                true => Ok(Effect::Changed),
                false => Err(Conflict::NotClosed.into()),
            }
        }
        Write::Insert(row) => insert(connection, row).await,
        Write::Update(update) => self::update(connection, update).await,
        Write::Pause { organization, id, by } => {
            const SQL: &str = "update keys.api_keys set paused_at = $3, paused_by = $4, version = version + 1 \
                where organization = $1 and id = $2 and revoked_at is null and paused_at is null";
            let query =
                sqlx::query(SQL).bind(organization.as_str()).bind(id.as_str()).bind(Time(at.as_millis())).bind(by);
            if query.execute(&mut *connection).await?.rows_affected() > 0 {
                return Ok(Effect::Changed);
            }
            // The key is paused already, unless this fails because it cannot be paused.
            is_paused(connection, organization.as_str(), id.as_str()).await.map(|_| Effect::Unchanged)
        }
        Write::Resume { organization, id, paused_at, paused_by } => {
            const SQL: &str = "update keys.api_keys set paused_at = null, paused_by = null, version = version + 1 \
                where organization = $1 and id = $2 and revoked_at is null and paused_at = $3 \
                    and paused_by is not distinct from $4";
            let query =
                sqlx::query(SQL).bind(organization.as_str()).bind(id.as_str()).bind(Time(*paused_at)).bind(paused_by);
            if query.execute(&mut *connection).await?.rows_affected() > 0 {
                return Ok(Effect::Changed);
            }
            match is_paused(connection, organization.as_str(), id.as_str()).await? {
                true => Err(Conflict::Version.into()),
                false => Ok(Effect::Unchanged),
            }
        }
        Write::Revoke { organization, id, by } => {
            const SQL: &str = "update keys.api_keys set revoked_at = $3, revoked_by = $4 \
                where organization = $1 and id = $2 and revoked_at is null";
            let query =
                sqlx::query(SQL).bind(organization.as_str()).bind(id.as_str()).bind(Time(at.as_millis())).bind(by);
            if query.execute(&mut *connection).await?.rows_affected() > 0 {
                return Ok(Effect::Changed);
            }
            state(connection, organization.as_str(), id.as_str()).await.map(|_| Effect::Unchanged)
        }
        Write::WarnOfEnd { organization, id, expires_at, before_ms } => {
            const SQL: &str = "update keys.api_keys set warned_end = $3, warned_before_ms = $4 \
                where organization = $1 and id = $2 and revoked_at is null and expires_at = $3 \
                    and (warned_end is distinct from $3 or warned_before_ms is null or warned_before_ms > $4)";
            let query = sqlx::query(SQL).bind(organization.as_str()).bind(id.as_str());
            let noted = query.bind(Time(*expires_at)).bind(before_ms).execute(&mut *connection).await?;
            Ok(if noted.rows_affected() > 0 { Effect::Changed } else { Effect::Unchanged })
        }
        // The kind and the id of an organization's own status.
        Write::Organization(of, step) => change_status(connection, (of.as_str(), "organization", ""), *step, at).await,
        Write::Owner(of, step) => {
            let whose = (of.organization.as_str(), of.owner.kind().as_str(), of.owner.id());
            change_status(connection, whose, *step, at).await
        }
        _ => Err(Failure::Refused("a write of a newer version of the crate".into())),
    }
}

async fn insert(connection: &mut PgConnection, row: &KeyRow) -> Result<Effect, Failure> {
    // The primary key makes an id unique, not an earlier look-up. Ids of purged keys are not used again.
    const SQL: &str = "insert into keys.api_keys (organization, id, kind, owner, name, labels, hash, tag, pepper_id, \
            scopes, created_by, created_via_key, created_at, expires_at, revoked_at, revoked_by, replaces, proof, \
            allowed_networks, limits, imported_from, responsible, paused_at, paused_by, lineage, \
            predecessor_expires_at, grace_ends_at, warned_end, warned_before_ms) \
        select $1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
            $21, $22, $23, $24, $25, $26, $27, $28, $29 \
        where not exists (select 1 from keys.api_key_tombstones where id = $2) on conflict (id) do nothing";
    let inserted = sqlx::query(SQL)
        .bind(&row.organization)
        .bind(&row.id)
        .bind(&row.kind)
        .bind(&row.owner)
        .bind(&row.name)
        .bind(&row.labels)
        .bind(&row.hash)
        .bind(&row.tag[..])
        .bind(row.pepper_id)
        .bind(split(&row.scopes))
        .bind(&row.created_by)
        .bind(&row.created_via_key)
        .bind(Time(row.created_at))
        .bind(row.expires_at.map(Time))
        .bind(row.revoked_at.map(Time))
        .bind(&row.revoked_by)
        .bind(&row.replaces)
        .bind(&row.proof)
        .bind(row.allowed_networks.as_deref().map(split))
        .bind(&row.limits)
        .bind(&row.imported_from)
        .bind(&row.responsible)
        .bind(row.paused_at.map(Time))
        .bind(&row.paused_by)
        .bind(&row.lineage)
        .bind(row.predecessor_expires_at.map(Time))
        .bind(row.grace_ends_at.map(Time))
        .bind(row.warned_end.map(Time))
        .bind(row.warned_before_ms)
        .execute(&mut *connection)
        .await?;
    if inserted.rows_affected() == 0 { Err(Conflict::IdTaken.into()) } else { Ok(Effect::Changed) }
}

/// Whether the key is revoked, and its version.
async fn state(connection: &mut PgConnection, organization: &str, id: &str) -> Result<(bool, i64), Failure> {
    const SQL: &str = "select revoked_at is not null, version from keys.api_keys where organization = $1 and id = $2";
    let state = sqlx::query_as(SQL).bind(organization).bind(id).fetch_optional(&mut *connection).await?;
    Ok(state.ok_or(Conflict::Missing)?)
}

/// Whether a key that is not revoked is paused.
async fn is_paused(connection: &mut PgConnection, organization: &str, id: &str) -> Result<bool, Failure> {
    const SQL: &str = "select revoked_at is not null, paused_at is not null from keys.api_keys \
        where organization = $1 and id = $2";
    let state = sqlx::query_as(SQL).bind(organization).bind(id).fetch_optional(&mut *connection).await?;
    match state.ok_or(Conflict::Missing)? {
        (true, _) => Err(Conflict::Revoked.into()),
        (false, is_paused) => Ok(is_paused),
    }
}

async fn update(connection: &mut PgConnection, update: &KeyUpdate) -> Result<Effect, Failure> {
    const SQL: &str = "update keys.api_keys \
        set name = $3, labels = $4::text::jsonb, scopes = $5, expires_at = $6, allowed_networks = $7, responsible = $8, version = version + 1 \
        where organization = $1 and id = $2";
    let (organization, id) = (update.organization.as_str(), update.id.as_str());
    match state(connection, organization, id).await? {
        (true, _) => return Err(Conflict::Revoked.into()),
        (false, version) if version != update.expected_version => return Err(Conflict::Version.into()),
        _ => {}
    }
    let query = sqlx::query(SQL).bind(organization).bind(id).bind(&update.name).bind(&update.labels);
    let query = query.bind(split(&update.scopes)).bind(update.expires_at.map(Time));
    query
        .bind(update.allowed_networks.as_deref().map(split))
        .bind(&update.responsible)
        .execute(&mut *connection)
        .await?;
    Ok(Effect::Changed)
}

/// Organization, kind and id of a status.
type Whose<'a> = (&'a str, &'a str, &'a str);

async fn change_status(
    connection: &mut PgConnection,
    whose: Whose<'_>,
    step: OwnerChange,
    at: Timestamp,
) -> Result<Effect, Failure> {
    const SQL: &str = "\
        insert into keys.api_key_owners (organization, kind, id, suspended_at, plan_suspended_at, closed_at) \
        values ($1, $2, $3, $4, $5, $6) on conflict (organization, kind, id) do update \
        set suspended_at = excluded.suspended_at, plan_suspended_at = excluded.plan_suspended_at, \
            closed_at = excluded.closed_at";
    let (organization, kind, id) = whose;
    let before = status(connection, whose).await?;
    let after = step.applied_to(before, at)?;
    if after == before {
        return Ok(Effect::Unchanged);
    }
    let [suspended_at, plan_suspended_at, closed_at] =
        [after.suspended_at, after.plan_suspended_at, after.closed_at].map(|at| at.map(Time));
    let query = sqlx::query(SQL).bind(organization).bind(kind).bind(id);
    query.bind(suspended_at).bind(plan_suspended_at).bind(closed_at).execute(&mut *connection).await?;
    Ok(Effect::Changed)
}

async fn status(connection: &mut PgConnection, (organization, kind, id): Whose<'_>) -> Result<OwnerStatusRow, Failure> {
    const SQL: &str = "select suspended_at, plan_suspended_at, closed_at from keys.api_key_owners \
        where organization = $1 and kind = $2 and id = $3";
    let row = sqlx::query(SQL).bind(organization).bind(kind).bind(id).fetch_optional(&mut *connection).await?;
    row.map_or(Ok(OwnerStatusRow::default()), |row| rows::status(&row, ""))
}

/// Purges dead keys, each with its event. A trigger writes the tombstones.
pub(crate) async fn purge(connection: &mut PgConnection, dead: &DeadKeys) -> Result<u64, Failure> {
    const SQL: &str = "with gone as (delete from keys.api_keys where id in (\
            select id from keys.api_keys k \
            where least(revoked_at, expires_at) < $1 and kind in ('user', 'team') \
                and not exists (select 1 from keys.api_keys n where n.replaces = k.id \
                    and (least(n.revoked_at, n.expires_at) < $1) is not true) \
                and not exists (select 1 from keys.api_keys p where p.id = k.replaces \
                    and (least(p.revoked_at, p.expires_at) < $1) is not true) \
                and not exists (select 1 from keys.api_keys m \
                    where m.organization = k.organization and m.created_via_key = k.id) \
            order by least(revoked_at, expires_at), id limit $2\
        ) returning organization, id, kind, owner) \
        insert into keys.api_key_events (organization, at, actor, action, key_id, owner_kind, owner, audience) \
        select organization, $3, 'system:pruner', 'key.purged', id, kind, owner, 'subject' from gone";
    let most = i64::try_from(dead.limit()).unwrap_or(i64::MAX);
    let query = sqlx::query(SQL).bind(Time(dead.ended_before.as_millis())).bind(most);
    Ok(query.bind(Time(dead.at.as_millis())).execute(&mut *connection).await?.rows_affected())
}

/// Writes events in this order.
pub(crate) async fn insert_events(connection: &mut PgConnection, events: &[&EventRow]) -> Result<(), Failure> {
    const SQL: &str = "insert into keys.api_key_events \
            (organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience) \
        select organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience \
        from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
            $9::text[], $10::text[], $11::text[]) with ordinality \
            as e (organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience, place) \
        order by place";
    let text = |of: fn(&EventRow) -> &str| events.iter().map(|event| of(event)).collect::<Vec<_>>();
    let optional =
        |of: fn(&EventRow) -> &Option<String>| events.iter().map(|event| of(event).as_deref()).collect::<Vec<_>>();
    sqlx::query(SQL)
        .bind(text(|event| &event.organization))
        .bind(events.iter().map(|event| Time(event.at)).collect::<Vec<_>>())
        .bind(text(|event| &event.actor))
        .bind(text(|event| &event.action))
        .bind(optional(|event| &event.key))
        .bind(text(|event| &event.owner_kind))
        .bind(text(|event| &event.owner))
        .bind(optional(|event| &event.before))
        .bind(optional(|event| &event.after))
        .bind(optional(|event| &event.source))
        .bind(text(|event| &event.audience))
        .execute(&mut *connection)
        .await?;
    Ok(())
}

fn letters(applied: &Applied) -> String {
    let letter = |outcome: &Effect| match outcome {
        Effect::Unchanged => 'u',
        Effect::Changed => 'w',
    };
    applied.effects.iter().map(letter).collect()
}

fn effects(letters: &str) -> Result<Applied, Failure> {
    let outcome = |letter| match letter {
        'u' => Ok(Effect::Unchanged),
        'w' => Ok(Effect::Changed),
        _ => Err(Failure::Corrupt("no outcome has this letter".into())),
    };
    Ok(Applied { effects: letters.chars().map(outcome).collect::<Result<_, _>>()? })
}
