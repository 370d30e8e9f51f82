use crate::{
    Actor, Owner,
    manage::{
        DenialReason, InvalidInput, KeyPage, ListKeys, ManageErrorKind, Rights, TeamRole,
        fixture::{ACTING, Bench, key_of, person, principal, system, team, team_id, time, user, user_id},
    },
    record::KeyRow,
    store::Liveness,
};

/// Keys of alice (A), bob (B), team blue (C), team red (D), and alice again (E), made in this order at one moment.
async fn five_keys() -> Bench {
    let bench = Bench::new();
    for (id, owner) in
        [("A", user("alice")), ("B", user("bob")), ("C", team("blue")), ("D", team("red")), ("E", user("alice"))]
    {
        bench.plant(&id.repeat(20), &owner, "* keys:read").await;
    }
    bench
}

/// The first letters of the ids, and a `*` where usage is shown.
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
    // All at one moment, so that only the id tells them apart; the first and the last id there can be among them.
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
