//! Erasure by a manager: refusals, unknown outcomes, and the event.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::Erase;
use crate::{
    Actor, IssueKey, OrganizationId, Owner,
    audit::{Event, Notifier, Subject},
    manage::{
        DenialReason, KeyAction, ManageErrorKind, Rights, RotateKey, Rules, Target,
        fixture::{Bench, Fault, person, plain_change, principal, system, team, team_id, user, user_id},
    },
    record::{KeyRow, Suspension},
    store::{Erasure, OwnerChange, OwnerRef, Pseudonym, Write},
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";
const MADE: &str = "MMMMMMMMMMMMMMMMMMMM";

/// Alice, closed a minute ago, with a personal key and a team key that she created.
async fn closed() -> Bench {
    let bench = Bench::new();
    bench.plant(TARGET, &user("alice"), "*").await;
    bench.plant_row(KeyRow { id: MADE.into(), lineage: MADE.into(), ..KeyRow::example() }).await;
    bench.manager.close(&user("alice"), &system()).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench
}

#[tokio::test]
async fn nobody_but_the_system_erases() {
    let bench = closed().await;
    let olga = Actor::user(user_id("olga"), Rights::none().org_admin());
    let key = Actor::key(&principal(&team("blue"), "keys:manage"), Rights::none());
    for (actor, expected) in [
        (olga, ManageErrorKind::Denied(DenialReason::SystemOnly.into())),
        (person("alice"), ManageErrorKind::Denied(DenialReason::ActorClosed.into())),
        (person("bob"), ManageErrorKind::NotFound),
        (key, ManageErrorKind::Denied(DenialReason::NotForKeys.into())),
    ] {
        let error = bench.manager.erase(&user("alice"), &actor).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{actor:?}");
        let would = bench.manager.erase(Erase::owner(user("alice")).dry_run(), &actor).await.unwrap_err();
        assert_eq!(would.kind(), expected, "{actor:?}");
    }
    assert_eq!(bench.store.applies(), 1, "the closing");
    let button = bench.manager.can(&system(), KeyAction::Erase, &Target::Organization).await.unwrap();
    assert_eq!(button, crate::manage::Decision::Allow);
}

#[tokio::test]
async fn another_organization_is_not_found() {
    let bench = closed().await;
    let other = OrganizationId::new("other").unwrap();
    let error = bench.manager.erase(other, &system()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::NotFound);
    let ours = bench.manager.erase(OrganizationId::single(), &system()).await.unwrap_err();
    assert_eq!(ours.kind(), ManageErrorKind::OwnerNotClosed);
}

#[tokio::test]
async fn only_what_was_closed_a_minute_ago_is_erased() {
    let bench = Bench::new();
    let error = async |whom: Erase| {
        let error = bench.manager.erase(whom, &system()).await.unwrap_err();
        (error.kind(), error.retry_after())
    };
    for owner in [user("alice"), team("blue")] {
        let whom = || Erase::owner(owner.clone());
        assert_eq!(error(whom()).await, (ManageErrorKind::OwnerNotClosed, None));
        bench.manager.suspend(&owner, Suspension::Admin, &system()).await.unwrap();
        assert_eq!(error(whom()).await.0, ManageErrorKind::OwnerNotClosed);
        bench.manager.close(&owner, &system()).await.unwrap();
        let wait = Duration::from_secs(60);
        assert_eq!(error(whom()).await, (ManageErrorKind::ClosedJustNow, Some(wait)));
        bench.clock.advance(Duration::from_millis(59_999));
        let told = (ManageErrorKind::ClosedJustNow, Some(Duration::from_millis(1)));
        assert_eq!(error(whom().dry_run()).await, told);
        bench.clock.advance(Duration::from_millis(1));
        bench.manager.erase(whom(), &system()).await.unwrap();
    }
    bench.manager.close_organization(OrganizationId::single(), &system()).await.unwrap();
    assert_eq!(error(OrganizationId::single().into()).await.0, ManageErrorKind::ClosedJustNow);
    // The clock was set back since then.
    bench.clock.set_wall_clock("2026-02-01T12:00:00Z".parse().unwrap());
    assert_eq!(error(OrganizationId::single().into()).await.0, ManageErrorKind::ClosedJustNow);
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let bench = closed().await;
    let before = bench.all().await;
    let would = bench.manager.erase(Erase::owner(user("alice")).dry_run(), &system()).await.unwrap();
    assert!(would.dry_run && would.pseudonym.is_none());
    assert_eq!((would.keys, would.live_keys, would.made_keys), (Some(1), Some(1), Some(1)));
    assert_eq!(bench.all().await, before);
    let under = Pseudonym::from_bytes([3; 16]);
    let erased = bench.manager.erase(Erase::owner(user("alice")).under(under), &system()).await.unwrap();
    assert!(!erased.dry_run && erased.pseudonym == Some(under));
    assert_eq!((erased.keys, erased.live_keys, erased.made_keys), (would.keys, would.live_keys, would.made_keys));
}

#[tokio::test]
async fn what_cannot_be_counted_is_erased_all_the_same() {
    let bench = closed().await;
    bench.store.fail_lists();
    let erased = bench.manager.erase(&user("alice"), &system()).await.unwrap();
    assert_eq!((erased.keys, erased.live_keys, erased.made_keys), (None, None, None));
}

#[tokio::test]
async fn a_lost_answer_is_one_erasure_and_one_event() {
    for faults in [
        &[Fault::DoesAndLosesTheAnswer][..],
        &[Fault::LosesTheAnswer],
        &[Fault::DoesAndPanics],
        &[Fault::LosesTheAnswer, Fault::DoesAndLosesTheAnswer],
    ] {
        let bench = closed().await;
        let events = bench.events().await.len();
        bench.store.fail(faults.iter().copied());
        let erased = bench.manager.erase(&user("alice"), &system()).await.unwrap();
        let (keys, after) = bench.all().await;
        assert_eq!(keys.iter().map(|key| &*key.key.id).collect::<Vec<_>>(), [MADE]);
        assert_eq!(keys[0].key.created_by, format!("user:{}", erased.pseudonym.unwrap()));
        assert_eq!(after.len(), events + 1, "{faults:?}");
        assert!(!format!("{after:?}{keys:?}").contains("alice"), "{after:#?}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_do_it_changes_nothing() {
    for (fault, expected) in
        [(Fault::Unavailable, ManageErrorKind::StoreUnavailable), (Fault::Refused, ManageErrorKind::StoreRefused)]
    {
        let bench = closed().await;
        let before = bench.all().await;
        bench.store.fail([fault]);
        let error = bench.manager.erase(&user("alice"), &system()).await.unwrap_err();
        assert_eq!(error.kind(), expected);
        assert_eq!(bench.all().await, before);
    }
}

/// Two actors erase the same person. For the second, the id belongs to a person who was never closed.
#[tokio::test]
async fn the_second_of_two_at_once_is_refused() {
    let bench = closed().await;
    let alice = OwnerRef { organization: OrganizationId::single(), owner: user("alice") };
    let erasure = Erasure {
        organization: alice.organization.clone(),
        owner: Some(alice.owner.clone()),
        pseudonym: Pseudonym::from_bytes([1; 16]),
    };
    bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", Write::Erase(erasure)));
    let error = bench.manager.erase(&user("alice"), &system()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::OwnerNotClosed);
}

#[tokio::test]
async fn an_event_names_the_pseudonym_and_the_actor() {
    let told = Arc::new(Mutex::new(Vec::<Event>::new()));
    let sink = Arc::clone(&told);
    let notifier = Notifier::new(move |events: &[Event]| sink.lock().unwrap().extend_from_slice(events));
    let bench = Bench::with_rules(Rules { notifier, ..Rules::default() });
    bench.change_owner(&user("alice"), OwnerChange::Close).await;
    bench.clock.advance(Duration::from_secs(60));
    let under = bench.manager.erase(&user("alice"), &system()).await.unwrap().pseudonym.unwrap();
    bench.manager.close_organization(OrganizationId::single(), &system()).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    let whole = bench.manager.erase(OrganizationId::single(), &system()).await.unwrap().pseudonym.unwrap();
    let told = told.lock().unwrap().clone();
    let [erased, _closed, all] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((erased.action.as_str(), erased.actor.to_string()), ("owner.erased", "system:test".to_owned()));
    assert_eq!(erased.subject, Subject::Owner(user(&under.to_string())));
    assert_eq!((all.action.as_str(), &all.subject), ("organization.erased", &Subject::Organization));
    assert_eq!(all.organization.as_str(), whole.to_string());
    assert!(told.iter().all(|event| !format!("{event:?}").contains("alice")));
}

/// A key is requested while the person is closed, and written when the person has been erased. By then the id looks
/// like that of a new person.
#[tokio::test]
async fn an_issue_that_is_under_way_leaves_no_key_behind() {
    let of = |owner: &Owner| Erasure {
        organization: OrganizationId::single(),
        owner: Some(owner.clone()),
        pseudonym: Pseudonym::from_bytes([1; 16]),
    };
    for owner in [user("alice"), team("blue")] {
        let bench = Bench::new();
        bench.change_owner(&owner, OwnerChange::Close).await;
        bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", Write::Erase(of(&owner))));
        let error = bench.manager.issue(IssueKey::of(owner.clone()), &system()).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::OwnerClosed);
        assert!(bench.all().await.0.is_empty());
        // A later request means another person with this id.
        let _ = bench.manager.issue(IssueKey::of(owner), &system()).await.unwrap();
    }
}

#[tokio::test]
async fn a_rotation_into_an_erased_team_leaves_no_key_behind() {
    let bench = Bench::new();
    let (blue, id) = (team("blue"), bench.plant(TARGET, &user("bob"), "*").await);
    bench.change_owner(&blue, OwnerChange::Close).await;
    let erasure = Erasure {
        organization: OrganizationId::single(),
        owner: Some(blue),
        pseudonym: Pseudonym::from_bytes([1; 16]),
    };
    bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", Write::Erase(erasure)));
    let request = RotateKey::of(id).into_team(team_id("blue"));
    let error = bench.manager.begin_rotation(request, &system()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::OwnerClosed);
    assert_eq!(bench.all().await.0.len(), 1);
}
