use std::{sync::Arc, time::Duration};

use super::{
    breaker::{Breaker, Probed, start_probing},
    deadline::Deadline,
    joint::{JointReader, JointReads, Unread, join},
};
use crate::{
    auth::{cache::ProofCache, meter::Meter, trouble::Trouble, watch::Streams},
    log::{Repeated, log},
    store::{Calls, Changes, Head, HeadCell, KeyReader, Lease, Moment, StoreError},
    time::Clock,
};

/// A continuous log lists this many changes to a reader. A reader that is further behind may be told to start again,
/// with nothing wrong.
const FAR_BEHIND: i64 = 1_000;

/// A head that no log has.
const NOWHERE: Head = Head { position: i64::MIN, change: [0; 16] };

/// Applies the store's change log to the cache. Reads are [shared](JointReads).
pub(in crate::auth) struct LogReader<R> {
    store: Calls<Arc<R>>,
    cache: Arc<ProofCache>,
    clock: Arc<dyn Clock>,
    lease: Arc<Lease>,
    meter: Arc<Meter>,
    /// The streams that wait for a change of their key.
    streams: Arc<Streams>,
    /// How long a read waits for others to join it.
    coalescing: Duration,
    /// The head up to which the cache has the changes; [`NOWHERE`] before the first.
    applied: HeadCell,
    reads: JointReads<Currency>,
    /// Blocks while the log cannot be read.
    breaker: Breaker,
    reset: Repeated,
    lost: Repeated,
}

/// What a read of the change log proves of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Currency {
    /// The entries marked current are current.
    Tracked,
    /// Nothing is proved: the store keeps no log.
    Untracked,
}

impl<R: KeyReader> LogReader<R> {
    pub(in crate::auth) fn new(
        store: Arc<R>,
        (cache, streams): (Arc<ProofCache>, Arc<Streams>),
        clock: Arc<dyn Clock>,
        lease: Arc<Lease>,
        meter: Arc<Meter>,
        trouble: Arc<Trouble>,
        [timeout, coalescing]: [Duration; 2],
    ) -> Self {
        Self {
            store: Calls::new(store, timeout),
            cache,
            clock,
            lease,
            meter,
            streams,
            coalescing,
            applied: HeadCell::new(NOWHERE),
            reads: JointReads::default(),
            breaker: Breaker::new(trouble),
            reset: Repeated::new(),
            lost: Repeated::new(),
        }
    }

    /// Whether the store can say at once that it has nothing new.
    pub(in crate::auth) fn is_current_now(&self) -> bool {
        self.store.try_head().is_some_and(|head| self.applied() == Some(head))
    }

    /// Waits for a read of the change log that begins after this call, and until the cache has its changes, as long as
    /// a request may. While the log is known to be unreadable, no request waits.
    pub(in crate::auth) async fn read(self: &Arc<Self>, deadline: Deadline) -> Result<Currency, Unread> {
        if let Some(failure) = self.failure() {
            return Err(Unread::Outage(failure));
        }
        join(self, deadline).await
    }

    /// The same for a task without a waiting request.
    pub(in crate::auth) async fn refresh(self: &Arc<Self>) {
        if self.failure().is_none() {
            drop(join(self, Deadline::after(self.patience() * 2)).await);
        }
    }

    /// Why the log cannot be read, if it is known to be unreadable.
    pub(in crate::auth) fn failure(self: &Arc<Self>) -> Option<Arc<StoreError>> {
        let failure = self.breaker.failure()?;
        start_probing(self);
        Some(failure)
    }

    async fn read_from(&self, start: Moment) -> Result<Currency, StoreError> {
        let changes = self.store.changes_since(self.applied()).await?;
        let head = match changes {
            Changes::Untracked => return Ok(Currency::Untracked),
            Changes::Unchanged => None,
            Changes::Changed { head, keys, owners, organizations } => {
                keys.iter().for_each(|key| self.cache.key_changed(key));
                owners.iter().for_each(|owner| self.cache.owner_changed(owner));
                organizations.iter().for_each(|organization| self.cache.organization_changed(organization));
                // After the cache: a stream that began to wait meanwhile reads the cache.
                self.streams.changed(&keys, &owners, &organizations);
                Some(head)
            }
            Changes::Reset { head } => {
                self.cache.all_changed();
                self.streams.all_changed();
                self.report_reset(head);
                Some(head)
            }
        };
        if let Some(head) = head {
            // After the cache has them: a reader of this head also sees its changes.
            self.applied.set(head);
        }
        self.lease.renew(start);
        Ok(Currency::Tracked)
    }

    /// If this node knew a position in the log, a reset means one of three things: the node fell far behind, many
    /// things changed at once, or the log is another one, of a restored backup or of a standby that had not received
    /// everything.
    fn report_reset(&self, now: Head) {
        let Some(before) = self.applied() else { return };
        let is_near = now.position.saturating_sub(before.position) < FAR_BEHIND;
        // With the same head, the log is the same; and an empty log had nothing to lose.
        let is_lost = is_near && now != before && before != Head::EMPTY;
        self.meter.log_reset(is_lost);
        // Two servers that answer in turns cause a reset at each read.
        let repeated = if is_lost { &self.lost } else { &self.reset };
        let Some(_times) = repeated.happened() else { return };
        if is_lost {
            log!(
                error,
                position = before.position,
                position_now = now.position,
                times = _times,
                "the change log does not go on from where it was: the key store lost changes; repeat the last revocations"
            );
        } else {
            log!(
                warn,
                position = before.position,
                position_now = now.position,
                times = _times,
                "the change log starts again"
            );
        }
    }

    pub(in crate::auth) fn store(&self) -> Arc<R> {
        Arc::clone(self.store.inner())
    }

    /// The head up to which the cache has the changes.
    pub(in crate::auth) fn applied(&self) -> Option<Head> {
        Some(self.applied.head()).filter(|head| *head != NOWHERE)
    }
}

impl<R: KeyReader> Probed for LogReader<R> {
    fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    fn limit(&self) -> Duration {
        self.patience()
    }

    async fn probe(self: &Arc<Self>) {
        // The read reports to the breaker.
        drop(join(self, Deadline::after(self.patience() * 2)).await);
    }
}

impl<R: KeyReader> JointReader for LogReader<R> {
    type Read = Currency;

    fn reads(&self) -> &JointReads<Currency> {
        &self.reads
    }

    fn patience(&self) -> Duration {
        self.store.limit().saturating_add(self.coalescing)
    }

    fn coalescing(&self) -> Duration {
        self.coalescing
    }

    async fn read_once(self: &Arc<Self>) -> Result<Currency, Arc<StoreError>> {
        let start = Moment::now(&*self.clock);
        let reads = &self.meter.freshness_reads;
        reads.begin();
        match self.read_from(start).await {
            Ok(currency) => {
                reads.succeed(start);
                self.breaker.is_free();
                Ok(currency)
            }
            Err(error) => {
                reads.fail();
                let error = Arc::new(error);
                self.breaker.is_blocked(&error);
                start_probing(self);
                Err(error)
            }
        }
    }
}
