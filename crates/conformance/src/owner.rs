//! Holds on owners, and their closing.

use tower_api_keys::{
    record::{Hold, OwnerStatusRow},
    store::{Conflict, Effect, FoundOwner, KeyStore, OwnerChange, OwnerRef, Write},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{conflicts, same},
};

pub(crate) async fn a_hold_is_lifted_by_itself_only<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = held_key(candidate).await?;
    let both = OwnerStatusRow {
        plan_held_at: Some(at(1).as_millis()),
        suspended_at: Some(at(2).as_millis()),
        closed_at: None,
    };
    same("the status under both holds", &candidate.found(&key.id).await?.owner, &both)?;
    let steps = [
        (OwnerChange::Lift(Hold::Plan), OwnerStatusRow { plan_held_at: None, ..both }),
        (OwnerChange::Hold(Hold::Plan), OwnerStatusRow { plan_held_at: Some(at(4).as_millis()), ..both }),
        (
            OwnerChange::Lift(Hold::Suspended),
            OwnerStatusRow { plan_held_at: Some(at(4).as_millis()), ..OwnerStatusRow::default() },
        ),
        (OwnerChange::Lift(Hold::Plan), OwnerStatusRow::default()),
    ];
    for (millis, (step, expected)) in (3..).zip(steps) {
        candidate.written(&scene.change(at(millis), vec![Write::Owner(scene.owner(), step)])).await?;
        same(&format!("the status after {step:?}"), &candidate.found(&key.id).await?.owner, &expected)?;
    }
    Ok(())
}

pub(crate) async fn a_second_hold_changes_nothing<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = held_key(candidate).await?;
    let before = candidate.found(&key.id).await?;
    for hold in [Hold::Plan, Hold::Suspended] {
        idle(candidate, &scene, OwnerChange::Hold(hold)).await?;
        same("the status after a second hold", &candidate.found(&key.id).await?, &before)?;
    }
    for hold in [Hold::Plan, Hold::Suspended] {
        candidate.written(&scene.change(at(9), vec![Write::Owner(scene.owner(), OwnerChange::Lift(hold))])).await?;
        idle(candidate, &scene, OwnerChange::Lift(hold)).await?;
    }
    same("the status after two lifts", &candidate.found(&key.id).await?.owner, &OwnerStatusRow::default())
}

pub(crate) async fn closing_is_final<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = held_key(candidate).await?;
    candidate.written(&scene.change(at(3), vec![Write::Owner(scene.owner(), OwnerChange::Close)])).await?;
    let closed = candidate.found(&key.id).await?;
    let expected = OwnerStatusRow {
        plan_held_at: Some(at(1).as_millis()),
        suspended_at: Some(at(2).as_millis()),
        closed_at: Some(at(3).as_millis()),
    };
    same("the status after closing", &closed.owner, &expected)?;
    idle(candidate, &scene, OwnerChange::Close).await?;
    for hold in [Hold::Plan, Hold::Suspended] {
        for step in [OwnerChange::Hold(hold), OwnerChange::Lift(hold)] {
            let change = scene.change(at(9), vec![Write::Owner(scene.owner(), step)]);
            conflicts(&format!("{step:?} of a closed owner"), candidate.apply(&change).await, Conflict::OwnerClosed)?;
        }
    }
    same("the status long after closing", &candidate.found(&key.id).await?, &closed)
}

pub(crate) async fn an_owner_s_status_can_be_read<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let owner = scene.owner();
    same("the status of an owner nobody ever held", &candidate.owner_status(&owner).await?, &FoundOwner::default())?;
    let (mut expected, organization) = (OwnerStatusRow::default(), OwnerStatusRow::default());
    for (millis, step) in
        [(1, OwnerChange::Hold(Hold::Plan)), (2, OwnerChange::Lift(Hold::Plan)), (3, OwnerChange::Close)]
    {
        candidate.written(&scene.change(at(millis), vec![Write::Owner(owner.clone(), step)])).await?;
        expected.plan_held_at = (millis == 1).then_some(at(1).as_millis());
        expected.closed_at = (millis == 3).then_some(at(3).as_millis());
        same(
            &format!("the status after {step:?}"),
            &candidate.owner_status(&owner).await?,
            &FoundOwner { owner: expected, organization },
        )?;
    }
    let elsewhere = OwnerRef { organization: Scene::new()?.owner().organization, ..owner };
    same("the status in another organization", &candidate.owner_status(&elsewhere).await?, &FoundOwner::default())
}

pub(crate) async fn an_organization_is_held_like_an_owner<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    use Effect::{Changed, Unchanged};
    let scene = Scene::new()?;
    let step = |step| scene.change(at(1), vec![Write::Organization(scene.organization(), step)]);
    let (hold, lift) = (OwnerChange::Hold(Hold::Plan), OwnerChange::Lift(Hold::Plan));
    let steps = [(lift, Unchanged), (hold, Changed), (hold, Unchanged), (lift, Changed), (OwnerChange::Close, Changed)];
    for (change, expected) in steps.into_iter().chain([(OwnerChange::Close, Unchanged)]) {
        same(&format!("the effect of {change:?}"), &candidate.effects(&step(change)).await?, &vec![expected])?;
    }
    for change in [hold, lift] {
        let seen = candidate.apply(&step(change)).await;
        conflicts(&format!("{change:?} of a closed organization"), seen, Conflict::OwnerClosed)?;
    }
    let closed = OwnerStatusRow { closed_at: Some(at(1).as_millis()), ..OwnerStatusRow::default() };
    let expected = FoundOwner { owner: OwnerStatusRow::default(), organization: closed };
    same("the status of an owner of a closed organization", &candidate.owner_status(&scene.owner()).await?, &expected)?;
    same("the number of events", &candidate.events(&scene).await?.len(), &3)
}

/// A key whose owner the plan holds since 1 and an admin suspended at 2.
async fn held_key<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(Scene, Sample), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for (millis, hold) in [(1, Hold::Plan), (2, Hold::Suspended)] {
        let hold = Write::Owner(scene.owner(), OwnerChange::Hold(hold));
        candidate.written(&scene.change(at(millis), vec![hold])).await?;
    }
    Ok((scene, key))
}

async fn idle<S: KeyStore>(candidate: &Candidate<'_, S>, scene: &Scene, step: OwnerChange) -> Result<(), Unmet> {
    let change = scene.change(at(9), vec![Write::Owner(scene.owner(), step)]);
    same(&format!("the outcome of {step:?}"), &candidate.effects(&change).await?, &vec![Effect::Unchanged])
}
