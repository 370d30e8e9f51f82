//! Copies everything from one store into another.

#[cfg(feature = "postgres")]
mod between_databases;
mod clauses;
mod content;
mod like_whole;
#[path = "support/portable.rs"]
mod stores;

use content::{content, sample};
use stores::{Fault, Faulty};
use tower_api_keys::store::{
    KeyReader, KeyStore, MemoryStore, SqliteStore, StoreError, StoreErrorKind,
    transfer::{self, Batch, Copied, CopyErrorKind, Cursor, PortableStore, Tombstone},
};

/// A store in memory with data of many kinds.
async fn source() -> MemoryStore {
    let store = MemoryStore::new();
    sample(&store).await;
    store
}

#[tokio::test]
async fn a_copy_has_all_that_the_source_has() {
    let (source, target) = (source().await, SqliteStore::in_memory().await.unwrap());
    let copied = transfer::copy(&source, &target).await.unwrap();
    assert_eq!(content(&target).await, content(&source).await);
    let counts = [copied.meta, copied.owners, copied.keys, copied.usage, copied.usage_days, copied.events];
    assert!(counts.iter().all(|count| *count > 0), "{copied:?}");
    assert_eq!((copied.rows(), copied.written), (counts.iter().sum(), counts.iter().sum()));
}

#[tokio::test]
async fn copying_again_is_harmless() {
    let (source, target) = (source().await, MemoryStore::new());
    let first = transfer::copy(&source, &target).await.unwrap();
    let head = target.changes_since(None).await.unwrap();
    let second = transfer::copy(&source, &target).await.unwrap();
    assert_eq!(second, Copied { written: 0, ..first });
    assert_eq!(target.changes_since(None).await.unwrap(), head);
    assert_eq!(content(&target).await, content(&source).await);
}

#[tokio::test]
async fn progress_tells_places_and_rows_until_the_end() {
    let (source, target) = (source().await, MemoryStore::new());
    let mut told = Vec::new();
    let tell = |progress: &transfer::Progress| told.push(progress.clone());
    let copied = transfer::copy(&source, &target).page_size(3).on_progress(tell).await.unwrap();
    assert!(told.is_sorted_by(|one, next| one.cursor <= next.cursor && one.copied.rows() <= next.copied.rows()));
    assert_eq!(told.last().unwrap().copied, copied);
    assert!(matches!(told.last().unwrap().cursor, Cursor::Events(Some(_))));
}

/// Each import fails in turn. The rest is then copied, from the place that the error names and from the start.
#[tokio::test]
async fn a_copy_goes_on_after_a_failure_at_each_page() {
    let source = source().await;
    let whole = content(&source).await;
    let mut imports = 0;
    loop {
        for from_the_place in [true, false] {
            let target = Faulty::new(MemoryStore::new(), Fault::ImportFails(imports));
            let Err(error) = transfer::copy(&source, &target).page_size(3).await else {
                assert!(imports > 10, "the copy had {imports} pages only");
                return;
            };
            assert_eq!(error.kind(), CopyErrorKind::Target);
            assert_ne!(content(&target).await, whole);
            let rest = transfer::copy(&source, &target).page_size(5);
            let rest = if from_the_place { rest.starting_at(error.cursor().clone()) } else { rest };
            rest.await.unwrap();
            assert_eq!(content(&target).await, whole, "{imports} {from_the_place}");
        }
        imports += 1;
    }
}

#[tokio::test]
async fn a_place_that_progress_told_is_enough_to_go_on() {
    let (source, target) = (source().await, Faulty::new(MemoryStore::new(), Fault::ImportFails(6)));
    let mut saved = Cursor::START.to_string();
    let save = |progress: &transfer::Progress| saved = progress.cursor.to_string();
    transfer::copy(&source, &target).page_size(2).on_progress(save).await.unwrap_err();
    let rest = transfer::copy(&source, &target).starting_at(saved.parse().unwrap()).await.unwrap();
    assert_eq!(content(&target).await, content(&source).await);
    assert_eq!(rest.meta, 0);
}

/// A page whose outcome is unknown is copied again. The rows are there already, which is not a conflict.
#[tokio::test]
async fn a_page_that_was_written_without_a_word_is_no_conflict() {
    let (source, target) = (source().await, Faulty::new(MemoryStore::new(), Fault::ImportsWithoutAWord(4)));
    let error = transfer::copy(&source, &target).page_size(3).await.unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Target);
    transfer::copy(&source, &target).starting_at(error.cursor().clone()).page_size(3).await.unwrap();
    assert_eq!(content(&target).await, content(&source).await);
}

#[tokio::test]
async fn a_source_that_fails_is_named_and_what_was_read_before_is_copied() {
    let (source, target) = (Faulty::new(source().await, Fault::ExportFails(4)), MemoryStore::new());
    let error = transfer::copy(&source, &target).page_size(3).await.unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Source);
    transfer::copy(&source, &target).starting_at(error.cursor().clone()).await.unwrap();
    assert_eq!(content(&target).await, content(&source).await);
}

/// For each table, a row that only the target has.
async fn strangers() -> Vec<Batch> {
    let store = MemoryStore::new();
    content::stranger(&store).await;
    let tombstone = Tombstone {
        id: "~".repeat(20),
        organization: "default".into(),
        lineage: "~".repeat(20),
        created_via_key: None,
        revoked_at: None,
        expires_at: Some(2),
    };
    store.import(&Batch::Tombstones(vec![tombstone])).await.unwrap();
    let mut strangers = Vec::new();
    let mut cursor = Some(Cursor::Owners(None));
    while let Some(from) = cursor {
        strangers.push(store.export(&from, 1).await.unwrap().rows);
        cursor = from.next_table();
    }
    strangers
}

#[tokio::test]
async fn a_target_with_other_data_is_refused_before_anything_is_written() {
    let source = source().await;
    let strangers = strangers().await;
    assert_eq!(strangers.len(), 6);
    for stranger in strangers {
        let target = MemoryStore::new();
        target.import(&stranger).await.unwrap();
        let before = content(&target).await;
        for page in [1, 2, 1_000] {
            let error = transfer::copy(&source, &target).page_size(page).await.unwrap_err();
            assert_eq!(error.kind(), CopyErrorKind::Conflict);
            assert_eq!(error.cursor(), &Cursor::START);
            let row = std::error::Error::source(&error).and_then(std::error::Error::source).unwrap().to_string();
            assert_eq!(row, format!("the row is {}", stranger.end().unwrap()));
            assert_eq!(content(&target).await, before);
        }
    }
}

#[tokio::test]
async fn a_target_with_another_pepper_s_check_value_is_refused() {
    let (source, target) = (source().await, MemoryStore::new());
    target.put_meta_if_absent("pepper 1", b"another").await.unwrap();
    let error = transfer::copy(&source, &target).await.unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Conflict);
    assert!(target.export(&Cursor::Owners(None), 1).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn names_of_the_target_s_own_may_stay() {
    let (source, target) = (source().await, MemoryStore::new());
    target.put_meta_if_absent("pepper 9", b"of a node that started early").await.unwrap();
    transfer::copy(&source, &target).await.unwrap();
    assert_eq!(target.put_meta_if_absent("pepper 9", b"").await.unwrap(), b"of a node that started early");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hang_the_copy() {
    let (source, target) = (source().await, Faulty::new(MemoryStore::new(), Fault::Hangs(2)));
    let error = transfer::copy(&source, &target).page_size(3).await.unwrap_err();
    assert_eq!(error.kind(), CopyErrorKind::Target);
    let source: &StoreError = std::error::Error::source(&error).unwrap().downcast_ref().unwrap();
    assert_eq!(source.kind(), StoreErrorKind::OutcomeUnknown);
}
