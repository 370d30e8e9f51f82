//! What the audit trail hides from actors that may not see the whole organization.

use crate::{
    Actor,
    audit::{Action, EventRow},
    key::KeyId,
    manage::{
        AuditQuery, Rights, TeamRole,
        fixture::{ACTING, Bench, principal, system, team, team_id, time, user_id},
    },
    store::Ledger,
};

const SINCE: &str = "2026-03-01T00:00:00Z";

/// A managing key of blue. It has asked for a hidden key and for one that does not exist.
async fn probed() -> (Bench, KeyId, Actor) {
    let bench = Bench::new();
    let id = bench.plant(ACTING, &team("blue"), "keys:manage").await;
    let hidden = bench.plant("hiddenhiddenhiddenhi", &team("red"), "*").await;
    let absent = KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap();
    let key = Actor::key(&principal(&team("blue"), "keys:manage"), Rights::none());
    for probe in [&hidden, &absent] {
        bench.manager.revoke(probe, &key).await.unwrap_err();
    }
    bench.manager.flush_denials().await.unwrap();
    (bench, id, key)
}

fn admin_of_blue() -> Actor {
    Actor::user(user_id("ada"), Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included())
}

async fn append(bench: &Bench, event: EventRow, times: usize) {
    bench.store.inner.append_events(&vec![event; times]).await.unwrap();
}

/// An event about the team blue.
fn of_blue(action: &str, after: Option<&str>) -> EventRow {
    EventRow {
        actor: format!("key:{ACTING}"),
        action: action.into(),
        key: None,
        owner: "blue".into(),
        after: after.map(Into::into),
        ..EventRow::example()
    }
}

/// The same event for actors that see the whole organization.
fn hidden(action: &str, after: &str) -> EventRow {
    EventRow { audience: "organization".into(), ..of_blue(action, Some(after)) }
}

#[tokio::test]
async fn neither_the_trail_nor_misuse_tells_what_is_absent_from_what_is_hidden() {
    let (bench, id, key) = probed().await;
    let denied = || AuditQuery::all().action(Action::MANAGE_DENIED);
    for actor in [&key, &admin_of_blue()] {
        assert!(bench.manager.events(denied(), actor).await.unwrap().entries.is_empty(), "{actor:?}");
        let report = bench.manager.leak_report(&id, time(SINCE), actor).await.unwrap();
        assert_eq!((report.denied, report.changes), (vec![], vec![]), "{actor:?}");
    }
    // An actor that sees the whole organization sees both.
    assert_eq!(bench.manager.events(denied(), &system()).await.unwrap().entries.len(), 2);
    assert_eq!(bench.manager.leak_report(&id, time(SINCE), &system()).await.unwrap().denied.len(), 2);
}

#[tokio::test]
async fn pages_of_the_trail_look_as_if_there_was_nothing_hidden() {
    const NOT_FOUND: &str = r#"{"action":"see","reason":"not_found","count":1}"#;
    let shown = |after| of_blue("key.renamed", Some(after));
    let bench = Bench::new();
    append(&bench, shown("a"), 1).await;
    append(&bench, hidden("manage.denied", NOT_FOUND), 3).await;
    append(&bench, shown("b"), 1).await;
    append(&bench, hidden("manage.denied", NOT_FOUND), 2_500).await;
    append(&bench, shown("c"), 1).await;
    append(&bench, hidden("attempt.dropped", "7"), 1).await;
    for newest in [true, false] {
        let all = || if newest { AuditQuery::all() } else { AuditQuery::all().oldest_first() };
        let (mut pages, mut next) = (Vec::new(), None);
        loop {
            let query = next.into_iter().fold(all().limit(2), AuditQuery::after);
            let page = bench.manager.events(query, &admin_of_blue()).await.unwrap();
            pages.push(page.entries.into_iter().filter_map(|entry| entry.event.after).collect::<String>());
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(pages, if newest { ["cb", "a"] } else { ["ab", "c"] });
        // Nor is there an empty second page.
        let page = bench.manager.events(all().limit(3), &admin_of_blue()).await.unwrap();
        assert_eq!((page.entries.len(), page.next), (3, None));
    }
}

#[tokio::test]
async fn misuse_finds_changes_behind_thousands_of_calls() {
    let bench = Bench::new();
    let id = bench.plant(ACTING, &team("blue"), "keys:manage").await;
    append(&bench, of_blue("attempt.accepted", None), 2_500).await;
    append(&bench, of_blue("owner.suspended", Some("suspended")), 1).await;
    append(&bench, of_blue("attempt.refused", Some("key_revoked")), 1_500).await;
    let said = r#"{"action":"suspend","reason":"insufficient_role","count":4}"#;
    append(&bench, of_blue("manage.denied", Some(said)), 1).await;
    let report = bench.manager.leak_report(&id, time(SINCE), &system()).await.unwrap();
    let words =
        |events: &[crate::audit::Event]| events.iter().map(|event| event.action.to_string()).collect::<Vec<_>>();
    assert_eq!(words(&report.changes), ["owner.suspended"]);
    assert_eq!(words(&report.denied), ["manage.denied"]);
    assert!(!report.more);
}

#[tokio::test]
async fn keys_made_are_all_shown_though_there_are_more_changes() {
    let bench = Bench::new();
    let id = bench.plant(ACTING, &team("blue"), "keys:manage").await;
    append(&bench, of_blue("key.renamed", None), 1_001).await;
    for n in 0..1_000 {
        let (id, created_via_key) = (format!("{n:020}"), Some(ACTING.into()));
        bench.plant_row(crate::record::KeyRow { id, created_via_key, ..crate::record::KeyRow::example() }).await;
    }
    let report = bench.manager.leak_report(&id, time(SINCE), &system()).await.unwrap();
    assert_eq!((report.changes.len(), report.made.len(), report.more), (1_000, 1_000, true));
}

#[tokio::test]
async fn sums_of_counts_that_are_too_large_stay_large() {
    use crate::usage::{UsageDetail, UsageRow};
    let bench = Bench::new();
    let id = bench.plant(ACTING, &team("blue"), "*").await;
    let row = |outcome: &str| UsageRow {
        key: Some(ACTING.into()),
        outcome: outcome.into(),
        count: i64::MAX,
        first_at: 1,
        last_at: 1,
        ..UsageRow::seen_from("ci")
    };
    let rows = vec![row("key_revoked"), row("owner_suspended"), row("wrong_team")];
    let key = bench.manager.find(&id, &system()).await.unwrap();
    let report = crate::manage::LeakReport::new(key, time(SINCE), &UsageDetail::of(&rows).unwrap(), Default::default());
    assert_eq!(report.sources[0].refused, i64::MAX);
    assert!(
        report
            .to_string()
            .ends_with(&format!("sent {} times after it was revoked or expired, and was refused.", i64::MAX)),
        "{report}"
    );
}
