//! Rows for exports and imports: those of a store that was used, new ones, and others that differ in one column.

use tower_api_keys::{
    KeyKind,
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, OwnerStatusRow, Suspension},
    store::{
        Conflict, KeyUpdate, OwnerChange, OwnerRef, StoreError, StoreErrorKind, Write,
        transfer::{Batch, Cursor, MetaRow, OwnerRow, PortableStore, Tombstone},
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use crate::{
    Candidate, Unmet,
    columns::{KEY_COLUMNS, another, another_text},
    scene::{Sample, Scene, at},
    unmet::{ensure, made, same},
    usage::{concerning, from, row as usage_row},
};

/// The latest time, 9999-12-31T23:59:59.999Z.
const END_OF_TIME: i64 = 253_402_300_799_999;

/// The day of [`END_OF_TIME`].
pub(super) const LAST_DAY: i32 = 2_932_896;

/// The rows of a store that was used for some time, in two organizations: runs of rows, in their order, with no other
/// row between them.
pub(super) async fn lived_in<S: PortableStore>(candidate: &Candidate<'_, S>) -> Result<Vec<Batch>, Unmet> {
    let (one, other) = (Scene::new()?, Scene::new()?);
    let keys = series(&one)?;
    let [revoked, renamed, expired, plain] = &keys;
    let plain = other.key_with(plain.id)?;
    let expired = expired.clone().with(|row| row.expires_at = Some(at(1).as_millis()));
    candidate.written(&one.insert([revoked, renamed, &expired])).await?;
    candidate.written(&other.insert([&plain])).await?;
    let rename = KeyUpdate { name: "Tuesday cron".into(), ..renamed.update(1) };
    let suspended = one.owner_named(KeyKind::User, "alice")?;
    let changes = vec![
        revoked.revoke(),
        Write::Update(rename),
        Write::Owner(suspended.clone(), OwnerChange::Suspend(Suspension::Admin)),
        Write::Owner(one.owner(), OwnerChange::Close),
    ];
    candidate.written(&one.change(at(1), changes)).await?;
    candidate
        .written(&other.change(at(2), vec![Write::Owner(other.owner(), OwnerChange::Suspend(Suspension::Plan))]))
        .await?;

    let used: Vec<_> = keys.iter().flat_map(usage_of).collect();
    let nameless = vec![concerning(None, usage_row(revoked, &one.word(), "intake", 5, 1, 2))];
    let concerned = without_key(&one, revoked).to_vec();
    let mut days = Vec::new();
    for (sequence, rows) in [(1, &used), (2, &nameless), (3, &concerned)] {
        let batch = UsageBatch { writer: one.bytes(), sequence, rows: rows.clone(), days: UsageDayRow::sums(rows) };
        candidate.record(&batch).await?;
        days.extend(batch.days);
    }
    let stem = one.word();
    let names: Vec<_> = (0..4).map(|n| MetaRow { name: format!("{stem}{n}"), value: vec![n; 3] }).collect();
    for row in &names {
        candidate.put_meta(&row.name, &row.value).await?;
    }

    let mut rows = Vec::new();
    for key in &keys {
        rows.push(candidate.found(&key.id).await?.key);
    }
    let mut owners = Vec::new();
    for owner in [one.owner(), suspended, other.owner()] {
        owners.push(owner_row(&owner, candidate.owner_status(&owner).await?.owner));
    }
    let elsewhere = owners.split_off(2);
    let events = [candidate.events(&one).await?, candidate.events(&other).await?].concat();
    let tables = [
        Batch::Meta(names),
        Batch::Owners(owners),
        Batch::Owners(elsewhere),
        Batch::Keys(rows),
        Batch::Usage(used),
        Batch::Usage(nameless),
        Batch::Usage(concerned),
        Batch::UsageDays(days),
        Batch::Events(events),
    ];
    Ok(tables.into_iter().map(sorted).collect())
}

/// Rows that no store has yet, of every table and with every column set and not set, in their order.
pub(super) async fn new_rows<S: PortableStore>(
    candidate: &Candidate<'_, S>,
    scene: &Scene,
) -> Result<Vec<Batch>, Unmet> {
    let stem = scene.word();
    let names = [("%", vec![]), ("A", vec![0]), ("a", vec![255, 0, 254]), ("\u{e9}", vec![1; 4_096])];
    let names = names.map(|(end, value)| MetaRow { name: format!("{stem}{end}"), value });
    let status =
        |suspended_at, plan_suspended_at, closed_at| OwnerStatusRow { suspended_at, plan_suspended_at, closed_at };
    let owners = [
        (KeyKind::Team, "A", status(Some(0), None, None)),
        (KeyKind::Team, "a", status(None, None, None)),
        (KeyKind::User, "a", status(None, Some(END_OF_TIME), None)),
        (KeyKind::User, "'\u{e9} %", status(Some(1), Some(2), Some(3))),
    ];
    let organization = OwnerRow {
        organization: scene.organization().as_str().to_owned(),
        kind: "organization".into(),
        id: String::new(),
        status: status(Some(4), None, Some(5)),
    };
    let mut owner_rows = vec![organization];
    for (kind, id, status) in owners {
        owner_rows.push(owner_row(&scene.owner_named(kind, id)?, status));
    }
    let keys = series(scene)?;
    let nobody = Some("~~~~~~~~~~~~~~~~~~~~".to_owned());
    let [one, two, three, four] = keys.clone().map(|key| key.row);
    let rows = vec![
        KeyRow { name: String::new(), labels: r#"{"a":"2","b":"1"}"#.into(), scopes: String::new(), ..one },
        KeyRow { kind: "user".into(), owner: "\u{e9}'%".into(), created_at: 0, expires_at: Some(0), ..two },
        KeyRow {
            tag: [0, 255, 39, 92],
            pepper_id: Some(i64::from(u32::MAX)),
            proof: Some(vec![0, 255]),
            allowed_networks: Some("10.0.0.0/8 192.0.2.1".into()),
            limits: Some("'\u{e9}".into()),
            imported_from: Some(String::new()),
            responsible: Some("user:bob".into()),
            created_via_key: nobody.clone(),
            paused_at: Some(END_OF_TIME),
            paused_by: Some("user:alice".into()),
            lineage: "~".into(),
            predecessor_expires_at: Some(0),
            grace_ends_at: Some(END_OF_TIME),
            warned_end: Some(END_OF_TIME),
            warned_before_ms: Some(0),
            expires_at: Some(END_OF_TIME),
            revoked_at: Some(0),
            revoked_by: Some("system:job".into()),
            replaces: nobody,
            version: i64::MAX,
            ..three
        },
        KeyRow { revoked_at: Some(END_OF_TIME), version: 2, ..four },
    ];
    let purged = |(id, created_via_key, revoked_at): (&str, Option<String>, Option<i64>)| Tombstone {
        id: format!("{stem}{id}"),
        organization: scene.organization().as_str().to_owned(),
        lineage: format!("{stem}A"),
        created_via_key,
        revoked_at,
        expires_at: revoked_at.map(|at| END_OF_TIME - at),
    };
    let purged = [("A", None, None), ("a", Some("~".into()), Some(0)), ("\u{e9}", None, Some(END_OF_TIME))].map(purged);
    let used = keys.iter().flat_map(usage_of).collect();
    let nameless = concerning(None, usage_row(&keys[0], &scene.word(), "", i64::MAX, 0, 0));
    let day = |key: &Sample, day, accepted, refused| UsageDayRow { key: key.row.id.clone(), day, accepted, refused };
    let days = vec![
        day(&keys[0], 0, 1, 0),
        day(&keys[0], LAST_DAY, 0, i64::MAX - 1),
        day(&keys[1], 10, i64::MAX - 1, 1),
        day(&keys[2], 9, 2, 2),
    ];
    let first = next_sequence(candidate, scene).await?;
    let event = |number: i64| EventRow { sequence: first + number, ..scene.event(at(0)) };
    let some = |text: &str| Some(text.to_owned());
    let events = vec![
        EventRow { key: None, after: None, at: 0, ..event(0) },
        EventRow { key: some("A"), before: some(""), after: some("'\u{e9}"), source: some(" a\n"), ..event(1) },
        EventRow { at: END_OF_TIME, actor: "system:job".into(), action: "a.b".into(), ..event(5) },
    ];
    let tables = [
        Batch::Meta(names.to_vec()),
        Batch::Owners(owner_rows),
        Batch::Keys(rows),
        Batch::Tombstones(purged.to_vec()),
        Batch::Usage(used),
        Batch::Usage(vec![nameless]),
        Batch::Usage(without_key(scene, &keys[0]).to_vec()),
        Batch::UsageDays(days),
        Batch::Events(events),
    ];
    Ok(tables.into_iter().map(sorted).collect())
}

/// Four keys with consecutive ids.
fn series(scene: &Scene) -> Result<[Sample; 4], Unmet> {
    let word = scene.word();
    let stem = word.get(..16).unwrap_or_default();
    let key = |end: &str| scene.key_with(made(KeyId::new(&format!("{stem}{end}")))?);
    Ok([key("0--A")?, key("0--a")?, key("00AA")?, key("0_zz")?])
}

fn usage_of(key: &Sample) -> [UsageRow; 6] {
    [
        usage_row(key, "key_revoked", "", 1, 5, 5),
        usage_row(key, "success", "", 3, 10, 20),
        from("", "", "203.0.113.0/24", usage_row(key, "success", "", 4, 10, 20)),
        from("", "intake", "", usage_row(key, "success", "", 5, 10, 20)),
        usage_row(key, "success", "intake", i64::from(i32::MAX), 1, 30),
        from("intake", "c\u{fc}rl", "2001:db8::/48", usage_row(key, "success", "", 6, 10, 20)),
    ]
}

/// Refusals that name no key and concern the scene's organization, with the same outcomes and sources as those of a
/// key.
fn without_key(scene: &Scene, key: &Sample) -> [UsageRow; 2] {
    let rows = [usage_row(key, "key_revoked", "", 7, 5, 5), usage_row(key, "success", "intake", 9, 1, 30)];
    rows.map(|row| concerning(Some(&scene.organization()), row))
}

pub(super) fn owner_row(owner: &OwnerRef, status: OwnerStatusRow) -> OwnerRow {
    OwnerRow {
        organization: owner.organization.as_str().to_owned(),
        kind: owner.owner.kind().as_str().to_owned(),
        id: owner.owner.id().to_owned(),
        status,
    }
}

/// A number above those of all events.
pub(super) async fn next_sequence<S: PortableStore>(candidate: &Candidate<'_, S>, scene: &Scene) -> Result<i64, Unmet> {
    candidate.append(&[scene.event(at(0))]).await?;
    let last = candidate.events(scene).await?.pop();
    Ok(last.ok_or_else(|| Unmet::failed("expected an appended event, saw none"))?.sequence + 1)
}

pub(super) async fn import<S: PortableStore>(candidate: &Candidate<'_, S>, rows: &Batch) -> Result<u64, StoreError> {
    candidate.subject().import(rows).await
}

/// Imports rows, and checks how many of them are written.
pub(super) async fn imported<S: PortableStore>(
    candidate: &Candidate<'_, S>,
    rows: &Batch,
    written: usize,
) -> Result<(), Unmet> {
    let seen = import(candidate, rows).await.map_err(|error| Unmet::call("import", &error))?;
    same("how many rows an import wrote", &seen, &(written as u64))
}

/// Imports rows of which one differs from the stored row; that must be refused.
pub(super) async fn refused<S: PortableStore>(candidate: &Candidate<'_, S>, rows: &Batch) -> Result<(), Unmet> {
    let seen = match import(candidate, rows).await {
        Err(error) if error.kind() == StoreErrorKind::Conflict(Conflict::Differs) => return Ok(()),
        Err(error) => format!("{:?}", error.kind()),
        Ok(written) => format!("{written} rows written"),
    };
    Err(Unmet::failed(format!("an import of {rows:?}: expected a conflict, saw {seen}")))
}

/// Checks that an export has exactly these rows at their place.
pub(super) async fn stands<S: PortableStore>(
    candidate: &Candidate<'_, S>,
    place_of: &Batch,
    expected: &Batch,
    limit: u16,
) -> Result<(), Unmet> {
    let until = place_of.end();
    let (mut cursor, mut seen) = (before(place_of)?, Vec::new());
    loop {
        let page = candidate.subject().export(&cursor, limit).await.map_err(|error| Unmet::call("export", &error))?;
        ensure(&format!("a page of at most {limit} rows"), page.rows.len() <= usize::from(limit), page.rows.len())?;
        seen.extend(singles(&page.rows).into_iter().filter(|row| row.end() <= until));
        match page.next {
            Some(next) if Some(&next) < until.as_ref() => {
                ensure("each page of an export to begin behind the one before", next > cursor, &next)?;
                cursor = next;
            }
            _ => break,
        }
    }
    same(&format!("the rows of an export by pages of {limit}"), &seen, &singles(expected))
}

/// The cursor right before the first of these rows: no other row can be between.
fn before(rows: &Batch) -> Result<Cursor, Unmet> {
    let shorter = |text: &str| text.chars().rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect::<String>();
    let first = singles(rows).into_iter().next().and_then(|first| first.end());
    Ok(match first.ok_or_else(|| Unmet::failed("the kit has no row to look for"))? {
        Cursor::Meta(name) => Cursor::Meta(name.as_deref().map(shorter)),
        Cursor::Owners(owner) => {
            Cursor::Owners(owner.map(|(organization, ..)| (organization, String::new(), String::new())))
        }
        Cursor::Keys(id) => Cursor::Keys(id.as_deref().map(shorter)),
        Cursor::Tombstones(id) => Cursor::Tombstones(id.as_deref().map(shorter)),
        Cursor::Usage(usage) => Cursor::Usage(usage.map(|[key, organization, outcome, ..]| {
            [key, organization, shorter(&outcome), String::new(), String::new(), String::new()]
        })),
        Cursor::UsageDays(day) => Cursor::UsageDays(day.map(|(key, day)| (key, day - 1))),
        Cursor::Events(sequence) => Cursor::Events(sequence.map(|sequence| sequence - 1)),
        other => return Err(Unmet::failed(format!("the kit has no rows at {other}"))),
    })
}

/// Each row in a batch of its own.
pub(super) fn singles(rows: &Batch) -> Vec<Batch> {
    match rows {
        Batch::Meta(rows) => rows.iter().map(|row| Batch::Meta(vec![row.clone()])).collect(),
        Batch::Owners(rows) => rows.iter().map(|row| Batch::Owners(vec![row.clone()])).collect(),
        Batch::Keys(rows) => rows.iter().map(|row| Batch::Keys(vec![row.clone()])).collect(),
        Batch::Tombstones(rows) => rows.iter().map(|row| Batch::Tombstones(vec![row.clone()])).collect(),
        Batch::Usage(rows) => rows.iter().map(|row| Batch::Usage(vec![row.clone()])).collect(),
        Batch::UsageDays(rows) => rows.iter().map(|row| Batch::UsageDays(vec![row.clone()])).collect(),
        Batch::Events(rows) => rows.iter().map(|row| Batch::Events(vec![row.clone()])).collect(),
        // The kit makes no others.
        _ => Vec::new(),
    }
}

/// Joins rows of one table into one batch.
pub(super) fn joined(parts: &[Batch]) -> Batch {
    let mut parts = parts.iter().cloned();
    let mut whole = parts.next().unwrap_or(Batch::Meta(Vec::new()));
    for part in parts {
        match (&mut whole, part) {
            (Batch::Meta(rows), Batch::Meta(more)) => rows.extend(more),
            (Batch::Owners(rows), Batch::Owners(more)) => rows.extend(more),
            (Batch::Keys(rows), Batch::Keys(more)) => rows.extend(more),
            (Batch::Tombstones(rows), Batch::Tombstones(more)) => rows.extend(more),
            (Batch::Usage(rows), Batch::Usage(more)) => rows.extend(more),
            (Batch::UsageDays(rows), Batch::UsageDays(more)) => rows.extend(more),
            (Batch::Events(rows), Batch::Events(more)) => rows.extend(more),
            // The kit joins rows of one table only.
            _ => {}
        }
    }
    whole
}

fn sorted(rows: Batch) -> Batch {
    let mut rows = singles(&rows);
    rows.sort_by_key(Batch::end);
    joined(&rows)
}

/// Other rows with the same primary key as this one, which differ in one column each.
pub(super) fn others(row: &Batch) -> Vec<Batch> {
    match row {
        Batch::Meta(rows) => {
            let other = |row: &MetaRow| MetaRow { value: [row.value.as_slice(), &[7]].concat(), ..row.clone() };
            vec![Batch::Meta(rows.iter().map(other).collect())]
        }
        Batch::Owners(rows) => {
            let columns: [fn(&mut OwnerRow); 3] = [
                |row| row.status.suspended_at = another(row.status.suspended_at),
                |row| row.status.plan_suspended_at = another(row.status.plan_suspended_at),
                |row| row.status.closed_at = another(row.status.closed_at),
            ];
            changed(rows, &columns).map(Batch::Owners).collect()
        }
        Batch::Keys(rows) => changed(rows, KEY_COLUMNS).map(Batch::Keys).collect(),
        Batch::Tombstones(rows) => {
            let columns: [fn(&mut Tombstone); 5] = [
                |row| row.organization.push('x'),
                |row| row.lineage.push('x'),
                |row| row.created_via_key = another_text(&row.created_via_key),
                |row| row.revoked_at = another(row.revoked_at),
                |row| row.expires_at = another(row.expires_at),
            ];
            changed(rows, &columns).map(Batch::Tombstones).collect()
        }
        Batch::Usage(rows) => {
            let columns: [fn(&mut UsageRow); 3] =
                [|row| row.count -= 1, |row| row.first_at += 1, |row| row.last_at += 1];
            changed(rows, &columns).map(Batch::Usage).collect()
        }
        Batch::UsageDays(rows) => {
            let columns: [fn(&mut UsageDayRow); 2] = [|row| row.accepted += 1, |row| row.refused += 1];
            changed(rows, &columns).map(Batch::UsageDays).collect()
        }
        Batch::Events(rows) => changed(rows, &EVENT_COLUMNS).map(Batch::Events).collect(),
        // The kit makes no others.
        _ => Vec::new(),
    }
}

fn changed<'a, R: Clone>(rows: &'a [R], columns: &'a [fn(&mut R)]) -> impl Iterator<Item = Vec<R>> + 'a {
    columns.iter().map(|change| {
        let mut rows = rows.to_vec();
        rows.iter_mut().for_each(change);
        rows
    })
}

const EVENT_COLUMNS: [fn(&mut EventRow); 11] = [
    |row| row.organization.push('x'),
    |row| row.at -= 1,
    |row| row.actor.push('x'),
    |row| row.action.push('x'),
    |row| row.key = another_text(&row.key),
    |row| row.owner_kind.push('x'),
    |row| row.owner.push('x'),
    |row| row.before = another_text(&row.before),
    |row| row.after = another_text(&row.after),
    |row| row.source = another_text(&row.source),
    |row| row.audience.push('x'),
];
