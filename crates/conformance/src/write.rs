//! The writes of a change: S1 and after.

use tower_api_keys::{
    record::{KeyRow, OwnerStatusRow, Suspension},
    store::{Conflict, Effect, FoundKey, KeyStore, KeyUpdate, Ledger, OwnerChange, RehashedKey, Write},
    usage::{UsageBatch, UsageRow},
};

use crate::{
    Candidate, Unmet,
    scene::{Scene, at},
    unmet::{conflicts, ensure, same},
};

pub(crate) async fn an_id_is_taken_once<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let first = candidate.found(&key.id).await?;
    let namesake = scene.key_with(key.id)?.with(|row| row.name = "another".into());
    let foreign = elsewhere.key_with(key.id)?;
    for (what, other) in [("the same key again", &key), ("another key", &namesake), ("a foreign key", &foreign)] {
        conflicts(what, candidate.apply(&scene.insert([other])).await, Conflict::IdTaken)?;
        same(&format!("the first key after {what}"), &candidate.found(&key.id).await?, &first)?;
    }
    let twin = scene.key()?;
    conflicts("one id twice in a change", candidate.apply(&scene.insert([&twin, &twin])).await, Conflict::IdTaken)?;
    candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
    conflicts("the id of a revoked key", candidate.apply(&scene.insert([&namesake])).await, Conflict::IdTaken)
}

pub(crate) async fn an_update_writes_four_columns<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let maker = scene.id()?;
    let key = scene.key()?.with(|row| {
        row.pepper_id = Some(3);
        row.created_via_key = Some(maker.as_str().to_owned());
        row.replaces = Some(maker.as_str().to_owned());
        row.expires_at = Some(at(1_000).as_millis());
    });
    candidate.written(&scene.insert([&key])).await?;
    let (name, labels, scopes) = ("renamed".to_owned(), r#"{"where":"CI"}"#.to_owned(), "intake:write".to_owned());
    for (version, expires_at) in (1..).zip([Some(at(500).as_millis()), None]) {
        let (name, labels, scopes) = (name.clone(), labels.clone(), scopes.clone());
        let allowed_networks = expires_at.map(|_| "10.0.0.0/8 2001:db8::/32".to_owned());
        let responsible = expires_at.map(|_| "user:bob".to_owned());
        let update =
            KeyUpdate { name, labels, scopes, allowed_networks, responsible, expires_at, ..key.update(version) };
        candidate.written(&scene.change(at(1), vec![Write::Update(update.clone())])).await?;
        let KeyUpdate { name, labels, scopes, allowed_networks, responsible, .. } = update;
        let version = version + 1;
        let expected =
            KeyRow { name, labels, scopes, allowed_networks, responsible, expires_at, version, ..key.row.clone() };
        same("a key just updated", &candidate.found(&key.id).await?.key, &expected)?;
    }
    Ok(())
}

pub(crate) async fn an_update_needs_the_version<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    candidate.written(&scene.change(at(1), vec![key.rename(1, "first")])).await?;
    let before = candidate.found(&key.id).await?;
    for version in [1, 3, 0] {
        let late = scene.change(at(1), vec![key.rename(version, "late")]);
        conflicts(&format!("version {version} where 2 stands"), candidate.apply(&late).await, Conflict::Version)?;
    }
    same("the key after updates that conflict", &candidate.found(&key.id).await?, &before)
}

pub(crate) async fn a_revoked_key_is_not_updated<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
    let before = candidate.found(&key.id).await?;
    let update = scene.change(at(2), vec![key.rename(before.key.version, "late")]);
    conflicts("an update of a revoked key", candidate.apply(&update).await, Conflict::Revoked)?;
    same("a revoked key after an update", &candidate.found(&key.id).await?, &before)
}

pub(crate) async fn a_foreign_key_is_not_updated<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for (what, other) in [("a foreign key", elsewhere.key_with(key.id)?), ("an absent key", scene.key()?)] {
        let update = elsewhere.change(at(1), vec![other.rename(1, "stolen")]);
        conflicts(&format!("an update of {what}"), candidate.apply(&update).await, Conflict::Missing)?;
    }
    same("a key after a foreign update", &candidate.found(&key.id).await?.key, &key.row)
}

pub(crate) async fn a_revocation_has_time_and_author<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let expired = scene.key()?.with(|row| row.expires_at = Some(at(0).as_millis()));
    for key in [scene.key()?, expired] {
        candidate.written(&scene.insert([&key])).await?;
        candidate.written(&scene.change(at(7), vec![key.revoke_by("system:leak response")])).await?;
        let expected = KeyRow {
            revoked_at: Some(at(7).as_millis()),
            revoked_by: Some("system:leak response".to_owned()),
            ..key.row
        };
        same("a key just revoked", &candidate.found(&key.id).await?.key, &expected)?;
    }
    Ok(())
}

pub(crate) async fn a_second_revocation_changes_nothing<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    candidate.written(&scene.change(at(1), vec![key.revoke_by("user:first")])).await?;
    let first = candidate.found(&key.id).await?;
    for millis in [2, 0] {
        let again = scene.change(at(millis), vec![key.revoke_by("user:second")]);
        same("the outcome of a second revocation", &candidate.effects(&again).await?, &vec![Effect::Unchanged])?;
        same("a key revoked twice", &candidate.found(&key.id).await?, &first)?;
    }
    Ok(())
}

pub(crate) async fn a_foreign_key_is_not_revoked<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for (what, other) in [("a foreign key", elsewhere.key_with(key.id)?), ("an absent key", scene.key()?)] {
        let revoke = elsewhere.change(at(1), vec![other.revoke()]);
        conflicts(&format!("a revocation of {what}"), candidate.apply(&revoke).await, Conflict::Missing)?;
    }
    same("a key after a foreign revocation", &candidate.found(&key.id).await?.key, &key.row)
}

pub(crate) async fn nothing_un_revokes<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let insert = scene.insert([&key]);
    let update = scene.change(at(1), vec![key.rename(1, "renamed")]);
    candidate.written(&insert).await?;
    candidate.written(&update).await?;
    candidate.written(&scene.change(at(2), vec![key.revoke()])).await?;
    let revoked = candidate.found(&key.id).await?;
    let still = async |what: &str| {
        let FoundKey { key: seen, .. } = candidate.found(&key.id).await?;
        same(&format!("a revoked key after {what}"), &seen, &revoked.key)
    };
    // Other clauses test the answers of these.
    let _ = candidate.apply(&scene.change(at(3), vec![key.rename(2, "alive")])).await;
    still("an update").await?;
    let new = RehashedKey { hash: "$argon2id$new".into(), tag: [1; 4], pepper_id: None, proof: None };
    let _ = candidate.subject().rehash(&key.id, &key.row.hash, &new).await;
    still("a re-hash").await?;
    let used = UsageRow {
        key: Some(key.row.id.clone()),
        organization: None,
        outcome: "success".into(),
        label: String::new(),
        client: String::new(),
        network: String::new(),
        count: 1,
        first_at: at(3).as_millis(),
        last_at: at(3).as_millis(),
    };
    let _ = candidate
        .subject()
        .record_usage(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: vec![used], days: Vec::new() })
        .await;
    still("being used").await?;
    for step in [OwnerChange::Suspend(Suspension::Admin), OwnerChange::Reinstate(Suspension::Admin)] {
        let _ = candidate.apply(&scene.change(at(3), vec![Write::Owner(scene.owner(), step)])).await;
        still("a suspension or reinstatement of its owner").await?;
    }
    for (what, older) in [("its insertion repeated", &insert), ("an older update repeated", &update)] {
        let _ = candidate.apply(older).await;
        still(what).await?;
    }
    let _ = candidate.apply(&scene.insert([&key])).await;
    still("a new key of its id").await
}

pub(crate) async fn a_change_is_whole_or_nothing<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (old, new, stranger) = (scene.key()?, scene.key()?, scene.key()?);
    candidate.written(&scene.insert([&old])).await?;
    let (events, head) = (candidate.events(&scene).await?, candidate.head_if_tracked().await?);
    let suspension = Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Plan));
    let writes = vec![new.insert(), old.rename(1, "renamed"), old.revoke(), suspension];
    for place in [writes.len(), 2] {
        let mut writes = writes.clone();
        writes.insert(place, stranger.revoke());
        conflicts("a revocation of nothing", candidate.apply(&scene.change(at(1), writes)).await, Conflict::Missing)?;
        same("a key that a failed change would insert", &candidate.find(&new.id).await?, &None)?;
        let expected = FoundKey {
            key: old.row.clone(),
            owner: OwnerStatusRow::default(),
            organization: OwnerStatusRow::default(),
        };
        same("a key that a failed change would revoke", &candidate.found(&old.id).await?, &expected)?;
        same("the events after a failed change", &candidate.events(&scene).await?, &events)?;
        same("the head of the log after a failed change", &candidate.head_if_tracked().await?, &head)?;
    }
    Ok(())
}

pub(crate) async fn writes_see_those_before_them<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    use Effect::{Changed, Unchanged};
    let scene = Scene::new()?;
    let key = scene.key()?;
    let owner = |step| Write::Owner(scene.owner(), step);
    let (suspension, reinstatement) =
        (OwnerChange::Suspend(Suspension::Plan), OwnerChange::Reinstate(Suspension::Plan));
    let writes = [key.insert(), key.rename(1, "a"), key.rename(2, "b"), key.revoke(), key.revoke()];
    let steps = [reinstatement, suspension, suspension, reinstatement, OwnerChange::Close, OwnerChange::Close];
    let change = scene.change(at(1), writes.into_iter().chain(steps.map(owner)).collect());
    let expected =
        [Changed, Changed, Changed, Changed, Unchanged, Unchanged, Changed, Unchanged, Changed, Changed, Unchanged];
    same("the effects", &candidate.effects(&change).await?, &expected.to_vec())?;
    let found = candidate.found(&key.id).await?;
    let expected = FoundKey {
        key: KeyRow {
            name: "b".into(),
            version: 3,
            revoked_at: Some(at(1).as_millis()),
            revoked_by: Some("user:alice".into()),
            ..key.row.clone()
        },
        owner: OwnerStatusRow { closed_at: Some(at(1).as_millis()), ..OwnerStatusRow::default() },
        organization: OwnerStatusRow::default(),
    };
    same("a key that one change made, renamed twice and revoked", &found, &expected)?;

    let other = scene.key()?;
    let change = scene.change(at(1), vec![other.insert(), other.revoke(), other.rename(1, "late")]);
    conflicts("an update after a revocation in one change", candidate.apply(&change).await, Conflict::Revoked)
}

pub(crate) async fn the_dead_among_many_are_told<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (dead, one, two) = (scene.key()?, scene.key()?, scene.key()?);
    candidate.written(&scene.insert([&dead, &one, &two])).await?;
    candidate.written(&scene.change(at(1), vec![dead.revoke()])).await?;
    let before = candidate.events(&scene).await?.len();
    let change = scene.change(at(2), vec![dead.revoke(), one.revoke(), two.revoke()]);
    let expected = vec![Effect::Unchanged, Effect::Changed, Effect::Changed];
    same("the effects if the first key is dead", &candidate.effects(&change).await?, &expected)?;
    let mut seen: Vec<_> = candidate.events(&scene).await?.into_iter().skip(before).collect();
    seen.iter_mut().for_each(|event| event.sequence = 0);
    let expected: Vec<_> = change.writes.iter().skip(1).map(|audited| audited.event.clone()).collect();
    same("the events, their sequence aside", &seen, &expected)
}

pub(crate) async fn one_key_is_updated_several_times<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let before = candidate.events(&scene).await?.len();
    let renamed = KeyUpdate { name: "renamed".into(), ..key.update(1) };
    let narrowed = KeyUpdate { scopes: "intake:write".into(), expected_version: 2, ..renamed.clone() };
    let ending = KeyUpdate { expires_at: Some(at(500).as_millis()), expected_version: 3, ..narrowed.clone() };
    let steps =
        |last: KeyUpdate| vec![renamed.clone(), narrowed.clone(), last].into_iter().map(Write::Update).collect();
    let late = scene.change(at(1), steps(KeyUpdate { expected_version: 1, ..ending.clone() }));
    conflicts("a third update under the first one's version", candidate.apply(&late).await, Conflict::Version)?;
    same("a key of which one of three updates conflicts", &candidate.found(&key.id).await?.key, &key.row)?;
    same("its events", &candidate.events(&scene).await?.len(), &before)?;

    let change = scene.change(at(1), steps(ending.clone()));
    candidate.written(&change).await?;
    let KeyUpdate { name, scopes, expires_at, .. } = ending;
    let expected = KeyRow { name, scopes, expires_at, version: 4, ..key.row.clone() };
    same("a key updated three times in one change", &candidate.found(&key.id).await?.key, &expected)?;
    let mut seen: Vec<_> = candidate.events(&scene).await?.into_iter().skip(before).collect();
    seen.iter_mut().for_each(|event| event.sequence = 0);
    let expected: Vec<_> = change.writes.iter().map(|audited| audited.event.clone()).collect();
    same("the events of three updates, their sequence aside", &seen, &expected)
}

pub(crate) async fn fifty_writes_are_done<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = scene.keys(50)?;
    candidate.written(&scene.insert(&keys)).await?;
    for key in &keys {
        ensure("all of fifty keys", candidate.find(&key.id).await?.is_some(), "one missing")?;
    }
    Ok(())
}

pub(crate) async fn a_write_has_its_event<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let suspension = Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Plan));
    let changes = [
        scene.change(at(1), vec![key.insert(), key.rename(1, "renamed"), suspension]),
        scene.change(at(2), vec![key.revoke(), Write::Owner(scene.owner(), OwnerChange::Close)]),
    ];
    for change in &changes {
        candidate.written(change).await?;
    }
    let mut seen = candidate.events(&scene).await?;
    seen.iter_mut().for_each(|event| event.sequence = 0);
    let expected: Vec<_> = changes.iter().flat_map(|change| &change.writes).map(|one| one.event.clone()).collect();
    same("the events of two changes, their sequence aside", &seen, &expected)
}

pub(crate) async fn what_changes_nothing_has_no_event<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let owner = |step| Write::Owner(scene.owner(), step);
    candidate.written(&scene.change(at(0), vec![key.insert(), key.revoke()])).await?;
    candidate.written(&scene.change(at(0), vec![owner(OwnerChange::Suspend(Suspension::Plan))])).await?;
    let before = candidate.events(&scene).await?;
    let idle =
        [key.revoke(), owner(OwnerChange::Suspend(Suspension::Plan)), owner(OwnerChange::Reinstate(Suspension::Admin))];
    candidate.effects(&scene.change(at(1), idle.to_vec())).await?;
    let _ = candidate.apply(&scene.insert([&key])).await;
    same("the events after what changed nothing", &candidate.events(&scene).await?, &before)?;
    candidate.written(&scene.change(at(2), vec![owner(OwnerChange::Close)])).await?;
    let before = candidate.events(&scene).await?;
    candidate.effects(&scene.change(at(3), vec![owner(OwnerChange::Close)])).await?;
    same("the events after a second closing", &candidate.events(&scene).await?, &before)
}
