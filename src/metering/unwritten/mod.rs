//! Writes counts from the counters to the store: each count once, even if writes fail.

mod days;

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    mem,
    sync::Arc,
};

use self::days::HeldDays;
use super::{
    budget::StoredSources, counted_for::CountedFor, draft::Draft, recorder::UsageRecorder, source_slots::SourceSlot,
    tally::Count,
};
use crate::{
    log::{Repeated, log},
    store::{Calls, Ledger, Portion, StoreError, StoreErrorKind, UsageScope},
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

pub(crate) use self::days::Days;

/// The most rows in one batch, counts and days together: a store writes one in less than a tenth of a second.
const ROWS_PER_BATCH: usize = 10_000;

/// The most keys, or organizations, that a store is asked about at a time.
const KEYS_PER_READ: usize = 1_000;

/// The fewest, unless some rows cannot be read: with fewer, the first flush after an outage would take long.
const FEWEST_PER_READ: usize = 16;

/// Counts on their way into the store. Every count ends up in exactly one batch. A batch keeps its sequence number
/// until the store has it or refuses it, so that a repeated flush counts once.
///
/// The caller has exclusive access: batches are written in order.
#[derive(Debug)]
pub(crate) struct Unwritten {
    recorder: Arc<UsageRecorder>,
    writer: [u8; 16],
    /// The sequence of the last batch that the store has.
    sequence: i64,
    stage: Stage,
    /// When the counts were taken that are being written, or were written last.
    taken_at: Timestamp,
    held: HeldDays,
    /// How many keys or organizations to ask about at a time: fewer after a read that failed, which may have asked for
    /// too much.
    keys_per_read: usize,
    unreadable: Repeated,
    refused: Repeated,
}

/// The progress of counts taken from the counters.
#[derive(Debug)]
enum Stage {
    /// No write is running.
    Idle,
    /// The draft waits for the stored sources of its keys.
    Draft(Draft),
    /// The batches, of which the first may be in the store.
    Batches(VecDeque<UsageBatch>),
}

/// What is needed of a store to write counts. Each call ends.
pub(crate) trait UsageStore: Sync {
    /// [`Ledger::usage`].
    fn stored(&self, of: &UsageScope) -> impl Future<Output = Result<Vec<UsageRow>, StoreError>> + Send;

    /// [`Ledger::record_usage`].
    fn record(&self, batch: &UsageBatch) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl<S: Ledger> UsageStore for Calls<S> {
    async fn stored(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        self.usage(of).await
    }

    async fn record(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.record_usage(batch).await
    }
}

impl Unwritten {
    /// The counts of this recorder, signed as `writer`, which must be unique in this store.
    pub(crate) fn new(recorder: Arc<UsageRecorder>, writer: [u8; 16]) -> Self {
        let (stage, unreadable, refused) = (Stage::Idle, Repeated::new(), Repeated::new());
        Self {
            recorder,
            writer,
            sequence: 0,
            stage,
            taken_at: Timestamp::MIN,
            held: HeldDays::default(),
            keys_per_read: KEYS_PER_READ,
            unreadable,
            refused,
        }
    }

    /// Writes everything that was counted before this call, and these `days` of it. The future may be dropped at any
    /// point: the next call continues. `now` gives the time at which the counts are taken; none of them is later.
    ///
    /// A process that ends without a flush of all days loses the waiting days, although the store has the counts.
    ///
    /// # Errors
    /// Those of [`Ledger::usage`], except for unreadable rows, and of [`Ledger::record_usage`]. The counts are kept:
    /// the next flush repeats the failed batch, and a store that already has it counts it once. A row with a value that
    /// the store does not accept is dropped, counted and reported without an error, so that it does not block others.
    pub(crate) async fn flush(
        &mut self,
        store: &impl UsageStore,
        days: Days,
        now: impl Fn() -> Timestamp,
    ) -> Result<(), StoreError> {
        let flushed = self.flush_all(store, days, &now).await;
        self.recorder.flush_ended(now(), flushed.is_ok());
        flushed
    }

    async fn flush_all(
        &mut self,
        store: &impl UsageStore,
        days: Days,
        now: impl Fn() -> Timestamp,
    ) -> Result<(), StoreError> {
        // What remains from before comes first.
        self.write(store).await?;
        // Only once: with the counts that arrive meanwhile it would never end on a busy service.
        self.taken_at = now();
        self.stage = Stage::Draft(Draft::new(self.recorder.take(self.taken_at)));
        self.write(store).await?;
        self.recorder.has_written(self.taken_at);
        let days = self.held.take(days, self.taken_at);
        self.stage = Stage::Batches(self.batches(days, |days| (Vec::new(), days)));
        self.write(store).await?;
        if self.held.is_empty() {
            self.recorder.has_written_days(self.taken_at);
        }
        Ok(())
    }

    /// Writes what was taken. The stage stays correct even if a write fails.
    async fn write(&mut self, store: &impl UsageStore) -> Result<(), StoreError> {
        if let Stage::Draft(draft) = &self.stage {
            let unsure = draft.unsure(self.recorder.stored());
            let stored = self.stored_sources(store, unsure).await?;
            if let Stage::Draft(draft) = mem::replace(&mut self.stage, Stage::Idle) {
                let (slots, folded) = draft.finish(&stored, self.recorder.stored());
                self.recorder.add_folded(folded);
                let rows = slots.into_iter().map(row).collect();
                self.stage = Stage::Batches(self.batches(rows, |rows| (rows, Vec::new())));
            }
        }
        let mut portion = Portion::new(ROWS_PER_BATCH);
        while let Stage::Batches(batches) = &mut self.stage {
            // Shortened only after a refusal: a batch that may be in the store is repeated unchanged.
            shorten_first(batches, portion.rows());
            let Some(batch) = batches.front_mut() else {
                self.stage = Stage::Idle;
                break;
            };
            // The same number until it is in the store. A refused batch is not there, so its parts may use the number.
            batch.sequence = self.sequence + 1;
            match store.record(batch).await {
                Ok(()) => {
                    self.sequence += 1;
                    // Only now: days are as exact as the counts that they sum up.
                    self.held.add(&batch.rows, self.taken_at);
                    batches.pop_front();
                    portion.written();
                }
                Err(error) if portion.is_refused(&error, batch.len()) => {
                    if batch.len() == 1
                        && let Some(batch) = batches.pop_front()
                    {
                        self.drop_refused(&batch, &error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Drops a single row that the store does not accept.
    fn drop_refused(&self, batch: &UsageBatch, _error: &StoreError) {
        let (rows, days) = (batch.rows.iter().map(|row| row.count), batch.days.iter().map(UsageDayRow::requests));
        self.recorder.add_refused(rows.chain(days).map(i64::unsigned_abs).sum());
        if let Some(_times) = self.refused.happened() {
            // Logged without the row: it has text from the caller.
            let _error = _error as &dyn std::error::Error;
            log!(
                error,
                times = _times,
                error = _error,
                "a usage count was dropped, because the store refused one of its values"
            );
        }
    }

    /// These rows in batches, which `of` makes from them.
    fn batches<T>(
        &self,
        mut rows: Vec<T>,
        of: impl Fn(Vec<T>) -> (Vec<UsageRow>, Vec<UsageDayRow>),
    ) -> VecDeque<UsageBatch> {
        let mut batches = VecDeque::new();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(ROWS_PER_BATCH));
            let (rows, days) = of(mem::replace(&mut rows, rest));
            // Their numbers are set when they are written.
            batches.push_back(UsageBatch { writer: self.writer, sequence: 0, rows, days });
        }
        batches
    }

    /// The sources in the store for keys that were used from somewhere this process has not seen written: other
    /// processes and earlier ones write, too. The same for the organizations of refusals without a key. None for a key
    /// whose rows cannot be read: its counts are still written, and those of the others.
    async fn stored_sources(
        &mut self,
        store: &impl UsageStore,
        unsure: HashSet<CountedFor>,
    ) -> Result<StoredSources, StoreError> {
        let (mut keys, mut organizations) = (Vec::new(), Vec::new());
        for counted_for in &unsure {
            match counted_for {
                CountedFor::Key(key) => keys.push(*key),
                CountedFor::NoKey(organization) => organizations.push(organization.clone()),
            }
        }
        let most = self.keys_per_read;
        let mut reads: Vec<UsageScope> = keys.chunks(most).map(|keys| UsageScope::Keys(keys.to_vec())).collect();
        reads.extend(organizations.chunks(most).map(|of| UsageScope::NoKey(of.to_vec())));
        let mut stored = StoredSources::of(unsure);
        while let Some(of) = reads.pop() {
            match store.stored(&of).await {
                Ok(rows) => rows.iter().for_each(|row| stored.add(row)),
                Err(error) if error.kind() == StoreErrorKind::Corrupt => match of {
                    UsageScope::Keys(keys) if keys.len() > 1 => {
                        let (one, two) = keys.split_at(keys.len() / 2);
                        reads.extend([one, two].map(|keys| UsageScope::Keys(keys.to_vec())));
                    }
                    UsageScope::NoKey(organizations) if organizations.len() > 1 => {
                        let (one, two) = organizations.split_at(organizations.len() / 2);
                        reads.extend([one, two].map(|of| UsageScope::NoKey(of.to_vec())));
                    }
                    _ => {
                        if let Some(_times) = self.unreadable.happened() {
                            let _error = &error as &dyn std::error::Error;
                            log!(error, ?of, times = _times, error = _error, "stored usage cannot be read");
                        }
                    }
                },
                Err(error) => {
                    self.keys_per_read = (most / 2).max(FEWEST_PER_READ);
                    return Err(error);
                }
            }
        }
        self.keys_per_read = (most * 2).min(KEYS_PER_READ);
        Ok(stored)
    }
}

/// Limits the first batch to `most` rows, and puts the rest after it. Done before the store is asked, because that
/// future may be dropped.
fn shorten_first(batches: &mut VecDeque<UsageBatch>, most: usize) {
    if let Some(first) = batches.front_mut()
        && first.len() > most
    {
        // One of the two is empty.
        let (rows, days) = (split_off(&mut first.rows, most), split_off(&mut first.days, most));
        let rest = UsageBatch { writer: first.writer, sequence: 0, rows, days };
        batches.insert(1, rest);
    }
}

fn split_off<T>(rows: &mut Vec<T>, most: usize) -> Vec<T> {
    rows.split_off(rows.len().min(most))
}

fn row((SourceSlot { counted_for, end, source, .. }, count): (SourceSlot, Count)) -> UsageRow {
    let (key, organization) = match counted_for {
        CountedFor::Key(key) => (Some(key.as_str().to_owned()), None),
        CountedFor::NoKey(organization) => (None, organization.map(String::from)),
    };
    UsageRow {
        key,
        organization,
        outcome: end.word().into_owned(),
        label: source.label().to_owned(),
        client: source.client().to_owned(),
        network: source.network().to_owned(),
        count: count.count,
        first_at: count.first_at,
        last_at: count.last_at,
    }
}

#[cfg(test)]
pub(super) mod tests;
