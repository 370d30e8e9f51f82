//! What a list says about the rows around a key: its creator, its predecessor, its successor.

use tower_api_keys::{
    KeyKind, Timestamp,
    record::{OwnerStatusRow, Suspension},
    store::{KeyCursor, KeyQuery, KeyStore, Liveness, OwnerChange, OwnerRef, Page, Write},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{made, same},
};

pub(crate) async fn successors_are_found<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let (old, other) = (scene.key()?, scene.key()?);
    // Falling times show that the order is not that of writing.
    let heirs: Vec<Sample> =
        (0..5).map(|n| Ok(heir(&scene, &old)?.with(|row| row.created_at -= n))).collect::<Result<_, Unmet>>()?;
    let unlike = heir(&scene, &other)?;
    candidate.written(&scene.insert([&old, &other, &unlike].into_iter().chain(&heirs))).await?;
    candidate.written(&elsewhere.insert([&heir(&elsewhere, &old)?])).await?;
    let [first, second, ..] = heirs.as_slice() else { return Err(Unmet::failed("the kit has too few keys")) };
    candidate.written(&scene.change(at(1), vec![second.revoke()])).await?;

    let ids = |keys: &[Sample]| keys.iter().rev().map(|key| key.row.id.clone()).collect::<Vec<_>>();
    let of = |key: &Sample| KeyQuery { predecessor: Some(key.id), ..scene.query() };
    let dead = KeyQuery { liveness: Some(Liveness::Dead), ..of(&old) };
    let early = KeyQuery { created_before: Some(at(0)), ..of(&old) };
    let cases: [(&str, KeyQuery, Vec<String>); 6] = [
        ("those of a key", of(&old), ids(&heirs)),
        ("those of another", of(&other), vec![unlike.row.id.clone()]),
        ("those of a successor", of(first), Vec::new()),
        ("the dead ones", dead, vec![second.row.id.clone()]),
        ("those made by alice", KeyQuery { creator: Some(made("user:alice".parse())?), ..of(&old) }, ids(&heirs)),
        ("those made earlier than the first", early, ids(heirs.get(1..).unwrap_or_default())),
    ];
    for (what, query, expected) in cases {
        same(&format!("successors: {what}"), &candidate.listed(&query, at(2)).await?, &expected)?;
    }
    let nowhere = KeyQuery { organization: Scene::new()?.organization(), ..of(&old) };
    same("successors in an organization without keys", &candidate.listed(&nowhere, at(2)).await?, &Vec::new())?;

    let (mut seen, mut after) = (Vec::new(), None);
    for _ in 0..3 {
        let Page { rows, more } = candidate.list(&KeyQuery { limit: 2, after, ..of(&old) }, at(2)).await?;
        seen.extend(rows.iter().map(|row| row.key.id.clone()));
        same("`more` of a page of at most two of five successors", &more, &(seen.len() < heirs.len()))?;
        let last = rows.last().and_then(|row| heirs.iter().find(|key| key.row.id == row.key.id));
        let Some(last) = last else { break };
        let created_at = made(Timestamp::from_millis(last.row.created_at))?;
        after = Some(KeyCursor { created_at, expires_at: None, id: last.id });
    }
    same("successors in pages of two", &seen, &ids(&heirs))
}

pub(crate) async fn a_listed_key_has_its_creator_s_status<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let maker = scene.id()?;
    let creators = [
        "user:alice".to_owned(),
        "user:Alice".to_owned(),
        "user:alice ".to_owned(),
        "user:bob".to_owned(),
        "system:alice".to_owned(),
        format!("key:{maker}"),
    ];
    let by = |creator: &String| Ok::<_, Unmet>(scene.key()?.with(|row| row.created_by.clone_from(creator)));
    let keys: Vec<Sample> = creators.iter().map(by).collect::<Result<_, _>>()?;
    candidate.written(&scene.insert(&keys)).await?;
    let alice = scene.owner_named(KeyKind::User, "alice")?;
    // Each is similar to the right owner, but is another one.
    let others = [
        scene.owner_named(KeyKind::Team, "alice")?,
        scene.owner_named(KeyKind::User, maker.as_str())?,
        scene.owner_named(KeyKind::Team, "bob")?,
        OwnerRef { organization: elsewhere.organization(), owner: scene.owner_named(KeyKind::User, "bob")?.owner },
    ];
    let close = |owner: &OwnerRef| Write::Owner(owner.clone(), OwnerChange::Close);
    candidate.written(&scene.change(at(1), others.iter().map(close).collect())).await?;
    let mut expected = OwnerStatusRow::default();
    let steps = [OwnerChange::Suspend(Suspension::Admin), OwnerChange::Suspend(Suspension::Plan), OwnerChange::Close];
    for (millis, step) in (2..).zip(steps) {
        candidate.written(&scene.change(at(millis), vec![Write::Owner(alice.clone(), step)])).await?;
        match step {
            OwnerChange::Suspend(Suspension::Admin) => expected.suspended_at = Some(at(millis).as_millis()),
            OwnerChange::Suspend(_) => expected.plan_suspended_at = Some(at(millis).as_millis()),
            _ => expected.closed_at = Some(at(millis).as_millis()),
        }
        let rows = candidate.list(&scene.query(), at(9)).await?.rows;
        for creator in &creators {
            let seen: Vec<_> =
                rows.iter().filter(|row| row.key.created_by == *creator).map(|row| row.creator).collect();
            let status = if creator == "user:alice" { expected } else { OwnerStatusRow::default() };
            same(
                &format!("the status of `{creator}`, who made a key, after {step:?} of `user:alice`"),
                &seen,
                &vec![status],
            )?;
        }
    }
    Ok(())
}

pub(crate) async fn a_listed_key_tells_of_its_rotation<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let old = scene.key()?;
    let mut heirs = [heir(&scene, &old)?, heir(&scene, &old)?, heir(&scene, &old)?];
    heirs.sort_by(|one, other| one.row.id.cmp(&other.row.id));
    let [least, middle, greatest] = heirs.clone();
    let least = least.with(|row| row.expires_at = Some(at(1_000).as_millis()));
    let orphan = scene.key()?.with(|row| row.replaces = Some(scene.word()));
    let stranger = heir(&elsewhere, &old)?;
    let tells = async |key: &Sample, millis: u64, successor: Option<&Sample>, predecessor_is_live: bool| {
        let query = KeyQuery { organization: key.organization.clone(), ..scene.query() };
        let rows = candidate.list(&query, at(millis)).await?.rows;
        let seen: Vec<_> = rows
            .into_iter()
            .filter(|row| row.key.id == key.row.id)
            .map(|row| (row.successor.map(|successor| successor.id), row.predecessor_is_live))
            .collect();
        let expected = vec![(successor.map(|key| key.row.id.clone()), predecessor_is_live)];
        same(&format!("successor, and whether the predecessor lives, of {} at {millis}", key.row.id), &seen, &expected)
    };
    // Keys of another organization come first, so that they would be seen.
    candidate.written(&elsewhere.insert([&stranger])).await?;
    candidate.written(&scene.insert([&old, &orphan])).await?;
    tells(&old, 2, None, false).await?;
    tells(&orphan, 2, None, false).await?;
    tells(&stranger, 2, None, false).await?;
    candidate.written(&scene.insert([&greatest, &middle, &least])).await?;
    for heir in [&least, &middle, &greatest] {
        tells(heir, 2, None, true).await?;
    }
    tells(&old, 999, Some(&least), false).await?;
    tells(&old, 1_000, Some(&middle), false).await?;
    candidate.written(&scene.change(at(3), vec![middle.revoke()])).await?;
    tells(&old, 999, Some(&least), false).await?;
    tells(&old, 1_000, Some(&greatest), false).await?;
    candidate.written(&scene.change(at(4), vec![greatest.revoke(), old.revoke()])).await?;
    tells(&old, 1_000, None, false).await?;
    tells(&least, 2, None, false).await?;
    let mortal = scene.key()?.with(|row| row.expires_at = Some(at(500).as_millis()));
    let follower = heir(&scene, &mortal)?;
    candidate.written(&scene.insert([&mortal, &follower])).await?;
    tells(&follower, 499, None, true).await?;
    tells(&follower, 500, None, false).await?;
    // A dead key can have a live successor, too.
    tells(&mortal, 500, Some(&follower), false).await
}

/// A key that replaces this one.
pub(crate) fn heir(scene: &Scene, old: &Sample) -> Result<Sample, Unmet> {
    Ok(scene.key()?.with(|row| row.replaces = Some(old.row.id.clone())))
}
