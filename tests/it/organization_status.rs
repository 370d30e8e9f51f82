//! A whole organization is suspended, reinstated and closed: on every node at once, without any effect on others.

use std::sync::Arc;

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, Owner, UserId,
    auth::AuthErrorKind,
    key::PlaintextKey,
    manage::{AuditQuery, ChangeOrganization, Effect, ManageErrorKind, Rights},
    record::Suspension,
    store::{Ledger, MemoryStore, SqliteStore},
};

use crate::support::{cheap, clock, secrets, system, team, user};

async fn node<S: Ledger>(store: S) -> ApiKeys<S> {
    secrets::capture_log();
    ApiKeys::builder(store).hasher(cheap()).clock(clock()).several_organizations().build().await.unwrap()
}

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

async fn issue<S: Ledger>(keys: &ApiKeys<S>, of: &str, owner: impl Into<Owner>) -> PlaintextKey {
    let issued = keys.manager_for(organization(of)).issue(IssueKey::of(owner.into()), &system()).await.unwrap();
    secrets::remember(issued.plaintext().expose_secret());
    issued.into_plaintext()
}

/// The answer of each node for each key.
async fn answers<S: Ledger>(nodes: &[ApiKeys<S>], keys: &[&PlaintextKey]) -> Vec<Option<AuthErrorKind>> {
    let mut answers = Vec::new();
    for node in nodes {
        for key in keys {
            let answer = node.authenticator().authenticate(key.expose_secret()).await;
            answers.push(answer.err().map(|error| error.kind()));
        }
    }
    answers
}

async fn an_organization_is_stopped_on_every_node<S: Ledger + Clone>(store: S) {
    let nodes = [node(store.clone()).await, node(store.clone()).await];
    let (alice, blue) = (issue(&nodes[0], "acme", user("alice")).await, issue(&nodes[0], "acme", team("blue")).await);
    let other = issue(&nodes[0], "other", user("alice")).await;
    let theirs = [&alice, &blue];
    assert_eq!(answers(&nodes, &[&alice, &blue, &other]).await, [None; 6]);
    let (acme, manager) = (organization("acme"), nodes[0].manager_for(organization("acme")));
    let admin = Actor::user(UserId::new("olga").unwrap(), Rights::none().org_admin()).with_organization(acme.clone());

    // Another organization is not touched.
    let misnamed = manager.suspend_organization(organization("other"), Suspension::Admin, &system()).await;
    assert_eq!(misnamed.unwrap_err().kind(), ManageErrorKind::NotFound);
    let elsewhere = nodes[0].manager_for(organization("Acme"));
    let unknown = elsewhere.close_organization(organization("Acme"), &system()).await.unwrap();
    assert!(unknown.is_unknown && unknown.live_keys == Some(0));
    assert_eq!(answers(&nodes, &[&alice, &blue, &other]).await, [None; 6]);

    let look = ChangeOrganization::of(acme.clone()).dry_run();
    let would = manager.suspend_organization(look.clone(), Suspension::Admin, &admin).await.unwrap();
    assert!(would.dry_run && would.effect == Effect::Changed && would.live_keys == Some(2));
    assert_eq!(answers(&nodes, &theirs).await, [None; 4]);
    let done = manager.suspend_organization(acme.clone(), Suspension::Admin, &admin).await.unwrap();
    assert!(!done.dry_run && done.effect == Effect::Changed && done.live_keys == Some(2) && !done.is_unknown);
    assert_eq!(answers(&nodes, &theirs).await, [Some(AuthErrorKind::OwnerSuspended); 4]);
    assert_eq!(answers(&nodes, &[&other]).await, [None; 2]);
    for owner in [Owner::from(user("carol")), team("red").into()] {
        let issued = manager.issue(IssueKey::of(owner), &system()).await;
        assert_eq!(issued.unwrap_err().kind(), ManageErrorKind::OwnerSuspended);
    }
    // Its owners are suspended with it.
    for told in [
        manager.reinstate_organization(acme.clone(), Suspension::Admin, &admin).await.map(drop),
        manager.close_organization(acme.clone(), &admin).await.map(drop),
    ] {
        assert!(matches!(told.unwrap_err().kind(), ManageErrorKind::Denied(_)));
    }
    let again = manager.suspend_organization(acme.clone(), Suspension::Admin, &system()).await.unwrap();
    assert_eq!(again.effect, Effect::Unchanged);

    // Alice's own suspension stays, whatever happens to the organization.
    manager.suspend(&Owner::from(user("alice")), Suspension::Plan, &system()).await.unwrap();
    let other_one = manager.reinstate_organization(acme.clone(), Suspension::Plan, &system()).await.unwrap();
    assert_eq!((other_one.effect, other_one.live_keys), (Effect::Unchanged, Some(0)));
    let would = manager.reinstate_organization(look.clone(), Suspension::Admin, &system()).await.unwrap();
    assert_eq!((would.dry_run, would.effect, would.live_keys), (true, Effect::Changed, Some(1)));
    let back = manager.reinstate_organization(acme.clone(), Suspension::Admin, &system()).await.unwrap();
    assert_eq!((back.effect, back.live_keys), (Effect::Changed, Some(1)));
    let own = Some(AuthErrorKind::OwnerPlanSuspended);
    assert_eq!(answers(&nodes, &theirs).await, [own, None, own, None]);

    let would = manager.close_organization(look, &system()).await.unwrap();
    assert!(would.dry_run && would.effect == Effect::Changed && would.live_keys == Some(2) && !would.is_unknown);
    assert_eq!(answers(&nodes, &[&blue]).await, [None; 2]);
    let closed = manager.close_organization(acme.clone(), &system()).await.unwrap();
    assert_eq!((closed.effect, closed.live_keys), (Effect::Changed, Some(2)));
    assert_eq!(answers(&nodes, &theirs).await, [Some(AuthErrorKind::OwnerClosed); 4]);
    assert_eq!(answers(&nodes, &[&other]).await, [None; 2]);
    let late = manager.reinstate_organization(acme.clone(), Suspension::Admin, &system()).await;
    assert_eq!(late.unwrap_err().kind(), ManageErrorKind::OwnerClosed);
    let issued = manager.issue(IssueKey::of(user("alice").into()), &system()).await;
    assert_eq!(issued.unwrap_err().kind(), ManageErrorKind::OwnerClosed);
    let second = manager.close_organization(acme, &system()).await.unwrap();
    assert_eq!(second.effect, Effect::Unchanged);

    // One event for each change, in its transaction.
    let trail = manager.events(AuditQuery::all().oldest_first(), &system()).await.unwrap();
    let told: Vec<_> = trail
        .entries
        .iter()
        .map(|entry| serde_json::to_value(&entry.event).unwrap())
        .filter(|event| event["subject"]["kind"] == "organization")
        .map(|event| (event["action"].to_string(), event["before"].to_string(), event["after"].to_string()))
        .collect();
    let expected = [
        ("organization.suspended", "null", r#"{"suspension":"admin"}"#),
        ("organization.reinstated", r#"{"suspension":"admin"}"#, "null"),
        ("organization.closed", "null", "null"),
    ];
    let expected: Vec<_> =
        expected.map(|(action, before, after)| (format!("{action:?}"), before.to_owned(), after.to_owned())).into();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_organization_is_stopped_in_memory() {
    an_organization_is_stopped_on_every_node(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn an_organization_is_stopped_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    an_organization_is_stopped_on_every_node(store).await;
}

#[tokio::test]
async fn plain_sql_stops_an_organization() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let nodes = [node(SqliteStore::open(&path).await.unwrap()).await];
    let (key, other) = (issue(&nodes[0], "acme", user("alice")).await, issue(&nodes[0], "other", user("alice")).await);
    assert_eq!(answers(&nodes, &[&key, &other]).await, [None; 2]);
    let sql = rusqlite::Connection::open(&path).unwrap();
    for (statement, expected) in [
        (
            "insert into api_key_owners values ('acme', 'organization', '', 1, null, null)",
            Some(AuthErrorKind::OwnerSuspended),
        ),
        ("update api_key_owners set suspended_at = null", None),
        ("update api_key_owners set plan_suspended_at = 1", Some(AuthErrorKind::OwnerPlanSuspended)),
        ("update api_key_owners set closed_at = 1", Some(AuthErrorKind::OwnerClosed)),
        ("delete from api_key_owners", None),
    ] {
        sql.execute(statement, []).unwrap();
        assert_eq!(answers(&nodes, &[&key, &other]).await, [expected, None], "{statement}");
    }
}
