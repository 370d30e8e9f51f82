use rusqlite::{Connection, ToSql, named_params};

use super::{failure::Failure, owner_rows::status_of};
use crate::store::{Conflict, Effect, Erasure, StatusOf};

/// The ids of the owner's keys: those that exist, and those that events name.
macro_rules! theirs {
    () => {
        "(select id from api_keys where organization = :of and kind = :kind and owner = :id \
         union select key_id from api_key_events where organization = :of and owner_kind = :kind and owner = :id \
            and key_id is not null)"
    };
}

/// The texts that name the owner as responsible for a key.
macro_rules! called {
    () => {
        "(:id, :kind || ':' || :id)"
    };
}

/// The ids of all keys of an organization, those in tombstones and events included.
macro_rules! all {
    () => {
        "(select id from api_keys where organization = :of union select id from api_key_tombstones where organization = :of \
         union select key_id from api_key_events where organization = :of and key_id is not null)"
    };
}

/// In this order: statements that look something up by the name come before the name is replaced. Triggers write
/// tombstones, and log the keys, and the status by its name; the last statement replaces that name.
const OWNER: [&str; 11] = [
    concat!("delete from api_key_usage where key_id in ", theirs!()),
    concat!("delete from api_key_usage_days where key_id in ", theirs!()),
    concat!(
        "update api_key_changes set idempotency_key = null, request_digest = null \
         where idempotency_key is not null and (key_id in ",
        theirs!(),
        " or key_id in (select id from api_keys where organization = :of and created_by = :actor))"
    ),
    concat!(
        "update api_key_events set before = null, after = null, source = null \
         where organization = :of and actor in (select 'key:' || id from ",
        theirs!(),
        ")"
    ),
    "update api_key_events set actor = 'user:' || :pseudonym, before = null, after = null, source = null \
     where organization = :of and actor = :actor",
    "update api_key_events set owner = :pseudonym, before = null, after = null, source = null \
     where organization = :of and owner_kind = :kind and owner = :id",
    concat!(
        "update api_key_events set before = null, after = null where organization = :of and (\
            action = 'key.responsible_set' and (before in ",
        called!(),
        " or after in ",
        called!(),
        ") or instr(before, '\"responsible\":' || json_quote(:id)) > 0 \
            or instr(after, '\"responsible\":' || json_quote(:id)) > 0 \
            or instr(before, '\"responsible\":' || json_quote(:kind || ':' || :id)) > 0 \
            or instr(after, '\"responsible\":' || json_quote(:kind || ':' || :id)) > 0)"
    ),
    // Before the next statement, so that the log has each of these keys once.
    "delete from api_keys where organization = :of and kind = :kind and owner = :id",
    concat!(
        "update api_keys set \
        created_by = case when created_by = :actor then 'user:' || :pseudonym else created_by end, \
        revoked_by = case when revoked_by = :actor then 'user:' || :pseudonym else revoked_by end, \
        paused_by = case when paused_by = :actor then 'user:' || :pseudonym else paused_by end, \
        responsible = case when responsible in ",
        called!(),
        " then null else responsible end \
         where organization = :of \
            and (created_by = :actor or revoked_by = :actor or paused_by = :actor or responsible in ",
        called!(),
        ")"
    ),
    "delete from api_key_owners where organization = :of and kind = :kind and id = :id",
    "update api_key_log set owner = :pseudonym where organization = :of and owner_kind = :kind and owner = :id",
];

const ORGANIZATION: [&str; 8] = [
    concat!("delete from api_key_usage where key_id in ", all!(), " or key_id = '' and organization = :of"),
    concat!("delete from api_key_usage_days where key_id in ", all!()),
    concat!(
        "update api_key_changes set idempotency_key = null, request_digest = null \
         where idempotency_key is not null and key_id in ",
        all!()
    ),
    "update api_key_events set organization = :pseudonym, \
        actor = case when substr(actor, 1, 5) = 'user:' then 'user:' || :pseudonym else actor end, \
        owner = case when owner = '' then '' else :pseudonym end, before = null, after = null, source = null \
     where organization = :of",
    "delete from api_keys where organization = :of",
    "delete from api_key_owners where organization = :of",
    "update api_key_log set organization = :pseudonym, owner = case when owner = '' then '' else :pseudonym end \
     where organization = :of",
    "update api_key_tombstones set organization = :pseudonym where organization = :of",
];

/// Erases a closed owner or organization in all rows. [`rewrite`](super::rewrite::rewrite) clears what is left in free
/// parts of the file, and [`Desk::erase`](super::desk::Desk::erase) what is left in the log.
pub(super) fn erase(connection: &Connection, erasure: &Erasure) -> Result<Effect, Failure> {
    let whose = StatusOf::erased(erasure);
    if status_of(connection, whose)?.is_none_or(|status| status.closed_at.is_none()) {
        return Err(Conflict::NotClosed.into());
    }
    let (actor, pseudonym) = (erasure.actor(), erasure.pseudonym.to_string());
    let StatusOf { organization, kind, id } = whose;
    let values: &[(&str, &dyn ToSql)] =
        named_params! {":of": organization, ":kind": kind, ":id": id, ":actor": actor, ":pseudonym": pseudonym};
    let statements: &[&str] = if erasure.owner.is_some() { &OWNER } else { &ORGANIZATION };
    for sql in statements {
        // Not cached: these statements are rarely needed.
        let mut statement = connection.prepare(sql)?;
        for (name, value) in values {
            if let Some(place) = statement.parameter_index(name)? {
                statement.raw_bind_parameter(place, value)?;
            }
        }
        statement.raw_execute()?;
    }
    Ok(Effect::Changed)
}
