//! A manager over a store that can be made to fail.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Actor, DefaultPolicy, DenialLog, Guarded, ManagerParts, Policy, Rights, Rules,
    wrapped::{Fake, Wrapped},
};
use crate::{
    Clock, KeyManager, ManualClock, OrganizationId, Owner, Principal, Scopes, TeamId, Timestamp, UserId,
    audit::EventRow,
    hash::{Argon2Params, Hasher, HasherConfig},
    key::{KeyFormat, KeyId},
    record::KeyRow,
    store::{
        AnyStore, Applied, AuditedWrite, Calls, Change, ChangeId, EventQuery, FoundKey, KeyQuery, KeyReader, KeyStore,
        Lease, Ledger, ListedKey, MemoryStore, Moment, OwnerChange, OwnerRef, Page, StoreError, UsageScope, Write,
    },
    usage::{UsageBatch, UsageRow},
};

pub(super) const START: &str = "2026-03-01T12:00:00Z";

/// One call that fails, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    DoesAndHangs,
    DoesAndLosesTheAnswer,
    DoesAndPanics,
    Hangs,
    LosesTheAnswer,
    Panics,
    Refused,
    Unavailable,
    Works,
}

/// A store whose next calls of `apply`, `find` and `list` fail as set.
pub(super) type Faulty = Wrapped<Faults>;

#[derive(Default)]
pub(super) struct Faults {
    pub(super) inner: MemoryStore,
    pub(super) applies: AtomicUsize,
    /// Lists, and reads of usage counts.
    reads: AtomicUsize,
    /// Whether lists fail.
    has_no_lists: AtomicBool,
    pub(super) apply_faults: Mutex<VecDeque<Fault>>,
    pub(super) find_faults: Mutex<VecDeque<Fault>>,
    pub(super) list_faults: Mutex<VecDeque<Fault>>,
    pub(super) append_faults: Mutex<VecDeque<Fault>>,
    /// Applied right before the next `apply`, like a quicker call.
    pub(super) quicker: Mutex<VecDeque<Change>>,
}

impl Faults {
    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.apply_faults.lock().unwrap().extend(faults);
    }

    pub(super) fn fail_lists(&self) {
        self.has_no_lists.store(true, Ordering::SeqCst);
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub(super) fn applies(&self) -> usize {
        self.applies.load(Ordering::SeqCst)
    }
}

fn next(faults: &Mutex<VecDeque<Fault>>) -> Fault {
    faults.lock().unwrap().pop_front().unwrap_or(Fault::Works)
}

async fn fail_to_read(faults: &Mutex<VecDeque<Fault>>) -> Result<(), StoreError> {
    match next(faults) {
        Fault::Works => Ok(()),
        Fault::Hangs => pending().await,
        Fault::Panics => panic!("the store's own"),
        _ => Err(StoreError::unavailable("injected")),
    }
}

impl Fake for Faults {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.inner
    }

    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        fail_to_read(&self.find_faults).await?;
        self.inner.find(id).await
    }

    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        self.applies.fetch_add(1, Ordering::SeqCst);
        let quicker = self.quicker.lock().unwrap().pop_front();
        if let Some(quicker) = quicker {
            self.inner.apply(&quicker).await.unwrap();
        }
        let fault = next(&self.apply_faults);
        if matches!(fault, Fault::DoesAndHangs | Fault::DoesAndLosesTheAnswer | Fault::DoesAndPanics) {
            self.inner.apply(change).await.unwrap();
        }
        match fault {
            Fault::Works => self.inner.apply(change).await,
            Fault::Refused => Err(StoreError::refused("injected")),
            Fault::Unavailable => Err(StoreError::unavailable("injected")),
            Fault::DoesAndLosesTheAnswer | Fault::LosesTheAnswer => Err(StoreError::outcome_unknown("injected")),
            Fault::DoesAndHangs | Fault::Hangs => pending().await,
            Fault::DoesAndPanics | Fault::Panics => panic!("the store's own"),
        }
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.has_no_lists.load(Ordering::SeqCst) {
            return Err(StoreError::corrupt("injected"));
        }
        fail_to_read(&self.list_faults).await?;
        self.inner.list(query, now).await
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.usage(of).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        match next(&self.append_faults) {
            Fault::Works => self.inner.append_events(events).await,
            Fault::Refused => Err(StoreError::refused("injected")),
            _ => Err(StoreError::unavailable("injected")),
        }
    }
}

static HASHER: LazyLock<Hasher> = LazyLock::new(|| {
    Hasher::new(HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_threads(1)).unwrap()
});

pub(super) struct Bench {
    pub(super) store: Arc<Faulty>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) lease: Arc<Lease>,
    pub(super) denials: Arc<DenialLog>,
    monotonic: Instant,
    pub(super) manager: KeyManager,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_policy(DefaultPolicy)
    }

    pub(super) fn with_policy(policy: impl Policy) -> Self {
        Self::made_of(policy, Rules::default(), HASHER.clone())
    }

    pub(super) fn with_rules(rules: Rules) -> Self {
        Self::made_of(DefaultPolicy, rules, HASHER.clone())
    }

    pub(super) fn with_policy_and_rules(policy: impl Policy, rules: Rules) -> Self {
        Self::made_of(policy, rules, HASHER.clone())
    }

    pub(super) fn with_hasher(hasher: Hasher) -> Self {
        Self::made_of(DefaultPolicy, Rules::default(), hasher)
    }

    fn made_of(policy: impl Policy, rules: Rules, hasher: Hasher) -> Self {
        let store = Arc::new(Faulty::default());
        let clock = Arc::new(ManualClock::at(START.parse().unwrap()));
        let lease = Arc::new(Lease::default());
        let calls = || Calls::new(AnyStore::shared(Arc::clone(&store)), Duration::from_secs(5));
        let (ticks, every) = (Arc::clone(&clock) as Arc<dyn Clock>, Duration::from_secs(10));
        let denials = Arc::new(DenialLog::new(calls(), ticks, every, rules.notifier.clone()));
        let manager = KeyManager::new(ManagerParts {
            guarded: Guarded::new(calls(), Arc::new(policy), Arc::clone(&lease), Arc::clone(&denials)),
            hasher,
            format: KeyFormat::unbranded(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            counted: Arc::default(),
            organization: OrganizationId::single(),
            names_organization: false,
            rules: Arc::new(rules),
            new_keys: None,
        });
        Self { store, clock, lease, denials, monotonic: Instant::now(), manager }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A key that is in the store without having been issued, so its text does not exist.
    pub(super) async fn plant(&self, id: &str, owner: &Owner, scopes: &str) -> KeyId {
        self.plant_row(KeyRow {
            id: id.into(),
            kind: owner.kind().as_str().into(),
            owner: owner.id().into(),
            scopes: scopes.into(),
            lineage: id.into(),
            ..KeyRow::example()
        })
        .await
    }

    pub(super) async fn plant_row(&self, row: KeyRow) -> KeyId {
        let id = KeyId::new(&row.id).unwrap();
        self.store.inner.apply(&plain_change(&row.id, Write::Insert(row.clone()))).await.unwrap();
        id
    }

    /// A change of an owner that was not made by this manager.
    pub(super) async fn change_owner(&self, owner: &Owner, change: OwnerChange) {
        let of = OwnerRef { organization: OrganizationId::single(), owner: owner.clone() };
        let name = format!("{change:?}{owner}");
        self.store.inner.apply(&plain_change(&name, Write::Owner(of, change))).await.unwrap();
    }

    pub(super) async fn use_once(&self, id: &KeyId) {
        let at = self.clock.now().as_millis();
        let row = UsageRow {
            key: Some(id.as_str().into()),
            outcome: "success".into(),
            count: 1,
            first_at: at,
            last_at: at,
            ..UsageRow::seen_from("")
        };
        let writer = id.as_bytes()[..16].try_into().unwrap();
        let batch = UsageBatch { writer, sequence: 1, rows: vec![row], days: Vec::new() };
        self.store.inner.record_usage(&batch).await.unwrap();
    }

    pub(super) async fn row(&self, id: &KeyId) -> KeyRow {
        self.store.inner.find(id).await.unwrap().unwrap().key
    }

    /// Every event that a manager wrote; planted ones have another action.
    pub(super) async fn events(&self) -> Vec<EventRow> {
        let query = EventQuery { limit: 1_000, ..EventQuery::all(OrganizationId::single()) };
        let events = self.store.inner.events(&query).await.unwrap().rows;
        events.into_iter().filter(|event| event.action != "planted").collect()
    }

    /// Everything in the store: keys, the status of their owners, and events.
    pub(super) async fn all(&self) -> (Vec<ListedKey>, Vec<EventRow>) {
        let query = KeyQuery { limit: 1_000, ..KeyQuery::all(OrganizationId::single()) };
        (self.store.inner.list(&query, self.clock.now()).await.unwrap().rows, self.events().await)
    }

    /// Lets the node rely on what it has read.
    pub(super) fn renew_lease(&self) {
        self.lease.renew(self.moment());
        assert!(self.has_lease());
    }

    pub(super) fn has_lease(&self) -> bool {
        let now = self.moment();
        self.lease.is_valid(now.ticks, now.wall, Duration::from_secs(3_600))
    }

    /// Neither clock moves: only a change ends a lease here.
    fn moment(&self) -> Moment {
        Moment { monotonic: self.monotonic, wall: self.clock.now(), ticks: 0 }
    }
}

pub(super) fn plain_change(name: &str, write: Write) -> Change {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
    let event = EventRow { action: "planted".into(), ..EventRow::example() };
    Change {
        id: ChangeId::from_bytes(id),
        at: START.parse().unwrap(),
        writes: vec![AuditedWrite { write, event }],
        guards: vec![],
        idempotency: None,
    }
}

pub(super) fn user_id(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

pub(super) fn team_id(id: &str) -> TeamId {
    TeamId::new(id).unwrap()
}

pub(super) fn user(id: &str) -> Owner {
    Owner::User(user_id(id))
}

pub(super) fn team(id: &str) -> Owner {
    Owner::Team(team_id(id))
}

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

pub(super) fn person(id: &str) -> Actor {
    Actor::user(user_id(id), Rights::none())
}

pub(super) fn system() -> Actor {
    Actor::system("test").unwrap()
}

/// The key id of principals that no key proves.
pub(super) const ACTING: &str = "fakefakefakefakefake";

/// A key that acts; it has to be planted as [`ACTING`].
pub(super) fn principal(owner: &Owner, with: &str) -> Principal {
    key_of(ACTING, owner, with)
}

/// A key of this id, which has to be planted.
pub(super) fn key_of(id: &str, owner: &Owner, with: &str) -> Principal {
    let fake = match owner {
        Owner::User(user) => Principal::fake().user(user.as_str()),
        Owner::Team(team) => Principal::fake().team(team.as_str()),
    };
    fake.unwrap().key(KeyId::new(id).unwrap()).scopes(scopes(with)).build()
}
