//! Personal keys that an admin issues for another user, and rights that are not roles.

use crate::{
    Actor, IssueKey,
    manage::{
        AuditQuery, Decision, DefaultPolicy, DenialReason, ExposureReason, KeyAction, ListKeys, ManageErrorKind,
        NoteKind, Rights, Target, TeamRole,
        fixture::{ACTING, Bench, person, principal, system, team, team_id, user, user_id},
    },
};

fn olga() -> Actor {
    Actor::user(user_id("olga"), Rights::none().org_admin())
}

fn for_alice() -> IssueKey {
    IssueKey::user(user_id("alice")).named("Laptop")
}

fn reason(kind: ManageErrorKind) -> DenialReason {
    match kind {
        ManageErrorKind::Denied(denial) => denial.reason(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_admin_makes_a_personal_key_for_somebody_only_where_the_policy_says_so() {
    let denied = Bench::new().manager.issue(for_alice(), &olga()).await.unwrap_err();
    assert_eq!(reason(denied.kind()), DenialReason::NotYourKey);

    let bench = Bench::with_policy(DefaultPolicy.with_personal_keys_by_admins());
    let manager = &bench.manager;
    let preview = manager.preview(&for_alice(), &olga()).await.unwrap();
    assert!(preview.can_be_issued() && preview.has(NoteKind::MadeForSomebodyElse), "{preview}");
    let issued = manager.issue(for_alice(), &olga()).await.unwrap();
    let id = issued.info().id;
    assert_eq!((issued.info().owner.clone(), issued.info().made_by_another()), (user("alice"), Some(&user_id("olga"))));

    // She sees the creator in every answer.
    let alice = person("alice");
    let listed = manager.list(ListKeys::of(user_id("alice")), &alice).await.unwrap().keys;
    assert_eq!(listed[0].made_by_another(), Some(&user_id("olga")));
    let notes = manager.explain(&id, &alice).await.unwrap().notes;
    assert!(
        notes.iter().any(|note| note.to_string().starts_with("olga created it for alice and has seen the full key.")),
        "{notes:?}"
    );
    let trail = manager.events(AuditQuery::all(), &alice).await.unwrap().entries;
    assert_eq!(trail[0].event.actor, olga().id());

    // It is her key: it stops with her. The admin has seen its text.
    let root = system();
    assert_eq!(manager.blast_radius(&user_id("alice"), &alice).await.unwrap().stops[0].key.id, id);
    let goes_on = manager.blast_radius(&user_id("olga"), &root).await.unwrap().goes_on;
    assert_eq!(goes_on.iter().map(|key| key.id).collect::<Vec<_>>(), [id]);
    let seen = manager.exposure(&user_id("olga"), &root).await.unwrap().keys;
    assert_eq!(seen.iter().map(|seen| (seen.key.id, seen.reason)).collect::<Vec<_>>(), [(id, ExposureReason::Issued)]);
    // Only she can make other changes to it.
    let renamed = manager.rename(&id, "Desktop", &olga()).await.unwrap_err();
    assert_eq!(reason(renamed.kind()), DenialReason::NotYourKey);
    manager.close(&user("alice"), &root).await.unwrap();
    assert!(!manager.find(&id, &root).await.unwrap().is_usable(bench.now()));
    let closed = manager.issue(for_alice(), &olga()).await.unwrap_err();
    assert_eq!(closed.kind(), ManageErrorKind::OwnerClosed);
}

#[tokio::test]
async fn nobody_but_an_admin_makes_one_and_never_one_that_manages_keys() {
    let bench = Bench::with_policy(DefaultPolicy.with_personal_keys_by_admins());
    bench.plant(ACTING, &user("olga"), "* keys:issue").await;
    let of_olga = Actor::key(&principal(&user("olga"), "* keys:issue"), Rights::none().org_admin());
    let manages = for_alice().scopes("* keys:read".parse().unwrap());
    let preview = bench.manager.preview(&manages, &olga()).await.unwrap();
    assert!(!preview.can_be_issued() && !preview.has(NoteKind::MadeForSomebodyElse));
    for (request, actor) in [(manages, olga()), (for_alice(), of_olga)] {
        let error = bench.manager.issue(request, &actor).await.unwrap_err();
        assert_eq!(reason(error.kind()), DenialReason::NotYourKey);
    }
    let team_admin = Actor::user(user_id("adam"), Rights::none().team(team_id("blue"), TeamRole::Owner));
    for actor in [team_admin, person("bob")] {
        assert_eq!(bench.manager.issue(for_alice(), &actor).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    }
    let auditor = Actor::user(user_id("ada"), Rights::none().auditor());
    let error = bench.manager.issue(for_alice(), &auditor).await.unwrap_err();
    assert_eq!(reason(error.kind()), DenialReason::InsufficientRole);
    // A key that its owner or the service issued was not made by another person.
    let own = bench.manager.issue(IssueKey::user(user_id("olga")), &olga()).await.unwrap();
    assert_eq!(own.info().made_by_another(), None);
    let by_the_service = bench.manager.issue(for_alice(), &system()).await.unwrap();
    assert_eq!(by_the_service.info().made_by_another(), None);
}

#[tokio::test]
async fn who_may_manage_the_keys_of_a_team_is_asked_about_it_everywhere() {
    let bench = Bench::new();
    let max = |rights: Rights| Actor::user(user_id("max"), rights);
    let rights = Rights::none().may_manage_keys(team_id("blue"));
    let included = max(rights.clone().team_keys_included_for(team_id("blue")));
    assert_eq!(bench.manager.teams_to_issue_for(&included).await.unwrap(), [team_id("blue")]);
    let issued = bench.manager.issue(IssueKey::team(team_id("blue")), &included).await.unwrap();
    let listed = bench.manager.list(ListKeys::all(), &max(rights.clone())).await.unwrap().keys;
    assert_eq!(listed.iter().map(|key| key.id).collect::<Vec<_>>(), [issued.info().id]);
    let closes = bench.manager.can(&included, KeyAction::Close, &Target::Owner(&team("blue"))).await.unwrap();
    assert_eq!(closes, Decision::Deny(DenialReason::InsufficientRole));
    // A lower role takes nothing away from the right, and the right applies only to this team.
    let member = max(rights.team(team_id("blue"), TeamRole::Member));
    assert!(member.manages_keys_of(&team_id("blue")) && !member.manages_keys_of(&team_id("red")));
    bench.manager.revoke(&issued.info().id, &member).await.unwrap();
    let red = bench.manager.can(&member, KeyAction::See, &Target::Owner(&team("red"))).await.unwrap();
    assert_eq!(red, Decision::Hide);
}

#[tokio::test]
async fn a_key_of_an_auditor_audits_only_with_the_scope_for_it() {
    let bench = Bench::new();
    bench.plant(ACTING, &user("ada"), "* keys:read").await;
    let rights = Rights::none().auditor();
    let with = |text| Actor::key(&principal(&user("ada"), text), rights.clone());
    let page = bench.manager.list(ListKeys::all(), &with("* keys:read")).await.unwrap();
    assert_eq!(page.keys.len(), 1);
    let error = bench.manager.list(ListKeys::all(), &with("*")).await.unwrap_err();
    assert!(matches!(reason(error.kind()), DenialReason::InsufficientScope(_)));
    // A service may leave this right out for keys.
    let narrowed = Actor::key(&principal(&user("ada"), "* keys:read"), Rights::none());
    let error = bench.manager.list(ListKeys::of(team_id("blue")), &narrowed).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::NotFound);
}
