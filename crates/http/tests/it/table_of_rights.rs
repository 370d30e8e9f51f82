//! The table of rights of the manager, cell by cell, through the routes: they add no way around it.

#[path = "../../../../tests/it/table_of_rights/cells.rs"]
#[allow(dead_code, reason = "shared with the tests of the core, which use more of it")]
pub mod cells;
#[path = "../../../../tests/it/table_of_rights/world.rs"]
#[allow(dead_code, reason = "shared with the tests of the core, which use more of it")]
pub mod world;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_api_keys::{Actor, ApiKeys, Scope, store::MemoryStore};
use tower_api_keys_http::{HttpService, routes};

use self::{cells::Cell, world::World};
use crate::support::{clock, hasher};

const AT_ONCE: usize = 16;

/// What has no route: the service's own code does it.
const NO_ROUTE: [&str; 6] = ["erase", "known", "orgclose", "orgerase", "orgstart", "orgstop"];

#[tokio::test]
async fn every_cell_of_the_table_holds_over_http() {
    let has_route = |cell: &Cell| !NO_ROUTE.contains(&cell.action);
    let played = play_each(has_route, routes::service, play).await;
    let with_routes = cells::all().into_iter().filter(has_route).count();
    assert_eq!(played, with_routes * 2);
}

/// Plays the cells of these actions at home and abroad, each action in a store of its own. Fails if something is wrong
/// with an answer; returns how many were played.
pub async fn play_each(
    is_played: impl Fn(&Cell) -> bool,
    serve: impl Fn(&ApiKeys<Arc<MemoryStore>>) -> HttpService,
    play: impl AsyncFn(&ApiKeys<Arc<MemoryStore>>, &Arc<MemoryStore>, &HttpService, Cell, bool) -> Option<String>,
) -> usize {
    let mut played = 0;
    for cells in cells::by_action().into_iter().filter(|cells| is_played(&cells[0])) {
        let store = Arc::new(MemoryStore::new());
        let keys = ApiKeys::builder(Arc::clone(&store)).hasher(hasher()).clock(clock());
        let keys = keys.longest_life_with_scope(Scope::new("brief").unwrap(), Duration::from_secs(3_600));
        let keys = keys.build().await.unwrap();
        let (keys, store, service) = (&keys, &store, &serve(&keys));
        let cells = cells.into_iter().flat_map(|cell| [(cell, true), (cell, false)]);
        let wrong = stream::iter(cells).map(|(cell, at_home)| play(keys, store, service, cell, at_home));
        let wrong: Vec<Option<String>> = wrong.buffer_unordered(AT_ONCE).collect().await;
        played += wrong.len();
        let wrong: Vec<String> = wrong.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
    played
}

/// Asks over HTTP, as an actor of the organization of the target, or of another one. Returns what is wrong with the
/// answer.
async fn play(
    keys: &ApiKeys<Arc<MemoryStore>>,
    store: &Arc<MemoryStore>,
    routes: &HttpService,
    cell: Cell,
    at_home: bool,
) -> Option<String> {
    let world = World::new(keys, store);
    world.prepare(&cell).await;
    let organization = if at_home { &world.home } else { &world.abroad };
    let actor = world.actor(cell.actor, cell.included, organization).await;
    let before = world.all().await;
    let (method, path, body) = request(&cell, world.target().as_str());
    let said = ask(routes, method, &path, body, actor, &cell, world.target().as_str()).await;
    let is_untouched = before[0] == world.all().await[0];
    let expected = match cell.expected {
        _ if cell.actor == "system" => "misconfigured",
        // One code for both.
        "system" => "role",
        expected => expected,
    };
    // The acting key of another organization gets its own reason for any target.
    let is_of_keys = ["misconfigured", "people", "scope"].contains(&expected);
    let looks_first = (cell.action, cell.actor) == ("widen", "rotate-blue");
    let fits = match at_home {
        true => said == expected && is_untouched != (cell.is_told() && ["usage", "yes"].contains(&expected)),
        // Owners with the same id exist in both organizations. Only a key shows that it is of another one.
        false if cell.names_a_key() => is_untouched && said == if is_of_keys && !looks_first { expected } else { "-" },
        false => is_untouched && said != "usage" && said != "bare",
    };
    let Cell { whose, action, actor, included, .. } = cell;
    (!fits).then(|| {
        format!("{whose} {action} by {actor} on {included}, at home {at_home}: {said}, untouched {is_untouched}")
    })
}

/// The request for an action of the table.
fn request(cell: &Cell, id: &str) -> (&'static str, String, Option<Value>) {
    let (kind, name) = if cell.whose == "user" { ("user", "alice") } else { ("team", "blue") };
    let owner = json!({ "kind": kind, "id": name });
    let get = |path: String| ("GET", path, None);
    let of_key = |end: &str| ("GET", format!("/keys/{id}{end}"), None);
    let post = |end: &str, body: Value| ("POST", format!("/keys/{id}{end}"), Some(body));
    let edit = |body: Value| ("PATCH", format!("/keys/{id}"), Some(body));
    match cell.action {
        "issue" => ("POST", "/keys".into(), Some(json!({ "owner": owner }))),
        "late" => {
            let body = json!({ "owner": owner, "scopes": ["brief"], "expires_at": "2026-03-02T00:00:00Z" });
            ("POST", "/keys".into(), Some(body))
        }
        "rename" => edit(json!({ "name": "Monday cron" })),
        "relabel" => edit(json!({ "labels": { "ticket": "OPS-1" } })),
        "narrow" => edit(json!({ "scopes": ["read"] })),
        "expire" => edit(json!({ "expires_at": "2027-01-01T00:00:00Z" })),
        "edit" => edit(json!({
            "name": "Monday cron", "labels": { "ticket": "OPS-1" }, "scopes": ["read"],
            "expires_at": "2027-01-01T00:00:00Z",
        })),
        "pause" | "resume" | "revoke" => post(&format!("/{}", cell.action), json!({})),
        "find" => of_key(""),
        "usage" => of_key("/usage"),
        "advise" => of_key("/advice"),
        "explain" => of_key("/explanation"),
        "report" => of_key("/leak-report?since=1970-01-01T00:00:00Z"),
        "rotation" => of_key("/rotation"),
        "rotate" => post("/rotation", json!({})),
        "into" => post("/rotation", json!({ "into_team": "blue" })),
        "widen" => post("/rotation", json!({ "scopes": ["read", "write"] })),
        "finish" => post("/rotation/finish", json!({ "anyway": true })),
        "abort" => post("/rotation/abort", json!({})),
        "list" => get(format!("/keys?owner={kind}:{name}")),
        "unused" => get(format!("/keys?owner={kind}:{name}&unused_since=2027-01-01T00:00:00Z")),
        "status" => get(format!("/owners/{kind}/{name}")),
        "suspend" => ("POST", format!("/owners/{kind}/{name}/suspend"), Some(json!({}))),
        "reinstate" => ("POST", format!("/owners/{kind}/{name}/reinstate"), Some(json!({}))),
        "close" => ("POST", format!("/owners/{kind}/{name}/close"), Some(json!({}))),
        "revokeall" => ("POST", "/revocations".into(), Some(json!({ "owner": owner }))),
        "inventory" => get(format!("/inventory?owner={kind}:{name}")),
        "export" => get(format!("/inventory/export?owner={kind}:{name}")),
        "blast" => get("/users/alice/blast-radius".into()),
        "exposure" => get("/users/alice/exposure".into()),
        "audit" => get(format!("/events?key={id}")),
        "trail" => get(format!("/events?owner={kind}:{name}")),
        "archive" => get(format!("/events/export?format=jsonl&owner={kind}:{name}")),
        other => panic!("{other} has no request"),
    }
}

/// The answer, in the words of the table.
async fn ask(
    routes: &HttpService,
    method: &str,
    path: &str,
    body: Option<Value>,
    actor: Actor,
    cell: &Cell,
    id: &str,
) -> String {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.extension(actor).body(Full::new(Bytes::from(body))).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    match (status, json["code"].as_str().unwrap_or_default()) {
        (403, "insufficient_role") => "role".into(),
        (403, "insufficient_scope") => "scope".into(),
        (403, "not_for_keys") => "people".into(),
        (403, "not_your_key") => "yours".into(),
        (403, "owner_closed" | "owner_suspended") => "held".into(),
        (403, "plan_required") => "plan".into(),
        (403, "scopes_too_wide") => "wide".into(),
        (404, "not_found") => "-".into(),
        (422, "invalid") if json["reason"] == "expiry_too_late" => "late".into(),
        (500, "misconfigured") => "misconfigured".into(),
        (200 | 201, _) if cell.is_change() || cell.action == "status" => "yes".into(),
        (200, _) if cell.action == "rotation" => "usage".into(),
        (200, _) if !text.contains(id) && cell.names_a_key() && cell.action != "audit" => "usage".into(),
        (200, _) if !text.contains(id) => "nothing".into(),
        (200, _) => {
            let key = if json["keys"].is_array() { &json["keys"][0] } else { &json };
            let is_bare = ["find", "list"].contains(&cell.action) && key["usage"].is_null();
            if is_bare { "bare".into() } else { "usage".into() }
        }
        (status, code) => format!("{status} {code}"),
    }
}
