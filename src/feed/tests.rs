use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};

use super::*;
use crate::{
    audit::EventRow,
    store::{Calls, Effect, KeyStore, Ledger, MemoryStore, Prune},
    time::Timestamp,
};

fn feed_of(store: &Arc<MemoryStore>, name: &str) -> Feed<MemoryStore> {
    Feed::new(register(store), name).unwrap()
}

fn register(store: &Arc<MemoryStore>) -> Register<MemoryStore> {
    Register::new(Calls::new(Arc::clone(store), Duration::from_secs(5)))
}

async fn append(store: &MemoryStore, marks: impl IntoIterator<Item = u32>) {
    let event = |mark: u32| EventRow { at: mark.into(), after: Some(mark.to_string()), ..EventRow::example() };
    store.append_events(&marks.into_iter().map(event).collect::<Vec<_>>()).await.unwrap();
}

fn marks(batch: &FeedBatch) -> Vec<u32> {
    batch.entries.iter().map(|entry| entry.event.after.as_deref().unwrap().parse().unwrap()).collect()
}

async fn kind<T>(answer: impl Future<Output = Result<T, FeedError>>) -> Option<FeedErrorKind> {
    answer.await.err().map(|error| error.kind())
}

#[tokio::test]
async fn what_is_not_confirmed_is_delivered_again_under_the_same_ids() {
    let store = Arc::new(MemoryStore::new());
    append(&store, 0..5).await;
    let first = feed_of(&store, "a").next(2).await.unwrap();
    assert_eq!(marks(&first), [0, 1]);
    // Like a process that died before it confirmed anything.
    let mut feed = feed_of(&store, "a");
    assert_eq!(feed.next(2).await.unwrap(), first);
    assert_eq!(feed.confirm(first.entries[0].cursor()).await.unwrap(), Effect::Changed);
    let second = feed.next(2).await.unwrap();
    assert_eq!((marks(&second), &second.entries[0].id), (vec![1, 2], &first.entries[1].id));
    feed.confirm(second.cursor).await.unwrap();
    // An older cursor does not move it back.
    assert_eq!(feed_of(&store, "a").confirm(first.cursor).await.unwrap(), Effect::Unchanged);
    assert_eq!(marks(&feed.next(1_000).await.unwrap()), [3, 4]);
    assert_eq!(marks(&feed_of(&store, "b").next(0).await.unwrap()), [0], "another consumer, and at least one event");
}

#[tokio::test]
async fn a_new_consumer_begins_where_it_is_said() {
    for count in [0, 1, 2, 3, 7, 100] {
        let store = Arc::new(MemoryStore::new());
        append(&store, 0..count).await;
        // Deleted events leave gaps in the numbers.
        let young = Timestamp::from_millis(count.saturating_sub(3).into()).unwrap();
        store.prune(&Prune { events_before: Some(young), ..Prune::default() }).await.unwrap();
        let mut now = feed_of(&store, "now").starting(FeedStart::Now);
        assert!(now.try_next(10).await.unwrap().is_none(), "{count}");
        append(&store, [1_000]).await;
        assert_eq!(marks(&now.next(10).await.unwrap()), [1_000], "{count}");
        // It continues where it was, no matter what start is given now.
        let mut again = feed_of(&store, "now").starting(FeedStart::Beginning);
        assert_eq!(marks(&again.next(10).await.unwrap()), [1_000]);
        let after = FeedCursor::after(count.into());
        assert_eq!(marks(&feed_of(&store, "after").starting(FeedStart::After(after)).next(10).await.unwrap()), [1_000]);
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_next_event_and_a_dropped_wait_loses_nothing() {
    let store = Arc::new(MemoryStore::new());
    let mut feed = feed_of(&store, "a");
    for mark in 0..3 {
        assert!(feed.next(10).now_or_never().is_none());
        let (batch, ()) = tokio::join!(feed.next(10), append(&store, [mark]));
        let batch = batch.unwrap();
        assert_eq!(marks(&batch), [mark]);
        feed.confirm(batch.cursor).await.unwrap();
    }
}

#[tokio::test]
async fn consumers_that_confirm_at_once_all_get_on() {
    let store = Arc::new(MemoryStore::new());
    append(&store, 0..40).await;
    let consumers = (0..8).map(async |number| {
        let mut feed = feed_of(&store, &format!("consumer-{}", number / 2));
        let mut seen = BTreeSet::new();
        while let Some(batch) = feed.try_next(3).await.unwrap() {
            seen.extend(marks(&batch));
            tokio::task::yield_now().await;
            feed.confirm(batch.cursor).await.unwrap();
        }
        seen
    });
    // Two readers with one name together see everything.
    for pair in join_all(consumers).await.chunks(2) {
        assert_eq!(pair.iter().flatten().copied().collect::<BTreeSet<_>>(), (0..40).collect());
    }
}

#[tokio::test]
async fn a_consumer_that_was_forgotten_is_told_so_and_begins_again_if_it_is_started_again() {
    let store = Arc::new(MemoryStore::new());
    append(&store, 0..2).await;
    let mut feed = feed_of(&store, "a");
    assert_eq!(kind(feed.confirm(FeedCursor::after(1))).await, Some(FeedErrorKind::Forgotten), "it never began");
    let batch = feed.next(10).await.unwrap();
    assert_eq!(register(&store).forget("a").await.unwrap(), Effect::Changed);
    assert_eq!(register(&store).forget("a").await.unwrap(), Effect::Unchanged);
    assert_eq!(kind(feed.confirm(batch.cursor)).await, Some(FeedErrorKind::Forgotten));
    assert_eq!(kind(feed.next(10)).await, Some(FeedErrorKind::Forgotten));
    assert_eq!(marks(&feed_of(&store, "a").next(10).await.unwrap()), [0, 1]);
}

#[tokio::test]
async fn sixty_four_consumers_fit_with_the_longest_names_and_the_greatest_places() {
    let store = Arc::new(MemoryStore::new());
    for number in 0..64 {
        let mut feed =
            feed_of(&store, &format!("{number:0>48}")).starting(FeedStart::After(FeedCursor::after(i64::MAX)));
        assert!(feed.try_next(1).await.unwrap().is_none());
    }
    let note = store.replace_note("feeds", &[], &[]).await.unwrap();
    assert!(note.len() <= crate::lengths::NOTE.bytes(), "{}", note.len());
    assert_eq!(kind(feed_of(&store, "one-more").try_next(1)).await, Some(FeedErrorKind::TooMany));
    register(&store).forget(&"0".repeat(48)).await.unwrap();
    assert_eq!(kind(feed_of(&store, "one-more").try_next(1)).await, None);
}

#[tokio::test]
async fn a_note_that_nobody_can_read_is_no_new_beginning() {
    let store = Arc::new(MemoryStore::new());
    append(&store, 0..2).await;
    store.replace_note("feeds", &[], b"not JSON").await.unwrap();
    let mut feed = feed_of(&store, "a");
    assert_eq!(kind(feed.try_next(1)).await, Some(FeedErrorKind::Corrupt));
    assert_eq!(kind(feed.confirm(FeedCursor::after(1))).await, Some(FeedErrorKind::Corrupt));
    assert_eq!(kind(register(&store).all()).await, Some(FeedErrorKind::Corrupt));
    assert_eq!(kind(register(&store).slowest()).await, Some(FeedErrorKind::Corrupt));
    assert_eq!(store.replace_note("feeds", &[], &[]).await.unwrap(), b"not JSON");
}

#[tokio::test]
async fn how_far_behind_each_is_can_be_seen() {
    let store = Arc::new(MemoryStore::new());
    append(&store, 0..1_002).await;
    let (mut slow, mut quick) = (feed_of(&store, "slow"), feed_of(&store, "quick"));
    slow.next(1).await.unwrap();
    let batch = quick.next(1_000).await.unwrap();
    quick.confirm(batch.cursor).await.unwrap();
    let all = register(&store).all().await.unwrap();
    let told: Vec<_> = all.iter().map(|feed| (&*feed.name, feed.unconfirmed, feed.more)).collect();
    assert_eq!(told, [("quick", 2, false), ("slow", 1_000, true)]);
    assert_eq!(all[0].oldest_unconfirmed_at, Some(Timestamp::from_millis(1_000).unwrap()));
    assert_eq!(register(&store).slowest().await.unwrap(), Some(("slow".into(), 0)));
}

#[tokio::test]
async fn events_that_cannot_be_read_are_named_and_hold_nothing_up() {
    let store = Arc::new(MemoryStore::new());
    append(&store, [0]).await;
    store.append_events(&[EventRow { actor: "nobody".into(), ..EventRow::example() }]).await.unwrap();
    append(&store, [2]).await;
    let batch = feed_of(&store, "a").next(10).await.unwrap();
    assert_eq!((marks(&batch), batch.unreadable, batch.cursor), (vec![0, 2], vec![2], FeedCursor::after(3)));
}

#[test]
fn an_id_is_of_all_that_an_erasure_leaves_of_an_event() {
    let id = |row: &EventRow| FeedBatch::of(std::slice::from_ref(row)).unwrap().entries[0].id.clone();
    let row = EventRow { source: Some("intake".into()), ..EventRow::example() };
    let others = [
        EventRow { sequence: row.sequence + 1, ..row.clone() },
        EventRow { at: row.at + 1, ..row.clone() },
        EventRow { action: "key.revoked".into(), ..row.clone() },
        EventRow { key: None, ..row.clone() },
        EventRow { owner_kind: "user".into(), ..row.clone() },
        EventRow { audience: "organization".into(), ..row.clone() },
    ];
    let ids: BTreeSet<String> = others.iter().chain([&row]).map(id).collect();
    assert_eq!(ids.len(), others.len() + 1);
    let erased = EventRow {
        organization: "erased-1".into(),
        actor: "user:erased-1".into(),
        owner: "erased-1".into(),
        before: None,
        after: None,
        source: None,
        ..row.clone()
    };
    assert_eq!(id(&erased), id(&row));
    let longest = id(&EventRow { sequence: i64::MAX, ..row });
    assert!(longest.len() <= 42 && longest.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
}

#[test]
fn names_are_short_words() {
    let store = Arc::new(MemoryStore::new());
    let is_name = |name: &str| Feed::new(register(&store), name).is_ok();
    assert!(["a", "notifier", "a.b-c_d9", &"x".repeat(48)].into_iter().all(is_name));
    assert!(!["", "A", "a b", "\u{e9}", "a\n", &"x".repeat(49)].into_iter().any(is_name));
}
