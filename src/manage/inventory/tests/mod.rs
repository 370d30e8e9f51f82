//! The inventory: flags, filters, rights, pages, sums and exports.

mod advice;
mod export;
mod filters;
mod flags;
mod names;
mod pages;
mod rights;

use std::time::Duration;

use crate::{
    Clock,
    key::KeyId,
    manage::{
        InventoryEntry, InventoryQuery, KeyFlag,
        fixture::{Bench, person, plain_change, system, user},
    },
    record::KeyRow,
    store::{KeyStore, Ledger, Write},
    usage::{UsageBatch, UsageRow},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A bench whose time is 200 days after the creation of the example keys.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.clock.advance(DAY * 200);
    bench
}

/// A team key without any flag, once it is [used](call).
fn row(letter: char) -> KeyRow {
    KeyRow { id: letter.to_string().repeat(20), name: "CI pipeline".into(), ..KeyRow::example() }
}

fn part(of_name: &str) -> crate::record::NamePart {
    crate::record::NamePart::new(of_name).unwrap()
}

fn id(letter: char) -> KeyId {
    KeyId::new(&letter.to_string().repeat(20)).unwrap()
}

/// Counts a request with this key, this number of days ago.
async fn call(bench: &Bench, id: &KeyId, outcome: &str, source: &str, days_ago: u32) {
    let at = bench.clock.now().saturating_sub(DAY * days_ago).as_millis();
    let row = UsageRow {
        key: Some(id.as_str().into()),
        outcome: outcome.into(),
        count: 1,
        first_at: at,
        last_at: at,
        ..UsageRow::seen_from(source)
    };
    // Each call has its own writer.
    let name = format!("{id} {outcome} {source} {days_ago}");
    let writer = blake3::hash(name.as_bytes()).as_bytes()[..16].try_into().unwrap();
    bench
        .store
        .inner
        .record_usage(&UsageBatch { writer, sequence: 1, rows: vec![row], days: Vec::new() })
        .await
        .unwrap();
}

/// A change that this manager did not make.
async fn apply(bench: &Bench, name: &str, write: Write) {
    bench.store.inner.apply(&plain_change(name, write)).await.unwrap();
}

async fn entries(bench: &Bench, query: InventoryQuery) -> Vec<InventoryEntry> {
    bench.manager.inventory(query, &system()).await.unwrap().entries
}

/// The only entry of the inventory.
async fn entry(bench: &Bench) -> InventoryEntry {
    let mut entries = entries(bench, InventoryQuery::all()).await;
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

async fn flags_of(bench: &Bench, letter: char) -> Vec<KeyFlag> {
    let entries = entries(bench, InventoryQuery::all()).await;
    entries.into_iter().find(|entry| entry.key.id == id(letter)).unwrap().flags
}

/// The first letters of the ids.
fn letters(entries: &[InventoryEntry]) -> String {
    entries.iter().map(|entry| &entry.key.id.as_str()[..1]).collect()
}

#[tokio::test]
async fn successor_that_the_actor_may_not_see_is_not_named() {
    let bench = Bench::new();
    let old = bench.plant("AAAAAAAAAAAAAAAAAAAA", &user("alice"), "read").await;
    let request = crate::manage::RotateKey::of(old).into_team("blue".parse().unwrap());
    let new = bench.manager.begin_rotation(request, &system()).await.unwrap().info().id;
    let successor = async |actor| {
        let page = bench.manager.inventory(InventoryQuery::all(), &actor).await.unwrap();
        page.entries.into_iter().find(|entry| entry.key.id == old).unwrap().key.successor
    };
    assert_eq!(successor(system()).await, Some(new));
    assert_eq!(successor(person("alice")).await, None);
}
