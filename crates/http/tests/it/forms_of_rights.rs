//! The table of rights of the manager, cell by cell, through the forms and the screens of the page: they add no way
//! around it either.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_api_keys::{Actor, ApiKeys, KeyManager, ManagingScope, manage::DenialReason, store::MemoryStore};
use tower_api_keys_http::{
    HttpService,
    page::{self, Page},
};

use crate::{
    support::system,
    table_of_rights::{cells::Cell, play_each, world::World},
};

/// What has no form: the page has no field for it, or its screen is one with others.
const NO_FORM: [&str; 17] = [
    "advise",
    "blast",
    "erase",
    "explain",
    "exposure",
    "known",
    "orgclose",
    "orgerase",
    "orgstart",
    "orgstop",
    "report",
    "revokeall",
    "status",
    "unused",
    "usage",
    "widen",
    "find",
];

fn has_form(cell: &Cell) -> bool {
    // A form creates personal keys only for the one who sends it, and people only are suspended on the page.
    let is_for_others = cell.whose == "user" && ["issue", "late"].contains(&cell.action);
    let is_of_people = cell.whose == "team" && ["close", "reinstate", "suspend"].contains(&cell.action);
    !NO_FORM.contains(&cell.action) && !is_for_others && !is_of_people
}

#[tokio::test]
async fn every_cell_of_the_table_holds_for_forms() {
    let played = play_each(has_form, |keys| page::service(keys, Page::new("Auxot")), play).await;
    assert!(played > 2_000, "{played} cells");
}

/// Sends the form, as an actor of the organization of the target, or of another one. Returns what is wrong with the
/// answer.
async fn play(
    keys: &ApiKeys<Arc<MemoryStore>>,
    store: &Arc<MemoryStore>,
    page: &HttpService,
    cell: Cell,
    at_home: bool,
) -> Option<String> {
    let world = World::new(keys, store);
    world.prepare(&cell).await;
    let organization = if at_home { &world.home } else { &world.abroad };
    let actor = world.actor(cell.actor, cell.included, organization).await;
    let before = world.all().await;
    let id = world.target();
    let version = world.manager_of(&world.home).find(&id, &system()).await.unwrap().version;
    let (path, form) = request(&cell, id.as_str(), version);
    let said = send(page, &path, form, actor, &keys.manager(), id.as_str()).await;
    let is_untouched = before[0] == world.all().await[0];
    let expected = match cell.expected {
        _ if cell.actor == "system" => "misconfigured",
        "system" => "role",
        "bare" => "usage",
        expected => expected,
    };
    // A form reads the key first, which is refused to a key that has only another scope.
    let is_narrow = ["all-alice", "all-blue", "read-blue", "issue-blue", "rotate-blue", "revoke-blue"];
    let is_of_read = is_narrow.contains(&cell.actor) && cell.is_change() && ["-", "scope"].contains(&said.as_str());
    // And a form that is shown again is not shown to a key that may not see what it is about.
    let is_hidden = expected == "people" && said == "-";
    let is_stricter = (is_of_read || is_hidden) && is_untouched;
    let is_of_keys = ["misconfigured", "people", "scope"].contains(&said.as_str());
    let fits = match at_home {
        true => {
            is_stricter || said == expected && is_untouched != (cell.is_told() && ["usage", "yes"].contains(&expected))
        }
        false if cell.names_a_key() => is_untouched && (said == "-" || is_of_keys),
        false => is_untouched && said != "usage",
    };
    let Cell { whose, action, actor, included, .. } = cell;
    (!fits).then(|| {
        format!("{whose} {action} by {actor} on {included}, at home {at_home}: {said}, untouched {is_untouched}")
    })
}

/// The form for an action of the table, or the screen.
fn request(cell: &Cell, id: &str, version: i64) -> (String, Option<String>) {
    let owner = if cell.whose == "user" { "user:alice" } else { "team:blue" };
    let name = "GitHub+Actions+-+production";
    let get = |path: String| (path, None);
    let of_key = |end: &str, fields: &str| (format!("/keys/{id}/{end}"), Some(format!("version={version}&{fields}")));
    let edit = |name: &str, ticket: &str, more: &str| of_key("edit", &format!("name={name}&ticket={ticket}&{more}"));
    match cell.action {
        "issue" => ("/new".into(), Some("kind=team&team=blue&idempotency_key=k".into())),
        "late" => {
            let form = "kind=team&team=blue&idempotency_key=k&may=only&scope=brief&end=on&ends=2026-03-02";
            ("/new".into(), Some(form.into()))
        }
        "rename" => edit("Monday+cron", "OPS-1234", ""),
        "relabel" => edit(name, "OPS-1", ""),
        "narrow" => edit(name, "OPS-1234", "may=only&scope=read"),
        "expire" => edit(name, "OPS-1234", "ends=2027-01-01"),
        "edit" => edit("Monday+cron", "OPS-1", "may=only&scope=read&ends=2027-01-01"),
        "pause" | "resume" => of_key(cell.action, ""),
        "revoke" => of_key("delete", &format!("confirm={name}")),
        "rotation" => get(format!("/keys/{id}/rotation")),
        "rotate" => of_key("rotate", "idempotency_key=k"),
        "into" => of_key("rotate", "idempotency_key=k&into_team=blue"),
        "finish" => of_key("rotation", &format!("do=finish_anyway&confirm={name}")),
        "abort" => of_key("rotation", "do=abort"),
        "list" => get(format!("/keys?owner={owner}")),
        "suspend" | "reinstate" | "close" => {
            ("/people/alice".into(), Some(format!("do={}&step=do&confirm=alice", cell.action)))
        }
        "inventory" => get(format!("/review?owner={owner}")),
        "export" => get(format!("/review.csv?owner={owner}")),
        "audit" => get(format!("/trail?key={id}")),
        "trail" => get(format!("/trail?owner={owner}")),
        "archive" => get(format!("/trail.csv?owner={owner}")),
        other => panic!("{other} has no form"),
    }
}

/// The answer, in the words of the table.
async fn send(
    page: &HttpService,
    path: &str,
    form: Option<String>,
    actor: Actor,
    manager: &KeyManager,
    id: &str,
) -> String {
    let method = if form.is_some() { "POST" } else { "GET" };
    let request =
        Request::builder().method(method).uri(path).header("content-type", "application/x-www-form-urlencoded");
    let request = request.extension(actor).body(Body::from(form.clone().unwrap_or_default())).unwrap();
    let answer = page.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    match status {
        200 | 303 if form.is_some() => "yes".into(),
        200 if text.contains(id) => "usage".into(),
        200 => "nothing".into(),
        403 => denied(manager, &text),
        404 => "-".into(),
        422 if text.contains("An expiry can be at most") || text.contains("expiry") => "late".into(),
        500 => "misconfigured".into(),
        status => format!("{status} {text}"),
    }
}

fn denied(manager: &KeyManager, text: &str) -> String {
    let scopes = ManagingScope::ALL.into_iter().map(|scope| (DenialReason::InsufficientScope(scope), "scope"));
    let reasons = [
        (DenialReason::ActorClosed, "held"),
        (DenialReason::ActorSuspended, "held"),
        (DenialReason::InsufficientRole, "role"),
        (DenialReason::NotForKeys, "people"),
        (DenialReason::NotYourKey, "yours"),
        (DenialReason::PlanRequired, "plan"),
        (DenialReason::ScopesTooWide, "wide"),
        (DenialReason::SystemOnly, "role"),
    ];
    let said = |reason| manager.denial(reason).sentence().to_string().replace('\'', "&#39;").replace('`', "&quot;");
    let found = reasons.into_iter().chain(scopes).find(|(reason, _)| text.contains(&said(*reason)));
    found.map_or_else(|| format!("403 {text}"), |(_, word)| word.to_owned())
}
