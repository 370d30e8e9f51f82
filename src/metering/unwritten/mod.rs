//! What was counted, from the counters into the store: each count once, whatever fails.

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

/// The most rows in one batch, be they counts or days: a store writes one in less than a tenth of a second.
const ROWS_PER_BATCH: usize = 10_000;

/// The most keys, or organizations, that a store is asked about at a time.
const KEYS_PER_READ: usize = 1_000;

/// The fewest, unless what it has of some cannot be read: with fewer, the first flush after an outage would take long.
const FEWEST_PER_READ: usize = 16;

/// What was counted, on its way into the store. Every count ends up in exactly one batch, and a batch keeps its sequence
/// number until the store has it or refuses it, so that a repeated flush counts once.
///
/// Who calls it has it alone: batches are written in order.
#[derive(Debug)]
pub(crate) struct Unwritten {
    recorder: Arc<UsageRecorder>,
    writer: [u8; 16],
    /// Of the last batch that the store has.
    sequence: i64,
    stage: Stage,
    /// When the counts were taken that are under way, or were written last.
    taken_at: Timestamp,
    held: HeldDays,
    /// How many keys or organizations to ask about at a time: fewer after a read that failed, which may have asked for too much.
    keys_per_read: usize,
    unreadable: Repeated,
    refused: Repeated,
}

/// How far what was taken from the counters has come.
#[derive(Debug)]
enum Stage {
    /// Nothing is under way.
    Idle,
    /// It waits for what the store has of its keys.
    Draft(Draft),
    /// It is in batches, of which the first may be in the store.
    Batches(VecDeque<UsageBatch>),
}

/// What writing counts needs of a store, each call of which ends.
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
    /// What this recorder counts, signed as `writer`, which no other may share in this store.
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

    /// Writes everything that was counted before this call, and these `days` of it. It may be dropped at any wait: the
    /// next one goes on. `now` tells the time at which the counts are taken, none of which came later.
    ///
    /// A process that ends without a flush of all days loses those that wait, though the store has the counts.
    ///
    /// # Errors
    /// Those of [`Ledger::usage`], but for rows that cannot be read, and of [`Ledger::record_usage`]. The counts are
    /// kept; the next flush repeats the batch that failed, and a store that has it already counts it once. A row with a
    /// value that the store does not take is dropped, counted and told of, and no error, so that it keeps back no others.
    pub(crate) async fn flush(
        &mut self,
        store: &impl UsageStore,
        days: Days,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<(), StoreError> {
        // What is left from before comes first.
        self.write(store).await?;
        // Once: with what is counted meanwhile it would never end on a busy service.
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

    /// Writes what was taken. It is at its stage whatever fails.
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
            // Shorter only behind a refusal: what may be in the store comes again whole.
            shorten_first(batches, portion.rows());
            let Some(batch) = batches.front_mut() else {
                self.stage = Stage::Idle;
                break;
            };
            // The same number as long as it is not in the store. One that was refused is not: its parts may have it.
            batch.sequence = self.sequence + 1;
            match store.record(batch).await {
                Ok(()) => {
                    self.sequence += 1;
                    // Now, and not before: days are as exact as the counts that they sum up.
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

    /// A row that stands alone, and that the store does not take.
    fn drop_refused(&self, batch: &UsageBatch, _error: &StoreError) {
        let (rows, days) = (batch.rows.iter().map(|row| row.count), batch.days.iter().map(UsageDayRow::requests));
        self.recorder.add_refused(rows.chain(days).map(i64::unsigned_abs).sum());
        if let Some(_times) = self.refused.happened() {
            // Without the row: it holds what a caller says of itself.
            let _error = _error as &dyn std::error::Error;
            log!(
                error,
                times = _times,
                error = _error,
                "a usage count was dropped, because the store refused one of its values"
            );
        }
    }

    /// These rows in batches, which are made of them by `of`.
    fn batches<T>(
        &self,
        mut rows: Vec<T>,
        of: impl Fn(Vec<T>) -> (Vec<UsageRow>, Vec<UsageDayRow>),
    ) -> VecDeque<UsageBatch> {
        let mut batches = VecDeque::new();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(ROWS_PER_BATCH));
            let (rows, days) = of(mem::replace(&mut rows, rest));
            // Their numbers follow when they are written.
            batches.push_back(UsageBatch { writer: self.writer, sequence: 0, rows, days });
        }
        batches
    }

    /// Of the keys that were used from where this process has not seen them written before, the sources in the store:
    /// other processes write too, and earlier ones did. The same of the organizations that refusals without a key concern.
    /// None of a key whose rows cannot be read: its counts are written all the same, and those of the others.
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

/// Leaves the first batch `most` rows, and puts the rest behind it. Before the store is asked, which may be dropped.
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
