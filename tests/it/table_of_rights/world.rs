use std::sync::atomic::{AtomicUsize, Ordering};

use tower_api_keys::{
    Actor, ApiKeys, KeyManager, OrganizationId, Owner, Principal, Timestamp,
    audit::EventRow,
    key::KeyId,
    manage::{Rights, RotateKey, TeamRole},
    record::{KeyRow, Suspension},
    store::{AuditedWrite, Change, ChangeId, EventQuery, KeyQuery, Ledger, ListedKey, OwnerChange, OwnerRef, Write},
    usage::{UsageBatch, UsageRow},
};

use super::cells::Cell;
use crate::support::{noon, system, team, user};

/// Gives each cell its own organizations and keys, so that cells do not affect each other in any store.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// The surroundings of one cell.
pub struct World<'a, S> {
    keys: &'a ApiKeys<S>,
    store: &'a S,
    number: usize,
    pub home: OrganizationId,
    pub abroad: OrganizationId,
}

/// Everything stored in an organization.
#[derive(Debug, PartialEq)]
pub struct Standing {
    keys: Vec<ListedKey>,
    pub events: Vec<EventRow>,
}

impl<'a, S: Ledger> World<'a, S> {
    pub fn new(keys: &'a ApiKeys<S>, store: &'a S) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let organization = |name: &str| OrganizationId::new(format!("{name}-{number}")).unwrap();
        Self { keys, store, number, home: organization("home"), abroad: organization("abroad") }
    }

    pub fn manager_of(&self, organization: &OrganizationId) -> KeyManager {
        self.keys.manager_for(organization.clone())
    }

    fn id(&self, what: char) -> KeyId {
        KeyId::new(&format!("{what}{:0>19}", self.number)).unwrap()
    }

    /// The key that is acted upon.
    pub fn target(&self) -> KeyId {
        self.id('t')
    }

    /// Puts the target into the store, with what the action needs.
    pub async fn prepare(&self, cell: &Cell) {
        self.plant(&self.target(), &cell.owner(), if cell.action == "widen" { "read" } else { "*" }).await;
        self.use_once(&self.target()).await;
        match cell.action {
            "reinstate" => self.suspend(&cell.owner()).await,
            "erase" => {
                let of = OwnerRef { organization: self.home.clone(), owner: cell.owner() };
                self.apply(Write::Owner(of, OwnerChange::Close), None, &cell.owner()).await;
            }
            "orgerase" => {
                let write = Write::Organization(self.home.clone(), OwnerChange::Close);
                self.apply(write, None, &cell.owner()).await;
            }
            "orgstart" => {
                let write = Write::Organization(self.home.clone(), OwnerChange::Suspend(Suspension::Admin));
                self.apply(write, None, &cell.owner()).await;
            }
            // Paused by the person who may resume it, if it is their own key.
            "resume" => {
                let (organization, id, by) = (self.home.clone(), self.target(), "user:alice".to_owned());
                self.apply(Write::Pause { organization, id, by }, Some(&id), &cell.owner()).await;
            }
            "rotation" | "finish" | "abort" => {
                let manager = self.manager_of(&self.home);
                let _new = manager.begin_rotation(RotateKey::of(self.target()), &system()).await.unwrap();
            }
            _ => {}
        }
    }

    /// Writes a key into the own organization without issuing it. Its text does not exist.
    async fn plant(&self, id: &KeyId, owner: &Owner, scopes: &str) {
        self.plant_in(&self.home, id, owner, scopes).await;
    }

    async fn plant_in(&self, organization: &OrganizationId, id: &KeyId, owner: &Owner, scopes: &str) {
        let row = KeyRow {
            organization: organization.as_str().into(),
            id: id.as_str().into(),
            kind: owner.kind().as_str().into(),
            owner: owner.id().into(),
            scopes: scopes.into(),
            created_at: noon().as_millis(),
            ..KeyRow::example()
        };
        self.apply(Write::Insert(row), Some(id), owner).await;
    }

    async fn suspend(&self, owner: &Owner) {
        let of = OwnerRef { organization: self.home.clone(), owner: owner.clone() };
        self.apply(Write::Owner(of, OwnerChange::Suspend(Suspension::Admin)), None, owner).await;
    }

    /// Writes a change without a manager.
    async fn apply(&self, write: Write, key: Option<&KeyId>, owner: &Owner) {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3_of(&format!("{write:?}"))[..16]);
        let event = EventRow {
            organization: self.home.as_str().into(),
            action: "planted".into(),
            key: key.map(|key| key.as_str().into()),
            owner_kind: owner.kind().as_str().into(),
            owner: owner.id().into(),
            ..EventRow::example()
        };
        let writes = vec![AuditedWrite { write, event }];
        // An owner that was closed a moment ago cannot be erased.
        let at = noon().saturating_sub(std::time::Duration::from_secs(3_600));
        let change = Change { id: ChangeId::from_bytes(id), at, writes, guards: vec![], idempotency: None };
        self.store.apply(&change).await.unwrap();
    }

    async fn use_once(&self, id: &KeyId) {
        let at = noon().as_millis();
        let row = UsageRow {
            key: Some(id.as_str().into()),
            organization: None,
            outcome: "success".into(),
            label: String::new(),
            client: String::new(),
            network: String::new(),
            count: 1,
            first_at: at,
            last_at: at,
        };
        let writer = id.as_bytes()[4..].try_into().unwrap();
        self.store.record_usage(&UsageBatch { writer, sequence: 1, rows: vec![row], days: Vec::new() }).await.unwrap();
    }

    /// Everything stored in the own and in the other organization.
    pub async fn all(&self) -> [Standing; 2] {
        [self.standing(&self.home).await, self.standing(&self.abroad).await]
    }

    async fn standing(&self, organization: &OrganizationId) -> Standing {
        let query = KeyQuery { limit: 1_000, ..KeyQuery::all(organization.clone()) };
        let keys = self.store.list(&query, noon()).await.unwrap().rows;
        let query = EventQuery { limit: 1_000, ..EventQuery::all(organization.clone()) };
        let events = self.store.events(&query).await.unwrap().rows;
        Standing { keys, events: events.into_iter().filter(is_change).collect() }
    }

    /// Returns the actor. If a key acts, it is first written into its organization.
    pub async fn actor(&self, name: &str, included: bool, organization: &OrganizationId) -> Actor {
        let Role { is_key, owner, with, rights } = role(name, included);
        if name == "system" {
            return system();
        }
        if !is_key {
            return Actor::user(user(name), rights).with_organization(organization.clone());
        }
        let acting = self.id('a');
        self.plant_in(organization, &acting, &owner, with).await;
        let principal = match &owner {
            Owner::User(user) => Principal::fake().user(user.as_str()),
            Owner::Team(team) => Principal::fake().team(team.as_str()),
        };
        let principal = principal.unwrap().key(acting).scopes(with.parse().unwrap());
        Actor::key(&principal.organization(organization.clone()).build(), rights)
    }
}

/// The properties of an actor.
pub struct Role {
    /// Whether a key acts, and not a person.
    pub is_key: bool,
    pub owner: Owner,
    /// The scopes of the key.
    pub with: &'static str,
    pub rights: Rights,
}

pub fn role(name: &str, included: bool) -> Role {
    let (owner, with, rights): (Owner, _, _) = match name {
        "all-alice" => (user("alice").into(), "*", Rights::none().org_admin()),
        "all-blue" => (team("blue").into(), "*", of_plan(Rights::none(), "blue", included)),
        // More rights than a team key can use: all are ignored except the plan of its own team.
        "k-blue" => {
            let rights = of_plan(Rights::none().org_admin(), "blue", included);
            (team("blue").into(), "* keys:manage", of_plan(rights.team(team("red"), TeamRole::Owner), "red", included))
        }
        "read-blue" => (team("blue").into(), "* keys:read", Rights::none()),
        "issue-blue" => (team("blue").into(), "* keys:issue", of_plan(Rights::none(), "blue", included)),
        "rotate-blue" => (team("blue").into(), "* keys:rotate", of_plan(Rights::none(), "blue", included)),
        "revoke-blue" => (team("blue").into(), "* keys:revoke", Rights::none()),
        "k-red" => {
            let rights = of_plan(Rights::none().org_admin().team(team("blue"), TeamRole::Owner), "blue", included);
            (team("red").into(), "* keys:manage", rights)
        }
        name => match name.strip_prefix("k-") {
            Some(name) => (user(name).into(), "* keys:manage", rights(name, included)),
            None => return Role { is_key: false, owner: user(name).into(), with: "*", rights: rights(name, included) },
        },
    };
    Role { is_key: true, owner, with, rights }
}

/// Whether the event is a change: not one of the preparation, and not a denial.
fn is_change(event: &EventRow) -> bool {
    !["planted", "manage.denied"].contains(&event.action.as_str())
}

/// These rights, and whether the plan of this team includes team keys.
fn of_plan(rights: Rights, of: &str, included: bool) -> Rights {
    if included { rights.team_keys_included_for(team(of)) } else { rights }
}

fn rights(name: &str, included: bool) -> Rights {
    match name {
        "member" => of_plan(Rights::none().team(team("blue"), TeamRole::Member), "blue", included),
        "admin" => of_plan(Rights::none().team(team("blue"), TeamRole::Admin), "blue", included),
        "owner" => of_plan(Rights::none().team(team("blue"), TeamRole::Owner), "blue", included),
        "red" => of_plan(Rights::none().team(team("red"), TeamRole::Owner), "red", included),
        "org" => of_plan(Rights::none().org_admin(), "blue", included),
        "unsaid" => Rights::none().org_admin(),
        "manager" => of_plan(Rights::none().may_manage_keys(team("blue")), "blue", included),
        "auditor" => Rights::none().auditor(),
        _ => Rights::none(),
    }
}

fn blake3_of(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
