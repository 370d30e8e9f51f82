//! The longest life of keys, and when they should be rotated.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Actor, IssueKey, KeyKind, Scope, Timestamp,
    manage::{
        Decision, DefaultPolicy, DenialReason, InvalidInput, InventoryQuery, KeyAction, KeyFlag, ManageErrorKind,
        NoteKind, Policy, Rights, RotateKey, Rules, Target,
        fixture::{ACTING, Bench, START, key_of, person, scopes, system, team_id, time, user, user_id},
        lifetimes::Lifetimes,
    },
    record::KeyRow,
};

const DAY: Duration = Duration::from_secs(86_400);

/// 90 days for personal keys, 30 with `deploy`, and 5 with the scope to issue keys.
fn lifetimes() -> Lifetimes {
    let of_scopes = [("deploy", 30), ("keys:issue", 5)].map(|(scope, days)| (Scope::new(scope).unwrap(), DAY * days));
    Lifetimes { of_user: Some(DAY * 90), of_scopes: BTreeMap::from(of_scopes), ..Lifetimes::default() }
}

fn bench() -> Bench {
    Bench::with_rules(Rules { lifetimes: lifetimes(), ..Rules::default() })
}

fn in_days(bench: &Bench, days: u32) -> Timestamp {
    bench.now().saturating_add(DAY * days)
}

fn alices(scope: &str) -> IssueKey {
    IssueKey::user(user_id("alice")).scopes(scopes(scope))
}

const TOO_LATE: ManageErrorKind = ManageErrorKind::Invalid(InvalidInput::ExpiryTooLate);

#[tokio::test]
async fn a_key_without_an_expiry_gets_the_latest_that_may_be_and_the_preview_shows_it() {
    let bench = bench();
    for (request, days) in [
        (alices("read"), Some(90)),
        (alices("read deploy"), Some(30)),
        (alices("*"), Some(30)),
        (alices("read keys:issue"), Some(5)),
        (IssueKey::team(team_id("blue")).scopes(scopes("read")), None),
        (IssueKey::team(team_id("blue")), Some(30)),
    ] {
        let end = days.map(|days| in_days(&bench, days));
        let preview = bench.manager.preview(&request, &system()).await.unwrap();
        assert_eq!((preview.expires_at, preview.can_be_issued()), (end, true));
        let note =
            preview.notes.iter().find(|note| note.kind == NoteKind::Expires).map(|note| note.sentence.to_string());
        let said =
            end.map(|end| format!("It expires at {end}. This service does not allow a later expiry for such a key."));
        assert_eq!(note, said);
        let issued = bench.manager.issue(request, &system()).await.unwrap();
        assert_eq!(issued.info().expires_at, end);
        assert_eq!(bench.row(&issued.info().id).await.expires_at, end.map(Timestamp::as_millis));
    }
}

#[tokio::test]
async fn a_later_expiry_than_may_be_is_refused_and_nothing_is_made() {
    let bench = bench();
    let millisecond = Duration::from_millis(1);
    for (scope, days) in [("read", 90), ("deploy", 30), ("*", 30), ("keys:issue", 5)] {
        let latest = in_days(&bench, days);
        let before = bench.all().await;
        let request = || alices(scope).expires_at(latest.saturating_add(millisecond));
        let preview = bench.manager.preview(&request(), &system()).await.unwrap();
        assert!(preview.has(NoteKind::ExpiryTooLate) && !preview.can_be_issued());
        let error = bench.manager.issue(request(), &system()).await.unwrap_err();
        assert_eq!((error.kind(), bench.all().await), (TOO_LATE, before));
        assert!(error.sentence().to_string().starts_with("This service does not allow such a late expiry"));
        for end in [latest, latest.saturating_sub(DAY)] {
            let issued = bench.manager.issue(alices(scope).expires_at(end), &system()).await.unwrap();
            assert_eq!(issued.info().expires_at, Some(end));
        }
    }
    let error = bench.manager.issue(alices("read").expires_at(in_days(&bench, 91)), &person("bob")).await.unwrap_err();
    assert_ne!(error.kind(), TOO_LATE, "who may not make it is told that, or nothing");
}

#[tokio::test]
async fn a_rotation_obeys_it_whatever_the_old_key_has() {
    for (old, asked, expected) in [
        (None, None, Ok(Some(90))),
        (Some(200), None, Ok(Some(90))),
        (Some(20), None, Ok(Some(20))),
        (Some(20), Some(90), Ok(Some(90))),
        (Some(20), Some(91), Err(TOO_LATE)),
        (None, Some(91), Err(TOO_LATE)),
    ] {
        let bench = bench();
        let expires_at = old.map(|days| in_days(&bench, days).as_millis());
        let row = KeyRow {
            kind: "user".into(),
            owner: "alice".into(),
            scopes: "read".into(),
            expires_at,
            ..KeyRow::example()
        };
        let id = bench.plant_row(row).await;
        let request = asked.into_iter().fold(RotateKey::of(id), |of, days| of.expires_at(in_days(&bench, days)));
        let begun = bench.manager.begin_rotation(request, &person("alice")).await;
        let end = begun.map(|issued| issued.info().expires_at).map_err(|error| error.kind());
        assert_eq!(end, expected.map(|days: Option<u32>| days.map(|days| in_days(&bench, days))), "{old:?} {asked:?}");
    }
}

#[tokio::test]
async fn a_key_that_acts_may_give_the_end_that_is_filled_in() {
    let bench = bench();
    for (days, is_allowed) in [(90, true), (89, false)] {
        let id = if is_allowed { ACTING } else { "OtherOtherOtherOther" };
        let end = Some(in_days(&bench, days).as_millis());
        let row = KeyRow {
            kind: "user".into(),
            owner: "alice".into(),
            scopes: "read keys:issue".into(),
            expires_at: end,
            ..KeyRow::example()
        };
        bench.plant_row(KeyRow { id: id.into(), lineage: id.into(), ..row }).await;
        let key = key_of(id, &user("alice"), "read keys:issue");
        let actor = Actor::key(&key, Rights::none());
        let issued = bench.manager.issue(alices("read"), &actor).await;
        assert_eq!(issued.is_ok(), is_allowed, "{:?}", issued.err());
    }
}

/// Only the system can issue a key that lives longer than ten days, or forever.
#[derive(Debug)]
struct TenDays(Timestamp);

impl Policy for TenDays {
    fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
        match target {
            Target::NewKey { expires_at, .. } if expires_at.is_none_or(|end| end > self.0) => {
                Decision::Deny(DenialReason::Custom("Ask an admin for a key that lives for longer than ten days."))
            }
            _ => DefaultPolicy.decide(actor, action, target),
        }
    }
}

#[tokio::test]
async fn a_policy_sees_the_end_that_a_key_would_have() {
    let now = time(START);
    let of = |of_user| Rules { lifetimes: Lifetimes { of_user, ..Lifetimes::default() }, ..Rules::default() };
    for (life, asked, is_allowed) in [
        (None, None, false),
        (None, Some(10), true),
        (None, Some(11), false),
        (Some(10), None, true),
        (Some(11), None, false),
    ] {
        let ten = TenDays(now.saturating_add(DAY * 10));
        let bench = Bench::with_policy_and_rules(ten, of(life.map(|days| DAY * days)));
        let request = asked.into_iter().fold(alices("read"), |of, days| of.expires_at(in_days(&bench, days)));
        let preview = bench.manager.preview(&request, &person("alice")).await.unwrap();
        let issued = bench.manager.issue(request, &person("alice")).await;
        assert_eq!((preview.can_be_issued(), issued.is_ok()), (is_allowed, is_allowed), "{life:?} {asked:?}");
    }
}

#[tokio::test]
async fn keys_that_are_there_are_flagged_and_go_on() {
    let mut rules = Rules { lifetimes: lifetimes(), ..Rules::default() };
    rules.lifetimes.rotation = Some(DAY * 60);
    let bench = Bench::with_rules(rules);
    let made = bench.now();
    for (letter, days) in [('A', None), ('B', Some(91)), ('C', Some(90))] {
        let id = letter.to_string().repeat(20);
        let expires_at = days.map(|days| in_days(&bench, days).as_millis());
        let row = KeyRow {
            kind: "user".into(),
            owner: "alice".into(),
            scopes: "read".into(),
            expires_at,
            ..KeyRow::example()
        };
        bench.plant_row(KeyRow { id: id.clone(), lineage: id, created_at: made.as_millis(), ..row }).await;
    }
    let flagged = async |flag| {
        let entries = bench.manager.inventory(InventoryQuery::all().flagged([flag]), &system()).await.unwrap().entries;
        entries.iter().map(|entry| &entry.key.id.as_str()[..1]).collect::<String>()
    };
    assert_eq!(flagged(KeyFlag::LivesTooLong).await, "AB");
    assert_eq!(flagged(KeyFlag::RotationDue).await, "");
    bench.clock.advance(DAY * 60);
    assert_eq!(flagged(KeyFlag::RotationDue).await, "ABC");

    let id = "A".repeat(20).parse().unwrap();
    let said = bench.manager.explain(&id, &system()).await.unwrap().notes;
    let due = format!("The rotation of this key was due at {}", bench.now());
    assert!(said.iter().any(|note| note.to_string().starts_with(&due)), "{said:?}");
    let new = bench.manager.begin_rotation(RotateKey::of(id), &system()).await.unwrap();
    assert_eq!(new.info().rotated_at, Some(bench.now()));
    assert_eq!(new.info().kind, KeyKind::User);
    assert_eq!(bench.manager.find(&id, &system()).await.unwrap().rotated_at, None);
    assert_eq!(flagged(KeyFlag::RotationDue).await, "BC", "it is being rotated, and the new one is new");
    assert_eq!(bench.row(&id).await.revoked_at, None);
}

#[tokio::test]
async fn advice_says_that_a_live_key_is_to_be_rotated() {
    let mut rules = Rules::default();
    rules.lifetimes.rotation = Some(DAY * 60);
    let bench = Bench::with_rules(rules);
    let id = bench.manager.issue(IssueKey::user(user_id("alice")), &person("alice")).await.unwrap().info().id;
    let notes = async || {
        let advice = bench.manager.advise(&id, &person("alice")).await.unwrap();
        advice.notes.iter().map(|note| note.id().to_owned()).collect::<Vec<_>>()
    };
    bench.clock.advance(DAY * 60 - Duration::from_millis(1));
    assert!(notes().await.is_empty());
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(notes().await, ["note.rotation_due"]);
    bench.manager.revoke(&id, &person("alice")).await.unwrap();
    assert!(notes().await.is_empty(), "a dead key is not rotated");
}
