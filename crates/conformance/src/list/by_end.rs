//! Lists by the ends of keys: S119 and S120.

use tower_api_keys::{
    KeyKind,
    store::{KeyOrder, KeyQuery, KeyStore, Liveness},
};

use super::wanted::{falling, in_pages, is_of, of_three_owners, sorted, three_owners};
use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::made,
};

pub(crate) async fn keys_are_found_by_their_end<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = with_ends(&scene)?;
    candidate.written(&scene.insert(&keys)).await?;
    let [ops, alice, _] = three_owners(&scene)?;
    for before in [99, 100, 101, 200, 201, 300] {
        let ends = |key: &Sample| key.row.expires_at.is_some_and(|end| end < at(before).as_millis());
        let query = KeyQuery { expires_before: Some(at(before)), ..scene.query() };
        let what = format!("keys that end before {before} ms after noon");
        in_pages(candidate, &keys, &query, &sorted(&keys, ends), &what).await?;
        let newest = KeyQuery { order: KeyOrder::NewestFirst, ..query.clone() };
        in_pages(candidate, &keys, &newest, &falling(&keys, ends), &format!("{what}, the newest first")).await?;
        let of_owners = KeyQuery { owners: vec![ops.clone(), alice.clone()], ..query.clone() };
        let expected = sorted(&keys, |key| ends(key) && (is_of(key, &ops) || is_of(key, &alice)));
        in_pages(candidate, &keys, &of_owners, &expected, &format!("{what}, of two owners")).await?;
        let late = KeyQuery { created_since: Some(at(2)), ..query };
        let expected = sorted(&keys, |key| ends(key) && key.row.created_at >= at(2).as_millis());
        in_pages(candidate, &keys, &late, &expected, &format!("{what}, made since 2 ms after noon")).await?;
    }
    Ok(())
}

pub(crate) async fn the_next_to_end_can_come_first<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let maker = scene.id()?;
    let old = scene.key()?.with(|row| row.created_at -= 9);
    let keys: Vec<Sample> = with_ends(&scene)?
        .into_iter()
        .map(|key| {
            key.with(|row| {
                row.created_via_key = Some(maker.as_str().to_owned());
                row.replaces = Some(old.row.id.clone());
            })
        })
        .collect();
    candidate.written(&scene.insert([&old].into_iter().chain(&keys))).await?;
    let [ops, alice, _] = three_owners(&scene)?;
    let soonest = || KeyQuery { order: KeyOrder::SoonestEndFirst, ..scene.query() };
    let mut all: Vec<Sample> = keys.clone();
    all.push(old.clone());
    let owners = vec![ops.clone(), alice.clone()];
    let is_of_two = |key: &Sample| is_of(key, &ops) || is_of(key, &alice);
    let cases: [(&str, KeyQuery, Vec<String>); 11] = [
        ("all", soonest(), by_end(&all, |_| true)),
        (
            "those of an owner",
            KeyQuery { owners: vec![ops.clone()], ..soonest() },
            by_end(&all, |key| is_of(key, &ops)),
        ),
        ("those of two owners", KeyQuery { owners, ..soonest() }, by_end(&all, is_of_two)),
        (
            "those of a kind",
            KeyQuery { kind: Some(KeyKind::User), ..soonest() },
            by_end(&all, |key| key.row.kind == "user"),
        ),
        (
            "those that alice made",
            KeyQuery { creator: Some(made("user:alice".parse())?), ..soonest() },
            by_end(&all, |_| true),
        ),
        ("those of a maker", KeyQuery { created_via_key: Some(maker), ..soonest() }, by_end(&keys, |_| true)),
        ("those that replace one", KeyQuery { predecessor: Some(old.id), ..soonest() }, by_end(&keys, |_| true)),
        (
            "those that are named",
            KeyQuery { keys: keys.iter().map(|key| key.id).collect(), ..soonest() },
            by_end(&keys, |_| true),
        ),
        (
            "those that end before a time",
            KeyQuery { expires_before: Some(at(200)), ..soonest() },
            by_end(&all, |key| key.row.expires_at.is_some_and(|end| end < at(200).as_millis())),
        ),
        (
            "those made in a time",
            KeyQuery { created_since: Some(at(1)), created_before: Some(at(4)), ..soonest() },
            by_end(&all, |key| (at(1).as_millis()..at(4).as_millis()).contains(&key.row.created_at)),
        ),
        (
            "live ones",
            KeyQuery { liveness: Some(Liveness::Live), ..soonest() },
            by_end(&all, |key| key.row.is_live(at(0))),
        ),
    ];
    for (what, query, expected) in cases {
        in_pages(candidate, &all, &query, &expected, &format!("the next to end first, {what}")).await?;
    }
    Ok(())
}

/// Keys of three owners that end at two times, or ended long ago, or do not end; unordered.
fn with_ends(scene: &Scene) -> Result<Vec<Sample>, Unmet> {
    let ends =
        [Some(at(200).as_millis()), None, Some(1), Some(at(100).as_millis()), Some(at(100).as_millis()), None, None];
    let keys = of_three_owners(scene)?.into_iter().zip(ends.into_iter().cycle());
    Ok(keys.map(|(key, end)| key.with(|row| row.expires_at = end)).collect())
}

/// The ids of the keys that `holds` accepts, by end, then id; keys without an end come last.
fn by_end(keys: &[Sample], holds: impl Fn(&Sample) -> bool) -> Vec<String> {
    let mut order: Vec<_> = keys
        .iter()
        .filter(|key| holds(key))
        .map(|key| (key.row.expires_at.unwrap_or(i64::MAX), key.row.id.clone()))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id).collect()
}
