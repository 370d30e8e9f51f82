//! The stores of this crate keep the clauses of portable stores. A store with one fault breaks the clauses about that
//! fault.

use std::sync::Arc;

use tower_api_keys::store::{MemoryStore, SqliteStore};
use tower_api_keys_conformance::check_portable;

use super::stores::{Fault, Faulty};

#[tokio::test]
async fn the_memory_store_is_portable() {
    check_portable(&MemoryStore::new()).await.into_result().unwrap();
}

#[tokio::test]
async fn a_shared_store_is_portable() {
    check_portable(&Arc::new(MemoryStore::new())).await.into_result().unwrap();
}

#[tokio::test]
async fn a_file_is_portable() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    check_portable(&store).await.into_result().unwrap();
}

#[tokio::test]
async fn a_database_in_memory_is_portable_and_can_be_checked_again() {
    let store = SqliteStore::in_memory().await.unwrap();
    for _ in 0..2 {
        check_portable(&store).await.into_result().unwrap();
    }
}

async fn broken_by(fault: Fault) -> String {
    let report = check_portable(&Faulty::new(MemoryStore::new(), fault)).await;
    report.failed().collect::<Vec<_>>().join(" ")
}

macro_rules! broken {
    ($($name:ident: $fault:ident breaks $clauses:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_eq!(broken_by(Fault::$fault).await, $clauses);
        }
    )*};
}

broken! {
    rows_that_stand_counted_as_written_are_noticed: CountsWhatStands breaks "P6 P12";
    an_export_that_ends_early_is_noticed: ExportsNoEvents breaks "P3";
    revoked_keys_left_behind_are_noticed: ExportsOnlyTheLive breaks "P1 P2 P3 P4 P6 P7";
    rows_out_of_order_are_noticed: ExportsOutOfOrder breaks "P1 P2 P4 P6";
    ignored_differences_are_noticed: IgnoresDifferences breaks "P7 P8 P14";
    an_import_in_parts_is_noticed: ImportsOneByOne breaks "P7 P12";
    rows_lost_between_pages_are_noticed: LosesRowsBetweenPages breaks "P1 P2 P4 P6 P7";
    lost_suspensions_are_noticed: LosesSuspensions breaks "P4 P5 P6 P7 P10 P13";
    pages_with_a_row_too_many_are_noticed: OverfillsPages breaks "P2";
    events_with_new_numbers_are_noticed: RenumbersEvents breaks "P4 P6 P7 P9";
    narrow_remains_of_purged_keys_are_noticed: NarrowsTombstones breaks "P15";
    versions_that_begin_again_are_noticed: ResetsVersions breaks "P4 P5 P6 P7 P11";
}
