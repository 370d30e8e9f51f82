use rusqlite::{Connection, OptionalExtension, params};

use super::{
    event_rows::insert_event,
    failure::{Failure, corrupt_column},
    owner_rows::find_owner,
    rewrite::rewrite,
    transaction::{begin, commit},
    writes::write,
};
use crate::{
    store::{Applied, Change, ChangeId, Conflict, Effect, Guard, IdempotentRequest, created_by},
    time::Timestamp,
};

pub(super) fn apply(connection: &mut Connection, change: &Change) -> Result<Applied, Failure> {
    // Takes the lock that orders the log before anything is read.
    let transaction = begin(connection)?;
    if let Some(applied) = applied_before(&transaction, change.id)? {
        return Ok(applied);
    }
    if let Some(request) = &change.idempotency
        && let Some(conflict) = done_under(&transaction, request)?
    {
        return Err(conflict.into());
    }
    for (place, guard) in change.guards.iter().enumerate() {
        check(&transaction, place, guard, change.at)?;
    }
    let mut applied = Applied { effects: Vec::with_capacity(change.writes.len()) };
    for audited in &change.writes {
        let outcome = write(&transaction, &audited.write, change.at)?;
        if outcome == Effect::Changed {
            insert_event(&transaction, &audited.event)?;
        }
        applied.effects.push(outcome);
    }
    remember(&transaction, change, &applied)?;
    if change.writes.iter().any(|audited| audited.write.erases()) {
        rewrite(&transaction)?;
    }
    commit(transaction)?;
    Ok(applied)
}

const APPLIED: &str = "select effects from api_key_changes where id = ?1";

fn applied_before(connection: &Connection, id: ChangeId) -> Result<Option<Applied>, rusqlite::Error> {
    let effects: Option<String> =
        connection.prepare_cached(APPLIED)?.query_row([id.to_bytes()], |row| row.get(0)).optional()?;
    effects
        .map(|letters| letters.chars().map(outcome).collect())
        .transpose()
        .map(|effects| effects.map(|effects| Applied { effects }))
}

fn outcome(letter: char) -> Result<Effect, rusqlite::Error> {
    match letter {
        'u' => Ok(Effect::Unchanged),
        'w' => Ok(Effect::Changed),
        _ => Err(corrupt_column(0, "no outcome has this letter")),
    }
}

const DONE_UNDER: &str = "select key_id, request_digest from api_key_changes where idempotency_key = ?1";

/// The conflict with an earlier change under this idempotency key, if there is one.
fn done_under(connection: &Connection, request: &IdempotentRequest) -> Result<Option<Conflict>, Failure> {
    let done = connection.prepare_cached(DONE_UNDER)?.query_row([&request.key], |row| {
        Ok(request.used_for(row.get_ref(0)?.as_str_or_null()?, row.get_ref(1)?.as_blob()?))
    });
    Ok(done.optional()?)
}

const REMEMBER: &str = "\
    insert into api_key_changes (id, at, idempotency_key, request_digest, key_id, effects) \
    values (?1, ?2, ?3, ?4, ?5, ?6)";

fn remember(connection: &Connection, change: &Change, applied: &Applied) -> Result<(), rusqlite::Error> {
    let letter = |outcome: &Effect| match outcome {
        Effect::Unchanged => 'u',
        Effect::Changed => 'w',
    };
    let effects: String = applied.effects.iter().map(letter).collect();
    let (key, digest) = change.idempotency.as_ref().map(|request| (&request.key, request.digest)).unzip();
    let row = params![change.id.to_bytes(), change.at.as_millis(), key, digest, change.key_made(), effects];
    connection.prepare_cached(REMEMBER)?.execute(row)?;
    Ok(())
}

const IS_LIVE: &str = "\
    select exists (\
        select 1 from api_keys where id = ?1 and revoked_at is null and (expires_at is null or ?2 < expires_at)\
    )";
const HAS_RIGHTS: &str = "\
    select exists (select 1 from api_keys \
        where id = ?1 and scopes = ?2 and expires_at is ?3 and allowed_networks is ?4 and paused_at is null)";
const HAS_VERSION: &str = "select exists (select 1 from api_keys where id = ?1 and version = ?2)";
const HAS_LIVE_SUCCESSOR: &str = "\
    select exists (\
        select 1 from api_keys where replaces = ?1 and revoked_at is null and (expires_at is null or ?2 < expires_at)\
    )";

pub(super) const ISSUED: &str = "\
    select count(*) from (\
        select 1 from api_keys where organization = ?1 and created_by = ?4 and created_at between ?5 and ?6 \
        union all \
        select 1 from api_keys maker cross join api_keys made on made.organization = ?1 and made.created_via_key = maker.id \
            and made.created_at between ?5 and ?6 and made.created_by <> ?4 \
        where maker.organization = ?1 and maker.kind = ?2 and maker.owner = ?3 limit ?7\
    )";
pub(super) const LIVE_KEYS: &str = "\
    select count(*) from (\
        select 1 from api_keys where organization = ?1 and kind = ?2 and owner = ?3 \
        and revoked_at is null and (expires_at is null or ?4 < expires_at) limit ?5\
    )";

fn check(connection: &Connection, place: usize, guard: &Guard, at: Timestamp) -> Result<(), Failure> {
    let at = at.as_millis();
    let (holds, conflict) = match guard {
        Guard::IssuedBelow { by, since, until, limit } => {
            let (organization, owner, person) = (by.organization.as_str(), &by.owner, created_by(&by.owner));
            let (since, until) = (since.as_millis(), until.as_millis());
            let made = params![organization, owner.kind().as_str(), owner.id(), person, since, until, limit];
            let count: u32 = connection.prepare_cached(ISSUED)?.query_row(made, |row| row.get(0))?;
            (count < *limit, Conflict::Guard(place))
        }
        Guard::LiveKeysBelow { owner: of, limit } => {
            let owner = (of.organization.as_str(), of.owner.kind().as_str(), of.owner.id(), at, limit);
            let count: u32 = connection.prepare_cached(LIVE_KEYS)?.query_row(owner, |row| row.get(0))?;
            (count < *limit, Conflict::Guard(place))
        }
        Guard::Live(id) => {
            let is_live = connection.prepare_cached(IS_LIVE)?.query_row(params![id.as_str(), at], |row| row.get(0))?;
            (is_live, Conflict::Guard(place))
        }
        Guard::NoLiveSuccessor(id) => {
            let mut statement = connection.prepare_cached(HAS_LIVE_SUCCESSOR)?;
            let has_one: bool = statement.query_row(params![id.as_str(), at], |row| row.get(0))?;
            (!has_one, Conflict::Successor)
        }
        Guard::SameRights { key, scopes, allowed_networks, expires_at } => {
            let rights = params![key.as_str(), scopes, expires_at.map(Timestamp::as_millis), allowed_networks];
            let is_same = connection.prepare_cached(HAS_RIGHTS)?.query_row(rights, |row| row.get(0))?;
            (is_same, Conflict::Guard(place))
        }
        Guard::SameVersion { key, version } => {
            let mut statement = connection.prepare_cached(HAS_VERSION)?;
            let is_same = statement.query_row(params![key.as_str(), version], |row| row.get(0))?;
            (is_same, Conflict::Guard(place))
        }
        Guard::OwnerActive(of) => (find_owner(connection, of)?.is_active(), Conflict::Guard(place)),
    };
    if holds { Ok(()) } else { Err(conflict.into()) }
}
