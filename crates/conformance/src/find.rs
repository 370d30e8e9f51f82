//! Finding a key by its id.

use std::{future::poll_fn, pin::pin, task::Poll};

use futures_util::future::try_join;
use tokio::task::yield_now;
use tower_api_keys::{
    KeyKind, Timestamp,
    key::KeyId,
    record::{KeyRow, OwnerStatusRow, Suspension},
    store::{KeyReader, OwnerChange, Write},
};

use crate::{
    Candidate, Unmet,
    columns::fill,
    scene::{Sample, Scene, at},
    unmet::{ensure, made, same},
};

pub(crate) async fn an_absent_key_is_not_found<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    same("an id nobody inserted", &candidate.find(&scene.id()?).await?, &None)
}

pub(crate) async fn ids_are_compared_byte_by_byte<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let stem: String = scene.word().chars().take(16).collect();
    let id = |end: &str| made(KeyId::new(&format!("{stem}{end}")));
    let written = scene.key_with(id("aaZz")?)?;
    candidate.written(&scene.insert([&written])).await?;
    let others = ["AAZZ", "aazz", "aaZZ", "aaZy", "__Zz", "--Zz", "aaZ_", "aaZ-"];
    for end in others {
        same(&format!("{} when only {} exists", id(end)?, written.id), &candidate.find(&id(end)?).await?, &None)?;
    }
    let others: Vec<Sample> = others.iter().map(|end| scene.key_with(id(end)?)).collect::<Result<_, _>>()?;
    candidate.written(&scene.insert(&others)).await?;
    for key in others.iter().chain([&written]) {
        same("a key among its likes", &candidate.found(&key.id).await?.key, &key.row)?;
    }
    Ok(())
}

pub(crate) async fn every_column_comes_back<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (creator, predecessor) = (scene.id()?, scene.id()?);
    let full = scene.key()?.with(|row| fill(row, &creator, &predecessor));
    let bare = scene.key()?.with(|row| {
        row.kind = "user".into();
        row.name = String::new();
        row.labels = "{}".into();
        row.pepper_id = Some(0);
        row.scopes = String::new();
        row.allowed_networks = Some(String::new());
        row.created_at = Timestamp::MIN.as_millis();
    });
    let ends = scene.key()?.with(|row| {
        row.name = "\u{1f511}".repeat(100);
        row.created_at = Timestamp::MAX.as_millis();
        row.expires_at = Some(Timestamp::MIN.as_millis());
        row.revoked_at = Some(Timestamp::MAX.as_millis());
        row.paused_at = Some(Timestamp::MIN.as_millis());
        row.predecessor_expires_at = Some(Timestamp::MAX.as_millis());
        row.grace_ends_at = Some(Timestamp::MIN.as_millis());
        row.warned_end = Some(Timestamp::MIN.as_millis());
        row.warned_before_ms = Some(0);
        // The milliseconds of a time that no floating-point number of seconds holds.
        row.paused_at = Some(253_402_300_799_997);
    });
    for key in [full, bare, ends] {
        candidate.written(&scene.insert([&key])).await?;
        same("a key just inserted", &candidate.found(&key.id).await?.key, &key.row)?;
    }
    Ok(())
}

pub(crate) async fn text_is_kept_byte_by_byte<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    for text in
        [" O'Brien ", "100%_\\", "a\"b`c", "'; drop table keys; --", "e\u{301}\u{e9}", "\u{feff}x", "NULL", "1e3"]
    {
        // The crate makes no such ids, but a store also keeps what plain SQL or an older version wrote.
        let key = scene.key()?.with(|row| {
            row.organization.push_str(text);
            row.owner = text.to_owned();
            row.name = text.to_owned();
            row.labels = labels(text);
            row.limits = Some(text.to_owned());
            row.imported_from = Some(text.to_owned());
            row.responsible = Some(text.to_owned());
            row.created_by = format!("user:{text}");
            row.revoked_by = Some(format!("user:{text}"));
            row.revoked_at = Some(row.created_at);
        });
        candidate.written(&scene.insert([&key])).await?;
        same("a key just inserted", &candidate.found(&key.id).await?.key, &key.row)?;
    }
    Ok(())
}

/// The form in which labels are stored: no blanks between them, in the order of their names' bytes.
fn labels(value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', r#"\""#);
    format!("{{\"a\":\"{value}\",\"aa\":\"1\",\"b\":\"\u{e9}\"}}")
}

pub(crate) async fn a_dead_key_is_found<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let expired = scene.key()?.with(|row| row.expires_at = Some(Timestamp::MIN.as_millis()));
    let revoked = scene.key()?;
    candidate.written(&scene.insert([&expired, &revoked])).await?;
    candidate.written(&scene.change(at(1), vec![revoked.revoke()])).await?;
    for (what, key) in [("an expired key", expired), ("a revoked key", revoked)] {
        ensure(&format!("{what} to be found"), candidate.find(&key.id).await?.is_some(), "none")?;
    }
    Ok(())
}

/// What happens to an owner, or to an organization, one after the other.
const STEPS: [OwnerChange; 4] = [
    OwnerChange::Suspend(Suspension::Admin),
    OwnerChange::Suspend(Suspension::Plan),
    OwnerChange::Reinstate(Suspension::Admin),
    OwnerChange::Close,
];

/// What each step does to a status, written independently of the library.
fn expect(status: &mut OwnerStatusRow, step: OwnerChange, now: Timestamp) {
    let now = Some(now.as_millis());
    match step {
        OwnerChange::Suspend(Suspension::Admin) => status.suspended_at = now,
        OwnerChange::Suspend(Suspension::Plan) => status.plan_suspended_at = now,
        OwnerChange::Reinstate(_) => status.suspended_at = None,
        OwnerChange::Close => status.closed_at = now,
        // Not among the steps.
        _ => {}
    }
}

pub(crate) async fn a_key_comes_with_its_owner_s_status<R: KeyReader>(
    candidate: &Candidate<'_, R>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let mut expected = OwnerStatusRow::default();
    same("the status of an owner nobody ever suspended", &candidate.found(&key.id).await?.owner, &expected)?;
    for (millis, step) in (1..).zip(STEPS) {
        let now = at(millis);
        candidate.written(&scene.change(now, vec![Write::Owner(scene.owner(), step)])).await?;
        expect(&mut expected, step, now);
        same(&format!("the owner's status after {step:?}"), &candidate.found(&key.id).await?.owner, &expected)?;
    }
    Ok(())
}

pub(crate) async fn a_status_is_one_owner_s<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let suspended = scene.owner_named(KeyKind::Team, "a%_x")?;
    let others = [
        scene.owner_named(KeyKind::User, "a%_x")?,
        elsewhere.owner_named(KeyKind::Team, "a%_x")?,
        scene.owner_named(KeyKind::Team, "A%_X")?,
        scene.owner_named(KeyKind::Team, "abcx")?,
    ];
    let mut keys: Vec<Sample> = others.iter().map(|owner| scene.key_of(owner)).collect::<Result<_, _>>()?;
    // Not an id that the crate makes, and different in one byte.
    keys.push(scene.key_of(&suspended)?.with(|row| row.owner.push(' ')));
    let mine = scene.key_of(&suspended)?;
    candidate.written(&scene.insert(keys.iter().chain([&mine]))).await?;
    candidate
        .written(&scene.change(at(1), vec![Write::Owner(suspended, OwnerChange::Suspend(Suspension::Plan))]))
        .await?;
    ensure(
        "the suspended owner's key to say so",
        candidate.found(&mine.id).await?.owner.plan_suspended_at.is_some(),
        "nothing",
    )?;
    for key in &keys {
        let what = format!("the status of {} `{}` when another is suspended", key.row.kind, key.row.owner);
        same(&what, &candidate.found(&key.id).await?.owner, &OwnerStatusRow::default())?;
    }
    Ok(())
}

pub(crate) async fn a_key_comes_with_its_organization_s_status<R: KeyReader>(
    candidate: &Candidate<'_, R>,
) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let (key, other) = (scene.key()?, elsewhere.key()?);
    candidate.written(&scene.insert([&key])).await?;
    candidate.written(&elsewhere.insert([&other])).await?;
    let mut expected = OwnerStatusRow::default();
    same(
        "the status of an organization that was never suspended",
        &candidate.found(&key.id).await?.organization,
        &expected,
    )?;
    for (millis, step) in (1..).zip(STEPS) {
        let now = at(millis);
        candidate.written(&scene.change(now, vec![Write::Organization(scene.organization(), step)])).await?;
        expect(&mut expected, step, now);
        let found = candidate.found(&key.id).await?;
        same(&format!("the organization's status after {step:?}"), &found.organization, &expected)?;
        same("the status of an owner whose organization is suspended", &found.owner, &OwnerStatusRow::default())?;
    }
    let other = candidate.found(&other.id).await?.organization;
    same("the status of another organization", &other, &OwnerStatusRow::default())
}

pub(crate) async fn a_returned_change_is_seen<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for version in 1..=8 {
        let name = format!("name {version}");
        candidate.written(&scene.change(at(1), vec![key.rename(version, &name)])).await?;
        let expected = KeyRow { name, version: version + 1, ..key.row.clone() };
        same("a key just updated", &candidate.found(&key.id).await?.key, &expected)?;
    }
    candidate.written(&scene.change(at(2), vec![key.revoke()])).await?;
    let seen = candidate.found(&key.id).await?.key.revoked_at;
    same("when a key just revoked was", &seen, &Some(at(2).as_millis()))
}

pub(crate) async fn key_and_status_are_of_one_moment<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    const ROUNDS: i64 = 24;
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    let writer = async {
        for version in 1..=ROUNDS {
            let suspended = version % 2 == 1;
            let step = if suspended {
                OwnerChange::Suspend(Suspension::Plan)
            } else {
                OwnerChange::Reinstate(Suspension::Plan)
            };
            let name = if suspended { "suspended" } else { "free" };
            let writes = vec![key.rename(version, name), Write::Owner(scene.owner(), step)];
            candidate.written(&scene.change(at(1), writes)).await?;
            yield_now().await;
        }
        Ok(())
    };
    let reader = async {
        for _ in 0..2 * ROUNDS {
            let found = candidate.found(&key.id).await?;
            let suspended = found.owner.plan_suspended_at.is_some();
            let seen = (&found.key.name, &found.owner);
            ensure("a key named as its owner's status is", (found.key.name == "suspended") == suspended, seen)?;
            yield_now().await;
        }
        Ok(())
    };
    try_join(writer, reader).await.map(|_| ())
}

pub(crate) async fn a_dropped_read_harms_nothing<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    for _ in 0..64 {
        begin(candidate.subject().find(&key.id)).await;
        begin(candidate.subject().changes_since(None)).await;
    }
    same("a key after many dropped reads", &candidate.found(&key.id).await?.key, &key.row)?;
    candidate.head_if_tracked().await.map(|_| ())
}

/// Polls once and drops.
pub(super) async fn begin<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}
