//! Advice, previews, blast radius, exposure and explanations: which actors may ask, and what a manager finds for them.

use crate::{
    Actor, Clock, IssueKey, OrganizationId,
    key::KeyId,
    manage::{
        CallVerdict, CheckKind, CheckResult, Decision, Denial, DenialReason, ExposedKey, Exposure, ExposureReason,
        KeyAction, ManageErrorKind, NoteKind, Recommendation, Rights, Severity, Target, TeamRole,
        fixture::{ACTING, Bench, key_of, person, principal, scopes, system, team, team_id, time, user, user_id},
    },
    outcome::{Outcome, RefusalCode},
    record::{KeyRow, Suspension},
    store::{Ledger, OwnerChange},
    usage::{CallHistory, UsageBatch, UsageRow},
};

const ALICES: &str = "AAAAAAAAAAAAAAAAAAAA";
const BLUES: &str = "BBBBBBBBBBBBBBBBBBBB";

const ACTORS: [&str; 11] =
    ["alice", "bob", "member", "admin", "red", "org", "system", "foreign", "k-alice", "k-blue", "all-alice"];

fn actor(name: &str) -> Actor {
    let blue = |role| Rights::none().team(team_id("blue"), role).team_keys_included();
    let of = |id, rights| Actor::user(user_id(id), rights);
    match name {
        "member" => of("mia", blue(TeamRole::Member)),
        "admin" => of("adam", blue(TeamRole::Admin)),
        "red" => of("rosa", Rights::none().team(team_id("red"), TeamRole::Owner).team_keys_included()),
        "org" => of("olga", Rights::none().org_admin()),
        "system" => system(),
        // All rights, in another organization.
        "foreign" => of("alice", Rights::none().org_admin()).with_organization(OrganizationId::new("other").unwrap()),
        "k-alice" => Actor::key(&key_of(ALICES_ACTING, &user("alice"), "* keys:manage"), Rights::none()),
        "k-blue" => {
            let plan = Rights::none().team_keys_included_for(team_id("blue"));
            Actor::key(&key_of(BLUES_ACTING, &team("blue"), "* keys:manage"), plan)
        }
        "all-alice" => Actor::key(&principal(&user("alice"), "*"), Rights::none()),
        name => person(name),
    }
}

const ALICES_ACTING: &str = "alicesalicesalicesal";
const BLUES_ACTING: &str = "bluesbluesbluesblues";

/// A bench with the acting keys.
async fn bench() -> Bench {
    let bench = Bench::new();
    bench.plant(ALICES_ACTING, &user("alice"), "* keys:manage").await;
    bench.plant(BLUES_ACTING, &team("blue"), "* keys:manage").await;
    bench
}

fn word<T>(result: Result<T, crate::manage::ManageError>) -> &'static str {
    match result.map(|_| ()).map_err(|error| error.kind()) {
        Ok(()) => "yes",
        Err(ManageErrorKind::NotFound) => "-",
        Err(ManageErrorKind::Denied(denial)) => match denial.reason() {
            DenialReason::InsufficientRole => "role",
            DenialReason::InsufficientScope(_) => "scope",
            _ => "other",
        },
        Err(_) => "failed",
    }
}

#[tokio::test]
async fn advice_and_explanations_are_for_who_may_see_the_usage() {
    let bench = bench().await;
    let alices = bench.plant(ALICES, &user("alice"), "*").await;
    let blues = bench.plant(BLUES, &team("blue"), "*").await;
    let absent = KeyId::new("CCCCCCCCCCCCCCCCCCCC").unwrap();
    for (id, expected) in [
        (alices, ["yes", "-", "-", "-", "-", "yes", "yes", "-", "yes", "-", "scope"]),
        (blues, ["-", "-", "role", "yes", "-", "yes", "yes", "-", "-", "yes", "scope"]),
        (absent, ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "scope"]),
    ] {
        for (name, expected) in ACTORS.iter().zip(expected) {
            let actor = actor(name);
            assert_eq!(word(bench.manager.advise(&id, &actor).await), expected, "advise {id} {name}");
            assert_eq!(word(bench.manager.explain(&id, &actor).await), expected, "explain {id} {name}");
        }
    }
}

#[tokio::test]
async fn blast_radius_is_for_oneself_and_exposure_for_who_manages_keys_of_others() {
    let bench = bench().await;
    let alice = user_id("alice");
    let radius = ["yes", "-", "-", "-", "-", "yes", "yes", "-", "yes", "-", "scope"];
    let exposure = ["role", "-", "-", "yes", "yes", "yes", "yes", "-", "role", "yes", "scope"];
    for ((name, radius), exposure) in ACTORS.iter().zip(radius).zip(exposure) {
        let actor = actor(name);
        assert_eq!(word(bench.manager.blast_radius(&alice, &actor).await), radius, "{name}");
        assert_eq!(word(bench.manager.exposure(&alice, &actor).await), exposure, "{name}");
    }
}

#[tokio::test]
async fn preview_decides_as_can_does_and_tells_strangers_nothing() {
    let bench = bench().await;
    for owner in [user("alice"), team("blue")] {
        bench.change_owner(&owner, OwnerChange::Suspend(Suspension::Admin)).await;
        for name in ACTORS {
            let (actor, request) = (actor(name), IssueKey::of(owner.clone()));
            let target = Target::NewKey { owner: &owner, scopes: &request.scopes, expires_at: None };
            let can = bench.manager.can(&actor, KeyAction::Issue, &target).await.unwrap();
            let preview = bench.manager.preview(&request, &actor).await;
            if can == Decision::Hide {
                assert_eq!(word(preview), "-", "{name} {owner}");
                continue;
            }
            let preview = preview.unwrap();
            assert_eq!(preview.decision, can, "{name} {owner}");
            // Alice is suspended in both rounds.
            let is_held = ["alice", "k-alice"].contains(&name) || actor.standing_on().as_ref() == Some(&owner);
            assert_eq!(preview.has(NoteKind::Denied), can != Decision::Allow || is_held, "{name} {owner}");
            // An actor that may not act, and a key that may not manage keys, learns nothing about any owner.
            let is_told = name != "all-alice" && !is_held;
            assert_eq!(preview.has(NoteKind::OwnerSuspended), is_told, "{name} {owner}");
            assert!(!preview.can_be_issued());
        }
    }
    assert_eq!(bench.store.applies(), 0);
}

#[tokio::test]
async fn preview_blocks_what_issuing_refuses_and_nothing_else() {
    let bench = Bench::new();
    bench.change_owner(&team("suspended"), OwnerChange::Suspend(Suspension::Plan)).await;
    bench.change_owner(&team("closed"), OwnerChange::Close).await;
    let blue = || IssueKey::team(team_id("blue"));
    let pasted = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::User).unwrap();
    let many: Vec<String> = (0..65).map(|number| format!("s{number}")).collect();
    let many = many.iter().map(|scope| crate::Scope::new(scope.as_str()).unwrap());
    let many = many.fold(crate::Scopes::none(), crate::Scopes::with);
    for (request, expected) in [
        (blue(), None),
        (blue().named("key 1").scopes(scopes("")), None),
        (blue().labelled("ticket", "OPS-1").expires_at(time("2026-03-02T12:00:00Z")), None),
        (blue().idempotency_key("x"), None),
        (blue().named("n".repeat(101)), Some(NoteKind::InvalidName)),
        (blue().named(pasted.expose_secret()), Some(NoteKind::InvalidName)),
        (blue().labelled("Ticket", "x"), Some(NoteKind::InvalidLabels)),
        (blue().scopes(many), Some(NoteKind::InvalidScopes)),
        (blue().expires_at(time("2026-03-01T12:00:00Z")), Some(NoteKind::ExpiryPast)),
        (blue().idempotency_key(""), Some(NoteKind::InvalidIdempotencyKey)),
        (IssueKey::team(team_id("suspended")), Some(NoteKind::OwnerPlanSuspended)),
        (IssueKey::team(team_id("closed")), Some(NoteKind::OwnerClosed)),
    ] {
        let preview = bench.manager.preview(&request, &system()).await.unwrap();
        assert_eq!(preview.can_be_issued(), expected.is_none(), "{preview}");
        assert!(expected.is_none_or(|kind| preview.has(kind)), "{expected:?}: {preview}");
        assert!(!format!("{preview}{}", serde_json::to_string(&preview).unwrap()).contains(pasted.expose_secret()));
        assert_eq!(bench.manager.issue(request, &system()).await.is_ok(), expected.is_none(), "{preview}");
    }
}

/// Alice as an admin of team blue, in person or with the key [`ACTING`]; or that key as a team key.
fn issuer(name: &str) -> Actor {
    let rights = Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included();
    match name {
        "alice" => Actor::user(user_id("alice"), rights),
        "alice's key" => Actor::key(&principal(&user("alice"), "* keys:manage"), rights),
        _ => Actor::key(&principal(&team("blue"), "* keys:manage"), rights),
    }
}

#[tokio::test]
async fn preview_blocks_whom_issuing_refuses_and_nobody_else() {
    let (dead, suspended_actor) = (Some(DenialReason::ActorKeyDead), Some(DenialReason::ActorSuspended));
    let suspended = OwnerChange::Suspend(Suspension::Admin);
    for (actor, key, change, for_team) in [
        ("alice", None, None, None),
        ("alice", None, Some((user("alice"), suspended)), suspended_actor),
        (
            "alice",
            None,
            Some((user("alice"), OwnerChange::Suspend(Suspension::Plan))),
            Some(DenialReason::ActorPlanSuspended),
        ),
        ("alice", None, Some((user("alice"), OwnerChange::Close)), Some(DenialReason::ActorClosed)),
        ("alice's key", None, None, dead),
        ("alice's key", Some((None, None)), None, None),
        ("alice's key", Some((Some("2026-03-01T11:00:00Z"), None)), None, dead),
        ("alice's key", Some((None, Some("2026-03-01T12:00:00Z"))), None, Some(DenialReason::ActorKeyExpired)),
        // The key is live, and can issue no key that outlives it.
        ("alice's key", Some((None, Some("2026-03-01T12:00:00.001Z"))), None, Some(DenialReason::ExpiryTooLate)),
        ("alice's key", Some((None, None)), Some((user("alice"), suspended)), suspended_actor),
        ("alice's key", Some((Some("2026-03-01T11:00:00Z"), None)), Some((user("alice"), suspended)), dead),
        ("blue's key", Some((None, None)), None, None),
        ("blue's key", Some((Some("2026-03-01T11:00:00Z"), None)), None, dead),
    ] {
        let bench = Bench::new();
        if let Some((revoked, expires)) = key {
            let is_blues = actor == "blue's key";
            let row = KeyRow {
                id: ACTING.into(),
                kind: if is_blues { "team" } else { "user" }.into(),
                owner: if is_blues { "blue" } else { "alice" }.into(),
                scopes: "* keys:manage".into(),
                revoked_at: revoked.map(|at| time(at).as_millis()),
                revoked_by: revoked.map(|_| "user:olga".into()),
                expires_at: expires.map(|at| time(at).as_millis()),
                ..KeyRow::example()
            };
            bench.plant_row(row).await;
        }
        if let Some((owner, change)) = &change {
            bench.change_owner(owner, *change).await;
        }
        let (told, actor) = (format!("{actor} {key:?} {change:?}"), issuer(actor));
        let request = IssueKey::team(team_id("blue"));
        let preview = bench.manager.preview(&request, &actor).await.unwrap();
        assert_eq!(preview.decision, Decision::Allow, "{told}");
        let errors = preview.notes.iter().filter(|note| note.severity == Severity::Error);
        let errors: Vec<_> = errors.map(|note| (note.kind, note.to_string())).collect();
        let expected = for_team.map(|reason| (NoteKind::Denied, Denial::from(reason).to_string()));
        assert_eq!(errors, expected.into_iter().collect::<Vec<_>>(), "{told}");
        let issued = bench.manager.issue(request, &actor).await.map_err(|error| error.kind());
        assert_eq!(issued.err(), for_team.map(|reason| ManageErrorKind::Denied(reason.into())), "{told}");
    }
}

#[tokio::test]
async fn preview_tells_an_owner_who_is_suspended_what_issuing_would_say_and_why() {
    for (actor, owner) in [("alice", user("alice")), ("alice's key", user("alice")), ("blue's key", team("blue"))] {
        let bench = Bench::new();
        bench.plant(ACTING, &owner, "* keys:manage").await;
        bench.change_owner(&owner, OwnerChange::Suspend(Suspension::Admin)).await;
        let (request, actor) = (IssueKey::of(owner), issuer(actor));
        let preview = bench.manager.preview(&request, &actor).await.unwrap();
        let errors = preview.notes.iter().filter(|note| note.severity == Severity::Error).map(|note| note.kind);
        assert_eq!(errors.collect::<Vec<_>>(), [NoteKind::Denied]);
        let refused = bench.manager.issue(request, &actor).await.unwrap_err();
        assert_eq!(refused.kind(), ManageErrorKind::Denied(DenialReason::ActorSuspended.into()));
    }
}

#[tokio::test]
async fn preview_tells_what_would_surprise() {
    use NoteKind::{
        DiesWithPerson, Expires, ManagesKeys, ManagesNoKeys, NoScopes, OutlivesCreator, Reach, ScopesLimited,
        ShouldBePersonalKey, ShouldBeTeamKey, ShownOnce, SuspendedWithTeam, WhoCanUse,
    };
    let bench = Bench::new();
    let (alice, blue) = (|| IssueKey::user(user_id("alice")), || IssueKey::team(team_id("blue")));
    for (request, expected) in [
        (alice().named("laptop"), vec![WhoCanUse, DiesWithPerson, Reach, ManagesNoKeys, ShownOnce]),
        (
            alice().named("GitHub Actions - deploy"),
            vec![ShouldBeTeamKey, WhoCanUse, DiesWithPerson, Reach, ManagesNoKeys, ShownOnce],
        ),
        (
            alice().labelled("installed", "jenkins.example.com"),
            vec![ShouldBeTeamKey, WhoCanUse, DiesWithPerson, Reach, ManagesNoKeys, ShownOnce],
        ),
        (alice().named("deploys from my laptop"), vec![WhoCanUse, DiesWithPerson, Reach, ManagesNoKeys, ShownOnce]),
        (
            blue().named("CI pipeline").scopes(scopes("agents:read")),
            vec![WhoCanUse, OutlivesCreator, SuspendedWithTeam, Reach, ScopesLimited, ManagesNoKeys, ShownOnce],
        ),
        (
            blue().named("Bob's macbook").scopes(scopes("* keys:manage")).expires_at(time("2026-03-02T12:00:00Z")),
            vec![
                ShouldBePersonalKey,
                ManagesKeys,
                Expires,
                WhoCanUse,
                OutlivesCreator,
                SuspendedWithTeam,
                Reach,
                ShownOnce,
            ],
        ),
        (
            blue().named("CI").scopes(scopes("")).expires_at(time("2027-03-02T12:00:00Z")),
            vec![NoScopes, WhoCanUse, OutlivesCreator, SuspendedWithTeam, Reach, ManagesNoKeys, Expires, ShownOnce],
        ),
    ] {
        let preview = bench.manager.preview(&request, &system()).await.unwrap();
        assert_eq!(preview.notes.iter().map(|note| note.kind).collect::<Vec<_>>(), expected, "{request:?}");
    }
}

#[tokio::test]
async fn preview_tells_of_live_keys_of_the_same_name_to_those_who_may_see_them() {
    let bench = Bench::new();
    let ids = ["CCCCCCCCCCCCCCCCCCCC", "DDDDDDDDDDDDDDDDDDDD", "EEEEEEEEEEEEEEEEEEEE"];
    for (id, owner) in ids.iter().map(|id| (*id, "blue")).chain([("FFFFFFFFFFFFFFFFFFFF", "red")]) {
        let (owner, id): (String, String) = (owner.into(), id.into());
        let row = KeyRow { name: "deploy".into(), owner, lineage: id.clone(), id, ..KeyRow::example() };
        bench.plant_row(row).await;
    }
    let admin = Actor::user(user_id("ada"), Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included());
    let notes = async |name: &str, actor: &Actor| {
        let preview = bench.manager.preview(&IssueKey::team(team_id("blue")).named(name), actor).await.unwrap();
        let same = preview.notes.into_iter().filter(|note| note.kind == NoteKind::SameName);
        same.map(|note| note.sentence).collect::<Vec<_>>()
    };
    let many = "3 active keys of the team blue already have this name, so you cannot see in a list which one is which.";
    assert_eq!(notes("deploy", &admin).await, [many]);
    for ended in &ids[1..] {
        bench.manager.revoke(&ended.parse().unwrap(), &system()).await.unwrap();
    }
    let one = "1 active key of the team blue already has this name, so you cannot see in a list which one is which.";
    assert_eq!(notes("deploy", &system()).await, [one]);
    for other in ["Deploy", "deploy 2", ""] {
        assert!(notes(other, &admin).await.is_empty(), "{other}");
    }
}

#[tokio::test]
async fn advice_reads_the_counts_of_its_own_key() {
    let bench = Bench::new();
    let (alices, other) =
        (bench.plant(ALICES, &user("alice"), "*").await, bench.plant(BLUES, &user("alice"), "*").await);
    used(&bench, &[(alices, "success", "api/GitHub-Actions", 9), (other, "success", "vscode", 9)]).await;
    let advice = bench.manager.advise(&alices, &person("alice")).await.unwrap();
    assert_eq!((advice.key, advice.recommendation), (alices, Recommendation::MakeServiceUserKey));
    let advice = bench.manager.advise(&other, &person("alice")).await.unwrap();
    assert_eq!(advice.recommendation, Recommendation::KeepPersonal);
}

/// Counts requests at the bench's current time.
async fn used(bench: &Bench, counts: &[(KeyId, &str, &str, i64)]) {
    let at = bench.clock.now().as_millis();
    let rows = counts.iter().map(|(key, outcome, source, count)| UsageRow {
        key: Some(key.as_str().into()),
        outcome: (*outcome).into(),
        count: *count,
        first_at: at,
        last_at: at,
        ..UsageRow::seen_from(source)
    });
    let batch = UsageBatch { writer: [9; 16], sequence: 1, rows: rows.collect(), days: Vec::new() };
    bench.store.inner.record_usage(&batch).await.unwrap();
}

/// 2,500 personal keys of alice and 2,500 that she created for teams, one fifth of each dead.
async fn crowd(bench: &Bench) -> Vec<KeyId> {
    let mut personal = Vec::new();
    for number in 0..5_000_usize {
        let is_team = number % 2 == 1;
        let id = bench.plant_row(KeyRow {
            id: format!("{number:020}"),
            kind: if is_team { "team" } else { "user" }.into(),
            owner: if !is_team {
                "alice"
            } else if number % 4 == 1 {
                "blue"
            } else {
                "red"
            }
            .into(),
            created_by: "user:alice".into(),
            revoked_at: (number % 10 < 2).then_some(1_772_366_400_000),
            ..KeyRow::example()
        });
        let id = id.await;
        if !is_team {
            personal.push(id);
        }
    }
    personal
}

#[tokio::test]
async fn blast_radius_walks_all_pages_and_shows_of_teams_what_the_actor_may_see() {
    let bench = Bench::new();
    let personal = crowd(&bench).await;
    let counts: Vec<_> = personal.iter().map(|id| (*id, "success", "api/GitHub-Actions", 5)).collect();
    used(&bench, &counts).await;
    let alice = user_id("alice");
    for (name, goes_on) in [("org", 2_000), ("alice", 0)] {
        let radius = bench.manager.blast_radius(&alice, &actor(name)).await.unwrap();
        assert_eq!((radius.stops.len(), radius.goes_on.len()), (2_000, goes_on), "{name}");
        assert!(radius.stops.iter().all(|stops| stops.looks_shared() && stops.sources[0].count == 5));
        assert_eq!(radius.unreadable, []);
    }
    // She is now a member of one of the two teams: she sees its keys without their usage.
    let member = Actor::user(alice.clone(), Rights::none().team(team_id("blue"), TeamRole::Member));
    let radius = bench.manager.blast_radius(&alice, &member).await.unwrap();
    assert_eq!(radius.goes_on.len(), 1_000);
    assert!(radius.goes_on.iter().all(|key| key.owner == team("blue") && key.usage.is_none()));
    let told = radius.to_string();
    assert!(
        told.starts_with(
            "If alice leaves, 2000 personal keys stop working. Of these, 2000 were used in the last 30 days,"
        ),
        "{told}"
    );
    assert!(told.ends_with("1000 keys that alice created for others are not affected and keep working."), "{told}");
}

#[tokio::test]
async fn blast_radius_tells_the_last_used_first_and_who_is_gone_already() {
    let bench = Bench::new();
    let (never, now) = (bench.plant(ALICES, &user("alice"), "*").await, bench.plant(BLUES, &user("alice"), "*").await);
    bench.use_once(&now).await;
    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Admin)).await;
    let radius = bench.manager.blast_radius(&user_id("alice"), &system()).await.unwrap();
    assert_eq!(radius.stops.iter().map(|stops| stops.key.id).collect::<Vec<_>>(), [now, never]);
    assert!(radius.stops.iter().all(|stops| !stops.looks_shared()));
    assert!(radius.to_string().contains("the personal keys of alice do not work"));
}

fn saw(exposure: &Exposure) -> Vec<(String, ExposureReason)> {
    let letter = |exposed: &ExposedKey| (exposed.key.id.as_str()[..1].to_owned(), exposed.reason);
    exposure.keys.iter().map(letter).collect()
}

#[tokio::test]
async fn exposure_follows_who_made_what_also_through_the_dead_and_in_circles() {
    let bench = Bench::new();
    let id = |letter: &str| KeyId::new(&letter.repeat(20)).unwrap();
    let by_key = |letter: &str| Some(letter.repeat(20));
    let plant = |letter: &str, owner: crate::Owner, by: &str, with: Option<String>, change: fn(&mut KeyRow)| {
        let mut row = KeyRow {
            id: letter.repeat(20),
            kind: owner.kind().as_str().into(),
            owner: owner.id().into(),
            created_by: by.into(),
            created_via_key: with,
            ..KeyRow::example()
        };
        change(&mut row);
        bench.plant_row(row)
    };
    // Her key, issued by the system; a dead one that she created; one that she created as a successor.
    plant("A", user("alice"), "system:first start", by_key("E"), |_| {}).await;
    plant("B", team("blue"), "user:alice", None, |row| row.revoked_at = Some(5)).await;
    plant("C", team("blue"), "user:alice", None, |row| row.replaces = Some("Z".repeat(20))).await;
    // One created with her key; one with the dead key; one with that one; one by bob without a key of hers.
    plant("D", team("red"), &format!("key:{}", "A".repeat(20)), by_key("A"), |_| {}).await;
    plant("E", team("red"), &format!("key:{}", "B".repeat(20)), by_key("B"), |_| {}).await;
    plant("F", user("bob"), &format!("key:{}", "E".repeat(20)), by_key("E"), |_| {}).await;
    plant("G", team("red"), "user:bob", None, |_| {}).await;
    plant("H", team("red"), "user:alice", None, |row| row.scopes = " ".into()).await;
    plant("I", team("red"), "user:alice", None, |row| row.expires_at = Some(6)).await;
    let exposure = bench.manager.exposure(&user_id("alice"), &actor("org")).await.unwrap();
    let expected = [
        ("A".to_owned(), ExposureReason::Holds),
        ("C".to_owned(), ExposureReason::Rotated),
        ("D".to_owned(), ExposureReason::MadeWith(id("A"))),
        ("E".to_owned(), ExposureReason::MadeWith(id("B"))),
        ("F".to_owned(), ExposureReason::MadeWith(id("E"))),
    ];
    assert_eq!(saw(&exposure), expected);
    assert_eq!(exposure.unreadable, [id("H")]);
    assert!(exposure.to_string().starts_with("alice has seen 6 active keys in full"));
}

#[tokio::test]
async fn exposure_walks_all_pages() {
    let bench = Bench::new();
    for number in 0..2_500_usize {
        bench
            .plant_row(KeyRow {
                id: format!("{number:020}"),
                created_by: "key:ZZZZZZZZZZZZZZZZZZZZ".into(),
                created_via_key: Some("Z".repeat(20)),
                ..KeyRow::example()
            })
            .await;
    }
    bench.plant("ZZZZZZZZZZZZZZZZZZZZ", &user("alice"), "keys:manage").await;
    let exposure = bench.manager.exposure(&user_id("alice"), &system()).await.unwrap();
    assert_eq!(exposure.keys.len(), 2_501);
}

#[tokio::test]
async fn explain_tells_since_when_and_by_whom() {
    let bench = Bench::new();
    let id = bench.plant(ALICES, &user("alice"), "*").await;
    let org = actor("org");
    bench.manager.suspend(&user("alice"), Suspension::Admin, &org).await.unwrap();
    bench.manager.revoke(&id, &person("alice")).await.unwrap_err();
    let explanation = bench.manager.explain(&id, &org).await.unwrap();
    assert_eq!(explanation.verdict, CallVerdict::OwnerSuspended);
    let reason = explanation.reason().unwrap();
    assert_eq!((reason.kind, reason.since), (CheckKind::OwnerActive, Some(time(crate::manage::fixture::START))));
    assert_eq!(reason.by.as_ref().unwrap().to_string(), "user:olga");
    assert!(reason.remedy.is_some());

    bench.clock.advance(std::time::Duration::from_secs(60));
    bench.manager.revoke(&id, &org).await.unwrap();
    let explanation = bench.manager.explain(&id, &org).await.unwrap();
    assert_eq!(explanation.verdict, CallVerdict::KeyRevoked);
    assert_eq!(explanation.reason().unwrap().since, Some(time("2026-03-01T12:01:00Z")));
    // The check of the suspension would be next.
    let failed: Vec<_> = explanation.checks.iter().filter(|check| check.result == CheckResult::Failed).collect();
    assert_eq!(
        failed.iter().map(|check| check.kind).collect::<Vec<_>>(),
        [CheckKind::NotRevoked, CheckKind::OwnerActive]
    );
    assert!(explanation.checks.is_sorted_by_key(|check| check.kind));
}

#[tokio::test]
async fn explain_tells_of_the_suspension_that_callers_are_told_of() {
    let bench = Bench::new();
    let id = bench.plant(BLUES, &team("blue"), "*").await;
    for (at, suspension, verdict) in [
        ("2026-03-01T12:00:00Z", Suspension::Plan, CallVerdict::OwnerPlanSuspended),
        ("2026-03-01T12:01:00Z", Suspension::Admin, CallVerdict::OwnerSuspended),
    ] {
        bench.manager.suspend(&team("blue"), suspension, &actor("org")).await.unwrap();
        let explanation = bench.manager.explain(&id, &actor("org")).await.unwrap();
        let reason = explanation.reason().unwrap();
        assert_eq!((explanation.verdict, reason.kind), (verdict, CheckKind::OwnerActive));
        assert_eq!((reason.since, reason.by.as_ref().unwrap().to_string()), (Some(time(at)), "user:olga".to_owned()));
        assert!(reason.sentence.to_string().contains("plan does not include API keys for this team"), "{reason:?}");
        bench.clock.advance(std::time::Duration::from_secs(60));
    }
    bench.manager.close(&team("blue"), &actor("org")).await.unwrap();
    let explanation = bench.manager.explain(&id, &actor("org")).await.unwrap();
    assert_eq!(explanation.verdict, CallVerdict::OwnerClosed);
    assert_eq!(explanation.reason().unwrap().since, Some(time("2026-03-01T12:02:00Z")));
}

#[tokio::test]
async fn explain_blames_nobody_for_a_suspension_that_has_no_event() {
    let bench = Bench::new();
    let id = bench.plant(BLUES, &team("blue"), "*").await;
    bench.manager.suspend(&team("blue"), Suspension::Plan, &system()).await.unwrap();
    bench.manager.reinstate(&team("blue"), Suspension::Plan, &system()).await.unwrap();
    bench.change_owner(&team("blue"), OwnerChange::Suspend(Suspension::Admin)).await;
    let explanation = bench.manager.explain(&id, &system()).await.unwrap();
    assert_eq!(explanation.reason().unwrap().by, None);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_explained_to_who_may_know_of_it() {
    let bench = bench().await;
    let broken = |id: &str, change: fn(&mut KeyRow)| {
        let mut row = KeyRow { id: id.repeat(20), owner: "blue".into(), ..KeyRow::example() };
        change(&mut row);
        bench.plant_row(row)
    };
    let scopes = broken("S", |row| row.scopes = " ".into()).await;
    let kind = broken("K", |row| row.kind = "robot".into()).await;
    for (id, expected) in [
        (scopes, ["-", "-", "role", "yes", "-", "yes", "yes", "-", "-", "yes", "scope"]),
        (kind, ["-", "-", "-", "-", "-", "yes", "yes", "-", "-", "-", "scope"]),
    ] {
        for (name, expected) in ACTORS.iter().zip(expected) {
            assert_eq!(word(bench.manager.explain(&id, &actor(name)).await), expected, "{id} {name}");
        }
    }
    let explanation = bench.manager.explain(&scopes, &system()).await.unwrap();
    assert_eq!(explanation.verdict, CallVerdict::CorruptRecord);
    assert!(explanation.to_string().contains("the column `scopes`"), "{explanation}");
    assert_eq!(explanation.checks.len(), 10);
}

#[tokio::test]
async fn the_service_that_never_called_is_told_from_the_one_that_calls_and_fails() {
    let bench = Bench::new();
    let (silent, failing) =
        (bench.plant(ALICES, &user("alice"), "*").await, bench.plant(BLUES, &user("alice"), "*").await);
    used(&bench, &[(failing, "invalid_key", "api/curl", 7)]).await;
    let silent = bench.manager.explain(&silent, &system()).await.unwrap();
    assert_eq!((silent.call_history, silent.seen.len()), (CallHistory::Never, 0));
    assert!(silent.to_string().contains("No request with this key has arrived"));
    let failing = bench.manager.explain(&failing, &system()).await.unwrap();
    assert_eq!((failing.verdict, failing.call_history), (CallVerdict::Accepted, CallHistory::OnlyRefused));
    assert_eq!((&failing.seen[0].outcome, failing.seen[0].count), (&Outcome::Refused(RefusalCode::InvalidKey), 7));
}

#[tokio::test]
async fn a_team_admin_is_told_of_the_keys_of_her_teams_and_not_that_there_is_more() {
    let bench = Bench::new();
    let made_by = |row: KeyRow, by: &str| KeyRow { created_by: format!("user:{by}"), ..row };
    let of = |letter: char, kind: &str, owner: &str| {
        let id = letter.to_string().repeat(20);
        KeyRow { kind: kind.into(), owner: owner.into(), lineage: id.clone(), id, ..KeyRow::example() }
    };
    let id = |letter: char| KeyId::new(&letter.to_string().repeat(20)).unwrap();
    bench.plant_row(made_by(of('A', "user", "alice"), "alice")).await;
    bench.plant_row(made_by(of('B', "team", "blue"), "alice")).await;
    bench.plant_row(made_by(of('C', "team", "red"), "alice")).await;
    let with_hers = KeyRow {
        created_via_key: Some("A".repeat(20)),
        created_by: format!("key:{}", "A".repeat(20)),
        ..of('D', "team", "blue")
    };
    bench.plant_row(with_hers).await;
    bench.plant_row(KeyRow { revoked_at: Some(1_772_366_400_000), ..made_by(of('E', "team", "blue"), "alice") }).await;
    bench.plant_row(KeyRow { scopes: "\u{7f}".into(), ..made_by(of('F', "team", "blue"), "alice") }).await;
    bench.plant_row(KeyRow { scopes: "\u{7f}".into(), ..made_by(of('G', "team", "red"), "alice") }).await;
    bench.plant_row(made_by(of('H', "team", "red"), "bob")).await;
    bench.plant_row(made_by(of('I', "user", "adam"), "adam")).await;

    let seen_by = async |who: &str, actor: &Actor| bench.manager.exposure(&user_id(who), actor).await.unwrap();
    let told = |exposure: &Exposure| {
        let mut letters: Vec<_> = exposure.keys.iter().map(|seen| seen.key.id.as_str()[..1].to_owned()).collect();
        letters.sort();
        letters.concat()
    };
    let exposure = seen_by("alice", &actor("admin")).await;
    assert_eq!((told(&exposure), exposure.unreadable.clone()), ("BD".to_owned(), vec![id('F')]));
    assert!(exposure.to_string().starts_with("alice has seen 3 active keys in full"), "{exposure}");
    let red = seen_by("alice", &actor("red")).await;
    assert_eq!((told(&red), red.unreadable), ("C".to_owned(), vec![id('G')]));
    assert_eq!(told(&seen_by("alice", &actor("org")).await), "ABCD");
    let manager = Actor::user(user_id("max"), Rights::none().may_manage_keys(team_id("blue")));
    assert_eq!(told(&seen_by("alice", &manager).await), "BD");

    // For a person who saw only keys of other teams, the answer is the same as for an unknown person. Nor does the
    // admin see her own personal keys.
    let nobody = serde_json::to_string(&seen_by("nobody", &actor("admin")).await).unwrap();
    let bob = serde_json::to_string(&seen_by("bob", &actor("admin")).await).unwrap();
    assert_eq!(nobody.replace("nobody", "bob"), bob);
    assert_eq!(told(&seen_by("adam", &actor("admin")).await), "");
}
