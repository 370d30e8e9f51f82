//! Deleting what is old.

use std::time::Duration;

use tower_api_keys::{
    KeyId, KeyKind,
    audit::EventRow,
    record::Suspension,
    store::{
        Change, Changes, Conflict, Effect, EventQuery, IdempotentRequest, KeyStore, Ledger, OwnerChange, Prune, Pruned,
        Write,
    },
    usage::UsageBatch,
};

use crate::{
    Candidate, Unmet,
    scene::{Scene, ancient, at},
    unmet::{conflicts, ensure, same},
};

pub(crate) async fn the_default_forgets_nothing<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let change = scene.insert([&scene.key()?]);
    candidate.written(&change).await?;
    candidate.append(&[scene.event(ancient(1))]).await?;
    let events = candidate.events(&scene).await?;
    same("what was forgotten", &candidate.prune(&Prune::default()).await?, &Pruned::default())?;
    same("the events", &candidate.events(&scene).await?, &events)?;
    same("the change, repeated", &candidate.effects(&change).await?, &vec![Effect::Changed])
}

pub(crate) async fn old_events_are_forgotten<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let young = [scene.event(ancient(1_000)), scene.event(at(0))];
    let old = [scene.event(ancient(998)), scene.event(ancient(999))];
    candidate.append(&young).await?;
    candidate.append(&old).await?;
    let last = candidate.events(&scene).await?.last().map(|event| event.sequence);
    let pruned = candidate.prune(&Prune { events_before: Some(ancient(1_000)), ..Prune::default() }).await?;
    ensure("two events or more to be forgotten", pruned.events >= 2, pruned)?;
    let mut left = candidate.events(&scene).await?;
    left.iter_mut().for_each(|event| event.sequence = 0);
    same("the events that are left, their sequence aside", &left, &young.to_vec())?;
    candidate.append(&[scene.event(at(1))]).await?;
    let next = candidate.events(&scene).await?.last().map(|event| event.sequence);
    ensure(&format!("a number above {last:?} for the next event"), next > last, next)
}

pub(crate) async fn old_access_log_is_forgotten_apart<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let line = |millis| EventRow { action: "attempt.refused".to_owned(), ..scene.event(ancient(millis)) };
    let (old, young) = (line(999), line(1_000));
    let (other, last) = (scene.event(ancient(998)), scene.event(ancient(1_001)));
    candidate.append(&[old.clone(), other.clone(), young.clone(), last.clone()]).await?;
    let left = async |attempts| {
        let query = EventQuery { attempts, ..EventQuery::all(scene.organization()) };
        let mut rows = candidate.events_page(&query).await?.rows;
        rows.iter_mut().for_each(|event| event.sequence = 0);
        Ok::<_, Unmet>(rows)
    };
    let time = Some(ancient(1_000));
    let pruned = candidate.prune(&Prune { attempts_before: time, ..Prune::default() }).await?;
    ensure("a line of an attempt or more to be forgotten, and no other event", pruned.attempts >= 1, pruned)?;
    same("other events forgotten with entries of the access log", &pruned.events, &0)?;
    same("the entries of the access log that are left", &left(true).await?, &vec![young.clone()])?;
    same("the other events after entries of the access log went", &left(false).await?, &vec![other, last.clone()])?;
    candidate.append(std::slice::from_ref(&old)).await?;
    let pruned = candidate.prune(&Prune { events_before: time, ..Prune::default() }).await?;
    ensure("another event or more to be forgotten", pruned.events >= 1, pruned)?;
    same("entries of the access log forgotten with other events", &pruned.attempts, &0)?;
    same("the entries of the access log after other events went", &left(true).await?, &vec![young, old])?;
    same("the other events that are left", &left(false).await?, &vec![last])
}

pub(crate) async fn the_earliest_events_go_first<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let time = Some(ancient(1_000));
    // First deletes what other clauses left.
    candidate.prune(&Prune { events_before: time, attempts_before: time, ..Prune::default() }).await?;
    let line = |millis| EventRow { action: "attempt.refused".to_owned(), ..scene.event(ancient(millis)) };
    let times = [3, 1, 4, 2];
    candidate.append(&times.map(|millis| scene.event(ancient(millis)))).await?;
    candidate.append(&times.map(line)).await?;
    let left = async |attempts| {
        let query = EventQuery { attempts, ..EventQuery::all(scene.organization()) };
        Ok::<_, Unmet>(candidate.events_page(&query).await?.rows.iter().map(|event| event.at).collect::<Vec<_>>())
    };
    let at = |millis: &[u64]| millis.iter().map(|millis| ancient(*millis).as_millis()).collect::<Vec<_>>();
    let few = Prune { events_before: time, most_events: Some(2), ..Prune::default() };
    same("the events that two were forgotten of", &candidate.prune(&few).await?.events, &2)?;
    same("the events that are left", &left(false).await?, &at(&[3, 4]))?;
    same("the entries of the access log that are left", &left(true).await?, &at(&times))?;
    let none = Prune { most_events: Some(0), attempts_before: time, most_attempts: Some(3), ..few };
    let pruned = candidate.prune(&none).await?;
    same(
        "the events, and entries of the access log, that went by limits of 0 and 3",
        &(pruned.events, pruned.attempts),
        &(0, 3),
    )?;
    same("the entries of the access log after three of them went", &left(true).await?, &at(&[4]))?;
    same("the events after none of them went", &left(false).await?, &at(&[3, 4]))
}

pub(crate) async fn the_trail_is_counted<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let line = |millis| EventRow { action: "attempt.refused".to_owned(), ..scene.event(ancient(millis)) };
    let counts = async || {
        let mut counts = Vec::new();
        for attempts in [false, true] {
            let trail = candidate.trail(attempts, ancient(1_000)).await?;
            counts.push((trail.events, trail.before, trail.newest_at));
        }
        Ok::<_, Unmet>(counts)
    };
    let before = counts().await?;
    let newest = before.iter().filter_map(|(_, _, newest)| *newest).max().unwrap_or(at(0));
    let latest = newest.saturating_add(Duration::from_millis(1));
    candidate.append(&[scene.event(latest), scene.event(ancient(999)), scene.event(ancient(1_000)), line(998)]).await?;
    let more = [(3, 1, latest), (1, 1, ancient(998))];
    let added = before.iter().zip(more).map(|((events, old, newest), more)| {
        (events + more.0, old + more.1, Some(newest.map_or(more.2, |newest| newest.max(more.2))))
    });
    same("what is counted with three events more and a line of an attempt", &counts().await?, &added.collect())
}

pub(crate) async fn the_log_is_shortened_and_keeps_its_head<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = scene.keys(5)?;
    candidate.written(&scene.insert(&keys)).await?;
    for keep in [2, 0] {
        let mut heads = vec![candidate.head().await?];
        let owner = scene.owner_named(KeyKind::User, &format!("keep {keep}"))?;
        for (millis, suspension) in [(1, Suspension::Plan), (2, Suspension::Admin)] {
            let write = Write::Owner(owner.clone(), OwnerChange::Suspend(suspension));
            candidate.written(&scene.change(at(millis), vec![write])).await?;
            heads.push(candidate.head().await?);
        }
        candidate.written(&scene.change(at(3), vec![Write::Owner(owner.clone(), OwnerChange::Close)])).await?;
        let head = candidate.head().await?;
        candidate.prune(&Prune { keep_log_rows: Some(keep), ..Prune::default() }).await?;
        same("the head after the log was shortened", &candidate.head().await?, &head)?;
        same("the log since that head", &candidate.since(Some(head)).await?, &Changes::Unchanged)?;
        if let Some(now) = candidate.subject().try_head() {
            same("`try_head` after the log was shortened", &now, &head)?;
        }
        for behind in heads {
            let news = candidate.since(Some(behind)).await?;
            let told = matches!(&news, Changes::Reset { .. })
                || matches!(&news, Changes::Changed { owners, .. } if owners.contains(&owner));
            ensure("a reader behind a shortened log to be told all or to start again", told, news)?;
        }
    }
    let key = scene.key()?;
    candidate.written(&scene.change(at(4), vec![key.insert(), key.revoke()])).await?;
    ensure("the log to go on", candidate.since(Some(candidate.head().await?)).await? == Changes::Unchanged, "otherwise")
}

pub(crate) async fn old_changes_are_forgotten<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let change = |millis, request: &IdempotentRequest| {
        let change = scene.change(ancient(millis), vec![scene.key()?.insert()]);
        Ok::<_, Unmet>(Change { idempotency: Some(request.clone()), ..change })
    };
    let (old_word, young_word) = (scene.request(), scene.request());
    let (old, young) = (change(999, &old_word)?, change(1_000, &young_word)?);
    candidate.written(&old).await?;
    candidate.written(&young).await?;
    let pruned = candidate.prune(&Prune { changes_before: Some(ancient(1_000)), ..Prune::default() }).await?;
    ensure("one change or more to be forgotten", pruned.changes >= 1, pruned)?;
    same("the younger change, repeated", &candidate.effects(&young).await?, &vec![Effect::Changed])?;
    let again = candidate.apply(&change(2_000, &young_word)?).await;
    let key = young.key_made().and_then(|id| KeyId::new(id).ok());
    let used = Conflict::IdempotencyKeyUsed { key, same_request: true };
    conflicts("the younger idempotency key", again, used)?;
    conflicts("the older change, applied again", candidate.apply(&old).await, Conflict::IdTaken)?;
    candidate.written(&change(2_000, &old_word)?).await
}

pub(crate) async fn what_lives_is_not_forgotten<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?.with(|row| row.created_at = ancient(1).as_millis());
    let suspension = Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Plan));
    candidate.written(&scene.change(ancient(1), vec![key.insert(), suspension])).await?;
    let revoked = scene.key()?;
    candidate.written(&scene.change(ancient(2), vec![revoked.insert(), revoked.revoke()])).await?;
    let used = super::usage::row(&key, "success", "", 1, 1, 1);
    let batch = UsageBatch { writer: scene.bytes(), sequence: 1, rows: vec![used], days: Vec::new() };
    candidate.record(&batch).await?;
    let name = scene.word();
    candidate.put_meta(&name, b"first").await?;
    let before = candidate.list(&scene.query(), at(0)).await?;
    let time = Some(ancient(1_000));
    candidate
        .prune(&Prune {
            events_before: time,
            attempts_before: time,
            keep_log_rows: Some(0),
            changes_before: time,
            ..Prune::default()
        })
        .await?;
    candidate.record(&batch).await?;
    same("the list of keys", &candidate.list(&scene.query(), at(0)).await?, &before)?;
    same("what stands under a name", &candidate.put_meta(&name, b"second").await?, &b"first".to_vec())
}
