use tokio_postgres::types::ToSql;

use super::{
    event_rows::insert_events,
    failure::Failure,
    key_rows::column,
    owner_rows::{Parameters, found_owner},
    session::Session,
    sql::{Query, Sql},
    time::IsTime,
    writes::{revocations, revoke_all, write},
};
use crate::{
    store::{Applied, Change, Conflict, Effect, Guard, StatusOf, created_by},
    time::Timestamp,
};

/// Does a change in a session that holds the lock of the change log, so that all it reads is committed.
pub(super) async fn apply(session: &Session<'_>, sql: &Sql, change: &Change) -> Result<Applied, Failure> {
    let id = change.id.to_bytes();
    if let Some(row) = session.row(&sql.applied, &[&id.as_slice()]).await? {
        return effects(column(&row, 0)?);
    }
    if let Some(request) = &change.idempotency
        && let Some(done) = session.row(&sql.done_under, &[&request.key]).await?
    {
        return Err(request.used_for(column(&done, 0)?, column(&done, 1)?).into());
    }
    for (place, guard) in change.guards.iter().enumerate() {
        check(session, sql, place, guard, change.at).await?;
    }
    let mut applied = Applied { effects: Vec::with_capacity(change.writes.len()) };
    let mut rest = change.writes.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let run = revocations(rest);
        let effects = if run.len() > 1 {
            rest = rest.get(run.len()..).unwrap_or_default();
            revoke_all(session, sql, &run, change.at).await?
        } else {
            rest = others;
            vec![write(session, sql, &first.write, change.at).await?]
        };
        applied.effects.extend(effects);
    }
    let written = change.writes.iter().zip(&applied.effects).filter(|(_, outcome)| **outcome == Effect::Changed);
    let events: Vec<_> = written.map(|(audited, _)| &audited.event).collect();
    insert_events(session, sql, &events).await?;
    let (key, digest) = change.idempotency.as_ref().map(|request| (&request.key, request.digest.as_slice())).unzip();
    let (at, key_made, letters) = (change.at.as_millis().written(), change.key_made(), letters(&applied));
    let row: [&(dyn ToSql + Sync); 6] = [&id.as_slice(), &at, &key, &digest, &key_made, &letters];
    session.execute(&sql.remember, &row).await?;
    Ok(applied)
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

async fn check(session: &Session<'_>, sql: &Sql, place: usize, guard: &Guard, at: Timestamp) -> Result<(), Failure> {
    let at = at.as_millis().written();
    let (holds, conflict) = match guard {
        Guard::IssuedBelow { by, since, until, limit } => {
            let (organization, owner, person) = (by.organization.as_str(), &by.owner, created_by(&by.owner));
            let (since, until) = (since.as_millis().written(), until.as_millis().written());
            let limit = i64::from(*limit);
            let made: [&(dyn ToSql + Sync); 7] =
                [&organization, &owner.kind().as_str(), &owner.id(), &person, &since, &until, &limit];
            (is_true(session, &sql.issued_below, &made).await?, Conflict::Guard(place))
        }
        Guard::LiveKeysBelow { owner: of, limit } => {
            let (organization, owner) = (of.organization.as_str(), &of.owner);
            let live: [&(dyn ToSql + Sync); 5] =
                [&organization, &owner.kind().as_str(), &owner.id(), &at, &i64::from(*limit)];
            (is_true(session, &sql.live_keys_below, &live).await?, Conflict::Guard(place))
        }
        Guard::Live(id) => {
            let is_live = is_true(session, &sql.is_live, &[&id.as_str(), &at]).await?;
            (is_live, Conflict::Guard(place))
        }
        Guard::NoLiveSuccessor(id) => {
            let has_one = is_true(session, &sql.has_live_successor, &[&id.as_str(), &at]).await?;
            (!has_one, Conflict::Successor)
        }
        Guard::SameRights { key, scopes, allowed_networks, expires_at } => {
            let end = expires_at.map(Timestamp::as_millis).written();
            let rights: [&(dyn ToSql + Sync); 4] = [&key.as_str(), scopes, &end, allowed_networks];
            (is_true(session, &sql.has_rights, &rights).await?, Conflict::Guard(place))
        }
        Guard::SameVersion { key, version } => {
            let is_same = is_true(session, &sql.has_version, &[&key.as_str(), version]).await?;
            (is_same, Conflict::Guard(place))
        }
        Guard::OwnerActive(of) => (
            found_owner(&session.rows(&sql.statuses, &StatusOf::owner(of).parameters()).await?)?.is_active(),
            Conflict::Guard(place),
        ),
    };
    if holds { Ok(()) } else { Err(conflict.into()) }
}

async fn is_true(session: &Session<'_>, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<bool, Failure> {
    session.row(query, params).await?.map_or(Ok(false), |row| column(&row, 0))
}
