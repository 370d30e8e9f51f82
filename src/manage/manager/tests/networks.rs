//! Networks from which a key may be used: which actors may set them, and which may not.

use crate::{
    Actor, Networks, OrganizationId, Rights, TeamRole,
    audit::Event,
    key::KeyId,
    manage::{
        CheckKind, CheckResult, Denial, DenialReason, EditKey, InvalidInput, IssueKey, KeyInfo, ManageError,
        ManageErrorKind, NoteKind, RotateKey, Rules, Severity,
        fixture::{ACTING, Bench, person, plain_change, principal, scopes, system, team, team_id, user_id},
    },
    record::KeyRow,
    store::{KeyUpdate, Write},
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

fn networks(text: &str) -> Networks {
    text.parse().unwrap()
}

fn bench() -> Bench {
    Bench::with_rules(Rules { finds_addresses: true, ..Rules::default() })
}

fn row(id: &str, scopes: &str, networks: Option<&str>) -> KeyRow {
    KeyRow {
        id: id.into(),
        lineage: id.into(),
        owner: "blue".into(),
        scopes: scopes.into(),
        allowed_networks: networks.map(str::to_owned),
        ..KeyRow::example()
    }
}

fn kind<T>(result: Result<T, ManageError>) -> ManageErrorKind {
    result.map(drop).unwrap_err().kind()
}

fn wide() -> ManageErrorKind {
    ManageErrorKind::Denied(Denial::from(DenialReason::NetworksTooWide))
}

fn list(key: &KeyInfo) -> Option<String> {
    key.networks.as_ref().map(ToString::to_string)
}

fn blue(with: &str) -> Actor {
    Actor::key(&principal(&team("blue"), with), Rights::none().team_keys_included_for(team_id("blue")))
}

fn for_blue() -> IssueKey {
    IssueKey::team(team_id("blue")).scopes(scopes("read"))
}

#[tokio::test]
async fn a_list_is_set_changed_and_cleared_with_one_event_each() {
    let bench = bench();
    let issued = bench.manager.issue(for_blue().networks(networks("10.0.0.0/8")), &system()).await.unwrap();
    let id = issued.info().id;
    assert_eq!(list(issued.info()).as_deref(), Some("10.0.0.0/8"));
    assert_eq!(bench.row(&id).await.allowed_networks.as_deref(), Some("10.0.0.0/8"));
    for (set, told) in [
        (Some("10.1.0.0/16 192.0.2.1/32"), Some("10.1.0.0/16 192.0.2.1/32")),
        (Some("10.1.0.0/16 192.0.2.1/32"), Some("10.1.0.0/16 192.0.2.1/32")),
        (None, None),
        (Some("2001:db8::/32"), Some("2001:db8::/32")),
    ] {
        let edited = bench.manager.edit(EditKey::of(id).networks(set.map(networks)), &system()).await.unwrap();
        assert_eq!(list(&edited).as_deref(), told);
        assert_eq!(bench.row(&id).await.allowed_networks.as_deref(), told);
    }
    let events = bench.events().await;
    let told: Vec<_> = events.iter().map(|e| (&*e.action, e.before.as_deref(), e.after.as_deref())).collect();
    assert_eq!(
        told[1..],
        [
            ("key.networks_set", Some("10.0.0.0/8"), Some("10.1.0.0/16 192.0.2.1/32")),
            ("key.networks_set", Some("10.1.0.0/16 192.0.2.1/32"), None),
            ("key.networks_set", None, Some("2001:db8::/32")),
        ]
    );
    let json = serde_json::to_value(Event::try_from(&events[2]).unwrap()).unwrap();
    assert_eq!((&json["before"]["networks"][1], &json["after"]), (&"192.0.2.1/32".into(), &serde_json::Value::Null));
    let made = serde_json::to_value(Event::try_from(&events[0]).unwrap()).unwrap();
    assert_eq!(made["after"]["networks"], serde_json::json!(["10.0.0.0/8"]));
}

#[tokio::test]
async fn no_list_is_set_where_nobody_looks_for_addresses() {
    let bench = Bench::new();
    let listed = bench.plant_row(row(TARGET, "read", Some("10.0.0.0/8"))).await;
    let unchecked = ManageErrorKind::Invalid(InvalidInput::NetworksUnchecked);
    let ten = || networks("10.0.0.0/8");
    assert_eq!(kind(bench.manager.issue(for_blue().networks(ten()), &system()).await), unchecked);
    assert_eq!(
        kind(bench.manager.edit(EditKey::of(listed).networks(networks("10.0.0.0/9")), &system()).await),
        unchecked
    );
    assert_eq!(kind(bench.manager.begin_rotation(RotateKey::of(listed).networks(ten()), &system()).await), unchecked);
    assert_eq!(InvalidInput::NetworksUnchecked.field(), Some("networks"));
    // A rotation keeps an existing list, and the list can be removed.
    let new = bench.manager.begin_rotation(RotateKey::of(listed), &system()).await.unwrap();
    assert_eq!(list(new.info()).as_deref(), Some("10.0.0.0/8"));
    assert_eq!(list(&bench.manager.edit(EditKey::of(listed).networks(None), &system()).await.unwrap()), None);
}

/// What a form and a support page show about a list.
#[tokio::test]
async fn previews_and_explanations_tell_of_the_list() {
    let request = || for_blue().networks(networks("10.0.0.0/8 2001:db8::/32"));
    let bench = bench();
    let preview = bench.manager.preview(&request(), &system()).await.unwrap();
    let note = preview.notes.iter().find(|note| note.kind == NoteKind::NetworksLimited).unwrap();
    assert_eq!(
        (note.severity, note.sentence.to_string()),
        (Severity::Info, "It can be used only from 10.0.0.0/8, 2001:db8::/32. You can change this later.".to_owned())
    );
    assert!(preview.can_be_issued());
    let id = bench.manager.issue(request(), &system()).await.unwrap().info().id;
    let last = async || bench.manager.explain(&id, &system()).await.unwrap().checks.pop().unwrap();
    let check = last().await;
    assert_eq!((check.kind, check.result), (CheckKind::NetworkAllowed, CheckResult::Assumed));
    assert!(check.sentence.to_string().contains("10.0.0.0/8, 2001:db8::/32"), "{}", check.sentence);
    bench.manager.edit(EditKey::of(id).networks(None), &system()).await.unwrap();
    assert_eq!((last().await.kind, last().await.result), (CheckKind::NetworkAllowed, CheckResult::Passed));

    let unchecked = Bench::with_rules(Rules::default()).manager.preview(&request(), &system()).await.unwrap();
    assert!(!unchecked.can_be_issued() && unchecked.has(NoteKind::NetworksUnchecked));
    assert_eq!(
        unchecked.notes[0].sentence.to_string(),
        InvalidInput::NetworksUnchecked.sentence().to_string(),
        "what issuing would say"
    );
}

#[tokio::test]
async fn more_networks_need_the_right_to_issue() {
    let bench = bench();
    let id = bench.plant_row(row(TARGET, "read", Some("10.0.0.0/8"))).await;
    let admin = |rights: Rights| Actor::user(user_id("alice"), rights.team(team_id("blue"), TeamRole::Admin));
    let (without_plan, with_plan) = (admin(Rights::none()), admin(Rights::none().team_keys_included()));
    let plan = ManageErrorKind::Denied(Denial::from(DenialReason::PlanRequired));
    let edit = |text: Option<&str>| EditKey::of(id).networks(text.map(networks));
    for wider in [None, Some("10.0.0.0/7"), Some("10.0.0.0/8 192.0.2.1")] {
        assert_eq!(kind(bench.manager.edit(edit(wider), &without_plan).await), plan, "{wider:?}");
        let rotation = RotateKey::of(id).networks(wider.map(networks));
        assert_eq!(kind(bench.manager.begin_rotation(rotation, &without_plan).await), plan, "{wider:?}");
    }
    for narrower in ["10.0.0.0/8", "10.0.0.0/9 10.128.0.0/9", "10.1.0.0/16"] {
        assert!(bench.manager.edit(edit(Some(narrower)), &without_plan).await.is_ok(), "{narrower}");
    }
    assert!(bench.manager.edit(edit(None), &with_plan).await.is_ok());
    // An actor that may not narrow the key cannot set any list.
    let member = Actor::user(user_id("bob"), Rights::none().team(team_id("blue"), TeamRole::Member));
    let role = ManageErrorKind::Denied(Denial::from(DenialReason::InsufficientRole));
    assert_eq!(kind(bench.manager.edit(edit(Some("10.0.0.0/8")), &member).await), role);
    let stranger = person("mallory");
    assert_eq!(kind(bench.manager.edit(edit(Some("10.0.0.0/8")), &stranger).await), ManageErrorKind::NotFound);
}

#[tokio::test]
async fn a_key_lets_no_key_be_used_from_more_networks() {
    let all = "read keys:issue keys:rotate keys:revoke";
    // The list of the acting key, the list of the other key, and the new list; whether an edit and a rotation may set
    // it.
    for (own, other, wanted, by_edit, by_rotation) in [
        (None, None, Some("10.0.0.0/8"), true, true),
        (None, Some("10.0.0.0/8"), Some("10.0.0.0/9"), true, true),
        (None, Some("10.0.0.0/8"), None, false, false),
        (None, Some("10.0.0.0/8"), Some("10.0.0.0/7"), false, false),
        (Some("10.0.0.0/8"), None, Some("10.0.0.0/8"), true, true),
        // The text of a successor is not given out if it could be used from more networks.
        (Some("10.0.0.0/8"), None, None, true, false),
        (Some("10.0.0.0/8"), Some("192.0.2.0/24"), Some("192.0.2.0/25"), true, false),
        (Some("10.0.0.0/8"), Some("10.0.0.0/7"), Some("10.0.0.0/9"), true, true),
    ] {
        let (bench, actor) = (bench(), blue(all));
        bench.plant_row(row(ACTING, all, own)).await;
        let other_key = bench.plant_row(row(TARGET, "read", other)).await;
        let case = format!("{own:?} {other:?} {wanted:?}");
        let wanted = wanted.map(networks);
        let rotated = bench.manager.begin_rotation(RotateKey::of(other_key).networks(wanted.clone()), &actor).await;
        assert_eq!(
            rotated.map(drop).map_err(|error| error.kind()),
            if by_rotation { Ok(()) } else { Err(wide()) },
            "{case}"
        );
        let edited = bench.manager.edit(EditKey::of(other_key).networks(wanted), &actor).await;
        assert_eq!(
            edited.map(drop).map_err(|error| error.kind()),
            if by_edit { Ok(()) } else { Err(wide()) },
            "{case}"
        );
    }
}

#[tokio::test]
async fn a_key_with_a_list_makes_no_key_with_a_wider_one() {
    let (bench, actor) = (bench(), blue("read keys:issue keys:rotate"));
    bench.plant_row(row(ACTING, "read keys:issue keys:rotate", Some("10.0.0.0/8 2001:db8::/32"))).await;
    assert_eq!(kind(bench.manager.issue(for_blue(), &actor).await), wide());
    assert!(!bench.manager.preview(&for_blue(), &actor).await.unwrap().can_be_issued());
    for text in ["10.0.0.0/7", "10.0.0.0/8 192.0.2.1", "::/8"] {
        assert_eq!(kind(bench.manager.issue(for_blue().networks(networks(text)), &actor).await), wide(), "{text}");
    }
    for text in ["10.0.0.0/8 2001:db8::/32", "10.1.2.3", "2001:db8:1::/48 10.0.0.0/9 10.128.0.0/9"] {
        assert!(bench.manager.issue(for_blue().networks(networks(text)), &actor).await.is_ok(), "{text}");
    }
    // It can rotate itself with the same list.
    let own = KeyId::new(ACTING).unwrap();
    assert_eq!(kind(bench.manager.begin_rotation(RotateKey::of(own).networks(None), &actor).await), wide());
    let new = bench.manager.begin_rotation(RotateKey::of(own), &actor).await.unwrap();
    assert_eq!(list(new.info()).as_deref(), Some("10.0.0.0/8 2001:db8::/32"));
}

/// The list of the acting key is narrowed between the decision and the write.
#[tokio::test]
async fn a_key_that_lost_networks_meanwhile_gives_none() {
    let (bench, actor) = (bench(), blue("read keys:issue"));
    let own = bench.plant_row(row(ACTING, "read keys:issue", Some("10.0.0.0/8"))).await;
    let before = bench.row(&own).await;
    let narrowed = Write::Update(KeyUpdate {
        organization: OrganizationId::single(),
        id: own,
        expected_version: before.version,
        name: before.name,
        labels: before.labels,
        scopes: before.scopes,
        allowed_networks: Some("10.1.0.0/16".into()),
        responsible: None,
        expires_at: before.expires_at,
    });
    bench.store.quicker.lock().unwrap().push_back(plain_change("narrowed", narrowed));
    let error = bench.manager.issue(for_blue().networks(networks("10.0.0.0/8")), &actor).await;
    assert_eq!(kind(error), ManageErrorKind::Denied(Denial::from(DenialReason::ActorKeyChanged)));
}

#[tokio::test]
async fn an_idempotency_key_tells_lists_apart() {
    let bench = bench();
    let request = |text: &str| for_blue().networks(networks(text)).idempotency_key("once");
    assert!(bench.manager.issue(request("10.0.0.0/8"), &system()).await.is_ok());
    assert_eq!(kind(bench.manager.issue(request("10.0.0.0/8"), &system()).await), ManageErrorKind::IdempotencyKeyUsed);
    assert_eq!(
        kind(bench.manager.issue(request("10.0.0.0/9"), &system()).await),
        ManageErrorKind::IdempotencyKeyReused
    );
}
