//! A copy holds everything that the store holds, for any page size and wherever the copy was interrupted.

use proptest::prelude::*;
use tower_api_keys::{
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow},
    store::{
        MemoryStore, SqliteStore,
        transfer::{self, Batch, MetaRow, OwnerRow, PortableStore, Tombstone},
    },
    usage::UsageRow,
};

use super::{
    content::all_rows,
    stores::{Fault, Faulty},
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("A"), Just("a "), Just("_"), Just("\u{e9}")].prop_map(String::from)
}

/// The id of an owner or an organization: without a space at either end.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("A"), Just("a-"), Just("_"), Just("\u{e9}")].prop_map(String::from)
}

fn kind() -> impl Strategy<Value = String> {
    prop_oneof![Just("user"), Just("team")].prop_map(String::from)
}

fn time() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(0..4_i64)
}

fn meta() -> impl Strategy<Value = MetaRow> {
    (text(), prop::collection::vec(any::<u8>(), 0..3)).prop_map(|(name, value)| MetaRow { name, value })
}

prop_compose! {
    fn owner()(
        (organization, kind, id) in (id(), kind(), id()),
        (suspended_at, plan_suspended_at, closed_at) in (time(), time(), time()),
    ) -> OwnerRow {
        let (kind, id) = if organization == id { ("organization".into(), String::new()) } else { (kind, id) };
        OwnerRow { organization, kind, id, status: OwnerStatusRow { suspended_at, plan_suspended_at, closed_at } }
    }
}

prop_compose! {
    fn key()(
        (organization, kind, owner, number) in (id(), kind(), id(), 0..30_u32),
        (name, revoked_at, expires_at, version) in (text(), time(), time(), 1..9_i64),
    ) -> KeyRow {
        let id = format!("{number:0>20}");
        KeyRow { organization, kind, owner, id, name, revoked_at, expires_at, version, ..KeyRow::example() }
    }
}

prop_compose! {
    fn tombstone()(
        (organization, lineage, number) in (id(), text(), 30..60_u32),
        (created_via_key, revoked_at, expires_at) in (proptest::option::of(text()), time(), time()),
    ) -> Tombstone {
        Tombstone { id: format!("{number:0>20}"), organization, lineage, created_via_key, revoked_at, expires_at }
    }
}

prop_compose! {
    fn usage()(
        (key, organization) in prop_oneof![
            (0..9_u32).prop_map(|number| (Some(format!("{number:0>20}")), None)),
            proptest::option::of(id()).prop_map(|organization| (None, organization)),
        ],
        (outcome, label, client, network) in (text(), text(), text(), text()),
        (count, first_at, last_at) in (1..9_i64, 0..9_i64, 9..18_i64),
    ) -> UsageRow {
        UsageRow { key, organization, outcome, label, client, network, count, first_at, last_at }
    }
}

prop_compose! {
    fn event()(
        (sequence, organization, actor) in (1..60_i64, id(), text()),
        (before, after, source) in (proptest::option::of(text()), proptest::option::of(text()), proptest::option::of(text())),
    ) -> EventRow {
        EventRow { sequence, organization, actor, before, after, source, ..EventRow::example() }
    }
}

/// Rows of every table, one for each primary key.
fn tables() -> impl Strategy<Value = Vec<Batch>> {
    fn one_each<R, K: Ord>(rows: Vec<R>, key: impl Fn(&R) -> K) -> Vec<R> {
        rows.into_iter()
            .map(|row| (key(&row), row))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_values()
            .collect()
    }
    let several = 0..12;
    (
        prop::collection::vec(meta(), several.clone()),
        prop::collection::vec(owner(), several.clone()),
        prop::collection::vec(key(), several.clone()),
        prop::collection::vec(tombstone(), several.clone()),
        prop::collection::vec(usage(), several.clone()),
        prop::collection::vec(event(), several),
    )
        .prop_map(|(meta, owners, keys, tombstones, usage, events)| {
            vec![
                Batch::Meta(one_each(meta, |row| row.name.clone())),
                Batch::Owners(one_each(owners, |row| (row.organization.clone(), row.kind.clone(), row.id.clone()))),
                Batch::Keys(one_each(keys, |row| row.id.clone())),
                Batch::Tombstones(one_each(tombstones, |row| row.id.clone())),
                Batch::Usage(one_each(usage, |row| {
                    let words = [&row.outcome, &row.label, &row.client, &row.network].map(String::clone);
                    (row.key.clone(), words)
                })),
                Batch::Events(one_each(events, |row| row.sequence)),
            ]
        })
}

/// Copies through two stores. The first copy is interrupted.
async fn copy(tables: &[Batch], page: u16, failure: usize) {
    let source = MemoryStore::new();
    for rows in tables {
        source.import(rows).await.unwrap();
    }
    let between = Faulty::new(SqliteStore::in_memory().await.unwrap(), Fault::ImportFails(failure));
    if let Err(error) = transfer::copy(&source, &between).page_size(page).await {
        transfer::copy(&source, &between).starting_at(error.cursor().clone()).page_size(page).await.unwrap();
    }
    let target = MemoryStore::new();
    let copied = transfer::copy(&between, &target).page_size(page).await.unwrap();
    assert_eq!(copied.rows(), tables.iter().map(|rows| rows.len() as u64).sum::<u64>());
    assert_eq!(all_rows(&target).await, all_rows(&source).await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_copy_of_a_copy_holds_the_same(tables in tables(), page in 1..9_u16, failure in 0..20_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(copy(&tables, page, failure));
    }
}
