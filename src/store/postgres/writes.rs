use std::collections::HashSet;

use super::{failure::Failure, key_rows::column, owner_rows::owner_status, session::Session, sql::Sql};
use crate::{
    key::KeyId,
    owner::{OrganizationId, OwnerRef},
    record::KeyRow,
    store::{AuditedWrite, Conflict, Effect, KeyUpdate, OwnerChange, Write},
    time::Timestamp,
};

/// One write of a change, in its session. The change log is the triggers' business.
pub(super) async fn write(session: &Session<'_>, sql: &Sql, write: &Write, at: Timestamp) -> Result<Effect, Failure> {
    match write {
        Write::Insert(row) => insert(session, sql, row).await,
        Write::Update(update) => self::update(session, sql, update).await,
        Write::Revoke { organization, id, by } => revoke(session, sql, organization, id, by, at).await,
        Write::Owner(owner, change) => change_owner(session, sql, owner, *change, at).await,
    }
}

async fn insert(session: &Session<'_>, sql: &Sql, row: &KeyRow) -> Result<Effect, Failure> {
    let inserted = session
        .execute(
            &sql.insert,
            &[
                &row.organization,
                &row.id,
                &row.kind,
                &row.owner,
                &row.name,
                &row.labels,
                &row.hash,
                &row.tag.as_slice(),
                &row.pepper_id,
                &row.scopes,
                &row.created_by,
                &row.created_via_key,
                &row.created_at,
                &row.expires_at,
                &row.revoked_at,
                &row.revoked_by,
                &row.replaces,
            ],
        )
        .await?;
    if inserted == 0 { Err(Conflict::IdTaken.into()) } else { Ok(Effect::Changed) }
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
        .execute(&sql.update, &[&organization, &id, &update.name, &update.labels, &update.scopes, &update.expires_at])
        .await?;
    Ok(Effect::Changed)
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
    if session.execute(&sql.revoke, &[&organization, &id, &at.as_millis(), &by]).await? > 0 {
        return Ok(Effect::Changed);
    }
    let exists = session.row(&sql.state, &[&organization, &id]).await?.is_some();
    if exists { Ok(Effect::Unchanged) } else { Err(Conflict::Missing.into()) }
}

/// A revocation.
#[derive(Clone, Copy)]
pub(super) struct Revocation<'a> {
    organization: &'a str,
    id: &'a str,
    by: &'a str,
}

/// The revocations with which these writes begin, as far as one statement can do them: of different keys of one
/// organization, by one actor.
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

/// Revokes these keys in one statement, which is a tenth of the work of fifty.
pub(super) async fn revoke_all(
    session: &Session<'_>,
    sql: &Sql,
    run: &[Revocation<'_>],
    at: Timestamp,
) -> Result<Vec<Effect>, Failure> {
    let Some(Revocation { organization, by, .. }) = run.first() else { return Ok(Vec::new()) };
    let ids: Vec<&str> = run.iter().map(|revocation| revocation.id).collect();
    let rows = session.rows(&sql.revoke_all, &[organization, &ids, &at.as_millis(), by]).await?;
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

async fn change_owner(
    session: &Session<'_>,
    sql: &Sql,
    of: &OwnerRef,
    change: OwnerChange,
    at: Timestamp,
) -> Result<Effect, Failure> {
    let (organization, kind, id) = (of.organization.as_str(), of.owner.kind().as_str(), of.owner.id());
    let before = owner_status(session, sql, of).await?;
    let after = change.applied_to(before, at)?;
    if after == before {
        return Ok(Effect::Unchanged);
    }
    session
        .execute(
            &sql.set_status,
            &[&organization, &kind, &id, &after.suspended_at, &after.plan_suspended_at, &after.closed_at],
        )
        .await?;
    Ok(Effect::Changed)
}
