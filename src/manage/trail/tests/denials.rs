use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    Actor, IssueKey, OrganizationId,
    audit::{Event, EventRow, Notifier},
    key::KeyId,
    manage::{
        KeyAction, ListKeys, Rights, RotateKey, Rules, Target, TeamRole,
        fixture::{ACTING, Bench, Fault, person, plain_change, principal, system, team, team_id, user, user_id},
    },
    record::Suspension,
    store::{EventQuery, Ledger, OwnerChange, OwnerRef, StoreErrorKind, Write},
    usage::Source,
};

const BLUE: &str = "BBBBBBBBBBBBBBBBBBBB";
const HOUR: Duration = Duration::from_secs(3_600);

async fn bench() -> (Bench, KeyId) {
    let bench = Bench::new();
    let id = bench.plant(BLUE, &team("blue"), "*").await;
    (bench, id)
}

fn member() -> Actor {
    Actor::user(user_id("mo"), Rights::none().team(team_id("blue"), TeamRole::Member))
}

/// Writes everything, and returns the events.
async fn denied(bench: &Bench) -> Vec<EventRow> {
    bench.manager.flush_denials().await.unwrap();
    let events = bench.events().await;
    assert!(events.iter().all(|event| event.action == "manage.denied"), "{events:?}");
    events
}

/// The actor, the key or the owner, and the details of the event.
fn line(event: &EventRow) -> String {
    let subject = event.key.as_deref().map(|id| &id[..1]).unwrap_or_default();
    format!("{} {subject}/{} {}", event.actor, event.owner, event.after.as_deref().unwrap_or_default())
}

fn counted(events: &[EventRow]) -> u64 {
    let count = |event: &EventRow| {
        let said: serde_json::Value = serde_json::from_str(event.after.as_deref().unwrap()).unwrap();
        said["count"].as_u64().unwrap()
    };
    events.iter().map(count).sum()
}

#[tokio::test]
async fn denied_attempts_say_who_tried_what_on_what_and_why_not() {
    let (bench, id) = bench().await;
    let absent = KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap();
    bench.plant("MMMMMMMMMMMMMMMMMMMM", &user("mo"), "*").await;
    let manager = &bench.manager;
    manager.revoke(&id, &member()).await.unwrap_err();
    manager.rename(&id, "x", &person("eve")).await.unwrap_err();
    manager.find(&absent, &person("eve")).await.unwrap_err();
    manager.suspend(&user("mo"), Suspension::Admin, &person("eve")).await.unwrap_err();
    manager.issue(IssueKey::team(team_id("blue")), &member()).await.unwrap_err();
    manager.find(&id, &Actor::key(&principal(&user("kim"), "*"), Rights::none())).await.unwrap_err();
    let lines: Vec<_> = {
        let mut lines: Vec<_> = denied(&bench).await.iter().map(line).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        lines,
        [
            format!(r#"key:{ACTING} /kim {{"action":"see","reason":"insufficient_scope","count":1}}"#),
            r#"user:eve /eve {"action":"see","reason":"not_found","key":"zzzzzzzzzzzzzzzzzzzz","count":1}"#.into(),
            r#"user:eve /mo {"action":"suspend","reason":"hidden","count":1}"#.into(),
            r#"user:eve B/blue {"action":"rename","reason":"hidden","count":1}"#.into(),
            r#"user:mo /blue {"action":"issue","reason":"insufficient_role","count":1}"#.into(),
            r#"user:mo B/blue {"action":"revoke","reason":"insufficient_role","count":1}"#.into(),
        ]
    );
}

#[tokio::test]
async fn an_actor_who_is_suspended_is_denied_also_to_read() {
    let (bench, id) = bench().await;
    let admin = Actor::user(user_id("ada"), Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included());
    bench.change_owner(&user("ada"), OwnerChange::Suspend(Suspension::Admin)).await;
    bench.manager.revoke(&id, &admin).await.unwrap_err();
    bench.manager.issue(IssueKey::team(team_id("blue")), &admin).await.unwrap_err();
    bench.manager.find(&id, &admin).await.unwrap_err();
    let mut lines: Vec<_> = denied(&bench).await.iter().map(line).collect();
    lines.sort();
    let said = |action| format!(r#"user:ada /ada {{"action":"{action}","reason":"owner_suspended","count":1}}"#);
    assert_eq!(lines, ["issue", "revoke", "see"].map(said));
}

/// The store suspends the actor right before the change.
#[tokio::test]
async fn an_actor_who_was_suspended_before_the_commit_was_denied_too() {
    let (bench, id) = bench().await;
    let admin = Actor::user(user_id("ada"), Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included());
    let of = OwnerRef { organization: OrganizationId::single(), owner: user("ada") };
    let quicker = plain_change("quicker", Write::Owner(of, OwnerChange::Suspend(Suspension::Admin)));
    bench.store.quicker.lock().unwrap().push_back(quicker);
    bench.manager.revoke(&id, &admin).await.unwrap_err();
    let lines: Vec<_> = denied(&bench).await.iter().map(line).collect();
    assert_eq!(lines, [r#"user:ada B/blue {"action":"revoke","reason":"owner_suspended","count":1}"#]);
}

#[tokio::test]
async fn asking_what_is_allowed_and_listing_leaves_no_trace() {
    let (bench, _) = bench().await;
    let blue = team("blue");
    let _ = bench.manager.can(&person("eve"), KeyAction::Revoke, &Target::Owner(&blue)).await;
    let _ = bench
        .manager
        .can(&Actor::key(&principal(&user("kim"), "*"), Rights::none()), KeyAction::See, &Target::Owner(&blue))
        .await;
    let _ = bench.manager.teams_to_issue_for(&member()).await;
    bench.manager.list(ListKeys::all(), &person("eve")).await.unwrap();
    assert!(denied(&bench).await.is_empty());
}

/// Plants teams that have a key. An attempt on any other team is a guess.
async fn plant_teams(bench: &Bench, count: usize) {
    for n in 0..count {
        bench.plant(&format!("of-team-{n:012}"), &team(&format!("team {n}")), "*").await;
    }
}

#[tokio::test]
async fn a_flood_by_one_actor_is_a_bounded_number_of_events_with_the_exact_count() {
    let (bench, id) = bench().await;
    plant_teams(&bench, 400).await;
    for n in 0..100_000_usize {
        if n % 2 == 0 {
            bench.manager.revoke(&id, &member()).await.unwrap_err();
        } else {
            // Each time another owner.
            let owner = team(&format!("team {}", n % 400));
            bench.manager.suspend(&owner, Suspension::Plan, &member()).await.unwrap_err();
        }
        if n == 50_000 {
            bench.denials.flush(false).await.unwrap();
        }
    }
    let events = denied(&bench).await;
    assert!(events.len() <= 2 * 102, "{}", events.len());
    assert_eq!(counted(&events), 100_000);
    assert_eq!(events.iter().filter(|event| line(event).contains("various")).count(), 2);
}

#[tokio::test]
async fn repeats_are_written_when_the_hour_is_over() {
    let (bench, id) = bench().await;
    let try_once = async || drop(bench.manager.revoke(&id, &member()).await.unwrap_err());
    let written = async || {
        bench.denials.flush(false).await.unwrap();
        let events = bench.events().await;
        (events.len(), counted(&events))
    };
    try_once().await;
    assert_eq!(written().await, (1, 1));
    try_once().await;
    try_once().await;
    assert_eq!(written().await, (1, 1));
    bench.clock.advance(HOUR);
    assert_eq!(written().await, (2, 3));
    // A new hour begins.
    try_once().await;
    assert_eq!(written().await, (3, 4));
    bench.clock.advance(HOUR);
    assert_eq!(written().await, (3, 4));
}

#[tokio::test(start_paused = true)]
async fn the_first_is_written_by_itself_within_seconds() {
    let (bench, id) = bench().await;
    bench.manager.revoke(&id, &member()).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(counted(&bench.events().await), 1);
}

#[tokio::test(start_paused = true)]
async fn repeats_that_a_wrong_clock_counted_are_written_when_it_is_right_again() {
    let (bench, id) = bench().await;
    let right = bench.now();
    bench.clock.set_wall_clock(right.saturating_add(HOUR * 24 * 55));
    bench.clock.advance(Duration::from_secs(30));
    bench.manager.revoke(&id, &member()).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(11)).await;
    bench.manager.revoke(&id, &member()).await.unwrap_err();
    bench.clock.set_wall_clock(right);
    bench.clock.advance(Duration::from_secs(30));
    tokio::time::sleep(Duration::from_secs(11)).await;
    let events = bench.events().await;
    assert_eq!((events.len(), counted(&events)), (2, 2));
    assert_eq!(events[1].at, bench.now().as_millis());
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_counted_on() {
    let (bench, id) = bench().await;
    bench.store.append_faults.lock().unwrap().extend([Fault::Unavailable; 3]);
    for _ in 0..3 {
        bench.manager.revoke(&id, &member()).await.unwrap_err();
        bench.manager.flush_denials().await.unwrap_err();
    }
    let events = denied(&bench).await;
    assert_eq!((events.len(), counted(&events)), (2, 3));
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_not_asked_without_end() {
    let (bench, id) = bench().await;
    plant_teams(&bench, 3_000).await;
    for n in 0..3_000 {
        let eve = person(&format!("eve {}", n % 1_000)).with_source(Source::new(format!("tool {n}")).unwrap());
        let owner = team(&format!("team {n}"));
        bench.manager.suspend(&owner, Suspension::Plan, &eve).await.unwrap_err();
    }
    bench.manager.revoke(&id, &member()).await.unwrap_err();
    bench.store.append_faults.lock().unwrap().extend([Fault::Refused; 10_000]);
    let error = bench.manager.flush_denials().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert_eq!(bench.store.append_faults.lock().unwrap().len(), 10_000 - 1_001);
    // The rest is kept for later.
    bench.store.append_faults.lock().unwrap().clear();
    bench.manager.flush_denials().await.unwrap();
    let events = all_denied(&bench, OrganizationId::single()).await;
    assert!((2_001..2_100).contains(&counted(&events)), "{}", counted(&events));
}

/// All denials in an organization.
async fn all_denied(bench: &Bench, organization: OrganizationId) -> Vec<EventRow> {
    let (mut events, mut query) = (Vec::new(), EventQuery::all(organization));
    loop {
        let page = bench.store.inner.events(&query).await.unwrap();
        query.after = page.rows.last().map(|event| event.sequence);
        events.extend(page.rows.into_iter().filter(|event| event.action == "manage.denied"));
        if !page.more {
            return events;
        }
    }
}

#[tokio::test]
async fn a_thousand_actors_of_an_organization_are_told_apart_and_the_rest_have_the_room_of_one() {
    let (bench, _) = bench().await;
    plant_teams(&bench, 1_200).await;
    for n in 0..1_200 {
        // Each time another owner.
        bench
            .manager
            .suspend(&team(&format!("team {n}")), Suspension::Plan, &person(&format!("eve {n}")))
            .await
            .unwrap_err();
    }
    bench.manager.flush_denials().await.unwrap();
    let events = all_denied(&bench, OrganizationId::single()).await;
    assert_eq!((events.len(), counted(&events)), (1_101, 1_200));
    let others = events.iter().find(|event| event.actor.starts_with("system:")).unwrap();
    assert_eq!(others.after.as_deref(), Some(r#"{"reason":"other_actors","count":100}"#));
}

#[tokio::test]
async fn no_organization_takes_the_room_of_the_others() {
    let (bench, id) = bench().await;
    for n in 0..1_100 {
        bench.manager.revoke(&id, &person(&format!("eve {n}"))).await.unwrap_err();
    }
    let elsewhere: OrganizationId = "elsewhere".parse().unwrap();
    bench.manager.revoke(&id, &person("eve").with_organization(elsewhere.clone())).await.unwrap_err();
    bench.manager.flush_denials().await.unwrap();
    let events = all_denied(&bench, elsewhere).await;
    assert_eq!(events.iter().map(|event| &*event.actor).collect::<Vec<_>>(), ["user:eve"]);
}

fn numbered(n: usize) -> KeyId {
    KeyId::new(&format!("{n:020}")).unwrap()
}

/// The details of these events, without the actor.
fn said(events: &[EventRow]) -> Vec<&str> {
    events.iter().filter_map(|event| event.after.as_deref()).collect()
}

#[tokio::test]
async fn guesses_are_one_line_and_hide_no_attempt_on_what_exists() {
    let (bench, id) = bench().await;
    let (eve, manager) = (person("eve"), &bench.manager);
    for n in 0..1_000 {
        manager.find(&numbered(n), &eve).await.unwrap_err();
        // The actor cannot know which owners exist.
        manager.suspend(&team(&format!("team {n}")), Suspension::Plan, &eve).await.unwrap_err();
    }
    manager.revoke(&id, &eve).await.unwrap_err();
    manager.rename(&id, "x", &eve).await.unwrap_err();
    manager.find(&id, &eve).await.unwrap_err();
    manager.suspend(&team("blue"), Suspension::Plan, &eve).await.unwrap_err();
    manager.list(ListKeys::of(team("blue")), &eve).await.unwrap_err();
    let events = denied(&bench).await;
    let on_the_key: Vec<_> = events.iter().filter(|event| event.key.as_deref() == Some(BLUE)).cloned().collect();
    let hidden = |action| format!(r#"{{"action":"{action}","reason":"hidden","count":1}}"#);
    assert_eq!(said(&on_the_key), [hidden("revoke"), hidden("rename"), hidden("see")]);
    let on_the_owner: Vec<_> =
        events.iter().filter(|event| event.key.is_none() && event.owner == "blue").cloned().collect();
    assert_eq!(said(&on_the_owner), [hidden("suspend"), hidden("see")]);
    let guesses = r#"{"reason":"not_found","count":2000}"#;
    assert_eq!(said(&events).iter().filter(|said| said.contains("not_found")).collect::<Vec<_>>(), [&guesses]);
    assert_eq!((events.len(), counted(&events)), (1 + 3 + 2, 2_005));
}

#[tokio::test]
async fn a_key_that_is_guessed_at_alone_is_named() {
    let (bench, _) = bench().await;
    let eve = person("eve");
    for (key, times) in [(1, 1), (2, 3)] {
        for _ in 0..times {
            bench.manager.find(&numbered(key), &eve).await.unwrap_err();
        }
        bench.denials.flush(false).await.unwrap();
    }
    let line = |n, count| {
        format!(r#"{{"action":"see","reason":"not_found","key":"{}","count":{count}}}"#, numbered(n).as_str())
    };
    assert_eq!(said(&denied(&bench).await), [line(1, 1), line(2, 3)]);
}

#[tokio::test]
async fn keys_beyond_the_most_that_are_told_apart_are_counted() {
    let bench = Bench::new();
    for n in 0..150 {
        bench.plant(numbered(n).as_str(), &team("blue"), "*").await;
        bench.manager.revoke(&numbered(n), &person("eve")).await.unwrap_err();
    }
    let events = denied(&bench).await;
    assert_eq!((events.len(), counted(&events)), (101, 150));
    assert!(said(&events).contains(&r#"{"reason":"various","count":50}"#));
}

#[tokio::test]
async fn what_an_actor_may_see_of_its_denials_tells_no_absent_key_from_a_hidden_one() {
    let shown = async |plant: bool| {
        let bench = Bench::new();
        for n in 0..300 {
            if plant {
                bench.plant(numbered(n).as_str(), &team("red"), "*").await;
            }
            bench.manager.find(&numbered(n), &member()).await.unwrap_err();
        }
        for n in 300..450 {
            bench.plant(numbered(n).as_str(), &team("blue"), "*").await;
            bench.manager.revoke(&numbered(n), &member()).await.unwrap_err();
        }
        let events = denied(&bench).await;
        said(&events).iter().filter(|said| said.contains("insufficient_role")).count()
    };
    assert_eq!((shown(true).await, shown(false).await), (100, 100));
}

#[tokio::test]
async fn actors_who_are_too_many_to_tell_apart_hide_nobody() {
    let (bench, id) = bench().await;
    for n in 0..1_500 {
        bench.manager.find(&numbered(n), &person(&format!("eve {n}"))).await.unwrap_err();
    }
    bench.manager.revoke(&id, &person("mallory")).await.unwrap_err();
    bench.manager.flush_denials().await.unwrap();
    let events = all_denied(&bench, OrganizationId::single()).await;
    assert_eq!((events.len(), counted(&events)), (1_000 + 2, 1_501));
    let on_the_key: Vec<_> = events.iter().filter(|event| event.key.is_some()).map(line).collect();
    assert_eq!(on_the_key, [r#"user:mallory B/blue {"action":"revoke","reason":"hidden","count":1}"#]);
}

#[tokio::test]
async fn reads_that_are_denied_leave_a_line() {
    let (bench, id) = bench().await;
    let (eve, manager) = (person("eve"), &bench.manager);
    let absent = KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap();
    manager.explain(&id, &eve).await.unwrap_err();
    manager.explain(&absent, &eve).await.unwrap_err();
    manager.list(ListKeys::of(team_id("blue")), &eve).await.unwrap_err();
    let mut lines: Vec<_> = denied(&bench).await.iter().map(line).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            r#"user:eve /blue {"action":"see","reason":"hidden","count":1}"#,
            r#"user:eve /eve {"action":"see_usage","reason":"not_found","key":"zzzzzzzzzzzzzzzzzzzz","count":1}"#,
            r#"user:eve B/blue {"action":"see_usage","reason":"hidden","count":1}"#,
        ]
    );
}

#[tokio::test]
async fn a_key_that_would_get_the_text_of_a_mightier_one_leaves_a_line() {
    let (bench, id) = bench().await;
    bench.plant(ACTING, &team("blue"), "read keys:manage").await;
    let key = Actor::key(&principal(&team("blue"), "read keys:manage"), Rights::none());
    bench.manager.begin_rotation(RotateKey::of(id), &key).await.unwrap_err();
    let lines: Vec<_> = denied(&bench).await.iter().map(line).collect();
    assert_eq!(lines, [format!(r#"key:{ACTING} B/blue {{"action":"rotate","reason":"scopes_too_wide","count":1}}"#)]);
}

#[tokio::test]
async fn an_attempt_from_another_organization_is_told_there() {
    let (bench, id) = bench().await;
    let stranger = person("eve").with_organization("elsewhere".parse().unwrap());
    bench.manager.revoke(&id, &stranger).await.unwrap_err();
    assert!(denied(&bench).await.is_empty());
    let query = EventQuery::all("elsewhere".parse().unwrap());
    let events = bench.store.inner.events(&query).await.unwrap().rows;
    assert_eq!(
        events.iter().map(line).collect::<Vec<_>>(),
        [r#"user:eve /eve {"action":"revoke","reason":"hidden","count":1}"#]
    );
}

#[tokio::test]
async fn the_source_is_kept_unless_there_are_several() {
    let (bench, id) = bench().await;
    let from = |source: &str| member().with_source(Source::new(source).unwrap());
    bench.manager.revoke(&id, &from("console")).await.unwrap_err();
    bench.manager.rename(&id, "x", &from("console")).await.unwrap_err();
    bench.manager.rename(&id, "x", &from("api")).await.unwrap_err();
    let sources: Vec<_> = denied(&bench).await.into_iter().map(|event| event.source).collect();
    assert_eq!(sources, [Some("console".to_owned()), None]);
}

#[tokio::test]
async fn a_key_in_a_source_is_not_kept() {
    let (bench, id) = bench().await;
    let pasted = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::Team).unwrap();
    let source = Source::new(format!("curl {}", pasted.expose_secret())).unwrap();
    bench.manager.revoke(&id, &member().with_source(source)).await.unwrap_err();
    let sources: Vec<_> = denied(&bench).await.into_iter().map(|event| event.source).collect();
    assert_eq!(sources, [Some(format!("curl {}", pasted.redacted()))]);
}

#[tokio::test]
async fn the_sink_is_told_once_they_are_written() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notifier = Notifier::new({
        let told = Arc::clone(&told);
        move |events: &[Event]| told.lock().unwrap().extend(events.iter().map(|event| event.action.to_string()))
    });
    let bench = Bench::with_rules(Rules { notifier, ..Rules::default() });
    let id = bench.plant(BLUE, &team("blue"), "*").await;
    bench.manager.revoke(&id, &member()).await.unwrap_err();
    bench.store.append_faults.lock().unwrap().push_back(Fault::Unavailable);
    bench.manager.flush_denials().await.unwrap_err();
    assert!(told.lock().unwrap().is_empty());
    bench.manager.flush_denials().await.unwrap();
    assert_eq!(*told.lock().unwrap(), ["manage.denied"]);
}

#[tokio::test]
async fn the_system_is_not_denied_what_does_not_exist() {
    let (bench, _) = bench().await;
    let absent = KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap();
    bench.manager.find(&absent, &system()).await.unwrap_err();
    assert!(denied(&bench).await.is_empty());
}
