use std::{future::Future, pin::pin, task::Poll};

use crate::{
    IssueKey,
    key::KeyId,
    manage::{
        Effect, ManageErrorKind,
        fixture::{Bench, Fault, person, system, user, user_id},
    },
    record::Suspension,
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

async fn bench() -> (Bench, KeyId) {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    (bench, id)
}

#[tokio::test]
async fn lost_answer_of_an_issue_is_resolved_to_one_key_and_one_event() {
    for faults in [
        &[Fault::DoesAndLosesTheAnswer][..],
        &[Fault::LosesTheAnswer],
        &[Fault::DoesAndPanics],
        &[Fault::Panics],
        &[Fault::LosesTheAnswer, Fault::DoesAndLosesTheAnswer],
        &[Fault::DoesAndLosesTheAnswer, Fault::Unavailable],
    ] {
        let bench = Bench::new();
        bench.store.fail(faults.iter().copied());
        let issued = bench.manager.issue(IssueKey::user(user_id("alice")), &person("alice")).await.unwrap();
        let (keys, events) = bench.all().await;
        assert_eq!(keys.iter().map(|key| &*key.key.id).collect::<Vec<_>>(), [issued.plaintext().id().as_str()]);
        assert_eq!(events.len(), 1);
        assert_eq!(bench.store.applies(), faults.len() + 1, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn change_on_which_the_store_hangs_is_repeated() {
    for fault in [Fault::Hangs, Fault::DoesAndHangs] {
        let (bench, id) = bench().await;
        bench.store.fail([fault]);
        let info = bench.manager.rename(&id, "Monday cron", &person("alice")).await.unwrap();
        assert_eq!((info.version, bench.row(&id).await.version), (2, 2));
        assert_eq!(bench.events().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn revoke_whose_answer_is_lost_still_says_that_it_revoked() {
    let (bench, id) = bench().await;
    bench.store.fail([Fault::DoesAndLosesTheAnswer]);
    assert_eq!(bench.manager.revoke(&id, &person("alice")).await.unwrap().effect(), Effect::Changed);
    assert_eq!(bench.events().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn change_is_attempted_three_times_and_then_its_outcome_is_unknown() {
    for last in [Fault::Hangs, Fault::LosesTheAnswer, Fault::Panics, Fault::Unavailable] {
        let (bench, id) = bench().await;
        bench.store.fail([Fault::DoesAndLosesTheAnswer, last, last]);
        let error = bench.manager.revoke(&id, &person("alice")).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::OutcomeUnknown);
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(bench.store.applies(), 3);
        assert_eq!(bench.manager.revoke(&id, &person("alice")).await.unwrap().effect(), Effect::Unchanged);
    }
}

#[tokio::test]
async fn store_that_is_unavailable_is_asked_once_and_nothing_is_written() {
    let (bench, id) = bench().await;
    let before = bench.all().await;
    bench.store.fail([Fault::Unavailable]);
    let error = bench.manager.revoke(&id, &person("alice")).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::StoreUnavailable);
    assert_eq!(bench.store.applies(), 1);
    assert_eq!(bench.all().await, before);
}

#[tokio::test(start_paused = true)]
async fn read_that_fails_hangs_or_panics_is_unavailable_and_the_next_one_is_fine() {
    for fault in [Fault::Unavailable, Fault::Hangs, Fault::Panics] {
        let (bench, id) = bench().await;
        bench.store.list_faults.lock().unwrap().push_back(fault);
        let kind = bench.manager.find(&id, &person("alice")).await.unwrap_err().kind();
        assert_eq!(kind, ManageErrorKind::StoreUnavailable, "{fault:?}");
        assert!(bench.manager.find(&id, &person("alice")).await.is_ok());
        bench.store.find_faults.lock().unwrap().push_back(fault);
        let kind = bench.manager.usage(&id, 0, &person("alice")).await.unwrap_err().kind();
        assert_eq!(kind, ManageErrorKind::StoreUnavailable, "{fault:?}");
        assert!(bench.manager.usage(&id, 0, &person("alice")).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn lease_has_ended_when_a_change_returns_however_it_went() {
    for fault in [Fault::Works, Fault::Unavailable, Fault::DoesAndLosesTheAnswer, Fault::DoesAndHangs, Fault::Panics] {
        let bench = Bench::new();
        bench.renew_lease();
        bench.store.fail([fault]);
        let _ = bench.manager.suspend(&user("alice"), Suspension::Admin, &system()).await;
        assert!(!bench.has_lease(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lease_ends_when_a_change_is_dropped_half_way() {
    let bench = Bench::new();
    bench.renew_lease();
    bench.store.fail([Fault::DoesAndHangs]);
    {
        let (alice, system) = (user("alice"), system());
        let mut change = pin!(bench.manager.suspend(&alice, Suspension::Admin, &system));
        assert!(std::future::poll_fn(|context| Poll::Ready(change.as_mut().poll(context))).await.is_pending());
        assert_eq!(bench.store.applies(), 1);
    }
    assert!(!bench.has_lease());
}

#[tokio::test]
async fn reading_leaves_the_lease_alone() {
    let (bench, id) = bench().await;
    bench.renew_lease();
    bench.manager.find(&id, &system()).await.unwrap();
    assert!(bench.has_lease());
}

#[test]
fn calls_can_be_spawned() {
    fn sendable<T: Send>(_: &T) {}
    let bench = Bench::new();
    let id = KeyId::new(TARGET).unwrap();
    let actor = system();
    sendable(&bench.manager.issue(IssueKey::user(user_id("alice")), &actor));
    sendable(&bench.manager.rename(&id, "a", &actor));
    sendable(&bench.manager.list(crate::manage::ListKeys::all(), &actor));
}

#[tokio::test]
async fn lease_has_ended_before_anybody_is_told() {
    use crate::{
        audit::{Event, Notifier},
        manage::Rules,
    };
    use std::sync::{Arc, Mutex, OnceLock, Weak};
    let (asked, had) = (Arc::new(OnceLock::<Weak<Bench>>::new()), Arc::new(Mutex::new(None)));
    let notifier = Notifier::new({
        let (asked, had) = (Arc::clone(&asked), Arc::clone(&had));
        move |_: &[Event]| *had.lock().unwrap() = asked.get().and_then(Weak::upgrade).map(|bench| bench.has_lease())
    });
    let bench = Arc::new(Bench::with_rules(Rules { notifier, ..Rules::default() }));
    bench.renew_lease();
    asked.set(Arc::downgrade(&bench)).unwrap();
    bench.manager.suspend(&user("alice"), Suspension::Admin, &system()).await.unwrap();
    assert_eq!(*had.lock().unwrap(), Some(false));
}
