//! Guards: what must hold at the moment of commit.

use tower_api_keys::{
    KeyKind, Timestamp,
    record::Suspension,
    store::{Change, Conflict, Guard, KeyStore, Ledger, OwnerChange, OwnerRef, Write},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{conflicts, same},
};

pub(crate) async fn live_means_neither_absent_nor_revoked_nor_expired<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let mortal = scene.key()?.with(|row| row.expires_at = Some(at(1_000).as_millis()));
    let (live, revoked, absent) = (scene.key()?, scene.key()?, scene.key()?);
    candidate.written(&scene.insert([&mortal, &live, &revoked])).await?;
    candidate.written(&scene.change(at(1), vec![revoked.revoke()])).await?;
    let cases = [
        ("a live key", &live, 1_000, true),
        ("a key a millisecond before its expiry", &mortal, 999, true),
        ("a key at its expiry", &mortal, 1_000, false),
        ("a key after its expiry", &mortal, 1_001, false),
        ("a revoked key", &revoked, 1_000, false),
        ("an absent key", &absent, 1_000, false),
    ];
    for (what, key, now, holds) in cases {
        let expected = (!holds).then_some(Conflict::Guard(0));
        guarded(candidate, &scene, at(now), Guard::Live(key.id), what, expected).await?;
    }
    Ok(())
}

pub(crate) async fn same_rights_means_these_scopes_and_this_end<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let end = Some(at(1_000));
    let mortal = scene.key()?.with(|row| {
        row.scopes = "a:read b".into();
        row.allowed_networks = Some("10.0.0.0/8 2001:db8::/32".into());
        row.expires_at = end.map(Timestamp::as_millis);
    });
    let (endless, absent) = (scene.key()?.with(|row| row.scopes = String::new()), scene.key()?);
    let paused = scene.key()?.with(|row| (row.scopes, row.paused_at) = (String::new(), Some(at(0).as_millis())));
    candidate.written(&scene.insert([&mortal, &endless, &paused])).await?;
    let cases = [
        ("a key as it is", &mortal, "a:read b", end, true),
        ("a key with more scopes", &mortal, "a:read", end, false),
        ("a key with fewer scopes", &mortal, "a:read b c", end, false),
        ("scopes in another case", &mortal, "A:read b", end, false),
        ("scopes in another order", &mortal, "b a:read", end, false),
        ("scopes and a space", &mortal, "a:read b ", end, false),
        ("a key that ends a millisecond earlier", &mortal, "a:read b", Some(at(1_001)), false),
        ("a key that ends a millisecond later", &mortal, "a:read b", Some(at(999)), false),
        ("a key that ends", &mortal, "a:read b", None, false),
        ("a key without end and scopes", &endless, "", None, true),
        ("a key without end", &endless, "", end, false),
        ("a paused key", &paused, "", None, false),
        ("an absent key", &absent, &absent.row.scopes, None, false),
    ];
    for (what, key, scopes, expires_at, holds) in cases {
        let allowed_networks = key.row.allowed_networks.clone();
        let guard = Guard::SameRights { key: key.id, scopes: scopes.into(), allowed_networks, expires_at };
        guarded(candidate, &scene, at(1), guard, what, (!holds).then_some(Conflict::Guard(0))).await?;
    }
    for (what, networks) in [
        ("a key with networks", None),
        ("a key with more networks", Some("10.0.0.0/8")),
        ("a key with fewer networks", Some("10.0.0.0/8 192.0.2.0/24 2001:db8::/32")),
        ("networks in another order", Some("2001:db8::/32 10.0.0.0/8")),
        ("no networks that are no null", Some("")),
    ] {
        let allowed_networks = networks.map(str::to_owned);
        let guard = Guard::SameRights { key: mortal.id, scopes: "a:read b".into(), allowed_networks, expires_at: end };
        guarded(candidate, &scene, at(1), guard, what, Some(Conflict::Guard(0))).await?;
    }
    let allowed_networks = Some("10.0.0.0/8".into());
    let guard = Guard::SameRights { key: endless.id, scopes: String::new(), allowed_networks, expires_at: None };
    guarded(candidate, &scene, at(1), guard, "a key without networks", Some(Conflict::Guard(0))).await?;
    // The writes of the change itself come after the guard.
    let guards = vec![Guard::SameRights {
        key: mortal.id,
        scopes: "a:read b".into(),
        allowed_networks: mortal.row.allowed_networks.clone(),
        expires_at: end,
    }];
    candidate.written(&Change { guards, ..scene.change(at(2), vec![mortal.revoke()]) }).await
}

pub(crate) async fn same_version_means_this_one<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (renamed, revoked, absent) = (scene.key()?, scene.key()?, scene.key()?);
    candidate.written(&scene.insert([&renamed, &revoked])).await?;
    candidate.written(&scene.change(at(1), vec![renamed.rename(1, "a"), revoked.revoke()])).await?;
    let cases = [
        ("a key as it is", &renamed, 2, true),
        ("a key that was updated since", &renamed, 1, false),
        ("a key that is yet to be updated", &renamed, 3, false),
        ("a key that was revoked since, which is no update", &revoked, 1, true),
        ("an absent key", &absent, 1, false),
        ("an absent key of no version", &absent, 0, false),
    ];
    for (what, key, version, holds) in cases {
        let guard = Guard::SameVersion { key: key.id, version };
        guarded(candidate, &scene, at(2), guard, what, (!holds).then_some(Conflict::Guard(0))).await?;
    }
    // The writes of the change itself come after the guard.
    let guards = vec![Guard::SameVersion { key: renamed.id, version: 2 }];
    let writes = vec![renamed.rename(2, "b"), renamed.revoke()];
    candidate.written(&Change { guards, ..scene.change(at(3), writes) }).await
}

pub(crate) async fn one_live_successor_is_enough<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let old = scene.key()?;
    let heir = |expires_at: Option<Timestamp>| {
        Ok(scene.key()?.with(|row| {
            row.replaces = Some(old.row.id.clone());
            row.expires_at = expires_at.map(Timestamp::as_millis);
        }))
    };
    let guard = || Guard::NoLiveSuccessor(old.id);
    candidate.written(&scene.insert([&old])).await?;
    guarded(candidate, &scene, at(1), guard(), "a key nobody replaces", None).await?;
    let mortal: Sample = heir(Some(at(1_000)))?;
    candidate.written(&scene.insert([&mortal])).await?;
    let taken = Some(Conflict::Successor);
    guarded(candidate, &scene, at(999), guard(), "a successor a millisecond before its expiry", taken).await?;
    guarded(candidate, &scene, at(1_000), guard(), "a successor at its expiry", None).await?;
    let second = heir(None)?;
    candidate.written(&scene.insert([&second])).await?;
    guarded(candidate, &scene, at(1_000), guard(), "a dead and a live successor", taken).await?;
    candidate.written(&scene.change(at(1_000), vec![second.revoke()])).await?;
    guarded(candidate, &scene, at(1_000), guard(), "only dead successors", None).await
}

pub(crate) async fn active_means_neither_suspended_nor_closed<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let owner = scene.owner_named(KeyKind::Team, "research")?;
    let namesake = scene.owner_named(KeyKind::User, "research")?;
    let guard = |owner: &OwnerRef| Guard::OwnerActive(owner.clone());
    let suspended = Some(Conflict::Guard(0));
    guarded(candidate, &scene, at(1), guard(&owner), "an owner nobody ever suspended", None).await?;
    for suspension in [Suspension::Plan, Suspension::Admin] {
        let steps = [(OwnerChange::Suspend(suspension), suspended), (OwnerChange::Reinstate(suspension), None)];
        for (step, expected) in steps {
            candidate.written(&scene.change(at(1), vec![Write::Owner(owner.clone(), step)])).await?;
            guarded(candidate, &scene, at(1), guard(&owner), &format!("an owner after {step:?}"), expected).await?;
        }
    }
    candidate.written(&scene.change(at(1), vec![Write::Owner(owner.clone(), OwnerChange::Close)])).await?;
    guarded(candidate, &scene, at(1), guard(&owner), "a closed owner", suspended).await?;
    guarded(candidate, &scene, at(1), guard(&namesake), "another owner of the same id", None).await
}

pub(crate) async fn active_means_in_an_active_organization<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let guard = || Guard::OwnerActive(scene.owner());
    let refused = Some(Conflict::Guard(0));
    for suspension in [Suspension::Plan, Suspension::Admin] {
        let steps = [(OwnerChange::Suspend(suspension), refused), (OwnerChange::Reinstate(suspension), None)];
        for (step, expected) in steps {
            candidate.written(&scene.change(at(1), vec![Write::Organization(scene.organization(), step)])).await?;
            guarded(candidate, &scene, at(1), guard(), &format!("an organization after {step:?}"), expected).await?;
        }
    }
    let close = |organization| scene.change(at(1), vec![Write::Organization(organization, OwnerChange::Close)]);
    candidate.written(&close(elsewhere.organization())).await?;
    guarded(candidate, &scene, at(1), guard(), "another organization that is closed", None).await?;
    candidate.written(&close(scene.organization())).await?;
    guarded(candidate, &scene, at(1), guard(), "a closed organization", refused).await
}

pub(crate) async fn live_keys_of_an_owner_are_counted<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let (first, second) = (scene.key()?, scene.key()?);
    let mortal = scene.key()?.with(|row| row.expires_at = Some(at(1_000).as_millis()));
    let near = scene.key()?.with(|row| row.owner.push(' '));
    let namesake = scene.owner_named(KeyKind::User, scene.owner().owner.id())?;
    candidate.written(&scene.insert([&first, &second, &mortal, &near])).await?;
    candidate.written(&scene.insert([&scene.key_of(&namesake)?, &scene.key_of(&namesake)?])).await?;
    candidate.written(&elsewhere.insert([&elsewhere.key()?, &elsewhere.key()?])).await?;
    let below = |limit| Guard::LiveKeysBelow { owner: scene.owner(), limit };
    let full = Some(Conflict::Guard(0));
    let cases = [
        ("three live keys, one a millisecond before its expiry", 999, 3, full),
        ("three live keys and room for one more", 999, 4, None),
    ];
    for (what, now, limit, expected) in cases {
        would_write(candidate, &scene, at(now), below(limit), what, expected).await?;
    }
    would_write(candidate, &scene, at(1_000), below(3), "two live keys and one at its expiry", None).await?;
    would_write(candidate, &scene, at(1_000), below(2), "two live keys", full).await?;
    candidate.written(&scene.change(at(1_000), vec![first.revoke()])).await?;
    would_write(candidate, &scene, at(1_000), below(2), "a live, a revoked and an expired key", None).await?;
    let nobody = Guard::LiveKeysBelow { owner: scene.owner_named(KeyKind::Team, "nobody's")?, limit: 0 };
    would_write(candidate, &scene, at(1_000), nobody, "no key under a limit of none", full).await
}

pub(crate) async fn keys_made_on_behalf_of_an_owner_are_counted<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let (alice, team) = (scene.owner_named(KeyKind::User, "alice")?, scene.owner_named(KeyKind::Team, "alice")?);
    let by = |sample: Sample, actor: &str, millis: u64| {
        sample.with(|row| (row.created_by, row.created_at) = (actor.to_owned(), at(millis).as_millis()))
    };
    let (early, first, late) =
        (by(scene.key()?, "user:alice", 99), by(scene.key()?, "user:alice", 100), by(scene.key()?, "user:alice", 301));
    // The second key is made with a key of hers that is dead at that time.
    let (hers, the_teams) = (scene.key_of(&alice)?, scene.key_of(&team)?);
    let with = |sample: Sample, maker: &Sample| {
        let id = maker.id.to_string();
        by(sample, &format!("key:{id}"), 300).with(|row| row.created_via_key = Some(id))
    };
    candidate.written(&scene.insert([&early, &first, &late, &hers, &the_teams])).await?;
    candidate.written(&scene.change(at(300), vec![hers.revoke()])).await?;
    candidate.written(&scene.insert([&with(scene.key()?, &hers), &with(scene.key()?, &the_teams)])).await?;
    for actor in ["user:Alice", "user:alice ", "system:alice", "key:AAAAAAAAAAAAAAAAAAAA"] {
        candidate.written(&scene.insert([&by(scene.key()?, actor, 200)])).await?;
    }
    let far_away = elsewhere.key_of(&elsewhere.owner_named(KeyKind::User, "alice")?)?;
    candidate.written(&elsewhere.insert([&by(elsewhere.key()?, "user:alice", 200), &far_away])).await?;
    candidate.written(&elsewhere.insert([&with(elsewhere.key()?, &far_away)])).await?;
    let below = |by: &OwnerRef, since: u64, until: u64, limit| Guard::IssuedBelow {
        by: by.clone(),
        since: at(since),
        until: at(until),
        limit,
    };
    let full = Some(Conflict::Guard(0));
    let cases = [
        ("two keys, at the very beginning and the very end", below(&alice, 100, 300, 2), full),
        ("two keys and room for one more", below(&alice, 100, 300, 3), None),
        ("one key, and one a millisecond before", below(&alice, 101, 300, 2), None),
        ("one key, and one a millisecond after", below(&alice, 100, 299, 2), None),
        ("no key under a limit of none", below(&alice, 302, 400, 0), full),
        ("one key that a key of the team made", below(&team, 0, 400, 1), full),
        ("one key that a key of the team made, and room for one more", below(&team, 0, 400, 2), None),
    ];
    for (what, guard, expected) in cases {
        would_write(candidate, &scene, at(300), guard, what, expected).await?;
    }
    candidate.written(&scene.change(at(300), vec![first.revoke()])).await?;
    would_write(candidate, &scene, at(300), below(&alice, 100, 300, 2), "two keys, one of them revoked", full).await
}

pub(crate) async fn the_guard_that_fails_is_named<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (live, new, absent) = (scene.key()?, scene.key()?, scene.id()?);
    candidate.written(&scene.insert([&live])).await?;
    let events = candidate.events(&scene).await?;
    for place in 0..4 {
        let holds = [Guard::Live(live.id), Guard::OwnerActive(scene.owner()), Guard::NoLiveSuccessor(live.id)];
        let mut guards = holds.to_vec();
        guards.insert(place, Guard::Live(absent));
        let change = Change { guards, ..scene.insert([&new]) };
        conflicts("a guard that does not hold", candidate.apply(&change).await, Conflict::Guard(place))?;
        same("a key that a refused change would insert", &candidate.find(&new.id).await?, &None)?;
        same("the events after a refused change", &candidate.events(&scene).await?, &events)?;
    }
    Ok(())
}

pub(crate) async fn guards_come_before_the_writes<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (old, absent) = (scene.key()?, scene.key()?);
    let new = scene.key()?.with(|row| row.replaces = Some(old.row.id.clone()));
    candidate.written(&scene.insert([&old])).await?;
    let guards = vec![Guard::Live(absent.id)];
    let change = Change { guards, ..scene.insert([&absent]) };
    conflicts("a guard on what the change itself inserts", candidate.apply(&change).await, Conflict::Guard(0))?;
    let guards = vec![Guard::Live(old.id), Guard::NoLiveSuccessor(old.id), Guard::OwnerActive(scene.owner())];
    let suspension = Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Plan));
    let writes = vec![new.insert(), old.revoke(), suspension];
    candidate.written(&Change { guards, ..scene.change(at(1), writes) }).await
}

/// Suspends a separate owner under one guard, which changes no count.
async fn would_write<S: KeyStore>(
    candidate: &Candidate<'_, S>,
    scene: &Scene,
    now: Timestamp,
    guard: Guard,
    what: &str,
    expected: Option<Conflict>,
) -> Result<(), Unmet> {
    let owner = scene.owner_named(KeyKind::User, &scene.word())?;
    let suspension = Write::Owner(owner, OwnerChange::Suspend(Suspension::Admin));
    under(candidate, scene.change(now, vec![suspension]), guard, what, expected).await
}

/// Inserts a key under one guard.
async fn guarded<S: KeyStore>(
    candidate: &Candidate<'_, S>,
    scene: &Scene,
    now: Timestamp,
    guard: Guard,
    what: &str,
    expected: Option<Conflict>,
) -> Result<(), Unmet> {
    let key = scene.key()?;
    under(candidate, scene.change(now, vec![key.insert()]), guard, what, expected).await
}

/// Checks that a change under a guard has the expected result.
async fn under<S: KeyStore>(
    candidate: &Candidate<'_, S>,
    change: Change,
    guard: Guard,
    what: &str,
    expected: Option<Conflict>,
) -> Result<(), Unmet> {
    let seen = candidate.apply(&Change { guards: vec![guard.clone()], ..change }).await;
    match (expected, seen) {
        (Some(expected), seen) => conflicts(&format!("{guard:?} for {what}"), seen, expected),
        (None, Ok(_)) => Ok(()),
        (None, Err(error)) => {
            Err(Unmet::failed(format!("{guard:?} for {what}: expected it to hold, saw {:?}", error.kind())))
        }
    }
}
