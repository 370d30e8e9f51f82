//! Calls at once through two handles onto one database. Stores with connections of their own have the calls in progress
//! together; the kit repeats each race with another handle polled first.

use std::{
    iter::zip,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::{join, try_join, try_join_all, try_join3};
use tokio::task::yield_now;
use tower_api_keys::{
    store::{Conflict, ErasedLedger, ErasedStore, EventQuery, RehashedKey, StoreErrorKind},
    usage::UsageBatch,
};

use crate::{
    Candidate, Pair, Unmet, at_once, follow,
    rehash::rehash,
    scene::{Sample, Scene, at},
    unmet::{conflicts, ensure, same},
    usage,
};

/// How often a race is run, except those that have rounds of their own.
const ROUNDS: usize = 4;

pub(crate) async fn one_of_many_revocations_is_written(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::revocations(handles).await?;
    }
    Ok(())
}

pub(crate) async fn one_of_many_inserts_is_written(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::inserts(handles).await?;
    }
    Ok(())
}

pub(crate) async fn one_of_many_updates_is_written(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::updates(handles).await?;
    }
    Ok(())
}

pub(crate) async fn one_of_many_successors_is_written(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::successors(handles).await?;
    }
    Ok(())
}

pub(crate) async fn one_of_many_replays_is_written(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::repeated_idempotency_keys(handles).await?;
    }
    Ok(())
}

pub(crate) async fn one_of_two_keys_survives(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(2) {
        at_once::ends_of_a_rotation(handles).await?;
    }
    Ok(())
}

pub(crate) async fn a_change_at_once_is_done_once(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::one_change(handles).await?;
    }
    Ok(())
}

pub(crate) async fn no_key_is_issued_after_a_suspension(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(2) {
        at_once::keys_and_a_suspension(handles).await?;
    }
    Ok(())
}

pub(crate) async fn one_of_many_takes_the_last_place(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::keys_below_a_limit(handles).await?;
    }
    Ok(())
}

pub(crate) async fn a_batch_at_once_counts_once(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::one_batch(handles).await?;
    }
    Ok(())
}

pub(crate) async fn a_race_for_a_name_has_one_winner(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        at_once::one_name(handles).await?;
    }
    Ok(())
}

pub(crate) async fn a_revocation_is_neither_undone_nor_missed(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(ROUNDS) {
        let scene = Scene::new()?;
        let key = scene.key()?;
        one.written(&scene.insert([&key])).await?;
        let revoked = AtomicBool::new(false);
        let revoke = async {
            yield_now().await;
            let result = one.written(&scene.change(at(1), vec![key.revoke()])).await;
            revoked.store(true, Ordering::Release);
            result
        };
        let busy = try_join3(
            rehash_until(other, &key, &revoked),
            update_until(other, &scene, &key, &revoked),
            count_until(other, &scene, &key, &revoked),
        );
        let (written, worked) = join(revoke, busy).await;
        written.and(worked.map(drop))?;
        for handle in [one, other] {
            let found = handle.found(&key.id).await?.key;
            let seen = (found.revoked_at, found.revoked_by.as_deref());
            same("time and author of the revocation", &seen, &(Some(at(1).as_millis()), Some("user:alice")))?;
        }
    }
    Ok(())
}

pub(crate) async fn a_follower_misses_nothing(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        let [one, other] = handles;
        try_join(follow::nothing_is_missed(one, handles), follow::nothing_is_missed(other, handles)).await?;
    }
    Ok(())
}

pub(crate) async fn a_find_is_never_older_than_the_log(pair: &Pair<'_>) -> Result<(), Unmet> {
    for [one, other] in pair.rounds(ROUNDS) {
        try_join(follow::finds_as_told(one, one, other), follow::finds_as_told(one, other, one)).await?;
    }
    Ok(())
}

pub(crate) async fn a_follower_of_events_misses_none(pair: &Pair<'_>) -> Result<(), Unmet> {
    for handles in pair.rounds(ROUNDS) {
        let [follower, _] = handles;
        let scene = Scene::new()?;
        let keys = scene.keys(32)?;
        let done = AtomicBool::new(false);
        let writes = async {
            let each =
                zip(handles.iter().cycle(), keys.chunks(4)).map(|(writer, some)| insert_each(writer, &scene, some));
            let result = try_join_all(each).await;
            done.store(true, Ordering::Release);
            result
        };
        let reads = async {
            let (mut told, mut last) = (Vec::new(), false);
            let mut query = EventQuery { limit: 3, ..EventQuery::all(scene.organization()) };
            while !last {
                last = done.load(Ordering::Acquire);
                loop {
                    let page = follower.events_page(&query).await?;
                    query.after = page.rows.last().map(|event| event.sequence).or(query.after);
                    told.extend(page.rows);
                    if !page.more {
                        break;
                    }
                }
                yield_now().await;
            }
            Ok(told)
        };
        let (_, told) = try_join(writes, reads).await?;
        same("the events of one that followed them", &told, &follower.events(&scene).await?)?;
        same("how many of 64 events it was told of", &told.len(), &64)?;
    }
    Ok(())
}

/// Writes a change with its event, and an event without a change, for each of these keys.
async fn insert_each<S: ErasedLedger + ?Sized>(
    writer: &Candidate<'_, S>,
    scene: &Scene,
    keys: &[Sample],
) -> Result<(), Unmet> {
    for key in keys {
        writer.written(&scene.insert([key])).await?;
        writer.append(&[scene.event(at(1))]).await?;
        yield_now().await;
    }
    Ok(())
}

/// How often [`rehash_until`] and the others repeat at most, so that they also end if the store never revokes.
const MOST: u8 = 250;

/// Re-hashes again and again. After the key is revoked, that must change nothing.
async fn rehash_until<S: ErasedStore + ?Sized>(
    handle: &Candidate<'_, S>,
    key: &Sample,
    revoked: &AtomicBool,
) -> Result<(), Unmet> {
    let mut hash = key.row.hash.clone();
    for number in 0..MOST {
        let late = revoked.load(Ordering::Acquire);
        let new = RehashedKey { hash: format!("$argon2id${number}"), tag: [number; 4], pepper_id: None, proof: None };
        let replaced = rehash(handle, &key.id, &hash, &new).await?;
        ensure("no re-hash of a revoked key", !(late && replaced), replaced)?;
        if late {
            return Ok(());
        }
        hash = if replaced { new.hash } else { hash };
        yield_now().await;
    }
    Ok(())
}

/// Updates again and again. After the key is revoked, that must be a conflict.
async fn update_until<S: ErasedStore + ?Sized>(
    handle: &Candidate<'_, S>,
    scene: &Scene,
    key: &Sample,
    revoked: &AtomicBool,
) -> Result<(), Unmet> {
    for version in 1..=i64::from(MOST) {
        let late = revoked.load(Ordering::Acquire);
        let answer = handle.apply(&scene.change(at(1), vec![key.rename(version, &format!("number {version}"))])).await;
        let is_over = matches!(&answer, Err(error) if error.kind() == StoreErrorKind::Conflict(Conflict::Revoked));
        if late || is_over {
            return conflicts("an update of a revoked key", answer, Conflict::Revoked);
        }
        answer.map_err(|error| Unmet::call("apply", &error))?;
        yield_now().await;
    }
    Ok(())
}

/// Counts uses, and finds the key in between: after it was seen as revoked, it must not be seen as live.
async fn count_until<S: ErasedLedger + ?Sized>(
    handle: &Candidate<'_, S>,
    scene: &Scene,
    key: &Sample,
    revoked: &AtomicBool,
) -> Result<(), Unmet> {
    let (writer, mut was_seen) = (scene.bytes(), false);
    for sequence in 1..=i64::from(MOST) {
        let late = revoked.load(Ordering::Acquire);
        let rows = vec![usage::row(key, "success", "", 1, 1, 1)];
        handle.record(&UsageBatch { writer, sequence, rows, days: Vec::new() }).await?;
        let seen = handle.found(&key.id).await?.key.revoked_at.is_some();
        ensure("a revocation that stands once it was seen or returned", seen || !(late || was_seen), seen)?;
        if late {
            return Ok(());
        }
        was_seen = seen;
        yield_now().await;
    }
    Ok(())
}
