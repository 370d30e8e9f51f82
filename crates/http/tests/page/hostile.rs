//! Text that people choose, on every screen that shows it.

use tower_api_keys::{IssueKey, manage::EditKey, record::Labels};

use crate::support::{World, system, team, user};

const SCRIPT: &str = "<script>alert(1)</script>";
const QUOTES: &str = "\"' onfocus=alert(1) x=\"";

#[tokio::test]
async fn hostile_text_is_text_everywhere() {
    let world = World::new().await;
    let (key, text) = world.team_key(SCRIPT).await;
    let (own, _) = world.own_key(QUOTES).await;
    let labels = Labels::new([("ticket", SCRIPT), ("installed-in", QUOTES)]).unwrap();
    let edit = EditKey::of(key.id).labels(labels).responsible(SCRIPT);
    world.keys.manager().edit(edit, &system()).await.unwrap();
    world.issue(IssueKey::user(user("mallory")).named("{{ 7*7 }}"), "mallory").await;
    world.issue(IssueKey::team(team("<b>")).named("another team"), "system").await;
    world.call(&text, "<script>alert(2)</script>/1").await;
    let mut paths = vec![
        String::new(),
        "/keys".to_owned(),
        "/review".to_owned(),
        "/trail".to_owned(),
        "/people/mallory".to_owned(),
        "/people/%3Cscript%3Ealert(1)%3C%2Fscript%3E".to_owned(),
        format!("?q={}", "%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        "/new?kind=user&name=%22%20onfocus=alert(1)%20x=%22&ticket=%3Cscript%3E".to_owned(),
        "/trail?action=%3Cscript%3Ealert(1)".to_owned(),
    ];
    for id in [key.id, own.id] {
        for screen in ["", "/delete", "/edit", "/pause", "/rotate"] {
            paths.push(format!("/keys/{id}{screen}"));
        }
    }
    for who in ["alice", "olga", "mallory"] {
        for path in &paths {
            let answer = world.get(who, path).await;
            assert!(answer.status.as_u16() < 500, "{who} {path}: {}", answer.status);
            for bad in ["<script>alert", "<img", "<b>another", "\" onfocus", "onfocus=alert(1) x=\"", ">49<"] {
                answer.no_markup(bad);
            }
        }
    }
    world.get("alice", "").await.is(200).has(SCRIPT).has(QUOTES);
    world.get("mallory", "").await.is(200).has("{{ 7*7 }}");
    let made = world.submit("alice", &format!("/keys/{}/rotate", key.id), &[]).await;
    made.is(200).no_markup("<script>alert");
}
