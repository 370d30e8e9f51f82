use crate::{
    Actor, IssueKey, KeyKind, OrganizationId, Scope, Scopes, Timestamp,
    hash::KeyHash,
    key::KeyFormat,
    manage::{
        DenialReason, InvalidInput, ManageErrorKind, Rights, TeamRole,
        fixture::{ACTING, Bench, START, person, principal, scopes, system, team, team_id, time, user, user_id},
    },
    record::{ActorId, KeyRecord},
    store::OwnerChange,
};

fn alice_key() -> IssueKey {
    IssueKey::user(user_id("alice"))
}

async fn refusal(bench: &Bench, request: IssueKey, actor: &Actor) -> ManageErrorKind {
    let before = bench.all().await;
    let kind = bench.manager.issue(request, actor).await.unwrap_err().kind();
    assert_eq!(bench.all().await, before, "something was written");
    kind
}

#[tokio::test]
async fn issued_key_stands_in_the_store_as_asked() {
    let bench = Bench::new();
    let request = IssueKey::team(team_id("blue"))
        .named("Monday cron")
        .labelled("ticket", "OPS-1")
        .scopes(scopes("read write"))
        .expires_at(time("2027-01-01T00:00:00Z"));
    let rights = Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included();
    let issued = bench.manager.issue(request, &Actor::user(user_id("alice"), rights)).await.unwrap();

    let record = KeyRecord::try_from(&bench.row(&issued.info().id).await).unwrap();
    assert_eq!(record.owner, team("blue"));
    assert_eq!(record.name.as_str(), "Monday cron");
    assert_eq!(record.labels.value("ticket"), Some("OPS-1"));
    assert_eq!(record.scopes, scopes("read write"));
    assert_eq!(record.created_by, ActorId::User(user_id("alice")));
    assert_eq!(record.created_via_key, None);
    assert_eq!(record.created_at, time(START));
    assert_eq!(record.expires_at, Some(time("2027-01-01T00:00:00Z")));
    assert!(record.is_live(time(START)));
}

#[tokio::test]
async fn answer_of_issue_is_what_find_says_later() {
    let bench = Bench::new();
    let issued = bench.manager.issue(alice_key().named("laptop"), &person("alice")).await.unwrap();
    let mut found = bench.manager.find(&issued.info().id, &person("alice")).await.unwrap();
    assert_eq!(found.usage.take(), Some(crate::usage::UsageTotals::default()));
    assert_eq!(found.counted.take(), Some(crate::manage::CountedUntil::default()));
    assert_eq!((found.successor, found.predecessor_is_live.take()), (None, Some(false)));
    assert_eq!(&found, issued.info());
}

#[tokio::test]
async fn text_of_an_issued_key_is_its_kind_and_matches_the_stored_tag_only() {
    let bench = Bench::new();
    let issued = bench.manager.issue(alice_key(), &person("alice")).await.unwrap();
    let text = issued.plaintext().expose_secret();
    let parsed = KeyFormat::unbranded().parse(text.as_bytes()).unwrap();
    assert_eq!((parsed.kind(), parsed.id()), (KeyKind::User, issued.info().id));

    let row = bench.row(&issued.info().id).await;
    let stored = KeyHash::from_parts(&row.hash, row.tag, None).unwrap();
    let hasher = crate::hash::Hasher::new(crate::hash::HasherConfig::new().with_threads(1)).unwrap();
    assert!(hasher.verify(*issued.info().id.as_bytes(), text, &stored).await.is_ok());
}

#[tokio::test]
async fn issue_writes_one_event_with_what_was_asked_for() {
    let bench = Bench::new();
    let issued = bench.manager.issue(alice_key().named("laptop"), &system()).await.unwrap();
    let events = bench.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].action, "key.issued");
    assert_eq!(events[0].actor, "system:test");
    assert_eq!(events[0].key.as_deref(), Some(issued.info().id.as_str()));
    assert_eq!(
        events[0].after.as_deref(),
        Some(
            r#"{"name":"laptop","labels":{},"scopes":"*","networks":null,"responsible":null,"expires_at":null,"known_beforehand":false}"#
        )
    );
}

/// A store may have no more room than the contract requires. Quotation marks in labels and names are escaped.
#[tokio::test]
async fn the_longest_key_has_an_event_that_fits_its_column() {
    let bench = Bench::new();
    for wide in ["\"", "\u{1f511}"] {
        let scopes: Scopes = (0..64).map(|number| Scope::new(format!("{number:x>64}")).unwrap()).collect();
        let request = alice_key().named(wide.repeat(100)).scopes(scopes).expires_at(time("9999-12-31T23:59:59.999Z"));
        let label = |request: IssueKey, number| request.labelled(format!("{number:0>32}"), wide.repeat(128));
        drop(bench.manager.issue((0..16).fold(request, label), &system()).await.unwrap());
        let after = bench.events().await.pop().unwrap().after.unwrap();
        assert!((8_000..=crate::lengths::EVENT_TEXT.bytes()).contains(&after.len()), "{}", after.len());
    }
}

#[tokio::test]
async fn name_and_labels_that_mislead_are_refused() {
    let bench = Bench::new();
    let invalid = |what| ManageErrorKind::Invalid(what);
    for name in ["a\0b", "two\nlines", "a\u{202e}b", &"a".repeat(101)] {
        assert_eq!(refusal(&bench, alice_key().named(name), &system()).await, invalid(InvalidInput::Name));
    }
    for (label, value) in [("ticket", "a\u{7}b"), ("UPPER", "v"), ("", "v")] {
        let request = alice_key().labelled(label, value);
        assert_eq!(refusal(&bench, request, &system()).await, invalid(InvalidInput::Labels));
    }
    let many = (0..17).fold(alice_key(), |request, index| request.labelled(format!("l{index}"), "v"));
    assert_eq!(refusal(&bench, many, &system()).await, invalid(InvalidInput::Labels));
}

#[tokio::test]
async fn name_or_label_that_contains_a_key_is_refused_and_not_repeated() {
    let bench = Bench::new();
    let key = KeyFormat::unbranded().generate(KeyKind::Team).unwrap();
    let secret = key.expose_secret();
    for request in [alice_key().named(format!("CI {secret}")), alice_key().labelled("key", secret)] {
        let shown = format!("{request:?}");
        let error = bench.manager.issue(request, &system()).await.unwrap_err();
        assert!(matches!(error.kind(), ManageErrorKind::Invalid(InvalidInput::Labels | InvalidInput::Name)));
        let told = format!("{shown} {error} {error:?}");
        assert!(!told.contains(&secret[secret.len() - 8..]));
    }
    assert_eq!(bench.store.applies(), 0);
}

#[tokio::test]
async fn expiry_that_is_not_in_the_future_is_refused() {
    let bench = Bench::new();
    for at in [Timestamp::MIN, time("2026-03-01T11:59:59.999Z"), time(START)] {
        let kind = refusal(&bench, alice_key().expires_at(at), &system()).await;
        assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::ExpiryPast));
    }
    assert!(Timestamp::from_millis(Timestamp::MAX.as_millis() + 1).is_err());
    assert!(bench.manager.issue(alice_key().expires_at(Timestamp::MAX), &system()).await.is_ok());
}

#[tokio::test]
async fn more_scopes_than_a_record_holds_are_refused() {
    let bench = Bench::new();
    let set = |count: usize| (0..count).map(|index| Scope::new(format!("s{index}")).unwrap()).collect::<Scopes>();
    let kind = refusal(&bench, alice_key().scopes(set(65)), &system()).await;
    assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::Scopes));
    assert!(bench.manager.issue(alice_key().scopes(set(64)), &system()).await.is_ok());
}

#[tokio::test]
async fn key_for_a_suspended_or_closed_owner_is_refused() {
    use crate::record::Suspension;
    for (change, expected) in [
        (OwnerChange::Suspend(Suspension::Admin), ManageErrorKind::OwnerSuspended),
        (OwnerChange::Suspend(Suspension::Plan), ManageErrorKind::OwnerPlanSuspended),
        (OwnerChange::Close, ManageErrorKind::OwnerClosed),
    ] {
        for owner in [user("alice"), team("blue")] {
            let bench = Bench::new();
            bench.plant("AAAAAAAAAAAAAAAAAAAA", &owner, "*").await;
            bench.change_owner(&owner, change).await;
            assert_eq!(refusal(&bench, IssueKey::of(owner), &system()).await, expected);
        }
    }
}

#[tokio::test]
async fn closed_owner_without_keys_is_told_from_a_suspended_one() {
    let bench = Bench::new();
    bench.manager.close(&user("alice"), &system()).await.unwrap();
    assert_eq!(refusal(&bench, alice_key(), &system()).await, ManageErrorKind::OwnerClosed);
    bench.manager.suspend(&team("blue"), crate::record::Suspension::Plan, &system()).await.unwrap();
    let blue = IssueKey::team(team_id("blue"));
    assert_eq!(refusal(&bench, blue, &system()).await, ManageErrorKind::OwnerPlanSuspended);
}

#[tokio::test]
async fn team_key_is_issued_though_its_creator_leaves_and_not_by_them_afterwards() {
    let bench = Bench::new();
    bench.change_owner(&user("alice"), OwnerChange::Close).await;
    let rights = Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included();
    let alice = Actor::user(user_id("alice"), rights);
    let kind = refusal(&bench, IssueKey::team(team_id("blue")), &alice).await;
    assert_eq!(kind, ManageErrorKind::Denied(DenialReason::ActorClosed.into()));
}

#[tokio::test]
async fn idempotency_key_issues_one_key() {
    let bench = Bench::new();
    let request = || alice_key().idempotency_key("3f1c5a4e");
    let _ = bench.manager.issue(request(), &person("alice")).await.unwrap();
    assert_eq!(refusal(&bench, request(), &person("alice")).await, ManageErrorKind::IdempotencyKeyUsed);
}

#[tokio::test]
async fn idempotency_key_means_nothing_to_others() {
    let bench = Bench::new();
    let request = |owner| IssueKey::of(user(owner)).idempotency_key("3f1c5a4e");
    let _ = bench.manager.issue(request("alice"), &person("alice")).await.unwrap();
    assert!(bench.manager.issue(request("bob"), &person("bob")).await.is_ok());
    let globex = OrganizationId::new("globex").unwrap();
    let abroad = bench.manager.for_organization(globex.clone());
    assert!(abroad.issue(request("alice"), &person("alice").with_organization(globex)).await.is_ok());
}

#[tokio::test]
async fn idempotency_key_has_1_to_256_bytes() {
    let bench = Bench::new();
    let long = "k".repeat(257);
    for key in ["", &long] {
        let kind = refusal(&bench, alice_key().idempotency_key(key), &system()).await;
        assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::IdempotencyKey));
    }
    assert!(bench.manager.issue(alice_key().idempotency_key(&long[1..]), &system()).await.is_ok());
}

/// A key of alice with the scopes `own` issues one with the scopes `granted`.
async fn issue_by_key(own: &str, granted: &str) -> Result<(), ManageErrorKind> {
    let bench = Bench::new();
    bench.plant(ACTING, &user("alice"), own).await;
    let actor = Actor::key(&principal(&user("alice"), own), Rights::none());
    let issued = bench.manager.issue(alice_key().scopes(scopes(granted)), &actor).await;
    let issued = issued.map_err(|error| error.kind())?;
    let row = bench.row(&issued.info().id).await;
    assert_eq!(row.created_by, format!("key:{ACTING}"));
    assert_eq!(row.created_via_key.as_deref(), Some(ACTING));
    Ok(())
}

#[tokio::test]
async fn key_grants_what_it_has_and_no_more() {
    let too_wide = Err(ManageErrorKind::Denied(DenialReason::ScopesTooWide.into()));
    for (own, granted, expected) in [
        ("* keys:manage", "*", Ok(())),
        ("* keys:manage", "read", Ok(())),
        ("keys:manage read write", "read", Ok(())),
        ("keys:manage", "", Ok(())),
        ("keys:manage read", "*", too_wide),
        ("keys:manage read", "read write", too_wide),
        ("keys:manage read", "read keys:manage", too_wide),
        ("* keys:manage", "* keys:manage", too_wide),
    ] {
        assert_eq!(issue_by_key(own, granted).await, expected, "{own:?} grants {granted:?}");
    }
}

#[tokio::test]
async fn people_may_name_keys_manage() {
    let bench = Bench::new();
    let request = alice_key().scopes(Scopes::all().with(Scope::KEYS_MANAGE));
    let issued = bench.manager.issue(request, &person("alice")).await.unwrap();
    assert!(issued.info().scopes.allows(&Scope::KEYS_MANAGE));
}

#[tokio::test]
async fn secret_leaves_through_expose_secret_only() {
    let bench = Bench::new();
    let issued = bench.manager.issue(alice_key().named("laptop"), &person("alice")).await.unwrap();
    let secret = issued.plaintext().expose_secret().rsplit('.').next().unwrap().to_owned();
    let json = serde_json::to_string(issued.info()).unwrap();
    let seen = format!("{issued:?} {json} {:?} {:?} {:?}", bench.all().await, bench.manager, issued.info());
    for start in 0..=secret.len() - 8 {
        assert!(!seen.contains(&secret[start..start + 8]));
    }
}

#[tokio::test]
async fn info_serializes_without_the_hash() {
    let bench = Bench::new();
    let issued = bench.manager.issue(alice_key(), &person("alice")).await.unwrap();
    let json = serde_json::to_value(issued.info()).unwrap();
    let id = issued.info().id;
    assert_eq!(json["redacted"], format!("user.{id}.[REDACTED]"));
    assert_eq!(json["owner"], serde_json::json!({"kind": "user", "id": "alice"}));
    assert_eq!(json["created_at"], START);
    assert!(!json.to_string().contains("argon2"));
}
