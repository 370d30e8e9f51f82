//! Pages: opaque cursors, and a `Link` that a client can follow as it is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{MOUNT, World};

/// The path under the mount that the `Link` names.
fn next(header: Option<&str>) -> Option<String> {
    let link = header?.strip_suffix(">; rel=\"next\"").unwrap().strip_prefix('<').unwrap();
    Some(link.strip_prefix(MOUNT).unwrap().to_owned())
}

/// What identifies the entries of a page.
fn ids(list: &Value) -> Vec<String> {
    let id = |entry: &Value| format!("{}{}{}", entry["id"], entry["key"]["id"], entry["sequence"]);
    list.as_array().unwrap().iter().map(id).collect()
}

async fn walk(world: &World, first: &str, list: &str) -> Vec<usize> {
    let (mut path, mut sizes) = (first.to_owned(), Vec::new());
    loop {
        let page = world.get("olga", &path).await;
        sizes.push(page.json()[list].as_array().unwrap().len());
        let Some(link) = next(page.header("link")) else {
            assert_eq!(page.json()["next"], Value::Null);
            return sizes;
        };
        let cursor = page.json()["next"].as_str().unwrap().to_owned();
        let again = format!("{first}&after={}", cursor.replace('/', "%2F"));
        let [one, other] = [world.get("olga", &again).await.json(), world.get("olga", &link).await.json()];
        assert_eq!(ids(&one[list]), ids(&other[list]));
        path = link;
    }
}

#[tokio::test]
async fn pages_are_followed_by_their_links() {
    pages_are_followed_by_their_links_in(World::new().await).await;
}

pub async fn pages_are_followed_by_their_links_in(world: World) {
    for n in 0..5 {
        world.team_key(&format!("a & b={n}")).await;
    }
    assert_eq!(walk(&world, "/keys?limit=2&named=a+%26+b", "keys").await, [2, 2, 1]);
    assert_eq!(
        walk(&world, "/keys?owner=team:engineering&order=newest&limit=3&owner=user:alice", "keys").await,
        [3, 2]
    );
    assert_eq!(
        walk(&world, "/inventory?limit=4&flag=vague_name&flag=unused", "entries").await.iter().sum::<usize>(),
        5
    );
    assert_eq!(walk(&world, "/events?limit=2&action=key.issued", "entries").await, [2, 2, 1]);
}

#[tokio::test]
async fn filters_of_lists_are_those_of_the_manager() {
    filters_of_lists_are_those_of_the_manager_in(World::new().await).await;
}

pub async fn filters_of_lists_are_those_of_the_manager_in(world: World) {
    let (team, _) = world.team_key("GitHub Actions").await;
    world.clock.advance(Duration::from_secs(1));
    let personal = world.post("alice", "/keys", json!({ "owner": { "kind": "user", "id": "alice" } })).await.json();
    let personal = personal["key"]["id"].as_str().unwrap();
    world.post("alice", &format!("/keys/{personal}/revoke"), json!({})).await;
    for (query, expected) in [
        ("kind=team", &[&*team][..]),
        ("kind=user", &[personal]),
        ("named=hub", &[&team]),
        ("liveness=dead", &[personal]),
        ("owner=user:alice&owner=user:bob", &[personal]),
        ("creator=user:alice&order=newest", &[personal, &team]),
        ("order=oldest", &[&team, personal]),
        ("created_via_key=AAAAAAAAAAAAAAAAAAAA", &[]),
        (&format!("lineage={team}"), &[&team]),
        ("unused_since=2100-01-01T00:00:00Z", &[&team, personal]),
        ("expires_before=2100-01-01T00:00:00Z", &[]),
    ] {
        let answer = world.get("olga", &format!("/keys?{query}")).await.json();
        let ids: Vec<_> = answer["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
        let (mut ids, mut expected) = (ids, expected.to_vec());
        if !query.contains("order") {
            ids.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(ids, expected, "{query}");
    }
}
