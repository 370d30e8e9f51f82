use super::{DAY, apply, bench, call, entries, id, letters, part, row};
use crate::{
    Clock,
    manage::{
        InventoryQuery, KeyFlag, ListKeys,
        fixture::{Bench, team_id, time, user, user_id},
    },
    record::{ActorId, KeyRow},
    store::{Liveness, Write},
    usage::{Source, UsageRow},
};

/// Keys A to F, created a day apart, each different from the others in some way.
async fn six_keys() -> Bench {
    let bench = bench();
    let made = |letter: char, day: i64| KeyRow { created_at: 1_772_366_400_000 + day * 86_400_000, ..row(letter) };
    let labels = |text: &str| text.to_owned();
    for row in [
        KeyRow { name: "key1".into(), ..made('A', 0) },
        KeyRow { labels: labels(r#"{"env":"prod","ticket":"OPS-1"}"#), ..made('B', 1) },
        KeyRow { labels: labels(r#"{"env":"staging"}"#), name: "GitHub Actions - ÜBUNG".into(), ..made('C', 2) },
        KeyRow { owner: "red".into(), scopes: "* keys:manage".into(), ..made('D', 3) },
        KeyRow { kind: "user".into(), owner: "bob".into(), created_by: "user:bob".into(), ..made('E', 4) },
        KeyRow { created_via_key: Some(id('D').to_string()), revoked_at: Some(1_775_000_000_000), ..made('F', 5) },
    ] {
        let id = bench.plant_row(row).await;
        call(&bench, &id, "success", "api/acme", 1).await;
    }
    bench
}

async fn found(bench: &Bench, query: InventoryQuery) -> String {
    let found = letters(&entries(bench, query.clone()).await);
    // The result is the same for pages of one entry.
    let mut one_by_one = String::new();
    let mut next = Some(query.limit(1));
    while let Some(query) = next {
        let page = bench.manager.inventory(query.clone(), &crate::manage::fixture::system()).await.unwrap();
        one_by_one += &letters(&page.entries);
        next = page.next.map(|cursor| query.after(cursor));
    }
    assert_eq!(one_by_one, found);
    found
}

#[tokio::test]
async fn what_lists_can_ask_for_can_be_asked_for() {
    let bench = six_keys().await;
    let since = bench.clock.now().saturating_sub(DAY);
    call(&bench, &id('B'), "success", "api/acme", 0).await;
    for (list, expected) in [
        (ListKeys::all(), "ABCDEF"),
        (ListKeys::of(team_id("red")), "D"),
        (ListKeys::of(user("bob")), "E"),
        (ListKeys::all().created_by(ActorId::User(user_id("bob"))), "E"),
        (ListKeys::all().created_via_key(id('D')), "F"),
        (ListKeys::all().liveness(Liveness::Live), "ABCDE"),
        (ListKeys::all().liveness(Liveness::Dead), "F"),
        (ListKeys::all().unused_since(since.saturating_add(DAY / 2)), "ACDEF"),
    ] {
        assert_eq!(found(&bench, InventoryQuery::matching(list)).await, expected);
    }
}

#[tokio::test]
async fn time_of_creation_has_two_ends() {
    let bench = six_keys().await;
    let (second, fifth) = (time("2026-03-02T12:00:00Z"), time("2026-03-05T12:00:00Z"));
    let all = InventoryQuery::all;
    assert_eq!(found(&bench, all().created_since(second)).await, "BCDEF");
    assert_eq!(found(&bench, all().created_before(fifth)).await, "ABCD");
    assert_eq!(found(&bench, all().created_since(second).created_before(fifth)).await, "BCD");
    assert_eq!(found(&bench, all().created_since(fifth).created_before(second)).await, "");
    assert_eq!(found(&bench, all().created_since(crate::Timestamp::MIN)).await, "ABCDEF");
}

#[tokio::test]
async fn any_of_the_flags_is_enough() {
    let bench = six_keys().await;
    let flagged = |flags: &'static [KeyFlag]| InventoryQuery::all().flagged(flags.iter().copied());
    assert_eq!(found(&bench, flagged(&[KeyFlag::VagueName])).await, "A");
    assert_eq!(found(&bench, flagged(&[KeyFlag::VagueName, KeyFlag::ManagesKeys])).await, "AD");
    assert_eq!(found(&bench, flagged(&[KeyFlag::Unnamed])).await, "");
    assert_eq!(found(&bench, flagged(&[])).await, "ABCDEF");
}

#[tokio::test]
async fn keys_that_end_before_a_time_are_found_live_or_dead() {
    let bench = bench();
    let now = bench.clock.now();
    for (letter, days) in [('A', Some(5)), ('B', None), ('C', Some(1)), ('D', Some(0))] {
        let expires_at = days.map(|days| now.saturating_add(DAY * days).as_millis());
        bench.plant_row(KeyRow { expires_at, ..row(letter) }).await;
    }
    let before = |days: u32| InventoryQuery::all().ends_before(now.saturating_add(DAY * days));
    assert_eq!(found(&bench, before(0)).await, "");
    assert_eq!(found(&bench, before(1)).await, "D");
    assert_eq!(found(&bench, before(5)).await, "CD");
    assert_eq!(found(&bench, before(6)).await, "ACD");
    let live = InventoryQuery::matching(ListKeys::all().liveness(Liveness::Live));
    assert_eq!(found(&bench, live.ends_before(now.saturating_add(DAY * 6))).await, "AC");
    assert_eq!(found(&bench, before(6).label("env")).await, "", "all conditions hold together");
}

#[tokio::test]
async fn labels_are_found_by_name_or_name_and_value() {
    let bench = six_keys().await;
    assert_eq!(found(&bench, InventoryQuery::all().label("env")).await, "BC");
    assert_eq!(found(&bench, InventoryQuery::all().label_value("env", "prod")).await, "B");
    assert_eq!(found(&bench, InventoryQuery::all().label_value("env", "pro")).await, "");
    assert_eq!(found(&bench, InventoryQuery::all().label_value("ticket", "prod")).await, "");
    assert_eq!(found(&bench, InventoryQuery::all().label("prod")).await, "");
}

fn source(line: &str) -> Source {
    Source::from(&UsageRow::seen_from(line))
}

#[tokio::test]
async fn sources_are_found_whole_whatever_the_outcome() {
    let bench = six_keys().await;
    call(&bench, &id('C'), "success", "intake/curl", 3).await;
    call(&bench, &id('F'), "key_revoked", "intake/curl", 3).await;
    assert_eq!(found(&bench, InventoryQuery::all().source(source("intake/curl"))).await, "CF");
    assert_eq!(found(&bench, InventoryQuery::all().source(source("intake/"))).await, "");
}

#[tokio::test]
async fn names_are_found_by_a_part_in_capitals_or_not() {
    let bench = six_keys().await;
    assert_eq!(found(&bench, InventoryQuery::all().named_like(part("github"))).await, "C");
    assert_eq!(found(&bench, InventoryQuery::all().named_like(part("übung"))).await, "C");
    assert_eq!(found(&bench, InventoryQuery::all().named_like(part("PIPE"))).await, "BDEF");
    assert_eq!(found(&bench, InventoryQuery::all().named_like(part("%"))).await, "");
}

#[tokio::test]
async fn conditions_hold_together() {
    let bench = six_keys().await;
    let query = InventoryQuery::matching(ListKeys::all().liveness(Liveness::Live));
    let query = query.label("env").named_like(part("pipeline")).source(source("api/acme"));
    assert_eq!(found(&bench, query.clone()).await, "B");
    assert_eq!(found(&bench, query.flagged([KeyFlag::VagueName])).await, "");
}

#[tokio::test]
async fn one_call_looks_at_a_bounded_number_of_keys() {
    let bench = bench();
    for number in 0..6_100 {
        let row = KeyRow { id: format!("{number:020}"), ..row('A') };
        apply(&bench, &number.to_string(), Write::Insert(row)).await;
    }
    let rare = || InventoryQuery::all().label("nothing like that");
    let actor = crate::manage::fixture::system();
    let first = bench.manager.inventory(rare(), &actor).await.unwrap();
    assert!(first.entries.is_empty());
    // 5,000 keys, and the rest of the last read.
    let next = first.next.unwrap();
    let place: usize = next.id.as_str().parse().unwrap();
    assert!((4_999..5_999).contains(&place), "{place}");
    let last = bench.manager.inventory(rare().after(next), &actor).await.unwrap();
    assert!(last.entries.is_empty() && last.next.is_none());
}
