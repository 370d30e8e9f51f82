//! Calls at once: through one handle, or through several in turn. One task polls the futures: a store that waits for
//! something has all of them in progress together, on connections of their own if it has several.

use std::iter::zip;

use futures_util::future::{join_all, try_join_all};
use tower_api_keys::{
    KeyId,
    record::Suspension,
    store::{
        Applied, Change, Conflict, Effect, ErasedLedger, ErasedStore, Guard, IdempotentRequest, OwnerChange,
        StoreError, StoreErrorKind, Write,
    },
    usage::UsageBatch,
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{ensure, same},
    usage,
};

/// How many calls are made at once.
const MANY: usize = 16;

/// One key is revoked many times.
pub(super) async fn revocations<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    prepare(handles, &scene.insert([&key])).await?;
    let changes: Vec<Change> = (0..16).map(|n| scene.change(at(n), vec![key.revoke()])).collect();
    let calls = zip(handles.iter().cycle(), &changes).map(|(handle, change)| handle.effects(change));
    let effects = try_join_all(calls).await?;
    let written = effects.iter().filter(|effects| effects.contains(&Effect::Changed)).count();
    same("how many of 16 revocations were written", &written, &1)?;
    for handle in handles {
        let events = handle.events(&scene).await?.iter().filter(|event| event.action == "key.revoked").count();
        same("how many events tell of the revocation", &events, &1)?;
    }
    Ok(())
}

/// One id is inserted many times.
pub(super) async fn inserts<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let id = scene.id()?;
    let keys: Vec<Sample> = (0..MANY)
        .map(|n| Ok(scene.key_with(id)?.with(|row| row.name = format!("number {n}"))))
        .collect::<Result<_, Unmet>>()?;
    let changes: Vec<Change> = keys.iter().map(|key| scene.insert([key])).collect();
    let winner = one_wins(handles, &scene, &changes, Conflict::IdTaken).await?;
    let name = keys.get(winner).map(|key| key.row.name.clone());
    for handle in handles {
        same("the name of the key that stands", &Some(handle.found(&id).await?.key.name), &name)?;
    }
    Ok(())
}

/// One version is updated many times.
pub(super) async fn updates<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    prepare(handles, &scene.insert([&key])).await?;
    let names: Vec<String> = (0..MANY).map(|n| format!("number {n}")).collect();
    let changes: Vec<Change> = names.iter().map(|name| scene.change(at(1), vec![key.rename(1, name)])).collect();
    let winner = one_wins(handles, &scene, &changes, Conflict::Version).await?;
    for handle in handles {
        let found = handle.found(&key.id).await?.key;
        same("name and version of the key", &(Some(&found.name), found.version), &(names.get(winner), 2))?;
    }
    Ok(())
}

/// One key gets many successors.
pub(super) async fn successors<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let old = scene.key()?;
    prepare(handles, &scene.insert([&old])).await?;
    let heir = || {
        let heir = scene.key()?.with(|row| row.replaces = Some(old.row.id.clone()));
        let guards = vec![Guard::Live(old.id), Guard::NoLiveSuccessor(old.id)];
        Ok(Change { guards, ..scene.insert([&heir]) })
    };
    let changes: Vec<Change> = (0..MANY).map(|_| heir()).collect::<Result<_, Unmet>>()?;
    one_wins(handles, &scene, &changes, Conflict::Successor).await.map(drop)
}

/// Many keys are inserted, and there is room for one.
pub(super) async fn keys_below_a_limit<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    prepare(handles, &scene.insert([&scene.key()?])).await?;
    let below = |key: &Sample| {
        let guards = vec![Guard::LiveKeysBelow { owner: scene.owner(), limit: 2 }];
        Change { guards, ..scene.insert([key]) }
    };
    let changes: Vec<Change> = scene.keys(MANY)?.iter().map(below).collect();
    one_wins(handles, &scene, &changes, Conflict::Guard(0)).await.map(drop)
}

/// Many changes have one idempotency key.
pub(super) async fn repeated_idempotency_keys<S: ErasedLedger + ?Sized>(
    handles: &[Candidate<'_, S>],
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    // Each is a different request: the first one wins, and the others learn which key it made.
    let word = scene.word();
    let request = || IdempotentRequest { key: word.clone(), ..scene.request() };
    let change = |key: &Sample| Change { idempotency: Some(request()), ..scene.insert([key]) };
    let changes: Vec<Change> = scene.keys(MANY)?.iter().map(change).collect();
    one_wins_with(handles, &scene, &changes, |winner| {
        let key = changes.get(winner).and_then(Change::key_made).and_then(|id| KeyId::new(id).ok());
        Conflict::IdempotencyKeyUsed { key, same_request: false }
    })
    .await
    .map(drop)
}

/// A rotation is finished and undone.
pub(super) async fn ends_of_a_rotation<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    for round in 0..8 {
        let scene = Scene::new()?;
        let (old, new) = (scene.key()?, scene.key()?);
        prepare(handles, &scene.insert([&old, &new])).await?;
        let end = |dead: &Sample, alive: &Sample| {
            let guards = vec![Guard::Live(alive.id)];
            Change { guards, ..scene.change(at(1), vec![dead.revoke()]) }
        };
        let mut changes = vec![end(&old, &new), end(&new, &old)];
        changes.rotate_left(round % 2);
        one_wins(handles, &scene, &changes, Conflict::Guard(0)).await?;
    }
    Ok(())
}

/// One change is applied many times.
pub(super) async fn one_change<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let change = Change { idempotency: Some(scene.request()), ..scene.change(at(1), vec![key.insert(), key.revoke()]) };
    let effects = try_join_all(handles.iter().cycle().take(MANY).map(|handle| handle.effects(&change))).await?;
    same("the answers", &effects, &vec![vec![Effect::Changed; 2]; MANY])?;
    for handle in handles {
        same("the number of events", &handle.events(&scene).await?.len(), &2)?;
    }
    Ok(())
}

/// An owner is suspended while keys are issued for it.
pub(super) async fn keys_and_a_suspension<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    for place in [0, 3, 8, 12] {
        let scene = Scene::new()?;
        let issue = |key: &Sample| Change { guards: vec![Guard::OwnerActive(scene.owner())], ..scene.insert([key]) };
        let keys = scene.keys(12)?;
        let mut changes: Vec<Change> = keys.iter().map(issue).collect();
        changes.insert(
            place,
            scene.change(at(1), vec![Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Plan))]),
        );
        let answers = applied(handles, &changes).await;
        let issued = answers.iter().filter(|answer| answer.is_ok()).count().saturating_sub(1);
        for handle in handles {
            let events = handle.events(&scene).await?;
            let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
            same("the last event of a race between a suspension and keys", &actions.last(), &Some(&"owner.suspended"))?;
            same("the number of events", &events.len(), &(issued + 1))?;
            let found = handle.list(&scene.query(), at(0)).await?.rows.len();
            same("the number of keys", &found, &issued)?;
        }
    }
    Ok(())
}

/// One batch of counts is recorded many times.
pub(super) async fn one_batch<S: ErasedLedger + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    prepare(handles, &scene.insert([&key])).await?;
    let batch = UsageBatch {
        writer: scene.bytes(),
        sequence: 1,
        rows: vec![usage::row(&key, "success", "", 3, 1, 1)],
        days: Vec::new(),
    };
    try_join_all(handles.iter().cycle().take(MANY).map(|handle| handle.record(&batch))).await?;
    for handle in handles {
        same("the count", &handle.usage(&scene).await?.successes, &3)?;
    }
    Ok(())
}

/// One name is written many times.
pub(super) async fn one_name<S: ErasedStore + ?Sized>(handles: &[Candidate<'_, S>]) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let name = scene.word();
    let values: Vec<[u8; 4]> = (0..MANY).map(|_| scene.bytes()).collect();
    let calls = zip(handles.iter().cycle(), &values).map(|(handle, value)| handle.put_meta(&name, value));
    let mut seen = try_join_all(calls).await?;
    for handle in handles {
        seen.push(handle.put_meta(&name, b"late").await?);
    }
    let stands: Vec<_> = seen.iter().map(|_| seen.first()).collect();
    same("what racing writers were told", &seen.iter().map(Some).collect(), &stands)
}

/// Applies the change that a race needs, before the race, through the first handle.
async fn prepare<S: ErasedStore + ?Sized>(handles: &[Candidate<'_, S>], change: &Change) -> Result<(), Unmet> {
    for handle in handles.iter().take(1) {
        handle.written(change).await?;
    }
    Ok(())
}

/// The answers to changes that are applied at once.
async fn applied<S: ErasedStore + ?Sized>(
    handles: &[Candidate<'_, S>],
    changes: &[Change],
) -> Vec<Result<Applied, StoreError>> {
    join_all(zip(handles.iter().cycle(), changes).map(|(handle, change)| handle.apply(change))).await
}

/// Applies the changes at once: one must be done, with one event, and each other must end in this conflict. Returns
/// which one was done.
async fn one_wins<S: ErasedLedger + ?Sized>(
    handles: &[Candidate<'_, S>],
    scene: &Scene,
    changes: &[Change],
    conflict: Conflict,
) -> Result<usize, Unmet> {
    one_wins_with(handles, scene, changes, |_| conflict).await
}

/// The same, if the conflict depends on the change that was done.
async fn one_wins_with<S: ErasedLedger + ?Sized>(
    handles: &[Candidate<'_, S>],
    scene: &Scene,
    changes: &[Change],
    conflict: impl Fn(usize) -> Conflict,
) -> Result<usize, Unmet> {
    let mut before = Vec::new();
    for handle in handles {
        before.push(handle.events(scene).await?.len());
    }
    let answers = applied(handles, changes).await;
    let winner = answers.iter().position(Result::is_ok);
    let winner = winner.ok_or_else(|| Unmet::failed("expected one change to be done, saw none"))?;
    let conflict = conflict(winner);
    let lost = |answer: &&Result<Applied, StoreError>| matches!(answer, Err(error) if error.kind() == StoreErrorKind::Conflict(conflict));
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_err(StoreError::kind)).collect();
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    let all_others = won + answers.iter().filter(lost).count() == changes.len();
    ensure(&format!("one change to be done and the others to end in {conflict:?}"), won == 1 && all_others, kinds)?;
    for (handle, before) in zip(handles, before) {
        same("the number of events", &handle.events(scene).await?.len(), &(before + 1))?;
    }
    Ok(winner)
}
