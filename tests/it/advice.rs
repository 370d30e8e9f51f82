//! The explanation of a request matches what happens to it, and every store gives the same advice.

use std::{sync::Arc, time::Duration};

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, IssuedKey, OrganizationId, Owner, RefusalCode,
    audit::EventRow,
    hash::{Argon2Params, HasherConfig, Pepper, PepperId, Peppers},
    key::{KeyId, PlaintextKey},
    manage::{CheckKind, CheckResult, ExposureReason, ListKeys, Recommendation, Rights, TeamRole},
    record::Suspension,
    store::{AuditedWrite, Change, ChangeId, KeyReader, KeyUpdate, Ledger, MemoryStore, SqliteStore, Write},
    usage::{CallHistory, UsageBatch, UsageRow},
};

use crate::support::{clock, keys, noon, secrets, system, team, user};

/// The refusal code for a request with this text; none if it is accepted.
async fn called<S: Ledger>(keys: &ApiKeys<S>, text: &str) -> Option<&'static str> {
    keys.authenticator().authenticate(text).await.err().map(|error| error.kind().code().as_str())
}

/// Asserts that a request gets the code that the explanation names.
async fn is_as_explained<S: Ledger>(keys: &ApiKeys<S>, key: &PlaintextKey, expected: Option<&str>, case: &str) {
    let explanation = keys.manager().explain(&key.id(), &system()).await.unwrap();
    assert_eq!(explanation.verdict.code().map(RefusalCode::as_str), expected, "{case}: {explanation}");
    assert_eq!(called(keys, key.expose_secret()).await, expected, "{case}");
}

/// What happens to a key before it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Broken,
    Closed,
    Expired,
    Suspended(Suspension),
    Revoked,
}

#[allow(clippy::too_many_lines, reason = "one story")]
async fn scenario<S: Ledger>(store: S) {
    let clock = clock();
    let store = Arc::new(store);
    let keys = keys(store.clone(), &clock).await;
    let manager = keys.manager();
    let (suspended, plan) = (Suspension::Admin, Suspension::Plan);
    let cases: &[(&[Fate], Option<&str>)] = &[
        (&[], None),
        (&[Fate::Revoked], Some("key_revoked")),
        (&[Fate::Expired], Some("key_expired")),
        (&[Fate::Suspended(suspended)], Some("owner_suspended")),
        (&[Fate::Suspended(plan)], Some("owner_plan_suspended")),
        (&[Fate::Suspended(plan), Fate::Suspended(suspended)], Some("owner_suspended")),
        (&[Fate::Closed], Some("owner_closed")),
        (&[Fate::Suspended(plan), Fate::Suspended(suspended), Fate::Closed], Some("owner_closed")),
        (&[Fate::Expired, Fate::Revoked], Some("key_revoked")),
        (&[Fate::Expired, Fate::Closed], Some("key_expired")),
        (&[Fate::Revoked, Fate::Suspended(suspended)], Some("key_revoked")),
        (&[Fate::Broken], Some("corrupt_record")),
        (&[Fate::Broken, Fate::Expired, Fate::Closed], Some("corrupt_record")),
    ];
    let mut made = Vec::new();
    for (number, (fates, _)) in cases.iter().enumerate() {
        for owner in [Owner::User(user(&format!("u{number}"))), Owner::Team(team(&format!("t{number}")))] {
            let request = IssueKey::of(owner.clone());
            let expires = fates.contains(&Fate::Expired);
            let end = noon().saturating_add(Duration::from_secs(60));
            let request = if expires { request.expires_at(end) } else { request };
            let key = remembered(manager.issue(request, &system()).await.unwrap());
            // The node knows the key before anything happens to it.
            is_as_explained(&keys, &key, None, "before").await;
            made.push((owner, key));
        }
    }
    clock.advance(Duration::from_secs(60));
    for ((owner, key), (fates, _)) in made.iter().zip(cases.iter().flat_map(|case| [case, case])) {
        for fate in *fates {
            match fate {
                Fate::Broken => apply(&*store, key.id(), broken(key.id())).await,
                Fate::Closed => _ = manager.close(owner, &system()).await.unwrap(),
                Fate::Expired => {}
                Fate::Suspended(by) => _ = manager.suspend(owner, *by, &system()).await.unwrap(),
                Fate::Revoked => _ = manager.revoke(&key.id(), &system()).await.unwrap(),
            }
        }
    }
    for ((owner, key), (fates, expected)) in made.iter().zip(cases.iter().flat_map(|case| [case, case])) {
        is_as_explained(&keys, key, *expected, &format!("{owner} {fates:?}")).await;
    }
    // The result is the same on a node that remembers no proof.
    let fresh = crate::support::keys(store.clone(), &clock).await;
    for ((owner, key), (fates, expected)) in made.iter().zip(cases.iter().flat_map(|case| [case, case])) {
        is_as_explained(&fresh, key, *expected, &format!("fresh {owner} {fates:?}")).await;
    }
    for keys in [&keys, &fresh] {
        keys.flush_usage().await.unwrap();
    }
    let (_, revoked) = &made[2];
    let explanation = manager.explain(&revoked.id(), &system()).await.unwrap();
    assert_eq!(explanation.call_history, CallHistory::Accepted);
    let seen: Vec<_> = explanation.seen.iter().map(|seen| (seen.outcome.to_string(), seen.count)).collect();
    assert_eq!(seen, [("key_revoked".to_owned(), 2), ("success".to_owned(), 1)]);
    people(&keys, &store).await;
}

/// A record whose scopes cannot be read.
fn broken(id: KeyId) -> Write {
    Write::Update(KeyUpdate {
        organization: OrganizationId::single(),
        id,
        expected_version: 1,
        name: String::new(),
        labels: "{}".into(),
        scopes: " ".into(),
        allowed_networks: None,
        responsible: None,
        expires_at: None,
    })
}

/// Writes past the manager.
async fn apply<S: Ledger>(store: &S, id: KeyId, write: Write) {
    let mut change = [0; 16];
    change.copy_from_slice(&id.as_bytes()[..16]);
    let event = EventRow { action: "elsewhere".into(), ..EventRow::example() };
    let writes = vec![AuditedWrite { write, event }];
    let change = Change { id: ChangeId::from_bytes(change), at: noon(), writes, guards: vec![], idempotency: None };
    store.apply(&change).await.unwrap();
}

/// The text of a new key, remembered by the search for leaks.
fn remembered(issued: IssuedKey) -> PlaintextKey {
    secrets::remember(issued.plaintext().expose_secret());
    issued.into_plaintext()
}

/// A person with two personal keys, one of them used in CI, and a team key that they created and rotated.
async fn people<S: Ledger>(keys: &ApiKeys<Arc<S>>, store: &S) {
    let manager = keys.manager();
    let rights = Rights::none().team(team("blue"), TeamRole::Admin).team_keys_included();
    let alice = Actor::user(user("alice"), rights);
    let mut ids = Vec::new();
    for request in [
        IssueKey::user(user("alice")).named("laptop"),
        IssueKey::user(user("alice")).named("deploys"),
        IssueKey::team(team("blue")).named("CI pipeline"),
    ] {
        ids.push(remembered(manager.issue(request, &alice).await.unwrap()).id());
    }
    let [laptop, ci, blue] = ids[..] else { panic!("{ids:?}") };
    let day = 24 * 3_600_000;
    let row = |key: KeyId, (label, client): (&str, &str), count| UsageRow {
        key: Some(key.as_str().into()),
        organization: None,
        outcome: "success".into(),
        label: label.into(),
        client: client.into(),
        network: String::new(),
        count,
        first_at: noon().as_millis() - 30 * day,
        last_at: noon().as_millis(),
    };
    let rows = vec![
        row(laptop, ("api", "vscode"), 90),
        row(ci, ("api", "GitHub-Actions"), 12),
        row(blue, ("intake", "curl"), 40),
    ];
    store.record_usage(&UsageBatch { writer: [5; 16], sequence: 1, rows, days: Vec::new() }).await.unwrap();

    for (id, expected) in
        [(laptop, Recommendation::KeepPersonal), (ci, Recommendation::MakeTeamKey), (blue, Recommendation::KeepTeam)]
    {
        assert_eq!(manager.advise(&id, &alice).await.unwrap().recommendation, expected);
    }
    let radius = manager.blast_radius(&user("alice"), &alice).await.unwrap();
    let mut stops: Vec<_> = radius.stops.iter().map(|stops| (stops.key.name.as_str(), stops.looks_shared())).collect();
    stops.sort_unstable();
    assert_eq!(stops, [("deploys", true), ("laptop", false)]);
    assert_eq!(radius.goes_on.iter().map(|key| key.id).collect::<Vec<_>>(), [blue]);
    let exposure = manager.exposure(&user("alice"), &system()).await.unwrap();
    let mut seen: Vec<_> = exposure.keys.iter().map(|exposed| (exposed.key.name.as_str(), exposed.reason)).collect();
    seen.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(
        seen,
        [
            ("CI pipeline", ExposureReason::Issued),
            ("deploys", ExposureReason::Holds),
            ("laptop", ExposureReason::Holds)
        ]
    );
    let listed = manager.list(ListKeys::of(user("nobody")), &system()).await.unwrap();
    assert!(listed.keys.is_empty());
    let before = manager.list(ListKeys::of(team("blue")), &system()).await.unwrap();
    manager.preview(&IssueKey::team(team("blue")), &alice).await.unwrap();
    assert_eq!(manager.list(ListKeys::of(team("blue")), &system()).await.unwrap(), before);
}

#[tokio::test]
async fn in_memory() {
    scenario(MemoryStore::new()).await;
}

#[tokio::test]
async fn in_sqlite() {
    let folder = crate::support::secrets::scratch();
    scenario(SqliteStore::open(folder.path().join("keys.db")).await.unwrap()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn in_postgres() {
    use tower_api_keys::store::{PostgresSettings, PostgresStore};
    let server = crate::postgres::server::Server::start();
    let settings = PostgresSettings::new().with_schema("keys");
    PostgresStore::migrate_with(&server.url(), settings.clone()).await.unwrap();
    scenario(PostgresStore::connect_with(&server.url(), settings).await.unwrap()).await;
}

#[tokio::test]
async fn a_hash_that_this_node_cannot_check_is_explained_before_the_key_is_judged() {
    let store = Arc::new(MemoryStore::new());
    let node = |hasher: HasherConfig| ApiKeys::builder(store.clone()).hasher(hasher).build();
    let cheap = || HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET);
    let peppers = Peppers::new().with(PepperId::new(1), Pepper::from_bytes([1; 32])).current(PepperId::new(1)).unwrap();
    // Starts before the store has a pepper. It could not start later.
    let stranger = node(cheap()).await.unwrap();
    let peppered = node(cheap().with_peppers(peppers)).await.unwrap();
    let key = remembered(peppered.manager().issue(IssueKey::user(user("alice")), &system()).await.unwrap());
    is_as_explained(&stranger, &key, Some("corrupt_record"), "pepper").await;
    peppered.manager().revoke(&key.id(), &system()).await.unwrap();
    is_as_explained(&stranger, &key, Some("corrupt_record"), "pepper, revoked").await;
    is_as_explained(&peppered, &key, Some("key_revoked"), "pepper known, revoked").await;

    // A hash whose cost is not accepted is found only after the verdict.
    let store = Arc::new(MemoryStore::new());
    let node = |hasher: HasherConfig| ApiKeys::builder(store.clone()).hasher(hasher).build();
    let stranger = node(cheap()).await.unwrap();
    let dear = node(HasherConfig::new().with_params(Argon2Params::new(20_480, 1).unwrap())).await.unwrap();
    let key = remembered(dear.manager().issue(IssueKey::user(user("bob")), &system()).await.unwrap());
    is_as_explained(&stranger, &key, Some("corrupt_record"), "cost").await;
    let explanation = stranger.manager().explain(&key.id(), &system()).await.unwrap();
    assert_eq!(explanation.reason().unwrap().kind, CheckKind::HashAccepted);
    assert!(explanation.checks.iter().any(|check| check.result == CheckResult::Assumed));
    dear.manager().revoke(&key.id(), &system()).await.unwrap();
    is_as_explained(&stranger, &key, Some("key_revoked"), "cost, revoked").await;
    assert!(store.find(&key.id()).await.unwrap().is_some());
}
