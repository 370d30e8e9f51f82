//! Suspensions of owners, and their closing.

use tower_api_keys::{
    record::{OwnerStatusRow, Suspension},
    store::{Conflict, Effect, FoundOwner, KeyStore, Ledger, OwnerChange, OwnerRef, Write},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{conflicts, same},
};

pub(crate) async fn a_suspension_ends_by_itself_only<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = suspended_key(candidate).await?;
    let both = OwnerStatusRow {
        plan_suspended_at: Some(at(1).as_millis()),
        suspended_at: Some(at(2).as_millis()),
        closed_at: None,
    };
    same("the status under both suspensions", &candidate.found(&key.id).await?.owner, &both)?;
    let steps = [
        (OwnerChange::Reinstate(Suspension::Plan), OwnerStatusRow { plan_suspended_at: None, ..both }),
        (OwnerChange::Suspend(Suspension::Plan), OwnerStatusRow { plan_suspended_at: Some(at(4).as_millis()), ..both }),
        (
            OwnerChange::Reinstate(Suspension::Admin),
            OwnerStatusRow { plan_suspended_at: Some(at(4).as_millis()), ..OwnerStatusRow::default() },
        ),
        (OwnerChange::Reinstate(Suspension::Plan), OwnerStatusRow::default()),
    ];
    for (millis, (step, expected)) in (3..).zip(steps) {
        candidate.written(&scene.change(at(millis), vec![Write::Owner(scene.owner(), step)])).await?;
        same(&format!("the status after {step:?}"), &candidate.found(&key.id).await?.owner, &expected)?;
    }
    Ok(())
}

pub(crate) async fn a_second_suspension_changes_nothing<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, key) = suspended_key(candidate).await?;
    let before = candidate.found(&key.id).await?;
    for suspension in [Suspension::Plan, Suspension::Admin] {
        idle(candidate, &scene, OwnerChange::Suspend(suspension)).await?;
        same("the status after a second suspension", &candidate.found(&key.id).await?, &before)?;
    }
    for suspension in [Suspension::Plan, Suspension::Admin] {
        candidate
            .written(&scene.change(at(9), vec![Write::Owner(scene.owner(), OwnerChange::Reinstate(suspension))]))
            .await?;
        idle(candidate, &scene, OwnerChange::Reinstate(suspension)).await?;
    }
    same("the status after both were reinstated", &candidate.found(&key.id).await?.owner, &OwnerStatusRow::default())
}

pub(crate) async fn closing_is_final<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = suspended_key(candidate).await?;
    candidate.written(&scene.change(at(3), vec![Write::Owner(scene.owner(), OwnerChange::Close)])).await?;
    let closed = candidate.found(&key.id).await?;
    let expected = OwnerStatusRow {
        plan_suspended_at: Some(at(1).as_millis()),
        suspended_at: Some(at(2).as_millis()),
        closed_at: Some(at(3).as_millis()),
    };
    same("the status after closing", &closed.owner, &expected)?;
    idle(candidate, &scene, OwnerChange::Close).await?;
    for suspension in [Suspension::Plan, Suspension::Admin] {
        for step in [OwnerChange::Suspend(suspension), OwnerChange::Reinstate(suspension)] {
            let change = scene.change(at(9), vec![Write::Owner(scene.owner(), step)]);
            conflicts(&format!("{step:?} of a closed owner"), candidate.apply(&change).await, Conflict::OwnerClosed)?;
        }
    }
    same("the status long after closing", &candidate.found(&key.id).await?, &closed)
}

pub(crate) async fn an_owner_s_status_can_be_read<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let owner = scene.owner();
    same(
        "the status of an owner nobody ever suspended",
        &candidate.owner_status(&owner).await?,
        &FoundOwner::default(),
    )?;
    let (mut expected, organization) = (OwnerStatusRow::default(), OwnerStatusRow::default());
    for (millis, step) in [
        (1, OwnerChange::Suspend(Suspension::Plan)),
        (2, OwnerChange::Reinstate(Suspension::Plan)),
        (3, OwnerChange::Close),
    ] {
        candidate.written(&scene.change(at(millis), vec![Write::Owner(owner.clone(), step)])).await?;
        expected.plan_suspended_at = (millis == 1).then_some(at(1).as_millis());
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

pub(crate) async fn an_organization_is_suspended_like_an_owner<S: Ledger>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    use Effect::{Changed, Unchanged};
    let scene = Scene::new()?;
    let step = |step| scene.change(at(1), vec![Write::Organization(scene.organization(), step)]);
    let (suspend, reinstate) = (OwnerChange::Suspend(Suspension::Plan), OwnerChange::Reinstate(Suspension::Plan));
    let steps = [
        (reinstate, Unchanged),
        (suspend, Changed),
        (suspend, Unchanged),
        (reinstate, Changed),
        (OwnerChange::Close, Changed),
    ];
    for (change, expected) in steps.into_iter().chain([(OwnerChange::Close, Unchanged)]) {
        same(&format!("the effect of {change:?}"), &candidate.effects(&step(change)).await?, &vec![expected])?;
    }
    for change in [suspend, reinstate] {
        let seen = candidate.apply(&step(change)).await;
        conflicts(&format!("{change:?} of a closed organization"), seen, Conflict::OwnerClosed)?;
    }
    let closed = OwnerStatusRow { closed_at: Some(at(1).as_millis()), ..OwnerStatusRow::default() };
    let expected = FoundOwner { owner: OwnerStatusRow::default(), organization: closed };
    same("the status of an owner of a closed organization", &candidate.owner_status(&scene.owner()).await?, &expected)?;
    same("the number of events", &candidate.events(&scene).await?.len(), &3)
}

/// A key whose owner was suspended by the plan at 1 and by an admin at 2.
async fn suspended_key<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(Scene, Sample), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for (millis, suspension) in [(1, Suspension::Plan), (2, Suspension::Admin)] {
        let suspension = Write::Owner(scene.owner(), OwnerChange::Suspend(suspension));
        candidate.written(&scene.change(at(millis), vec![suspension])).await?;
    }
    Ok((scene, key))
}

async fn idle<S: KeyStore>(candidate: &Candidate<'_, S>, scene: &Scene, step: OwnerChange) -> Result<(), Unmet> {
    let change = scene.change(at(9), vec![Write::Owner(scene.owner(), step)]);
    same(&format!("the outcome of {step:?}"), &candidate.effects(&change).await?, &vec![Effect::Unchanged])
}
