//! Users, teams and organizations that are erased: S121 to S125.

use tower_api_keys::{
    KeyKind, OrganizationId,
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow, Suspension},
    store::{
        Change, Changes, Conflict, Effect, Erasure, EventQuery, Guard, KeyStore, Ledger, OwnerChange, OwnerRef,
        Pseudonym, StoreErrorKind, UsageScope, Write,
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{conflicts, ensure, made, same},
    usage::row,
};

const DAY: i32 = 20_000;

fn erase(scene: &Scene, owner: Option<&OwnerRef>, pseudonym: Pseudonym) -> Change {
    let (organization, owner) = (scene.organization(), owner.map(|of| of.owner.clone()));
    scene.change(at(9), vec![Write::Erase(Erasure { organization, owner, pseudonym })])
}

fn close(scene: &Scene, owner: &OwnerRef) -> Change {
    scene.change(at(8), vec![Write::Owner(owner.clone(), OwnerChange::Close)])
}

/// An event of this scene, not of its owner.
fn event(scene: &Scene, actor: &str, action: &str, key: Option<&Sample>, owner: &OwnerRef) -> EventRow {
    EventRow {
        actor: actor.to_owned(),
        action: action.to_owned(),
        key: key.map(|key| key.row.id.clone()),
        owner_kind: owner.owner.kind().as_str().to_owned(),
        owner: owner.owner.id().to_owned(),
        before: Some(format!("{actor} before")),
        after: Some(format!("{actor} after")),
        source: Some(format!("desk of {actor}")),
        ..scene.event(at(1))
    }
}

/// The same event without the texts that could identify the erased.
fn bare(event: &EventRow) -> EventRow {
    EventRow { before: None, after: None, source: None, ..event.clone() }
}

fn counted(scene: &Scene, keys: &[&Sample]) -> UsageBatch {
    let rows = keys.iter().map(|key| row(key, "success", "desk", 1, 1, 2)).collect();
    let day = |key: &&Sample| UsageDayRow { key: key.row.id.clone(), day: DAY, accepted: 1, refused: 0 };
    UsageBatch { writer: scene.bytes(), sequence: 1, rows, days: keys.iter().map(day).collect() }
}

/// All events without their numbers, entries of the access log after all others.
async fn told<S: Ledger>(candidate: &Candidate<'_, S>, of: &OrganizationId) -> Result<Vec<EventRow>, Unmet> {
    let mut rows = Vec::new();
    for attempts in [false, true] {
        let query = EventQuery { attempts, limit: 1_000, ..EventQuery::all(of.clone()) };
        rows.extend(candidate.events_page(&query).await?.rows);
    }
    rows.iter_mut().for_each(|event| event.sequence = 0);
    Ok(rows)
}

async fn is_used<S: Ledger>(candidate: &Candidate<'_, S>, key: &Sample) -> Result<[bool; 2], Unmet> {
    let counts = candidate.counts(&UsageScope::Keys(vec![key.id])).await?;
    Ok([!counts.is_empty(), !candidate.days(&[key.id], DAY).await?.is_empty()])
}

pub(crate) async fn the_erased_are_nowhere<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for kind in [KeyKind::User, KeyKind::Team] {
        let scene = Scene::new()?;
        let (gone, team) = (scene.owner_named(kind, "alice")?, scene.owner());
        let (pseudonym, is_user) = (Pseudonym::from_bytes(scene.bytes()), kind == KeyKind::User);
        let (name, by) = (pseudonym.to_string(), format!("user:{pseudonym}"));
        let key = scene.key_of(&gone)?;
        let by_their_key = format!("key:{}", key.id);
        let theirs = |row: &mut KeyRow| {
            row.created_by = "user:alice".to_owned();
            row.responsible = Some(format!("{}:alice", kind.as_str()));
            (row.paused_at, row.paused_by) = (Some(at(2).as_millis()), Some("user:alice".to_owned()));
            (row.revoked_at, row.revoked_by) = (Some(at(3).as_millis()), Some("user:alice".to_owned()));
        };
        let made_by_them = scene.key()?.with(theirs);
        let made_with = scene.key()?.with(|row| {
            (row.created_by, row.created_via_key) = (by_their_key.clone(), Some(key.row.id.clone()));
        });
        candidate.written(&scene.insert([&key, &made_by_them, &made_with])).await?;
        let suspend = Write::Owner(gone.clone(), OwnerChange::Suspend(Suspension::Admin));
        candidate.written(&scene.change(at(7), vec![suspend])).await?;
        candidate.written(&close(&scene, &gone)).await?;
        candidate.record(&counted(&scene, &[&key, &made_by_them])).await?;
        let about = event(&scene, "user:bob", "key.renamed", Some(&key), &gone);
        let by_them = event(&scene, "user:alice", "key.revoked", Some(&made_by_them), &team);
        let with_their_key = event(&scene, &by_their_key, "key.paused", Some(&made_with), &team);
        let accepted = event(&scene, &by_their_key, "attempt.accepted", Some(&key), &gone);
        let named = |action, before: &str, after: &str| EventRow {
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
            ..event(&scene, "user:bob", action, Some(&made_with), &team)
        };
        let set = named("key.responsible_set", "alice", "on-call");
        let summary = format!(r#"{{"name":"x","responsible":"{}:alice"}}"#, kind.as_str());
        let issued = named("key.issued", "", &summary);
        let others = named("key.issued", "alice", r#"{"name":"alice","responsible":"alice2"}"#);
        candidate.append(&[about, by_them, with_their_key, accepted, set, issued, others]).await?;
        let before = told(candidate, &scene.organization()).await?;
        let change = erase(&scene, Some(&gone), pseudonym);
        candidate.written(&change).await?;

        let is_theirs = |event: &EventRow| event.owner_kind == kind.as_str() && event.owner == "alice";
        let renamed = |event: &EventRow| {
            let is_by = is_user && event.actor == "user:alice";
            let mut renamed =
                if is_theirs(event) || is_by || event.actor == by_their_key { bare(event) } else { event.clone() };
            if event.action == "key.responsible_set" || event.after.as_ref() == Some(&summary) {
                (renamed.before, renamed.after) = (None, None);
            }
            if is_theirs(event) {
                renamed.owner.clone_from(&name);
            }
            if is_by {
                renamed.actor.clone_from(&by);
            }
            renamed
        };
        let mut expected: Vec<EventRow> = before.iter().map(renamed).collect();
        // The last one that is not in the access log.
        let place = expected.iter().filter(|event| !event.is_attempt()).count();
        expected.splice(place..place, change.writes.first().map(|audited| audited.event.clone()));
        same("the events of the erased person", &told(candidate, &scene.organization()).await?, &expected)?;
        same("their key", &candidate.find(&key.id).await?, &None)?;
        let pseudonymous = |text: &str| if is_user { by.clone() } else { text.to_owned() };
        let kept = KeyRow {
            created_by: pseudonymous("user:alice"),
            responsible: None,
            paused_by: Some(pseudonymous("user:alice")),
            revoked_by: Some(pseudonymous("user:alice")),
            ..made_by_them.row.clone()
        };
        same("a key that they made for others", &candidate.found(&made_by_them.id).await?.key, &kept)?;
        same("a key that was made with theirs", &candidate.found(&made_with.id).await?.key, &made_with.row)?;
        same("whether counts of their key are left", &is_used(candidate, &key).await?, &[false, false])?;
        same("whether counts of another key are left", &is_used(candidate, &made_by_them).await?, &[true, true])?;
        let status = candidate.owner_status(&gone).await?.owner;
        same("the status of the next one of their id", &status, &OwnerStatusRow::default())?;
    }
    Ok(())
}

pub(crate) async fn neighbours_stay<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let gone = scene.owner_named(KeyKind::User, "alice")?;
    // The same id of another kind, in another organization, and similar ids.
    let neighbours = [
        (&scene, scene.owner_named(KeyKind::Team, "alice")?),
        (&elsewhere, elsewhere.owner_named(KeyKind::User, "alice")?),
        (&scene, scene.owner_named(KeyKind::User, "alice2")?),
        (&scene, scene.owner_named(KeyKind::User, "Alice")?),
        (&scene, scene.owner_named(KeyKind::User, "alic_")?),
    ];
    let mut keys = Vec::new();
    for (scene, owner) in &neighbours {
        let key = scene.key_of(owner)?.with(|row| row.created_by = format!("user:{}2", owner.owner.id()));
        candidate.written(&scene.insert([&key])).await?;
        candidate.written(&close(scene, owner)).await?;
        candidate.record(&counted(scene, &[&key])).await?;
        let actor = format!("user:{}2", owner.owner.id());
        candidate.append(&[event(scene, &actor, "key.renamed", Some(&key), owner)]).await?;
        keys.push(key);
    }
    candidate.written(&close(&scene, &gone)).await?;
    // Neither about the erased user nor by them; all events of the kit's changes are like this.
    let (pseudonym, by_them) = (Pseudonym::from_bytes(scene.bytes()), "user:alice");
    let mut before = told(candidate, &scene.organization()).await?;
    before.retain(|event| event.actor != by_them);
    before.extend(told(candidate, &elsewhere.organization()).await?);
    candidate.written(&erase(&scene, Some(&gone), pseudonym)).await?;
    let mut after = told(candidate, &scene.organization()).await?;
    after.retain(|event| event.actor != by_them && event.actor != format!("user:{pseudonym}"));
    ensure("events of neighbours", before.len() > neighbours.len(), before.len())?;
    after.extend(told(candidate, &elsewhere.organization()).await?);
    same("the events of neighbours", &after, &before)?;
    for ((_, owner), key) in neighbours.iter().zip(&keys) {
        let what = |what: &str| format!("{what} of the {} {}", owner.owner.kind().as_str(), owner.owner.id());
        let found = candidate.found(&key.id).await?;
        same(&what("a key"), &found.key, &key.row)?;
        ensure(&what("the closing"), found.owner.closed_at.is_some(), found.owner)?;
        same(&what("counts"), &is_used(candidate, key).await?, &[true, true])?;
    }
    Ok(())
}

pub(crate) async fn an_erased_organization_is_nowhere<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let alice = scene.owner_named(KeyKind::User, "alice")?;
    let (team_key, key, other) = (scene.key()?, scene.key_of(&alice)?, elsewhere.key()?);
    candidate.written(&scene.insert([&team_key, &key])).await?;
    candidate.written(&elsewhere.insert([&other])).await?;
    candidate.written(&close(&scene, &alice)).await?;
    let whole = scene.change(at(8), vec![Write::Organization(scene.organization(), OwnerChange::Close)]);
    candidate.written(&whole).await?;
    candidate.record(&counted(&scene, &[&team_key, &key, &other])).await?;
    let keyless = |of: &Scene| UsageRow {
        key: None,
        organization: Some(of.organization().as_str().to_owned()),
        ..row(&key, "malformed_key", "desk", 1, 1, 2)
    };
    let rows = vec![keyless(&scene), keyless(&elsewhere)];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows, days: Vec::new() }).await?;
    let about_all = EventRow {
        key: None,
        owner_kind: "organization".to_owned(),
        owner: String::new(),
        ..event(&scene, "user:alice", "inventory.exported", None, &alice)
    };
    let by_key = event(&scene, &format!("key:{}", key.id), "attempt.accepted", Some(&key), &alice);
    let by_system = event(&scene, "system:pruner", "key.purged", Some(&team_key), &scene.owner());
    candidate.append(&[about_all, by_key, by_system]).await?;
    let before = told(candidate, &scene.organization()).await?;
    let others = told(candidate, &elsewhere.organization()).await?;
    let pseudonym = Pseudonym::from_bytes(scene.bytes());
    let (name, under) = (pseudonym.to_string(), made(pseudonym.organization())?);
    let mut change = erase(&scene, None, pseudonym);
    if let Some(audited) = change.writes.first_mut() {
        let renamed = EventRow { organization: name.clone(), owner: String::new(), ..audited.event.clone() };
        audited.event = EventRow { owner_kind: "organization".to_owned(), ..renamed };
    }
    candidate.written(&change).await?;
    let renamed = |event: &EventRow| EventRow {
        organization: name.clone(),
        actor: if event.actor.starts_with("user:") { format!("user:{name}") } else { event.actor.clone() },
        owner: if event.owner.is_empty() { String::new() } else { name.clone() },
        ..bare(event)
    };
    let mut expected: Vec<EventRow> = before.iter().map(renamed).collect();
    let place = expected.iter().filter(|event| !event.is_attempt()).count();
    expected.splice(place..place, change.writes.first().map(|audited| audited.event.clone()));
    same("the trail under the pseudonym", &told(candidate, &under).await?, &expected)?;
    same("the trail under the name", &told(candidate, &scene.organization()).await?, &Vec::new())?;
    same("its list", &candidate.listed(&scene.query(), at(0)).await?, &Vec::new())?;
    for key in [&team_key, &key] {
        same("a key of it", &candidate.find(&key.id).await?, &None)?;
        same("whether counts of its key are left", &is_used(candidate, key).await?, &[false, false])?;
    }
    let keyless_of = async |of: &Scene| candidate.counts(&UsageScope::NoKey(vec![Some(of.organization())])).await;
    same("its refusals without a key", &keyless_of(&scene).await?.len(), &0)?;
    let status = candidate.owner_status(&alice).await?;
    ensure("no status of it or in it", status.is_active(), status)?;
    same("another organization's key", &candidate.found(&other.id).await?.key, &other.row)?;
    same("another organization's counts", &is_used(candidate, &other).await?, &[true, true])?;
    same("another organization's refusals", &keyless_of(&elsewhere).await?.len(), &1)?;
    same("another organization's trail", &told(candidate, &elsewhere.organization()).await?, &others)
}

pub(crate) async fn erased_keys_are_in_the_log<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let alice = scene.owner_named(KeyKind::User, "alice")?;
    let (key, made) = (scene.key_of(&alice)?, scene.key()?.with(|row| row.created_by = "user:alice".to_owned()));
    let request = scene.request();
    let issue = Change { idempotency: Some(request.clone()), ..scene.insert([&key]) };
    candidate.written(&issue).await?;
    candidate.written(&scene.insert([&made])).await?;
    let head = candidate.head_if_tracked().await?;
    candidate.written(&close(&scene, &alice)).await?;
    let change = erase(&scene, Some(&alice), Pseudonym::from_bytes(scene.bytes()));
    candidate.written(&change).await?;
    if let Some(head) = head {
        match candidate.since(Some(head)).await? {
            Changes::Reset { .. } => {}
            Changes::Changed { keys, owners, .. } => {
                ensure("the erased key in the log", keys.contains(&key.id), keys)?;
                ensure("no name of the erased person in the log", !owners.contains(&alice), owners)?;
            }
            seen => return Err(Unmet::failed(format!("the log since the erasure: saw {seen:?}"))),
        }
    }
    same("the erased key", &candidate.find(&key.id).await?, &None)?;
    same("the erasure, repeated", &candidate.effects(&change).await?, &vec![Effect::Changed])?;
    same("the issue of the erased key, repeated", &candidate.effects(&issue).await?, &vec![Effect::Changed])?;
    let again = scene.insert([&scene.key_with(key.id)?]);
    conflicts("a new key with the id of an erased one", candidate.apply(&again).await, Conflict::IdTaken)?;
    // The idempotency key of a request is erased with the key that the request made.
    let next = Change { idempotency: Some(request), ..scene.insert([&scene.key()?]) };
    candidate.written(&next).await?;
    same("a key that stays", &candidate.found(&made.id).await?.key.owner, &made.row.owner)
}

pub(crate) async fn only_the_closed_are_erased<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let alice = scene.owner_named(KeyKind::User, "alice")?;
    let key = scene.key_of(&alice)?;
    candidate.written(&scene.insert([&key])).await?;
    let pseudonym = Pseudonym::from_bytes(scene.bytes());
    let refused = async |when: &str| {
        let change = erase(&scene, Some(&alice), pseudonym);
        conflicts(&format!("an erasure of {when}"), candidate.apply(&change).await, Conflict::NotClosed)?;
        same(&format!("the key of {when}"), &candidate.found(&key.id).await?.key, &key.row)
    };
    refused("somebody active").await?;
    let suspend = Write::Owner(alice.clone(), OwnerChange::Suspend(Suspension::Admin));
    candidate.written(&scene.change(at(1), vec![suspend])).await?;
    refused("somebody suspended").await?;
    let whole = |step| scene.change(at(1), vec![Write::Organization(scene.organization(), step)]);
    let change = erase(&scene, None, pseudonym);
    conflicts("an erasure of an organization", candidate.apply(&change).await, Conflict::NotClosed)?;
    candidate.written(&whole(OwnerChange::Close)).await?;
    refused("somebody in a closed organization").await?;
    candidate.written(&close(&scene, &alice)).await?;
    let (other, mut both) = (scene.key()?, erase(&scene, Some(&alice), pseudonym));
    both.writes.extend(scene.insert([&other]).writes);
    match candidate.apply(&both).await {
        Err(error) if error.kind() == StoreErrorKind::Refused => {}
        seen => {
            return Err(Unmet::failed(format!("an erasure beside another write: expected a refusal, saw {seen:?}")));
        }
    }
    same("the key after a refused erasure", &candidate.found(&key.id).await?.key, &key.row)?;
    same("the other write of a refused erasure", &candidate.find(&other.id).await?, &None)?;
    candidate.written(&erase(&scene, Some(&alice), pseudonym)).await?;
    let second = erase(&scene, Some(&alice), pseudonym);
    conflicts("a second erasure", candidate.apply(&second).await, Conflict::NotClosed)?;
    candidate.written(&erase(&scene, None, Pseudonym::from_bytes(scene.bytes()))).await?;
    // A new owner with the same id, who has nothing.
    let next = scene.key_of(&alice)?;
    let issue = Change { guards: vec![Guard::OwnerActive(alice.clone())], ..scene.insert([&next]) };
    candidate.written(&issue).await?;
    let found = candidate.found(&next.id).await?;
    same("the status of the next one of an erased id", &found.owner, &OwnerStatusRow::default())?;
    let listed = candidate.listed(&scene.query(), at(0)).await?;
    same("the keys of the next one of an erased id", &listed, &vec![next.row.id])
}
