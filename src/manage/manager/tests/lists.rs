use crate::{
    Actor, KeyKind, Owner,
    manage::{
        Decision, DefaultPolicy, DenialReason, InvalidInput, KeyAction, KeyPage, ListKeys, ManageErrorKind, Policy,
        Rights, Target, TeamRole,
        fixture::{ACTING, Bench, key_of, person, principal, system, team, team_id, time, user, user_id},
    },
    record::{KeyRow, NamePart},
    store::Liveness,
};

/// Keys of alice (A), bob (B), team blue (C), team red (D), and alice again (E), created in this order at the same
/// time.
async fn five_keys() -> Bench {
    let bench = Bench::new();
    for (id, owner) in
        [("A", user("alice")), ("B", user("bob")), ("C", team("blue")), ("D", team("red")), ("E", user("alice"))]
    {
        bench.plant(&id.repeat(20), &owner, "* keys:read").await;
    }
    bench
}

/// The first letters of the ids, with a `*` if usage is shown.
fn shown(page: &KeyPage) -> String {
    let letter = |key: &crate::manage::KeyInfo| {
        format!("{}{}", &key.id.as_str()[..1], if key.usage.is_some() { "*" } else { "" })
    };
    page.keys.iter().map(letter).collect()
}

async fn list(bench: &Bench, query: ListKeys, actor: &Actor) -> Result<String, ManageErrorKind> {
    bench.manager.list(query, actor).await.map(|page| shown(&page)).map_err(|error| error.kind())
}

fn member_of_blue() -> Actor {
    Actor::user(user_id("alice"), Rights::none().team(team_id("blue"), TeamRole::Member))
}

fn admin_of_red() -> Actor {
    Actor::user(user_id("bob"), Rights::none().team(team_id("red"), TeamRole::Admin))
}

#[tokio::test]
async fn list_of_all_shows_what_the_actor_may_see() {
    let bench = five_keys().await;
    let org_admin = Actor::user(user_id("olga"), Rights::none().org_admin());
    let blue = key_of(&"C".repeat(20), &team("blue"), "keys:read");
    let blue = Actor::key(&blue, Rights::none().org_admin());
    for (actor, expected) in [
        (person("alice"), "A*E*"),
        (person("nobody"), ""),
        (member_of_blue(), "A*CE*"),
        (admin_of_red(), "B*D*"),
        (org_admin, "A*B*C*D*E*"),
        (system(), "A*B*C*D*E*"),
        (blue, "C*"),
    ] {
        assert_eq!(list(&bench, ListKeys::all(), &actor).await.as_deref(), Ok(expected), "{actor:?}");
    }
}

#[tokio::test]
async fn keys_of_an_owner_whose_keys_are_hidden_are_not_found() {
    let bench = five_keys().await;
    for (owner, expected) in [
        (user("alice"), Ok("A*E*".to_owned())),
        (team("blue"), Ok("C".to_owned())),
        (team("red"), Err(ManageErrorKind::NotFound)),
        (user("bob"), Err(ManageErrorKind::NotFound)),
        (team("nowhere"), Err(ManageErrorKind::NotFound)),
    ] {
        assert_eq!(list(&bench, ListKeys::of(owner), &member_of_blue()).await, expected);
    }
}

#[tokio::test]
async fn pages_of_several_owners_follow_each_other_without_gap_or_repeat() {
    let bench = five_keys().await;
    for size in 1..=4 {
        for (actor, expected) in [(member_of_blue(), "A*CE*"), (system(), "A*B*C*D*E*")] {
            let (mut all, mut query) = (String::new(), ListKeys::all().limit(size));
            loop {
                let page = bench.manager.list(query.clone(), &actor).await.unwrap();
                assert!(page.keys.len() <= usize::from(size));
                all += &shown(&page);
                let Some(next) = page.next else { break };
                query = query.after(next);
            }
            assert_eq!(all, expected, "{size}");
        }
    }
}

#[tokio::test]
async fn list_by_last_use_leaves_out_keys_whose_usage_is_hidden() {
    let bench = five_keys().await;
    let unused = || ListKeys::all().unused_since(time("2026-01-01T00:00:00Z"));
    assert_eq!(list(&bench, unused(), &member_of_blue()).await.as_deref(), Ok("A*E*"));
    let denied = ManageErrorKind::Denied(DenialReason::InsufficientRole.into());
    let of_blue = ListKeys::of(team_id("blue")).unused_since(time("2026-01-01T00:00:00Z"));
    assert_eq!(list(&bench, of_blue, &member_of_blue()).await, Err(denied));
}

#[tokio::test]
async fn conditions_reach_the_store() {
    let bench = five_keys().await;
    let made = KeyRow {
        id: "F".repeat(20),
        created_by: "user:carol".into(),
        created_via_key: Some("A".repeat(20)),
        revoked_at: Some(1),
        name: "Zeitung".into(),
        ..KeyRow::example()
    };
    bench.plant_row(made).await;
    let carol = crate::record::ActorId::User(user_id("carol"));
    let creator = crate::key::KeyId::new(&"A".repeat(20)).unwrap();
    for (query, expected) in [
        (ListKeys::all().created_by(carol), "F*"),
        (ListKeys::all().created_via_key(creator), "F*"),
        (ListKeys::all().liveness(Liveness::Dead), "F*"),
        (ListKeys::all().liveness(Liveness::Live), "A*B*C*D*E*"),
        (ListKeys::all().kind(KeyKind::Team), "C*D*F*"),
        (ListKeys::all().kind(KeyKind::User).newest_first(), "E*B*A*"),
        (ListKeys::of_any([user("bob"), team("red"), user("bob")]), "B*D*"),
        (ListKeys::of_any([user("bob"), team("red")]).kind(KeyKind::User), "B*"),
        (ListKeys::of(user("bob")).kind(KeyKind::Team), ""),
        (ListKeys::of_any::<Owner>([]).kind(KeyKind::Team), ""),
        (ListKeys::all().named_like(NamePart::new("zeitung").unwrap()), "F*"),
    ] {
        assert_eq!(list(&bench, query, &system()).await.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn page_has_1_to_1000_keys() {
    let bench = five_keys().await;
    for limit in [0, 1_001] {
        let kind = list(&bench, ListKeys::all().limit(limit), &system()).await;
        assert_eq!(kind, Err(ManageErrorKind::Invalid(InvalidInput::PageSize)));
    }
    assert!(list(&bench, ListKeys::all().limit(1_000), &system()).await.is_ok());
}

#[tokio::test]
async fn record_that_cannot_be_read_does_not_spoil_the_list() {
    let bench = five_keys().await;
    bench.plant_row(KeyRow { id: "F".repeat(20), hash: "broken".into(), ..KeyRow::example() }).await;
    bench.plant_row(KeyRow { id: "G".repeat(20), owner: "blue".into(), ..KeyRow::example() }).await;
    let page = bench.manager.list(ListKeys::all(), &system()).await.unwrap();
    assert_eq!(shown(&page), "A*B*C*D*E*G*");
    assert_eq!(page.unreadable.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["F".repeat(20)]);
}

#[tokio::test]
async fn usage_of_a_key_is_its_own() {
    let bench = Bench::new();
    // All at the same time, so that only the id decides. The first and the last possible id are among them.
    let ids = ["--------------------", "-------------------0", "a-------------------", "zzzzzzzzzzzzzzzzzzzz"];
    for id in ids {
        bench.plant(id, &user("alice"), "*").await;
    }
    for used in ids {
        let bench = Bench::new();
        for id in ids {
            bench.plant(id, &user("alice"), "*").await;
        }
        bench.use_once(&crate::key::KeyId::new(used).unwrap()).await;
        for id in ids {
            let info = bench.manager.find(&crate::key::KeyId::new(id).unwrap(), &person("alice")).await.unwrap();
            assert_eq!(info.usage.unwrap().successes, i64::from(id == used), "{used} {id}");
        }
    }
}

#[tokio::test]
async fn acting_key_sees_itself() {
    let bench = Bench::new();
    let id = bench.plant(ACTING, &Owner::Team(team_id("blue")), "keys:manage").await;
    let actor = Actor::key(&principal(&team("blue"), "keys:manage"), Rights::none());
    assert_eq!(bench.manager.find(&id, &actor).await.unwrap().id, id);
}

#[tokio::test]
async fn several_owners_are_shown_only_if_all_of_them_may_be_seen() {
    let bench = five_keys().await;
    for (owners, expected) in [
        (vec![user("alice"), team("blue")], Ok("A*CE*".to_owned())),
        (vec![team("blue"), user("alice"), team("blue")], Ok("A*CE*".to_owned())),
        (vec![user("alice"), team("red")], Err(ManageErrorKind::NotFound)),
        (vec![team("nowhere"), user("alice")], Err(ManageErrorKind::NotFound)),
        (vec![], Ok(String::new())),
    ] {
        assert_eq!(list(&bench, ListKeys::of_any(owners), &member_of_blue()).await, expected);
    }
    // The missing right to blue's usage is not reported before the error that red is hidden from her.
    let unused = |owners: Vec<Owner>| ListKeys::of_any(owners).unused_since(time("2026-01-01T00:00:00Z"));
    let hidden = list(&bench, unused(vec![team("blue"), team("red")]), &member_of_blue()).await;
    assert_eq!(hidden, Err(ManageErrorKind::NotFound));
    let denied = ManageErrorKind::Denied(DenialReason::InsufficientRole.into());
    let told = list(&bench, unused(vec![user("alice"), team("blue")]), &member_of_blue()).await;
    assert_eq!(told, Err(denied));
}

#[tokio::test]
async fn who_sees_a_key_finds_it_by_its_name() {
    let bench = Bench::new();
    let named = |id: &str, kind: &str, owner: &str| KeyRow {
        id: id.repeat(20),
        kind: kind.into(),
        owner: owner.into(),
        name: "GitHub Actions".into(),
        ..KeyRow::example()
    };
    for row in [named("A", "user", "alice"), named("B", "team", "blue"), named("C", "team", "red")] {
        bench.plant_row(row).await;
    }
    let search = || ListKeys::all().named_like(NamePart::new("hub a").unwrap());
    assert_eq!(list(&bench, search(), &member_of_blue()).await.as_deref(), Ok("A*B"));
    assert_eq!(list(&bench, search().newest_first(), &admin_of_red()).await.as_deref(), Ok("C*"));
    assert_eq!(list(&bench, search(), &system()).await.as_deref(), Ok("A*B*C*"));
    let pasted = crate::key::KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    assert!(NamePart::new(pasted.expose_secret()).is_err());
    let shown = format!("{:?}", ListKeys::all().named_like(NamePart::new("ci").unwrap()));
    assert!(shown.contains("NamePart(\"ci\")"), "{shown}");
}

/// An admin of this number of teams, each with one key, created in turn.
async fn of_teams(teams: usize) -> (Bench, Actor, String) {
    let bench = Bench::new();
    let (mut rights, mut order) = (Rights::none(), Vec::new());
    for number in 0..teams {
        // The order of ids is not the order of teams.
        let id = format!("{:020}", number * 7_919 % 100_003);
        let row = KeyRow { owner: format!("team-{number}"), kind: "team".into(), id: id.clone(), ..KeyRow::example() };
        bench.plant_row(row).await;
        rights = rights.team(team_id(&format!("team-{number}")), TeamRole::Admin);
        order.push(id);
    }
    order.sort_unstable();
    (bench, Actor::user(user_id("alice"), rights), order.concat())
}

#[tokio::test]
async fn a_page_of_twenty_teams_is_one_read_and_an_inventory_two() {
    let (bench, actor, order) = of_teams(20).await;
    let before = bench.store.reads();
    let page = bench.manager.list(ListKeys::all(), &actor).await.unwrap();
    assert_eq!(page.keys.iter().map(|key| key.id.as_str()).collect::<String>(), order);
    assert_eq!(bench.store.reads() - before, 1);
    let query = crate::manage::InventoryQuery::all();
    assert_eq!(bench.manager.inventory(query.clone(), &actor).await.unwrap().entries.len(), 20);
    assert_eq!(bench.store.reads() - before, 3);
    assert_eq!(bench.manager.inventory_summary(query, &actor).await.unwrap().owners.len(), 20);
    assert_eq!(bench.store.reads() - before, 5);
    bench.manager.find(&page.keys[7].id, &actor).await.unwrap();
    assert_eq!(bench.store.reads() - before, 6);
}

#[tokio::test]
async fn keys_of_more_owners_than_a_store_is_told_of_at_once_come_in_order() {
    let (bench, actor, order) = of_teams(1_101).await;
    for newest_first in [false, true] {
        let query = ListKeys::all().limit(300);
        let mut query = if newest_first { query.newest_first() } else { query };
        let mut seen = Vec::new();
        loop {
            let page = bench.manager.list(query.clone(), &actor).await.unwrap();
            seen.extend(page.keys.iter().map(|key| key.id.as_str().to_owned()));
            let Some(next) = page.next else { break };
            assert_eq!(page.keys.len(), 300);
            query = query.after(next);
        }
        if newest_first {
            seen.reverse();
        }
        assert!(seen.concat() == order, "{newest_first}");
    }
}

#[tokio::test]
async fn a_key_is_told_with_the_keys_before_and_after_it() {
    let bench = Bench::new();
    let old = bench.plant("AAAAAAAAAAAAAAAAAAAA", &user("alice"), "read").await;
    let request = crate::manage::RotateKey::of(old).into_team(team_id("blue"));
    let new = bench.manager.begin_rotation(request, &system()).await.unwrap().info().id;
    let admin = || Actor::user(user_id("alice"), Rights::none().team(team_id("blue"), TeamRole::Member));
    let told = async |id, actor: Actor| {
        let found = bench.manager.find(&id, &actor).await.unwrap();
        let page = bench.manager.list(ListKeys::all(), &actor).await.unwrap();
        let listed = page.keys.into_iter().find(|key| key.id == id).unwrap();
        assert_eq!((listed.successor, listed.predecessor_is_live), (found.successor, found.predecessor_is_live));
        (found.successor, found.predecessor_is_live)
    };
    assert_eq!(told(old, system()).await, (Some(new), Some(false)));
    assert_eq!(told(old, admin()).await, (Some(new), Some(false)));
    assert_eq!(told(old, person("alice")).await, (None, Some(false)), "it is a team's that she is not in");
    assert_eq!(told(new, admin()).await, (None, Some(true)));
    bench.manager.finish_rotation_anyway(&new, &system()).await.unwrap();
    assert_eq!(told(new, admin()).await, (None, Some(false)));
    assert_eq!(told(old, system()).await, (Some(new), Some(false)));
}

/// A successor is visible exactly if the key itself is.
#[tokio::test]
async fn a_policy_that_hides_single_keys_hides_them_as_successors() {
    #[derive(Debug)]
    struct HidesBobs;
    impl Policy for HidesBobs {
        fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
            match target {
                Target::Key { created_by, .. } if created_by.to_string() == "user:bob" => Decision::Hide,
                _ => DefaultPolicy.decide(actor, action, target),
            }
        }
    }
    let bench = Bench::with_policy(HidesBobs);
    let old = bench.plant("AAAAAAAAAAAAAAAAAAAA", &team("blue"), "read").await;
    let heir = |id: &str, by: &str, of: &str| KeyRow {
        id: id.repeat(20),
        replaces: Some(of.repeat(20)),
        created_by: by.into(),
        ..KeyRow::example()
    };
    let successor = async |id| bench.manager.find(&id, &system()).await.unwrap().successor;
    bench.plant_row(heir("B", "user:bob", "A")).await;
    assert_eq!(successor(old).await, None);
    let other = bench.plant("CCCCCCCCCCCCCCCCCCCC", &team("blue"), "read").await;
    let seen = bench.plant_row(heir("D", "user:carol", "C")).await;
    assert_eq!(successor(other).await, Some(seen));
    // The creator cannot be read. So the right to see the owner's keys decides.
    let third = bench.plant("EEEEEEEEEEEEEEEEEEEE", &team("blue"), "read").await;
    let broken = bench.plant_row(heir("F", "nobody", "E")).await;
    assert_eq!(successor(third).await, Some(broken));
}
