//! What happens at once, and what is dropped half-way. The futures of a race are polled by one task: a store that waits
//! for anything has them all under way together.

use futures_util::future::{join_all, try_join_all};
use tokio::task::yield_now;

use super::{
    Candidate, Unmet,
    find::begin,
    scene::{Sample, Scene, at},
    unmet::{ensure, same},
    usage,
};
use crate::{
    record::Hold,
    store::{Applied, Change, Conflict, Guard, KeyStore, OwnerChange, StoreError, StoreErrorKind, Write, WriteOutcome},
    usage::UsageBatch,
};

/// Of many revocations of one key at once one is written, with one event, and the others change nothing.
///
/// # Errors
/// The clause is not met.
pub async fn one_of_many_revocations_is_written<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let changes: Vec<Change> = (0..16).map(|n| scene.change(at(n), vec![key.revoke()])).collect();
    let outcomes = try_join_all(changes.iter().map(|change| candidate.outcomes(change))).await?;
    let written = outcomes.iter().filter(|outcomes| outcomes.contains(&WriteOutcome::Written)).count();
    same("how many of 16 revocations were written", &written, &1)?;
    let events = candidate.events(&scene).await?.iter().filter(|event| event.action == "key.revoked").count();
    same("how many events tell of the revocation", &events, &1)
}

/// Of many keys inserted with one id at once one is written.
///
/// # Errors
/// The clause is not met.
pub async fn one_of_many_inserts_is_written<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let id = scene.id()?;
    let keys: Vec<Sample> = (0..16)
        .map(|n| Ok(scene.key_with(id)?.with(|row| row.name = format!("number {n}"))))
        .collect::<Result<_, Unmet>>()?;
    let changes: Vec<Change> = keys.iter().map(|key| scene.insert([key])).collect();
    let winner = one_wins(candidate, &scene, &changes, Conflict::IdTaken).await?;
    let name = keys.get(winner).map(|key| key.row.name.clone());
    same("the name of the key that stands", &Some(candidate.found(&id).await?.key.name), &name)
}

/// Of many updates on one version at once one is written.
///
/// # Errors
/// The clause is not met.
pub async fn one_of_many_updates_is_written<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let names: Vec<String> = (0..16).map(|n| format!("number {n}")).collect();
    let changes: Vec<Change> = names.iter().map(|name| scene.change(at(1), vec![key.rename(1, name)])).collect();
    let winner = one_wins(candidate, &scene, &changes, Conflict::Version).await?;
    let found = candidate.found(&key.id).await?.key;
    let seen = (names.get(winner), found.version);
    same("name and version of the key", &(Some(&found.name), 2), &seen)
}

/// Of many successors of one key at once one is written.
///
/// # Errors
/// The clause is not met.
pub async fn one_of_many_successors_is_written<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let old = scene.key()?;
    candidate.written(&scene.insert([&old])).await?;
    let heir = || {
        let heir = scene.key()?.with(|row| row.replaces = Some(old.row.id.clone()));
        let guards = vec![Guard::Live(old.id), Guard::NoLiveSuccessor(old.id)];
        Ok(Change { guards, ..scene.insert([&heir]) })
    };
    let changes: Vec<Change> = (0..16).map(|_| heir()).collect::<Result<_, Unmet>>()?;
    one_wins(candidate, &scene, &changes, Conflict::Successor).await.map(|_| ())
}

/// Of many changes with one idempotency key at once one is written.
///
/// # Errors
/// The clause is not met.
pub async fn one_of_many_replays_is_written<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let word = scene.word();
    let change = |key: &Sample| Change { dedupe: Some(word.clone()), ..scene.insert([key]) };
    let changes: Vec<Change> = scene.keys(16)?.iter().map(change).collect();
    one_wins(candidate, &scene, &changes, Conflict::Replay).await.map(|_| ())
}

/// Of the end of a rotation (the old key is revoked while the new one lives) and its undoing (the other way round) at
/// once one is done: never both keys are revoked.
///
/// # Errors
/// The clause is not met.
pub async fn one_of_two_keys_survives<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for round in 0..8 {
        let scene = Scene::new()?;
        let (old, new) = (scene.key()?, scene.key()?);
        candidate.written(&scene.insert([&old, &new])).await?;
        let end = |dead: &Sample, alive: &Sample| {
            let guards = vec![Guard::Live(alive.id)];
            Change { guards, ..scene.change(at(1), vec![dead.revoke()]) }
        };
        let mut changes = vec![end(&old, &new), end(&new, &old)];
        changes.rotate_left(round % 2);
        one_wins(candidate, &scene, &changes, Conflict::Guard(0)).await?;
    }
    Ok(())
}

/// One change applied many times at once is done once, and all get the same answer.
///
/// # Errors
/// The clause is not met.
pub async fn a_change_at_once_is_done_once<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let change = Change { dedupe: Some(scene.word()), ..scene.change(at(1), vec![key.insert(), key.revoke()]) };
    let outcomes = try_join_all((0..16).map(|_| candidate.outcomes(&change))).await?;
    same("the answers", &outcomes, &vec![vec![WriteOutcome::Written; 2]; 16])?;
    same("the number of events", &candidate.events(&scene).await?.len(), &2)
}

/// Once a hold is written, no key is: a key issued for an active owner while the owner is held has its event before the
/// hold's, or does not exist.
///
/// # Errors
/// The clause is not met.
pub async fn no_key_is_issued_after_a_hold<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for place in [0, 3, 8, 12] {
        let scene = Scene::new()?;
        let issue = |key: &Sample| Change { guards: vec![Guard::OwnerActive(scene.owner())], ..scene.insert([key]) };
        let keys = scene.keys(12)?;
        let mut changes: Vec<Change> = keys.iter().map(issue).collect();
        changes.insert(place, scene.change(at(1), vec![Write::Owner(scene.owner(), OwnerChange::Hold(Hold::Plan))]));
        let answers = join_all(changes.iter().map(|change| candidate.apply(change))).await;
        let issued = answers.iter().filter(|answer| answer.is_ok()).count().saturating_sub(1);
        let events = candidate.events(&scene).await?;
        let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
        same("the last event of a race between a hold and keys", &actions.last(), &Some(&"owner.held"))?;
        same("the number of events", &events.len(), &(issued + 1))?;
        let found = candidate.list(&scene.query(), at(0)).await?.rows.len();
        same("the number of keys", &found, &issued)?;
    }
    Ok(())
}

/// A batch of counts recorded many times at once counts once.
///
/// # Errors
/// The clause is not met.
pub async fn a_batch_at_once_counts_once<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let batch = UsageBatch { writer: scene.bytes(), sequence: 1, rows: vec![usage::row(&key, "success", "", 3, 1, 1)] };
    try_join_all((0..16).map(|_| candidate.record(&batch))).await?;
    same("the count", &candidate.usage(&scene).await?.successes, &3)
}

/// A change whose future is dropped is done whole or not at all, and repeating it settles which.
///
/// # Errors
/// The clause is not met.
pub async fn a_dropped_change_is_whole_or_nothing<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for round in 0..24 {
        let scene = Scene::new()?;
        let (old, new) = (scene.key()?, scene.key()?);
        candidate.written(&scene.insert([&old])).await?;
        let change = scene.change(at(1), vec![new.insert(), old.revoke()]);
        begin(candidate.apply(&change)).await;
        for _ in 0..round {
            yield_now().await;
        }
        // Lists, unlike two finds, are of one moment.
        let listed = candidate.list(&scene.query(), at(1)).await?.rows;
        let revoked = listed.iter().filter(|listed| listed.key.revoked_at.is_some()).count();
        ensure("both writes of a dropped change or neither", listed.len() == revoked + 1, (listed.len(), revoked))?;
        let expected = vec![WriteOutcome::Written; 2];
        same("the dropped change, repeated", &candidate.outcomes(&change).await?, &expected)?;
        same("the number of events", &candidate.events(&scene).await?.len(), &3)?;
        let listed = candidate.list(&scene.query(), at(1)).await?.rows.len();
        same("the number of keys", &listed, &2)?;
    }
    Ok(())
}

/// Applies the changes at once: one must be done, with one event, and each other end in this conflict. Which was done.
async fn one_wins<S: KeyStore>(
    candidate: &Candidate<'_, S>,
    scene: &Scene,
    changes: &[Change],
    conflict: Conflict,
) -> Result<usize, Unmet> {
    let before = candidate.events(scene).await?.len();
    let answers = join_all(changes.iter().map(|change| candidate.apply(change))).await;
    let lost = |answer: &&Result<Applied, StoreError>| matches!(answer, Err(error) if error.kind() == StoreErrorKind::Conflict(conflict));
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_err(StoreError::kind)).collect();
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    let all_others = won + answers.iter().filter(lost).count() == changes.len();
    ensure(&format!("one change to be done and the others to end in {conflict:?}"), won == 1 && all_others, kinds)?;
    same("the number of new events", &(candidate.events(scene).await?.len() - before), &1)?;
    answers.iter().position(Result::is_ok).ok_or_else(|| Unmet::failed("expected one change to be done, saw none"))
}
