//! Moving whole tables: exports and imports.

use tower_api_keys::{
    KeyKind,
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow, Suspension},
    store::{
        Changes, Conflict, FoundOwner, OwnerChange, Write,
        transfer::{Batch, Cursor, MetaRow, OwnerRow, PortableStore, Tombstone},
    },
    usage::{UsageBatch, UsageDayRow, UsageTotals},
};

use crate::{
    Candidate, Unmet,
    dropped::{endless, polled, stops},
    follow::News,
    rows::{import, imported, joined, lived_in, new_rows, next_sequence, others, owner_row, refused, singles, stands},
    scene::{Scene, at},
    unmet::{conflicts, ensure, same},
    usage::row as usage_row,
};

pub(crate) async fn every_row_is_exported<S: PortableStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for rows in lived_in(candidate).await? {
        stands(candidate, &rows, &rows, 1_000).await?;
    }
    Ok(())
}

pub(crate) async fn pages_of_any_size_have_the_same_rows<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    for rows in lived_in(candidate).await? {
        for limit in [1, 2, 3, 4, 5] {
            stands(candidate, &rows, &rows, limit).await?;
        }
    }
    Ok(())
}

pub(crate) async fn an_export_has_a_beginning_and_an_end<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let mut missing: Vec<Batch> = lived_in(candidate).await?.iter().flat_map(singles).collect();
    let mut cursor = Some(Cursor::START);
    while let Some(from) = cursor {
        let page = candidate.subject().export(&from, 1_000).await;
        let page = page.map_err(|error| Unmet::call("export", &error))?;
        let seen = singles(&page.rows);
        missing.retain(|row| !seen.contains(row));
        let moves = page.next.as_ref().is_none_or(|next| *next > from);
        ensure("each page of an export to begin behind the one before", moves, &page.next)?;
        cursor = page.next;
    }
    same("what an export of everything misses", &missing, &Vec::new())
}

pub(crate) async fn an_imported_row_comes_out_as_it_went_in<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    for rows in new_rows(candidate, &scene).await? {
        imported(candidate, &rows, rows.len()).await?;
        stands(candidate, &rows, &rows, 1_000).await?;
    }
    Ok(())
}

pub(crate) async fn imported_rows_are_like_written_ones<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?.with(|row| {
        (row.version, row.revoked_at, row.revoked_by) = (7, Some(at(5).as_millis()), Some("user:bob".into()));
    });
    let suspended = OwnerStatusRow { plan_suspended_at: Some(3), ..OwnerStatusRow::default() };
    let event = EventRow { sequence: next_sequence(candidate, &scene).await?, ..scene.event(at(9)) };
    let meta = MetaRow { name: scene.word(), value: vec![0, 255] };
    let used = [usage_row(&key, "success", "intake", 3, 10, 20), usage_row(&key, "key_revoked", "", 2, 30, 40)];
    // Not the sum of the counts: a store must not compute days from them.
    let day = UsageDayRow { key: key.row.id.clone(), day: 7, accepted: 2, refused: 1 };
    let tables = [
        Batch::Meta(vec![meta.clone()]),
        Batch::Owners(vec![owner_row(&scene.owner(), suspended)]),
        Batch::Keys(vec![key.row.clone()]),
        Batch::Usage(used.to_vec()),
        Batch::UsageDays(vec![day.clone()]),
        Batch::Events(vec![event.clone()]),
    ];
    for rows in &tables {
        imported(candidate, rows, rows.len()).await?;
    }
    let found = candidate.found(&key.id).await?;
    same("an imported key", &found.key, &key.row)?;
    same("the status of its owner", &found.owner, &suspended)?;
    same("the status of an imported owner", &candidate.owner_status(&scene.owner()).await?.owner, &suspended)?;
    same("the list of keys", &candidate.listed(&scene.query(), at(0)).await?, &vec![key.row.id.clone()])?;
    let totals =
        UsageTotals { successes: 3, last_success_at: Some(at(20)), failures: 2, last_failure_at: Some(at(40)) };
    same("the totals of an imported key", &candidate.usage(&scene).await?, &totals)?;
    same("the days of an imported key", &candidate.days(&[key.id], 7).await?, &vec![day])?;
    same("the last of the events", &candidate.events(&scene).await?.pop(), &Some(event))?;
    same("what stands under an imported name", &candidate.put_meta(&meta.name, b"later").await?, &meta.value)
}

pub(crate) async fn importing_again_changes_nothing<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let tables = new_rows(candidate, &scene).await?;
    for rows in &tables {
        imported(candidate, &joined(&[rows.clone(), rows.clone()]), rows.len()).await?;
    }
    let head = candidate.head_if_tracked().await?;
    for rows in &tables {
        imported(candidate, rows, 0).await?;
        stands(candidate, rows, rows, 1_000).await?;
    }
    same("the head of the log after a second import", &candidate.head_if_tracked().await?, &head)
}

pub(crate) async fn a_differing_row_is_a_conflict<S: PortableStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    for rows in new_rows(candidate, &scene).await? {
        let mut rows = singles(&rows);
        let Some(last) = rows.pop() else { continue };
        imported(candidate, &last, 1).await?;
        for other in others(&last) {
            // The rows before it are new, and must not be written either.
            let batch = joined(&[rows.as_slice(), &[other]].concat());
            refused(candidate, &batch).await?;
            stands(candidate, &batch, &last, 1_000).await?;
        }
    }
    Ok(())
}

pub(crate) async fn no_import_un_revokes<S: PortableStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (key, suspended) = (scene.key()?, scene.owner());
    let closed = scene.owner_named(KeyKind::User, "bob")?;
    candidate.written(&scene.insert([&key])).await?;
    let live = candidate.found(&key.id).await?.key;
    let ends = vec![
        key.revoke(),
        Write::Owner(suspended.clone(), OwnerChange::Suspend(Suspension::Admin)),
        Write::Owner(closed.clone(), OwnerChange::Close),
    ];
    candidate.written(&scene.change(at(1), ends)).await?;
    let before = candidate.found(&key.id).await?;
    let active = OwnerStatusRow::default();
    let attempts = [
        Batch::Keys(vec![live.clone()]),
        Batch::Keys(vec![KeyRow { version: live.version + 1, ..live }]),
        Batch::Owners(vec![owner_row(&suspended, active)]),
        Batch::Owners(vec![owner_row(&closed, active)]),
    ];
    for rows in attempts {
        refused(candidate, &rows).await?;
    }
    same("a revoked key after imports of it", &candidate.found(&key.id).await?, &before)?;
    let status = candidate.owner_status(&closed).await?;
    ensure("a closed owner to stay closed", status.owner.closed_at.is_some(), status)
}

pub(crate) async fn later_events_come_after_imported_ones<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, key) = (Scene::new()?, Scene::new()?.key()?);
    let first = next_sequence(candidate, &scene).await?;
    let event = |sequence| EventRow { sequence, ..scene.event(at(1)) };
    // A gap, as in a store that deleted old events; then the earlier events, which must not move the end back.
    let (early, late) = (vec![event(first), event(first + 1)], vec![event(first + 10), event(first + 20)]);
    for rows in [&late, &early] {
        imported(candidate, &Batch::Events(rows.clone()), 2).await?;
    }
    candidate.append(&[scene.event(at(0))]).await?;
    let change =
        scene.change(at(2), vec![Write::Owner(scene.owner(), OwnerChange::Suspend(Suspension::Plan)), key.insert()]);
    candidate.written(&change).await?;
    let seen = candidate.events(&scene).await?;
    let numbered = seen.is_sorted_by(|one, other| one.sequence < other.sequence);
    ensure("events in the order of their numbers", numbered, &seen)?;
    let (imported, later): (Vec<_>, Vec<_>) =
        seen.into_iter().filter(|event| event.sequence >= first).partition(|event| event.sequence <= first + 20);
    same("imported events", &imported, &[early, late].concat())?;
    same("how many events came later", &later.len(), &3)
}

pub(crate) async fn an_imported_suspension_is_logged<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, head) = (Scene::new()?, candidate.head().await?);
    let owner = scene.owner_named(KeyKind::User, "alice")?;
    let active = owner_row(&owner, OwnerStatusRow::default());
    imported(candidate, &Batch::Owners(vec![active]), 1).await?;
    same("the log after an import that changes nothing", &candidate.since(Some(head)).await?, &Changes::Unchanged)?;
    let suspended = OwnerStatusRow { suspended_at: Some(1), ..OwnerStatusRow::default() };
    imported(candidate, &Batch::Owners(vec![owner_row(&scene.owner(), suspended)]), 1).await?;
    match candidate.since(Some(head)).await? {
        Changes::Reset { .. } => Ok(()),
        Changes::Changed { keys, mut owners, .. } => {
            // Repeats are harmless.
            owners.dedup();
            same("the keys and owners of the log", &(keys, owners), &(vec![], vec![scene.owner()]))
        }
        seen => {
            Err(Unmet::failed(format!("the log after an import of a suspension: expected the owner, saw {seen:?}")))
        }
    }
}

pub(crate) async fn an_imported_organization_s_status_is_logged<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, head) = (Scene::new()?, candidate.head().await?);
    let status = OwnerStatusRow { closed_at: Some(1), ..OwnerStatusRow::default() };
    let (organization, kind) = (scene.organization().as_str().to_owned(), "organization".to_owned());
    imported(candidate, &Batch::Owners(vec![OwnerRow { organization, kind, id: String::new(), status }]), 1).await?;
    let news = News::since(candidate, head).await?;
    ensure("the log to tell of the organization", news.tells_of_organization(&scene.organization()), &news)?;
    let found = candidate.owner_status(&scene.owner()).await?;
    same(
        "the status of the organization",
        &found,
        &FoundOwner { owner: OwnerStatusRow::default(), organization: status },
    )
}

pub(crate) async fn no_key_has_the_id_of_a_purged_one<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let tombstone = Tombstone {
        id: key.row.id.clone(),
        organization: Scene::new()?.organization().as_str().to_owned(),
        lineage: key.row.lineage.clone(),
        created_via_key: None,
        revoked_at: Some(1),
        expires_at: Some(2),
    };
    imported(candidate, &Batch::Tombstones(vec![tombstone]), 1).await?;
    conflicts("a key of an id that is gone", candidate.apply(&scene.insert([&key])).await, Conflict::IdTaken)?;
    refused(candidate, &Batch::Keys(vec![scene.key()?.row, key.row])).await?;
    same("the key", &candidate.find(&key.id).await?, &None)?;
    // Also the reverse: a key that exists gets no tombstone.
    let there = scene.key()?;
    candidate.written(&scene.insert([&there])).await?;
    refused(candidate, &Batch::Tombstones(vec![Tombstone::from(&there.row)])).await?;
    same("the key that is there", &candidate.find(&there.id).await?.map(|found| found.key), &Some(there.row))
}

pub(crate) async fn an_imported_key_goes_on<S: PortableStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?.with(|row| row.version = 7);
    imported(candidate, &Batch::Keys(vec![key.row.clone()]), 1).await?;
    let used = usage_row(&key, "success", "", 3, 10, 20);
    let day = UsageDayRow { key: key.row.id.clone(), day: used.day(), accepted: 3, refused: 0 };
    imported(candidate, &Batch::Usage(vec![used]), 1).await?;
    imported(candidate, &Batch::UsageDays(vec![day.clone()]), 1).await?;
    candidate.written(&scene.change(at(1), vec![key.rename(7, "Tuesday cron")])).await?;
    candidate.written(&scene.change(at(2), vec![key.revoke()])).await?;
    let seen = candidate.found(&key.id).await?.key;
    same("its version after an update", &seen.version, &8)?;
    same("its revocation", &seen.revoked_at, &Some(at(2).as_millis()))?;
    let rows = vec![usage_row(&key, "success", "", 4, 15, 30)];
    let days = UsageDayRow::sums(&rows);
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows, days }).await?;
    let totals = UsageTotals { successes: 7, last_success_at: Some(at(30)), ..UsageTotals::default() };
    same("its totals", &candidate.usage(&scene).await?, &totals)?;
    same("its days", &candidate.days(&[key.id], day.day).await?, &vec![UsageDayRow { accepted: 7, ..day }])
}

pub(crate) async fn a_dropped_import_is_whole_or_nothing<S: PortableStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    for stop in stops() {
        let scene = Scene::new()?;
        let rows = Batch::Keys(scene.keys(20)?.into_iter().map(|key| key.row).collect());
        let is_done = polled(candidate.subject().import(&rows), stop).await.is_some();
        // On the connection of the dropped call, if the store still has it.
        candidate.written(&scene.insert([&scene.key()?])).await?;
        let written = import(candidate, &rows).await.map_err(|error| Unmet::call("import", &error))?;
        let what = format!("all or none of 20 rows to be missing after an import dropped {stop}");
        ensure(&what, [0, 20].contains(&written), written)?;
        imported(candidate, &rows, 0).await?;
        if is_done {
            return Ok(());
        }
    }
    Err(endless())
}
