//! The change log.

use std::slice::from_ref;

use tower_api_keys::{
    key::KeyId,
    record::Suspension,
    store::{Change, Changes, Head, KeyReader, KeyUpdate, OwnerChange, Write},
};

use crate::{
    Candidate, Unmet,
    follow::{self, News, last_of_each},
    scene::{Sample, Scene, at},
    unmet::{ensure, same},
};

pub(crate) async fn a_log_is_kept_or_not<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let tracked = candidate.head_if_tracked().await?.is_some();
    let unknown = Head { position: 1, change: scene.bytes() };
    candidate.written(&scene.insert([&scene.key()?])).await?;
    for head in [None, Some(unknown), Some(Head::EMPTY)] {
        let seen = candidate.since(head).await?;
        ensure("the same as before about keeping a log", (seen != Changes::Untracked) == tracked, seen)?;
    }
    let now = candidate.subject().try_head();
    ensure("no `try_head` without a log", tracked || now.is_none(), now)
}

pub(crate) async fn an_unknown_head_is_a_reset<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = scene.keys(2)?;
    candidate.written(&scene.insert(&keys)).await?;
    for key in &keys {
        candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
    }
    let head = candidate.head().await?;
    let cases = [
        ("no head", None),
        ("the last position with another id", Some(Head { change: scene.bytes(), ..head })),
        ("an earlier position with another id", Some(Head { position: head.position - 1, change: scene.bytes() })),
        ("a position ahead", Some(Head { position: head.position + 1, change: scene.bytes() })),
        ("a position ahead with the last id", Some(Head { position: head.position + 1, ..head })),
        ("a position far ahead", Some(Head { position: i64::MAX, change: scene.bytes() })),
        ("a negative position", Some(Head { position: -1, change: scene.bytes() })),
    ];
    for (what, unknown) in cases {
        same(&format!("the log since {what}"), &candidate.since(unknown).await?, &Changes::Reset { head })?;
    }
    Ok(())
}

pub(crate) async fn nothing_is_new_at_the_head<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    same("the log since its head", &at_the_head(candidate).await?, &Changes::Unchanged)?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
    for _ in 0..3 {
        same("the log since its head", &at_the_head(candidate).await?, &Changes::Unchanged)?;
    }
    Ok(())
}

async fn at_the_head<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<Changes, Unmet> {
    let head = candidate.head().await?;
    candidate.since(Some(head)).await
}

pub(crate) async fn a_revocation_is_logged<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    logged_key(candidate, "a revocation", &key.id, &scene.change(at(1), vec![key.revoke()])).await
}

pub(crate) async fn an_expiry_is_logged<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let ends = [Some(at(2_000)), Some(at(1_000)), Some(at(3_000)), None];
    for (version, end) in (1..).zip(ends) {
        let update = KeyUpdate { expires_at: end.map(|end| end.as_millis()), ..key.update(version) };
        let change = scene.change(at(1), vec![Write::Update(update)]);
        logged_key(candidate, &format!("an expiry set to {end:?}"), &key.id, &change).await?;
    }
    Ok(())
}

pub(crate) async fn scopes_are_logged<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for (version, scopes) in (1..).zip(["intake:write", "", "intake:write keys:manage"]) {
        let update = KeyUpdate { scopes: scopes.to_owned(), ..key.update(version) };
        let change = scene.change(at(1), vec![Write::Update(update)]);
        logged_key(candidate, &format!("scopes set to {scopes:?}"), &key.id, &change).await?;
    }
    Ok(())
}

pub(crate) async fn networks_are_logged<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for (version, networks) in (1..).zip([Some("10.0.0.0/8"), Some("10.0.0.0/8 192.0.2.0/24"), None]) {
        let update = KeyUpdate { allowed_networks: networks.map(str::to_owned), ..key.update(version) };
        let change = scene.change(at(1), vec![Write::Update(update)]);
        logged_key(candidate, &format!("networks set to {networks:?}"), &key.id, &change).await?;
    }
    Ok(())
}

pub(crate) async fn an_owner_s_status_is_logged<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let steps = [
        OwnerChange::Suspend(Suspension::Plan),
        OwnerChange::Suspend(Suspension::Admin),
        OwnerChange::Reinstate(Suspension::Plan),
        OwnerChange::Reinstate(Suspension::Admin),
        OwnerChange::Close,
    ];
    for step in steps {
        let before = candidate.head().await?;
        candidate.written(&scene.change(at(1), vec![Write::Owner(scene.owner(), step)])).await?;
        let news = News::since(candidate, before).await?;
        ensure(&format!("{step:?} to be in the log"), news.tells_of_owner(&scene.owner()), &news)?;
    }
    Ok(())
}

pub(crate) async fn an_organization_s_status_is_logged<R: KeyReader>(
    candidate: &Candidate<'_, R>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let steps = [OwnerChange::Suspend(Suspension::Plan), OwnerChange::Reinstate(Suspension::Plan), OwnerChange::Close];
    for step in steps {
        let before = candidate.head().await?;
        candidate.written(&scene.change(at(1), vec![Write::Organization(scene.organization(), step)])).await?;
        let news = News::since(candidate, before).await?;
        ensure(&format!("{step:?} to be in the log"), news.tells_of_organization(&scene.organization()), &news)?;
    }
    Ok(())
}

pub(crate) async fn changes_come_in_commit_order<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = scene.keys(6)?;
    candidate.written(&scene.insert(&keys)).await?;
    let mut heads = vec![candidate.head().await?];
    for key in keys.iter().rev() {
        candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
        let head = candidate.head().await?;
        let moved = heads.last().is_some_and(|last| head.position > last.position && head.change != last.change);
        ensure("the head to move forward, to another id", moved, (&heads, head))?;
        heads.push(head);
    }
    let last = candidate.head().await?;
    for (place, head) in heads.iter().enumerate().take(keys.len()) {
        let Changes::Changed { head, keys: told, .. } = candidate.since(Some(*head)).await? else {
            return Err(Unmet::failed(format!(
                "expected to be told what changed since {place} changes, saw otherwise"
            )));
        };
        same("the head that comes with what changed", &head, &last)?;
        let mine = last_of_each(told.into_iter().filter(|id| keys.iter().any(|key| key.id == *id)));
        let expected: Vec<KeyId> = keys.iter().rev().skip(place).map(|key| key.id).collect();
        ensure(&format!("{expected:?} at the end of what changed"), mine.ends_with(&expected), mine)?;
    }
    Ok(())
}

pub(crate) async fn a_reader_far_behind_misses_nothing<R: KeyReader>(
    candidate: &Candidate<'_, R>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let before = candidate.head().await?;
    let keys = scene.keys(1_050)?;
    for some in keys.chunks(50) {
        candidate.written(&scene.insert(some)).await?;
        candidate.written(&scene.change(at(1), some.iter().map(Sample::revoke).collect())).await?;
    }
    let news = News::since(candidate, before).await?;
    let missing = keys.iter().filter(|key| !news.tells_of_key(&key.id)).count();
    same("how many of 1,050 revocations a reader far behind is not told of", &missing, &0)
}

pub(crate) async fn the_log_goes_on_for_a_thousand_changes<R: KeyReader>(
    candidate: &Candidate<'_, R>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let keys = scene.keys(1_000)?;
    for some in keys.chunks(50) {
        candidate.written(&scene.insert(some)).await?;
    }
    let before = candidate.head().await?;
    for some in keys.chunks(50) {
        candidate.written(&scene.change(at(1), some.iter().map(Sample::revoke).collect())).await?;
    }
    let Changes::Changed { keys: told, .. } = candidate.since(Some(before)).await? else {
        return Err(Unmet::failed("expected to be told of a thousand revocations, saw otherwise".to_owned()));
    };
    let missing = keys.iter().filter(|key| !told.contains(&key.id)).count();
    same("how many of 1,000 revocations a reader is not told of", &missing, &0)
}

pub(crate) async fn try_head_is_current<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    if candidate.subject().try_head().is_none() {
        return Err(Unmet::not_applicable("the store's head cannot be known without waiting"));
    }
    let keys = scene.keys(4)?;
    candidate.written(&scene.insert(&keys)).await?;
    for key in &keys {
        candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
        let now = candidate.subject().try_head();
        same("`try_head` after a revocation returned", &now, &Some(candidate.head().await?))?;
    }
    Ok(())
}

pub(crate) async fn a_find_is_never_older_than_the_log<R: KeyReader>(
    candidate: &Candidate<'_, R>,
) -> Result<(), Unmet> {
    follow::finds_as_told(candidate, candidate, candidate).await
}

pub(crate) async fn a_follower_misses_nothing<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    follow::nothing_is_missed(candidate, from_ref(candidate)).await
}

pub(crate) async fn logged_key<R: KeyReader>(
    candidate: &Candidate<'_, R>,
    what: &str,
    id: &KeyId,
    change: &Change,
) -> Result<(), Unmet> {
    let before = candidate.head().await?;
    candidate.written(change).await?;
    let news = News::since(candidate, before).await?;
    ensure(&format!("{what} to be in the log"), news.tells_of_key(id), &news)
}
