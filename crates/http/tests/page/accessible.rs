//! What a reader of the page needs: labels, headings, headers of tables, and references that lead
//! somewhere. A browser with a checker finds more; this finds the same mistake on the day that it is made.

use std::collections::BTreeMap;

use tower_api_keys::{Owner, Suspension};

use crate::support::{Answer, World, system, team};

/// A start tag: its name, its attributes, and how many labels are open around it.
struct Tag<'a> {
    name: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
    in_label: bool,
}

impl Tag<'_> {
    fn has(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }

    fn of(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).copied().unwrap_or_default()
    }
}

/// The start tags of a document that this page made: attributes are in double quotes or have no value.
fn tags(body: &str) -> Vec<Tag<'_>> {
    let mut open_labels = 0;
    let mut tags = Vec::new();
    for part in body.split('<').skip(1) {
        let (inside, _) = part.split_once('>').unwrap_or_else(|| panic!("{part}"));
        let (name, mut rest) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
        match name {
            "label" => open_labels += 1,
            "/label" => open_labels -= 1,
            _ => {}
        }
        let mut attributes = BTreeMap::new();
        while let Some(at) = rest.find(|letter: char| !letter.is_whitespace() && letter != '/') {
            rest = &rest[at..];
            let end = rest.find(['=', ' ', '/']).unwrap_or(rest.len());
            let (attribute, after) = rest.split_at(end);
            let (value, after) = match after.strip_prefix("=\"") {
                Some(quoted) => quoted.split_once('"').unwrap_or_else(|| panic!("{inside}")),
                None => ("", after),
            };
            assert!(attributes.insert(attribute, value).is_none(), "{attribute} twice in <{inside}>");
            rest = after;
        }
        if !name.starts_with(['/', '!']) {
            tags.push(Tag { name, attributes, in_label: open_labels > 0 && name != "label" });
        }
    }
    assert_eq!(open_labels, 0, "labels are closed");
    tags
}

fn check(path: &str, answer: &Answer) {
    let tags = tags(&answer.body);
    let ids: Vec<_> = tags.iter().filter(|tag| tag.has("id")).map(|tag| tag.of("id")).collect();
    for id in &ids {
        assert_eq!(ids.iter().filter(|other| *other == id).count(), 1, "{path}: the id {id} is there twice");
    }
    for tag in &tags {
        for reference in ["for", "aria-describedby", "aria-labelledby"] {
            let target = tag.of(reference);
            assert!(target.is_empty() || ids.contains(&target), "{path}: nothing is {target}");
        }
        let is_field = matches!(tag.name, "input" | "select" | "textarea") && tag.of("type") != "hidden";
        let is_labelled = tag.in_label
            || tag.has("aria-label")
            || tags
                .iter()
                .any(|label| label.name == "label" && !tag.of("id").is_empty() && label.of("for") == tag.of("id"));
        assert!(!is_field || is_labelled, "{path}: a field without a label: {}", tag.of("name"));
        assert!(tag.name != "th" || tag.has("scope"), "{path}: a header without a scope");
        assert!(tag.name != "a" || !tag.of("href").is_empty(), "{path}: a link that leads nowhere");
        assert!(tag.name != "svg" || tag.has("aria-label"), "{path}: a picture without words");
        assert!(tag.name != "nav" || tag.has("aria-label"), "{path}: a navigation without a name");
    }
    assert_eq!(
        tags.iter().filter(|tag| tag.name == "table").count(),
        answer.body.matches("<caption>").count(),
        "{path}"
    );
    let headings: Vec<u8> =
        tags.iter().filter_map(|tag| tag.name.strip_prefix('h').and_then(|level| level.parse().ok())).collect();
    assert_eq!(headings.iter().filter(|level| **level == 1).count(), 1, "{path}: {headings:?}");
    assert!(headings.windows(2).all(|two| two[1] <= two[0] + 1), "{path}: {headings:?}");
    assert_eq!(tags.iter().find(|tag| tag.name == "html").unwrap().of("lang"), "en", "{path}");
    let live = tags.iter().filter(|tag| tag.has("aria-live")).count();
    assert_eq!(live, usize::from(path.contains("/rotation") || path == "reveal"), "{path}");
}

#[tokio::test]
async fn every_screen_can_be_read_and_used() {
    let world = World::new().await;
    let (key, text) = world.team_key("key1").await;
    let (own, _) = world.own_key("CI deploy").await;
    let (old, old_text) = world.team_key("Monday cron").await;
    let (paused, _) = world.team_key("GitHub Actions - paused").await;
    world.call(&text, "curl/8").await;
    world.call(&old_text, "curl/8").await;
    world.keys.manager().pause(&paused.id, &system()).await.unwrap();
    world.keys.shutdown().await.unwrap();
    let made = world.submit("alice", &format!("/keys/{}/rotate", old.id), &[]).await;
    check("reveal", &made);
    let mut paths: Vec<String> = [
        "",
        "?revoked=1",
        "?q=nothing",
        "/new?kind=team",
        "/new?kind=user&name=CI&ticket=1",
        "/keys",
        "/review",
        "/review?flag=vague_name",
        "/trail",
        "/leak",
        "/people",
        "/people/alice",
        "/refusals",
        "/nothing",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    for id in [key.id, own.id, old.id, paused.id] {
        for screen in ["", "/delete", "/edit", "/pause", "/resume", "/rotate"] {
            paths.push(format!("/keys/{id}{screen}"));
        }
    }
    paths.push(format!("/keys/{}/rotation", old.id));
    world.keys.manager().suspend(Owner::Team(team("engineering")), Suspension::Plan, &system()).await.unwrap();
    for who in ["alice", "mo", "fred", "tess", "olga", "audrey", "mallory"] {
        for path in &paths {
            let answer = world.get(who, path).await;
            assert!(answer.status.as_u16() < 500, "{who} {path}: {}", answer.status);
            let shown = if answer.status == 200 { path.as_str() } else { "a problem" };
            check(shown, &answer);
        }
    }
    let wrong = world.submit("alice", &format!("/keys/{}/delete", key.id), &[("confirm", "x")]).await;
    check("delete", &wrong);
    let leak = world.post("alice", "/leak", &[("text", &text)]).await;
    check("leak", &leak);
    let look = world.post("alice", "/review", &[("key", key.id.as_str()), ("step", "look")]).await;
    check("many", &look);
    let close = world.post("olga", "/people/alice", &[("do", "close"), ("step", "look")]).await;
    check("close", &close);
}
