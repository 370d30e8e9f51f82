use crate::{
    Actor, Owner,
    audit::{Action, EventRow},
    key::KeyId,
    manage::{
        AuditQuery, DenialReason, EventPage, InvalidInput, ManageErrorKind, Rights, TeamRole,
        fixture::{ACTING, Bench, key_of, person, system, team, team_id, time, user, user_id},
    },
    record::{ActorId, KeyRow},
    store::Ledger,
    usage::{Source, UsageBatch, UsageRow},
};

const BLUE: &str = "BBBBBBBBBBBBBBBBBBBB";
const RED: &str = "RRRRRRRRRRRRRRRRRRRR";

/// Events of alice, bob, blue and red in turn, one each minute, named by a letter in `after`.
async fn twelve_events() -> Bench {
    let bench = Bench::new();
    let rows: Vec<_> = (0..12_u8)
        .map(|n| {
            let (kind, owner) = [("user", "alice"), ("user", "bob"), ("team", "blue"), ("team", "red")][n as usize % 4];
            EventRow {
                at: 1_772_366_400_000 + i64::from(n) * 60_000,
                owner_kind: kind.into(),
                owner: owner.into(),
                key: (owner == "blue").then(|| BLUE.into()),
                actor: if n < 6 { "user:carol".into() } else { format!("key:{ACTING}") },
                action: if n % 3 == 0 { "key.revoked".into() } else { "key.renamed".into() },
                source: (n > 9).then(|| "console".into()),
                after: Some(char::from(b'a' + n).into()),
                ..EventRow::example()
            }
        })
        .collect();
    bench.store.inner.append_events(&rows).await.unwrap();
    bench.plant(BLUE, &team("blue"), "*").await;
    bench.plant(RED, &team("red"), "keys:read").await;
    bench.plant(ACTING, &user("kim"), "*").await;
    bench
}

/// The letters of the events. Events of the setup have none.
fn letters(page: &EventPage) -> String {
    page.entries.iter().filter_map(|entry| entry.event.after.clone()).collect()
}

async fn read(bench: &Bench, query: AuditQuery, actor: &Actor) -> Result<String, ManageErrorKind> {
    bench.manager.events(query, actor).await.map(|page| letters(&page)).map_err(|error| error.kind())
}

fn in_blue(role: TeamRole) -> Actor {
    Actor::user(user_id("alice"), Rights::none().team(team_id("blue"), role))
}

#[tokio::test]
async fn the_trail_of_all_is_that_of_what_the_actor_may_audit() {
    let bench = twelve_events().await;
    let org_admin = Actor::user(user_id("olga"), Rights::none().org_admin());
    for (actor, expected) in [
        (system(), "lkjihgfedcba"),
        (org_admin, "lkjihgfedcba"),
        (in_blue(TeamRole::Admin), "kigeca"),
        (in_blue(TeamRole::Member), "iea"),
        (person("bob"), "jfb"),
        (person("nobody"), ""),
        (Actor::key(&key_of(RED, &team("red"), "keys:read"), Rights::none()), "lhd"),
    ] {
        assert_eq!(read(&bench, AuditQuery::all(), &actor).await.as_deref(), Ok(expected), "{actor:?}");
    }
}

#[tokio::test]
async fn a_key_or_an_owner_that_is_not_the_actors_to_audit_is_refused() {
    let bench = twelve_events().await;
    let key = || AuditQuery::all().of_key(KeyId::new(BLUE).unwrap());
    let absent = AuditQuery::all().of_key(KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap());
    let of = |owner: Owner| AuditQuery::all().of(owner);
    let denied = Err(ManageErrorKind::Denied(DenialReason::InsufficientRole.into()));
    for (query, actor, expected) in [
        (key(), in_blue(TeamRole::Admin), Ok("kgc".to_owned())),
        (key(), in_blue(TeamRole::Member), denied.clone()),
        (key(), person("bob"), Err(ManageErrorKind::NotFound)),
        (absent, system(), Err(ManageErrorKind::NotFound)),
        (of(team("blue")), in_blue(TeamRole::Admin), Ok("kgc".to_owned())),
        (of(team("blue")), in_blue(TeamRole::Member), denied),
        (of(team("red")), in_blue(TeamRole::Admin), Err(ManageErrorKind::NotFound)),
        (of(user("alice")), person("alice"), Ok("iea".to_owned())),
        (of(user("alice")), person("bob"), Err(ManageErrorKind::NotFound)),
        (key().of(user("bob")), system(), Ok(String::new())),
    ] {
        assert_eq!(read(&bench, query.clone(), &actor).await, expected, "{query:?} {actor:?}");
    }
}

#[tokio::test]
async fn conditions_hold_together() {
    let bench = twelve_events().await;
    let all = AuditQuery::all;
    for (query, expected) in [
        (all().oldest_first(), "abcdefghijkl"),
        (all().by(ActorId::User(user_id("carol"))), "fedcba"),
        (all().action(Action::KEY_REVOKED), "jgda"),
        (all().action(Action::from("key.revoked")).of(team("blue")), "g"),
        (all().source(Source::new("console").unwrap()), "lk"),
        (all().from(time("2026-03-01T12:03:00Z")).until(time("2026-03-01T12:05:00Z")), "ed"),
    ] {
        assert_eq!(read(&bench, query.clone(), &system()).await.as_deref(), Ok(expected), "{query:?}");
    }
}

#[tokio::test]
async fn pages_of_several_owners_follow_each_other_in_log_order_without_gap_or_repeat() {
    let bench = twelve_events().await;
    for size in 1..=13 {
        for (actor, newest, oldest) in
            [(in_blue(TeamRole::Admin), "kigeca", "acegik"), (system(), "lkjihgfedcba", "abcdefghijkl")]
        {
            for (query, expected) in [(AuditQuery::all(), newest), (AuditQuery::all().oldest_first(), oldest)] {
                let (mut all, mut next) = (String::new(), query.clone().limit(size));
                loop {
                    let page = bench.manager.events(next, &actor).await.unwrap();
                    all += &letters(&page);
                    let Some(cursor) = page.next else { break };
                    next = query.clone().limit(size).after(cursor);
                }
                assert_eq!(all, expected, "{size}");
            }
        }
    }
}

#[tokio::test]
async fn each_event_says_on_whose_behalf_a_key_acted() {
    let bench = twelve_events().await;
    let page = bench.manager.events(AuditQuery::all().of(user("alice")).oldest_first(), &system()).await.unwrap();
    let [first, .., last] = &*page.entries else { panic!("{page:?}") };
    assert_eq!((first.acting_key, first.on_behalf_of.as_ref()), (None, None));
    assert_eq!((last.acting_key, last.on_behalf_of.as_ref()), (Some(KeyId::new(ACTING).unwrap()), Some(&user("kim"))));
    let shown = serde_json::to_value(last).unwrap();
    assert_eq!((shown["action"].as_str(), shown["on_behalf_of"]["id"].as_str()), (Some("key.renamed"), Some("kim")));
}

#[tokio::test]
async fn events_that_cannot_be_read_are_counted() {
    let bench = twelve_events().await;
    let broken = EventRow { actor: "?".into(), ..EventRow::example() };
    bench.store.inner.append_events(&[broken]).await.unwrap();
    let page = bench.manager.events(AuditQuery::all().limit(2), &system()).await.unwrap();
    assert_eq!((page.unreadable, page.entries.len()), (1, 1));
}

#[tokio::test]
async fn the_trail_of_a_key_whose_record_cannot_be_read_is_there() {
    let bench = twelve_events().await;
    let id = "CCCCCCCCCCCCCCCCCCCC";
    let row = KeyRow { id: id.into(), owner: "blue".into(), hash: "!".into(), ..KeyRow::example() };
    let id = bench.plant_row(row).await;
    let query = AuditQuery::all().of_key(id);
    assert_eq!(read(&bench, query.clone(), &in_blue(TeamRole::Admin)).await, Ok(String::new()));
    assert_eq!(read(&bench, query, &person("bob")).await, Err(ManageErrorKind::NotFound));
}

#[tokio::test]
async fn ones_own_trail_does_not_tell_what_is_absent_from_what_is_hidden() {
    let bench = twelve_events().await;
    let absent = KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap();
    let hidden = KeyId::new(BLUE).unwrap();
    for id in [&absent, &hidden] {
        bench.manager.revoke(id, &person("eve")).await.unwrap_err();
    }
    bench.manager.flush_denials().await.unwrap();
    assert_eq!(read(&bench, AuditQuery::all(), &person("eve")).await.as_deref(), Ok(""));
    let denied = AuditQuery::all().action(Action::MANAGE_DENIED);
    let seen = |said: Result<String, _>| said.unwrap().matches("count").count();
    assert_eq!(seen(read(&bench, denied.clone(), &system()).await), 2);
    // The admin of the key's team sees that there was an attempt.
    assert_eq!(seen(read(&bench, denied, &in_blue(TeamRole::Admin)).await), 1);
}

#[tokio::test]
async fn a_page_has_1_to_1000_events() {
    let bench = twelve_events().await;
    for limit in [0, 1_001] {
        let kind = read(&bench, AuditQuery::all().limit(limit), &system()).await.unwrap_err();
        assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::PageSize));
    }
}

#[tokio::test]
async fn misuse_names_sources_attempts_after_death_changes_and_keys_made() {
    let bench = twelve_events().await;
    let id = KeyId::new(ACTING).unwrap();
    let made = KeyRow { created_via_key: Some(ACTING.into()), owner: "blue".into(), ..row("made________________") };
    bench.plant_row(made).await;
    let since = time("2026-03-01T12:08:00Z");
    let usage = |outcome: &str, source: &str, count, first: i64, last: i64| UsageRow {
        key: Some(ACTING.into()),
        outcome: outcome.into(),
        count,
        first_at: 1_772_366_400_000 + first * 60_000,
        last_at: 1_772_366_400_000 + last * 60_000,
        ..UsageRow::seen_from(source)
    };
    let rows = vec![
        usage("success", "intake/curl", 7, 0, 9),
        usage("success", "api/python", 3, 8, 10),
        usage("key_revoked", "api/python", 5, 11, 12),
        // Anyone who knows the id of a key can try it without its secret.
        usage("invalid_key", "api/python", 1, 1, 1),
        usage("wrong_team", "api/node", 2, 1, 2),
    ];
    bench.store.inner.record_usage(&UsageBatch { writer: [1; 16], sequence: 1, rows, days: Vec::new() }).await.unwrap();
    let report = bench.manager.leak_report(&id, since, &system()).await.unwrap();
    let sources: Vec<_> = report
        .sources
        .iter()
        .map(|source| (source.source.to_string(), source.accepted, source.refused, source.is_new, source.is_within))
        .collect();
    assert_eq!(
        sources,
        [
            ("api/python".to_owned(), 3, 6, true, true),
            ("intake/curl".to_owned(), 7, 0, false, true),
            ("api/node".to_owned(), 0, 2, false, false)
        ]
    );
    let accepted: Vec<_> = report.sources.iter().map(|source| source.first_accepted_at).collect();
    assert_eq!(accepted, [Some(since), Some(time("2026-03-01T12:00:00Z")), None]);
    assert_eq!(report.tried_since_death.iter().map(|count| count.count).sum::<i64>(), 5);
    let changed: String = report.changes.iter().filter_map(|event| event.after.clone()).collect();
    assert_eq!(changed, "ijkl");
    assert_eq!(report.made.len(), 1);
    let denied_downstream: Vec<_> =
        report.denied_downstream.iter().map(|count| (count.source.to_string(), count.count)).collect();
    assert_eq!(denied_downstream, [("api/node".to_owned(), 2)]);
    assert_eq!(
        report.to_string(),
        format!(
            "Since {since}, requests with it came from 2 sources. 1 of them had not been seen before. In that time, it \
             made 4 changes and created 1 key. What you have no access to is not counted. It was sent 5 times after it \
             was revoked or expired, and was refused."
        )
    );
    // The owner sees its own key, but not what the key did to keys of others.
    let own = bench.manager.leak_report(&id, since, &person("kim")).await.unwrap();
    assert_eq!((own.changes.len(), own.made.len(), own.sources.len()), (0, 0, 3));
    assert!(own.to_string().contains("In that time, it changed nothing that you have access to"), "{own}");
    assert_eq!(
        bench.manager.leak_report(&id, since, &person("eve")).await.unwrap_err().kind(),
        ManageErrorKind::NotFound
    );
}

fn row(id: &str) -> KeyRow {
    KeyRow { id: id.into(), ..KeyRow::example() }
}
