//! Questions before an act, and what a service adds to the policy.

use std::sync::{Arc, Mutex};

use crate::{
    Actor, IssueKey, ManagingScope, OrganizationId, Scope,
    audit::{Action, Event, Notifier, Subject},
    manage::{
        Decision, DenialReason, Effect, InvalidInput, KeyAction, ManageErrorKind, OnDowngrade, PlanChange, Rights,
        Rules, Target, TeamRole,
        fixture::{
            ACTING, Bench, Fault, person, plain_change, principal, scopes, system, team, team_id, user, user_id,
        },
    },
    record::{OwnerStatusRow, Suspension},
    store::{
        KeyStore,
        transfer::{Batch, OwnerRow, PortableStore},
    },
    usage::Source,
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

fn admin_of(team: &str, included: bool) -> Actor {
    let rights = Rights::none().team(team_id(team), TeamRole::Admin);
    let rights = if included { rights.team_keys_included_for(team_id(team)) } else { rights };
    Actor::user(user_id("dana"), rights)
}

#[tokio::test]
async fn a_button_is_grey_for_the_reason_that_the_action_would_give() {
    let bench = Bench::new();
    let (blue, red) = (team("blue"), team("red"));
    for (actor, owner, expected) in [
        (admin_of("blue", true), &blue, Decision::Allow),
        (admin_of("blue", false), &blue, Decision::Deny(DenialReason::PlanRequired)),
        (admin_of("blue", true), &red, Decision::Hide),
        (person("bob"), &blue, Decision::Hide),
        (system(), &blue, Decision::Allow),
    ] {
        assert_eq!(
            bench.manager.can(&actor, KeyAction::Issue, &Target::new_key(owner)).await.unwrap(),
            expected,
            "{actor:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_may_not_manage_may_do_nothing() {
    let bench = Bench::new();
    let key = Actor::key(&principal(&team("blue"), "*"), Rights::none());
    let decision = bench.manager.can(&key, KeyAction::See, &Target::Owner(&team("blue"))).await.unwrap();
    assert_eq!(decision, Decision::Deny(DenialReason::InsufficientScope(ManagingScope::Read)));
}

#[tokio::test]
async fn a_key_may_not_give_more_than_it_has() {
    let bench = Bench::new();
    let rights = Rights::none().team_keys_included_for(team_id("blue"));
    let key = Actor::key(&principal(&team("blue"), "read keys:manage"), rights);
    for (wanted, expected) in [
        ("read", Decision::Allow),
        ("read write", Decision::Deny(DenialReason::ScopesTooWide)),
        ("keys:manage", Decision::Deny(DenialReason::ScopesTooWide)),
    ] {
        let (owner, wanted) = (team("blue"), scopes(wanted));
        let target = Target::NewKey { owner: &owner, scopes: &wanted, expires_at: None };
        assert_eq!(bench.manager.can(&key, KeyAction::Issue, &target).await.unwrap(), expected, "{wanted}");
    }
}

#[tokio::test]
async fn another_organization_s_buttons_are_hidden() {
    let bench = Bench::new();
    let abroad = admin_of("blue", true).with_organization(OrganizationId::new("globex").unwrap());
    let decision = bench.manager.can(&abroad, KeyAction::Issue, &Target::new_key(&team("blue"))).await.unwrap();
    assert_eq!(decision, Decision::Hide);
}

#[tokio::test]
async fn teams_to_choose_from_are_those_that_may_get_a_key() {
    let bench = Bench::new();
    let rights = Rights::none()
        .team(team_id("blue"), TeamRole::Admin)
        .team_keys_included_for(team_id("blue"))
        .team(team_id("green"), TeamRole::Owner)
        .team_keys_included_for(team_id("green"))
        .team(team_id("poor"), TeamRole::Admin)
        .team(team_id("red"), TeamRole::Member)
        .team_keys_included_for(team_id("red"))
        .team_keys_included_for(team_id("white"));
    let alice = Actor::user(user_id("alice"), rights.clone());
    assert_eq!(bench.manager.teams_to_issue_for(&alice).await.unwrap(), [team_id("blue"), team_id("green")]);
    let org = Actor::user(user_id("olga"), rights.org_admin());
    let all = [team_id("blue"), team_id("green"), team_id("red"), team_id("white")];
    assert_eq!(bench.manager.teams_to_issue_for(&org).await.unwrap(), all);
}

#[tokio::test]
async fn a_downgrade_leaves_keys_alone_unless_the_service_says_otherwise() {
    for (on_downgrade, effect, suspended) in
        [(OnDowngrade::Keep, Effect::Unchanged, false), (OnDowngrade::Suspend, Effect::Changed, true)]
    {
        let bench = Bench::with_rules(Rules { on_downgrade, ..Rules::default() });
        let id = bench.plant(TARGET, &team("blue"), "*").await;
        let change = PlanChange::team_keys_not_included().for_team(team_id("blue"));
        let expected = u64::from(effect == Effect::Changed);
        let look = bench.manager.plan_changed(change.clone().dry_run(), &system()).await.unwrap();
        assert_eq!((look.teams, look.live_keys, look.dry_run), (expected, expected, true));
        assert!(bench.manager.find(&id, &system()).await.unwrap().is_usable(bench.now()));
        let told = bench.manager.plan_changed(change.clone(), &system()).await.unwrap();
        assert_eq!((told.teams, told.live_keys, told.dry_run), (expected, expected, false));
        assert_eq!(bench.manager.plan_changed(change, &system()).await.unwrap().teams, 0);
        let info = bench.manager.find(&id, &system()).await.unwrap();
        assert_eq!(info.is_usable(bench.now()), !suspended);
        let change = PlanChange::team_keys_included().for_team(team_id("blue"));
        let back = bench.manager.plan_changed(change, &system()).await.unwrap();
        assert_eq!((back.teams, back.live_keys), (expected, expected));
        assert_eq!(bench.events().await.len(), 2 * usize::try_from(expected).unwrap());
        assert!(bench.manager.find(&id, &system()).await.unwrap().is_usable(bench.now()));
    }
}

#[tokio::test]
async fn an_upgrade_ends_no_other_suspension() {
    let bench = Bench::new();
    bench.manager.suspend(&team("blue"), Suspension::Admin, &system()).await.unwrap();
    let change = PlanChange::team_keys_included().for_team(team_id("blue"));
    assert_eq!(bench.manager.plan_changed(change, &system()).await.unwrap().teams, 0);
    assert_eq!(bench.events().await.len(), 1);
}

#[tokio::test]
async fn a_plan_is_told_by_who_may_suspend_the_team() {
    let bench = Bench::new();
    for (included, change) in [(false, PlanChange::team_keys_not_included()), (true, PlanChange::team_keys_included())]
    {
        for change in [change.clone(), change.for_team(team_id("blue"))] {
            for change in [change.clone(), change.dry_run()] {
                let error = bench.manager.plan_changed(change, &admin_of("blue", included)).await.unwrap_err();
                assert_eq!(error.kind(), ManageErrorKind::Denied(DenialReason::InsufficientRole.into()));
            }
        }
    }
}

#[tokio::test]
async fn a_plan_of_all_teams_reaches_each_team_with_keys_once() {
    let bench = Bench::with_rules(Rules { on_downgrade: OnDowngrade::Suspend, ..Rules::default() });
    for (id, of, scopes) in [
        ("AAAAAAAAAAAAAAAAAAA1", team("blue"), "*"),
        ("AAAAAAAAAAAAAAAAAAA2", team("blue"), "*"),
        ("AAAAAAAAAAAAAAAAAAA3", team("red"), "*"),
        ("AAAAAAAAAAAAAAAAAAA4", team("green"), "*"),
        ("AAAAAAAAAAAAAAAAAAA5", team("grey"), "*"),
        ("AAAAAAAAAAAAAAAAAAA6", user("alice"), "*"),
    ] {
        bench.plant(id, &of, scopes).await;
    }
    bench.manager.suspend(&team("red"), Suspension::Admin, &system()).await.unwrap();
    bench.manager.close(&team("grey"), &system()).await.unwrap();
    let before = bench.events().await.len();
    let (down, up) = (PlanChange::team_keys_not_included(), PlanChange::team_keys_included());
    let look = bench.manager.plan_changed(down.clone().dry_run(), &system()).await.unwrap();
    assert_eq!((look.teams, look.live_keys), (3, 3));
    assert_eq!(bench.events().await.len(), before);
    // The call fails after one team. A second call continues with the rest.
    bench.store.fail([Fault::Works, Fault::Unavailable]);
    assert_eq!(
        bench.manager.plan_changed(down.clone(), &system()).await.unwrap_err().kind(),
        ManageErrorKind::StoreUnavailable
    );
    let rest = bench.manager.plan_changed(down.clone(), &system()).await.unwrap();
    assert_eq!(rest.teams, 2);
    assert_eq!(bench.manager.plan_changed(down, &system()).await.unwrap().teams, 0);
    assert_eq!(bench.events().await.len(), before + 3);
    let back = bench.manager.plan_changed(up.clone(), &system()).await.unwrap();
    assert_eq!((back.teams, back.live_keys), (3, 3));
    assert_eq!(bench.manager.plan_changed(up, &system()).await.unwrap().teams, 0);
    assert_eq!(bench.events().await.len(), before + 6);
}

#[tokio::test]
async fn a_dry_run_for_a_closed_team_is_refused_as_the_change_is() {
    let bench = Bench::with_rules(Rules { on_downgrade: OnDowngrade::Suspend, ..Rules::default() });
    bench.plant(TARGET, &team("blue"), "*").await;
    bench.manager.close(&team("blue"), &system()).await.unwrap();
    for change in [PlanChange::team_keys_included(), PlanChange::team_keys_not_included()] {
        let change = change.for_team(team_id("blue"));
        for change in [change.clone().dry_run(), change] {
            let error = bench.manager.plan_changed(change, &system()).await.unwrap_err();
            assert_eq!(error.kind(), ManageErrorKind::OwnerClosed);
        }
    }
}

#[tokio::test]
async fn a_team_whose_status_cannot_be_read_keeps_no_other_from_the_plan() {
    let bench = Bench::with_rules(Rules { on_downgrade: OnDowngrade::Suspend, ..Rules::default() });
    for (id, of) in [("AAAAAAAAAAAAAAAAAAA1", "blue"), ("AAAAAAAAAAAAAAAAAAA2", "red"), ("AAAAAAAAAAAAAAAAAAA3", "red")]
    {
        bench.plant(id, &team(of), "*").await;
    }
    let damaged = OwnerRow {
        organization: "default".into(),
        kind: "team".into(),
        id: "blue".into(),
        status: OwnerStatusRow { suspended_at: Some(-1), ..OwnerStatusRow::default() },
    };
    bench.store.inner.import(&Batch::Owners(vec![damaged])).await.unwrap();
    let change = PlanChange::team_keys_not_included();
    for change in [change.clone().dry_run(), change] {
        let changed = bench.manager.plan_changed(change, &system()).await.unwrap();
        assert_eq!((changed.teams, changed.live_keys, changed.unreadable), (1, 2, 1));
        assert!(
            changed.to_string().ends_with(
                " The status of 1 team cannot be read, so it was not changed: tell the operator of the service."
            ),
            "{changed}"
        );
    }
}

/// A suspension of the whole organization does not belong to the team, and does not end with the team's.
#[tokio::test]
async fn a_plan_of_a_team_is_told_apart_from_what_holds_for_its_organization() {
    let bench = Bench::with_rules(Rules { on_downgrade: OnDowngrade::Suspend, ..Rules::default() });
    bench.plant(TARGET, &team("blue"), "*").await;
    let stop = crate::store::OwnerChange::Suspend(Suspension::Plan);
    let write = crate::store::Write::Organization(OrganizationId::single(), stop);
    bench.store.inner.apply(&plain_change("organization", write)).await.unwrap();
    for of in [None, Some(team_id("blue"))] {
        for (change, teams) in [(PlanChange::team_keys_included(), 0), (PlanChange::team_keys_not_included(), 1)] {
            let change = of.iter().cloned().fold(change, PlanChange::for_team);
            let look = bench.manager.plan_changed(change.clone().dry_run(), &system()).await.unwrap();
            assert_eq!((look.teams, look.live_keys), (teams, 0));
            let told = bench.manager.plan_changed(change, &system()).await.unwrap();
            assert_eq!((told.teams, told.live_keys), (teams, 0));
        }
        let back = bench.manager.plan_changed(PlanChange::team_keys_included(), &system()).await.unwrap();
        assert_eq!((back.teams, back.live_keys), (1, 0));
    }
}

#[tokio::test]
async fn who_is_no_admin_of_the_organization_is_not_told_whether_there_are_teams() {
    for is_planted in [false, true] {
        let bench = Bench::new();
        if is_planted {
            bench.plant(TARGET, &team("blue"), "*").await;
        }
        let error = bench.manager.plan_changed(PlanChange::team_keys_included(), &person("mallory")).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::Denied(DenialReason::InsufficientRole.into()));
    }
}

fn known(scopes: &[&str]) -> Rules {
    Rules { scopes: Some(scopes.iter().map(|scope| Scope::new(*scope).unwrap()).collect()), ..Rules::default() }
}

#[tokio::test]
async fn a_scope_that_the_service_does_not_have_is_refused() {
    let bench = Bench::with_rules(known(&["agents:read"]));
    for (wanted, is_known) in [
        ("agents:read", true),
        ("*", true),
        ("", true),
        ("* keys:manage", true),
        ("agents:raed", false),
        ("agents:read agents:write", false),
    ] {
        let request = IssueKey::of(team("blue")).scopes(scopes(wanted));
        let result = bench.manager.issue(request, &system()).await;
        match result {
            Ok(_) => assert!(is_known, "{wanted}"),
            Err(error) => {
                assert!(!is_known, "{wanted}");
                assert_eq!(error.kind(), ManageErrorKind::Invalid(InvalidInput::UnknownScope));
                let source = std::error::Error::source(&error).unwrap().to_string();
                assert!(source.starts_with("there is no scope `agents:"), "{source}");
            }
        }
    }
}

#[tokio::test]
async fn a_service_without_scopes_has_none() {
    let bench = Bench::with_rules(known(&[]));
    let request = IssueKey::of(team("blue")).scopes(scopes("read"));
    let kind = bench.manager.issue(request, &system()).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::UnknownScope));
}

#[tokio::test]
async fn scopes_that_the_service_gave_up_are_not_kept_when_narrowing() {
    let bench = Bench::with_rules(known(&["read"]));
    let id = bench.plant(TARGET, &team("blue"), "read legacy").await;
    let kind = bench.manager.narrow_scopes(&id, scopes("legacy"), &system()).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Invalid(InvalidInput::UnknownScope));
    bench.manager.narrow_scopes(&id, scopes("read"), &system()).await.unwrap();
}

/// A bench, and the events that its sink got.
fn told() -> (Bench, Arc<Mutex<Vec<Event>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let notifier = Notifier::new({
        let told = Arc::clone(&told);
        move |events: &[Event]| told.lock().unwrap().extend_from_slice(events)
    });
    (Bench::with_rules(Rules { notifier, ..Rules::default() }), told)
}

#[tokio::test]
async fn the_sink_is_told_of_what_is_committed() {
    let (bench, told) = told();
    let actor = system().with_source(Source::new("console").unwrap());
    let issued = bench.manager.issue(IssueKey::of(user("alice")), &actor).await.unwrap();
    let event = told.lock().unwrap().pop().unwrap();
    assert_eq!((event.action, event.source.as_deref()), (Action::KEY_ISSUED, Some("console")));
    assert_eq!(event.subject, Subject::Key(issued.info().id, user("alice")));
    assert_eq!(bench.events().await[0].source.as_deref(), Some("console"));
}

#[tokio::test]
async fn the_sink_is_not_told_of_what_changed_nothing() {
    let (bench, told) = told();
    let id = bench.plant(TARGET, &team("blue"), "*").await;
    bench.manager.revoke(&id, &system()).await.unwrap();
    bench.manager.revoke(&id, &system()).await.unwrap();
    assert_eq!(told.lock().unwrap().len(), 1);
    bench.store.fail([Fault::Unavailable]);
    bench.manager.issue(IssueKey::of(user("alice")), &system()).await.unwrap_err();
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_sink_is_told_once_of_a_change_that_was_repeated() {
    let (bench, told) = told();
    bench.store.fail([Fault::DoesAndLosesTheAnswer]);
    let _issued = bench.manager.issue(IssueKey::of(user("alice")), &system()).await.unwrap();
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_sink_that_panics_costs_nobody_a_key() {
    let notifier = Notifier::new(|_: &[Event]| panic!("the sink's own"));
    let bench = Bench::with_rules(Rules { notifier, ..Rules::default() });
    let issued = bench.manager.issue(IssueKey::of(user("alice")), &system()).await.unwrap();
    assert!(bench.store.inner.apply(&plain_change("x", revoke(&issued))).await.is_ok());
}

fn revoke(issued: &crate::IssuedKey) -> crate::store::Write {
    crate::store::Write::Revoke {
        organization: OrganizationId::single(),
        id: issued.info().id,
        by: "user:alice".into(),
    }
}

#[tokio::test]
async fn an_actor_that_is_suspended_first_changes_nothing() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &team("blue"), "*").await;
    let dana = admin_of("blue", true);
    let suspension = plain_change(
        "suspend",
        crate::store::Write::Owner(
            crate::store::OwnerRef { organization: OrganizationId::single(), owner: user("dana") },
            crate::store::OwnerChange::Suspend(Suspension::Admin),
        ),
    );
    bench.store.quicker.lock().unwrap().push_back(suspension);
    let kind = bench.manager.revoke(&id, &dana).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Denied(DenialReason::ActorSuspended.into()));
    assert!(bench.row(&id).await.revoked_at.is_none());
}

#[tokio::test]
async fn a_key_that_is_revoked_first_changes_nothing() {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &team("blue"), "*").await;
    let acting = bench.plant(ACTING, &team("blue"), "* keys:manage").await;
    let actor = Actor::key(&principal(&team("blue"), "* keys:manage"), Rights::none());
    let revoke =
        crate::store::Write::Revoke { organization: OrganizationId::single(), id: acting, by: "user:alice".into() };
    bench.store.quicker.lock().unwrap().push_back(plain_change("revoke", revoke));
    let kind = bench.manager.revoke(&id, &actor).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Denied(DenialReason::ActorKeyDead.into()));
    assert!(bench.row(&id).await.revoked_at.is_none());
}

/// In the attempt, in the hint, and in the preview.
#[tokio::test]
async fn what_is_said_of_a_plan_is_the_services_own() {
    let own = "Team API keys are not included. Upgrade to Business or Enterprise to create team-scoped service keys.";
    let default = "Team API keys are not included in this plan.";
    let remedy = "Upgrade the plan, or ask an admin of the organization to do it.";
    let both = format!("{default} {remedy}");
    for (upgrade_sentence, sentence, said) in [(None, default, both.as_str()), (Some(own), own, own)] {
        let bench = Bench::with_rules(Rules { upgrade_sentence, ..Rules::default() });
        let (dana, request) = (admin_of("blue", false), IssueKey::team(team_id("blue")));
        let ManageErrorKind::Denied(denial) = bench.manager.issue(request.clone(), &dana).await.unwrap_err().kind()
        else {
            panic!("not denied")
        };
        let hint = bench.manager.denial(DenialReason::PlanRequired);
        let preview = bench.manager.preview(&request, &dana).await.unwrap();
        for denial in [denial, hint, preview.denial.unwrap()] {
            assert_eq!((denial.reason(), denial.to_string().as_str()), (DenialReason::PlanRequired, said));
        }
        assert!(preview.to_string().contains(said));
        assert_eq!(serde_json::to_value(&preview).unwrap()["decision"]["denial"]["sentence"]["text"], sentence);
    }
}
