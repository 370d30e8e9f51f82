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

/// The longest between two flushes, and the least that audit events stay: a slip of the unit must not delete a trail.
const DAY: Duration = Duration::from_secs(86_400);

/// The least that the access log stays, for as long as pruning pauses; and the longest that an answer may take.
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
    /// None: the default.
    warnings: Option<Vec<Duration>>,
}

impl<S: Ledger> ApiKeys<S> {
    /// Keys with every default: unbranded, the standard hash, no pepper, strict.
    ///
    /// # Errors
    /// [`SetupError`] if the operating system gives no randomness.
    pub fn new(store: S) -> Result<Self, SetupError> {
        ApiKeysBuilder::new(store).without_peppers()
    }

    /// Keys with settings.
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

    /// The word that keys are issued with, `<brand>_user.…`: a lower-case letter, then up to 15 more or digits. Default:
    /// none. Keys of another brand, or none, are then refused; see [`format`](Self::format) to accept several.
    pub fn brand(mut self, brand: impl Into<String>) -> Self {
        self.brand = Some(brand.into());
        self
    }

    /// How keys look: which brand to issue and which to accept. Default: unbranded.
    pub fn format(mut self, format: KeyFormat) -> Self {
        self.settings = self.settings.with_format(format);
        self.brand = None;
        self
    }

    /// Peppers, of which each node must know the current one before any makes it current. Default: none. A node whose
    /// pepper differs from what other nodes use under the same id does not start, nor does one that lacks the newest
    /// pepper that was ever current on a node of this store: it would make keys without it. To leave peppers again,
    /// know the newest one and make none current. Nodes tell each other by a note that no
    /// [copy](crate::store::transfer::copy) of a store has: of a copy, start a node with the pepper first.
    pub fn peppers(mut self, peppers: Peppers) -> Self {
        self.settings.hasher = self.settings.hasher.with_peppers(peppers);
        self
    }

    /// Keeps a proof beside each hash, so that a restart costs no Argon2id. Needs a current pepper, or
    /// [`build`](Self::build) fails. Default: off. What that means is said at
    /// [`with_stored_proofs`](HasherConfig::with_stored_proofs).
    pub fn stored_proofs(mut self) -> Self {
        self.settings.hasher = self.settings.hasher.with_stored_proofs();
        self
    }

    /// What a hash costs. Default: [`Argon2Params::STANDARD`].
    pub fn params(mut self, params: Argon2Params) -> Self {
        self.settings.hasher = self.settings.hasher.with_params(params);
        self
    }

    /// Hash cost, peppers, hashing threads and their queue, all at once. Default: [`HasherConfig::new`].
    pub fn hasher(mut self, hasher: HasherConfig) -> Self {
        self.settings = self.settings.with_hasher(hasher);
        self
    }

    /// Where the time comes from. Default: [`SystemClock`](crate::SystemClock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings = self.settings.with_clock(clock);
        self
    }

    /// How current a record must be. Default: [`Freshness::Strict`].
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.settings = self.settings.with_freshness(freshness);
        self
    }

    /// How the address is found that a request comes from. Default: not at all. Then no key can get a list of
    /// [`Networks`](crate::Networks), one that has a list is refused, and [`Sources`](crate::middleware::Sources) keep no
    /// networks.
    ///
    /// A node that manages keys and serves no requests says it, too: at least [`Addresses::given`], for what others know.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.settings = self.settings.with_addresses(addresses);
        self
    }

    /// How many proved keys are remembered, 1 to 100,000,000. Default: 100,000.
    pub fn cache_capacity(mut self, proofs: usize) -> Self {
        self.settings = self.settings.with_cache_capacity(proofs);
        self
    }

    /// How many keys are looked up in the store at a time and how long one waits for its turn. Default: 64 and a second.
    pub fn max_concurrent_lookups(mut self, at_a_time: usize, wait: Duration) -> Self {
        self.settings = self.settings.with_max_concurrent_lookups(at_a_time, wait);
        self
    }

    /// How long a request waits for the store in all, before it is refused with 503: more than nothing, at most an hour.
    /// Default: a second. See [`AuthSettings::with_answer_timeout`].
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.settings = self.settings.with_answer_timeout(timeout);
        self
    }

    /// How long one answer of the store may take to whatever is no check of a request: changes, lists, exports, counts of
    /// usage, pruning. More than nothing, at most an hour. Default: 5 seconds.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// How long a read of the change log waits before it begins, so that more requests share it: at most 100 ms, which
    /// each of them waits longer. Default: nothing.
    pub fn coalescing(mut self, delay: Duration) -> Self {
        self.settings = self.settings.with_coalescing(delay);
        self
    }

    /// How often usage is written: 100 ms to a day. Default: every 10 seconds. A crash loses what was counted since, and
    /// what was counted by day since those counts were written, which is every ten minutes.
    pub fn usage_interval(mut self, interval: Duration) -> Self {
        self.usage_interval = interval;
        self
    }

    /// How long audit events stay before they are deleted, looked at once an hour: at least a day. Default: for good. On
    /// a fleet the shortest setting wins: each node deletes by its own.
    ///
    /// Events are deleted only if two witnesses agree on the day: this node's clock, and that of the node on another machine
    /// that last had a turn, if it goes on beside this one; else the newest event and how long this machine runs. And of the
    /// trail goes in a day the larger of a tenth and what became old since the last turn, so that an old trail goes little
    /// by little once this is set, or set to less. The log says how many went, and why if none may.
    ///
    /// What nobody asks for any more goes in any case, once an hour: all but 100,000 rows of the change log, and the
    /// results of changes, which are there for whoever repeats one, after a week.
    pub fn keep_events(mut self, keep: Duration) -> Self {
        self.keep.events = Some(keep);
        self
    }

    /// How long [the access log](Self::access_log) stays before it is deleted, looked at once an hour: at least an
    /// hour. Default: 30 days, or as long as all other events if [`keep_events`](Self::keep_events) says less;
    /// strangers add to it, too. On a fleet the shortest setting wins. Where no node keeps one, what there is stays as
    /// long as all other events.
    ///
    /// An event of a change is worth keeping for years. Entries of the access log come by the thousands and are worth
    /// keeping as long as somebody may ask about a single request.
    pub fn keep_access_log(mut self, keep: Duration) -> Self {
        self.keep.attempts = Some(keep);
        self
    }

    /// How long keys stay after they ended, revoked or expired, before they are purged with the counts of their use, looked
    /// at once an hour: at least a day. Default: for good. On a fleet the shortest setting wins.
    ///
    /// What is left of a purged key is its id, so that no other key ever gets it, with its organization, the first key of its
    /// chain of rotations, the key that made it, and when it ended; and the trail, as long as that is kept, where
    /// [`key.purged`](crate::audit::Action::KEY_PURGED) is the last line about it. To whoever presents its text it is a key
    /// that does not exist, and so it is for lists, `find` and `explain`.
    ///
    /// A dead key stays while it is in a rotation with one that lives or ended later than this, and while a key is there that
    /// was made with it. As audit events do, dead keys go only if
    /// [two witnesses agree on the day](Self::keep_events), by the larger of a tenth of all keys that have an end and what
    /// became old, a day; and not where the trail has no event at all, which is one of the witnesses.
    pub fn keep_dead_keys(mut self, keep: Duration) -> Self {
        self.keep.dead_keys = Some(keep);
        self
    }

    /// How many days counts of use by day are kept, looked at once an hour: 1 to 400. Default: 90. Counts over all time
    /// stay as long as their key.
    pub fn keep_usage_days(mut self, days: u16) -> Self {
        self.keep.usage_days = days.into();
        self
    }

    /// Whether each check of a key that is in the store leaves a line in the audit trail, accepted or refused: key, owner,
    /// outcome, source and time. Default: no. Counts by key, outcome and source are kept in any case.
    ///
    /// No request waits for its line. Up to 65,536 wait to be written, 1,000 at a time; what does not fit is dropped,
    /// counted in [`access_log_dropped`](crate::auth::AuthMetrics::access_log_dropped), and told of in the trail
    /// by an [event](crate::audit::Action::ATTEMPT_DROPPED) for each organization, in their place. A crash loses what
    /// was queued, which is less than a second's unless the store is slow, and what is added up of one minute.
    ///
    /// Strangers fill neither the queue nor the disk. Of the attempts with one key that are refused, ten a minute have
    /// a line, and the rest of that minute is [added up](crate::audit::Action::ATTEMPT_REPEATED) by code and source; so
    /// it is once for those with the right text, and once for those that know no more than the id. Each of the two has
    /// 8,192 places in the queue, beside those of keys that are accepted. Who knows one id makes some 8 MB a day of it
    /// at most.
    ///
    /// A line takes some 200 bytes in the store; [`keep_access_log`](Self::keep_access_log) says for how long. Lines are read
    /// apart from all other events, by [`AuditQuery::attempts`](crate::manage::AuditQuery::attempts).
    pub fn access_log(mut self, lines: bool) -> Self {
        self.access_log = lines;
        self
    }

    /// How long before the end of a key that is told, by an [event](crate::audit::Action::KEY_ENDS_SOON) in the audit trail
    /// and to the [sink](Self::event_sink): at most 8 times before, each at most 366 days; [`Duration::ZERO`] is
    /// [the end itself](crate::audit::Action::KEY_EXPIRED). Default: 7 days, a day, and the end. None: nothing is told.
    ///
    /// It is looked every five minutes what is due, on each node, and each word is written once, whatever the number of nodes.
    /// Of several that are due at once, after a day off for instance, the one that is nearest to the end is told. An end that is
    /// moved has words of its own; one that is moved to within a time is told within five minutes. A key that is made with
    /// such an end is not: the answer says so. Its successor in a rotation, which has the same end, is told of.
    ///
    /// As for [`keep_events`](Self::keep_events), two witnesses have to agree on the time. On a fleet, give each node the same
    /// times: each tells by its own.
    pub fn warn_of_ends(mut self, before: impl IntoIterator<Item = Duration>) -> Self {
        self.warnings = Some(before.into_iter().collect());
        self
    }

    /// Who is told of events once they are committed. Default: nobody.
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.notifier = Notifier::new(sink);
        self
    }

    /// The keys. Leaves a check value of each known pepper in the store, or compares it with the one that stands there,
    /// and notes which pepper keys are made with from now on.
    ///
    /// # Errors
    /// [`SetupError`] if a setting is out of range, a pepper is wrong or missing, or the store cannot be asked. A node
    /// without peppers starts in the last case, and asks before it makes a key.
    pub async fn build(self) -> Result<ApiKeys<S>, SetupError> {
        let store = Calls::new(Arc::clone(&self.store), self.store_timeout);
        let (keys, hasher) = self.assemble()?;
        peppers::compare(&store, &hasher).await?;
        keys.0.upkeep.start();
        Ok(keys)
    }

    /// What [`build`](Self::build) makes where there is no pepper to compare.
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
        if self.managing.rules.lifetimes.has_none() {
            return Err(Cause::Lifetimes.into());
        }
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
