use super::{bench, call, id, letters, row};
use crate::{
    Actor, ManagingScope, OrganizationId,
    manage::{
        DenialReason, ExportError, ExportFormat, InventoryQuery, ManageErrorKind, Rights, TeamRole,
        fixture::{ACTING, Bench, person, principal, system, team, team_id, user, user_id},
    },
    record::KeyRow,
};

/// Keys of alice (A), bob (B), team blue (C), team red (D), and one of another organization (E).
async fn keys() -> Bench {
    let bench = bench();
    let of = |letter, kind: &str, owner: &str| KeyRow { kind: kind.into(), owner: owner.into(), ..row(letter) };
    for row in [
        of('A', "user", "alice"),
        of('B', "user", "bob"),
        of('C', "team", "blue"),
        of('D', "team", "red"),
        KeyRow { organization: "elsewhere".into(), ..of('E', "team", "blue") },
    ] {
        let id = bench.plant_row(row).await;
        call(&bench, &id, "success", "api/acme", 1).await;
    }
    bench
}

fn in_blue(user: &str, role: TeamRole) -> Actor {
    Actor::user(user_id(user), Rights::none().team(team_id("blue"), role))
}

/// The answer of all three ways to read the inventory, which must be the same.
async fn shown(bench: &Bench, query: InventoryQuery, actor: &Actor) -> Result<String, ManageErrorKind> {
    let page = bench.manager.inventory(query.clone(), actor).await.map(|page| letters(&page.entries));
    let page = page.map_err(|error| error.kind());
    let sums = bench.manager.inventory_summary(query.clone(), actor).await;
    let counted = sums.map(|sums| sums.owners.iter().map(|owner| owner.live).sum::<u64>() as usize);
    assert_eq!(counted.map_err(|error| error.kind()), page.clone().map(|letters| letters.len()));
    let mut lines = Vec::new();
    let exported = bench.manager.export_inventory(query, ExportFormat::JsonLines, &mut lines, actor).await;
    match (exported, &page) {
        (Ok(exported), Ok(letters)) => assert_eq!(exported.keys as usize, letters.len()),
        (Err(ExportError::Read(error)), Err(kind)) => assert_eq!((error.kind(), lines.len()), (*kind, 0)),
        (exported, page) => panic!("{exported:?} {page:?}"),
    }
    page
}

#[tokio::test]
async fn all_is_what_the_actor_may_see_the_usage_of() {
    let bench = keys().await;
    let org_admin = Actor::user(user_id("olga"), Rights::none().org_admin());
    for (actor, expected) in [
        (person("alice"), "A"),
        (person("nobody"), ""),
        (in_blue("alice", TeamRole::Member), "A"),
        (in_blue("alice", TeamRole::Admin), "AC"),
        (in_blue("nobody", TeamRole::Owner), "C"),
        (org_admin, "ABCD"),
        (system(), "ABCD"),
    ] {
        assert_eq!(shown(&bench, InventoryQuery::all(), &actor).await.as_deref(), Ok(expected), "{actor:?}");
    }
}

#[tokio::test]
async fn a_member_who_asks_for_the_team_is_denied_and_a_stranger_finds_nothing() {
    let bench = keys().await;
    let denied = Err(ManageErrorKind::Denied(DenialReason::InsufficientRole.into()));
    for (owner, actor, expected) in [
        (team("blue"), in_blue("alice", TeamRole::Member), denied.clone()),
        (team("blue"), in_blue("alice", TeamRole::Admin), Ok("C".to_owned())),
        (team("red"), in_blue("alice", TeamRole::Admin), Err(ManageErrorKind::NotFound)),
        (user("bob"), in_blue("alice", TeamRole::Admin), Err(ManageErrorKind::NotFound)),
        (team("nowhere"), person("alice"), Err(ManageErrorKind::NotFound)),
        (user("alice"), person("alice"), Ok("A".to_owned())),
    ] {
        assert_eq!(shown(&bench, InventoryQuery::of(owner), &actor).await, expected, "{actor:?}");
    }
}

#[tokio::test]
async fn another_organization_is_not_found() {
    let bench = keys().await;
    let admin = Actor::user(user_id("olga"), Rights::none().org_admin());
    let elsewhere = admin.with_organization(OrganizationId::new("elsewhere").unwrap());
    assert_eq!(shown(&bench, InventoryQuery::all(), &elsewhere).await, Err(ManageErrorKind::NotFound));
    let there = bench.manager.for_organization(OrganizationId::new("elsewhere").unwrap());
    let page = there.inventory(InventoryQuery::all(), &elsewhere).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.id).collect::<Vec<_>>(), [id('E')]);
}

#[tokio::test]
async fn a_key_needs_a_scope_to_read() {
    let bench = keys().await;
    bench.plant(ACTING, &team("blue"), "keys:manage").await;
    let key = |with| Actor::key(&principal(&team("blue"), with), Rights::none());
    assert_eq!(shown(&bench, InventoryQuery::all(), &key("keys:manage")).await.as_deref(), Ok("Cf"));
    let denied = ManageErrorKind::Denied(DenialReason::InsufficientScope(ManagingScope::Read).into());
    assert_eq!(shown(&bench, InventoryQuery::all(), &key("*")).await, Err(denied));
}
