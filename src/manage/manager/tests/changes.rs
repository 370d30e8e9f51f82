use std::time::Duration;

use crate::{
    Actor, OrganizationId, Owner, Scopes,
    key::KeyId,
    manage::{
        DenialReason, Effect, InvalidInput, ManageErrorKind, Rights,
        fixture::{ACTING, Bench, START, person, plain_change, principal, scopes, system, team, time, user},
    },
    record::{ActorId, KeyRow, Labels, Suspension},
    store::{KeyUpdate, OwnerChange, Write},
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

async fn bench_with(scopes: &str) -> (Bench, KeyId) {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), scopes).await;
    (bench, id)
}

/// An update by another actor.
async fn rename_behind(bench: &Bench, id: &KeyId, version: i64, name: &str) -> crate::store::Change {
    let row = bench.row(id).await;
    plain_change(
        name,
        Write::Update(KeyUpdate {
            organization: OrganizationId::single(),
            id: *id,
            expected_version: version,
            name: name.into(),
            labels: row.labels,
            scopes: row.scopes,
            allowed_networks: row.allowed_networks.clone(),
            responsible: row.responsible.clone(),
            expires_at: row.expires_at,
        }),
    )
}

#[tokio::test]
async fn change_writes_its_columns_and_one_event_with_before_and_after() {
    let (bench, id) = bench_with("read write").await;
    let alice = person("alice");
    let before = bench.row(&id).await;

    assert_eq!(bench.manager.rename(&id, "Monday cron", &alice).await.unwrap().version, 2);
    let labels = Labels::new([("ticket", "OPS-2")]).unwrap();
    assert_eq!(bench.manager.relabel(&id, labels.clone(), &alice).await.unwrap().labels, labels);
    assert_eq!(bench.manager.narrow_scopes(&id, scopes("read"), &alice).await.unwrap().scopes, scopes("read"));
    let end = time("2027-01-01T00:00:00Z");
    assert_eq!(bench.manager.expire_at(&id, end, &alice).await.unwrap().expires_at, Some(end));

    let expected = KeyRow {
        name: "Monday cron".into(),
        labels: r#"{"ticket":"OPS-2"}"#.into(),
        scopes: "read".into(),
        expires_at: Some(end.as_millis()),
        version: 5,
        ..before
    };
    assert_eq!(bench.row(&id).await, expected);
    let events = bench.events().await;
    let told: Vec<_> =
        events.iter().map(|e| (&*e.action, e.before.as_deref(), e.after.as_deref(), &*e.actor)).collect();
    assert_eq!(
        told,
        [
            ("key.renamed", Some("GitHub Actions - production"), Some("Monday cron"), "user:alice"),
            ("key.relabelled", Some(r#"{"ticket":"OPS-1234"}"#), Some(r#"{"ticket":"OPS-2"}"#), "user:alice"),
            ("key.narrowed", Some("read write"), Some("read"), "user:alice"),
            ("key.expiry_set", None, Some("2027-01-01T00:00:00Z"), "user:alice"),
        ]
    );
}

#[tokio::test]
async fn change_to_what_stands_writes_nothing() {
    let (bench, id) = bench_with("read").await;
    let end = time("2027-01-01T00:00:00Z");
    bench.manager.expire_at(&id, end, &system()).await.unwrap();
    let before = bench.all().await;
    let info = bench.manager.find(&id, &system()).await.unwrap();
    assert_eq!(bench.manager.rename(&id, info.name.as_str(), &system()).await.unwrap().version, 2);
    assert_eq!(bench.manager.relabel(&id, info.labels, &system()).await.unwrap().version, 2);
    assert_eq!(bench.manager.narrow_scopes(&id, scopes("read"), &system()).await.unwrap().version, 2);
    assert_eq!(bench.manager.expire_at(&id, end, &system()).await.unwrap().version, 2);
    assert_eq!(bench.all().await, before);
}

#[tokio::test]
async fn bad_name_changes_nothing() {
    let (bench, id) = bench_with("*").await;
    let before = bench.all().await;
    for name in ["a\0b", "two\nlines", "a\u{202e}b", &"a".repeat(101)] {
        let kind = bench.manager.rename(&id, name, &system()).await.unwrap_err().kind();
        assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::Name));
    }
    assert_eq!(bench.all().await, before);
}

#[tokio::test]
async fn scopes_become_fewer_only() {
    let wider = Err(ManageErrorKind::Invalid(InvalidInput::ScopesWider));
    for (old, new, expected) in [
        ("*", "read", Ok(())),
        ("* keys:manage", "*", Ok(())),
        ("* keys:manage", "keys:manage", Ok(())),
        ("read write", "", Ok(())),
        ("read", "*", wider),
        ("read", "write", wider),
        ("*", "* keys:manage", wider),
        ("", "read", wider),
    ] {
        let (bench, id) = bench_with(old).await;
        let narrowed = bench.manager.narrow_scopes(&id, scopes(new), &person("alice")).await;
        assert_eq!(narrowed.map(|_| ()).map_err(|error| error.kind()), expected, "{old:?} to {new:?}");
        assert_eq!(bench.row(&id).await.scopes, if expected.is_ok() { new } else { old });
    }
}

#[tokio::test]
async fn more_scopes_than_a_record_holds_are_refused() {
    let (bench, id) = bench_with("*").await;
    let many: Scopes = (0..65).map(|index| crate::Scope::new(format!("s{index}")).unwrap()).collect();
    let kind = bench.manager.narrow_scopes(&id, many, &system()).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::Scopes));
}

#[tokio::test]
async fn expiry_moves_to_an_earlier_time_in_the_future_only() {
    let (bench, id) = bench_with("*").await;
    bench.manager.expire_at(&id, time("2026-03-01T13:00:00Z"), &system()).await.unwrap();
    for (at, expected) in [
        ("2026-03-01T13:00:00.001Z", Some(InvalidInput::ExpiryLater)),
        ("9999-12-31T23:59:59.999Z", Some(InvalidInput::ExpiryLater)),
        (START, Some(InvalidInput::ExpiryPast)),
        ("1970-01-01T00:00:00Z", Some(InvalidInput::ExpiryPast)),
        ("2026-03-01T12:00:00.001Z", None),
    ] {
        let kind = bench.manager.expire_at(&id, time(at), &system()).await.err().map(|error| error.kind());
        assert_eq!(kind, expected.map(ManageErrorKind::Invalid), "{at}");
    }
}

#[tokio::test]
async fn expired_key_is_not_brought_back() {
    let (bench, id) = bench_with("*").await;
    bench.manager.expire_at(&id, time("2026-03-01T13:00:00Z"), &system()).await.unwrap();
    bench.clock.advance(Duration::from_secs(7_200));
    let kind = bench.manager.expire_at(&id, time("2026-03-01T15:00:00Z"), &system()).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::ExpiryLater));
}

#[tokio::test]
async fn revoke_says_who_and_when_and_a_second_one_says_already() {
    let (bench, id) = bench_with("*").await;
    let revoked = bench.manager.revoke(&id, &person("alice")).await.unwrap();
    assert_eq!(revoked.effect(), Effect::Changed);
    bench.clock.advance(Duration::from_secs(60));
    let again = bench.manager.revoke(&id, &system()).await.unwrap();
    assert_eq!(again.effect(), Effect::Unchanged);
    for info in [revoked.info(), again.info()] {
        assert_eq!(info.revoked_at, Some(time(START)));
        assert_eq!(info.revoked_by, Some(ActorId::User(crate::UserId::new("alice").unwrap())));
    }
    let events = bench.events().await;
    assert_eq!(events.iter().map(|event| &*event.action).collect::<Vec<_>>(), ["key.revoked"]);
}

#[tokio::test]
async fn revoke_that_comes_second_at_the_store_says_who_was_quicker() {
    let (bench, id) = bench_with("*").await;
    let quicker = Write::Revoke { organization: OrganizationId::single(), id, by: "user:carol".into() };
    bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", quicker));
    let revoked = bench.manager.revoke(&id, &person("alice")).await.unwrap();
    assert_eq!(revoked.effect(), Effect::Unchanged);
    assert_eq!(revoked.info().revoked_by.as_ref().unwrap().to_string(), "user:carol");
    assert!(bench.events().await.is_empty());
}

#[tokio::test]
async fn revoked_key_is_not_changed() {
    let (bench, id) = bench_with("*").await;
    bench.manager.revoke(&id, &system()).await.unwrap();
    let before = bench.all().await;
    let name = bench.row(&id).await.name;
    let results = [
        bench.manager.rename(&id, "Monday cron", &system()).await,
        bench.manager.rename(&id, &name, &system()).await,
        bench.manager.relabel(&id, Labels::default(), &system()).await,
        bench.manager.narrow_scopes(&id, Scopes::none(), &system()).await,
        bench.manager.expire_at(&id, time("2027-01-01T00:00:00Z"), &system()).await,
    ];
    for result in results {
        assert_eq!(result.unwrap_err().kind(), ManageErrorKind::KeyRevoked);
    }
    assert_eq!(bench.all().await, before);
}

#[tokio::test]
async fn key_revoked_while_it_is_renamed_is_not_renamed() {
    let (bench, id) = bench_with("*").await;
    let quicker = Write::Revoke { organization: OrganizationId::single(), id, by: "user:carol".into() };
    bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", quicker));
    let kind = bench.manager.rename(&id, "Monday cron", &person("alice")).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::KeyRevoked);
}

#[tokio::test]
async fn change_decided_on_an_old_version_is_decided_again() {
    let (bench, id) = bench_with("read write").await;
    let quicker = rename_behind(&bench, &id, 1, "theirs").await;
    bench.store.quicker.lock().unwrap().push_back(quicker);
    let narrowed = bench.manager.narrow_scopes(&id, scopes("read"), &system()).await.unwrap();
    assert_eq!((narrowed.name.as_str(), narrowed.version), ("theirs", 3));
    assert_eq!(bench.row(&id).await.name, "theirs");
    assert_eq!(bench.events().await.len(), 1);
}

#[tokio::test]
async fn change_that_is_overtaken_twice_is_a_conflict() {
    let (bench, id) = bench_with("*").await;
    let quicker = [rename_behind(&bench, &id, 1, "first").await, rename_behind(&bench, &id, 2, "second").await];
    bench.store.quicker.lock().unwrap().extend(quicker);
    let kind = bench.manager.rename(&id, "mine", &system()).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Conflict);
    assert_eq!(bench.row(&id).await.name, "second");
}

#[tokio::test]
async fn suspended_person_changes_nothing() {
    let (bench, id) = bench_with("*").await;
    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Admin)).await;
    let kind = bench.manager.revoke(&id, &person("alice")).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Denied(DenialReason::ActorSuspended.into()));
    assert_eq!(bench.row(&id).await.revoked_at, None);
}

async fn revoke_by_key(acting: KeyRow, owner: &Owner, change: Option<OwnerChange>) -> Result<(), ManageErrorKind> {
    let bench = Bench::new();
    let id = bench.plant(TARGET, owner, "*").await;
    bench.plant_row(acting).await;
    if let Some(change) = change {
        bench.change_owner(owner, change).await;
    }
    let actor = Actor::key(&principal(owner, "keys:manage"), Rights::none());
    bench.manager.revoke(&id, &actor).await.map(|_| ()).map_err(|error| error.kind())
}

#[tokio::test]
async fn key_that_died_or_whose_owner_was_suspended_since_it_was_checked_changes_nothing() {
    let row = |owner: &Owner| KeyRow {
        id: ACTING.into(),
        kind: owner.kind().as_str().into(),
        owner: owner.id().into(),
        scopes: "keys:manage".into(),
        ..KeyRow::example()
    };
    let denied = |reason: DenialReason| Err(ManageErrorKind::Denied(reason.into()));
    let now = time(START).as_millis();
    for owner in [user("alice"), team("blue")] {
        let suspended = Some(OwnerChange::Suspend(Suspension::Plan));
        let revoked = KeyRow { revoked_at: Some(now), ..row(&owner) };
        let expired = KeyRow { expires_at: Some(now), ..row(&owner) };
        assert_eq!(revoke_by_key(row(&owner), &owner, None).await, Ok(()));
        assert_eq!(revoke_by_key(revoked, &owner, None).await, denied(DenialReason::ActorKeyDead));
        assert_eq!(revoke_by_key(expired, &owner, None).await, denied(DenialReason::ActorKeyExpired));
        assert_eq!(revoke_by_key(row(&owner), &owner, suspended).await, denied(DenialReason::ActorPlanSuspended));
    }
}

#[tokio::test]
async fn key_may_revoke_itself() {
    let bench = Bench::new();
    let id = bench.plant(ACTING, &user("alice"), "keys:manage").await;
    let actor = Actor::key(&principal(&user("alice"), "keys:manage"), Rights::none());
    assert_eq!(bench.manager.revoke(&id, &actor).await.unwrap().effect(), Effect::Changed);
}

#[tokio::test]
async fn corrupt_record_is_told_to_those_who_may_know_of_it() {
    let bench = Bench::new();
    let row =
        KeyRow { hash: "$argon2id$broken".into(), kind: "user".into(), owner: "alice".into(), ..KeyRow::example() };
    let id = bench.plant_row(row).await;
    let kind = |actor| {
        let manager = bench.manager.clone();
        async move { manager.revoke(&id, &actor).await.unwrap_err().kind() }
    };
    assert_eq!(kind(person("alice")).await, ManageErrorKind::CorruptRecord);
    assert_eq!(kind(system()).await, ManageErrorKind::CorruptRecord);
    assert_eq!(kind(person("bob")).await, ManageErrorKind::NotFound);
}
