//! Keys that ended long ago: S111 to S115.

use tower_api_keys::{
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{Change, Changes, Conflict, DeadKeys, Effect, KeyStore, Ledger, Prune, UsageScope},
    usage::UsageBatch,
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, ancient, at},
    unmet::{conflicts, ensure, same},
};

/// The time of these clauses: their keys ended before it or later. No other key in a database ended so long ago.
const TIME: u64 = 1_000;

/// Purges keys that ended before the time, up to a limit. Returns how many.
async fn purged<S: KeyStore>(candidate: &Candidate<'_, S>, most: u64) -> Result<u64, Unmet> {
    let keys = DeadKeys { ended_before: ancient(TIME), most, at: at(9) };
    Ok(candidate.prune(&Prune { keys: Some(keys), ..Prune::default() }).await?.keys)
}

/// Purges the keys that other clauses left.
async fn swept<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    while purged(candidate, DeadKeys::MOST).await? > 0 {}
    Ok(())
}

fn ended(key: Sample, revoked_at: Option<u64>, expires_at: Option<u64>) -> Sample {
    let [revoked_at, expires_at] = [revoked_at, expires_at].map(|millis| millis.map(|at| ancient(at).as_millis()));
    key.with(|row| {
        (row.created_at, row.revoked_at, row.expires_at) = (ancient(1).as_millis(), revoked_at, expires_at);
    })
}

async fn is_there<S: KeyStore>(candidate: &Candidate<'_, S>, key: &Sample) -> Result<bool, Unmet> {
    Ok(candidate.find(&key.id).await?.is_some())
}

pub(crate) async fn keys_that_ended_before_a_time_are_purged<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    swept(candidate).await?;
    let scene = Scene::new()?;
    let ends = [
        (Some(997), None),
        (None, Some(998)),
        (Some(999), Some(5_000)),
        (Some(5_000), Some(996)),
        (Some(1_000), None),
        (None, Some(1_000)),
        (Some(1_000), Some(1_001)),
        (None, None),
    ];
    let keys: Vec<Sample> = ends
        .into_iter()
        .map(|(revoked, expires)| Ok(ended(scene.key()?, revoked, expires)))
        .collect::<Result<_, Unmet>>()?;
    candidate.written(&scene.insert(&keys)).await?;
    let head = candidate.head_if_tracked().await?;
    same("how many went by a limit of none", &purged(candidate, 0).await?, &0)?;
    same("how many went by a limit of two", &purged(candidate, 2).await?, &2)?;
    let mut left = Vec::new();
    for key in &keys {
        left.push(is_there(candidate, key).await?);
    }
    let expected = [false, true, true, false, true, true, true, true];
    same("which keys are left after the two that ended first went", &left, &expected.to_vec())?;
    same("how many went without a limit", &purged(candidate, u64::MAX).await?, &2)?;
    for (key, stays) in keys.iter().zip([false, false, false, false, true, true, true, true]) {
        same(
            "whether a key is found after what ended before a time was purged",
            &is_there(candidate, key).await?,
            &stays,
        )?;
        let row = candidate.find(&key.id).await?.map(|found| found.key);
        same("a key that stays", &row, &stays.then(|| key.row.clone()))?;
    }
    let mut ids: Vec<&String> = keys.iter().skip(4).map(|key| &key.row.id).collect();
    ids.sort_unstable();
    let mut listed = candidate.listed(&scene.query(), at(0)).await?;
    listed.sort_unstable();
    same("the list of what is left", &listed.iter().collect::<Vec<_>>(), &ids)?;
    if let Some(head) = head {
        let told = match candidate.since(Some(head)).await? {
            Changes::Reset { .. } => true,
            Changes::Changed { keys: named, .. } => keys.iter().take(4).all(|key| named.contains(&key.id)),
            _ => false,
        };
        ensure("the purged keys in the log", told, "otherwise")?;
    }
    same("how many went a second time", &purged(candidate, u64::MAX).await?, &0)
}

pub(crate) async fn the_id_of_a_purged_key_is_taken<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    swept(candidate).await?;
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let key = ended(scene.key()?, Some(10), None);
    let request = scene.request();
    let first = Change { idempotency: Some(request.clone()), ..scene.insert([&key]) };
    candidate.written(&first).await?;
    same("how many were purged", &purged(candidate, u64::MAX).await?, &1)?;
    let live = Sample { row: KeyRow { revoked_at: None, ..key.row.clone() }, ..key.clone() };
    for (whose, change) in [
        ("its own organization", scene.insert([&live])),
        ("another one", elsewhere.insert([&elsewhere.key_with(key.id)?])),
        ("its own, dead as it was", scene.insert([&key])),
    ] {
        let what = format!("a new key with the id of a purged one, of {whose}");
        conflicts(&what, candidate.apply(&change).await, Conflict::IdTaken)?;
    }
    same("the first change, repeated", &candidate.effects(&first).await?, &vec![Effect::Changed])?;
    let again = Change { idempotency: Some(request), ..scene.insert([&scene.key()?]) };
    let used = Conflict::IdempotencyKeyUsed { key: Some(key.id), same_request: true };
    conflicts("the request that made a purged key", candidate.apply(&again).await, used)?;
    for write in [key.revoke(), key.pause_by("user:alice"), key.rename(1, "Lazarus")] {
        let change = scene.change(at(1), vec![write]);
        conflicts("a change of a purged key", candidate.apply(&change).await, Conflict::Missing)?;
    }
    same("the purged key", &candidate.find(&key.id).await?, &None)
}

pub(crate) async fn what_others_need_stays<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    swept(candidate).await?;
    let scene = Scene::new()?;
    let id_of = |key: &Sample| Some(key.row.id.clone());
    // In a chain of rotations, the neighbours of a key that is live or ended later.
    let dead = || Ok::<_, Unmet>(ended(scene.key()?, Some(10), None));
    let first = dead()?;
    let second = dead()?.with(|row| row.replaces = id_of(&first));
    let third = ended(scene.key()?, None, None).with(|row| row.replaces = id_of(&second));
    // An abandoned successor of a live key.
    let given_up = dead()?.with(|row| row.replaces = id_of(&third));
    let late = ended(scene.key()?, Some(TIME), None);
    let before_late = dead()?;
    let late = late.with(|row| row.replaces = id_of(&before_late));
    let maker = dead()?;
    let made = ended(scene.key()?, None, None).with(|row| row.created_via_key = id_of(&maker));
    let maker_of_dead = dead()?;
    let made_dead = dead()?.with(|row| row.created_via_key = id_of(&maker_of_dead));
    let all = [&first, &second, &third, &given_up, &before_late, &late, &maker, &made, &maker_of_dead, &made_dead];
    candidate.written(&scene.insert(all)).await?;
    same("how many dead keys nothing needs", &purged(candidate, u64::MAX).await?, &2)?;
    for (what, key, stays) in [
        ("the first of a chain, whose successor ended as long ago", &first, false),
        ("one whose successor lives", &second, true),
        ("one that lives", &third, true),
        ("one whose predecessor lives", &given_up, true),
        ("one whose successor ended later", &before_late, true),
        ("one that ended later", &late, true),
        ("one with which a live key was made", &maker, true),
        ("that live key", &made, true),
        ("one with which a dead key was made", &maker_of_dead, true),
        ("that dead key", &made_dead, false),
    ] {
        same(&format!("whether there is {what}"), &is_there(candidate, key).await?, &stays)?;
    }
    same("how many nothing needs after what was made is gone", &purged(candidate, u64::MAX).await?, &1)?;
    same("whether one is there with which a purged key was made", &is_there(candidate, &maker_of_dead).await?, &false)
}

pub(crate) async fn keys_with_an_end_are_counted<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let before = candidate.ended_keys(ancient(TIME)).await?;
    let scene = Scene::new()?;
    for (revoked, expires, all, old) in [
        (None, None, 0, 0),
        (Some(999), None, 1, 1),
        (None, Some(1_000), 2, 1),
        (Some(1_000), Some(999), 3, 2),
        (Some(1_000), Some(1_001), 4, 2),
    ] {
        candidate.written(&scene.insert([&ended(scene.key()?, revoked, expires)])).await?;
        let now = candidate.ended_keys(ancient(TIME)).await?;
        let added = (now.all.saturating_sub(before.all), now.before.saturating_sub(before.before));
        same("how many more keys have an end, and ended before the time", &added, &(all, old))?;
    }
    Ok(())
}

pub(crate) async fn a_purged_key_leaves_its_trail<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    swept(candidate).await?;
    let scene = Scene::new()?;
    let key = ended(scene.key()?, Some(10), Some(20));
    candidate.written(&scene.insert([&key])).await?;
    let used = super::usage::row(&key, "success", "", 1, 1, 1);
    let batch = UsageBatch { writer: scene.bytes(), sequence: 1, rows: vec![used], days: Vec::new() };
    candidate.record(&batch).await?;
    let mut expected = candidate.events(&scene).await?;
    expected.extend(EventRow::of_purge(&key.row, at(9)));
    let keys = DeadKeys { ended_before: ancient(TIME), most: u64::MAX, at: at(9) };
    candidate.prune(&Prune { keys: Some(keys), ..Prune::default() }).await?;
    let mut events = candidate.events(&scene).await?;
    if let (Some(last), Some(purge)) = (events.last().map(|event| event.sequence), expected.last_mut()) {
        purge.sequence = last;
    }
    same("the events of a purged key", &events, &expected)?;
    let mut after = Some(KeyId::LEAST);
    while let Some(from) = after {
        after = candidate.prune(&Prune { usage_after: Some(from), ..Prune::default() }).await?.usage_next;
    }
    let of = UsageScope::Keys(vec![key.id]);
    same("the counts of a purged key", &candidate.counts(&of).await?, &Vec::new())?;
    events = candidate.events(&scene).await?;
    same("its events after its counts went", &events.len(), &expected.len())
}
