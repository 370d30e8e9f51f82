//! The greatest length of every column: the longest values, in one column at a time, so that a failure names the
//! column. The lengths come from the library's own table.

mod values;

use std::slice::from_ref;

use tower_api_keys::{
    KeyKind, OrganizationId, Owner, Timestamp,
    audit::EventRow,
    record::{OwnerStatusRow, Suspension},
    store::{
        Change, Column, Conflict, EventQuery, Head, IdempotentRequest, KeyReader, KeyStore, Ledger, OwnerChange,
        OwnerRef, UsageScope, Write,
        transfer::{Batch, PortableStore, Tombstone},
    },
    usage::{UsageBatch, UsageDayRow},
};

use self::values::{almost, of, set_event, set_key, set_usage, unknown, values};
use crate::{
    Candidate, Unmet,
    follow::News,
    rows::{imported, stands},
    scene::{Scene, at},
    unmet::{conflicts, ensure, made, same},
    usage,
};

pub(crate) async fn keys_are_kept_at_their_longest<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    for column in of("api_keys") {
        for value in values(column)? {
            let mut key = Scene::new()?.key()?;
            if column.name != "id" {
                set_key(&mut key.row, column.name, &value)?;
            }
            let kept = async {
                candidate.written(&Scene::new()?.insert([&key])).await?;
                kept(&candidate.found(&key.id).await?.key, &key.row)
            };
            about(column, &value, kept.await)?;
        }
    }
    Ok(())
}

pub(crate) async fn the_longest_owner_is_logged<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    for column in of("api_key_log") {
        for value in values(column)? {
            let (scene, head) = (Scene::new()?, candidate.head().await?);
            let logged = async {
                let (news, told) = match column.name {
                    "owner" | "organization" => {
                        let owner = owner_with(&scene, column.name, &value)?;
                        let news = suspended(candidate, &scene, Write::Owner(owner.clone(), SUSPENDED), head).await?;
                        let told = news.tells_of_owner(&owner);
                        (news, told)
                    }
                    "owner_kind" => {
                        let write = Write::Organization(scene.organization(), SUSPENDED);
                        let news = suspended(candidate, &scene, write, head).await?;
                        let told = news.tells_of_organization(&scene.organization());
                        (news, told)
                    }
                    "key_id" => {
                        let key = scene.key()?;
                        candidate.written(&scene.insert([&key])).await?;
                        let news = suspended(candidate, &scene, key.revoke(), head).await?;
                        let told = news.tells_of_key(&key.id);
                        (news, told)
                    }
                    other => return Err(unknown(other)),
                };
                ensure("the log to tell of it", told, news)
            };
            about(column, &value, logged.await)?;
        }
    }
    Ok(())
}

pub(crate) async fn the_longest_owner_has_a_status<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let expected = OwnerStatusRow { suspended_at: Some(at(1).as_millis()), ..OwnerStatusRow::default() };
    for column in of("api_key_owners") {
        for value in values(column)? {
            let scene = Scene::new()?;
            let status = async {
                if column.name == "kind" {
                    let write = Write::Organization(scene.organization(), SUSPENDED);
                    candidate.written(&scene.change(at(1), vec![write])).await?;
                    return kept(&candidate.owner_status(&scene.owner()).await?.organization, &expected);
                }
                let (owner, other) = (owner_with(&scene, column.name, &value)?, almost(&value));
                let other = owner_with(&scene, column.name, &other)?;
                candidate.written(&scene.change(at(1), vec![Write::Owner(owner.clone(), SUSPENDED)])).await?;
                kept(&candidate.owner_status(&owner).await?.owner, &expected)?;
                let other = candidate.owner_status(&other).await?.owner;
                same("the status of another owner, whose id ends in another way", &other, &OwnerStatusRow::default())
            };
            about(column, &value, status.await)?;
        }
    }
    Ok(())
}

pub(crate) async fn the_longest_idempotency_key_works_once<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    for column in of("api_key_changes") {
        for value in values(column)? {
            let scene = Scene::new()?;
            // The id of the new key has a fixed length.
            let word = if column.name == "key_id" { scene.word() } else { value.clone() };
            let request = |key: String| Some(IdempotentRequest { key, digest: [1; 32] });
            let (key, second, third) = (scene.key()?, scene.key()?, scene.key()?);
            let worked = async {
                let first = Change { idempotency: request(word.clone()), ..scene.insert([&key]) };
                candidate.written(&first).await?;
                let again = Change { idempotency: request(word.clone()), ..scene.insert([&second]) };
                let used = Conflict::IdempotencyKeyUsed { key: Some(key.id), same_request: true };
                conflicts("a used idempotency key", candidate.apply(&again).await, used)?;
                let other = Change { idempotency: request(almost(&word)), ..scene.insert([&third]) };
                candidate.written(&other).await
            };
            about(column, &value, worked.await)?;
        }
    }
    Ok(())
}

pub(crate) async fn names_and_notes_are_kept_at_their_longest<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    for column in of("api_key_meta").chain(of("api_key_notes")) {
        for value in values(column)? {
            let scene = Scene::new()?;
            let named = match column.name {
                "name" => [(value.clone(), vec![1]), (almost(&value), vec![2])],
                "value" => [value.clone(), almost(&value)].map(|value| (scene.word(), value.into_bytes())),
                other => return Err(unknown(other)),
            };
            let stands = async {
                for (name, bytes) in named {
                    let seen = match column.table {
                        "api_key_meta" => {
                            candidate.put_meta(&name, &bytes).await?;
                            candidate.put_meta(&name, b"later").await?
                        }
                        _ => {
                            candidate.replace_note(&name, b"", &bytes).await?;
                            candidate.replace_note(&name, b"", b"").await?
                        }
                    };
                    kept(&seen, &bytes)?;
                }
                Ok(())
            };
            about(column, &value, stands.await)?;
        }
    }
    Ok(())
}

pub(crate) async fn events_are_kept_at_their_longest<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for column in of("api_key_events") {
        for value in values(column)? {
            let scene = Scene::new()?;
            let mut event = scene.event(at(1));
            set_event(&mut event, column.name, &value)?;
            let query = EventQuery::all(made(OrganizationId::new(&event.organization))?);
            let appended = async {
                candidate.append(from_ref(&event)).await?;
                let seen = candidate.events_page(&query).await?.rows.pop();
                kept(&seen.map(|seen| EventRow { sequence: event.sequence, ..seen }), &Some(event))
            };
            about(column, &value, appended.await)?;
        }
    }
    Ok(())
}

pub(crate) async fn counts_are_kept_at_their_longest<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for column in of("api_key_usage").chain(of("api_key_usage_days")) {
        for value in values(column)? {
            let scene = Scene::new()?;
            let key = scene.key()?;
            let mut row = usage::row(&key, "success", "", 3, 1, 2);
            set_usage(&mut row, column.name, &value)?;
            let of = match &row.organization {
                Some(organization) => UsageScope::NoKey(vec![Some(made(OrganizationId::new(organization))?)]),
                None => UsageScope::Keys(vec![key.id]),
            };
            let recorded = async {
                let (rows, days) = (vec![row.clone()], UsageDayRow::sums(std::slice::from_ref(&row)));
                let batch = UsageBatch { writer: scene.bytes(), sequence: 1, rows, days };
                candidate.record(&batch).await?;
                kept(&candidate.days(&[key.id], row.day()).await?, &batch.days)?;
                kept(&candidate.counts(&of).await?, &vec![row])
            };
            about(column, &value, recorded.await)?;
        }
    }
    Ok(())
}

pub(crate) async fn tombstones_are_kept_at_their_longest<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    for column in of("api_key_tombstones") {
        for value in values(column)? {
            let scene = Scene::new()?;
            let mut row = Tombstone {
                id: scene.word(),
                organization: scene.organization().as_str().to_owned(),
                lineage: scene.word(),
                created_via_key: None,
                revoked_at: Some(Timestamp::MIN.as_millis()),
                expires_at: Some(2),
            };
            match column.name {
                // It has a fixed length.
                "id" => {}
                "organization" => row.organization.clone_from(&value),
                "lineage" => row.lineage.clone_from(&value),
                "created_via_key" => row.created_via_key = Some(value.clone()),
                other => return Err(unknown(other)),
            }
            let row = Batch::Tombstones(vec![row]);
            let moved = async {
                imported(candidate, &row, 1).await?;
                stands(candidate, &row, &row, 1_000).await
            };
            about(column, &value, moved.await)?;
        }
    }
    Ok(())
}

const SUSPENDED: OwnerChange = OwnerChange::Suspend(Suspension::Admin);

/// What the log says about a change of one write.
async fn suspended<R: KeyReader>(
    candidate: &Candidate<'_, R>,
    scene: &Scene,
    write: Write,
    head: Head,
) -> Result<News, Unmet> {
    candidate.written(&scene.change(at(1), vec![write])).await?;
    News::since(candidate, head).await
}

fn owner_with(scene: &Scene, column: &str, value: &str) -> Result<OwnerRef, Unmet> {
    match column {
        "organization" => Ok(OwnerRef { organization: made(OrganizationId::new(value))?, owner: scene.owner().owner }),
        "id" | "owner" => {
            Ok(OwnerRef { organization: scene.organization(), owner: made(Owner::new(KeyKind::User, value))? })
        }
        other => Err(unknown(other)),
    }
}

/// Compares without printing the values, which are too long to read.
fn kept<T: PartialEq>(seen: &T, expected: &T) -> Result<(), Unmet> {
    ensure("what was written to come back as it was", seen == expected, "something else")
}

fn about(column: &Column, value: &str, tried: Result<(), Unmet>) -> Result<(), Unmet> {
    let (characters, bytes) = (value.chars().count(), value.len());
    let Column { table, name, .. } = column;
    tried.map_err(|unmet| {
        unmet.about(&format!("the column `{table}.{name}` with {characters} characters, {bytes} bytes"))
    })
}
