use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::{
    key::KeyId,
    outcome::RefusalCode,
    owner::OrganizationId,
    usage::{Origin, Source},
};

/// A store that answers at once, and fails as often as configured.
#[derive(Debug, Default)]
pub(in crate::metering) struct Table {
    /// The batches it was asked to write, written or not.
    asked: Mutex<Vec<UsageBatch>>,
    written: Mutex<Vec<UsageBatch>>,
    reads: AtomicUsize,
    failing_reads: AtomicUsize,
    failing_writes: AtomicUsize,
    /// It refuses batches with a key whose id ends like this.
    refuses: Option<&'static str>,
}

impl Table {
    pub(in crate::metering) fn written(&self) -> Vec<UsageBatch> {
        self.written.lock().unwrap().clone()
    }

    fn fails(times: &AtomicUsize) -> Result<(), StoreError> {
        let fails = times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| times.checked_sub(1));
        if fails.is_ok() { Err(StoreError::unavailable("the test says so")) } else { Ok(()) }
    }
}

impl UsageStore for Table {
    async fn stored(&self, _of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Self::fails(&self.failing_reads)?;
        Ok(self.written().into_iter().flat_map(|batch| batch.rows).collect())
    }

    async fn record(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.asked.lock().unwrap().push(batch.clone());
        Self::fails(&self.failing_writes)?;
        let is_refused =
            |row: &UsageRow| self.refuses.is_some_and(|end| row.key.as_ref().is_some_and(|key| key.ends_with(end)));
        if batch.rows.iter().any(is_refused) {
            return Err(StoreError::refused("the test says so"));
        }
        self.written.lock().unwrap().push(batch.clone());
        Ok(())
    }
}

fn refuse(recorder: &UsageRecorder, number: usize, millis: i64) {
    let (key, at) = (KeyId::new(&format!("{number:020}")).unwrap(), Timestamp::from_millis(millis).unwrap());
    recorder.refusal(&CountedFor::Key(key), RefusalCode::InvalidKey, None, Origin::Source(&Source::default()), at);
}

/// The time of all flushes that give no other: no time passes.
fn now() -> Timestamp {
    Timestamp::from_millis(1_000).unwrap()
}

fn flush(unwritten: &mut Unwritten, table: &Table) -> Result<(), StoreError> {
    unwritten.flush(table, Days::IfDue, now).now_or_never().expect("the table answers at once")
}

fn fixture() -> (Arc<UsageRecorder>, Unwritten, Table) {
    let recorder = Arc::<UsageRecorder>::default();
    (Arc::clone(&recorder), Unwritten::new(recorder, [1; 16]), Table::default())
}

#[test]
fn a_batch_keeps_its_number_until_the_store_has_it() {
    let (recorder, mut unwritten, table) = fixture();
    refuse(&recorder, 1, 5);
    table.failing_writes.store(2, Ordering::Relaxed);
    flush(&mut unwritten, &table).unwrap_err();
    refuse(&recorder, 1, 6);
    flush(&mut unwritten, &table).unwrap_err();
    flush(&mut unwritten, &table).unwrap();
    let [first, again, once_more, second] = &table.asked.lock().unwrap()[..] else { panic!("{table:?}") };
    assert!(first == again && again == once_more);
    assert_eq!((first.sequence, first.rows[0].count, first.rows[0].last_at), (1, 1, 5));
    assert_eq!((second.sequence, second.rows[0].count, second.rows[0].last_at), (2, 1, 6));
    assert_eq!(table.written(), [first.clone(), second.clone()]);
}

#[test]
fn it_is_known_since_when_nothing_can_be_written() {
    let (recorder, mut unwritten, table) = fixture();
    let at = |millis| Timestamp::from_millis(millis).unwrap();
    let mut flush_at =
        |millis| unwritten.flush(&table, Days::IfDue, || at(millis)).now_or_never().expect("the table answers at once");
    flush_at(1_000).unwrap();
    assert_eq!(recorder.failing_since(), None);
    refuse(&recorder, 1, 5);
    table.failing_writes.store(2, Ordering::Relaxed);
    flush_at(2_000).unwrap_err();
    flush_at(3_000).unwrap_err();
    assert_eq!((recorder.failing_since(), recorder.written_until()), (Some(at(2_000)), Some(at(1_000))));
    flush_at(4_000).unwrap();
    assert_eq!((recorder.failing_since(), recorder.written_until()), (None, Some(at(4_000))));
    // The next failure has its own time.
    refuse(&recorder, 1, 6);
    table.failing_writes.store(1, Ordering::Relaxed);
    flush_at(5_000).unwrap_err();
    assert_eq!(recorder.failing_since(), Some(at(5_000)));
}

#[test]
fn what_was_not_counted_is_not_written() {
    let (recorder, mut unwritten, table) = fixture();
    flush(&mut unwritten, &table).unwrap();
    refuse(&recorder, 1, 5);
    flush(&mut unwritten, &table).unwrap();
    flush(&mut unwritten, &table).unwrap();
    assert_eq!((table.written().len(), table.reads.load(Ordering::Relaxed)), (1, 1));
}

#[test]
fn what_could_not_be_read_is_counted_once() {
    let (recorder, mut unwritten, table) = fixture();
    refuse(&recorder, 1, 5);
    table.failing_reads.store(2, Ordering::Relaxed);
    flush(&mut unwritten, &table).unwrap_err();
    refuse(&recorder, 1, 6);
    flush(&mut unwritten, &table).unwrap_err();
    assert!(table.asked.lock().unwrap().is_empty());
    flush(&mut unwritten, &table).unwrap();
    let counts: Vec<_> = table.written().iter().map(|batch| (batch.sequence, batch.rows[0].count)).collect();
    assert_eq!(counts, [(1, 1), (2, 1)]);
}

#[test]
fn many_counts_are_several_batches() {
    let (recorder, mut unwritten, table) = fixture();
    (0..ROWS_PER_BATCH * 2 + 1).for_each(|number| refuse(&recorder, number, 5));
    flush(&mut unwritten, &table).unwrap();
    let sizes: Vec<_> = table.written().iter().map(|batch| (batch.sequence, batch.rows.len())).collect();
    assert_eq!(sizes, [(1, ROWS_PER_BATCH), (2, ROWS_PER_BATCH), (3, 1)]);
}

#[tokio::test]
async fn a_flush_that_is_dropped_goes_on_where_it_was() {
    /// Waits once at each call, before it does anything.
    struct Slow(Table);
    impl UsageStore for Slow {
        async fn stored(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
            tokio::task::yield_now().await;
            self.0.stored(of).await
        }
        async fn record(&self, batch: &UsageBatch) -> Result<(), StoreError> {
            tokio::task::yield_now().await;
            self.0.record(batch).await
        }
    }
    let (recorder, mut unwritten, table) = fixture();
    let slow = Slow(table);
    refuse(&recorder, 1, 5);
    // At its first wait, which is for the stored sources.
    assert!(unwritten.flush(&slow, Days::IfDue, now).now_or_never().is_none());
    refuse(&recorder, 1, 6);
    unwritten.flush(&slow, Days::IfDue, now).await.unwrap();
    let counts: Vec<_> = slow.0.written().iter().map(|batch| (batch.sequence, batch.rows[0].count)).collect();
    assert_eq!(counts, [(1, 1), (2, 1)]);
}

/// The number of keys in the written batches, which have one number each, in order.
fn written_keys(table: &Table) -> usize {
    let written = table.written();
    let numbers: Vec<_> = written.iter().map(|batch| batch.sequence).collect();
    assert_eq!(numbers, (1..).take(written.len()).collect::<Vec<_>>());
    written.iter().map(|batch| batch.rows.len()).sum()
}

/// A refusal that names no key, from a client.
fn refuse_without_key(recorder: &UsageRecorder, concerned: Option<&str>, client: &str) {
    let concerned = concerned.map(|id| OrganizationId::new(id).unwrap());
    let source = Source::default().with_client(client).unwrap();
    let (counted_for, code) = (CountedFor::without_key(concerned.as_ref()), RefusalCode::MissingCredentials);
    recorder.refusal(&counted_for, code, None, Origin::Source(&source), now());
}

/// Rows of another process take only the room of their organization.
#[test]
fn the_room_that_is_left_is_that_of_each_organization() {
    for (stored, folded) in [(63, 1), (64, 2), (300, 2)] {
        let (_, mut unwritten, table) = fixture();
        let other = unwritten.recorder.clone();
        (0..stored).for_each(|number| refuse_without_key(&other, Some("acme"), &format!("there-{number}")));
        let rows = unwritten.recorder.take(now()).into_iter().map(row).collect();
        table.written.lock().unwrap().push(UsageBatch { writer: [2; 16], sequence: 1, rows, days: Vec::new() });
        let before = unwritten.recorder.folded();
        for concerned in [Some("acme"), Some("globex"), None] {
            ["new", "newer"].iter().for_each(|client| refuse_without_key(&other, concerned, client));
        }
        flush(&mut unwritten, &table).unwrap();
        assert_eq!(unwritten.recorder.folded() - before, folded, "{stored}");
        let batches = table.written();
        let others = batches[1].rows.iter().filter(|row| row.client == "other");
        let others: Vec<_> = others.map(|row| (row.organization.as_deref(), row.count)).collect();
        assert_eq!(others, [(Some("acme"), folded as i64)], "{stored}");
    }
}

/// Unreadable rows belong to one organization, which does not block others.
#[test]
fn an_organization_that_cannot_be_read_is_counted_like_the_others() {
    /// Has 64 sources of each organization, of which one is unreadable.
    struct Damaged(Table, Mutex<Vec<usize>>);
    impl UsageStore for Damaged {
        async fn stored(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
            let UsageScope::NoKey(organizations) = of else { panic!("{of:?}") };
            self.1.lock().unwrap().push(organizations.len());
            let names: Vec<_> = organizations.iter().map(|of| of.as_ref().map(ToString::to_string)).collect();
            if names.contains(&Some("3".into())) {
                return Err(StoreError::corrupt("the test says so"));
            }
            let row = |organization: &Option<String>, number| UsageRow {
                organization: organization.clone(),
                outcome: "missing_credentials".into(),
                ..UsageRow::seen_from(&format!("there-{number}"))
            };
            Ok(names.iter().flat_map(|name| (0..64).map(move |number| row(name, number))).collect())
        }
        async fn record(&self, batch: &UsageBatch) -> Result<(), StoreError> {
            self.0.record(batch).await
        }
    }
    let (recorder, mut unwritten, table) = fixture();
    let damaged = Damaged(table, Mutex::default());
    (0..8).for_each(|number| refuse_without_key(&recorder, Some(&number.to_string()), "curl"));
    unwritten.flush(&damaged, Days::IfDue, now).now_or_never().expect("the table answers at once").unwrap();
    let mut asked = damaged.1.lock().unwrap().clone();
    asked.sort_unstable();
    assert_eq!(asked, [1, 1, 2, 2, 4, 4, 8]);
    let rows = &damaged.0.written()[0].rows;
    let apart: Vec<_> = rows.iter().filter(|row| row.client == "curl").map(|row| row.organization.as_deref()).collect();
    assert_eq!((rows.len(), apart), (8, vec![Some("3")]));
}

#[test]
fn a_row_that_is_refused_is_dropped_alone() {
    let (recorder, mut unwritten, table) = fixture();
    let table = Table { refuses: Some("007"), ..table };
    // One of a thousand, in two batches and a part of one.
    let rows = ROWS_PER_BATCH * 2 + 500;
    (0..rows).for_each(|number| refuse(&recorder, number, 5));
    flush(&mut unwritten, &table).unwrap();
    assert_eq!((written_keys(&table), recorder.refused()), (rows - 21, 21));
    let counts = table.written().into_iter().flat_map(|batch| batch.rows).filter(|row| row.count != 1).count();
    assert_eq!(counts, 0);
}

#[test]
fn a_refused_batch_is_halved_with_its_own_number() {
    let (recorder, mut unwritten, table) = fixture();
    let table = Table { refuses: Some("3"), ..table };
    (0..4).for_each(|number| refuse(&recorder, number, 5));
    flush(&mut unwritten, &table).unwrap();
    // A refused batch is not in the store: its parts use its number.
    let asked = table.asked.lock().unwrap();
    assert!(asked.iter().is_sorted_by_key(|batch| batch.sequence) && asked[0].sequence == 1, "{asked:?}");
    drop(asked);
    assert_eq!(written_keys(&table), 3);
}

#[test]
fn a_store_that_takes_nothing_is_not_asked_without_end() {
    let (recorder, mut unwritten, table) = fixture();
    let table = Table { refuses: Some(""), ..table };
    (0..2_000).for_each(|number| refuse(&recorder, number, 5));
    assert_eq!(flush(&mut unwritten, &table).unwrap_err().kind(), StoreErrorKind::Refused);
    assert_eq!(table.asked.lock().unwrap().len(), 1_001);
    // The next flushes continue from there.
    let flushes = (1..).find(|_| flush(&mut unwritten, &table).is_ok());
    assert_eq!((flushes, recorder.refused()), (Some(2), 2_000));
}

#[test]
fn what_is_refused_behind_an_unknown_outcome_is_halved_too() {
    let (recorder, mut unwritten, table) = fixture();
    let table = Table { refuses: Some("1"), ..table };
    table.failing_writes.store(1, Ordering::Relaxed);
    (0..3).for_each(|number| refuse(&recorder, number, 5));
    flush(&mut unwritten, &table).unwrap_err();
    flush(&mut unwritten, &table).unwrap();
    assert_eq!((written_keys(&table), recorder.refused()), (2, 1));
}

/// The days of everything that was written, as [`Table`] counts it.
fn days(table: &Table) -> Vec<(String, i32, i64, i64)> {
    let written = table.written();
    let days = written.into_iter().flat_map(|batch| batch.days);
    days.map(|row| (row.key.trim_start_matches('0').to_owned(), row.day, row.accepted, row.refused)).collect()
}

fn flush_at(unwritten: &mut Unwritten, table: &Table, days: Days, millis: i64) -> Result<(), StoreError> {
    let now = || Timestamp::from_millis(millis).unwrap();
    unwritten.flush(table, days, now).now_or_never().expect("the table answers at once")
}

const MINUTE: i64 = 60_000;
const MIDNIGHT: i64 = 86_400_000;

#[test]
fn days_wait_for_ten_minutes_and_are_written_once() {
    let (recorder, mut unwritten, table) = fixture();
    let begun = MIDNIGHT - 5 * MINUTE;
    refuse(&recorder, 1, begun - 1);
    flush_at(&mut unwritten, &table, Days::IfDue, begun).unwrap();
    refuse(&recorder, 1, begun + 1);
    refuse(&recorder, 2, MIDNIGHT);
    refuse(&recorder, 1, MIDNIGHT + 1);
    flush_at(&mut unwritten, &table, Days::IfDue, begun + 10 * MINUTE - 1).unwrap();
    assert_eq!(days(&table), []);
    assert_eq!(recorder.written_until().unwrap().as_millis(), begun + 10 * MINUTE - 1);
    assert_eq!(recorder.days_written_until(), None);
    // Nothing was counted since: the days are still written.
    flush_at(&mut unwritten, &table, Days::IfDue, begun + 10 * MINUTE).unwrap();
    let expected = [("1".to_owned(), 0, 0, 2), ("1".to_owned(), 1, 0, 1), ("2".to_owned(), 1, 0, 1)];
    assert_eq!(days(&table), expected);
    assert_eq!(recorder.days_written_until().unwrap().as_millis(), begun + 10 * MINUTE);
    for minutes in 11..30 {
        flush_at(&mut unwritten, &table, Days::All, begun + minutes * MINUTE).unwrap();
    }
    assert_eq!(days(&table), expected);
}

/// How many of these uses came before a time.
fn before(uses: &[i64], until: Option<Timestamp>) -> i64 {
    uses.iter().filter(|use_| until.is_some_and(|until| **use_ < until.as_millis())).count() as i64
}

/// What happens between two checks.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A key is used, and time passes.
    Use(usize),
    Flush(Days),
    /// The store fails this many of its next reads and writes.
    Fails(usize, usize),
}

proptest! {
    #[test]
    fn whatever_came_before_the_time_that_is_told_is_written_or_told_of_as_dropped(
        steps in proptest::collection::vec(
            prop_oneof![
                4 => (0..20_usize).prop_map(Happens::Use),
                2 => Just(Happens::Flush(Days::IfDue)),
                1 => Just(Happens::Flush(Days::All)),
                1 => (0..2_usize, 0..4_usize).prop_map(|(reads, writes)| Happens::Fails(reads, writes)),
            ],
            1..60,
        )
    ) {
        let (recorder, mut unwritten, table) = fixture();
        let table = Table { refuses: Some("7"), ..table };
        let (mut millis, mut uses, mut last) = (0, Vec::new(), None);
        for step in steps {
            match step {
                Happens::Use(number) => {
                    refuse(&recorder, number, millis);
                    uses.push(millis);
                    millis += 1 + number as i64 * MINUTE / 10;
                }
                Happens::Flush(days) => {
                    let flushed = flush_at(&mut unwritten, &table, days, millis);
                    let until = recorder.written_until();
                    // A flush that failed before it wrote everything it took does not move the times.
                    if flushed.is_ok() {
                        prop_assert_eq!(until.map(Timestamp::as_millis), Some(millis));
                    } else {
                        prop_assert!(until >= last);
                    }
                    last = until;
                }
                Happens::Fails(reads, writes) => {
                    table.failing_reads.store(reads, Ordering::Relaxed);
                    table.failing_writes.store(writes, Ordering::Relaxed);
                }
            }
            // In the order in which an answer reads them: the times, the dropped requests, the counts.
            let (until, days_until) = (recorder.written_until(), recorder.days_written_until());
            let dropped = recorder.refused() as i64;
            let written: i64 = table.written().iter().flat_map(|batch| &batch.rows).map(|row| row.count).sum();
            let by_day: i64 = days(&table).into_iter().map(|(_, _, accepted, refused)| accepted + refused).sum();
            prop_assert!(before(&uses, until) <= written + dropped, "{until:?} of {uses:?}: {written} and {dropped}");
            prop_assert!(before(&uses, days_until) <= by_day + dropped, "{days_until:?}: {by_day} and {dropped}");
            prop_assert!(written + dropped <= uses.len() as i64 && by_day <= written && days_until <= until);
        }
    }
}

#[test]
fn days_that_somebody_wants_do_not_wait() {
    let (recorder, mut unwritten, table) = fixture();
    refuse(&recorder, 1, 5);
    flush_at(&mut unwritten, &table, Days::All, 6).unwrap();
    assert_eq!(days(&table), [("1".to_owned(), 0, 0, 1)]);
}

#[test]
fn a_clock_that_was_set_back_makes_no_day_wait() {
    let (recorder, mut unwritten, table) = fixture();
    refuse(&recorder, 1, 5);
    flush_at(&mut unwritten, &table, Days::IfDue, 100 * MINUTE).unwrap();
    assert_eq!(days(&table), []);
    flush_at(&mut unwritten, &table, Days::IfDue, 99 * MINUTE).unwrap();
    assert_eq!(days(&table), [("1".to_owned(), 0, 0, 1)]);
}

#[test]
fn too_many_days_do_not_wait() {
    let (recorder, mut unwritten, table) = fixture();
    for number in 0..days::MOST_HELD {
        refuse(&recorder, number, 5);
        if number % 50_000 == 49_999 {
            assert_eq!(days(&table), []);
            flush_at(&mut unwritten, &table, Days::IfDue, 6).unwrap();
        }
    }
    let written = table.written();
    let sizes = written.iter().filter(|batch| !batch.days.is_empty()).map(|batch| (batch.rows.len(), batch.days.len()));
    assert_eq!(sizes.collect::<Vec<_>>(), [(0, ROWS_PER_BATCH); 10]);
    // Their numbers continue after those of the counts.
    assert!(written.iter().map(|batch| batch.sequence).eq(1..=20));
}

#[test]
fn days_are_as_exact_as_their_counts() {
    let (recorder, mut unwritten, table) = fixture();
    // A count that the store refuses is on no day either; a failed write is repeated later, once.
    let table = Table { refuses: Some("7"), ..table };
    (0..20).for_each(|number| refuse(&recorder, number, 5));
    table.failing_writes.store(3, Ordering::Relaxed);
    for _ in 0..3 {
        flush_at(&mut unwritten, &table, Days::All, 6).unwrap_err();
        assert_eq!(days(&table), []);
    }
    flush_at(&mut unwritten, &table, Days::All, 7).unwrap();
    let written = table.written();
    let rows: Vec<_> = written.iter().flat_map(|batch| batch.rows.clone()).collect();
    let mut sums: Vec<_> = written.into_iter().flat_map(|batch| batch.days).collect();
    sums.sort_unstable();
    assert_eq!((sums.len(), &sums), (18, &UsageDayRow::sums(&rows)));
}

#[test]
fn a_day_that_is_refused_is_dropped_alone() {
    /// It accepts all counts, but no day of a key whose id ends like this.
    struct Daily(Table);
    impl UsageStore for Daily {
        async fn stored(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
            self.0.stored(of).await
        }
        async fn record(&self, batch: &UsageBatch) -> Result<(), StoreError> {
            if batch.days.iter().any(|day| day.key.ends_with('7')) {
                return Err(StoreError::refused("the test says so"));
            }
            self.0.record(batch).await
        }
    }
    let (recorder, mut unwritten, table) = fixture();
    let daily = Daily(table);
    (0..100).for_each(|number| refuse(&recorder, number, 5));
    unwritten.flush(&daily, Days::All, now).now_or_never().expect("the table answers at once").unwrap();
    assert_eq!((days(&daily.0).len(), recorder.refused()), (90, 10));
}
