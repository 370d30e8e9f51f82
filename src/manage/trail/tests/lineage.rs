//! The lineage, which stays the same through rotations: in lists, counts and the trail.

use crate::{
    Actor,
    key::KeyId,
    manage::{
        AuditQuery, DenialReason, ExportFormat, ListKeys, ManageErrorKind, Rights, RotateKey, TeamRole,
        fixture::{Bench, person, system, team_id, user, user_id},
    },
    record::KeyRow,
};

const FIRST: &str = "AAAAAAAAAAAAAAAAAAAA";

/// A personal key of alice that was rotated into blue, and then rotated again; and an unrelated key.
async fn bench() -> (Bench, [KeyId; 3]) {
    let bench = Bench::new();
    let first = bench.plant(FIRST, &user("alice"), "*").await;
    bench.plant("BBBBBBBBBBBBBBBBBBBB", &user("alice"), "*").await;
    let rotate =
        async |request: RotateKey| bench.manager.begin_rotation(request, &system()).await.unwrap().info().clone();
    // Keys with the same time come in the order of their ids, which are random.
    bench.clock.advance(std::time::Duration::from_secs(1));
    let second = rotate(RotateKey::of(first).into_team(team_id("blue"))).await.id;
    bench.manager.finish_rotation_anyway(&second, &system()).await.unwrap();
    bench.clock.advance(std::time::Duration::from_secs(1));
    let third = rotate(RotateKey::of(second)).await.id;
    for id in [&first, &second, &third] {
        bench.use_once(id).await;
    }
    (bench, [first, second, third])
}

fn of_blue(role: TeamRole) -> Actor {
    Actor::user(user_id("adam"), Rights::none().team(team_id("blue"), role))
}

#[tokio::test]
async fn a_list_is_asked_for_by_lineage_and_tells_it() {
    let (bench, [first, second, third]) = bench().await;
    let listed = async |actor: &Actor| {
        let page = bench.manager.list(ListKeys::all().lineage(first), actor).await.unwrap();
        assert!(page.keys.iter().all(|key| key.lineage == first));
        page.keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(&system()).await, [first, second, third]);
    assert_eq!(listed(&person("alice")).await, [first]);
    assert_eq!(listed(&of_blue(TeamRole::Member)).await, [second, third]);
    assert_eq!(listed(&person("bob")).await, []);
    // Only the first key names the lineage.
    let page = bench.manager.list(ListKeys::all().lineage(second), &system()).await.unwrap();
    assert!(page.keys.is_empty());
}

#[tokio::test]
async fn usage_is_summed_along_the_lineage_as_far_as_it_may_be_seen() {
    let (bench, [first, _, third]) = bench().await;
    let sum = async |id: &KeyId, actor: &Actor| {
        let lineage = bench.manager.usage(id, 0, actor).await.unwrap().lineage;
        (lineage.id, lineage.keys, lineage.unreadable, lineage.totals.successes)
    };
    assert_eq!(sum(&third, &system()).await, (first, 3, 0, 3));
    assert_eq!(sum(&third, &of_blue(TeamRole::Admin)).await, (first, 2, 0, 2));
    assert_eq!(sum(&first, &person("alice")).await, (first, 1, 0, 1));
    let id = "CCCCCCCCCCCCCCCCCCCC".to_owned();
    let broken =
        KeyRow { id, owner: "blue".into(), lineage: FIRST.into(), scopes: "\u{7f}".into(), ..KeyRow::example() };
    bench.plant_row(broken).await;
    assert_eq!(sum(&third, &system()).await, (first, 3, 1, 3));
    assert_eq!(sum(&first, &person("alice")).await, (first, 1, 0, 1));
}

#[tokio::test]
async fn the_trail_of_a_lineage_is_that_of_its_keys_in_one_order() {
    let (bench, [first, second, third]) = bench().await;
    let query = || AuditQuery::all().of_lineage(first).oldest_first();
    let told = async |query: AuditQuery, actor: &Actor| {
        let page = bench.manager.events(query, actor).await.unwrap();
        let actions = page.entries.into_iter().map(|entry| entry.event.action.as_str().to_owned());
        let actions = actions.filter(|action| action != "planted");
        actions.collect::<Vec<_>>()
    };
    let of_all = [
        "key.rotation_begun",
        "key.successor_made",
        "key.rotation_finished",
        "key.rotation_begun",
        "key.successor_made",
    ];
    assert_eq!(told(query(), &system()).await, of_all);
    assert_eq!(told(query(), &person("alice")).await, ["key.successor_made", "key.rotation_finished"]);
    let of_blue_s = ["key.rotation_begun", "key.rotation_begun", "key.successor_made"];
    assert_eq!(told(query(), &of_blue(TeamRole::Admin)).await, of_blue_s);
    // Together with other conditions.
    assert_eq!(told(query().of(team_id("blue")), &system()).await, of_blue_s);
    assert_eq!(told(query().of_key(third), &system()).await, ["key.rotation_begun"]);
    assert_eq!(told(AuditQuery::all().of_lineage(second).of_key(third), &system()).await, [""; 0]);
    // In pages.
    let (mut seen, mut query) = (Vec::new(), query().limit(2));
    loop {
        let page = bench.manager.events(query.clone(), &system()).await.unwrap();
        seen.extend(page.entries.into_iter().map(|entry| entry.event.action.as_str().to_owned()));
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    seen.retain(|action| action != "planted");
    assert_eq!(seen, of_all);
}

#[tokio::test]
async fn a_lineage_of_which_nothing_is_seen_is_not_there() {
    let (bench, [first, ..]) = bench().await;
    let ask = async |first: KeyId, actor: &Actor| {
        bench
            .manager
            .events(AuditQuery::all().of_lineage(first), actor)
            .await
            .map_err(|error| format!("{error:?} {error}"))
    };
    let nobody = KeyId::new("ZZZZZZZZZZZZZZZZZZZZ").unwrap();
    assert_eq!(ask(first, &person("bob")).await.unwrap_err(), ask(nobody, &person("bob")).await.unwrap_err());
    let error =
        bench.manager.events(AuditQuery::all().of_lineage(first), &of_blue(TeamRole::Member)).await.unwrap_err();
    let ManageErrorKind::Denied(denial) = error.kind() else { panic!("{error}") };
    assert_eq!(denial.reason(), DenialReason::InsufficientRole);
}

#[tokio::test]
async fn an_export_of_a_lineage_stands_with_each_of_its_keys() {
    let (bench, [first, second, third]) = bench().await;
    let query = AuditQuery::all().of_lineage(first);
    bench.manager.export_trail(query, ExportFormat::Csv, &mut Vec::new(), &of_blue(TeamRole::Admin)).await.unwrap();
    let events = bench.events().await.into_iter().filter(|event| event.action == "trail.exported");
    let keys: Vec<_> = events.filter_map(|event| event.key).collect();
    assert_eq!(keys, [second.to_string(), third.to_string()]);
}
