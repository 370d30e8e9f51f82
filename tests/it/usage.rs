//! What is counted, and that each use is counted once.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tower_api_keys::{
    Clock, KeyManager, OrganizationId, UserId,
    key::KeyId,
    manage::{CountedUntil, ExportFormat, InvalidInput, InventoryQuery, ListKeys, ManageErrorKind, RotateKey},
    store::{KeyQuery, Ledger, ListedKey, MemoryStore},
};

use crate::support::{
    clock,
    hooked::{Fault, Hooked},
    issue, keys, noon, system, user,
};

async fn listed(store: &impl Ledger) -> ListedKey {
    let page = store.list(&KeyQuery::all(OrganizationId::single()), noon()).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    page.rows.into_iter().next().unwrap()
}

#[tokio::test]
async fn successes_and_failures_are_counted_apart() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let key = issue(&keys, user("alice")).await;
    for _ in 0..3 {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    }
    clock.advance(std::time::Duration::from_secs(1));
    keys.manager().revoke(&key.id(), &system()).await.unwrap();
    for _ in 0..2 {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
    }
    keys.shutdown().await.unwrap();
    let usage = listed(&store).await.usage.unwrap();
    assert_eq!((usage.successes, usage.last_success_at), (3, Some(noon())));
    let later = noon().saturating_add(std::time::Duration::from_secs(1));
    assert_eq!((usage.failures, usage.last_failure_at), (2, Some(later)));
}

#[tokio::test]
async fn a_repeated_flush_counts_once() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    // The batch was written, but the answer was lost.
    hooks.fail("record_usage", Fault::DoneUnsaid, 2);
    keys.flush_usage().await.unwrap_err();
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    keys.flush_usage().await.unwrap_err();
    keys.flush_usage().await.unwrap();
    assert_eq!(listed(&store).await.usage.unwrap().successes, 2);
}

#[tokio::test]
async fn a_flush_that_fails_loses_nothing() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, user("alice")).await;
    for fault in [Fault::Error, Fault::Panic] {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
        hooks.fail("record_usage", fault, 1);
        keys.flush_usage().await.unwrap_err();
    }
    keys.shutdown().await.unwrap();
    assert_eq!(listed(&store).await.usage.unwrap().successes, 2);
}

#[tokio::test]
async fn usage_is_written_at_its_interval() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    // The clock of the runtime now jumps to the next timer.
    tokio::time::pause();
    while hooks.count("record_usage") == 0 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(listed(&store).await.usage.unwrap().successes, 1);
}

#[tokio::test]
async fn usage_never_touches_the_record() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    let before = listed(&store).await.key;
    // The key is revoked between its last use and the flush that writes the use.
    keys.manager().revoke(&key.id(), &system()).await.unwrap();
    keys.flush_usage().await.unwrap();
    let after = listed(&store).await.key;
    assert!(before.revoked_at.is_none() && after.revoked_at.is_some());
    assert_eq!(after.version, before.version);
}

#[tokio::test]
async fn many_tasks_are_counted_exactly() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let key = Arc::new(issue(&keys, user("alice")).await);
    let tasks = (0..8).map(|_| {
        let (keys, key) = (keys.clone(), key.clone());
        tokio::spawn(async move {
            for _ in 0..500 {
                keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
                keys.flush_usage().await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    keys.shutdown().await.unwrap();
    assert_eq!(listed(&store).await.usage.unwrap().successes, 4_000);
}

/// The manager's counts for each day with any use.
fn busy_days(usage: &tower_api_keys::manage::KeyUsage) -> Vec<(String, i64, i64)> {
    let busy = usage.days.iter().filter(|day| day.successes + day.failures > 0);
    busy.map(|day| (day.day.to_string(), day.successes, day.failures)).collect()
}

/// From noon of 2026-03-01.
#[tokio::test]
async fn usage_is_told_by_day_and_how_far_it_was_counted() {
    const DAY: Duration = Duration::from_secs(86_400);
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let (manager, key) = (keys.manager(), issue(&keys, user("alice")).await);
    let other = issue(&keys, user("bob")).await;
    let before = manager.usage(&key.id(), 30, &system()).await.unwrap();
    assert_eq!((before.counted.until, before.counted.days_until, before.counted.dropped), (None, None, 0));
    for day in 0..4 {
        for _ in 0..=day {
            keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
            keys.authenticator().authenticate(other.expose_secret()).await.unwrap();
        }
        let wrong = key.expose_secret().replace(&key.expose_secret()[30..34], "AAAA");
        if day == 2 {
            keys.authenticator().authenticate(&wrong).await.unwrap_err();
        }
        clock.advance(DAY);
    }
    keys.shutdown().await.unwrap();
    let usage = manager.usage(&key.id(), 30, &system()).await.unwrap();
    let now = noon().saturating_add(4 * DAY);
    assert_eq!((usage.counted.until, usage.counted.days_until), (Some(now), Some(now)));
    assert_eq!((usage.totals.successes, usage.totals), (10, usage.detail.totals()));
    assert_eq!((usage.days.len(), usage.days[29].day.to_string().as_str()), (30, "2026-03-05"));
    assert!(usage.days.is_sorted_by_key(|day| day.day));
    let expected = [("2026-03-01", 1), ("2026-03-02", 2), ("2026-03-03", 3), ("2026-03-04", 4)];
    assert_eq!(busy_days(&usage), expected.map(|(day, successes)| (day.to_owned(), successes, 0)));
    // Only the days that were asked for.
    for (days, busy) in [(0, 0), (1, 0), (2, 1), (3, 2), (400, 4)] {
        let usage = manager.usage(&key.id(), days, &system()).await.unwrap();
        assert_eq!((usage.days.len(), busy_days(&usage).len()), (usize::from(days), busy));
    }
    for days in [401, u16::MAX] {
        let error = manager.usage(&key.id(), days, &system()).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::Invalid(InvalidInput::Days));
    }
}

#[tokio::test]
async fn days_wait_for_ten_minutes_and_a_shutdown_writes_them() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let (manager, key) = (keys.manager(), issue(&keys, user("alice")).await);
    let days = async || busy_days(&manager.usage(&key.id(), 2, &system()).await.unwrap());
    let today = |count| vec![("2026-03-01".to_owned(), count, 0)];
    // The runtime's time drives flushes, and the clock gives the times that they write. From here no key is hashed,
    // because that takes real time.
    tokio::time::pause();
    let turn = async |minutes: u64| {
        clock.advance(Duration::from_secs(60 * minutes));
        tokio::time::sleep(Duration::from_secs(11)).await;
    };
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    turn(1).await;
    assert_eq!((listed(&store).await.usage.unwrap().successes, days().await), (1, vec![]));
    turn(9).await;
    assert_eq!(days().await, []);
    turn(1).await;
    assert_eq!(days().await, today(1));
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    turn(1).await;
    assert_eq!((listed(&store).await.usage.unwrap().successes, days().await), (2, today(1)));
    keys.shutdown().await.unwrap();
    assert_eq!(days().await, today(2));
}

/// The time up to which usage is counted, from every answer with counts.
async fn all_counted(manager: &KeyManager, [old, new]: [&KeyId; 2]) -> Vec<CountedUntil> {
    let (system, alice, all) = (system(), UserId::new("alice").unwrap(), InventoryQuery::all());
    let mut table = Vec::new();
    let exported = manager.export_inventory(all.clone(), ExportFormat::Csv, &mut table, &system).await.unwrap();
    vec![
        manager.advise(old, &system).await.unwrap().counted.unwrap(),
        manager.blast_radius(&alice, &system).await.unwrap().counted,
        manager.explain(old, &system).await.unwrap().counted,
        exported.counted,
        manager.exposure(&alice, &system).await.unwrap().counted,
        manager.find(old, &system).await.unwrap().counted.unwrap(),
        manager.inventory(all.clone(), &system).await.unwrap().counted,
        manager.inventory_summary(all, &system).await.unwrap().counted,
        manager.leak_report(old, noon(), &system).await.unwrap().counted,
        manager.list(ListKeys::all(), &system).await.unwrap().counted,
        manager.refusals_without_key(&system).await.unwrap().counted,
        manager.rotation(new, &system).await.unwrap().counted,
        manager.usage(old, 2, &system).await.unwrap().counted,
    ]
}

#[tokio::test]
async fn every_answer_says_until_when_its_process_has_written_what_it_counted() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let (here, there) = (keys(hooked, &clock).await, keys(store.clone(), &clock).await);
    let key = issue(&here, user("alice")).await;
    let new = here.manager().begin_rotation(RotateKey::of(key.id()), &system()).await.unwrap();
    let ids = [&key.id(), &new.info().id];
    let second = Duration::from_secs(1);
    let told = async |manager: &KeyManager| {
        let all = all_counted(manager, ids).await;
        assert!(all.iter().all(|one| *one == all[0]), "{all:#?}");
        (all[0].until, all[0].days_until, all[0].dropped)
    };
    let successes = async || there.manager().find(&key.id(), &system()).await.unwrap().usage.unwrap().successes;
    let (of_here, of_there) = (here.manager(), there.manager());
    assert_eq!((told(&of_here).await, told(&of_there).await), ((None, None, 0), (None, None, 0)));

    here.authenticator().authenticate(key.expose_secret()).await.unwrap();
    clock.advance(second);
    let first = Some(clock.now());
    here.flush_usage().await.unwrap();
    let known = told(&of_here).await;
    assert_eq!((known, successes().await), ((first, first, 0), 1));

    // A failed flush does not move that time, whether or not the store has the counts.
    here.authenticator().authenticate(key.expose_secret()).await.unwrap();
    clock.advance(second);
    hooks.fail("record_usage", Fault::Error, 1);
    here.flush_usage().await.unwrap_err();
    assert_eq!((told(&of_here).await, successes().await), (known, 1));
    hooks.fail("record_usage", Fault::DoneUnsaid, 1);
    here.flush_usage().await.unwrap_err();
    assert_eq!((told(&of_here).await, successes().await), (known, 2));

    // Another process reports its own time. That time does not cover counts that this process has not written yet.
    here.authenticator().authenticate(key.expose_secret()).await.unwrap();
    clock.advance(second);
    there.flush_usage().await.unwrap();
    let later = Some(clock.now());
    assert_eq!((told(&of_there).await, successes().await), ((later, later, 0), 2));
    assert_eq!(told(&of_here).await, known);
    here.flush_usage().await.unwrap();
    assert_eq!((told(&of_here).await, successes().await), ((later, later, 0), 3));
}

#[tokio::test]
async fn a_flush_between_the_time_and_the_counts_makes_no_answer_promise_more_than_it_has() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, user("alice")).await;
    let manager = keys.manager();
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    keys.flush_usage().await.unwrap();
    let until = Some(clock.now());
    // This process counts and writes while it reads counts from the store. The answer may include those counts, but its
    // time does not.
    for call in ["list", "usage"] {
        clock.advance(Duration::from_secs(1));
        let (again, text) = (keys.clone(), key.expose_secret().to_owned());
        hooks.before(call, 0, move || {
            again.authenticator().authenticate(&text).now_or_never().unwrap().unwrap();
            again.flush_usage().now_or_never().unwrap().unwrap();
        });
        let before = hooks.count("record_usage");
        let counted = match call {
            "list" => manager.list(ListKeys::all(), &system()).await.unwrap().counted,
            _ => manager.usage(&key.id(), 1, &system()).await.unwrap().counted,
        };
        assert_eq!(hooks.count("record_usage") - before, 2, "{call}");
        assert!(counted.until < Some(clock.now()), "{call}: {counted:?}");
    }
    assert!(manager.find(&key.id(), &system()).await.unwrap().counted.unwrap().until > until);
}
