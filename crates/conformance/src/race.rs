//! Calls at once, and calls that are dropped half-way. One task polls the futures of a race: a store that waits for
//! something has all of them in progress together.

use std::slice::from_ref;

use tokio::task::yield_now;
use tower_api_keys::store::{Effect, Ledger};

use crate::{
    Candidate, Unmet, at_once,
    find::begin,
    scene::{Scene, at},
    unmet::{ensure, same},
};

pub(crate) async fn one_of_many_revocations_is_written<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::revocations(from_ref(candidate)).await
}

pub(crate) async fn one_of_many_inserts_is_written<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::inserts(from_ref(candidate)).await
}

pub(crate) async fn one_of_many_updates_is_written<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::updates(from_ref(candidate)).await
}

pub(crate) async fn one_of_many_successors_is_written<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::successors(from_ref(candidate)).await
}

pub(crate) async fn one_of_many_replays_is_written<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::repeated_idempotency_keys(from_ref(candidate)).await
}

pub(crate) async fn one_of_two_keys_survives<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::ends_of_a_rotation(from_ref(candidate)).await
}

pub(crate) async fn a_change_at_once_is_done_once<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::one_change(from_ref(candidate)).await
}

pub(crate) async fn no_key_is_issued_after_a_suspension<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::keys_and_a_suspension(from_ref(candidate)).await
}

pub(crate) async fn a_batch_at_once_counts_once<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::one_batch(from_ref(candidate)).await
}

pub(crate) async fn one_of_many_takes_the_last_place<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    at_once::keys_below_a_limit(from_ref(candidate)).await
}

pub(crate) async fn a_dropped_change_is_whole_or_nothing<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for round in 0..24 {
        let scene = Scene::new()?;
        let (old, new) = (scene.key()?, scene.key()?);
        candidate.written(&scene.insert([&old])).await?;
        let change = scene.change(at(1), vec![new.insert(), old.revoke()]);
        begin(candidate.apply(&change)).await;
        for _ in 0..round {
            yield_now().await;
        }
        // A list is as of one moment; two finds are not.
        let listed = candidate.list(&scene.query(), at(1)).await?.rows;
        let revoked = listed.iter().filter(|listed| listed.key.revoked_at.is_some()).count();
        ensure("both writes of a dropped change or neither", listed.len() == revoked + 1, (listed.len(), revoked))?;
        let expected = vec![Effect::Changed; 2];
        same("the dropped change, repeated", &candidate.effects(&change).await?, &expected)?;
        same("the number of events", &candidate.events(&scene).await?.len(), &3)?;
        let listed = candidate.list(&scene.query(), at(1)).await?.rows.len();
        same("the number of keys", &listed, &2)?;
    }
    Ok(())
}
