//! Changes that are repeated.

use tower_api_keys::{
    record::Suspension,
    store::{Change, Conflict, Effect, Guard, IdempotentRequest, KeyStore, Ledger, OwnerChange, Write},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{conflicts, same},
};

pub(crate) async fn a_repeated_change_is_done_once<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let owner = |step| Write::Owner(scene.owner(), step);
    let suspension = OwnerChange::Suspend(Suspension::Admin);
    let changes = [
        Change { guards: vec![Guard::OwnerActive(scene.owner())], ..scene.insert([&key]) },
        scene.change(at(1), vec![key.rename(1, "first")]),
        scene.change(at(2), vec![key.rename(2, "second")]),
        scene.change(at(3), vec![owner(suspension)]),
        scene.change(at(4), vec![owner(OwnerChange::Reinstate(Suspension::Admin))]),
        Change { guards: vec![Guard::Live(key.id)], ..scene.change(at(5), vec![key.revoke(), key.revoke()]) },
        scene.change(at(6), vec![key.revoke()]),
        scene.change(at(7), vec![owner(OwnerChange::Close)]),
    ];
    let mut first = Vec::new();
    for change in &changes {
        let effects = candidate.effects(change).await?;
        same("a change repeated at once", &candidate.effects(change).await?, &effects)?;
        first.push(effects);
    }
    let (found, events) = (candidate.found(&key.id).await?, candidate.events(&scene).await?);
    let head = candidate.head_if_tracked().await?;
    for (change, effects) in changes.iter().zip(&first) {
        same("a change repeated after others", &candidate.effects(change).await?, effects)?;
    }
    same("the key after repeated changes", &candidate.found(&key.id).await?, &found)?;
    same("the events after repeated changes", &candidate.events(&scene).await?, &events)?;
    same("the head of the log after repeated changes", &candidate.head_if_tracked().await?, &head)
}

pub(crate) async fn a_failed_change_can_be_tried_again<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let owner = |step| scene.change(at(0), vec![Write::Owner(scene.owner(), step)]);
    candidate.written(&owner(OwnerChange::Suspend(Suspension::Plan))).await?;
    let guards = vec![Guard::OwnerActive(scene.owner())];
    let issue = Change { guards, idempotency: Some(scene.request()), ..scene.insert([&key]) };
    for _ in 0..2 {
        conflicts("a key for a suspended owner", candidate.apply(&issue).await, Conflict::Guard(0))?;
    }
    candidate.written(&owner(OwnerChange::Reinstate(Suspension::Plan))).await?;
    candidate.written(&issue).await
}

pub(crate) async fn an_idempotency_key_works_once<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (key, second) = (scene.key()?, scene.key()?);
    let word = format!("{} Aa%_' ", scene.word());
    let digest = scene.bytes();
    let change = |key: &Sample, word: &str| {
        let request = IdempotentRequest { key: word.to_owned(), digest };
        Change { idempotency: Some(request), ..scene.insert([key]) }
    };
    let used = |same_request| Conflict::IdempotencyKeyUsed { key: Some(key.id), same_request };
    let first = change(&key, &word);
    candidate.written(&first).await?;
    let events = candidate.events(&scene).await?;
    conflicts("a used idempotency key", candidate.apply(&change(&second, &word)).await, used(true))?;
    let other = IdempotentRequest { key: word.clone(), digest: scene.bytes() };
    let other = Change { idempotency: Some(other), ..scene.insert([&second]) };
    conflicts("a used idempotency key, and another request", candidate.apply(&other).await, used(false))?;
    same("a key that a refused change would insert", &candidate.find(&second.id).await?, &None)?;
    same("the events after a refused change", &candidate.events(&scene).await?, &events)?;
    same("the first change again", &candidate.effects(&first).await?, &vec![Effect::Changed])?;
    for other in [word.to_lowercase(), word.trim().to_owned(), word.repeat(256).chars().take(256).collect()] {
        candidate.written(&change(&scene.key()?, &other)).await?;
    }
    candidate.written(&scene.insert([&second])).await?;
    let word = scene.request();
    let change = |id: u64| Change { idempotency: Some(word.clone()), ..scene.change(at(id), vec![second.revoke()]) };
    candidate.written(&change(1)).await?;
    let used = Conflict::IdempotencyKeyUsed { key: None, same_request: true };
    conflicts("a used idempotency key of a change that made no key", candidate.apply(&change(2)).await, used)
}
