//! Changes to keys during which a process is killed: what each needs, how it is made, and what may be stored
//! afterwards. The kill itself is done by the users of this module: a test of the library, which can reach the
//! connection of its SQLite store, and an integration test with a PostgreSQL server.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyManager, ManualClock, OrganizationId, Owner, TeamId, Timestamp, UserId,
    audit::EventRow,
    hash::{Argon2Params, HasherConfig},
    key::KeyId,
    manage::{Effect, ListKeys, ManageError, ManageErrorKind, RevokeMany, Rights, RotateKey, TeamRole},
    record::{KeyRow, Suspension},
    store::{
        AuditedWrite, Change, ChangeId, Changes, EventQuery, Head, KeyQuery, KeyStore, Ledger, ListedKey, OwnerRef,
        Write,
    },
};

/// The number of keys that are revoked at once: one more than fits into a change.
const MANY: usize = 51;

/// A change to keys. A new variant also needs a place in `ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Aborts a rotation with an end of grace: the new key is revoked, and the old one gets its expiry back.
    Abort,
    /// Begins a rotation with an end of grace: a new key is issued, and the old one gets an expiry.
    BeginRotation,
    Close,
    Finish,
    Suspend,
    Issue,
    Rename,
    Revoke,
    /// Two changes. Each is made completely or not at all, and a second request continues with the rest.
    RevokeMany,
}

/// How much of an operation is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stands {
    Nothing,
    /// The first change of an operation with several changes.
    Part,
    All,
}

impl Operation {
    pub const ALL: [Self; 9] = [
        Self::Abort,
        Self::BeginRotation,
        Self::Close,
        Self::Finish,
        Self::Suspend,
        Self::Issue,
        Self::Rename,
        Self::Revoke,
        Self::RevokeMany,
    ];

    /// The operation with this name, as `Debug` writes it.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|operation| format!("{operation:?}") == name).expect("there is such an operation")
    }

    /// Its events, one for each write: the action and the key, numbered in the order of creation.
    fn events(self) -> Vec<(&'static str, Option<usize>)> {
        match self {
            Self::Abort => vec![("key.rotation_aborted", Some(1)), ("key.expiry_set", Some(0))],
            Self::BeginRotation => vec![("key.rotation_begun", Some(1)), ("key.expiry_set", Some(0))],
            Self::Close => vec![("owner.closed", None)],
            Self::Finish => vec![("key.rotation_finished", Some(0))],
            Self::Suspend => vec![("owner.suspended", None)],
            Self::Issue => vec![("key.issued", Some(1))],
            Self::Rename => vec![("key.renamed", Some(0))],
            Self::Revoke => vec![("key.revoked", Some(0))],
            Self::RevokeMany => (0..MANY).map(|place| ("key.revoked", Some(place))).collect(),
        }
    }

    /// The answer to the same request when the operation is done already.
    const fn told_again(self) -> Result<Effect, ManageErrorKind> {
        match self {
            Self::BeginRotation | Self::Issue => Err(ManageErrorKind::IdempotencyKeyUsed),
            // The same name again writes nothing.
            Self::Rename => Ok(Effect::Changed),
            Self::Abort | Self::Close | Self::Finish | Self::Suspend | Self::Revoke | Self::RevokeMany => {
                Ok(Effect::Unchanged)
            }
        }
    }
}

/// The keys of an organization that exists for one operation.
#[derive(Clone, Debug)]
pub struct Scene {
    pub operation: Operation,
    pub organization: OrganizationId,
}

/// A process that is about to begin the operation, and knows the keys.
pub struct Ready {
    scene: Scene,
    manager: KeyManager,
    ids: Vec<KeyId>,
}

impl Scene {
    pub fn new(operation: Operation, organization: &str) -> Self {
        Self { operation, organization: OrganizationId::new(organization).unwrap() }
    }

    /// Prepares everything for the operation.
    async fn prepare<S: Ledger>(&self, store: &Arc<S>) {
        let manager = self.manager(store, 0).await;
        let old = manager.issue(IssueKey::team(blue()).named("old"), &self.alice()).await.unwrap();
        if matches!(self.operation, Operation::Abort | Operation::Finish) {
            let mut request = RotateKey::of(old.info().id).named("new");
            if self.operation == Operation::Abort {
                request = request.old_key_ends_at(end_of_grace());
            }
            drop(self.manager(store, 1).await.begin_rotation(request, &self.alice()).await.unwrap());
        }
        if self.operation == Operation::RevokeMany {
            store.apply(&self.more_keys()).await.unwrap();
        }
    }

    /// The missing keys, in one change.
    fn more_keys(&self) -> Change {
        let hash = blake3::hash(self.organization.as_str().as_bytes());
        let organization = self.organization.as_str().to_owned();
        let write = |number: usize| {
            let key = KeyRow {
                organization: organization.clone(),
                id: format!("{}{number:0>4}", &hash.to_hex()[..16]),
                owner: "blue".into(),
                name: format!("more {number}"),
                created_at: noon().as_millis() + i64::try_from(number).unwrap(),
                ..KeyRow::example()
            };
            let event =
                EventRow { organization: organization.clone(), key: Some(key.id.clone()), ..EventRow::example() };
            AuditedWrite { write: Write::Insert(key), event }
        };
        let id = hash.as_bytes()[..16].try_into().unwrap();
        let writes = (1..MANY).map(write).collect();
        Change { id: ChangeId::from_bytes(id), at: noon(), writes, guards: vec![], idempotency: None }
    }

    pub async fn ready<S: Ledger>(&self, store: &Arc<S>) -> Ready {
        let manager = self.manager(store, 2).await;
        let keys = manager.list(ListKeys::all(), &self.alice()).await.unwrap().keys;
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        // Look-ups of single keys may use a connection of their own. It must not be opened during the operation.
        manager.find(&ids[0], &self.alice()).await.unwrap();
        Ready { scene: self.clone(), manager, ids }
    }

    /// The manager of a process that begins this number of minutes after noon.
    async fn manager<S: Ledger>(&self, store: &Arc<S>, minutes: u64) -> KeyManager {
        let hasher = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET);
        let clock = Arc::new(ManualClock::at(noon().saturating_add(Duration::from_secs(60 * minutes))));
        let keys = ApiKeys::builder(Arc::clone(store)).hasher(hasher).clock(clock).build().await.unwrap();
        keys.manager_for(self.organization.clone())
    }

    /// An actor that must be active at the moment of commit, and may do everything.
    fn alice(&self) -> Actor {
        let rights = Rights::none().org_admin().team(blue(), TeamRole::Owner).team_keys_included();
        Actor::user(UserId::new("alice").unwrap(), rights).with_organization(self.organization.clone())
    }

    /// Everything stored in the organization, and the change log since this head. The text is the same for every
    /// organization with the same history.
    async fn standing<S: Ledger>(&self, store: &Arc<S>, since: Head) -> String {
        let (keys, events) = (self.keys(store).await, self.events(store).await);
        let owner = OwnerRef { organization: self.organization.clone(), owner: Owner::Team(blue()) };
        let status = store.owner_status(&owner).await.unwrap();
        let mut text = String::new();
        for mut listed in keys.iter().cloned() {
            listed.key.hash.clear();
            listed.key.tag = [0; 4];
            writeln!(text, "{listed:?}").unwrap();
        }
        for mut event in events {
            event.sequence = 0;
            writeln!(text, "{event:?}").unwrap();
        }
        writeln!(text, "{status:?}").unwrap();
        match store.changes_since(Some(since)).await.unwrap() {
            Changes::Unchanged => {}
            Changes::Changed { keys: mut changed, owners, .. } => {
                changed.sort_by_key(|id| keys.iter().position(|listed| listed.key.id == id.as_str()));
                writeln!(text, "{changed:?} {owners:?}").unwrap();
            }
            lost @ (Changes::Reset { .. } | Changes::Untracked) => panic!("{lost:?}"),
        }
        for (place, listed) in keys.iter().enumerate() {
            text = text.replace(&listed.key.id, &format!("key {place}"));
        }
        text.replace(self.organization.as_str(), "here")
    }

    async fn keys<S: Ledger>(&self, store: &Arc<S>) -> Vec<ListedKey> {
        let query = KeyQuery { limit: 1_000, ..KeyQuery::all(self.organization.clone()) };
        store.list(&query, noon()).await.unwrap().rows
    }

    async fn events<S: Ledger>(&self, store: &Arc<S>) -> Vec<EventRow> {
        let query = EventQuery { limit: 1_000, ..EventQuery::all(self.organization.clone()) };
        store.events(&query).await.unwrap().rows
    }

    /// The events of the operation: the action and the key.
    async fn told<S: Ledger>(&self, store: &Arc<S>) -> Vec<(String, Option<usize>)> {
        let (keys, events) = (self.keys(store).await, self.events(store).await);
        let place = |id: String| keys.iter().position(|listed| listed.key.id == id);
        let begun = noon().saturating_add(Duration::from_secs(120)).as_millis();
        let told = events.into_iter().filter(|event| event.at == begun);
        told.map(|event| (event.action, event.key.and_then(place))).collect()
    }

    /// Whether exactly the first of several changes is stored, with an event for each key.
    async fn is_part<S: Ledger>(&self, store: &Arc<S>) -> bool {
        let keys = self.keys(store).await;
        let is_revoked = |place: &usize| keys[*place].key.revoked_at.is_some();
        let revoked: Vec<_> =
            (0..keys.len()).filter(is_revoked).map(|place| ("key.revoked".into(), Some(place))).collect();
        self.operation == Operation::RevokeMany && revoked.len() == MANY - 1 && self.told(store).await == revoked
    }
}

impl Ready {
    /// Runs the operation.
    pub async fn act(&self) -> Result<Effect, ManageErrorKind> {
        self.try_act().await.map_err(|error| error.kind())
    }

    async fn try_act(&self) -> Result<Effect, ManageError> {
        let (manager, alice, key) = (&self.manager, &self.scene.alice(), |place: usize| &self.ids[place]);
        Ok(match self.scene.operation {
            Operation::Abort => manager.abort_rotation(key(1), alice).await?.effect,
            Operation::BeginRotation => {
                let request = RotateKey::of(*key(0)).named("new").old_key_ends_at(end_of_grace());
                drop(manager.begin_rotation(request.idempotency_key("rotate"), alice).await?);
                Effect::Changed
            }
            Operation::Close => manager.close(&Owner::Team(blue()), alice).await?.effect,
            Operation::Finish => manager.finish_rotation_anyway(key(1), alice).await?.effect,
            Operation::Suspend => manager.suspend(&Owner::Team(blue()), Suspension::Admin, alice).await?.effect,
            Operation::Issue => {
                drop(manager.issue(IssueKey::team(blue()).named("new").idempotency_key("issue"), alice).await?);
                Effect::Changed
            }
            Operation::Rename => {
                manager.rename(key(0), "renamed", alice).await?;
                Effect::Changed
            }
            Operation::Revoke => manager.revoke(key(0), alice).await?.effect(),
            Operation::RevokeMany => {
                let report =
                    manager.revoke_many(RevokeMany::of(blue()), alice).await.map_err(|error| error.into_error())?;
                if report.revoked > 0 { Effect::Changed } else { Effect::Unchanged }
            }
        })
    }
}

/// For an operation that does the same for each of many keys, not every moment is tried. Near a moment with a new
/// result, this number of moments are all tried. Elsewhere only one of every `STRIDE` is.
const NEIGHBOURS: usize = 16;
const STRIDE: usize = 8;

/// Decides at which moment to kill the next process, and what may be stored after that.
pub struct Judge {
    operation: Operation,
    before: String,
    after: String,
    /// The head when the current process began.
    head: Head,
    scenes: usize,
    moment: usize,
    /// The last moment up to which every moment is tried.
    all_until: usize,
    /// What was stored after each kill.
    stood: Vec<Stands>,
}

impl Judge {
    /// Runs the operation once in a process that is not killed.
    pub async fn new<S: Ledger>(operation: Operation, store: &Arc<S>) -> Self {
        let scene = Scene::new(operation, &format!("whole-{operation:?}"));
        scene.prepare(store).await;
        let head = head(store).await;
        let before = scene.standing(store, head).await;
        assert_eq!(scene.ready(store).await.act().await, Ok(Effect::Changed));
        let after = scene.standing(store, head).await;
        assert_eq!(scene.ready(store).await.act().await, operation.told_again());
        assert_eq!(scene.standing(store, head).await, after, "it is done twice");
        let told = scene.told(store).await;
        let told: Vec<_> = told.iter().map(|(action, key)| (action.as_str(), *key)).collect();
        assert_eq!(told, operation.events());
        let all_until = if operation == Operation::RevokeMany { NEIGHBOURS } else { usize::MAX };
        Self { operation, before, after, head, scenes: 0, moment: 1, all_until, stood: Vec::new() }
    }

    /// The moment at which to kill the next process; the first is 1.
    pub const fn moment(&self) -> usize {
        self.moment
    }

    /// A scene for the next process.
    pub async fn scene<S: Ledger>(&mut self, store: &Arc<S>) -> Scene {
        self.scenes += 1;
        let scene = Scene::new(self.operation, &format!("killed-{:?}-{}", self.operation, self.scenes));
        scene.prepare(store).await;
        self.head = head(store).await;
        assert_eq!(scene.standing(store, self.head).await, self.before);
        scene
    }

    /// Checks what a process left. Returns whether another process is to be killed: not if this one completed before
    /// its moment.
    pub async fn goes_on<S: Ledger>(&mut self, scene: &Scene, store: &Arc<S>, was_killed: bool) -> bool {
        let stands = if was_killed { Some(self.stands(scene, store).await) } else { None };
        if !was_killed {
            assert_eq!(scene.standing(store, self.head).await, self.after);
        }
        let is_news = stands != Some(self.stood.last().copied().unwrap_or(Stands::Nothing));
        let left_out = self.moment > self.all_until;
        if is_news {
            self.all_until = self.all_until.max(self.moment + NEIGHBOURS);
        }
        if is_news && left_out {
            self.moment -= STRIDE - 1;
            return true;
        }
        self.moment += if self.moment < self.all_until { 1 } else { STRIDE };
        self.stood.extend(stands);
        was_killed
    }

    /// After a kill, nothing of a change is stored, or all of it. Running the operation again then gives the same
    /// result.
    async fn stands<S: Ledger>(&self, scene: &Scene, store: &Arc<S>) -> Stands {
        let place = format!("{:?} killed at moment {}", self.operation, self.moment);
        let stands = match scene.standing(store, self.head).await {
            found if found == self.after => Stands::All,
            found if found == self.before => Stands::Nothing,
            _ if scene.is_part(store).await => Stands::Part,
            found => panic!("half of it stands, {place}:\n{found}"),
        };
        let told = scene.ready(store).await.act().await;
        let expected = if stands == Stands::All { self.operation.told_again() } else { Ok(Effect::Changed) };
        assert_eq!(told, expected, "asked again, {place}");
        assert_eq!(scene.standing(store, self.head).await, self.after, "another end, {place}");
        stands
    }

    /// To be called once a process has completed. `behind_commit` is the number of moments after the last commit, for
    /// an operation that reads nothing after it.
    pub fn conclude(&self, behind_commit: usize) {
        let (stood, count) = (&self.stood, |what| self.stood.iter().filter(|stands| **stands == what).count());
        assert!(stood.is_sorted(), "what stood does not stand any more: {stood:?}");
        // Each guard, write and event, and what belongs to them, has a moment before it.
        assert!(count(Stands::Nothing) > 6, "{stood:?}");
        match self.operation {
            Operation::RevokeMany => {
                assert!(count(Stands::Part) > 6 && count(Stands::All) >= behind_commit, "{stood:?}");
            }
            // These count what was stopped after the commit.
            Operation::Close | Operation::Suspend => {
                assert!(count(Stands::Part) == 0 && count(Stands::All) >= behind_commit, "{stood:?}");
            }
            _ => assert_eq!((count(Stands::Part), count(Stands::All)), (0, behind_commit), "{stood:?}"),
        }
    }
}

async fn head<S: Ledger>(store: &Arc<S>) -> Head {
    match store.changes_since(None).await.unwrap() {
        Changes::Reset { head } => head,
        other => panic!("{other:?}"),
    }
}

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn end_of_grace() -> Timestamp {
    "2026-03-08T12:00:00Z".parse().unwrap()
}

fn blue() -> TeamId {
    TeamId::new("blue").unwrap()
}
