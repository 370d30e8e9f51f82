//! A dry run gives the same answer as the act, with the same rights, and changes nothing.

use crate::{
    Actor, OrganizationId, Owner, Rights,
    manage::{
        ChangeOwner, Effect, ManageErrorKind, OnDowngrade, OwnerReinstated, OwnerStopped, PlanChange, PlanChanged,
        RevokeMany, RevokedMany, Rules,
        fixture::{ACTING, Bench, person, plain_change, principal, system, team, team_id, user, user_id},
    },
    record::{ActorId, KeyRow, Suspension},
    store::{OwnerChange, Write},
};

const BOTH: [Suspension; 2] = [Suspension::Admin, Suspension::Plan];

/// The possible states of an owner before the act, each as the changes that lead to it.
fn states() -> Vec<Vec<OwnerChange>> {
    let [admin, plan] = BOTH.map(OwnerChange::Suspend);
    vec![vec![], vec![admin], vec![plan], vec![admin, plan], vec![OwnerChange::Close], vec![admin, OwnerChange::Close]]
}

/// An owner in this state with three live keys and two dead ones, in an organization that may be suspended.
async fn bench_in(rules: Rules, owner: &Owner, state: &[OwnerChange], is_stopped: bool) -> Bench {
    let bench = Bench::with_rules(rules);
    for (letter, revoked_at, expires_at) in [
        ("A", None, None),
        ("B", None, Some(i64::MAX / 100_000)),
        ("C", None, None),
        ("D", Some(0), None),
        ("E", None, Some(0)),
    ] {
        let (id, kind) = (letter.repeat(20), owner.kind().as_str().into());
        let row = KeyRow { id, kind, owner: owner.id().into(), revoked_at, expires_at, ..KeyRow::example() };
        bench.plant_row(row).await;
    }
    for change in state {
        bench.change_owner(owner, *change).await;
    }
    if is_stopped {
        let suspend = OwnerChange::Suspend(Suspension::Admin);
        let write = Write::Organization(OrganizationId::single(), suspend);
        crate::store::KeyStore::apply(&bench.store.inner, &plain_change("organization", write)).await.unwrap();
    }
    bench
}

/// The whole answer of each act on an owner, as text.
async fn act(bench: &Bench, act: usize, owner: ChangeOwner, actor: &Actor) -> Result<String, ManageErrorKind> {
    let manager = &bench.manager;
    let stopped = |stopped: OwnerStopped| format!("{:?}", OwnerStopped { dry_run: false, ..stopped });
    let reinstated = |back: OwnerReinstated| format!("{:?}", OwnerReinstated { dry_run: false, ..back });
    match act {
        0 | 1 => manager.suspend(owner, BOTH[act], actor).await.map(stopped),
        2 | 3 => manager.reinstate(owner, BOTH[act - 2], actor).await.map(reinstated),
        _ => manager.close(owner, actor).await.map(stopped),
    }
    .map_err(|error| error.kind())
}

#[tokio::test]
async fn dry_run_on_an_owner_says_what_the_act_says() {
    let org = Actor::user(user_id("olga"), Rights::none().org_admin());
    for (owner, stranger) in [(user("alice"), user("alcie")), (team("blue"), team("bleu"))] {
        for (state, is_stopped) in states().into_iter().flat_map(|state| [(state.clone(), false), (state, true)]) {
            for number in 0..5 {
                for asked in [&owner, &stranger] {
                    let bench = bench_in(Rules::default(), &owner, &state, is_stopped).await;
                    // In a suspended organization only the system can act.
                    let actor = if is_stopped { system() } else { org.clone() };
                    let (before, applies) = (bench.all().await, bench.store.applies());
                    let looked = act(&bench, number, ChangeOwner::of(asked.clone()).dry_run(), &actor).await;
                    assert_eq!((bench.all().await, bench.store.applies()), (before.clone(), applies));
                    let done = act(&bench, number, asked.into(), &actor).await;
                    assert_eq!(looked, done, "{asked} {state:?} {is_stopped} {number}");
                    let changed = bench.all().await != before;
                    let said = done.as_ref().is_ok_and(|told| told.contains("effect: Changed"));
                    assert_eq!(changed, said, "{asked} {state:?} {number}: {done:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn dry_run_counts_the_keys_and_says_that_it_is_one() {
    let bench = bench_in(Rules::default(), &team("blue"), &[], false).await;
    let look = || ChangeOwner::of(team_id("blue")).dry_run();
    let would = bench.manager.suspend(look(), Suspension::Admin, &system()).await.unwrap();
    assert_eq!(
        (would.effect, would.live_keys, would.is_unknown, would.dry_run),
        (Effect::Changed, Some(3), false, true)
    );
    let would = bench.manager.close(ChangeOwner::of(team_id("bleu")).dry_run(), &system()).await.unwrap();
    assert_eq!((would.live_keys, would.is_unknown), (Some(0), true));

    bench.manager.suspend(&team("blue"), Suspension::Admin, &system()).await.unwrap();
    for (dry_run, live_keys) in [(true, Some(3)), (false, Some(3)), (false, Some(0))] {
        let request = if dry_run { look() } else { team("blue").into() };
        let back = bench.manager.reinstate(request, Suspension::Admin, &system()).await.unwrap();
        assert_eq!((back.live_keys, back.dry_run), (live_keys, dry_run));
    }
    for suspension in BOTH {
        bench.manager.suspend(&team("blue"), suspension, &system()).await.unwrap();
    }
    // The other suspension still stops the keys.
    let back = bench.manager.reinstate(&team("blue"), Suspension::Plan, &system()).await.unwrap();
    assert_eq!((back.effect, back.live_keys), (Effect::Changed, Some(0)));
    bench.store.fail_lists();
    let back = bench.manager.reinstate(look(), Suspension::Admin, &system()).await.unwrap();
    assert_eq!((back.effect, back.live_keys), (Effect::Changed, None));
}

#[tokio::test]
async fn dry_run_needs_the_rights_of_the_act_and_its_denials_are_noted() {
    for number in 0..5 {
        let key = |scopes| Actor::key(&principal(&team("blue"), scopes), Rights::none());
        for actor in [person("alice"), person("bob"), key("keys:manage"), key("*")] {
            let bench = bench_in(Rules::default(), &user("alice"), &[], false).await;
            bench.plant(ACTING, &team("blue"), &actor.scopes().map(ToString::to_string).unwrap_or_default()).await;
            let looked = act(&bench, number, ChangeOwner::of(user_id("alice")).dry_run(), &actor).await;
            let noted = denials(&bench).await;
            let done = act(&bench, number, user("alice").into(), &actor).await;
            assert!(done.is_err() && looked == done, "{actor:?} {number}: {looked:?} {done:?}");
            bench.manager.flush_denials().await.unwrap();
            assert_eq!(noted, 1, "{actor:?} {number}");
        }
    }
}

async fn denials(bench: &Bench) -> usize {
    bench.manager.flush_denials().await.unwrap();
    bench.events().await.len()
}

#[tokio::test]
async fn dry_run_of_a_plan_says_what_the_plan_does() {
    let changes = [PlanChange::team_keys_included(), PlanChange::team_keys_not_included()];
    for on_downgrade in [OnDowngrade::Keep, OnDowngrade::Suspend] {
        for (state, is_stopped) in states().into_iter().flat_map(|state| [(state.clone(), false), (state, true)]) {
            for change in
                changes.clone().into_iter().flat_map(|change| [change.clone().for_team(team_id("blue")), change])
            {
                let rules = Rules { on_downgrade, ..Rules::default() };
                let bench = bench_in(rules, &team("blue"), &state, is_stopped).await;
                let ask = async |change| {
                    let told = bench.manager.plan_changed(change, &system()).await;
                    told.map(|told| PlanChanged { dry_run: false, ..told }).map_err(|error| error.kind())
                };
                let before = bench.all().await;
                let looked = ask(change.clone().dry_run()).await;
                assert_eq!(bench.all().await, before);
                assert_eq!(looked, ask(change.clone()).await, "{state:?} {is_stopped} {change:?}");
                let changed = looked.is_ok_and(|told| told.teams > 0);
                assert_eq!(bench.all().await != before, changed, "{state:?} {change:?}");
            }
        }
    }
}

#[tokio::test]
async fn dry_run_of_many_revocations_says_what_they_do() {
    let key_of_blue = || Actor::key(&principal(&team("blue"), "keys:revoke"), Rights::none());
    let all = ["A", "B", "C", "D", "E", "Z"].map(|letter| crate::key::KeyId::new(&letter.repeat(20)).unwrap());
    let maker = ActorId::User(user_id("alice"));
    for actor in [system(), person("alice"), person("bob"), key_of_blue()] {
        for request in [
            RevokeMany::of(team_id("blue")),
            RevokeMany::keys(all),
            RevokeMany::key_and_made(all[0]),
            RevokeMany::created_by(maker.clone()),
            RevokeMany::created_by(maker.clone()).and_of(user_id("alice")),
        ] {
            let bench = bench_in(Rules::default(), &team("blue"), &[], false).await;
            bench.plant(ACTING, &team("blue"), "keys:revoke").await;
            let ask = async |request| {
                let told = bench.manager.revoke_many(request, &actor).await;
                let told = told.map(|told| RevokedMany { dry_run: false, passes: 0, ..told });
                told.map_err(|error| error.kind())
            };
            let before = bench.all().await;
            let looked = ask(request.clone().dry_run()).await;
            assert_eq!(bench.all().await, before);
            assert_eq!(looked, ask(request.clone()).await, "{actor:?} {request:?}");
        }
    }
}
