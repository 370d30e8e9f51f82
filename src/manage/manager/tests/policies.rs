use crate::{
    Actor, IssueKey, ManagingScope, OrganizationId,
    manage::{
        Decision, DenialReason, KeyAction, ListKeys, ManageErrorKind, Policy, Rights, Target,
        fixture::{ACTING, Bench, key_of, scopes, system, user, user_id},
    },
};

/// A policy that denies everything else, and hides nothing.
#[derive(Debug)]
struct Only(&'static [KeyAction]);

impl Policy for Only {
    fn decide(&self, _: &Actor, action: KeyAction, _: &Target<'_>) -> Decision {
        if self.0.contains(&action) { Decision::Allow } else { Decision::Deny(DenialReason::Custom("Not here.")) }
    }
}

/// Allows every actor everything, except to see keys that carol created.
#[derive(Debug)]
struct AllButCarols;

impl Policy for AllButCarols {
    fn decide(&self, _: &Actor, _: KeyAction, target: &Target<'_>) -> Decision {
        match target {
            Target::Key { created_by, .. } if created_by.to_string() == "user:carol" => Decision::Hide,
            _ => Decision::Allow,
        }
    }
}

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn key_that_may_not_be_seen_is_not_found_whatever_else_is_said_of_it() {
    for allowed in [&[][..], &[KeyAction::Rename]] {
        let bench = Bench::with_policy(Only(allowed));
        let id = bench.plant(TARGET, &user("alice"), "*").await;
        let kind = bench.manager.rename(&id, "Monday cron", &system()).await.unwrap_err().kind();
        assert_eq!(kind, ManageErrorKind::NotFound);
    }
}

#[tokio::test]
async fn reason_of_an_own_policy_reaches_the_person() {
    let bench = Bench::with_policy(Only(&[KeyAction::See]));
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    let error = bench.manager.revoke(&id, &system()).await.unwrap_err();
    assert_eq!(error.to_string(), "denied: Not here.");
}

#[tokio::test]
async fn list_leaves_out_what_find_would_not_find() {
    let bench = Bench::with_policy(AllButCarols);
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    let carols = crate::record::KeyRow {
        id: "B".repeat(20),
        created_by: "user:carol".into(),
        ..crate::record::KeyRow::example()
    };
    bench.plant_row(carols).await;
    let page = bench.manager.list(ListKeys::all(), &system()).await.unwrap();
    assert_eq!(page.keys.iter().map(|key| key.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn no_policy_opens_another_organization() {
    let bench = Bench::with_policy(AllButCarols);
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    let globex = OrganizationId::new("globex").unwrap();
    let stranger = Actor::user(user_id("alice"), Rights::none().org_admin()).with_organization(globex.clone());
    let abroad = bench.manager.for_organization(globex);
    assert_eq!(bench.manager.find(&id, &stranger).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    assert_eq!(abroad.revoke(&id, &stranger).await.unwrap_err().kind(), ManageErrorKind::NotFound);
}

#[tokio::test]
async fn no_policy_lets_a_key_manage_without_the_scope_or_grant_what_it_lacks() {
    let bench = Bench::with_policy(AllButCarols);
    let (all, reads) = (bench.plant(ACTING, &user("alice"), "*").await, "A".repeat(20));
    bench.plant(&reads, &user("alice"), "keys:issue read").await;
    let issue = |id: &str| {
        // The stored scopes count, not those of the principal.
        let principal = key_of(id, &user("alice"), "* keys:manage");
        let (manager, actor) = (bench.manager.clone(), Actor::key(&principal, Rights::none()));
        async move {
            let request = IssueKey::user(user_id("alice")).scopes(scopes("read write"));
            manager.issue(request, &actor).await.unwrap_err().kind()
        }
    };
    assert_eq!(
        issue(all.as_str()).await,
        ManageErrorKind::Denied(DenialReason::InsufficientScope(ManagingScope::Issue).into())
    );
    assert_eq!(issue(&reads).await, ManageErrorKind::Denied(DenialReason::ScopesTooWide.into()));
}
