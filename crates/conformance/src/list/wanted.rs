//! The conditions of a list, and its order.

use tower_api_keys::{
    KeyKind, Owner, Timestamp,
    record::NamePart,
    store::{KeyCursor, KeyOrder, KeyQuery, KeyStore, Liveness, Page, SuccessorRow},
};

use super::{links::heir, places_of};
use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{made, same},
};

/// The most owners and keys that a query names.
const MOST: usize = 1_000;

pub(crate) async fn keys_of_several_owners_come_in_one_order<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = of_three_owners(&scene)?;
    candidate.written(&scene.insert(&keys)).await?;
    let [ops, alice, other] = three_owners(&scene)?;
    let both = || vec![ops.clone(), alice.clone()];
    let nobody = scene.owner_named(KeyKind::Team, "nobody")?.owner;
    let cases = [
        ("two owners", both(), vec![&ops, &alice]),
        ("two owners the other way round", both().into_iter().rev().collect(), vec![&ops, &alice]),
        ("two owners, one of them named twice", [both(), both()].concat(), vec![&ops, &alice]),
        ("one owner who is named twice", vec![ops.clone(), ops.clone()], vec![&ops]),
        (
            "three owners and one without keys",
            [both(), vec![nobody, other.clone()]].concat(),
            vec![&ops, &alice, &other],
        ),
    ];
    for (what, owners, of) in cases {
        let query = KeyQuery { owners, ..scene.query() };
        let expected = sorted(&keys, |key| of.iter().any(|owner| is_of(key, owner)));
        in_pages(candidate, &keys, &query, &expected, what).await?;
    }
    // Other conditions apply to the keys of each owner.
    let query = KeyQuery { owners: both(), liveness: Some(Liveness::Dead), ..scene.query() };
    let expected = sorted(&keys, |key| key.row.expires_at.is_some() && !is_of(key, &other));
    in_pages(candidate, &keys, &query, &expected, "the dead keys of two owners").await
}

pub(crate) async fn keys_are_found_by_kind<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = of_three_owners(&scene)?;
    candidate.written(&scene.insert(&keys)).await?;
    let [ops, alice, other] = three_owners(&scene)?;
    for kind in KeyKind::ALL {
        let all = KeyQuery { kind: Some(kind), ..scene.query() };
        let is_of_kind = |key: &Sample| key.row.kind == kind.as_str();
        in_pages(candidate, &keys, &all, &sorted(&keys, is_of_kind), &format!("keys of kind {kind}")).await?;
        for owners in [vec![&ops], vec![&alice], vec![&ops, &alice], vec![&ops, &other]] {
            let query = KeyQuery { owners: owners.iter().copied().cloned().collect(), ..all.clone() };
            let expected = sorted(&keys, |key| is_of_kind(key) && owners.iter().any(|owner| is_of(key, owner)));
            let what = format!("keys of kind {kind} of {owners:?}");
            in_pages(candidate, &keys, &query, &expected, &what).await?;
        }
        let query = KeyQuery { creator: Some(made("user:alice".parse())?), ..all.clone() };
        let what = format!("keys of kind {kind} that alice made");
        in_pages(candidate, &keys, &query, &sorted(&keys, is_of_kind), &what).await?;
        let query = KeyQuery { keys: keys.iter().map(|key| key.id).collect(), ..all };
        let what = format!("keys of kind {kind} that are named");
        in_pages(candidate, &keys, &query, &sorted(&keys, is_of_kind), &what).await?;
    }
    Ok(())
}

pub(crate) async fn the_newest_keys_can_come_first<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let maker = scene.id()?;
    let old = scene.key()?.with(|row| row.created_at -= 9);
    let keys: Vec<Sample> = of_three_owners(&scene)?
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
    let newest = || KeyQuery { order: KeyOrder::NewestFirst, ..scene.query() };
    let mut all: Vec<Sample> = keys.clone();
    all.push(old.clone());
    let cases: [(&str, KeyQuery, Vec<String>); 8] = [
        ("all", newest(), falling(&all, |_| true)),
        (
            "those of an owner",
            KeyQuery { owners: vec![ops.clone()], ..newest() },
            falling(&all, |key| is_of(key, &ops)),
        ),
        (
            "those of two owners",
            KeyQuery { owners: vec![ops.clone(), alice.clone()], ..newest() },
            falling(&all, |key| is_of(key, &ops) || is_of(key, &alice)),
        ),
        (
            "those of a kind",
            KeyQuery { kind: Some(KeyKind::User), ..newest() },
            falling(&all, |key| key.row.kind == "user"),
        ),
        (
            "those that alice made",
            KeyQuery { creator: Some(made("user:alice".parse())?), ..newest() },
            falling(&all, |_| true),
        ),
        ("those of a maker", KeyQuery { created_via_key: Some(maker), ..newest() }, falling(&keys, |_| true)),
        ("those that replace one", KeyQuery { predecessor: Some(old.id), ..newest() }, falling(&keys, |_| true)),
        (
            "those made before a time",
            KeyQuery { created_before: Some(at(1)), ..newest() },
            falling(&all, |key| key.row.created_at < at(1).as_millis()),
        ),
    ];
    for (what, query, expected) in cases {
        in_pages(candidate, &all, &query, &expected, &format!("the newest first, {what}")).await?;
    }
    Ok(())
}

pub(crate) async fn keys_are_found_by_a_part_of_their_names<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let names = [
        "GitHub Actions - production",
        "github actions",
        "",
        "100 % sure",
        "under_score",
        "ÜBUNG Straße",
        "übung strasse",
        "Ключ ДЛЯ сервера",
        "back\\slash * [a-z] ?",
        "\u{212a}elvin \u{130}stanbul",
    ];
    let keys: Vec<Sample> = names
        .iter()
        .zip(0..)
        .map(|(name, n)| {
            Ok(scene.key()?.with(|row| {
                row.name = (*name).to_owned();
                row.created_at += n;
            }))
        })
        .collect::<Result<_, Unmet>>()?;
    candidate.written(&scene.insert(&keys)).await?;
    let owners = vec![scene.owner().owner, scene.owner_named(KeyKind::Team, "nobody")?.owner];
    for part in [
        "",
        "github",
        "GITHUB A",
        "%",
        "_",
        "*",
        "?",
        "[a",
        "\\",
        "a%s",
        "übung",
        "ÜBUNG",
        "straße",
        "STRASSE",
        "ключ для",
        "КЛЮЧ",
        "k",
        "kelvin",
        "istanbul",
        "production",
        " - ",
        "nothing like that",
    ] {
        let wanted = made(NamePart::new(part))?;
        let expected: Vec<usize> = (0..).zip(names).filter(|(_, name)| wanted.is_in(name)).map(|(n, _)| n).collect();
        let query = KeyQuery { named_like: Some(wanted), ..scene.query() };
        for query in [KeyQuery { owners: owners.clone(), ..query.clone() }, query] {
            let listed = candidate.listed(&query, at(0)).await?;
            same(&format!("which of ten names have `{part}` in them"), &places_of(&keys, &listed), &expected)?;
        }
    }
    Ok(())
}

pub(crate) async fn keys_are_found_by_their_ids<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let keys = of_three_owners(&scene)?;
    let stranger = elsewhere.key()?;
    candidate.written(&scene.insert(&keys)).await?;
    candidate.written(&elsewhere.insert([&stranger])).await?;
    let [first, second, .., last] = keys.as_slice() else { return Err(Unmet::failed("the kit has too few keys")) };
    let asked = vec![last.id, first.id, stranger.id, first.id, scene.id()?, second.id];
    let is_asked = |key: &Sample| asked.contains(&key.id);
    let query = || KeyQuery { keys: asked.clone(), ..scene.query() };
    in_pages(candidate, &keys, &query(), &sorted(&keys, is_asked), "keys that are named").await?;
    let [ops, ..] = three_owners(&scene)?;
    let of_owner = KeyQuery { owners: vec![ops.clone()], ..query() };
    let expected = sorted(&keys, |key| is_asked(key) && is_of(key, &ops));
    in_pages(candidate, &keys, &of_owner, &expected, "keys that are named, of an owner").await?;
    for liveness in [Liveness::Dead, Liveness::Live] {
        let query = KeyQuery { liveness: Some(liveness), ..query() };
        let is_dead = liveness == Liveness::Dead;
        let expected = sorted(&keys, |key| is_asked(key) && key.row.expires_at.is_some() == is_dead);
        in_pages(candidate, &keys, &query, &expected, &format!("keys that are named, {liveness:?}")).await?;
    }
    let strange = KeyQuery { keys: vec![stranger.id], ..scene.query() };
    let page = candidate.list(&strange, at(0)).await?;
    same("what is found of another organization's key", &page, &Page { rows: Vec::new(), more: false })
}

pub(crate) async fn keys_are_found_by_their_lineage<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let all = of_three_owners(&scene)?;
    let Some(first) = all.first().cloned() else { return Err(Unmet::failed("the kit has too few keys")) };
    // Every second key, of any owner, has the lineage of the first; the others have one that differs only in small and
    // capital letters.
    let other = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let turned: String = first.row.id.chars().map(other).collect();
    let keys: Vec<Sample> = all
        .into_iter()
        .zip(0..)
        .map(|(key, n)| key.with(|row| row.lineage = if n % 2 == 0 { first.row.id.clone() } else { turned.clone() }))
        .collect();
    let stranger = elsewhere.key()?.with(|row| row.lineage = first.row.id.clone());
    candidate.written(&scene.insert(&keys)).await?;
    candidate.written(&elsewhere.insert([&stranger])).await?;
    let is_of_line = |key: &Sample| key.row.lineage == first.row.id;
    let query = || KeyQuery { lineage: Some(first.id), ..scene.query() };
    in_pages(candidate, &keys, &query(), &sorted(&keys, is_of_line), "keys of a lineage").await?;
    let newest = KeyQuery { order: KeyOrder::NewestFirst, ..query() };
    in_pages(candidate, &keys, &newest, &falling(&keys, is_of_line), "the newest keys of a lineage first").await?;
    let [ops, alice, _] = three_owners(&scene)?;
    for owners in [vec![ops.clone()], vec![ops, alice]] {
        let of_owners = KeyQuery { owners: owners.clone(), ..query() };
        let expected = sorted(&keys, |key| is_of_line(key) && owners.iter().any(|owner| is_of(key, owner)));
        in_pages(candidate, &keys, &of_owners, &expected, &format!("keys of a lineage, of {owners:?}")).await?;
    }
    for liveness in [Liveness::Dead, Liveness::Live] {
        let query = KeyQuery { liveness: Some(liveness), ..query() };
        let is_dead = liveness == Liveness::Dead;
        let expected = sorted(&keys, |key| is_of_line(key) && key.row.expires_at.is_some() == is_dead);
        in_pages(candidate, &keys, &query, &expected, &format!("keys of a lineage, {liveness:?}")).await?;
    }
    let named = KeyQuery { keys: keys.iter().map(|key| key.id).collect(), ..query() };
    in_pages(candidate, &keys, &named, &sorted(&keys, is_of_line), "keys of a lineage that are named").await?;
    let unknown = KeyQuery { lineage: Some(scene.id()?), ..scene.query() };
    same("keys of a lineage that there is not", &candidate.listed(&unknown, at(0)).await?, &Vec::new())
}

pub(crate) async fn keys_are_found_by_how_late_they_were_made<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = of_three_owners(&scene)?;
    candidate.written(&scene.insert(&keys)).await?;
    let owners = three_owners(&scene)?.to_vec();
    for since in 0..5 {
        let query = KeyQuery { created_since: Some(at(since)), ..scene.query() };
        let is_late = |key: &Sample| key.row.created_at >= at(since).as_millis();
        let what = format!("keys made {since} ms after noon or later");
        in_pages(candidate, &keys, &query, &sorted(&keys, is_late), &what).await?;
        let of_owners = KeyQuery { owners: owners.clone(), ..query.clone() };
        in_pages(candidate, &keys, &of_owners, &sorted(&keys, is_late), &format!("{what}, of three owners")).await?;
        let window = KeyQuery { created_before: Some(at(3)), ..query };
        let expected = sorted(&keys, |key| is_late(key) && key.row.created_at < at(3).as_millis());
        in_pages(candidate, &keys, &window, &expected, &format!("{what}, and before 3 ms")).await?;
    }
    Ok(())
}

pub(crate) async fn a_successor_comes_with_its_owner_and_maker<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let maker = scene.id()?;
    let old = scene.key_of(&scene.owner_named(KeyKind::User, "alice")?)?;
    let new = heir(&scene, &old)?.with(|row| {
        row.created_by = "user:bob".to_owned();
        row.created_via_key = Some(maker.as_str().to_owned());
    });
    candidate.written(&scene.insert([&old, &new])).await?;
    let query = KeyQuery { keys: vec![old.id], ..scene.query() };
    let seen: Vec<_> = candidate.list(&query, at(0)).await?.rows.into_iter().map(|row| row.successor).collect();
    same("the successor of a listed key", &seen, &vec![Some(SuccessorRow::from(&new.row))])
}

pub(crate) async fn a_thousand_owners_and_keys_are_asked_for_at_once<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = of_three_owners(&scene)?;
    candidate.written(&scene.insert(&keys)).await?;
    let mut owners: Vec<Owner> = (0..MOST - 1)
        .map(|n| Ok(scene.owner_named(KeyKind::Team, &format!("team {n}"))?.owner))
        .collect::<Result<_, Unmet>>()?;
    let [.., other] = three_owners(&scene)?;
    let expected = sorted(&keys, |key| is_of(key, &other));
    owners.push(other);
    for order in [KeyOrder::OldestFirst, KeyOrder::NewestFirst] {
        let query = KeyQuery { owners: owners.clone(), order, ..scene.query() };
        let mut expected = expected.clone();
        if order == KeyOrder::NewestFirst {
            expected.reverse();
        }
        same("the keys of a thousand owners", &candidate.listed(&query, at(0)).await?, &expected)?;
    }
    let mut ids = (0..MOST - 1).map(|_| scene.id()).collect::<Result<Vec<_>, _>>()?;
    ids.extend(keys.first().map(|key| key.id));
    let query = KeyQuery { keys: ids, ..scene.query() };
    let expected: Vec<String> = keys.first().map(|key| key.row.id.clone()).into_iter().collect();
    same("those that there are of a thousand keys", &candidate.listed(&query, at(0)).await?, &expected)
}

/// Two teams, and a user with the id of one of them.
pub(super) fn three_owners(scene: &Scene) -> Result<[Owner; 3], Unmet> {
    Ok([
        scene.owner_named(KeyKind::Team, "ops")?.owner,
        scene.owner_named(KeyKind::User, "ops")?.owner,
        scene.owner_named(KeyKind::Team, "Ops")?.owner,
    ])
}

/// Keys of three owners, made in turn, two in each millisecond, and every third of them expired long ago.
pub(super) fn of_three_owners(scene: &Scene) -> Result<Vec<Sample>, Unmet> {
    let owners = [(KeyKind::Team, "ops"), (KeyKind::User, "ops"), (KeyKind::Team, "Ops"), (KeyKind::Team, "ops")];
    let key = |((kind, owner), n): ((KeyKind, &str), i64)| {
        Ok(scene.key_of(&scene.owner_named(kind, owner)?)?.with(|row| {
            row.created_at += n / 2;
            row.expires_at = (n % 3 == 2).then_some(1);
        }))
    };
    owners.into_iter().cycle().zip(0..11).map(key).collect()
}

pub(super) fn is_of(key: &Sample, owner: &Owner) -> bool {
    key.row.kind == owner.kind().as_str() && key.row.owner == owner.id()
}

/// The ids of the keys that `holds` accepts, in the order of lists.
pub(super) fn sorted(keys: &[Sample], holds: impl Fn(&Sample) -> bool) -> Vec<String> {
    let mut order: Vec<_> =
        keys.iter().filter(|key| holds(key)).map(|key| (key.row.created_at, key.row.id.clone())).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id).collect()
}

pub(super) fn falling(keys: &[Sample], holds: impl Fn(&Sample) -> bool) -> Vec<String> {
    sorted(keys, holds).into_iter().rev().collect()
}

/// Checks that the list has these keys, whole and in pages of every size.
pub(super) async fn in_pages<S: KeyStore>(
    candidate: &Candidate<'_, S>,
    keys: &[Sample],
    query: &KeyQuery,
    expected: &Vec<String>,
    what: &str,
) -> Result<(), Unmet> {
    same(what, &candidate.listed(query, at(0)).await?, expected)?;
    for limit in [1, 2, 5] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let Page { rows, more } = candidate.list(&KeyQuery { limit, after, ..query.clone() }, at(0)).await?;
            let last = rows.last().map(|listed| listed.key.id.clone());
            seen.extend(rows.into_iter().map(|listed| listed.key.id));
            let what = format!("{what}, in pages of {limit}");
            same(&format!("`more` of {what}"), &more, &(seen.len() < expected.len()))?;
            after = keys.iter().find(|key| Some(&key.row.id) == last.as_ref()).map(cursor).transpose()?;
            if !more || after.is_none() {
                same(&what, &seen, expected)?;
                break;
            }
        }
    }
    Ok(())
}

fn cursor(key: &Sample) -> Result<KeyCursor, Unmet> {
    let created_at = made(Timestamp::from_millis(key.row.created_at))?;
    let expires_at = made(key.row.expires_at.map(Timestamp::from_millis).transpose())?;
    Ok(KeyCursor { created_at, expires_at, id: key.id })
}
