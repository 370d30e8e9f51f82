use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{
    AuthError, AuthErrorKind, AuthMetrics, AuthSettings, AuthSetupError, Freshness,
    addresses::{Addresses, CameFrom},
    background::{AccessLog, Tried, Upkeep},
    cache::{Entry, ProofCache},
    candidate::{Candidate, proves},
    digest::{Digest, DigestKey},
    error::judged,
    freshness::{LeaseKeeper, LogReader},
    lookup::Lookups,
    meter::Meter,
    ticket::{Accepted, AnonymousUse, register},
    trouble::Trouble,
    watch::{Streams, Watching},
    whose::Whose,
    wiring::Wiring,
};
use crate::{
    hash::Hasher,
    key::{KeyFormat, KeyId, MalformedReason},
    log::log,
    metering::UsageRecorder,
    networks::Networks,
    outcome::RefusalCode,
    owner::OrganizationId,
    principal::{Principal, WithClaims},
    record::before_its_end,
    store::{KeyReader, Lease},
    time::{Clock, ClockReading, monotonic_millis},
    usage::{Origin, Source},
};

/// Distinguishes authenticators of one process. 0 is no authenticator.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Checks keys against a store.
///
/// Cheap to clone; clones share a cache. [`ApiKeys`](crate::ApiKeys) has one that also counts usage and improves old
/// hashes; one made with [`new`](Self::new) only reads, which is enough for a node that only checks keys.
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
    /// How long a check waits for the store in total.
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
    pub(super) has_several_organizations: bool,
    pub(super) addresses: Option<Addresses>,
    digest_key: DigestKey,
}

/// The check of a key.
pub(crate) enum Check {
    /// Decided without waiting.
    Ready(Result<Accepted, AuthError>),
    /// The store has to be asked, or the key has to be hashed.
    Pending(BoxFuture<'static, Result<Accepted, AuthError>>),
}

impl<R: KeyReader> Authenticator<R> {
    /// An authenticator that only reads: it counts no usage, does not improve old hashes and writes no events.
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
            has_several_organizations: wiring.has_several_organizations,
            addresses: settings.addresses,
            digest_key: DigestKey::new()?,
        });
        if let Some(usage) = &inner.usage {
            inner.meter.watch(usage);
            let counter: Weak<Inner<R>> = Arc::downgrade(&inner);
            register(inner.id, counter);
        }
        Ok(Self(inner))
    }

    /// The principal that has this key. For callers that do not use HTTP; [`ApiKeyLayer`](crate::ApiKeyLayer) does the
    /// same for requests.
    ///
    /// All callers share one source, the empty one: advice and flags cannot distinguish them. If one of them moves to
    /// the new key of a rotation, the rotation looks [safe to finish](crate::manage::RotationVerdict::SafeToFinish) for
    /// all.
    ///
    /// A key that is limited to some [networks](crate::Networks) is refused, because the address of the caller is not
    /// known. Use [`authenticate_from`](Self::authenticate_from) to give it.
    ///
    /// Needs a tokio runtime with time, unless the key is in the cache and the store knows its head at once. Dropping
    /// the future is harmless.
    ///
    /// # Errors
    /// [`AuthError`]. Its [temporary](super::AuthErrorKind::is_temporary) kinds do not mean that the key is bad.
    pub async fn authenticate(&self, text: &str) -> Result<Principal, AuthError> {
        let from = CameFrom::Said(None);
        match self.check(text.as_bytes(), Origin::Source(&Source::default()), None, from) {
            Check::Ready(Ok(accepted)) => Ok(accepted.principal),
            Check::Ready(Err(error)) => Err(error),
            Check::Pending(pending) => pending.await.map(|accepted| accepted.principal),
        }
    }

    /// Like [`authenticate`](Self::authenticate), for a caller at this address: it decides whether a key with a list of
    /// [networks](crate::Networks) is accepted. The setting of [addresses](AuthSettings::with_addresses) is for
    /// requests, and has no effect here.
    ///
    /// ```
    /// # async fn example(keys: tower_api_keys::Authenticator<tower_api_keys::store::MemoryStore>) {
    /// # let (text, peer) = ("", std::net::SocketAddr::from(([203, 0, 113, 7], 4_711)));
    /// let caller = keys.authenticate_from(text, peer.ip()).await;
    /// # let _ = caller;
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`authenticate`](Self::authenticate);
    /// [`NetworkNotAllowed`](super::AuthErrorKind::NetworkNotAllowed) if no network of the key contains the address.
    pub async fn authenticate_from(&self, text: &str, address: IpAddr) -> Result<Principal, AuthError> {
        // No future shared by both methods: that would cost each check 60 instructions.
        let from = CameFrom::Said(Some(address));
        match self.check(text.as_bytes(), Origin::Source(&Source::default()), None, from) {
            Check::Ready(Ok(accepted)) => Ok(accepted.principal),
            Check::Ready(Err(error)) => Err(error),
            Check::Pending(pending) => pending.await.map(|accepted| accepted.principal),
        }
    }

    /// Whether the key that proved this principal is still good, and what it may do now. For streams and sockets that
    /// outlive the request they began with.
    ///
    /// Counts nothing. In usage counts, and so in the evidence of a rotation, a stream is the one request that it began
    /// with, no matter how long it lives.
    ///
    /// # Errors
    /// [`AuthError`] as for a request with the key; [`AuthErrorKind::Invalid`](super::AuthErrorKind::Invalid) if the
    /// key does not exist any more or has another owner.
    pub async fn recheck(&self, principal: &Principal) -> Result<Principal, AuthError> {
        self.0.recheck(principal).await
    }

    /// Empties the cache of proofs. The next check of each key runs Argon2id again, unless a proof of it is
    /// [stored](crate::hash::HasherConfig::with_stored_proofs). Use it to measure the cost.
    pub fn forget_proofs(&self) {
        self.0.cache.forget_proofs();
        self.0.hasher.forget_answers();
    }

    /// Argon2 runs begun so far by this authenticator and the manager beside it: first uses, new keys, better hashes.
    #[must_use]
    pub fn argon2_runs(&self) -> u64 {
        self.0.hasher.runs()
    }

    /// What checks have cost so far, how they ended, and the current state. Does not wait. For monitoring, not for each
    /// request.
    #[must_use]
    pub fn metrics(&self) -> AuthMetrics {
        self.0.meter.read()
    }

    /// Gives the same figures to the recorder of the crate `metrics`, under [these names](crate::auth#metrics). Call it
    /// before they are scraped. [`ApiKeys`](crate::ApiKeys) calls it by itself, each time it has written usage.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.0.meter.publish();
    }

    /// Checks a candidate: the bytes between the scheme and the end of a header, trimmed. Counts the outcome, for a
    /// layer of this organization.
    // Always inlined, like the verdict: values passed through memory from call to call cost more than the calls.
    #[inline(always)]
    pub(crate) fn check(
        &self,
        candidate: &[u8],
        origin: Origin<'_>,
        organization: Option<&OrganizationId>,
        from: CameFrom<'_>,
    ) -> Check {
        let Some(located) = self.0.format.locate(candidate) else {
            return Check::Ready(Err(self.0.refuse_shapeless(candidate, origin, organization)));
        };
        let (mut digest, mut source) = (None, None);
        // First asks whether the store has news, then reads the entry: so the entry is as current as the answer.
        let now = self.0.clock.reading();
        let is_current = self.0.is_current_now(now);
        if let Some(entry) = self.0.cache.entry(located.id()) {
            let of_text = self.0.digest(located.secret());
            if !proves(&entry.rest, located.prefix(), &of_text) {
                return Check::Ready(Err(self.0.refuse_unproved(candidate, &entry, origin, organization)));
            }
            if is_current && self.0.cache.is_current(&entry) {
                self.0.meter.hit();
                return Check::Ready(self.0.judge(entry, origin, now, from));
            }
            digest = Some(of_text);
            source = entry.rest.usage.source(origin).cloned();
        }
        match self.0.format.parse(candidate) {
            // Nothing is cached under this id, or else exactly this text, which would parse.
            Err(malformed) => Check::Ready(Err(self.0.refuse_malformed(malformed, origin, organization, None))),
            Ok(key) => {
                let source = source.unwrap_or_else(|| origin.to_source());
                let digest = digest.unwrap_or_else(|| self.0.digest(key.secret()));
                let (organization, address) = (organization.cloned(), from.address(self.addresses()));
                let (key, prefix) = (Arc::new(key.to_plaintext()), key.prefix());
                let candidate = Candidate { key, prefix, digest, organization, address };
                Check::Pending(Box::pin(Arc::clone(&self.0).check_after_read(candidate, source)))
            }
        }
    }

    /// Counts a request that a layer of this organization refused before a key was found in it. `text` is what was
    /// there instead of a key, if anything.
    pub(crate) fn refused(
        &self,
        code: RefusalCode,
        reason: Option<MalformedReason>,
        origin: Origin<'_>,
        organization: Option<&OrganizationId>,
        text: &[u8],
    ) {
        self.0.count_unchecked(code, reason, origin, organization, text);
    }

    /// What to keep of a request without a key that a layer of this organization lets through; none if nothing is
    /// counted.
    pub(crate) fn visit(&self, origin: Origin<'_>, organization: Option<&OrganizationId>) -> Option<Box<AnonymousUse>> {
        self.0.usage.as_ref()?;
        let (authenticator, source) = (self.0.id, origin.to_source());
        Some(Box::new(AnonymousUse { authenticator, source, organization: organization.cloned() }))
    }

    /// How the address of a request is found, if that is set.
    pub(crate) fn addresses(&self) -> Option<&Addresses> {
        self.0.addresses.as_ref()
    }

    pub(crate) fn format(&self) -> &KeyFormat {
        &self.0.format
    }

    /// The number in the principals that it proved.
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
    /// Whether the cache is current enough for a request that arrives now.
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

    /// The verdict on a proved key whose record is current.
    #[inline(always)]
    pub(super) fn judge(
        &self,
        entry: Arc<WithClaims<Entry>>,
        origin: Origin<'_>,
        now: ClockReading,
        from: CameFrom<'_>,
    ) -> Result<Accepted, AuthError> {
        if let Some(end) = entry.claims.expires_at
            && let Err(error) = judged(before_its_end(end, now))
        {
            return Err(self.refuse(error, Whose::Key(Tried::of(&entry.claims)), origin));
        }
        if let Some(networks) = entry.claims.particulars.networks()
            && let Err(error) = self.within(networks, entry.claims.key, from)
        {
            return Err(self.refuse(error, Whose::Key(Tried::of(&entry.claims)), origin));
        }
        let now = now.now();
        let seen = self.usage.as_ref().map(|usage| usage.success(&entry, origin, now));
        if let Some(attempts) = &self.attempts {
            attempts.accepted(&entry.claims, entry.rest.usage.source(origin), origin, now);
        }
        log!(trace, key = entry.claims.key.as_str(), "a key was accepted");
        Ok(Accepted { principal: Principal::sharing(entry), seen })
    }

    /// Whether the call comes from one of these networks, the only ones that the key may be used from.
    #[inline(never)]
    fn within(&self, networks: &Networks, key: KeyId, from: CameFrom<'_>) -> Result<(), AuthError> {
        let address = from.address(self.addresses.as_ref());
        if address.is_some_and(|address| networks.contains(address)) {
            return Ok(());
        }
        if address.is_none() {
            self.trouble.without_address(key, self.addresses.is_some());
        }
        Err(AuthError::new(AuthErrorKind::NetworkNotAllowed))
    }
}
