//! Lists of keys.

pub(crate) mod by_end;
pub(crate) mod links;
pub(crate) mod wanted;

use tower_api_keys::{
    KeyKind, Timestamp,
    record::{KeyRow, OwnerStatusRow, Suspension},
    store::{KeyCursor, KeyQuery, KeyStore, Ledger, ListedKey, Liveness, OwnerChange, Page, Write},
    usage::{UsageBatch, UsageTotals},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{made, same},
    usage,
};

pub(crate) async fn keys_are_listed_by_creation_then_id<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = spread(&scene, 24)?;
    candidate.written(&scene.insert(&keys)).await?;
    same("the order of the list", &candidate.listed(&scene.query(), at(0)).await?, &sorted(&keys))
}

pub(crate) async fn a_returned_insert_is_listed<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let query = KeyQuery {
        owners: vec![scene.owner().owner],
        creator: Some(made("user:alice".parse())?),
        liveness: Some(Liveness::Live),
        ..scene.query()
    };
    for count in 1..=8 {
        candidate.written(&scene.insert([&scene.key()?])).await?;
        let seen = candidate.list(&query, at(0)).await?.rows.len();
        same("how many keys are listed after as many insertions", &seen, &count)?;
    }
    Ok(())
}

pub(crate) async fn keys_are_found_by_each_condition<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let maker = scene.id()?;
    let key = |n: i64, kind, owner: &str, creator: &str, made_with: bool| {
        let key = scene.key_of(&scene.owner_named(kind, owner)?)?;
        Ok(key.with(|row| {
            row.created_at += n;
            row.created_by = creator.to_owned();
            row.created_via_key = made_with.then(|| maker.as_str().to_owned());
        }))
    };
    let keys: [Sample; 6] = [
        key(0, KeyKind::Team, "ops", "user:alice", false)?,
        key(1, KeyKind::User, "ops", "user:alice", false)?,
        key(2, KeyKind::Team, "Ops", "user:Alice", false)?,
        key(3, KeyKind::Team, "ops", "system:alice", true)?.with(|row| row.owner.push(' ')),
        key(4, KeyKind::Team, "o_s", &format!("key:{maker}"), true)?,
        key(5, KeyKind::Team, "ops", "user:alice ", true)?,
    ];
    candidate.written(&scene.insert(&keys)).await?;
    let owner = |kind, id| Ok::<_, Unmet>(vec![scene.owner_named(kind, id)?.owner]);
    let creator = |text: &str| Ok::<_, Unmet>(Some(made(text.parse())?));
    let all = || scene.query();
    let cases: [(&str, KeyQuery, &[usize]); 11] = [
        ("no condition", all(), &[0, 1, 2, 3, 4, 5]),
        ("a team", KeyQuery { owners: owner(KeyKind::Team, "ops")?, ..all() }, &[0, 5]),
        ("a user", KeyQuery { owners: owner(KeyKind::User, "ops")?, ..all() }, &[1]),
        ("a wildcard as owner", KeyQuery { owners: owner(KeyKind::Team, "o_s")?, ..all() }, &[4]),
        ("a creator", KeyQuery { creator: creator("user:alice")?, ..all() }, &[0, 1]),
        ("the system as creator", KeyQuery { creator: creator("system:alice")?, ..all() }, &[3]),
        ("a key as creator", KeyQuery { creator: creator(&format!("key:{maker}"))?, ..all() }, &[4]),
        ("a maker", KeyQuery { created_via_key: Some(maker), ..all() }, &[3, 4, 5]),
        ("a maker of nothing", KeyQuery { created_via_key: Some(scene.id()?), ..all() }, &[]),
        (
            "owner and creator",
            KeyQuery { owners: owner(KeyKind::Team, "ops")?, creator: creator("user:alice")?, ..all() },
            &[0],
        ),
        (
            "owner and maker",
            KeyQuery { owners: owner(KeyKind::Team, "ops")?, created_via_key: Some(maker), ..all() },
            &[5],
        ),
    ];
    for (what, query, places) in cases {
        let listed = candidate.listed(&query, at(0)).await?;
        same(&format!("which of six keys are found by {what}"), &places_of(&keys, &listed), &places.to_vec())?;
    }
    Ok(())
}

pub(crate) async fn liveness_is_that_of_the_query_s_time<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let mut keys = spread(&scene, 4)?.into_iter().map(|key| key.with(|row| row.expires_at = None));
    let (Some(live), Some(mortal), Some(revoked)) = (keys.next(), keys.next(), keys.next()) else {
        return Err(Unmet::failed("the kit has too few keys"));
    };
    let mortal = mortal.with(|row| row.expires_at = Some(at(1_000).as_millis()));
    candidate.written(&scene.insert([&live, &mortal, &revoked])).await?;
    candidate.written(&scene.change(at(5_000), vec![revoked.revoke()])).await?;
    let (live, mortal) = (live.row.id, mortal.row.id);
    for (now, mortal_lives) in [(999, true), (1_000, false), (1_001, false)] {
        for liveness in [Liveness::Live, Liveness::Dead] {
            let query = KeyQuery { liveness: Some(liveness), ..scene.query() };
            let mut seen = candidate.listed(&query, at(now)).await?;
            let mut expected = match liveness {
                Liveness::Live => vec![live.clone()],
                Liveness::Dead => vec![revoked.row.id.clone()],
            };
            if mortal_lives == (liveness == Liveness::Live) {
                expected.push(mortal.clone());
            }
            seen.sort_unstable();
            expected.sort_unstable();
            let what = format!("{liveness:?} keys at {now} where one expires at 1000");
            same(&what, &seen, &expected)?;
        }
    }
    Ok(())
}

pub(crate) async fn unused_keys_are_found<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys: Vec<Sample> =
        (0..5).map(|n| Ok(scene.key()?.with(|row| row.created_at += n))).collect::<Result<_, Unmet>>()?;
    candidate.written(&scene.insert(&keys)).await?;
    let used = [
        (1, "success", 1, 999),
        (2, "success", 1, 1_000),
        (3, "success", 500, 2_000),
        (4, "key_expired", 1, 5_000),
        (4, "success", 1, 10),
    ];
    let rows = used
        .iter()
        .filter_map(|(n, outcome, first, last)| Some(usage::row(keys.get(*n)?, outcome, "intake", 1, *first, *last)));
    candidate
        .record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: rows.collect(), days: Vec::new() })
        .await?;
    for (since, places) in [(1_000, vec![0, 1, 4]), (1_001, vec![0, 1, 2, 4]), (0, vec![0])] {
        let query = KeyQuery { unused_since: Some(at(since)), ..scene.query() };
        let listed = candidate.listed(&query, at(9_000)).await?;
        same(
            &format!("which of five keys are unused since {since} ms after noon"),
            &places_of(&keys, &listed),
            &places,
        )?;
    }
    Ok(())
}

pub(crate) async fn keys_come_in_pages<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = spread(&scene, 13)?;
    candidate.written(&scene.insert(&keys)).await?;
    let live = KeyQuery { liveness: Some(Liveness::Live), ..scene.query() };
    for query in [scene.query(), live] {
        let whole = candidate.list(&query, at(0)).await?.rows;
        for limit in [1, 2, 3, 5, 13, 1_000] {
            let (mut seen, mut after) = (Vec::new(), None);
            for size in whole.chunks(limit.into()).map(<[_]>::len) {
                let Page { rows, more } = candidate.list(&KeyQuery { limit, after, ..query.clone() }, at(0)).await?;
                same(&format!("the size of a page of at most {limit}"), &rows.len(), &size)?;
                after = rows.last().and_then(|listed| cursor(&keys, &listed.key));
                seen.extend(rows);
                same(&format!("`more` of a page of at most {limit}"), &more, &(seen.len() < whole.len()))?;
            }
            same(&format!("all pages of at most {limit}"), &seen, &whole)?;
            let end = candidate.list(&KeyQuery { limit, after, ..query.clone() }, at(0)).await?;
            same("the page after the last key", &end, &Page { rows: Vec::new(), more: false })?;
        }
    }
    Ok(())
}

pub(crate) async fn foreign_keys_are_invisible<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let maker = scene.id()?;
    let key = scene.key()?.with(|row| row.created_via_key = Some(maker.as_str().to_owned()));
    candidate.written(&scene.insert([&key])).await?;
    let all = || elsewhere.query();
    let queries = [
        all(),
        KeyQuery { owners: vec![scene.owner().owner], ..all() },
        KeyQuery { creator: Some(made("user:alice".parse())?), ..all() },
        KeyQuery { created_via_key: Some(maker), ..all() },
        KeyQuery { unused_since: Some(at(1)), ..all() },
    ];
    for query in queries {
        let page = candidate.list(&query, at(0)).await?;
        same("what an organization without keys sees", &page, &Page { rows: Vec::new(), more: false })?;
    }
    Ok(())
}

pub(crate) async fn keys_are_found_by_time_of_creation<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = |n: i64, owner| {
        Ok::<_, Unmet>(scene.key_of(&scene.owner_named(KeyKind::Team, owner)?)?.with(|row| {
            row.created_at += n;
        }))
    };
    let keys = [key(0, "ops")?, key(1, "ops")?, key(1, "research")?, key(2, "research")?];
    candidate.written(&scene.insert(&keys)).await?;
    let owners = vec![scene.owner_named(KeyKind::Team, "research")?.owner];
    let before = |millis| KeyQuery { created_before: Some(at(millis)), ..scene.query() };
    let cases: [(&str, KeyQuery, &[usize]); 6] = [
        ("the first's millisecond", before(0), &[]),
        ("the next ones'", before(1), &[0]),
        ("the last's", before(2), &[0, 1, 2]),
        ("all of them", before(3), &[0, 1, 2, 3]),
        ("the last's, of an owner", KeyQuery { owners, ..before(2) }, &[2]),
        ("the last's, live", KeyQuery { liveness: Some(Liveness::Live), ..before(2) }, &[0, 1, 2]),
    ];
    for (what, query, places) in cases {
        let mut seen = places_of(&keys, &candidate.listed(&query, at(9)).await?);
        seen.sort_unstable();
        same(&format!("which of four keys were made before {what}"), &seen, &places.to_vec())?;
    }
    let page = candidate.list(&KeyQuery { limit: 3, ..before(2) }, at(9)).await?;
    same("whether more than the three keys made before a time follow", &page.more, &false)
}

pub(crate) async fn a_listed_key_is_whole<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let suspended = scene.key()?;
    let free = scene.key_of(&scene.owner_named(KeyKind::User, "engineering")?)?.with(|row| row.created_at += 1);
    candidate.written(&scene.insert([&suspended, &free])).await?;
    let suspension = Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Plan));
    candidate.written(&scene.change(at(1), vec![suspension])).await?;
    let rows = vec![usage::row(&free, "success", "", 2, 1, 9)];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows, days: Vec::new() }).await?;
    let status = OwnerStatusRow { plan_suspended_at: Some(at(1).as_millis()), ..OwnerStatusRow::default() };
    let used = UsageTotals { successes: 2, last_success_at: Some(at(9)), ..UsageTotals::default() };
    let expected =
        vec![listed(suspended.row, status, UsageTotals::default()), listed(free.row, OwnerStatusRow::default(), used)];
    same("two listed keys", &candidate.list(&scene.query(), at(2)).await?.rows, &expected)?;
    let without = KeyQuery { with_usage: false, ..scene.query() };
    let expected: Vec<_> = expected.into_iter().map(|listed| ListedKey { usage: None, ..listed }).collect();
    same("the same two without their usage", &candidate.list(&without, at(2)).await?.rows, &expected)
}

/// A key without successor and predecessor, whose creator was never suspended.
fn listed(key: KeyRow, owner: OwnerStatusRow, usage: UsageTotals) -> ListedKey {
    let active = OwnerStatusRow::default();
    ListedKey {
        key,
        owner,
        organization: active,
        creator: active,
        usage: Some(usage),
        successor: None,
        predecessor_is_live: false,
    }
}

/// Keys made in three milliseconds, unordered, every third one expired long ago.
fn spread(scene: &Scene, count: usize) -> Result<Vec<Sample>, Unmet> {
    let end = Timestamp::MIN.as_millis();
    let key = |n: usize| {
        let late = i64::from(n.is_multiple_of(4)) - i64::from(n % 4 == 1);
        Ok(scene.key()?.with(|row| {
            row.created_at += late;
            row.expires_at = (n % 3 == 2).then_some(end);
        }))
    };
    (0..count).map(key).collect()
}

fn sorted(keys: &[Sample]) -> Vec<String> {
    let mut order: Vec<(i64, String)> = keys.iter().map(|key| (key.row.created_at, key.row.id.clone())).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id).collect()
}

/// The places of these ids among the keys; for an id of another key, the number of keys.
pub(crate) fn places_of(keys: &[Sample], ids: &[String]) -> Vec<usize> {
    let place = |id: &String| keys.iter().position(|key| key.row.id == *id).unwrap_or(keys.len());
    ids.iter().map(place).collect()
}

fn cursor(keys: &[Sample], row: &KeyRow) -> Option<KeyCursor> {
    let key = keys.iter().find(|key| key.row.id == row.id)?;
    let expires_at = row.expires_at.and_then(|end| Timestamp::from_millis(end).ok());
    Some(KeyCursor { created_at: Timestamp::from_millis(row.created_at).ok()?, expires_at, id: key.id })
}
