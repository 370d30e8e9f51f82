//! The same table with real requests: through the layers, to a handler that acts in the organization of the path. Both
//! organizations have users and teams with the same ids.

use std::{convert::Infallible, sync::Arc};

use futures_util::{StreamExt, stream};
use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, Principal,
    middleware::{Refusal, RequireKeyLayer},
    store::{Ledger, MemoryStore},
};

use super::{
    AT_ONCE, acts,
    cells::{self, Cell},
    world::{Role, World, role},
};
use crate::support::{cheap, clock, system};

/// The organization of the caller's key, and the organization in the path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Both are the organization of the target.
    Home,
    /// A caller with the same id, of another organization.
    StrangerAtHome,
    /// The caller of the target's organization, at the path of the other one.
    HomeAbroad,
}

/// The answer that the handler got.
#[derive(Clone)]
struct Told(String);

/// The answer to a request: the handler's answer, or the code of a refusal.
async fn ask<S: Ledger>(keys: &ApiKeys<S>, world: &World<'_, S>, cell: &Cell, way: Way) -> String {
    let (caller_of, path_of) = match way {
        Way::Home => (&world.home, &world.home),
        Way::StrangerAtHome => (&world.abroad, &world.home),
        Way::HomeAbroad => (&world.home, &world.abroad),
    };
    let Role { owner, with, .. } = role(cell.actor, cell.included);
    let request = IssueKey::of(owner).scopes(with.parse().unwrap());
    let issued = world.manager_of(caller_of).issue(request, &system()).await;
    // A caller that is closed or suspended at home cannot get a key. The same id in the other organization can.
    let issued = match issued {
        Ok(issued) => issued,
        Err(error) => return format!("{:?}", error.kind()),
    };
    let handler = service_fn(|request: Request<()>| async move {
        let caller = request.extensions().get::<Principal>().unwrap();
        let Role { is_key, rights, .. } = role(cell.actor, cell.included);
        let organization = OrganizationId::new(request.uri().path().rsplit('/').next().unwrap()).unwrap();
        let manager = world.manager_of(&organization);
        let actor = match (cell.actor, caller.user()) {
            ("system", _) => system(),
            (_, Some(user)) if !is_key => {
                Actor::user(user.clone(), rights).with_organization(caller.organization().clone())
            }
            _ => Actor::key(caller, rights),
        };
        let mut response = Response::new(());
        response.extensions_mut().insert(Told(acts::act(world, &manager, cell, &actor).await));
        Ok::<_, Infallible>(response)
    });
    let guard = RequireKeyLayer::new().organization_at("/orgs/{organization}").unwrap();
    let service = keys.layer().layer(guard.layer(handler));
    let request = Request::get(format!("/orgs/{path_of}")).header("x-api-key", issued.plaintext().expose_secret());
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    let extensions = response.extensions();
    match (extensions.get::<Told>(), extensions.get::<Refusal>()) {
        (Some(Told(told)), None) => told.clone(),
        (None, Some(refusal)) => refusal.code().as_str().to_owned(),
        other => panic!("{:?}", other.1),
    }
}

async fn play<S: Ledger>(keys: &ApiKeys<Arc<S>>, store: &Arc<S>, cell: Cell, way: Way) -> Option<String> {
    let world = World::new(keys, store);
    let is_suspended = cell.action == "orgstart"
        || cell.action == "reinstate" && role(cell.actor, cell.included).owner == cell.owner();
    world.prepare(&cell).await;
    let before = world.all().await;
    let told = ask(keys, &world, &cell, way).await;
    let after = world.all().await;
    let (expected, may_touch) = match way {
        // A suspended caller gets no key, and so cannot act.
        Way::Home | Way::HomeAbroad if is_suspended => ("OwnerSuspended", false),
        Way::Home => (cell.expected, cell.is_told() && ["usage", "yes"].contains(&cell.expected)),
        Way::StrangerAtHome | Way::HomeAbroad => ("wrong_team", false),
    };
    let events = |standing: &[super::world::Standing; 2]| standing.iter().map(|at| at.events.len()).sum::<usize>();
    // Issuing the caller's key wrote one event of the system.
    let changes = events(&after) - events(&before) - usize::from(told != "OwnerSuspended");
    let holds = told == expected && (changes > 0) == may_touch;
    let Cell { whose, action, actor, included, .. } = cell;
    (!holds).then(|| {
        format!("{way:?}: {whose} {action} by {actor} on {included}: {told}, not {expected}; {changes} changes")
    })
}

#[tokio::test]
async fn table_of_rights_holds_through_the_layer_with_equal_ids_in_two_organizations() {
    // Keys of this service would expire as soon as the keys that they create. An owner that is to be erased is closed,
    // and so cannot get a key.
    let elsewhere = ["erase", "late", "orgerase"];
    for cells in cells::by_action().into_iter().filter(|cells| !elsewhere.contains(&cells[0].action)) {
        let store = Arc::new(MemoryStore::new());
        let keys = ApiKeys::builder(Arc::clone(&store)).hasher(cheap()).clock(clock()).build().await.unwrap();
        let (keys, store) = (&keys, &store);
        let played = [Way::Home, Way::StrangerAtHome, Way::HomeAbroad]
            .map(|way| stream::iter(&cells).map(move |cell| play(keys, store, *cell, way)));
        let played = stream::iter(played).flatten().buffer_unordered(AT_ONCE);
        let wrong: Vec<String> = played.filter_map(async |wrong| wrong).collect().await;
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}
