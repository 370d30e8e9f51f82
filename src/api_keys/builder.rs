use std::{fmt, sync::Arc, time::Duration};

#[cfg(any(test, feature = "manage"))]
use super::manager::{Managed, Managing};
use super::{
    keys::{ApiKeys, Inner},
    peppers,
    setup_error::{Cause, SetupError},
};
use crate::{
    audit::{EventSink, Notifier},
    auth::{
        Addresses, AuthSettings, AuthSetupError, Authenticator, EndTeller, Freshness, Keep, Pruner, StoreUpkeep,
        Upkeep, UsageFlusher, Wiring,
    },
    hash::{Argon2Params, Hasher, HasherConfig, Peppers},
    key::KeyFormat,
    metering::{Unwritten, UsageRecorder},
    random::random_bytes,
    record::EndWarnings,
    store::{Calls, Ledger},
    time::Clock,
    usage::DAYS,
};

/// The longest time between two flushes, and the least time that audit events are kept. The minimum keeps a wrong unit
/// from deleting a trail.
const DAY: Duration = Duration::from_secs(86_400);

/// The least time that the access log is kept, because pruning runs once an hour. Also the longest time an answer may
/// take.
const HOUR: Duration = Duration::from_secs(3_600);

/// Settings of [`ApiKeys`].
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::{ApiKeys, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let keys = ApiKeys::builder(MemoryStore::new())
///     .brand("acme")
///     .usage_interval(Duration::from_secs(30))
///     .build()
///     .await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct ApiKeysBuilder<S> {
    store: Arc<S>,
    settings: AuthSettings,
    brand: Option<String>,
    #[cfg(any(test, feature = "manage"))]
    pub(super) managing: Managing,
    notifier: Notifier,
    store_timeout: Duration,
    usage_interval: Duration,
    keep: Keep,
    access_log: bool,
    /// `None`: the default.
    warnings: Option<Vec<Duration>>,
}

impl<S: Ledger> ApiKeys<S> {
    /// Keys with all default settings: unbranded, the standard hash, no pepper, strict.
    ///
    /// # Errors
    /// [`SetupError`] if the operating system gives no randomness.
    pub fn new(store: S) -> Result<Self, SetupError> {
        ApiKeysBuilder::new(store).without_peppers()
    }

    /// A builder, to set what differs from the defaults.
    pub fn builder(store: S) -> ApiKeysBuilder<S> {
        ApiKeysBuilder::new(store)
    }
}

impl<S: Ledger> ApiKeysBuilder<S> {
    fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            settings: AuthSettings::new(),
            brand: None,
            #[cfg(any(test, feature = "manage"))]
            managing: Managing::default(),
            notifier: Notifier::default(),
            store_timeout: Duration::from_secs(5),
            usage_interval: Duration::from_secs(10),
            keep: Keep::default(),
            access_log: false,
            warnings: None,
        }
    }

    /// The brand that issued keys begin with, `<brand>_user.…`: a lower-case letter, then up to 15 lower-case letters
    /// or digits. Default: none. Keys with another brand, or with none, are then refused. To accept several brands, see
    /// [`format`](Self::format).
    pub fn brand(mut self, brand: impl Into<String>) -> Self {
        self.brand = Some(brand.into());
        self
    }

    /// The format of keys: which brand to issue and which brands to accept. Default: unbranded.
    pub fn format(mut self, format: KeyFormat) -> Self {
        self.settings = self.settings.with_format(format);
        self.brand = None;
        self
    }

    /// The peppers. Give a new pepper to every node before any node makes it current. Default: none. A node does not
    /// start if its pepper differs from the one that other nodes use under the same id, or if it lacks the newest
    /// pepper that was ever current on a node of this store: it would make keys without it. To stop using peppers, keep
    /// the newest one known and make none current. Nodes learn of peppers by a note in the store. A
    /// [copy](crate::store::transfer::copy) of a store does not have the note: on a copy, start a node with the pepper
    /// first.
    pub fn peppers(mut self, peppers: Peppers) -> Self {
        self.settings.hasher = self.settings.hasher.with_peppers(peppers);
        self
    }

    /// Keeps a proof beside each hash, so that a restart costs no Argon2id run. Needs a current pepper, or
    /// [`build`](Self::build) fails. Default: off. For what this means, see
    /// [`with_stored_proofs`](HasherConfig::with_stored_proofs).
    pub fn stored_proofs(mut self) -> Self {
        self.settings.hasher = self.settings.hasher.with_stored_proofs();
        self
    }

    /// The cost of a hash. Default: [`Argon2Params::STANDARD`].
    pub fn params(mut self, params: Argon2Params) -> Self {
        self.settings.hasher = self.settings.hasher.with_params(params);
        self
    }

    /// All settings of hashing at once: cost, peppers, threads and their queue. Default: [`HasherConfig::new`].
    pub fn hasher(mut self, hasher: HasherConfig) -> Self {
        self.settings = self.settings.with_hasher(hasher);
        self
    }

    /// The source of the time. Default: [`SystemClock`](crate::SystemClock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings = self.settings.with_clock(clock);
        self
    }

    /// How current a record must be. Default: [`Freshness::Strict`].
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.settings = self.settings.with_freshness(freshness);
        self
    }

    /// How to find the address that a request comes from. Default: addresses are not found. Then no key can be given a
    /// list of [`Networks`](crate::Networks), a key that has one is refused, and
    /// [`Sources`](crate::middleware::Sources) keep no networks.
    ///
    /// Set it also on a node that manages keys and serves no requests: at least [`Addresses::given`], which says that
    /// other nodes know the addresses.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.settings = self.settings.with_addresses(addresses);
        self
    }

    /// The number of proved keys in the cache, 1 to 100,000,000. Default: 100,000.
    pub fn cache_capacity(mut self, proofs: usize) -> Self {
        self.settings = self.settings.with_cache_capacity(proofs);
        self
    }

    /// How many keys are looked up in the store at a time, and how long a look-up waits for its turn. Default: 64 and a
    /// second.
    pub fn max_concurrent_lookups(mut self, at_a_time: usize, wait: Duration) -> Self {
        self.settings = self.settings.with_max_concurrent_lookups(at_a_time, wait);
        self
    }

    /// How long a request waits for the store in total before it is refused with 503: more than zero, at most an hour.
    /// Default: a second. See [`AuthSettings::with_answer_timeout`].
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.settings = self.settings.with_answer_timeout(timeout);
        self
    }

    /// How long the store may take for one answer outside of checks of requests: for changes, lists, exports, counts of
    /// usage, pruning. More than zero, at most an hour. Default: 5 seconds.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// How long a read of the change log waits before it begins, so that more requests share it: at most 100 ms. Each
    /// of these requests waits that much longer. Default: zero.
    pub fn coalescing(mut self, delay: Duration) -> Self {
        self.settings = self.settings.with_coalescing(delay);
        self
    }

    /// How often usage is written: 100 ms to a day. Default: every 10 seconds. A crash loses what was counted since the
    /// last write. Counts by day are written every ten minutes.
    pub fn usage_interval(mut self, interval: Duration) -> Self {
        self.usage_interval = interval;
        self
    }

    /// How long audit events are kept: at least a day. Older events are deleted once an hour. Default: forever. Each
    /// node deletes by its own setting, so the shortest setting of a fleet wins.
    ///
    /// Events are deleted only if two witnesses agree on the day: the clock of this node, and the clock of the node on
    /// another machine that pruned last, if that node still runs. Without such a node, the second witness is the newest
    /// event: it must be neither in the future nor older than the uptime of this machine. Per day, at most the larger
    /// of two amounts is deleted: a tenth of the trail, or what became old since the last turn. So an old trail shrinks
    /// slowly after you set or shorten this. The log says how many events were deleted, or why none may be.
    ///
    /// Two things are pruned every hour in any case: all but the newest 100,000 rows of the change log, and idempotency
    /// results after a week.
    pub fn keep_events(mut self, keep: Duration) -> Self {
        self.keep.events = Some(keep);
        self
    }

    /// How long [the access log](Self::access_log) is kept: at least an hour. Older entries are deleted once an hour.
    /// Default: 30 days, or as long as all other events if [`keep_events`](Self::keep_events) is shorter; strangers add
    /// to it, too. The shortest setting of a fleet wins. If no node writes an access log, existing entries are kept as
    /// long as all other events.
    ///
    /// An event of a change is worth keeping for years. Entries of the access log arrive by the thousands. Keep them as
    /// long as someone may ask about a single request.
    pub fn keep_access_log(mut self, keep: Duration) -> Self {
        self.keep.attempts = Some(keep);
        self
    }

    /// How long ended keys, revoked or expired, are kept before they are purged with their usage counts: at least a
    /// day. Keys are purged once an hour. Default: forever. The shortest setting of a fleet wins.
    ///
    /// What is left of a purged key: its id, so that no other key ever gets it; its organization, the first key of its
    /// chain of rotations, the key that made it, and when it ended; and its trail, as long as that is kept. The last
    /// event about it is [`key.purged`](crate::audit::Action::KEY_PURGED). To a caller that presents its text, and to
    /// lists, `find` and `explain`, the key does not exist.
    ///
    /// A dead key is kept while it is in a rotation with a key that lives or ended later than this, and while a key
    /// that was made with it exists. As for audit events, keys are purged only if [two witnesses agree on the
    /// day](Self::keep_events). Per day, at most the larger of two amounts is purged: a tenth of all keys that have an
    /// end, or what became old. No key is purged if the trail has no event at all, because the trail is one of the
    /// witnesses.
    pub fn keep_dead_keys(mut self, keep: Duration) -> Self {
        self.keep.dead_keys = Some(keep);
        self
    }

    /// How many days counts of use by day are kept: 1 to 400. Older counts are deleted once an hour. Default: 90.
    /// Counts over all time are kept as long as their key.
    pub fn keep_usage_days(mut self, days: u16) -> Self {
        self.keep.usage_days = days.into();
        self
    }

    /// Whether each check of a key that is in the store writes a line to the audit trail, accepted or refused: key,
    /// owner, outcome, source and time. Default: no. Counts by key, outcome and source are kept in either case.
    ///
    /// No request waits for its line. At most 65,536 lines wait to be written, 1,000 at a time. What does not fit is
    /// dropped and counted in [`access_log_dropped`](crate::auth::AuthMetrics::access_log_dropped); in place of the
    /// dropped lines the trail gets an [event](crate::audit::Action::ATTEMPT_DROPPED) for each organization. A crash
    /// loses the queue, which holds less than a second of lines unless the store is slow, and the sums of one minute.
    ///
    /// Strangers fill neither the queue nor the disk. Of the refused attempts with one key, ten a minute get a line
    /// each. The rest of that minute is [added up](crate::audit::Action::ATTEMPT_REPEATED) by code and source. This
    /// applies once to attempts with the right text, and once to those that know no more than the id. Each of the two
    /// has 8,192 places in the queue, apart from those of accepted keys. A stranger who knows one id causes at most
    /// some 8 MB a day.
    ///
    /// A line takes some 200 bytes in the store. Set with [`keep_access_log`](Self::keep_access_log) how long lines are
    /// kept. Read them apart from all other events, with [`AuditQuery::attempts`](crate::manage::AuditQuery::attempts).
    pub fn access_log(mut self, lines: bool) -> Self {
        self.access_log = lines;
        self
    }

    /// How long before the end of a key to warn, with an [event](crate::audit::Action::KEY_ENDS_SOON) in the audit
    /// trail and to the [sink](Self::event_sink): at most 8 times before the end, each at most 366 days.
    /// [`Duration::ZERO`] is [the end itself](crate::audit::Action::KEY_EXPIRED). Default: 7 days, a day, and the end.
    /// With none, no warning is given.
    ///
    /// Each node looks for due warnings every five minutes. Each warning is written once, no matter how many nodes
    /// there are. If several are due at once, for instance after a day of downtime, only the one nearest to the end is
    /// given. An end that is moved gets its own warnings; if it is moved into the time of a warning, that warning
    /// follows within five minutes. A key that is issued with such an end gets none: the answer to the request says it.
    /// Its successor in a rotation, which has the same end, gets one.
    ///
    /// As for [`keep_events`](Self::keep_events), two witnesses have to agree on the time. Give each node of a fleet
    /// the same times: each node warns by its own.
    pub fn warn_of_ends(mut self, before: impl IntoIterator<Item = Duration>) -> Self {
        self.warnings = Some(before.into_iter().collect());
        self
    }

    /// The sink that is told of events once they are committed. Default: none.
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.notifier = Notifier::new(sink);
        self
    }

    /// Makes the keys. Leaves a check value of each known pepper in the store, or compares it with the one that is
    /// there. Notes which pepper new keys are made with.
    ///
    /// # Errors
    /// [`SetupError`] if a setting is out of range, a pepper is wrong or missing, or the store cannot be asked. In the
    /// last case a node without peppers starts, and asks before it makes a key.
    pub async fn build(self) -> Result<ApiKeys<S>, SetupError> {
        let store = Calls::new(Arc::clone(&self.store), self.store_timeout);
        let (keys, hasher) = self.assemble()?;
        peppers::compare(&store, &hasher).await?;
        keys.0.upkeep.start();
        Ok(keys)
    }

    /// What [`build`](Self::build) does when there is no pepper to compare.
    fn without_peppers(self) -> Result<ApiKeys<S>, SetupError> {
        Ok(self.assemble()?.0)
    }

    fn assemble(self) -> Result<(ApiKeys<S>, Hasher), SetupError> {
        let mut settings = self.settings;
        if let Some(brand) = self.brand {
            settings = settings.with_format(KeyFormat::branded(&brand).map_err(Cause::Brand)?);
        }
        if self.store_timeout.is_zero() || self.store_timeout > HOUR {
            return Err(Cause::StoreTimeout.into());
        }
        if self.usage_interval < Duration::from_millis(100) || self.usage_interval > DAY {
            return Err(Cause::UsageInterval.into());
        }
        if self.keep.events.is_some_and(|keep| keep < DAY) {
            return Err(Cause::KeepEvents.into());
        }
        if self.keep.attempts.is_some_and(|keep| keep < HOUR) {
            return Err(Cause::KeepAccessLog.into());
        }
        if self.keep.dead_keys.is_some_and(|keep| keep < DAY) {
            return Err(Cause::KeepDeadKeys.into());
        }
        if !(1..=DAYS).contains(&self.keep.usage_days) {
            return Err(Cause::KeepUsageDays.into());
        }
        #[cfg(any(test, feature = "manage"))]
        self.managing.check()?;
        let warnings = match &self.warnings {
            Some(before) => EndWarnings::new(before).ok_or(Cause::Warnings)?,
            None => EndWarnings::default(),
        };
        let keep = if self.access_log { self.keep.with_access_log() } else { self.keep };
        let mut wiring = Wiring::new(&settings).map_err(Cause::Auth)?;
        let writer = random_bytes().map_err(AuthSetupError::from).map_err(Cause::Auth)?;
        let (hasher, usage) = (wiring.hasher.clone(), Arc::new(UsageRecorder::default()));
        #[cfg(any(test, feature = "manage"))]
        let managed = Managed::new(&self.store, &settings, &wiring, &usage, self.store_timeout);
        let store = Calls::new(Arc::clone(&self.store), self.store_timeout);
        let meter = Arc::clone(&wiring.meter);
        let unwritten = Unwritten::new(Arc::clone(&usage), *writer);
        let flusher = Arc::new(UsageFlusher::new(store.clone(), unwritten, meter, self.usage_interval));
        let clock = Arc::clone(&settings.clock);
        let ends = EndTeller::new(store.clone(), Arc::clone(&clock), warnings.clone(), self.notifier.clone());
        let pruner = Arc::new(Pruner::new(store.clone(), clock, keep));
        let (flushes, notifier) = (Arc::clone(&flusher), self.notifier.clone());
        let mut upkeep = StoreUpkeep::new(store.clone(), flushes, pruner, Arc::new(ends), notifier);
        wiring.attempts = self.access_log.then(|| upkeep.make_access_log(&wiring.meter));
        let upkeep = Arc::new(upkeep);
        #[cfg(any(test, feature = "manage"))]
        let managing = {
            let mut managing = self.managing;
            managing.rules.warnings = warnings;
            wiring.has_several_organizations = managing.rules.several_organizations;
            managing
        };
        (wiring.usage, wiring.upkeep) = (Some(usage), Some(Arc::clone(&upkeep) as Arc<dyn Upkeep>));
        let authenticator = Authenticator::wired(self.store, settings, wiring).map_err(Cause::Auth)?;
        #[cfg(any(test, feature = "manage"))]
        let manager = managing.manager(managed, &authenticator, self.notifier, self.usage_interval);
        let inner = Inner {
            authenticator,
            #[cfg(any(test, feature = "manage"))]
            manager,
            flusher,
            upkeep,
            store,
        };
        Ok((ApiKeys(Arc::new(inner)), hasher))
    }
}

impl<S> fmt::Debug for ApiKeysBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeysBuilder").finish_non_exhaustive()
    }
}
