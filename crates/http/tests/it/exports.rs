//! Exports: streams that are complete, or break off.

use axum::{body::Body, http::Request};
use serde_json::Value;
use tower::ServiceExt;
use tower_api_keys::Timestamp;

use crate::support::{MOUNT, World};

#[tokio::test]
async fn an_export_is_a_file_that_ends_with_the_end_of_a_line() {
    an_export_is_a_file_that_ends_with_the_end_of_a_line_in(World::new().await).await;
}

pub async fn an_export_is_a_file_that_ends_with_the_end_of_a_line_in(world: World) {
    for n in 0..3 {
        world.team_key(&format!("=1+{n}")).await;
    }
    let table = world.get("alice", "/inventory/export").await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_file(table.header("content-disposition"), "api-keys", "csv");
    assert!(table.text.starts_with("id,kind,owner,") && table.text.ends_with("\r\n"));
    assert_eq!((table.text.lines().count(), table.text.matches("'=1+").count()), (4, 3));

    let lines = world.get("alice", "/inventory/export?format=jsonl&limit=1").await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let all: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 3, "whatever the limit");

    let trail = world.get("olga", "/events/export?format=jsonl&action=key.issued").await;
    assert_file(trail.header("content-disposition"), "api-key-events", "jsonl");
    assert_eq!(trail.text.lines().count(), 3);
}

/// The name has the day of the export.
fn assert_file(disposition: Option<&str>, name: &str, extension: &str) {
    let day = disposition
        .and_then(|text| text.strip_prefix(&format!("attachment; filename=\"{name}-")))
        .and_then(|rest| rest.strip_suffix(&format!(".{extension}\"")));
    assert!(day.is_some_and(|day| format!("{day}T00:00:00Z").parse::<Timestamp>().is_ok()), "{disposition:?}");
}

#[tokio::test]
async fn an_export_is_not_for_links_of_other_sites_nor_for_a_look_at_its_headers() {
    let world = World::new().await;
    world.team_key("ci").await;
    for path in ["/inventory/export", "/events/export?format=jsonl"] {
        for site in ["cross-site", "same-site"] {
            let answer = world.ask("olga", "GET", path, None, &[("sec-fetch-site", site)]).await;
            assert_eq!(answer.refused(403), "forged_request", "{path} {site}");
        }
        let request = Request::head(format!("{MOUNT}{path}")).header("x-user", "olga").body(Body::empty()).unwrap();
        let answer = world.app.clone().oneshot(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].as_bytes()), (405, &b"GET"[..]), "{path}");
    }
    let trail = world.get("olga", "/events?action=inventory.exported").await.json();
    assert_eq!(trail["entries"].as_array().unwrap().len(), 0, "nothing was exported");
    let own = world.ask("olga", "GET", "/inventory/export", None, &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn who_may_not_export_gets_a_problem_and_no_file() {
    who_may_not_export_gets_a_problem_and_no_file_in(World::new().await).await;
}

pub async fn who_may_not_export_gets_a_problem_and_no_file_in(world: World) {
    world.team_key("of engineering").await;
    for path in ["/inventory/export", "/events/export"] {
        let answer = world.get("mo", &format!("{path}?owner=team:engineering")).await;
        assert_eq!(answer.refused(403), "insufficient_role", "{path}");
        assert_eq!(answer.header("content-disposition"), None);
    }
    let trail = world.get("olga", "/events?action=trail.exported").await.json();
    assert_eq!(trail["entries"].as_array().unwrap().len(), 0, "nothing was exported");
    world.get("olga", "/events/export").await;
    let trail = world.get("olga", "/events?action=trail.exported").await.json();
    assert_eq!(trail["entries"].as_array().unwrap().len(), 1);
}
