//! The stores of this crate and of the example keep the contract; stores with one fault each break the clauses that
//! speak of it and no other.

use std::sync::Arc;

use tower_api_keys::store::{
    AnyStore, KeyStore, MemoryStore,
    conformance::{check_reader, check_store},
};

#[path = "../../examples/custom_store.rs"]
#[allow(dead_code, reason = "the program's own main")]
mod custom_store;

#[tokio::test]
async fn the_memory_store_keeps_the_contract() {
    check_store(&MemoryStore::new()).await.into_result().unwrap();
}

#[tokio::test]
async fn a_shared_store_keeps_the_contract() {
    check_store(&Arc::new(MemoryStore::new())).await.into_result().unwrap();
}

#[tokio::test]
async fn a_store_chosen_at_run_time_keeps_the_contract() {
    check_store(&AnyStore::new(MemoryStore::new())).await.into_result().unwrap();
}

#[tokio::test]
async fn the_example_store_keeps_the_contract() {
    check_store(&custom_store::TableStore::default()).await.into_result().unwrap();
}

#[tokio::test]
async fn a_store_can_be_checked_again() {
    let store = MemoryStore::new();
    for _ in 0..2 {
        check_store(&store).await.into_result().unwrap();
    }
}

#[tokio::test]
async fn a_reader_is_checked_without_being_a_store() {
    let store = MemoryStore::new();
    let (reader, writer) = (&store, &store);
    let report = check_reader(reader, |change| async move { writer.apply(&change).await }).await;
    assert!(report.clauses().all(|clause| clause.number().starts_with('R')));
    report.into_result().unwrap();
}
