//! Several fields of one key in one change; expected versions; reasons of revocations.

use std::sync::{Arc, Mutex};

use crate::{
    Actor, OrganizationId, Rights,
    audit::{Event, Notifier},
    key::KeyId,
    manage::{
        AuditQuery, Decision, DenialReason, EditKey, Effect, EndRotation, InvalidInput, KeyAction, ManageError,
        ManageErrorKind, Policy, RevokeKey, RotateKey, Rules, Target,
        fixture::{ACTING, Bench, START, person, plain_change, principal, scopes, system, team, time, user},
    },
    record::Labels,
    store::{Change, KeyUpdate, Write},
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";
const END: &str = "2027-01-01T00:00:00Z";

/// The default policy, with these actions denied to every actor.
#[derive(Debug)]
struct Without(Vec<KeyAction>);

impl Policy for Without {
    fn decide(&self, _: &Actor, action: KeyAction, _: &Target<'_>) -> Decision {
        if self.0.contains(&action) { Decision::Deny(DenialReason::InsufficientRole) } else { Decision::Allow }
    }
}

const FIELDS: [KeyAction; 4] = [KeyAction::Rename, KeyAction::Relabel, KeyAction::Narrow, KeyAction::Expire];

/// An edit of these fields.
fn edit_of(id: KeyId, fields: &[KeyAction]) -> EditKey {
    fields.iter().fold(EditKey::of(id), |edit, field| match field {
        KeyAction::Rename => edit.named("Monday cron"),
        KeyAction::Relabel => edit.labels(Labels::new([("ticket", "OPS-2")]).unwrap()),
        KeyAction::Narrow => edit.scopes(scopes("read")),
        KeyAction::Expire => edit.expires_at(time(END)),
        other => panic!("{other}"),
    })
}

/// The fields whose bit is set.
fn subset(bits: usize) -> Vec<KeyAction> {
    FIELDS.into_iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, field)| field).collect()
}

fn kind<T>(result: Result<T, ManageError>) -> Result<(), ManageErrorKind> {
    result.map(drop).map_err(|error| error.kind())
}

/// An update by another actor that changes only the version.
async fn overtake(bench: &Bench, id: &KeyId) -> Change {
    let row = bench.row(id).await;
    plain_change(
        &format!("{id} {}", row.version),
        Write::Update(KeyUpdate {
            organization: OrganizationId::single(),
            id: *id,
            expected_version: row.version,
            name: row.name,
            labels: row.labels,
            scopes: row.scopes,
            allowed_networks: row.allowed_networks.clone(),
            responsible: row.responsible.clone(),
            expires_at: row.expires_at,
        }),
    )
}

#[tokio::test]
async fn fields_are_changed_together_with_one_event_each() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "read write").await;
    let edited = bench.manager.edit(edit_of(id, &FIELDS), &person("alice")).await.unwrap();
    assert_eq!(bench.store.applies(), 1);
    assert_eq!((edited.name.as_str(), &edited.scopes, edited.version), ("Monday cron", &scopes("read"), 5));
    assert_eq!(edited, bench.manager.find(&id, &person("alice")).await.map(without_usage).unwrap());
    let events = bench.events().await;
    let told: Vec<_> = events.iter().map(|e| (&*e.action, e.before.as_deref(), e.after.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("key.renamed", Some("GitHub Actions - production"), Some("Monday cron")),
            ("key.relabelled", Some(r#"{"ticket":"OPS-1234"}"#), Some(r#"{"ticket":"OPS-2"}"#)),
            ("key.narrowed", Some("read write"), Some("read")),
            ("key.expiry_set", None, Some(END)),
        ]
    );
    // Again: values that are already set write nothing, whichever fields are named.
    assert_eq!(bench.manager.edit(edit_of(id, &FIELDS), &person("alice")).await.unwrap().version, 5);
    assert_eq!(bench.store.applies(), 1);
    let renamed = bench.manager.edit(edit_of(id, &FIELDS).named("Tuesday cron"), &person("alice")).await.unwrap();
    assert_eq!((renamed.version, bench.events().await.len()), (6, 5));
}

/// The key as in the answer of a change, which reads no other rows.
fn without_usage(key: crate::manage::KeyInfo) -> crate::manage::KeyInfo {
    crate::manage::KeyInfo { usage: None, counted: None, predecessor_is_live: None, ..key }
}

#[tokio::test]
async fn each_field_needs_its_own_right_and_all_or_nothing_is_changed() {
    for (denied, fields) in (0..16).flat_map(|denied| (0..16).map(move |fields| (denied, fields))) {
        let bench = Bench::with_policy(Without(subset(denied)));
        let id = bench.plant(TARGET, &user("alice"), "read write").await;
        let before = bench.row(&id).await;
        let edited = kind(bench.manager.edit(edit_of(id, &subset(fields)), &person("alice")).await);
        let refused = Err(ManageErrorKind::Denied(DenialReason::InsufficientRole.into()));
        assert_eq!(edited, if denied & fields == 0 { Ok(()) } else { refused }, "{denied:04b} {fields:04b}");
        let changed = if edited.is_ok() { subset(fields).len() } else { 0 };
        assert_eq!(bench.events().await.len(), changed);
        assert_eq!(bench.row(&id).await.version, before.version + i64::try_from(changed).unwrap());
        assert_eq!(bench.row(&id).await == before, changed == 0);
    }
}

#[tokio::test]
async fn key_needs_the_scope_for_each_field_and_learns_of_no_key_without() {
    for (own, fields, expected) in [
        ("keys:revoke", vec![KeyAction::Narrow, KeyAction::Expire], Ok(())),
        ("keys:revoke", vec![KeyAction::Narrow, KeyAction::Rename], Err("keys:manage")),
        ("keys:revoke", vec![KeyAction::Relabel, KeyAction::Expire], Err("keys:manage")),
        ("keys:manage", FIELDS.to_vec(), Ok(())),
        ("keys:read", vec![], Ok(())),
        ("keys:revoke", vec![], Err("keys:read")),
    ] {
        let bench = Bench::new();
        let id = bench.plant(TARGET, &team("blue"), "read write").await;
        bench.plant(ACTING, &team("blue"), own).await;
        let actor = Actor::key(&principal(&team("blue"), own), Rights::none());
        let absent = KeyId::new("BBBBBBBBBBBBBBBBBBBB").unwrap();
        let refused = |id| {
            let (manager, actor, edit) = (bench.manager.clone(), actor.clone(), edit_of(id, &fields));
            async move { manager.edit(edit, &actor).await.map(drop).map_err(|error| error.to_string()) }
        };
        match expected {
            Ok(()) => assert_eq!(refused(id).await, Ok(()), "{own} {fields:?}"),
            Err(scope) => {
                let told = refused(id).await.unwrap_err();
                assert!(told.contains(&format!("`{scope}`")), "{told}");
                assert_eq!(refused(absent).await.unwrap_err(), told);
                assert!(bench.events().await.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn one_field_that_cannot_be_leaves_all_as_it_is() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "read write").await;
    let before = bench.all().await;
    let all = || edit_of(id, &FIELDS);
    for (edit, what) in [
        (all().named("two\nlines"), InvalidInput::Name),
        (all().scopes(scopes("admin")), InvalidInput::ScopesWider),
        (all().expires_at(time(START)), InvalidInput::ExpiryPast),
    ] {
        assert_eq!(kind(bench.manager.edit(edit, &system()).await), Err(ManageErrorKind::Invalid(what)));
    }
    bench.manager.expire_at(&id, time("2026-06-01T00:00:00Z"), &system()).await.unwrap();
    let later = bench.manager.edit(all(), &system()).await.unwrap_err();
    assert_eq!(later.kind(), ManageErrorKind::Invalid(InvalidInput::ExpiryLater));
    assert!(later.to_string().contains("rotate the key and give the new key a later expiry"), "{later}");
    assert_eq!(bench.all().await.0.len(), before.0.len());
    assert_eq!(bench.row(&id).await.version, 2);
}

#[tokio::test]
async fn edit_of_nothing_answers_with_the_key() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    assert_eq!(bench.manager.edit(EditKey::of(id), &person("alice")).await.unwrap().version, 1);
    assert_eq!(bench.store.applies(), 0);
    assert_eq!(kind(bench.manager.edit(EditKey::of(id), &person("bob")).await), Err(ManageErrorKind::NotFound));
    let differs = Err(ManageErrorKind::VersionDiffers { current: 1 });
    assert_eq!(kind(bench.manager.edit(EditKey::of(id).expecting(2), &person("alice")).await), differs);
}

/// Each act that takes an expected version of its key.
async fn act(bench: &Bench, act: &str, id: KeyId, version: i64) -> Result<(), ManageErrorKind> {
    let (manager, actor) = (&bench.manager, system());
    match act {
        "edit" => kind(manager.edit(edit_of(id, &FIELDS).expecting(version), &actor).await),
        "revoke" => kind(manager.revoke(RevokeKey::of(id).expecting(version), &actor).await),
        "begin" => kind(manager.begin_rotation(RotateKey::of(id).expecting(version), &actor).await),
        "finish" => kind(manager.finish_rotation_anyway(EndRotation::of(id).expecting(version), &actor).await),
        "abort" => kind(manager.abort_rotation(EndRotation::of(id).expecting(version), &actor).await),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn another_version_than_expected_is_refused_at_once_and_at_the_store() {
    for (name, by_new_key) in [
        ("edit", false),
        ("revoke", false),
        ("begin", false),
        ("finish", false),
        ("finish", true),
        ("abort", false),
        ("abort", true),
    ] {
        let bench = Bench::new();
        let mut id = bench.plant(TARGET, &team("blue"), "read write").await;
        if matches!(name, "finish" | "abort") {
            let new = bench.manager.begin_rotation(RotateKey::of(id), &system()).await.unwrap().info().id;
            id = if by_new_key { new } else { id };
        }
        let (version, applies, before) = (bench.row(&id).await.version, bench.store.applies(), bench.all().await);
        for other in [version - 1, version + 1, 0, i64::MAX] {
            let differs = Err(ManageErrorKind::VersionDiffers { current: version });
            assert_eq!(act(&bench, name, id, other).await, differs, "{name}");
        }
        assert_eq!((bench.store.applies(), &bench.all().await), (applies, &before), "{name}");

        // The key changed between the read and the write. The manager does not try again by itself.
        let quicker = overtake(&bench, &id).await;
        bench.store.quicker.lock().unwrap().push_back(quicker);
        let differs = Err(ManageErrorKind::VersionDiffers { current: version + 1 });
        assert_eq!(act(&bench, name, id, version).await, differs, "{name}");
        assert_eq!((bench.store.applies(), bench.all().await.1), (applies + 1, before.1), "{name}");
        assert!(bench.all().await.0.iter().all(|key| key.key.revoked_at.is_none()));

        assert_eq!(act(&bench, name, id, version + 1).await, Ok(()), "{name}");
    }
}

#[tokio::test]
async fn what_is_ended_already_stays_so_whatever_version_is_expected() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &team("blue"), "*").await;
    let new = bench.manager.begin_rotation(RotateKey::of(id), &system()).await.unwrap().info().id;
    bench.manager.finish_rotation_anyway(&new, &system()).await.unwrap();
    let again = bench.manager.revoke(RevokeKey::of(id).expecting(99), &system()).await.unwrap();
    assert_eq!(again.effect(), Effect::Unchanged);
    let again = bench.manager.finish_rotation(EndRotation::of(new).expecting(99), &system()).await.unwrap();
    assert_eq!(again.effect, Effect::Unchanged);
    assert_eq!(act(&bench, "edit", id, 99).await, Err(ManageErrorKind::KeyRevoked));
}

#[tokio::test]
async fn who_may_not_see_a_key_is_told_of_no_version() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    let edit = bench.manager.edit(EditKey::of(id).named("mine").expecting(7), &person("bob")).await;
    assert_eq!(kind(edit), Err(ManageErrorKind::NotFound));
    let revoke = bench.manager.revoke(RevokeKey::of(id).expecting(7), &person("bob")).await;
    assert_eq!(kind(revoke), Err(ManageErrorKind::NotFound));
}

#[tokio::test]
async fn reason_of_a_revocation_is_in_the_trail_and_told_to_the_sink() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notifier = Notifier::new({
        let told = Arc::clone(&told);
        move |events: &[Event]| told.lock().unwrap().extend(events.iter().map(|event| event.after.clone()))
    });
    let bench = Bench::with_rules(Rules { notifier, ..Rules::default() });
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    let leaked = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::Team).unwrap();
    let because = format!(" in a public\nrepository: {} ", leaked.expose_secret());
    bench.manager.revoke(RevokeKey::of(id).because(because), &person("alice")).await.unwrap();

    let reason = format!("in a public repository: {}", leaked.redacted());
    assert_eq!(*told.lock().unwrap(), [Some(reason.clone())]);
    let trail = bench.manager.events(AuditQuery::all().of_key(id), &person("alice")).await.unwrap();
    assert_eq!(trail.entries[0].event.after.as_ref(), Some(&reason));
    // After a second revocation with another reason, the first reason stays.
    bench.manager.revoke(RevokeKey::of(id).because("again"), &system()).await.unwrap();
    assert_eq!(bench.events().await.len(), 1);
}

#[test]
fn debug_of_an_edit_shows_no_key_that_was_pasted_into_it() {
    let pasted = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::Team).unwrap();
    let id = KeyId::new(TARGET).unwrap();
    let edit = format!("{:?}", EditKey::of(id).named(pasted.expose_secret()).expecting(3));
    assert!(
        !edit.contains(pasted.expose_secret()) && edit.contains("[REDACTED]") && edit.contains("Some(3)"),
        "{edit}"
    );
    let revoke = format!("{:?}", RevokeKey::of(id).because(pasted.expose_secret()));
    assert!(!revoke.contains(pasted.expose_secret()), "{revoke}");
}
