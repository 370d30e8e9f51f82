//! Changes to keys in the midst of which a process is killed: what each needs, how it is done, and what may stand
//! afterwards. What kills is the business of those who use this: a test of the library, which reaches the connection of
//! its SQLite store, and an integration test with a PostgreSQL server.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyManager, ManualClock, OrganizationId, Owner, TeamId, Timestamp, UserId,
    hash::{Argon2Params, HasherConfig},
    key::KeyId,
    manage::{Effect, ListKeys, ManageError, ManageErrorKind, Plan, Rights, RotateKey, TeamRole},
    record::Hold,
    store::{Changes, EventQuery, Head, KeyQuery, KeyStore, OwnerRef},
};

/// A change to keys. Another one needs a place in `ALL`, and whatever the compiler asks for then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Of a rotation with an end of grace: the new key is revoked, and the old one gets its expiry back.
    Abort,
    /// With an end of grace: a new key, and the old one gets an expiry.
    BeginRotation,
    Close,
    Finish,
    Hold,
    Issue,
    Rename,
    Revoke,
}

impl Operation {
    pub const ALL: [Self; 8] = [
        Self::Abort,
        Self::BeginRotation,
        Self::Close,
        Self::Finish,
        Self::Hold,
        Self::Issue,
        Self::Rename,
        Self::Revoke,
    ];

    /// The operation of this name: as `Debug` writes it.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|operation| format!("{operation:?}") == name).expect("there is such an operation")
    }

    /// Its events, one for each thing that it writes: what happened, and to which key, in the order in which they were
    /// made.
    const fn events(self) -> &'static [(&'static str, Option<usize>)] {
        match self {
            Self::Abort => &[("key.rotation_aborted", Some(1)), ("key.expiry_set", Some(0))],
            Self::BeginRotation => &[("key.rotation_begun", Some(1)), ("key.expiry_set", Some(0))],
            Self::Close => &[("owner.closed", None)],
            Self::Finish => &[("key.rotation_finished", Some(0))],
            Self::Hold => &[("owner.held", None)],
            Self::Issue => &[("key.issued", Some(1))],
            Self::Rename => &[("key.renamed", Some(0))],
            Self::Revoke => &[("key.revoked", Some(0))],
        }
    }

    /// What somebody is told who asks for it when it is done already.
    const fn told_again(self) -> Result<Effect, ManageErrorKind> {
        match self {
            Self::BeginRotation | Self::Issue => Err(ManageErrorKind::Replay),
            // The same name once more writes nothing and is no news.
            Self::Rename => Ok(Effect::Done),
            Self::Abort | Self::Close | Self::Finish | Self::Hold | Self::Revoke => Ok(Effect::Already),
        }
    }
}

/// Keys of an organization that is there for one operation.
#[derive(Clone, Debug)]
pub struct Scene {
    pub operation: Operation,
    pub organization: OrganizationId,
}

/// A process that is about to begin the operation: it knows the keys.
pub struct Ready<S> {
    scene: Scene,
    manager: KeyManager<S>,
    ids: Vec<KeyId>,
}

impl Scene {
    pub fn new(operation: Operation, organization: &str) -> Self {
        Self { operation, organization: OrganizationId::new(organization).unwrap() }
    }

    /// Everything up to the operation.
    async fn prepare<S: KeyStore>(&self, store: &Arc<S>) {
        let manager = self.manager(store, 0).await;
        let old = manager.issue(IssueKey::team(blue()).named("old"), &self.alice()).await.unwrap();
        if matches!(self.operation, Operation::Abort | Operation::Finish) {
            let mut request = RotateKey::of(old.info().id).named("new");
            if self.operation == Operation::Abort {
                request = request.old_key_ends_at(end_of_grace());
            }
            drop(self.manager(store, 1).await.begin_rotation(request, &self.alice()).await.unwrap());
        }
    }

    pub async fn ready<S: KeyStore>(&self, store: &Arc<S>) -> Ready<Arc<S>> {
        let manager = self.manager(store, 2).await;
        let keys = manager.list(ListKeys::all(), &self.alice()).await.unwrap().keys;
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        // Single keys may have a connection of their own, and it is not made in the midst of the operation.
        manager.find(&ids[0], &self.alice()).await.unwrap();
        Ready { scene: self.clone(), manager, ids }
    }

    /// That of a process which begins so many minutes after noon.
    async fn manager<S: KeyStore>(&self, store: &Arc<S>, minutes: u64) -> KeyManager<Arc<S>> {
        let hasher = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET);
        let clock = Arc::new(ManualClock::at(noon().saturating_add(Duration::from_secs(60 * minutes))));
        let keys = ApiKeys::builder(Arc::clone(store)).hasher(hasher).clock(clock).build().await.unwrap();
        keys.manager_for(self.organization.clone())
    }

    /// Somebody who must be active at the moment of commit, and may do everything.
    fn alice(&self) -> Actor {
        let rights = Rights::none().org_admin().team(blue(), TeamRole::Owner, Plan::Enterprise);
        Actor::user(UserId::new("alice").unwrap(), rights).in_organization(self.organization.clone())
    }

    /// All that stands in the organization, and what the change log says since the head: the same for every organization
    /// in which the same happened.
    async fn standing<S: KeyStore>(&self, store: &Arc<S>, since: Head) -> String {
        let keys = store.list(&KeyQuery::all(self.organization.clone()), noon()).await.unwrap().rows;
        let events = store.events(&EventQuery::all(self.organization.clone())).await.unwrap().rows;
        let owner = OwnerRef { organization: self.organization.clone(), owner: Owner::Team(blue()) };
        let status = store.owner_status(&owner).await.unwrap();
        let mut text = String::new();
        for mut listed in keys.clone() {
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
            Changes::Changed { keys, owners, .. } => writeln!(text, "{keys:?} {owners:?}").unwrap(),
            lost @ (Changes::Reset { .. } | Changes::Untracked) => panic!("{lost:?}"),
        }
        for (place, listed) in keys.iter().enumerate() {
            text = text.replace(&listed.key.id, &format!("key {place}"));
        }
        text.replace(self.organization.as_str(), "here")
    }
}

impl<S: KeyStore> Ready<Arc<S>> {
    /// The operation itself.
    pub async fn act(&self) -> Result<Effect, ManageErrorKind> {
        let (manager, alice, key) = (&self.manager, &self.scene.alice(), |place: usize| &self.ids[place]);
        let done = |_| Effect::Done;
        let told: Result<Effect, ManageError> = match self.scene.operation {
            Operation::Abort => manager.abort_rotation(key(1), alice).await.map(|ended| ended.effect),
            Operation::BeginRotation => {
                let request = RotateKey::of(*key(0)).named("new").old_key_ends_at(end_of_grace());
                manager.begin_rotation(request.idempotency_key("rotate"), alice).await.map(done)
            }
            Operation::Close => manager.close(&Owner::Team(blue()), alice).await,
            Operation::Finish => manager.finish_rotation(key(1), alice).await.map(|ended| ended.effect),
            Operation::Hold => manager.hold(&Owner::Team(blue()), Hold::Suspended, alice).await,
            Operation::Issue => {
                let request = IssueKey::team(blue()).named("new").idempotency_key("issue");
                manager.issue(request, alice).await.map(done)
            }
            Operation::Rename => manager.rename(key(0), "renamed", alice).await.map(|_| Effect::Done),
            Operation::Revoke => manager.revoke(key(0), alice).await.map(|revoked| revoked.effect()),
        };
        told.map_err(|error| error.kind())
    }
}

/// Says what may stand after each kill.
pub struct Judge {
    operation: Operation,
    before: String,
    after: String,
    /// Whether the change stood after each kill.
    stood: Vec<bool>,
    /// What the present process found when it began.
    head: Head,
}

impl Judge {
    /// Does the operation once in a process that nobody kills.
    pub async fn new<S: KeyStore>(operation: Operation, store: &Arc<S>) -> Self {
        let scene = Scene::new(operation, &format!("whole-{operation:?}"));
        scene.prepare(store).await;
        let head = head(store).await;
        let before = scene.standing(store, head).await;
        assert_eq!(scene.ready(store).await.act().await, Ok(Effect::Done));
        let after = scene.standing(store, head).await;
        assert_eq!(scene.ready(store).await.act().await, operation.told_again());
        assert_eq!(scene.standing(store, head).await, after, "it is done twice");
        let events = &store.events(&EventQuery::all(scene.organization.clone())).await.unwrap().rows;
        let ids = scene.ready(store).await.ids;
        let place = |key: &String| ids.iter().position(|id| id.as_str() == key);
        let begun = noon().saturating_add(Duration::from_secs(120)).as_millis();
        let told: Vec<_> = events
            .iter()
            .filter(|event| event.at == begun)
            .map(|event| (event.action.as_str(), event.key.as_ref().and_then(place)))
            .collect();
        assert_eq!(told, operation.events());
        Self { operation, before, after, stood: Vec::new(), head }
    }

    /// A scene for the next process.
    pub async fn scene<S: KeyStore>(&mut self, store: &Arc<S>) -> Scene {
        let scene = Scene::new(self.operation, &format!("killed-{:?}-{}", self.operation, self.stood.len()));
        scene.prepare(store).await;
        self.head = head(store).await;
        assert_eq!(scene.standing(store, self.head).await, self.before);
        scene
    }

    /// After a kill nothing of the change stands, or all of it; and whoever does it then comes to the same end.
    pub async fn judge<S: KeyStore>(&mut self, scene: &Scene, store: &Arc<S>) {
        let found = scene.standing(store, self.head).await;
        let stands = found == self.after;
        assert!(stands || found == self.before, "half of it stands, {}:\n{found}", self.place());
        let told = scene.ready(store).await.act().await;
        let expected = if stands { self.operation.told_again() } else { Ok(Effect::Done) };
        assert_eq!(told, expected, "asked again, {}", self.place());
        assert_eq!(scene.standing(store, self.head).await, self.after, "another end, {}", self.place());
        self.stood.push(stands);
    }

    /// After the process that was not killed any more. Says whether the change stood after each kill.
    pub async fn conclude<S: KeyStore>(self, scene: &Scene, store: &Arc<S>) -> Vec<bool> {
        assert_eq!(scene.standing(store, self.head).await, self.after);
        self.stood
    }

    fn place(&self) -> String {
        format!("{:?} killed at moment {}", self.operation, self.stood.len() + 1)
    }
}

async fn head<S: KeyStore>(store: &Arc<S>) -> Head {
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
