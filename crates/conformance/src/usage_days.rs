//! Counts of use by day.

use tower_api_keys::{
    key::KeyId,
    store::{Ledger, Prune, UsageScope},
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use crate::{
    Candidate, Unmet,
    rows::LAST_DAY,
    scene::{Sample, Scene},
    unmet::{ensure, same},
    usage,
};

const MILLIS_PER_DAY: i64 = 86_400_000;

/// 2026-03-01.
const DAY: i32 = 20_513;

pub(crate) async fn a_batch_adds_to_days<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let [one, other] = sorted(&scene)?;
    // Counts by day do not need the key either.
    candidate.written(&scene.insert([&one])).await?;
    let writer = scene.bytes();
    // Days come separately from the counts that they sum up: the counts of a batch say nothing about its days.
    let rows = vec![usage::row(&one, "success", "intake", 1_000, 0, 0), usage::row(&one, "key_revoked", "", 500, 1, 2)];
    let first = UsageBatch {
        writer,
        sequence: 1,
        rows,
        days: vec![day(&one, DAY - 1, 1, 0), day(&one, DAY, 110, 7), day(&other, DAY, 0, 7)],
    };
    let second = UsageBatch {
        writer,
        sequence: 2,
        rows: Vec::new(),
        days: vec![day(&one, DAY, 20, 3), day(&one, DAY + 1, 0, 9)],
    };
    for batch in [&first, &second, &first] {
        candidate.record(batch).await?;
    }
    let expected =
        vec![day(&one, DAY - 1, 1, 0), day(&one, DAY, 130, 10), day(&one, DAY + 1, 0, 9), day(&other, DAY, 0, 7)];
    same("the counts by day", &candidate.days(&[other.id, one.id], DAY - 1).await?, &expected)
}

pub(crate) async fn days_are_read_from_a_day_on<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let [one, other] = sorted(&scene)?;
    let unused = scene.id()?;
    let days = vec![
        day(&one, DAY - 1, 1, 0),
        day(&one, DAY, 2, 0),
        day(&one, DAY + 399, 3, 0),
        day(&one, DAY + 400, 4, 0),
        day(&other, DAY + 7, 5, 0),
        day(&other, 0, 6, 0),
        day(&other, LAST_DAY, 7, 0),
    ];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: Vec::new(), days }).await?;
    let of_one = vec![day(&one, DAY, 2, 0), day(&one, DAY + 399, 3, 0)];
    same("the days of one key", &candidate.days(&[one.id], DAY).await?, &of_one)?;
    let both = [of_one, vec![day(&other, DAY + 7, 5, 0)]].concat();
    same("the days of three keys", &candidate.days(&[other.id, unused, one.id, other.id], DAY).await?, &both)?;
    same("the days of a key that nobody used", &candidate.days(&[unused], DAY).await?, &Vec::new())?;
    same("the first day", &candidate.days(&[other.id], 0).await?, &vec![day(&other, 0, 6, 0)])?;
    same("the last day", &candidate.days(&[other.id], LAST_DAY).await?, &vec![day(&other, LAST_DAY, 7, 0)])?;
    same("the days before all days", &candidate.days(&[other.id], i32::MIN).await?, &Vec::new())?;
    same("the days after all days", &candidate.days(&[other.id], i32::MAX).await?, &Vec::new())?;
    let mut many: Vec<KeyId> = (0..998).map(|_| scene.id()).collect::<Result<_, _>>()?;
    many.extend([one.id, other.id]);
    same("the days of a thousand keys", &candidate.days(&many, DAY).await?, &both)
}

pub(crate) async fn old_days_are_forgotten<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let [one, other] = sorted(&scene)?;
    let rows = vec![
        on(usage::row(&one, "success", "", 3, 0, 0), MILLIS_PER_DAY),
        on(usage::row(&other, "key_revoked", "", 4, 0, 0), 0),
    ];
    // The first day of 1970, which no database has, and the one after it.
    let days = vec![day(&one, 0, 1, 0), day(&one, 1, 2, 0), day(&other, 0, 0, 4)];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows, days }).await?;
    let counts = candidate.counts(&UsageScope::Keys(vec![one.id, other.id])).await?;
    let pruned = candidate.prune(&Prune { days_before: Some(1), ..Prune::default() }).await?;
    ensure("two days or more to be forgotten", pruned.days >= 2, pruned)?;
    same("the days that are left", &candidate.days(&[one.id, other.id], 0).await?, &vec![day(&one, 1, 2, 0)])?;
    let left = candidate.counts(&UsageScope::Keys(vec![one.id, other.id])).await?;
    same("the counts over all time", &left, &counts)
}

/// Two keys, in the order of their ids.
fn sorted(scene: &Scene) -> Result<[Sample; 2], Unmet> {
    let (one, other) = (scene.key()?, scene.key()?);
    Ok(if one.row.id < other.row.id { [one, other] } else { [other, one] })
}

/// The same count for requests at this time.
fn on(row: UsageRow, millis: i64) -> UsageRow {
    UsageRow { first_at: millis, last_at: millis, ..row }
}

fn day(key: &Sample, day: i32, accepted: i64, refused: i64) -> UsageDayRow {
    UsageDayRow { key: key.row.id.clone(), day, accepted, refused }
}
