//! Text that people and programs choose, on every screen that shows it.

use tower_api_keys::{
    IssueKey, Timestamp,
    manage::{EditKey, PauseKey, RevokeKey},
    record::Labels,
    store::Ledger,
    usage::{UsageBatch, UsageRow},
};
use tower_api_keys_http::page::Page;

use crate::support::{Answer, World, system, team, user};

const SCRIPT: &str = "<script>alert(1)</script>";
const QUOTES: &str = "\"' onfocus=alert(1) x=\"";
const FORMULA: &str = "=HYPERLINK(\"http://evil.example\")";
const TEMPLATE: &str = "{{ 7*7 }}";

#[track_caller]
fn check(what: &str, answer: &Answer) {
    assert!(answer.status.as_u16() < 500, "{what}: {}", answer.status);
    for bad in ["<script>alert", "<img", "<b>another", "\" onfocus", "onfocus=alert(1) x=\"", ">49<", " 49 "] {
        assert!(!answer.body.contains(bad), "{what}: {bad} in {}", answer.body);
    }
}

/// A world in which everything that can be hostile is.
async fn hostile() -> (World, Vec<String>, String) {
    let page = Page::new(SCRIPT).whom_to_ask(|_, _| async { vec![SCRIPT.to_owned(), QUOTES.to_owned()] });
    let world = World::set_up(page, |keys| keys.access_log(true)).await;
    let (key, text) = world.team_key(SCRIPT).await;
    let (own, _) = world.own_key(QUOTES).await;
    let (paused, paused_text) = world.team_key(FORMULA).await;
    let (dead, dead_text) = world.team_key(TEMPLATE).await;
    let manager = world.keys.manager();
    let labels = Labels::new([("ticket", SCRIPT), ("installed-in", QUOTES), ("reviewed", "2026-11-28 user:<img>")]);
    let edit = EditKey::of(key.id).labels(labels.unwrap()).responsible(SCRIPT);
    manager.edit(edit, &system()).await.unwrap();
    world.issue(IssueKey::user(user("mallory")).named(TEMPLATE), "mallory").await;
    world.issue(IssueKey::team(team("<b>")).named("another team"), "system").await;
    world.call(&text, "<script>alert(2)</script>/1").await;
    manager.pause(PauseKey::of(paused.id).because(SCRIPT), &system()).await.unwrap();
    manager.revoke(RevokeKey::of(dead.id).because(QUOTES), &system()).await.unwrap();
    for text in [&paused_text, &dead_text, "<script>alert(3)</script>", &text[..40]] {
        world.call(text, "<img src=x onerror=alert(4)>").await;
    }
    // What a store can hold, however it came there.
    let at = "2026-11-28T12:00:00Z".parse::<Timestamp>().unwrap().as_millis();
    let row = |key: Option<String>, outcome: &str| UsageRow {
        organization: None,
        key,
        outcome: outcome.into(),
        label: "<script>alert(5)</script>".into(),
        client: QUOTES.into(),
        network: String::new(),
        count: 1,
        first_at: at,
        last_at: at,
    };
    let keys = [key.id, own.id].map(|id| row(Some(id.to_string()), "success"));
    let rows = keys.into_iter().chain([row(None, "malformed_key")]).collect();
    world.store.record_usage(&UsageBatch { writer: [7; 16], sequence: 1, rows, days: Vec::new() }).await.unwrap();
    world.keys.shutdown().await.unwrap();
    let mut paths: Vec<String> = [
        "",
        "?revoked=1",
        "/keys",
        "/review",
        "/review?dead=1",
        "/trail",
        "/trail?attempts=1",
        "/refusals",
        "/people",
        "/people/mallory",
        "/people/alice",
        "/people/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/people?user=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/keys?q=%3Cscript%3Ealert(1)&owner=team:%22%20onfocus=alert(1)%20x=%22",
        "/new?kind=user&name=%22%20onfocus=alert(1)%20x=%22&ticket=%3Cscript%3E&networks=%3Cscript%3Ealert(1)",
        "/new?kind=team&team=%3Cb%3E&find=%3Cscript%3Ealert(1)",
        "/review?label=%3Cscript%3Ealert(1)&q=%22%20onfocus=alert(1)%20x=%22",
        "/trail?action=%3Cscript%3Ealert(1)&source=%3Cscript%3Ealert(1)&after=1",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    for id in [key.id, own.id, paused.id, dead.id] {
        for screen in ["", "/delete", "/edit", "/pause", "/resume", "/rotate", "/rotation"] {
            paths.push(format!("/keys/{id}{screen}"));
        }
    }
    (world, paths, key.id.to_string())
}

#[tokio::test]
async fn hostile_text_is_text_on_every_screen() {
    let (world, paths, id) = hostile().await;
    for who in ["alice", "mo", "olga", "audrey", "mallory"] {
        for path in &paths {
            check(&format!("{who} {path}"), &world.get(who, path).await);
        }
    }
    world.get("alice", "").await.is(200).has(SCRIPT).has(QUOTES).has(FORMULA);
    world.get("mallory", "").await.is(200).has(TEMPLATE);
    world.get("mo", "").await.is(200).has(&format!("You can ask: {SCRIPT}, {QUOTES}."));
    world.get("alice", &format!("/keys/{id}")).await.is(200).has(&format!("ticket {SCRIPT}")).has(QUOTES);
    for path in ["", "/review", "/people/alice", "/refusals", &format!("/keys/{id}"), &format!("/keys/{id}/delete")] {
        world.get("olga", path).await.is(200).has("<script>alert(5)</script>");
    }
}

#[tokio::test]
async fn hostile_text_is_text_in_the_answers_to_forms() {
    let (world, _, id) = hostile().await;
    let looked = world.post("olga", "/review", &[("key", &id), ("step", "look")]).await;
    check("look", &looked);
    let reviewed = world.post("olga", "/review", &[("key", &id), ("step", "reviewed")]).await;
    check("reviewed", &reviewed);
    for (name, value) in [("because", SCRIPT), ("confirm", QUOTES)] {
        check("delete", &world.submit("alice", &format!("/keys/{id}/delete"), &[(name, value)]).await);
    }
    let long = format!("{SCRIPT}{}", "x".repeat(200));
    for (name, value) in [("name", long.as_str()), ("networks", SCRIPT), ("ends", QUOTES), ("responsible", &long)] {
        check("edit", &world.submit("alice", &format!("/keys/{id}/edit"), &[(name, value)]).await);
        let fields = [("kind", "team"), ("team", "engineering"), ("idempotency_key", "0123456789ab"), (name, value)];
        check("create", &world.post("alice", "/new", &fields).await);
        check("notes", &world.post("alice", "/notes", &fields).await);
    }
    check("leak", &world.post("olga", "/leak", &[("text", &format!("{SCRIPT} {id}"))]).await);
    check("close", &world.post("olga", "/people/alice", &[("do", "close"), ("step", "do"), ("confirm", SCRIPT)]).await);
    let made = world.submit("alice", &format!("/keys/{id}/rotate"), &[("name", FORMULA)]).await;
    check("rotate", &made);
    check("rotation", &world.get("alice", &format!("/keys/{id}/rotation")).await);
}

#[tokio::test]
async fn no_cell_of_an_export_is_a_formula() {
    let (world, ..) = hostile().await;
    for path in ["/review.csv?dead=1", "/trail.csv", "/trail.csv?attempts=1"] {
        let csv = world.get("olga", path).await;
        csv.is(200);
        assert!(!csv.body.contains(",=HYPERLINK") && !csv.body.contains("\n=HYPERLINK"), "{}", csv.body);
        assert!(!csv.body.contains(",\"=HYPERLINK"), "{}", csv.body);
        assert_eq!(csv.header("x-content-type-options"), Some("nosniff"));
    }
}
