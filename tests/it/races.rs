//! Two actors change the same things at the same moment, each through its own node. One of them wins, the other gets
//! the reason, and the audit trail has what happened exactly once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::sync::Barrier;
use tower_api_keys::{
    Actor, ApiKeys, KeyManager, OrganizationId, Owner, Scope, Scopes,
    audit::EventRow,
    key::KeyId,
    manage::{DenialReason, Effect, IssueKey, ManageErrorKind, Rights, RotateKey, TeamRole},
    record::{KeyRow, Suspension},
    store::{EventQuery, KeyQuery, KeyStore, Ledger, MemoryStore, SqliteStore},
};

use crate::support::{
    cheap,
    hooked::{Hooked, Hooks},
    noon, secrets,
    secrets::scratch,
    system, team, user,
};

type Node<S> = ApiKeys<Arc<Hooked<S>>>;

/// Two nodes, and the stores through which they see the same keys.
struct Nodes<S> {
    stores: [Arc<Hooked<S>>; 2],
    keys: [Node<S>; 2],
    races: AtomicUsize,
}

/// One race, in its own organization.
struct Race<'a, S> {
    nodes: &'a Nodes<S>,
    organization: OrganizationId,
    /// Whether both nodes have decided what to write before either of them writes. If not, they only begin together.
    meet_late: bool,
}

/// What the first actor does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Issue,
    Rename,
    Revoke,
    Rotate,
}

/// What the second actor stops meanwhile, so that the first may no longer act.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    CloseActor,
    CloseOwner,
    SuspendActor,
    SuspendOwner,
    SuspendOwnerOfActingKey,
    RevokeActingKey,
}

type Told<T = Effect> = Result<T, ManageErrorKind>;

/// The number of races in each round.
const RACES: usize = 23;

async fn race_everything<S: Ledger>(first: S, second: S, rounds: usize) {
    let stores = [first, second].map(|store| Arc::new(Hooked::new(store)));
    let node = async |place: usize| ApiKeys::builder(stores[place].clone()).hasher(cheap()).build().await.unwrap();
    let keys = [node(0).await, node(1).await];
    let nodes = Nodes { stores, keys, races: AtomicUsize::new(0) };
    for round in 0..rounds {
        assert_eq!(nodes.races.load(Ordering::Relaxed), round * RACES);
        nodes.race().two_revoke().await;
        nodes.race().one_renames_and_one_revokes().await;
        nodes.race().two_suspend().await;
        nodes.race().two_close().await;
        nodes.race().one_suspends_and_one_closes().await;
        for act in [Act::Issue, Act::Rotate] {
            for stop in [Stop::SuspendOwner, Stop::CloseOwner] {
                nodes.race().one_acts_and_one_stops(act, stop).await;
            }
        }
        for act in [Act::Issue, Act::Rename, Act::Revoke, Act::Rotate] {
            for stop in [Stop::SuspendActor, Stop::CloseActor, Stop::RevokeActingKey] {
                nodes.race().one_acts_and_one_stops(act, stop).await;
            }
        }
        for act in [Act::Rename, Act::Revoke] {
            nodes.race().one_acts_and_one_stops(act, Stop::SuspendOwnerOfActingKey).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_race_in_memory_have_one_winner() {
    let store = Arc::new(MemoryStore::new());
    race_everything(store.clone(), store, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_race_in_sqlite_have_one_winner() {
    let folder = scratch();
    let open = || async { SqliteStore::open(folder.path().join("keys.db")).await.unwrap() };
    race_everything(open().await, open().await, 100).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_race_in_postgres_have_one_winner() {
    use crate::postgres::server::Server;
    use tower_api_keys::store::{PostgresSettings, PostgresStore};

    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let connect = || async {
        let settings = PostgresSettings::new().with_schema("keys");
        PostgresStore::connect_with(&server.url(), settings).await.unwrap()
    };
    race_everything(connect().await, connect().await, 50).await;
}

impl<S: Ledger> Nodes<S> {
    /// The races of one round meet early, and those of the next round late.
    fn race(&self) -> Race<'_, S> {
        let number = self.races.fetch_add(1, Ordering::Relaxed);
        let organization = OrganizationId::new(format!("race-{number}")).unwrap();
        Race { nodes: self, organization, meet_late: (number / RACES).is_multiple_of(2) }
    }
}

impl<S: Ledger> Race<'_, S> {
    async fn two_revoke(&self) {
        let key = self.victim().await;
        let told = self
            .at_once(move |manager, place| async move {
                let revoked = manager.revoke(&key, &somebody(place)).await.map_err(|error| error.kind());
                revoked.map(|revoked| (revoked.effect(), revoked.into_info().revoked_by))
            })
            .await
            .map(Result::unwrap);
        let winner = told.iter().position(|(effect, _)| *effect == Effect::Changed).expect("nobody revoked it");
        let by = somebody(winner).id();
        assert_eq!(told[1 - winner].0, Effect::Unchanged, "both revoked it");
        assert!(told.iter().all(|(_, revoked_by)| *revoked_by == Some(by.clone())), "{told:?}");
        assert_eq!(self.rows().await[0].revoked_by, Some(by.to_string()));
        let events = self.events().await;
        assert_eq!(actions(&events), ["key.issued", "key.revoked"]);
        assert_eq!(events[1].actor, by.to_string());
    }

    async fn one_renames_and_one_revokes(&self) {
        let key = self.victim().await;
        let told = self
            .at_once(move |manager, place| async move {
                if place == 0 {
                    return act(&manager, Act::Rename, key, &system()).await.map(|()| Effect::Changed);
                }
                manager.revoke(&key, &system()).await.map(|revoked| revoked.effect()).map_err(|error| error.kind())
            })
            .await;
        let (events, row) = (self.events().await, self.rows().await.remove(0));
        assert!(row.revoked_at.is_some());
        match told {
            [Ok(_), Ok(Effect::Changed)] => {
                assert_eq!(actions(&events), ["key.issued", "key.renamed", "key.revoked"]);
                assert_eq!((row.name.as_str(), row.version), ("renamed", 2));
            }
            [Err(ManageErrorKind::KeyRevoked), Ok(Effect::Changed)] => {
                assert_eq!(actions(&events), ["key.issued", "key.revoked"]);
                assert_eq!((row.name.as_str(), row.version), ("victim", 1));
            }
            _ => panic!("{told:?}"),
        }
    }

    async fn two_suspend(&self) {
        let told = self.at_once(|manager, _| async move { suspend(&manager, &blue()).await }).await;
        assert!(one_won(&told), "{told:?}");
        assert_eq!(actions(&self.events().await), ["owner.suspended"]);
    }

    async fn two_close(&self) {
        let told = self.at_once(|manager, _| async move { close(&manager, &blue()).await }).await;
        assert!(one_won(&told), "{told:?}");
        assert_eq!(actions(&self.events().await), ["owner.closed"]);
    }

    async fn one_suspends_and_one_closes(&self) {
        let told = self
            .at_once(|manager, place| async move {
                if place == 0 { suspend(&manager, &blue()).await } else { close(&manager, &blue()).await }
            })
            .await;
        let expected: &[&str] = match told {
            [Ok(Effect::Changed), Ok(Effect::Changed)] => &["owner.suspended", "owner.closed"],
            [Err(ManageErrorKind::OwnerClosed), Ok(Effect::Changed)] => &["owner.closed"],
            _ => panic!("{told:?}"),
        };
        assert_eq!(actions(&self.events().await), expected);
    }

    /// The act is done before the stop, or not at all.
    async fn one_acts_and_one_stops(&self, what: Act, stop: Stop) {
        let (victim, bot) = (self.victim().await, self.bot(stop).await);
        let actor = bot.as_ref().map_or_else(|| self.alice(), |(_, bot)| bot.clone());
        let bot = bot.map(|(id, _)| id);
        let before = self.events().await.len();
        let told = self
            .at_once(move |manager, place| {
                let actor = actor.clone();
                async move {
                    if place == 0 {
                        return act(&manager, what, victim, &actor).await.map(|()| Effect::Changed);
                    }
                    stop.carry_out(&manager, bot).await
                }
            })
            .await;
        let [done, Ok(Effect::Changed)] = told else { panic!("{what:?} {stop:?}: {told:?}") };
        let is_done = done.is_ok();
        if let Err(why) = done {
            assert_eq!(why, stop.reason(), "{what:?} {stop:?}");
        }
        let mut expected = if is_done { what.events() } else { Vec::new() };
        expected.push(stop.event());
        assert_eq!(actions(&self.events().await[before..]), expected, "{what:?} {stop:?}");

        let mut expected = vec![("victim", matches!(what, Act::Revoke) && is_done)];
        match what {
            Act::Rename if is_done => expected[0].0 = "renamed",
            Act::Issue | Act::Rotate if is_done => expected.push(("made", false)),
            _ => {}
        }
        expected.extend(bot.map(|_| ("bot", stop == Stop::RevokeActingKey)));
        expected.sort_unstable();
        let rows = self.rows().await;
        let mut found: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.revoked_at.is_some())).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{what:?} {stop:?}");
    }

    /// Runs `act` on both nodes at the same moment.
    async fn at_once<T, F>(&self, act: impl Fn(KeyManager, usize) -> F) -> [T; 2]
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        if self.meet_late {
            meet_before_writing(self.nodes.stores.each_ref().map(|store| &*store.hooks));
        }
        let start = Arc::new(Barrier::new(2));
        let [one, other] = [0, 1].map(|place| {
            let manager = self.nodes.keys[place].manager_for(self.organization.clone());
            let (start, acting) = (start.clone(), act(manager, place));
            tokio::spawn(async move {
                start.wait().await;
                acting.await
            })
        });
        [one.await.unwrap(), other.await.unwrap()]
    }

    fn manager(&self) -> KeyManager {
        self.nodes.keys[0].manager_for(self.organization.clone())
    }

    /// The key that is changed.
    async fn victim(&self) -> KeyId {
        let issued = self.manager().issue(IssueKey::of(blue()).named("victim"), &system()).await.unwrap();
        secrets::remember(issued.plaintext().expose_secret());
        issued.info().id
    }

    /// The key that acts, if a key acts.
    async fn bot(&self, stop: Stop) -> Option<(KeyId, Actor)> {
        if !matches!(stop, Stop::SuspendOwnerOfActingKey | Stop::RevokeActingKey) {
            return None;
        }
        let request = IssueKey::of(blue()).named("bot").scopes(Scopes::all().with(Scope::KEYS_MANAGE));
        let issued = self.manager().issue(request, &system()).await.unwrap();
        let text = issued.plaintext().expose_secret();
        secrets::remember(text);
        let principal = self.nodes.keys[0].authenticator().authenticate(text).await.unwrap();
        Some((issued.info().id, Actor::key(&principal, Rights::none().team_keys_included_for(team("blue")))))
    }

    fn alice(&self) -> Actor {
        let rights = Rights::none().team(team("blue"), TeamRole::Owner).team_keys_included();
        Actor::user(user("alice"), rights).with_organization(self.organization.clone())
    }

    async fn rows(&self) -> Vec<KeyRow> {
        let query = KeyQuery::all(self.organization.clone());
        let listed = self.nodes.stores[0].list(&query, noon()).await.unwrap().rows;
        listed.into_iter().map(|listed| listed.key).collect()
    }

    /// The events of changes, without denials, which are written later.
    async fn events(&self) -> Vec<EventRow> {
        let query = EventQuery::all(self.organization.clone());
        let mut rows = self.nodes.stores[0].events(&query).await.unwrap().rows;
        rows.retain(|row| row.action != "manage.denied");
        rows
    }
}

/// Makes the next change of either store wait until the other store has one too.
fn meet_before_writing(hooks: [&Hooks; 2]) {
    let ((to_one, one_hears), (to_other, other_hears)) = (mpsc::channel(), mpsc::channel());
    for (hooks, says, hears) in [(hooks[0], to_other, one_hears), (hooks[1], to_one, other_hears)] {
        hooks.before("apply", 0, move || {
            says.send(()).unwrap();
            let heard = tokio::task::block_in_place(|| hears.recv_timeout(Duration::from_secs(30)));
            heard.expect("the other one writes as well");
        });
    }
}

impl Act {
    fn events(self) -> Vec<&'static str> {
        match self {
            Self::Issue => vec!["key.issued"],
            Self::Rename => vec!["key.renamed"],
            Self::Revoke => vec!["key.revoked"],
            Self::Rotate => vec!["key.rotation_begun", "key.successor_made"],
        }
    }
}

impl Stop {
    async fn carry_out(self, manager: &KeyManager, bot: Option<KeyId>) -> Told {
        match self {
            Self::CloseActor => close(manager, &user("alice").into()).await,
            Self::CloseOwner => close(manager, &blue()).await,
            Self::SuspendActor => suspend(manager, &user("alice").into()).await,
            Self::SuspendOwner | Self::SuspendOwnerOfActingKey => suspend(manager, &blue()).await,
            Self::RevokeActingKey => {
                let revoked = manager.revoke(&bot.unwrap(), &system()).await;
                revoked.map(|revoked| revoked.effect()).map_err(|error| error.kind())
            }
        }
    }

    const fn event(self) -> &'static str {
        match self {
            Self::CloseActor | Self::CloseOwner => "owner.closed",
            Self::SuspendActor | Self::SuspendOwner | Self::SuspendOwnerOfActingKey => "owner.suspended",
            Self::RevokeActingKey => "key.revoked",
        }
    }

    /// The error for the actor that came too late.
    fn reason(self) -> ManageErrorKind {
        match self {
            Self::CloseOwner => ManageErrorKind::OwnerClosed,
            Self::SuspendOwner => ManageErrorKind::OwnerSuspended,
            Self::CloseActor => ManageErrorKind::Denied(DenialReason::ActorClosed.into()),
            Self::SuspendActor | Self::SuspendOwnerOfActingKey => {
                ManageErrorKind::Denied(DenialReason::ActorSuspended.into())
            }
            Self::RevokeActingKey => ManageErrorKind::Denied(DenialReason::ActorKeyDead.into()),
        }
    }
}

async fn act(manager: &KeyManager, what: Act, key: KeyId, actor: &Actor) -> Told<()> {
    let done = match what {
        Act::Issue => manager.issue(IssueKey::of(blue()).named("made"), actor).await.map(drop),
        Act::Rename => manager.rename(&key, "renamed", actor).await.map(drop),
        Act::Revoke => manager.revoke(&key, actor).await.map(drop),
        Act::Rotate => manager.begin_rotation(RotateKey::of(key).named("made"), actor).await.map(drop),
    };
    done.map_err(|error| error.kind())
}

async fn suspend(manager: &KeyManager, owner: &Owner) -> Told {
    manager
        .suspend(owner, Suspension::Admin, &system())
        .await
        .map(|stopped| stopped.effect)
        .map_err(|error| error.kind())
}

async fn close(manager: &KeyManager, owner: &Owner) -> Told {
    manager.close(owner, &system()).await.map(|stopped| stopped.effect).map_err(|error| error.kind())
}

fn one_won(told: &[Told; 2]) -> bool {
    matches!(told, [Ok(Effect::Changed), Ok(Effect::Unchanged)] | [Ok(Effect::Unchanged), Ok(Effect::Changed)])
}

fn somebody(place: usize) -> Actor {
    Actor::system(["one", "other"][place]).unwrap()
}

fn blue() -> Owner {
    team("blue").into()
}

fn actions(events: &[EventRow]) -> Vec<&str> {
    events.iter().map(|event| event.action.as_str()).collect()
}
