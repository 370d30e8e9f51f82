use crate::{
    Actor,
    audit::EventRow,
    manage::{
        AuditQuery, Rights, TeamRole,
        fixture::{Bench, system, team, team_id, user_id},
    },
    store::Ledger,
};

const BLUE: &str = "BBBBBBBBBBBBBBBBBBBB";

/// A key of blue with a revocation after 1,500 entries in the access log.
async fn busy_key() -> Bench {
    let bench = Bench::new();
    let row = |action: &str| EventRow {
        key: Some(BLUE.into()),
        owner: "blue".into(),
        action: action.into(),
        ..EventRow::example()
    };
    bench.store.inner.append_events(&[row("key.revoked")]).await.unwrap();
    bench.store.inner.append_events(&vec![row("attempt.refused"); 1_500]).await.unwrap();
    bench.plant(BLUE, &team("blue"), "*").await;
    bench
}

/// The actions of the first two events that are not of the setup.
async fn read(bench: &Bench, query: AuditQuery, actor: &Actor) -> Vec<String> {
    let page = bench.manager.events(query, actor).await.unwrap();
    let actions = page.entries.iter().map(|entry| entry.event.action.to_string());
    actions.filter(|action| action != "planted").take(2).collect()
}

#[tokio::test]
async fn the_trail_of_a_busy_key_has_no_lines_of_attempts() {
    let bench = busy_key().await;
    let of_key = || AuditQuery::all().of_key(BLUE.parse().unwrap());
    for query in [AuditQuery::all(), of_key(), of_key().oldest_first(), AuditQuery::all().of(team_id("blue"))] {
        assert_eq!(read(&bench, query, &system()).await, ["key.revoked"]);
    }
}

#[tokio::test]
async fn lines_of_attempts_are_read_apart() {
    let bench = busy_key().await;
    for query in [AuditQuery::all(), AuditQuery::all().of_key(BLUE.parse().unwrap())] {
        assert_eq!(read(&bench, query.attempts(), &system()).await, ["attempt.refused", "attempt.refused"]);
    }
}

#[tokio::test]
async fn lines_of_attempts_are_shown_to_whom_the_trail_is() {
    let bench = busy_key().await;
    let admin_of = |team| Actor::user(user_id("alice"), Rights::none().team(team_id(team), TeamRole::Admin));
    let query = || AuditQuery::all().attempts().limit(2);
    assert_eq!(read(&bench, query(), &admin_of("blue")).await.len(), 2);
    assert_eq!(read(&bench, query(), &admin_of("red")).await.len(), 0);
}
