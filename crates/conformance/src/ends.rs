//! Ends of keys, and the notes about them: S117 and S118.

use std::time::Duration;

use tower_api_keys::{
    Timestamp,
    key::KeyId,
    record::KeyRow,
    store::{Change, Changes, Effect, EndingQuery, KeyStore, Ledger, Write},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::same,
};

/// What another note about a key does: its name, its end, how long before it, and the effect.
const NOTES: [(&str, u64, i64, Effect); 7] = [
    ("the same note", 1_000, 60, Effect::Unchanged),
    ("a note of longer before", 1_000, 61, Effect::Unchanged),
    ("a note about another end", 1_001, 0, Effect::Unchanged),
    ("a nearer note", 1_000, 59, Effect::Changed),
    ("the first note once more", 1_000, 60, Effect::Unchanged),
    ("the note of the end itself", 1_000, 0, Effect::Changed),
    ("that one once more", 1_000, 0, Effect::Unchanged),
];

pub(crate) async fn an_end_is_noted_once<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let key = scene.key()?.with(|row| row.expires_at = Some(at(1_000).as_millis()));
    candidate.written(&scene.insert([&key])).await?;
    let head = candidate.head_if_tracked().await?;
    let first = scene.change(at(1), vec![key.warn_of_end(at(1_000), 60)]);
    candidate.written(&first).await?;
    let mut row = KeyRow { warned_end: Some(at(1_000).as_millis()), warned_before_ms: Some(60), ..key.row.clone() };
    same("a key whose end was noted", &candidate.found(&key.id).await?.key, &row)?;
    let mut written = vec![first];
    for (what, end, before_ms, expected) in NOTES {
        let note = scene.change(at(2), vec![key.warn_of_end(at(end), before_ms)]);
        same(&format!("the outcome of {what}"), &candidate.effects(&note).await?, &vec![expected])?;
        if expected == Effect::Changed {
            row.warned_before_ms = Some(before_ms);
            written.push(note);
        }
        same(&format!("the key after {what}"), &candidate.found(&key.id).await?.key, &row)?;
    }
    if let Some(head) = head {
        let seen = candidate.since(Some(head)).await?;
        same("what the log tells of notes", &seen, &Changes::Unchanged)?;
    }

    // Another end has no note, earlier or later. A key that is missing or of another organization gets none.
    for end in [500, 2_000] {
        let moved = key.clone().with(|row| row.expires_at = Some(at(end).as_millis()));
        let version = candidate.found(&key.id).await?.key.version;
        let moving = scene.change(at(3), vec![Write::Update(moved.update(version))]);
        let note = scene.change(at(4), vec![key.warn_of_end(at(end), 60)]);
        for change in [moving, note] {
            candidate.written(&change).await?;
            written.push(change);
        }
    }
    let (foreign, absent) = (elsewhere.key_with(key.id)?, scene.key()?);
    let none = vec![foreign.warn_of_end(at(2_000), 0), absent.warn_of_end(at(2_000), 0)];
    let note = scene.change(at(5), none);
    same("notes about keys that are not there", &candidate.effects(&note).await?, &vec![Effect::Unchanged; 2])?;
    let revocation = scene.change(at(6), vec![key.revoke(), key.warn_of_end(at(2_000), 0)]);
    let expected = vec![Effect::Changed, Effect::Unchanged];
    same("a note about a revoked key", &candidate.effects(&revocation).await?, &expected)?;

    // Each note has its event if it was new, and none if it was not.
    let texts = |change: &Change| change.writes.first().and_then(|audited| audited.event.after.clone());
    let mut expected: Vec<_> = written.iter().map(texts).collect();
    expected.push(texts(&revocation));
    let events = candidate.events(&scene).await?;
    let seen: Vec<_> =
        events.iter().filter(|event| event.action != "key.issued").map(|event| event.after.clone()).collect();
    same("the events of the notes", &seen, &expected)
}

pub(crate) async fn keys_whose_end_is_to_be_told_are_found<S: KeyStore>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, other) = (Scene::new()?, Scene::new()?);
    // A minute of its own, in which no other key ends.
    let [a, b, c, ..] = scene.bytes::<4>();
    let minutes = u64::from(u32::from_le_bytes([a, b, c, 0])) + (1 << 24);
    let minute = |millis: u64| at(minutes * 60_000 + millis);
    let ends = |scene: &Scene, millis: u64| -> Result<Sample, Unmet> {
        Ok(scene.key()?.with(|row| row.expires_at = Some(minute(millis).as_millis())))
    };
    let noted = |key: Sample, end: u64, before_ms: i64| {
        key.with(|row| (row.warned_end, row.warned_before_ms) = (Some(minute(end).as_millis()), Some(before_ms)))
    };
    let keys = [
        ends(&scene, 10)?,
        ends(&other, 20)?,
        noted(ends(&scene, 30)?, 30, 7),
        noted(ends(&scene, 40)?, 40, 0),
        noted(ends(&scene, 50)?, 51, 0),
        ends(&scene, 60)?.with(|row| row.revoked_at = Some(at(0).as_millis())),
        ends(&scene, 70)?.with(|row| row.paused_at = Some(at(0).as_millis())),
        ends(&scene, 80)?,
        scene.key()?,
    ];
    candidate.written(&scene.insert(keys.iter().filter(|key| key.organization == scene.organization()))).await?;
    candidate.written(&other.insert(keys.iter().filter(|key| key.organization == other.organization()))).await?;
    let ask = |after: Option<u64>, until: u64, before_ms: i64, limit: u16| EndingQuery {
        after: Some(after.map_or_else(|| minute(0), minute)),
        until: minute(until),
        before_ms,
        limit,
    };
    let cases: [(&str, EndingQuery, &[usize]); 9] = [
        ("all whose end itself is to be told", ask(None, 100, 0, 100), &[0, 1, 2, 4, 6, 7]),
        ("those with a word as long before as it was noted", ask(None, 100, 7, 100), &[0, 1, 4, 6, 7]),
        ("those with a word nearer than it was noted", ask(None, 100, 6, 100), &[0, 1, 2, 4, 6, 7]),
        ("those with a word of longer before", ask(None, 100, 8, 100), &[0, 1, 4, 6, 7]),
        ("the first two", ask(None, 100, 0, 2), &[0, 1]),
        ("those until the last's very millisecond", ask(None, 80, 0, 100), &[0, 1, 2, 4, 6, 7]),
        ("those until the millisecond before", ask(None, 79, 0, 100), &[0, 1, 2, 4, 6]),
        ("those after the first's millisecond", ask(Some(10), 100, 0, 100), &[1, 2, 4, 6, 7]),
        ("those of none", ask(Some(80), 100, 0, 100), &[]),
    ];
    for (what, query, places) in cases {
        let seen: Vec<_> = candidate.ending(&query).await?;
        let expected: Vec<_> = places.iter().filter_map(|place| keys.get(*place)).map(|key| key.row.clone()).collect();
        same(&format!("keys of two organizations whose end is to be told, {what}"), &seen, &expected)?;
    }
    // With no lower limit of the end: a key with a note is not found again.
    let long_ago = scene.key()?.with(|row| row.expires_at = Some(Timestamp::MIN.as_millis()));
    candidate.written(&scene.insert([&long_ago])).await?;
    let ever = EndingQuery { after: None, until: Timestamp::MIN, before_ms: 0, limit: 1_000 };
    let is_found = |rows: &[KeyRow], id: &KeyId| rows.iter().any(|row| row.id == id.as_str());
    same("a key that ended in 1970", &is_found(&candidate.ending(&ever).await?, &long_ago.id), &true)?;
    candidate.written(&scene.change(at(1), vec![long_ago.warn_of_end(Timestamp::MIN, 0)])).await?;
    same("that key once it is noted", &is_found(&candidate.ending(&ever).await?, &long_ago.id), &false)?;
    let later = EndingQuery { until: Timestamp::MIN.saturating_add(Duration::from_millis(1)), ..ever };
    same("that key a millisecond later", &is_found(&candidate.ending(&later).await?, &long_ago.id), &false)
}
