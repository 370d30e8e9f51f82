use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{DAY, apply, bench, call, entries, entry, id, letters, part, row};
use crate::{
    Clock, Owner,
    key::KeyId,
    manage::{
        InvalidInput, InventoryQuery, KeyFlag, ListKeys, ManageErrorKind,
        fixture::{Bench, system, team, user},
    },
    record::{KeyRow, Suspension},
    store::{Ledger, Liveness, OwnerChange, Write},
    usage::{UsageBatch, UsageRow},
};

#[tokio::test]
async fn an_entry_tells_age_creator_maker_use_and_labels() {
    let bench = bench();
    let key = bench.plant_row(KeyRow { created_via_key: Some(id('M').to_string()), ..row('A') }).await;
    call(&bench, &key, "success", "api/acme", 3).await;
    call(&bench, &key, "success", "intake/acme", 2).await;
    call(&bench, &key, "success", "", 9).await;
    call(&bench, &key, "insufficient_scope", "api/acme", 1).await;
    let entry = entry(&bench).await;
    assert_eq!((entry.asked_at, entry.age()), (bench.clock.now(), DAY * 200));
    assert_eq!(entry.key.created_by.to_string(), "user:alice");
    assert_eq!(entry.key.created_via_key, Some(id('M')));
    assert_eq!(entry.last_success_at(), Some(bench.clock.now().saturating_sub(DAY * 2)));
    assert_eq!(entry.key.usage.map(|usage| (usage.successes, usage.failures)), Some((3, 1)));
    assert_eq!(entry.sources().map(ToString::to_string).collect::<Vec<_>>(), ["api/acme", "intake/acme"]);
    assert_eq!(entry.key.labels.value("ticket"), Some("OPS-1234"));
    assert!(entry.is_live && entry.creator_status.is_active() && entry.flags.is_empty());
}

#[tokio::test]
async fn a_page_has_1_to_1000_keys() {
    let bench = bench();
    for limit in [0, 1_001] {
        let error = bench.manager.inventory(InventoryQuery::all().limit(limit), &system()).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::Invalid(InvalidInput::PageSize));
    }
    assert!(bench.manager.inventory(InventoryQuery::all().limit(1_000), &system()).await.is_ok());
}

#[tokio::test]
async fn the_last_page_says_so() {
    let bench = bench();
    for letter in ['A', 'B', 'C'] {
        bench.plant_row(row(letter)).await;
    }
    let page = bench.manager.inventory(InventoryQuery::all().limit(2), &system()).await.unwrap();
    assert_eq!(letters(&page.entries), "AB");
    let rest = InventoryQuery::all().limit(2).after(page.next.unwrap());
    let page = bench.manager.inventory(rest, &system()).await.unwrap();
    assert_eq!((letters(&page.entries).as_str(), page.next), ("C", None));
    let page = bench.manager.inventory(InventoryQuery::all().limit(3), &system()).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (3, None));
}

#[tokio::test]
async fn records_that_cannot_be_read_are_named_once_whatever_is_asked_for() {
    let bench = bench();
    for row in [
        row('A'),
        KeyRow { hash: "broken".into(), ..row('B') },
        row('C'),
        KeyRow { labels: "[]".into(), ..row('D') },
        row('E'),
    ] {
        bench.plant_row(row).await;
    }
    for limit in 1..=5 {
        let (mut seen, mut unreadable) = (String::new(), Vec::new());
        let mut next = Some(InventoryQuery::all().limit(limit).named_like(part("pipeline")));
        while let Some(query) = next {
            let page = bench.manager.inventory(query.clone(), &system()).await.unwrap();
            seen += &letters(&page.entries);
            unreadable.extend(page.unreadable);
            next = page.next.map(|cursor| query.after(cursor));
        }
        assert_eq!((seen.as_str(), unreadable), ("ACE", vec![id('B'), id('D')]), "{limit}");
    }
    let summary = bench.manager.inventory_summary(InventoryQuery::all(), &system()).await.unwrap();
    assert_eq!((summary.owners[0].live, summary.unreadable), (3, 2));
}

#[tokio::test]
async fn counts_of_use_that_cannot_be_read_spoil_one_key_only() {
    let bench = bench();
    for letter in ['A', 'B'] {
        bench.plant_row(row(letter)).await;
    }
    let bad = UsageRow {
        key: Some(id('A').to_string()),
        outcome: "success".into(),
        count: 1,
        first_at: i64::MIN,
        last_at: i64::MAX,
        ..UsageRow::seen_from("")
    };
    let batch = UsageBatch { writer: [9; 16], sequence: 1, rows: vec![bad], days: Vec::new() };
    bench.store.inner.record_usage(&batch).await.unwrap();
    let page = bench.manager.inventory(InventoryQuery::all(), &system()).await.unwrap();
    assert_eq!((letters(&page.entries).as_str(), page.unreadable), ("B", vec![id('A')]));
}

#[tokio::test]
async fn a_summary_counts_by_owner() {
    let bench = bench();
    let revoked_at = Some(1_772_366_400_000);
    for row in [
        KeyRow { name: "key1".into(), ..row('A') },
        KeyRow { name: "key2".into(), ..row('B') },
        KeyRow { revoked_at, ..row('C') },
        KeyRow { owner: "red".into(), revoked_at, ..row('D') },
        KeyRow { kind: "user".into(), owner: "bob".into(), ..row('E') },
    ] {
        bench.plant_row(row).await;
    }
    call(&bench, &id('A'), "success", "api/acme", 5).await;
    call(&bench, &id('B'), "success", "api/acme", 3).await;
    bench.change_owner(&team("red"), OwnerChange::Suspend(Suspension::Plan)).await;
    let summary = bench.manager.inventory_summary(InventoryQuery::all().limit(1), &system()).await.unwrap();
    let told: BTreeMap<String, _> =
        summary.owners.iter().map(|owner| (owner.owner.to_string(), (owner.live, owner.dead))).collect();
    let expected = [("team engineering", (2, 1)), ("team red", (0, 1)), ("user bob", (1, 0))];
    assert_eq!(told, expected.map(|(owner, counts)| (owner.to_owned(), counts)).into());
    let of = |owner: &Owner| summary.owners.iter().find(|summary| summary.owner == *owner).unwrap();
    let engineering = of(&team("engineering"));
    assert_eq!(engineering.flags, BTreeMap::from([(KeyFlag::VagueName, 2)]));
    assert_eq!(engineering.last_success_at, Some(bench.clock.now().saturating_sub(DAY * 3)));
    assert_eq!(of(&user("bob")).flagged(KeyFlag::NeverUsed), 1);
    assert!(!of(&team("red")).status.is_active() && engineering.status.is_active());
    let live = InventoryQuery::matching(ListKeys::all().liveness(Liveness::Live));
    assert_eq!(bench.manager.inventory_summary(live, &system()).await.unwrap().owners.len(), 2);
}

#[tokio::test]
async fn a_page_is_two_reads_of_the_store() {
    let bench = bench();
    for letter in ['A', 'B', 'C'] {
        bench.plant_row(row(letter)).await;
    }
    let before = bench.store.reads();
    let found = entries(&bench, InventoryQuery::all()).await;
    assert_eq!((found.len(), bench.store.reads() - before), (3, 2));
}

#[tokio::test]
async fn each_successor_stays_with_its_key() {
    let bench = bench();
    for (old, new) in [('A', 'D'), ('B', 'E'), ('C', 'F')] {
        bench.plant_row(row(old)).await;
        bench.plant_row(KeyRow { replaces: Some(id(old).to_string()), ..row(new) }).await;
    }
    let found = entries(&bench, InventoryQuery::all()).await;
    let successors: Vec<_> = found.iter().map(|entry| entry.key.successor).collect();
    assert_eq!(successors, [Some(id('D')), Some(id('E')), Some(id('F')), None, None, None]);
}

/// A change between two pages.
#[derive(Clone, Debug)]
enum Meanwhile {
    Make(u8),
    Rename(usize),
    Revoke(usize),
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        (0..4_u8).prop_map(Meanwhile::Make),
        (0..20_usize).prop_map(Meanwhile::Rename),
        (0..20_usize).prop_map(Meanwhile::Revoke),
    ]
}

/// Keys with two different times, so that both times and ids matter for the order.
fn planted(number: usize) -> KeyRow {
    let scattered = (number * 7_919) % 10_007;
    KeyRow {
        id: format!("{scattered:020}"),
        created_at: 1_772_366_400_000 + (number % 2) as i64,
        name: if number.is_multiple_of(3) { "key1".into() } else { "CI pipeline".into() },
        ..row('A')
    }
}

fn planted_id(number: usize) -> KeyId {
    KeyId::new(&planted(number).id).unwrap()
}

async fn happen(bench: &Bench, step: usize, what: &Meanwhile, keys: usize) {
    let name = format!("{step} {what:?}");
    match what {
        Meanwhile::Make(moment) => {
            // Some come before all others, some between them, some after.
            let created_at = 1_772_366_399_999 + i64::from(*moment);
            let row = KeyRow { id: format!("new{step:017}"), created_at, ..row('A') };
            apply(bench, &name, Write::Insert(row)).await;
        }
        Meanwhile::Rename(number) if *number < keys => {
            // A key that is already revoked keeps its name.
            drop(bench.manager.rename(&planted_id(*number), &name, &system()).await);
        }
        Meanwhile::Revoke(number) if *number < keys => {
            bench.manager.revoke(&planted_id(*number), &system()).await.unwrap();
        }
        Meanwhile::Rename(_) | Meanwhile::Revoke(_) => {}
    }
}

proptest! {
    #[test]
    fn pages_together_are_all_keys_each_once_whatever_happens_meanwhile(
        keys in 0..20_usize,
        limit in 1..6_u16,
        filtered: bool,
        steps in proptest::collection::vec(meanwhile(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let bench = bench();
            for number in 0..keys {
                bench.plant_row(planted(number)).await;
            }
            let mut steps = steps.iter().enumerate();
            let (mut seen, mut query) = (Vec::new(), InventoryQuery::all().limit(limit));
            if filtered {
                // Every key has this label, so only the way to the result differs.
                query = query.label("ticket");
            }
            loop {
                let page = bench.manager.inventory(query.clone(), &system()).await.unwrap();
                assert!(page.entries.len() <= usize::from(limit));
                seen.extend(page.entries.iter().map(|entry| (entry.key.created_at, entry.key.id.to_string())));
                let Some(next) = page.next else { break };
                query = query.after(next);
                if let Some((step, what)) = steps.next() {
                    happen(&bench, step, what, keys).await;
                }
            }
            assert!(seen.is_sorted_by(|one, next| one < next), "in order, none twice: {seen:?}");
            for number in 0..keys {
                assert!(seen.iter().any(|(_, id)| *id == planted(number).id), "{number} is missing: {seen:?}");
            }
        });
    }
}
