use rusqlite::{Connection, OptionalExtension, params};

use super::{erase::erase, failure::Failure, key_rows, owner_rows::status_of};
use crate::{
    key::KeyId,
    owner::OrganizationId,
    record::KeyRow,
    store::{Conflict, Effect, KeyUpdate, OwnerChange, StatusOf, Write},
    time::Timestamp,
};

/// Does one write of a change, in its transaction. Triggers write the change log.
pub(super) fn write(connection: &Connection, write: &Write, at: Timestamp) -> Result<Effect, Failure> {
    match write {
        Write::Erase(erasure) => erase(connection, erasure),
        Write::Insert(row) => insert(connection, row),
        Write::Update(update) => self::update(connection, update),
        Write::Pause { organization, id, by } => pause(connection, organization, id, by, at),
        Write::Resume { organization, id, paused_at, paused_by } => {
            resume(connection, organization, id, (*paused_at, paused_by.as_deref()))
        }
        Write::Revoke { organization, id, by } => revoke(connection, organization, id, by, at),
        Write::WarnOfEnd { organization, id, expires_at, before_ms } => {
            warn_of_end(connection, organization, id, (*expires_at, *before_ms))
        }
        Write::Organization(organization, change) => {
            change_status(connection, StatusOf::organization(organization), *change, at)
        }
        Write::Owner(owner, change) => change_status(connection, StatusOf::owner(owner), *change, at),
    }
}

fn insert(connection: &Connection, row: &KeyRow) -> Result<Effect, Failure> {
    let is_new = key_rows::insert(connection, &KeyRow { version: 1, ..row.clone() })?;
    if is_new { Ok(Effect::Changed) } else { Err(Conflict::IdTaken.into()) }
}

const PAUSE: &str = "\
    update api_keys set paused_at = ?3, paused_by = ?4, version = version + 1 \
    where organization = ?1 and id = ?2 and revoked_at is null and paused_at is null";

fn pause(
    connection: &Connection,
    organization: &OrganizationId,
    id: &KeyId,
    by: &str,
    at: Timestamp,
) -> Result<Effect, Failure> {
    let row = params![organization.as_str(), id.as_str(), at.as_millis(), by];
    if connection.prepare_cached(PAUSE)?.execute(row)? > 0 {
        return Ok(Effect::Changed);
    }
    // The key is paused already, unless this fails because it cannot be paused.
    is_paused(connection, organization, id).map(|_| Effect::Unchanged)
}

const RESUME: &str = "\
    update api_keys set paused_at = null, paused_by = null, version = version + 1 \
    where organization = ?1 and id = ?2 and revoked_at is null and paused_at = ?3 and paused_by is ?4";

fn resume(
    connection: &Connection,
    organization: &OrganizationId,
    id: &KeyId,
    (paused_at, paused_by): (i64, Option<&str>),
) -> Result<Effect, Failure> {
    let row = params![organization.as_str(), id.as_str(), paused_at, paused_by];
    if connection.prepare_cached(RESUME)?.execute(row)? > 0 {
        return Ok(Effect::Changed);
    }
    if is_paused(connection, organization, id)? { Err(Conflict::Version.into()) } else { Ok(Effect::Unchanged) }
}

const IS_PAUSED: &str =
    "select revoked_at is not null, paused_at is not null from api_keys where organization = ?1 and id = ?2";

/// Whether a key that is not revoked is paused.
fn is_paused(connection: &Connection, organization: &OrganizationId, id: &KeyId) -> Result<bool, Failure> {
    let state: Option<(bool, bool)> = connection
        .prepare_cached(IS_PAUSED)?
        .query_row([organization.as_str(), id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match state.ok_or(Conflict::Missing)? {
        (true, _) => Err(Conflict::Revoked.into()),
        (false, is_paused) => Ok(is_paused),
    }
}

const STATE: &str = "select revoked_at is not null, version from api_keys where organization = ?1 and id = ?2";
const UPDATE: &str = "\
    update api_keys set name = ?3, labels = ?4, scopes = ?5, expires_at = ?6, allowed_networks = ?7, responsible = ?8, version = version + 1 \
    where organization = ?1 and id = ?2";

fn update(connection: &Connection, update: &KeyUpdate) -> Result<Effect, Failure> {
    let (organization, id) = (update.organization.as_str(), update.id.as_str());
    let state: Option<(bool, i64)> = connection
        .prepare_cached(STATE)?
        .query_row([organization, id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (is_revoked, version) = state.ok_or(Conflict::Missing)?;
    if is_revoked {
        return Err(Conflict::Revoked.into());
    }
    if version != update.expected_version {
        return Err(Conflict::Version.into());
    }
    let KeyUpdate { name, labels, scopes, allowed_networks, responsible, expires_at, .. } = update;
    let row = params![organization, id, name, labels, scopes, expires_at, allowed_networks, responsible];
    connection.prepare_cached(UPDATE)?.execute(row)?;
    Ok(Effect::Changed)
}

const REVOKE: &str = "\
    update api_keys set revoked_at = ?3, revoked_by = ?4 where organization = ?1 and id = ?2 and revoked_at is null";
const EXISTS: &str = "select exists (select 1 from api_keys where organization = ?1 and id = ?2)";

fn revoke(
    connection: &Connection,
    organization: &OrganizationId,
    id: &KeyId,
    by: &str,
    at: Timestamp,
) -> Result<Effect, Failure> {
    let (organization, id) = (organization.as_str(), id.as_str());
    if connection.prepare_cached(REVOKE)?.execute(params![organization, id, at.as_millis(), by])? > 0 {
        return Ok(Effect::Changed);
    }
    let exists: bool = connection.prepare_cached(EXISTS)?.query_row([organization, id], |row| row.get(0))?;
    if exists { Ok(Effect::Unchanged) } else { Err(Conflict::Missing.into()) }
}

const WARN_OF_END: &str = "\
    update api_keys set warned_end = ?3, warned_before_ms = ?4 \
    where organization = ?1 and id = ?2 and revoked_at is null and expires_at = ?3 \
        and (warned_end is not ?3 or warned_before_ms is null or warned_before_ms > ?4)";

fn warn_of_end(
    connection: &Connection,
    organization: &OrganizationId,
    id: &KeyId,
    (expires_at, before_ms): (i64, i64),
) -> Result<Effect, Failure> {
    let row = params![organization.as_str(), id.as_str(), expires_at, before_ms];
    let is_news = connection.prepare_cached(WARN_OF_END)?.execute(row)? > 0;
    Ok(if is_news { Effect::Changed } else { Effect::Unchanged })
}

const UPDATE_STATUS: &str = "\
    update api_key_owners set suspended_at = ?4, plan_suspended_at = ?5, closed_at = ?6 \
    where organization = ?1 and kind = ?2 and id = ?3";
const INSERT_STATUS: &str = "\
    insert into api_key_owners (organization, kind, id, suspended_at, plan_suspended_at, closed_at) \
    values (?1, ?2, ?3, ?4, ?5, ?6)";

fn change_status(
    connection: &Connection,
    of: StatusOf<'_>,
    change: OwnerChange,
    at: Timestamp,
) -> Result<Effect, Failure> {
    let stored = status_of(connection, of)?;
    let before = stored.unwrap_or_default();
    let after = change.applied_to(before, at)?;
    if after == before {
        return Ok(Effect::Unchanged);
    }
    // Two statements, not `on conflict do update`: with that, the triggers would log the owner twice.
    let sql = if stored.is_some() { UPDATE_STATUS } else { INSERT_STATUS };
    let StatusOf { organization, kind, id } = of;
    let row = params![organization, kind, id, after.suspended_at, after.plan_suspended_at, after.closed_at];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(Effect::Changed)
}
