use std::collections::HashSet;

use tokio_postgres::types::ToSql;

use super::{
    failure::Failure,
    key_rows::{column, key_parameters, status},
    owner_rows::Parameters,
    session::Session,
    sql::Sql,
    time::IsTime,
};
use crate::{
    key::KeyId,
    owner::OrganizationId,
    record::{KeyRow, OwnerStatusRow},
    store::{AuditedWrite, Conflict, Effect, Erasure, KeyUpdate, OwnerChange, StatusOf, Write},
    time::Timestamp,
};

/// Does one write of a change, in its session. Triggers write the change log.
pub(super) async fn write(session: &Session<'_>, sql: &Sql, write: &Write, at: Timestamp) -> Result<Effect, Failure> {
    match write {
        Write::Erase(erasure) => erase(session, sql, erasure).await,
        Write::Insert(row) => insert(session, sql, row).await,
        Write::Update(update) => self::update(session, sql, update).await,
        Write::Pause { organization, id, by } => pause(session, sql, organization, id, by, at).await,
        Write::Resume { organization, id, paused_at, paused_by } => {
            resume(session, sql, organization, id, (*paused_at, paused_by.as_deref())).await
        }
        Write::Revoke { organization, id, by } => revoke(session, sql, organization, id, by, at).await,
        Write::WarnOfEnd { organization, id, expires_at, before_ms } => {
            warn_of_end(session, sql, organization, id, (*expires_at, *before_ms)).await
        }
        Write::Organization(organization, change) => {
            change_status(session, sql, StatusOf::organization(organization), *change, at).await
        }
        Write::Owner(owner, change) => change_status(session, sql, StatusOf::owner(owner), *change, at).await,
    }
}

/// Erases by a function of the database: a node has no right to delete a key or to change an event.
async fn erase(session: &Session<'_>, sql: &Sql, erasure: &Erasure) -> Result<Effect, Failure> {
    let StatusOf { organization, kind, id } = StatusOf::erased(erasure);
    let whom: [&(dyn ToSql + Sync); 4] = [&organization, &kind, &id, &erasure.pseudonym.to_string()];
    let was_closed = session.row(&sql.erase, &whom).await?.map_or(Ok(false), |row| column(&row, 0))?;
    if was_closed { Ok(Effect::Changed) } else { Err(Conflict::NotClosed.into()) }
}

async fn insert(session: &Session<'_>, sql: &Sql, row: &KeyRow) -> Result<Effect, Failure> {
    let rows = [KeyRow { version: 1, ..row.clone() }];
    let columns = key_parameters(&rows);
    let columns = columns.each_ref().map(|column| &**column as &(dyn ToSql + Sync));
    if session.execute(&sql.insert_keys, &columns).await? == 0 {
        Err(Conflict::IdTaken.into())
    } else {
        Ok(Effect::Changed)
    }
}

async fn update(session: &Session<'_>, sql: &Sql, update: &KeyUpdate) -> Result<Effect, Failure> {
    let (organization, id) = (update.organization.as_str(), update.id.as_str());
    let state = session.row(&sql.state, &[&organization, &id]).await?.ok_or(Conflict::Missing)?;
    if column(&state, 0)? {
        return Err(Conflict::Revoked.into());
    }
    if column::<i64>(&state, 1)? != update.expected_version {
        return Err(Conflict::Version.into());
    }
    session
        .execute(
            &sql.update,
            &[
                &organization,
                &id,
                &update.name,
                &update.labels,
                &update.scopes,
                &update.expires_at.written(),
                &update.allowed_networks,
                &update.responsible,
            ],
        )
        .await?;
    Ok(Effect::Changed)
}

async fn pause(
    session: &Session<'_>,
    sql: &Sql,
    organization: &OrganizationId,
    id: &KeyId,
    by: &str,
    at: Timestamp,
) -> Result<Effect, Failure> {
    let (organization, id) = (organization.as_str(), id.as_str());
    if session.execute(&sql.pause, &[&organization, &id, &at.as_millis().written(), &by]).await? > 0 {
        return Ok(Effect::Changed);
    }
    // The key is paused already, unless this fails because it cannot be paused.
    is_paused(session, sql, organization, id).await.map(|_| Effect::Unchanged)
}

async fn resume(
    session: &Session<'_>,
    sql: &Sql,
    organization: &OrganizationId,
    id: &KeyId,
    (paused_at, paused_by): (i64, Option<&str>),
) -> Result<Effect, Failure> {
    let (organization, id) = (organization.as_str(), id.as_str());
    if session.execute(&sql.resume, &[&organization, &id, &paused_at.written(), &paused_by]).await? > 0 {
        return Ok(Effect::Changed);
    }
    if is_paused(session, sql, organization, id).await? { Err(Conflict::Version.into()) } else { Ok(Effect::Unchanged) }
}

/// Whether a key that is not revoked is paused.
async fn is_paused(session: &Session<'_>, sql: &Sql, organization: &str, id: &str) -> Result<bool, Failure> {
    let state = session.row(&sql.state, &[&organization, &id]).await?.ok_or(Conflict::Missing)?;
    if column(&state, 0)? { Err(Conflict::Revoked.into()) } else { column(&state, 2) }
}

async fn revoke(
    session: &Session<'_>,
    sql: &Sql,
    organization: &OrganizationId,
    id: &KeyId,
    by: &str,
    at: Timestamp,
) -> Result<Effect, Failure> {
    let (organization, id) = (organization.as_str(), id.as_str());
    if session.execute(&sql.revoke, &[&organization, &id, &at.as_millis().written(), &by]).await? > 0 {
        return Ok(Effect::Changed);
    }
    let exists = session.row(&sql.state, &[&organization, &id]).await?.is_some();
    if exists { Ok(Effect::Unchanged) } else { Err(Conflict::Missing.into()) }
}

async fn warn_of_end(
    session: &Session<'_>,
    sql: &Sql,
    organization: &OrganizationId,
    id: &KeyId,
    (expires_at, before_ms): (i64, i64),
) -> Result<Effect, Failure> {
    let row: [&(dyn ToSql + Sync); 4] = [&organization.as_str(), &id.as_str(), &expires_at.written(), &before_ms];
    let is_news = session.execute(&sql.warn_of_end, &row).await? > 0;
    Ok(if is_news { Effect::Changed } else { Effect::Unchanged })
}

/// A revocation of one key.
#[derive(Clone, Copy)]
pub(super) struct Revocation<'a> {
    organization: &'a str,
    id: &'a str,
    by: &'a str,
}

/// The revocations at the start of these writes that one statement can do: of different keys of one organization, by
/// one actor.
pub(super) fn revocations(writes: &[AuditedWrite]) -> Vec<Revocation<'_>> {
    let mut run: Vec<Revocation<'_>> = Vec::new();
    for next in writes.iter().map_while(revocation) {
        let goes_with = |other: &Revocation<'_>| {
            (other.organization, other.by) == (next.organization, next.by) && other.id != next.id
        };
        if !run.iter().all(goes_with) {
            break;
        }
        run.push(next);
    }
    run
}

fn revocation(audited: &AuditedWrite) -> Option<Revocation<'_>> {
    match &audited.write {
        Write::Revoke { organization, id, by } => {
            Some(Revocation { organization: organization.as_str(), id: id.as_str(), by })
        }
        _ => None,
    }
}

/// Revokes these keys in one statement, which is a tenth of the work of fifty statements.
pub(super) async fn revoke_all(
    session: &Session<'_>,
    sql: &Sql,
    run: &[Revocation<'_>],
    at: Timestamp,
) -> Result<Vec<Effect>, Failure> {
    let Some(Revocation { organization, by, .. }) = run.first() else { return Ok(Vec::new()) };
    let ids: Vec<&str> = run.iter().map(|revocation| revocation.id).collect();
    let rows = session.rows(&sql.revoke_all, &[organization, &ids, &at.as_millis().written(), by]).await?;
    let revoked = rows.iter().map(|row| column(row, 0)).collect::<Result<HashSet<String>, _>>()?;
    let mut effects = Vec::with_capacity(ids.len());
    for id in ids {
        let is_there = revoked.contains(id) || session.row(&sql.state, &[organization, &id]).await?.is_some();
        effects.push(match revoked.contains(id) {
            true => Effect::Changed,
            false if is_there => Effect::Unchanged,
            false => return Err(Conflict::Missing.into()),
        });
    }
    Ok(effects)
}

async fn change_status(
    session: &Session<'_>,
    sql: &Sql,
    of: StatusOf<'_>,
    change: OwnerChange,
    at: Timestamp,
) -> Result<Effect, Failure> {
    let row = session.row(&sql.status, &of.parameters()).await?;
    let before = row.map_or(Ok(OwnerStatusRow::default()), |row| status(&row, 0))?;
    let after = change.applied_to(before, at)?;
    if after == before {
        return Ok(Effect::Unchanged);
    }
    let [organization, kind, id] = of.parameters();
    let times = [after.suspended_at, after.plan_suspended_at, after.closed_at].map(IsTime::written);
    let [suspended_at, plan_suspended_at, closed_at] = &times;
    session.execute(&sql.set_status, &[organization, kind, id, suspended_at, plan_suspended_at, closed_at]).await?;
    Ok(Effect::Changed)
}
