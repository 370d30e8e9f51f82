use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{
    AuthError, AuthErrorKind, AuthMetrics, AuthSettings, AuthSetupError, Freshness,
    background::{AccessLog, Tried, Upkeep},
    cache::{Entry, ProofCache},
    candidate::{Candidate, proves},
    digest::{Digest, DigestKey},
    error::judged,
    freshness::{LeaseKeeper, LogReader},
    lookup::Lookups,
    meter::Meter,
    ticket::{Accepted, AnonymousUse, RefusalCounter, UsageTicket, register},
    trouble::Trouble,
    watch::{Streams, Watching},
    wiring::Wiring,
};
use crate::{
    hash::Hasher,
    key::{KeyFormat, KeyId, MalformedKey, MalformedReason},
    log::log,
    metering::UsageRecorder,
    outcome::RefusalCode,
    principal::{Principal, WithClaims},
    record::before_its_end,
    store::{KeyReader, Lease},
    time::{Clock, ClockReading, monotonic_millis},
    usage::{Origin, Source},
};

/// Tells authenticators of one process apart. 0 is nobody.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Checks keys against a store.
///
/// Cheap to clone; clones share what they remember. [`ApiKeys`](crate::ApiKeys) has one that also counts usage and
/// improves old hashes; one made here only reads, which is enough for a node that only checks.
///
/// ```
/// use tower_api_keys::{Authenticator, auth::{AuthErrorKind, AuthSettings}, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let authenticator = Authenticator::new(MemoryStore::new(), AuthSettings::new())?;
/// let unknown = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";
/// let error = authenticator.authenticate(unknown).await.unwrap_err();
/// assert_eq!(error.kind(), AuthErrorKind::Invalid);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Authenticator<R>(pub(super) Arc<Inner<R>>);

pub(super) struct Inner<R> {
    pub(super) id: u32,
    pub(super) format: KeyFormat,
    pub(super) hasher: Hasher,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) freshness: Freshness,
    pub(super) lease: Arc<Lease>,
    /// How long a check waits for the store in all.
    pub(super) patience: Duration,
    pub(super) lookups: Arc<Lookups<R>>,
    pub(super) cache: Arc<ProofCache>,
    pub(super) log: Arc<LogReader<R>>,
    pub(super) lease_keeper: LeaseKeeper,
    pub(super) usage: Option<Arc<UsageRecorder>>,
    pub(super) upkeep: Option<Arc<dyn Upkeep>>,
    pub(super) attempts: Option<Arc<AccessLog>>,
    pub(super) meter: Arc<Meter>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) watching: Watching,
    digest_key: DigestKey,
}

/// A key being checked.
pub(crate) enum Check {
    /// Decided without waiting.
    Ready(Result<Accepted, AuthError>),
    /// The store has to be asked, or the key to be hashed.
    Pending(BoxFuture<'static, Result<Accepted, AuthError>>),
}

impl<R: KeyReader> Authenticator<R> {
    /// An authenticator that only reads: it counts no usage, leaves old hashes as they are and writes no events.
    ///
    /// # Errors
    /// [`AuthSetupError`] if a setting is out of range, or if the operating system gives no randomness.
    pub fn new(store: R, settings: AuthSettings) -> Result<Self, AuthSetupError> {
        let wiring = Wiring::new(&settings)?;
        Self::wired(Arc::new(store), settings, wiring)
    }

    pub(crate) fn wired(store: Arc<R>, settings: AuthSettings, wiring: Wiring) -> Result<Self, AuthSetupError> {
        let (trouble, streams) = (Arc::default(), Arc::<Streams>::default());
        let lookups = Lookups::new(Arc::clone(&store), &settings, &trouble);
        let patience = settings.patience();
        let log = LogReader::new(
            store,
            (Arc::clone(&wiring.cache), Arc::clone(&streams)),
            Arc::clone(&settings.clock),
            Arc::clone(&wiring.lease),
            Arc::clone(&wiring.meter),
            Arc::clone(&trouble),
            [settings.read_timeout(), settings.coalescing],
        );
        let inner = Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            format: settings.format,
            hasher: wiring.hasher,
            clock: settings.clock,
            freshness: settings.freshness,
            lease: wiring.lease,
            patience,
            lookups: Arc::new(lookups),
            cache: wiring.cache,
            log: Arc::new(log),
            lease_keeper: LeaseKeeper::default(),
            usage: wiring.usage,
            upkeep: wiring.upkeep,
            attempts: wiring.attempts,
            meter: wiring.meter,
            trouble,
            watching: Watching::new(streams),
            digest_key: DigestKey::new()?,
        });
        if let Some(usage) = &inner.usage {
            inner.meter.watch(usage);
            let counter: Weak<Inner<R>> = Arc::downgrade(&inner);
            register(inner.id, counter);
        }
        Ok(Self(inner))
    }

    /// Who has this key. For callers that are not HTTP; [`ApiKeyLayer`](crate::ApiKeyLayer) does the same for requests.
    ///
    /// All callers are one source, the empty one: advice and flags cannot tell them apart, and one that moves to the new
    /// key of a rotation makes it look [safe to finish](crate::manage::RotationVerdict::SafeToFinish) for all of them.
    ///
    /// Needs a tokio runtime with time, unless the key was proved before and the store knows its head at once. Dropping
    /// the future is harmless.
    ///
    /// # Errors
    /// [`AuthError`]; of its kinds, those that are [temporary](AuthErrorKind::is_temporary) say nothing against the key.
    pub async fn authenticate(&self, text: &str) -> Result<Principal, AuthError> {
        match self.check(text.as_bytes(), Origin::Source(&Source::default())) {
            Check::Ready(Ok(accepted)) => Ok(accepted.principal),
            Check::Ready(Err(error)) => Err(error),
            Check::Pending(pending) => pending.await.map(|accepted| accepted.principal),
        }
    }

    /// Whether the key that proved this principal is still good, and what it may do now. For streams and sockets that
    /// outlive the request they began with.
    ///
    /// Counts nothing: in the counts of use, and so in the evidence of a rotation, a stream is the one request that it
    /// began with, however long it lives.
    ///
    /// # Errors
    /// [`AuthError`] as for a request with the key; [`AuthErrorKind::Invalid`] if the key is gone or changed hands.
    pub async fn recheck(&self, principal: &Principal) -> Result<Principal, AuthError> {
        self.0.recheck(principal).await
    }

    /// Forgets every proof: the next check of each key runs Argon2id again, unless a proof of it is
    /// [stored](crate::hash::HasherConfig::with_stored_proofs). To measure what that costs.
    pub fn forget_proofs(&self) {
        self.0.cache.forget_proofs();
        self.0.hasher.forget_answers();
    }

    /// Argon2 runs begun so far by this authenticator and the manager beside it: first uses, new keys, better hashes.
    #[must_use]
    pub fn argon2_runs(&self) -> u64 {
        self.0.hasher.runs()
    }

    /// What checking keys has cost so far, how it ended, and how things stand. Waits for nothing; for whoever watches
    /// the service, not for each request.
    #[must_use]
    pub fn metrics(&self) -> AuthMetrics {
        self.0.meter.read()
    }

    /// Hands the same figures to the recorder of the crate `metrics`, under [these names](crate::auth#metrics). Call it
    /// before they are scraped. [`ApiKeys`](crate::ApiKeys) does by itself, each time it has written usage.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.0.meter.publish();
    }

    /// Checks a candidate: the bytes between the scheme and the end of a header, trimmed. Counts what comes of it.
    // Always, like the verdict: what is handed from call to call by way of memory costs more than the calls themselves.
    #[inline(always)]
    pub(crate) fn check(&self, candidate: &[u8], origin: Origin<'_>) -> Check {
        let Some(located) = self.0.format.locate(candidate) else {
            return Check::Ready(Err(self.0.refuse_malformed(self.0.format.diagnosis(candidate), origin)));
        };
        let (mut digest, mut source) = (None, None);
        // First whether the store has anything new, then the entry: it is then as current as the answer.
        let now = self.0.clock.reading();
        let is_current = self.0.is_current_now(now);
        if let Some(entry) = self.0.cache.entry(located.id()) {
            let of_text = self.0.digest(located.secret());
            if !proves(&entry.rest, located.prefix(), &of_text) {
                return Check::Ready(Err(self.0.refuse_unproved(candidate, &entry, origin)));
            }
            if is_current && self.0.cache.is_current(&entry) {
                self.0.meter.hit();
                return Check::Ready(self.0.judge(entry, origin, now));
            }
            digest = Some(of_text);
            source = entry.rest.usage.source(origin).cloned();
        }
        match self.0.format.parse(candidate) {
            Err(malformed) => Check::Ready(Err(self.0.refuse_malformed(malformed, origin))),
            Ok(key) => {
                let source = source.unwrap_or_else(|| origin.to_source());
                let digest = digest.unwrap_or_else(|| self.0.digest(key.secret()));
                let candidate = Candidate { key: Arc::new(key.to_plaintext()), prefix: key.prefix(), digest };
                Check::Pending(Box::pin(Arc::clone(&self.0).check_after_read(candidate, source)))
            }
        }
    }

    /// Counts a request that was refused before any key was found in it.
    pub(crate) fn refused(&self, code: RefusalCode, reason: Option<MalformedReason>, origin: Origin<'_>) {
        self.0.count_refusal(None, code, reason, origin);
    }

    /// What to keep of a request without a key that is let through; none if nothing is counted.
    pub(crate) fn visit(&self, origin: Origin<'_>) -> Option<Box<AnonymousUse>> {
        self.0.usage.as_ref()?;
        Some(Box::new(AnonymousUse { authenticator: self.0.id, source: origin.to_source() }))
    }

    pub(crate) fn format(&self) -> &KeyFormat {
        &self.0.format
    }

    /// What the principals it proved carry.
    pub(crate) fn id(&self) -> u32 {
        self.0.id
    }
}

impl<R> Clone for Authenticator<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R> fmt::Debug for Authenticator<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("freshness", &self.0.freshness).finish_non_exhaustive()
    }
}

impl<R: KeyReader> Inner<R> {
    /// Whether what the cache says is current enough for a request that arrives now.
    #[inline]
    pub(super) fn is_current_now(&self, now: ClockReading) -> bool {
        match self.freshness {
            Freshness::Strict => self.log.is_current_now(),
            Freshness::Bounded(bound) => self.lease.is_valid(monotonic_millis(), now.latest(), bound),
        }
    }

    pub(super) fn digest(&self, secret: &[u8; 48]) -> Digest {
        self.digest_key.digest(secret)
    }

    /// The text of a key that is remembered with another secret: no key at all, or a wrong one.
    #[cold]
    fn refuse_unproved(&self, candidate: &[u8], entry: &WithClaims<Entry>, origin: Origin<'_>) -> AuthError {
        match self.format.parse(candidate) {
            Err(malformed) => self.refuse_malformed(malformed, origin),
            Ok(_) => self.refuse(AuthError::new(AuthErrorKind::Invalid), Some(Tried::of(&entry.claims)), origin),
        }
    }

    /// The verdict on a proved key whose record is current.
    #[inline(always)]
    pub(super) fn judge(
        &self,
        entry: Arc<WithClaims<Entry>>,
        origin: Origin<'_>,
        now: ClockReading,
    ) -> Result<Accepted, AuthError> {
        if let Some(end) = entry.claims.expires_at
            && let Err(error) = judged(before_its_end(end, now))
        {
            return Err(self.refuse(error, Some(Tried::of(&entry.claims)), origin));
        }
        let now = now.now();
        let seen = self.usage.as_ref().map(|usage| usage.success(&entry, origin, now));
        if let Some(attempts) = &self.attempts {
            attempts.accepted(&entry.claims, entry.rest.usage.source(origin), origin, now);
        }
        log!(trace, key = entry.claims.key.as_str(), "a key was accepted");
        Ok(Accepted { principal: Principal::sharing(entry), seen })
    }

    /// Counts the refusal of a text that is no key.
    fn refuse_malformed(&self, malformed: MalformedKey, origin: Origin<'_>) -> AuthError {
        let (code, reason) = (RefusalCode::MalformedKey, malformed.reason());
        self.count_refusal(None, code, Some(reason), origin);
        log!(debug, code = code.as_str(), reason = reason.as_str(), "a key was refused");
        AuthError::malformed(malformed)
    }

    /// Counts a refusal on its way out, of anything but a text that is no key. `tried` only if a record of that key is in
    /// the store.
    pub(super) fn refuse(&self, error: AuthError, tried: Option<Tried<'_>>, origin: Origin<'_>) -> AuthError {
        let key = tried.as_ref().map(|tried| tried.key);
        let code = error.kind().code();
        debug_assert_ne!(code, RefusalCode::MalformedKey, "its reason would not be counted");
        self.count_refusal(key, code, None, origin);
        if let (Some(attempts), Some(tried)) = (&self.attempts, tried) {
            attempts.refused(&tried, code, origin, self.clock.now());
        }
        if error.kind().is_temporary() {
            self.trouble.refused(&error, key);
        } else {
            log!(debug, code = code.as_str(), key = key.as_ref().map(KeyId::as_str), "a key was refused");
        }
        error
    }

    fn count_refusal(
        &self,
        key: Option<KeyId>,
        code: RefusalCode,
        reason: Option<MalformedReason>,
        origin: Origin<'_>,
    ) {
        self.meter.refused(code, reason);
        if let Some(usage) = &self.usage {
            usage.refusal(key, code, reason, origin, self.clock.now());
        }
    }
}

impl<R: KeyReader> RefusalCounter for Inner<R> {
    fn denied_downstream(&self, pass: &UsageTicket, code: RefusalCode) {
        if let Some(usage) = &self.usage {
            usage.denied_downstream(pass.key, code, &pass.seen, self.clock.now());
        }
    }

    fn anonymous_denied_downstream(&self, visit: &AnonymousUse, code: RefusalCode) {
        self.count_refusal(None, code, None, Origin::Source(&visit.source));
    }
}
