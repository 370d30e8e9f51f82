//! Pauses of keys: S109 and S110.

use tower_api_keys::{
    record::KeyRow,
    store::{Change, Conflict, Effect, KeyStore},
};

use crate::{
    Candidate, Unmet,
    log::logged_key,
    scene::{Sample, Scene, at},
    unmet::{conflicts, same},
};

/// The row of the key after a pause at this time.
fn paused(key: &Sample, millis: u64, by: &str) -> KeyRow {
    KeyRow { paused_at: Some(at(millis).as_millis()), paused_by: Some(by.to_owned()), version: 2, ..key.row.clone() }
}

async fn done_and_logged<S: KeyStore>(
    candidate: &Candidate<'_, S>,
    what: &str,
    key: &Sample,
    change: &Change,
) -> Result<(), Unmet> {
    match candidate.head_if_tracked().await? {
        Some(_) => logged_key(candidate, what, &key.id, change).await,
        None => candidate.written(change).await,
    }
}

pub(crate) async fn a_key_is_paused<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let expired = scene.key()?.with(|row| row.expires_at = Some(at(0).as_millis()));
    for key in [scene.key()?, expired] {
        candidate.written(&scene.insert([&key])).await?;
        let pause = scene.change(at(7), vec![key.pause_by("user:first")]);
        done_and_logged(candidate, "a pause", &key, &pause).await?;
        same("a key just paused", &candidate.found(&key.id).await?.key, &paused(&key, 7, "user:first"))?;
        for millis in [8, 0] {
            let again = scene.change(at(millis), vec![key.pause_by("user:second")]);
            same("the outcome of a second pause", &candidate.effects(&again).await?, &vec![Effect::Unchanged])?;
            let expected = paused(&key, 7, "user:first");
            same("a key paused twice", &candidate.found(&key.id).await?.key, &expected)?;
        }
        for (what, other) in [("a foreign key", elsewhere.key_with(key.id)?), ("an absent key", scene.key()?)] {
            let pause = elsewhere.change(at(9), vec![other.pause_by("user:eve")]);
            conflicts(&format!("a pause of {what}"), candidate.apply(&pause).await, Conflict::Missing)?;
        }
        candidate.written(&scene.change(at(9), vec![key.revoke_by("user:alice")])).await?;
        let revoked = candidate.found(&key.id).await?;
        same("the pause of a key that was revoked then", &revoked.key.paused_at, &Some(at(7).as_millis()))?;
        let late = scene.change(at(10), vec![key.pause_by("user:late")]);
        conflicts("a pause of a revoked key", candidate.apply(&late).await, Conflict::Revoked)?;
        same("a revoked key after a pause", &candidate.found(&key.id).await?, &revoked)?;
    }
    Ok(())
}

pub(crate) async fn that_pause_is_ended_and_no_other<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let by = Some("user:alice");
    let early = scene.change(at(1), vec![key.resume(at(1), by)]);
    same("the outcome of a resumption without a pause", &candidate.effects(&early).await?, &vec![Effect::Unchanged])?;
    candidate.written(&scene.change(at(7), vec![key.pause_by("user:alice")])).await?;
    for (what, other) in [
        ("of another time", key.resume(at(6), by)),
        ("of another author", key.resume(at(7), Some("user:Alice"))),
        ("of no author", key.resume(at(7), None)),
    ] {
        let resume = scene.change(at(8), vec![other]);
        conflicts(&format!("the end of a pause {what}"), candidate.apply(&resume).await, Conflict::Version)?;
    }
    for (what, other) in [("a foreign key", elsewhere.key_with(key.id)?), ("an absent key", scene.key()?)] {
        let resume = elsewhere.change(at(8), vec![other.resume(at(7), by)]);
        conflicts(&format!("the end of a pause of {what}"), candidate.apply(&resume).await, Conflict::Missing)?;
    }
    same("a key whose pause was not ended", &candidate.found(&key.id).await?.key, &paused(&key, 7, "user:alice"))?;
    let resume = scene.change(at(8), vec![key.resume(at(7), by)]);
    done_and_logged(candidate, "the end of a pause", &key, &resume).await?;
    let resumed = KeyRow { version: 3, ..key.row.clone() };
    same("a key just resumed", &candidate.found(&key.id).await?.key, &resumed)?;

    // As plain SQL may leave it, without an actor.
    let anonymous = scene.key()?.with(|row| row.paused_at = Some(at(3).as_millis()));
    candidate.written(&scene.insert([&anonymous])).await?;
    let other = scene.change(at(8), vec![anonymous.resume(at(3), by)]);
    conflicts("the end of somebody's pause where nobody's stands", candidate.apply(&other).await, Conflict::Version)?;
    candidate.written(&scene.change(at(8), vec![anonymous.resume(at(3), None)])).await?;
    same("the pause of nobody, ended", &candidate.found(&anonymous.id).await?.key.paused_at, &None)?;

    candidate.written(&scene.change(at(9), vec![key.pause_by("user:alice")])).await?;
    candidate.written(&scene.change(at(10), vec![key.revoke_by("user:alice")])).await?;
    let revoked = candidate.found(&key.id).await?;
    let late = scene.change(at(11), vec![key.resume(at(9), by)]);
    conflicts("the end of the pause of a revoked key", candidate.apply(&late).await, Conflict::Revoked)?;
    same("a revoked key after that", &candidate.found(&key.id).await?, &revoked)
}
