//! Requests that are repeated with their idempotency key.

use std::time::Duration;

use crate::{
    Actor, IssueKey, KeyManager,
    key::KeyId,
    manage::{
        Decision, KeyAction, ManageError, ManageErrorKind, Policy, RotateKey, Target,
        fixture::{Bench, Fault, person, system, team, time, user},
    },
};

const OLD: &str = "AAAAAAAAAAAAAAAAAAAA";
const END: &str = "2026-03-01T13:00:00Z";

fn issue() -> IssueKey {
    IssueKey::of(user("alice")).named("Monday cron").idempotency_key("3f1c5a4e")
}

fn rotate(id: KeyId) -> RotateKey {
    RotateKey::of(id).named("Monday cron").old_key_ends_at(time(END)).idempotency_key("3f1c5a4e")
}

async fn refused(manager: &KeyManager, request: IssueKey) -> ManageError {
    manager.issue(request, &person("alice")).await.unwrap_err()
}

fn told(error: &ManageError) -> (ManageErrorKind, Option<KeyId>) {
    (error.kind(), error.replayed().map(|key| key.id))
}

const USED: ManageErrorKind = ManageErrorKind::IdempotencyKeyUsed;
const REUSED: (ManageErrorKind, Option<KeyId>) = (ManageErrorKind::IdempotencyKeyReused, None);

#[tokio::test]
async fn same_request_is_told_which_key_it_made_and_another_one_is_told_apart() {
    let bench = Bench::new();
    let made = bench.manager.issue(issue(), &person("alice")).await.unwrap().info().clone();
    let error = refused(&bench.manager, issue()).await;
    assert_eq!((error.kind(), error.replayed()), (USED, Some(&made)));
    for other in [
        issue().named("another"),
        issue().labelled("ticket", "OPS-1"),
        issue().scopes("read".parse().unwrap()),
        issue().expires_at(time(END)),
        issue().limits("10 a second"),
        issue().responsible("user:bob"),
    ] {
        assert_eq!(told(&refused(&bench.manager, other).await), REUSED);
    }
    let team_key = IssueKey::of(team("blue")).named("Monday cron").idempotency_key("3f1c5a4e");
    assert!(bench.manager.issue(team_key, &system()).await.is_ok(), "another actor's");
    let rotated = bench.manager.begin_rotation(rotate(made.id), &person("alice")).await;
    assert_eq!(told(&rotated.unwrap_err()), REUSED);
    assert_eq!(bench.all().await.0.len(), 2);

    // The answer shows the key's current state.
    bench.manager.revoke(&made.id, &system()).await.unwrap();
    assert!(refused(&bench.manager, issue()).await.replayed().unwrap().revoked_at.is_some());
}

#[tokio::test]
async fn key_of_an_unknown_outcome_is_named_when_the_request_is_made_again() {
    for rotates in [false, true] {
        let bench = Bench::new();
        let old = bench.plant(OLD, &user("alice"), "*").await;
        let ask = || async {
            let alice = person("alice");
            match rotates {
                true => bench.manager.begin_rotation(rotate(old), &alice).await.map(drop),
                false => bench.manager.issue(issue(), &alice).await.map(drop),
            }
        };
        bench.store.fail([Fault::DoesAndLosesTheAnswer, Fault::LosesTheAnswer, Fault::LosesTheAnswer]);
        assert_eq!(ask().await.unwrap_err().kind(), ManageErrorKind::OutcomeUnknown);
        let error = ask().await.unwrap_err();
        assert_eq!(error.kind(), USED);
        let lost = error.replayed().unwrap().id;
        assert!(lost != old && bench.row(&lost).await.revoked_at.is_none());
        assert_eq!(bench.all().await.0.len(), 2);

        // If nothing was done before, it is done now.
        let bench = Bench::new();
        bench.store.fail([Fault::LosesTheAnswer; 3]);
        let lost = refused(&bench.manager, issue()).await;
        assert_eq!(lost.kind(), ManageErrorKind::OutcomeUnknown);
        assert!(bench.manager.issue(issue(), &person("alice")).await.is_ok());
    }
}

#[tokio::test]
async fn rotation_is_replayed_whatever_became_of_it() {
    for became in ["under way", "finished", "aborted", "expired", "edited"] {
        let bench = Bench::new();
        let old = bench.plant(OLD, &user("alice"), "*").await;
        let request = || rotate(old).expecting(1);
        let new = bench.manager.begin_rotation(request(), &person("alice")).await.unwrap().info().id;
        match became {
            "finished" => drop(bench.manager.finish_rotation_anyway(&new, &system()).await.unwrap()),
            "aborted" => drop(bench.manager.abort_rotation(&new, &system()).await.unwrap()),
            "expired" => bench.clock.advance(Duration::from_secs(3_600)),
            "edited" => drop(bench.manager.rename(&new, "another", &person("alice")).await.unwrap()),
            _ => {}
        }
        let before = bench.all().await;
        let error = bench.manager.begin_rotation(request(), &person("alice")).await.unwrap_err();
        assert_eq!(told(&error), (USED, Some(new)), "{became}");
        let error = bench.manager.begin_rotation(request().named("another"), &person("alice")).await.unwrap_err();
        assert_eq!(told(&error), REUSED, "{became}");
        assert_eq!(bench.all().await, before, "{became}");
    }
}

#[tokio::test]
async fn first_request_is_told_how_things_stand_and_takes_no_idempotency_key() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &user("alice"), "*").await;
    let ask = async |request| bench.manager.begin_rotation(request, &person("alice")).await.unwrap_err().kind();
    let differs = ManageErrorKind::VersionDiffers { current: 1 };
    assert_eq!(ask(rotate(old).expecting(7)).await, differs);
    bench.clock.advance(Duration::from_secs(3_600));
    let past = ManageErrorKind::Invalid(crate::manage::InvalidInput::ExpiryPast);
    assert_eq!(ask(rotate(old)).await, past);
    assert_eq!(refused(&bench.manager, issue().expires_at(time(END))).await.kind(), past);
    // The same holds if the store fails.
    for fault in [Fault::Unavailable, Fault::Panics] {
        bench.store.fail([fault; 3]);
        assert_eq!(ask(rotate(old)).await, past);
        bench.store.apply_faults.lock().unwrap().clear();
    }
    // None of these took the idempotency key.
    assert!(bench.manager.issue(issue(), &person("alice")).await.is_ok());
    bench.manager.revoke(&old, &system()).await.unwrap();
    assert_eq!(ask(RotateKey::of(old).idempotency_key("another")).await, ManageErrorKind::KeyRevoked);
}

#[tokio::test]
async fn issue_is_replayed_after_its_key_expired() {
    let bench = Bench::new();
    let request = || issue().expires_at(time(END));
    let made = bench.manager.issue(request(), &person("alice")).await.unwrap().info().id;
    bench.clock.advance(Duration::from_secs(3_600));
    assert_eq!(told(&refused(&bench.manager, request()).await), (USED, Some(made)));
}

/// A policy that allows everything, except to see a key.
#[derive(Debug)]
struct Blind;

impl Policy for Blind {
    fn decide(&self, _: &Actor, action: KeyAction, _: &Target<'_>) -> Decision {
        if action == KeyAction::See { Decision::Hide } else { Decision::Allow }
    }
}

#[tokio::test]
async fn key_that_was_made_is_named_only_to_who_may_see_it() {
    let bench = Bench::with_policy(Blind);
    let _ = bench.manager.issue(issue(), &person("alice")).await.unwrap();
    assert_eq!(told(&refused(&bench.manager, issue()).await), (USED, None));
}

#[tokio::test]
async fn store_that_cannot_say_which_key_it_was_is_an_error() {
    let bench = Bench::new();
    let _ = bench.manager.issue(issue(), &person("alice")).await.unwrap();
    bench.store.find_faults.lock().unwrap().push_back(Fault::Unavailable);
    assert_eq!(refused(&bench.manager, issue()).await.kind(), ManageErrorKind::StoreUnavailable);
    assert_eq!(refused(&bench.manager, issue()).await.kind(), USED);
}
