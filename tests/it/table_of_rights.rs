//! Every action by every kind of actor, for personal and team keys, on every plan, in the own and in another
//! organization, on every store.

mod acts;
mod cells;
mod through_the_layer;
mod world;

use std::{sync::Arc, time::Duration};

use cells::Cell;
use futures_util::{StreamExt, stream};
use tower_api_keys::{
    Actor, ApiKeys, Scope,
    key::KeyId,
    manage::{ManageError, Rights},
    store::{Ledger, MemoryStore, SqliteStore},
};
use world::World;

use crate::support::{cheap, clock, system, user};

/// Where a cell is played: the organizations of the target, the manager and the actor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Target, manager and actor are of the same organization.
    Home,
    /// The actor is of another organization.
    ForeignActor,
    /// The target is of another organization.
    ForeignTarget,
}

/// How long a key with the scope [`acts::BRIEF`] may live.
const HOUR: Duration = Duration::from_secs(3_600);

/// The number of cells that are played at once.
const AT_ONCE: usize = 16;

/// Plays every cell. `make` returns the store for each action: a new one, or always the same.
async fn table_of_rights_holds<S: Ledger>(mut make: impl FnMut() -> Arc<S>) {
    for cells in cells::by_action() {
        let store = make();
        let (keys, store) = (&service(&store).await, &store);
        let played = [Stage::Home, Stage::ForeignActor, Stage::ForeignTarget]
            .map(|stage| stream::iter(stage.cells(&cells)).map(move |cell| play(keys, store, cell, stage)));
        let played = stream::iter(played).flatten().buffer_unordered(AT_ONCE);
        let wrong: Vec<String> = played.flat_map(stream::iter).collect().await;
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}

/// A service with keys in this store.
async fn service<S: Ledger>(store: &Arc<S>) -> ApiKeys<Arc<S>> {
    let keys = ApiKeys::builder(Arc::clone(store)).hasher(cheap()).clock(clock());
    keys.longest_life_with_scope(Scope::new(acts::BRIEF).unwrap(), HOUR).build().await.unwrap()
}

impl Stage {
    /// The cells to play. In another organization the plan makes no difference, so only one plan is played.
    fn cells(self, of: &[Cell]) -> Vec<Cell> {
        let first = |cell: &&Cell| self == Self::Home || of.iter().all(|other| !other.is_before(cell));
        // The system belongs to no organization. It acts in that of the manager.
        let has_home = |cell: &&Cell| self != Self::ForeignActor || cell.actor != "system";
        of.iter().filter(first).filter(has_home).copied().collect()
    }
}

/// Acts in organizations that hold the target and, if a key acts, that key. Returns what is wrong with the answer.
async fn play<S: Ledger>(keys: &ApiKeys<Arc<S>>, store: &Arc<S>, cell: Cell, stage: Stage) -> Vec<String> {
    let world = World::new(keys, store);
    world.prepare(&cell).await;
    let (manager_of, actor_of) = match stage {
        Stage::Home => (&world.home, &world.home),
        Stage::ForeignActor => (&world.home, &world.abroad),
        Stage::ForeignTarget => (&world.abroad, &world.abroad),
    };
    let actor = world.actor(cell.actor, cell.included, actor_of).await;
    let manager = world.manager_of(manager_of);
    let before = world.all().await;
    let asked = acts::ask(&world, &manager, &cell, &actor).await;
    let told = acts::act(&world, &manager, &cell, &actor).await;
    let after = world.all().await;

    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            let Cell { whose, action, actor, included, .. } = cell;
            wrong.push(format!("{whose} {action} by {actor} on {included}: {what}"));
        }
    };
    let is_untouched = before == after;
    match stage {
        Stage::Home => {
            check(told == cell.expected, format!("{told}, not {}", cell.expected));
            // Only the act checks whether the actor is suspended.
            let button = match cell.expected {
                "bare" | "late" | "nothing" | "usage" => "yes",
                "held" if ["erase", "orgerase", "orgstart"].contains(&cell.action) => "system",
                // The button is the same as for any new key.
                "system" if cell.action == "known" => "yes",
                "held" => "role",
                expected => expected,
            };
            check(asked == button, format!("the button says {asked}, not {button}"));
            let changes = cell.is_told() && ["usage", "yes"].contains(&cell.expected);
            // The events of an erased organization no longer belong to it.
            let events = after[0].events.len().saturating_sub(before[0].events.len());
            check(events == if changes { cell.events() } else { 0 }, format!("{events} events"));
            check(is_untouched != changes, format!("untouched: {is_untouched}"));
        }
        Stage::ForeignActor => {
            check(told == "-" && asked == "-", format!("{told}, and the button says {asked}"));
            check(is_untouched, "touched".into());
        }
        // Owners with the same id exist in both organizations. Only a key shows that it is of another organization.
        Stage::ForeignTarget => {
            // Whether a rotation would give more rights than the key has is known only after the key is read.
            let looks_first = (cell.action, cell.actor) == ("widen", "rotate-blue");
            // An acting key that lacks a right, or can never have it, gets that reason for any target.
            let is_of_keys = ["people", "scope"].contains(&cell.expected);
            let expected = if is_of_keys && !looks_first { cell.expected } else { "-" };
            check(!cell.names_a_key() || told == expected, format!("{told}, not {expected}"));
            check(told != "usage" && told != "bare", told);
            check(before[0] == after[0], "touched".into());
        }
    }
    wrong
}

#[tokio::test]
async fn table_of_rights_holds_in_memory() {
    table_of_rights_holds(|| Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn table_of_rights_holds_in_sqlite() {
    let store = Arc::new(SqliteStore::in_memory().await.unwrap());
    table_of_rights_holds(|| Arc::clone(&store)).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn table_of_rights_holds_in_postgresql() {
    use tower_api_keys::store::{PostgresSettings, PostgresStore};

    let server = crate::postgres::server::Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let settings = PostgresSettings::new().with_schema("keys");
    let store = Arc::new(PostgresStore::connect_with(&server.url(), settings).await.unwrap());
    table_of_rights_holds(|| Arc::clone(&store)).await;
}

#[tokio::test]
async fn table_of_rights_makes_hidden_and_absent_look_the_same() {
    let store = MemoryStore::new();
    let keys = ApiKeys::builder(store).hasher(cheap()).clock(clock()).build().await.unwrap();
    let blue = crate::support::team("blue");
    let issued = keys.manager().issue(tower_api_keys::IssueKey::team(blue), &system()).await.unwrap();
    let absent = KeyId::new("BBBBBBBBBBBBBBBBBBBB").unwrap();
    let bob = Actor::user(user("bob"), Rights::none());
    let told = |error: ManageError| format!("{error} {error:?}");
    let hidden = keys.manager().find(&issued.info().id, &bob).await.map_err(told).unwrap_err();
    let absent = keys.manager().find(&absent, &bob).await.map_err(told).unwrap_err();
    assert_eq!(hidden, absent);
}

#[test]
fn table_of_rights_has_every_action_and_actor_on_every_plan() {
    let (actors, plans) = (25, 2);
    assert_eq!(cells::all().len(), (cells::USER_ACTIONS + cells::TEAM_ACTIONS) * actors * plans);
}
