//! A store with scripted answers, behind an authenticator as in services.

use std::{
    future::pending,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::future::BoxFuture;

use crate::{
    auth::{AuthMetrics, AuthSettings, Authenticator, Wiring},
    hash::{Argon2Params, Hasher, HasherConfig},
    key::{KeyFormat, KeyId, MalformedReason},
    outcome::RefusalCode,
    owner::KeyKind,
    record::{KeyRow, OwnerStatusRow},
    store::{Changes, FoundKey, Head, KeyReader, StoreError},
    time::{ManualClock, Timestamp},
};

/// The key that the store knows, owned by the user alice.
pub(super) const KEY: &str = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";
/// The header of a request with it.
pub(super) const BEARER: (&str, &str) =
    ("authorization", "Bearer user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ");
/// Its id, with another secret.
pub(super) const WRONG: &str = "user.AAECAwQFBgcICQoLDA0O.EBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQraRA";
/// A well-formed key with another id.
pub(super) const STRANGE: &str = "user.BAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PGeFy";

const NOON: &str = "2026-03-01T12:00:00Z";
const HEAD: Head = Head { position: 1, change: [1; 16] };

pub(super) type Answer<T> = BoxFuture<'static, Result<T, StoreError>>;

type Find = dyn Fn(&KeyId) -> Answer<Option<FoundKey>> + Send + Sync;
type Read = dyn Fn() -> Answer<Changes> + Send + Sync;

/// A store that knows one key. Its other answers, and their time, are scripted.
pub(super) struct Scripted {
    find: Box<Find>,
    read: Box<Read>,
    /// Whether it can say at once that nothing changed.
    knows_head: AtomicBool,
    asked: Mutex<Vec<KeyId>>,
}

impl KeyReader for Scripted {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.asked.lock().unwrap().push(*id);
        (self.find)(id).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        if head.is_none() { Ok(Changes::Reset { head: HEAD }) } else { (self.read)().await }
    }

    fn try_head(&self) -> Option<Head> {
        self.knows_head.load(Ordering::SeqCst).then_some(HEAD)
    }
}

/// The key as it is in the store, and its owner.
fn good() -> FoundKey {
    static ROW: LazyLock<KeyRow> = LazyLock::new(|| {
        let hasher = Hasher::new(cheap()).unwrap();
        let hash = apart(async move { hasher.hash(KEY).await }).unwrap();
        KeyRow {
            id: "AAECAwQFBgcICQoLDA0O".into(),
            kind: "user".into(),
            owner: "alice".into(),
            hash: hash.phc().to_owned(),
            tag: hash.tag().to_bytes(),
            ..KeyRow::example()
        }
    });
    FoundKey { key: ROW.clone(), owner: OwnerStatusRow::default(), organization: OwnerStatusRow::default() }
}

fn cheap() -> HasherConfig {
    HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_threads(1).without_relief()
}

/// Runs it to its end in a separate runtime: the time of a test may be paused, and its runtime may not exist.
fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    thread::spawn(move || runtime().block_on(work)).join().unwrap()
}

/// An authenticator over a scripted store.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) authenticator: Authenticator<Scripted>,
    store: Arc<Scripted>,
    hasher: Hasher,
    clock: Arc<ManualClock>,
}

impl Script {
    fn made_of(
        find: impl Fn(&KeyId) -> Answer<Option<FoundKey>> + Send + Sync + 'static,
        read: impl Fn() -> Answer<Changes> + Send + Sync + 'static,
        set: impl FnOnce(AuthSettings) -> AuthSettings,
    ) -> Self {
        let store = Arc::new(Scripted {
            find: Box::new(find),
            read: Box::new(read),
            knows_head: AtomicBool::new(true),
            asked: Mutex::default(),
        });
        let clock = Arc::new(ManualClock::at(NOON.parse().unwrap()));
        let settings = AuthSettings::new().with_hasher(cheap()).with_cache_capacity(16).with_clock(clock.clone());
        let settings = set(settings);
        let wiring = Wiring::new(&settings).unwrap();
        let hasher = wiring.hasher.clone();
        let authenticator = Authenticator::wired(store.clone(), settings, wiring).unwrap();
        Self { authenticator, store, hasher, clock }
    }

    /// Proves the key, so that later checks of it do not wait.
    fn proved(self) -> Self {
        let authenticator = self.authenticator.clone();
        apart(async move { authenticator.authenticate(KEY).await }).unwrap();
        self.store.asked.lock().unwrap().clear();
        self
    }

    /// The key is known to be good without a question; other keys do not exist.
    pub(super) fn accepting() -> Self {
        Self::accepting_of("default")
    }

    /// The same, with the key in this organization.
    pub(super) fn accepting_of(organization: &'static str) -> Self {
        Self::made_of(
            move |id| at_once(Ok(of(organization, id))),
            || at_once(Ok(Changes::Unchanged)),
            |settings| settings,
        )
        .proved()
    }

    /// The key is good after this read of the change log says that nothing changed.
    pub(super) fn reading<F>(read: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::reading_of("default", read)
    }

    /// The same, with the key in this organization.
    pub(super) fn reading_of<F>(organization: &'static str, read: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let changes = move || {
            let read = read();
            Box::pin(async {
                read.await;
                Ok(Changes::Unchanged)
            }) as Answer<_>
        };
        let script = Self::made_of(move |id| at_once(Ok(of(organization, id))), changes, |settings| settings).proved();
        script.store.knows_head.store(false, Ordering::SeqCst);
        script
    }

    /// The key is good, after a wait.
    pub(super) fn accepting_late() -> Self {
        Self::reading(tokio::task::yield_now)
    }

    /// The key is known to be good, and the store never answers for any other key.
    pub(super) fn hiding_strangers() -> Self {
        let find = |id: &KeyId| {
            of("default", id).map_or_else(|| Box::pin(pending()) as Answer<_>, |key| at_once(Ok(Some(key))))
        };
        Self::made_of(find, || at_once(Ok(Changes::Unchanged)), |settings| settings).proved()
    }

    /// Asks the store for the key; the answer is made from the good one.
    pub(super) fn finding(
        answer: impl Fn(FoundKey) -> Result<Option<FoundKey>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self::made_of(move |_| at_once(answer(good())), || at_once(Ok(Changes::Unchanged)), |settings| settings)
    }

    /// A store that cannot answer for any key.
    pub(super) fn unavailable() -> Self {
        Self::finding(|_| Err(StoreError::unavailable("injected")))
    }

    /// A key that was revoked before it was ever seen.
    pub(super) fn revoked() -> Self {
        Self::finding(|good| Ok(Some(FoundKey { key: KeyRow { revoked_at: Some(1), ..good.key }, ..good })))
    }

    /// A revoked key, which the store reports after a wait.
    pub(super) fn revoked_late() -> Self {
        let find = |_: &KeyId| {
            Box::pin(async {
                // The first two polls are at once.
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                let good = good();
                Ok(Some(FoundKey { key: KeyRow { revoked_at: Some(1), ..good.key }, ..good }))
            }) as Answer<_>
        };
        Self::made_of(find, || at_once(Ok(Changes::Unchanged)), |settings| settings)
    }

    pub(super) fn paused() -> Self {
        Self::finding(|good| Ok(Some(FoundKey { key: KeyRow { paused_at: Some(1), ..good.key }, ..good })))
    }

    /// A key that had expired before it was ever seen.
    pub(super) fn expired() -> Self {
        Self::finding(|good| Ok(Some(FoundKey { key: ending(good.key, 0), ..good })))
    }

    /// A key whose record cannot be read.
    pub(super) fn corrupt() -> Self {
        Self::finding(|good| Ok(Some(FoundKey { key: KeyRow { name: "\n".into(), ..good.key }, ..good })))
    }

    /// A key whose owner is suspended.
    pub(super) fn suspended() -> Self {
        Self::owned_by(OwnerStatusRow { suspended_at: Some(1), ..OwnerStatusRow::default() })
    }

    /// A key that the plan of its owner does not include.
    pub(super) fn plan_suspended() -> Self {
        Self::owned_by(OwnerStatusRow { plan_suspended_at: Some(1), ..OwnerStatusRow::default() })
    }

    /// A key whose owner is closed.
    pub(super) fn closed() -> Self {
        Self::owned_by(OwnerStatusRow { closed_at: Some(1), ..OwnerStatusRow::default() })
    }

    fn owned_by(owner: OwnerStatusRow) -> Self {
        Self::finding(move |good| Ok(Some(FoundKey { owner, ..good })))
    }

    /// Each way in which the store can refuse a key or not know it, with the code for the caller.
    pub(super) fn condemning() -> Vec<(Self, RefusalCode)> {
        vec![
            (Self::corrupt(), RefusalCode::CorruptRecord),
            (Self::finding(|_| Err(StoreError::corrupt("injected"))), RefusalCode::CorruptRecord),
            (Self::expired(), RefusalCode::KeyExpired),
            (Self::finding(|_| Ok(None)), RefusalCode::InvalidKey),
            (Self::closed(), RefusalCode::OwnerClosed),
            (Self::plan_suspended(), RefusalCode::OwnerPlanSuspended),
            (Self::suspended(), RefusalCode::OwnerSuspended),
            (Self::paused(), RefusalCode::KeyPaused),
            (Self::revoked(), RefusalCode::KeyRevoked),
            (Self::unavailable(), RefusalCode::StoreUnavailable),
        ]
    }

    /// A known key that has expired since.
    pub(super) fn expired_since() -> Self {
        let script = Self::ending_in_a_minute();
        script.clock.advance(Duration::from_secs(60));
        script
    }

    /// A known key that may have expired: the clock jumped.
    pub(super) fn in_doubt() -> Self {
        let script = Self::ending_in_a_minute();
        script.clock.set_wall_clock("2026-03-01T13:00:00Z".parse().unwrap());
        script
    }

    fn ending_in_a_minute() -> Self {
        let find = |_: &KeyId| {
            let good = good();
            at_once(Ok(Some(FoundKey { key: ending(good.key, 60_000), ..good })))
        };
        Self::made_of(find, || at_once(Ok(Changes::Unchanged)), |settings| settings).proved()
    }

    /// A run of Argon2id that fails; only the first does.
    pub(super) fn failing_to_hash() -> Self {
        let script = Self::finding(|good| Ok(Some(good)));
        script.hasher.break_next_run();
        script
    }

    /// The only place for look-ups is taken by one that the store does not answer.
    pub(super) async fn overloaded() -> Self {
        let set = |settings: AuthSettings| {
            let hour = Duration::from_secs(3_600);
            settings.with_max_concurrent_lookups(1, Duration::ZERO).with_answer_timeout(hour)
        };
        let script = Self::made_of(|_| Box::pin(pending()), || at_once(Ok(Changes::Unchanged)), set);
        let stranger = script.authenticator.clone();
        tokio::spawn(async move { stranger.authenticate(STRANGE).await });
        while !script.was_asked() {
            tokio::task::yield_now().await;
        }
        script
    }

    /// Whether the store was asked for any key since the script began.
    pub(super) fn was_asked(&self) -> bool {
        !self.store.asked.lock().unwrap().is_empty()
    }

    pub(super) fn metrics(&self) -> AuthMetrics {
        self.authenticator.metrics()
    }

    /// How often a key was accepted because it was proved before.
    pub(super) fn hits(&self) -> u64 {
        self.metrics().proof_hits
    }

    /// What was counted as refused: code, reason, how often.
    pub(super) fn refused(&self) -> Vec<(RefusalCode, Option<MalformedReason>, u64)> {
        let counts = self.metrics().refusals.into_iter().filter(|refusal| refusal.count > 0);
        counts.map(|refusal| (refusal.code, refusal.reason, refusal.count)).collect()
    }
}

fn at_once<T: Send + 'static>(answer: Result<T, StoreError>) -> Answer<T> {
    Box::pin(std::future::ready(answer))
}

/// The key in this organization, if the id is its own.
fn of(organization: &str, id: &KeyId) -> Option<FoundKey> {
    let good = good();
    let key = KeyRow { organization: organization.into(), ..good.key.clone() };
    Some(FoundKey { key, ..good }).filter(|found| found.key.id == id.as_str())
}

/// The key, with its end this many milliseconds after noon.
fn ending(key: KeyRow, after: i64) -> KeyRow {
    let noon: Timestamp = NOON.parse().unwrap();
    KeyRow { expires_at: Some(noon.as_millis() + after), ..key }
}

#[test]
fn the_keys_of_these_tests_are_well_formed_and_of_a_user() {
    for (text, id) in
        [(KEY, "AAECAwQFBgcICQoLDA0O"), (WRONG, "AAECAwQFBgcICQoLDA0O"), (STRANGE, "BAECAwQFBgcICQoLDA0O")]
    {
        let parsed = KeyFormat::unbranded();
        let parsed = parsed.parse(text.as_bytes()).unwrap();
        assert_eq!((parsed.kind(), parsed.id().as_str()), (KeyKind::User, id));
    }
}
