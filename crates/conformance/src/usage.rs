//! Counts of use.

use tower_api_keys::{
    OrganizationId,
    key::KeyId,
    store::{KeyStore, Ledger, Prune, UsageScope},
    usage::{UsageBatch, UsageDayRow, UsageRow, UsageTotals},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::{ensure, made, same},
};

pub(crate) async fn counts_add_up<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    same("how a key that nobody used was used", &candidate.usage(&scene).await?, &UsageTotals::default())?;
    let (one, other) = (scene.bytes(), scene.bytes());
    let rows = vec![
        row(&key, "success", "intake", 3, 10, 20),
        row(&key, "success", "api", 1, 5, 40),
        row(&key, "invalid_key", "intake", 2, 11, 12),
        row(&key, "key_expired", "intake", 1, 9, 9),
    ];
    candidate.record(&UsageBatch { writer: one, sequence: 1, rows, days: Vec::new() }).await?;
    let rows = vec![row(&key, "success", "intake", 10, 1, 2), row(&key, "invalid_key", "", 5, 30, 50)];
    candidate.record(&UsageBatch { writer: other, sequence: 1, rows, days: Vec::new() }).await?;
    let rows = vec![row(&key, "success", "intake", 100, 60, 70)];
    candidate.record(&UsageBatch { writer: one, sequence: 2, rows, days: Vec::new() }).await?;
    let rows = vec![row(&key, "success", "intake", 1_000, 15, 16), row(&key, "success", "api", 1, 3, 3)];
    candidate.record(&UsageBatch { writer: one, sequence: 3, rows, days: Vec::new() }).await?;
    let expected =
        UsageTotals { successes: 1_115, last_success_at: Some(at(70)), failures: 8, last_failure_at: Some(at(50)) };
    same("the totals", &candidate.usage(&scene).await?, &expected)
}

pub(crate) async fn a_batch_counts_once<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let writer = scene.bytes();
    let batch =
        |sequence| UsageBatch { writer, sequence, rows: vec![row(&key, "success", "", 1, 1, 1)], days: Vec::new() };
    for (sequence, expected) in [(1, 1), (1, 1), (2, 2), (3, 3), (2, 3), (1, 3), (3, 3), (4, 4)] {
        candidate.record(&batch(sequence)).await?;
        let seen = candidate.usage(&scene).await?.successes;
        same(&format!("the count after the batch {sequence}"), &seen, &expected)?;
    }
    candidate.record(&UsageBatch { writer: scene.bytes(), ..batch(1) }).await?;
    same("the count after another writer's batch", &candidate.usage(&scene).await?.successes, &5)
}

pub(crate) async fn counts_without_a_key_are_taken<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let writer = scene.bytes();
    for sequence in 1..=2 {
        let rows = vec![
            UsageRow { key: None, ..row(&key, "missing_credentials", "intake", 9, 1, 2) },
            row(&scene.key()?, "invalid_key", "intake", 9, 1, 2),
            row(&key, "success", "intake", 1, 1, 2),
        ];
        candidate.record(&UsageBatch { writer, sequence, rows, days: Vec::new() }).await?;
    }
    candidate.record(&UsageBatch { writer, sequence: 3, rows: Vec::new(), days: Vec::new() }).await?;
    let expected = UsageTotals { successes: 2, last_success_at: Some(at(2)), ..UsageTotals::default() };
    same("the totals of the key among them", &candidate.usage(&scene).await?, &expected)
}

pub(crate) async fn use_leaves_the_record_alone<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let (before, events) = (candidate.found(&key.id).await?, candidate.events(&scene).await?);
    let rows = vec![row(&key, "success", "", 1, 1, 1)];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows, days: Vec::new() }).await?;
    same("a key after it was used", &candidate.found(&key.id).await?, &before)?;
    same("the events after a key was used", &candidate.events(&scene).await?, &events)
}

pub(crate) async fn ten_thousand_counts_are_taken<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let rows = (1..=10_000).map(|place| row(&key, "success", &format!("intake {place}"), place, 1, 2)).collect();
    let batch = UsageBatch { writer: scene.bytes(), sequence: 1, rows, days: Vec::new() };
    for _ in 0..2 {
        candidate.record(&batch).await?;
    }
    same("the sum of the counts", &candidate.usage(&scene).await?.successes, &50_005_000)
}

pub(crate) async fn counts_are_read_as_they_stand<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let mut keys = scene.keys(4)?;
    keys.sort_by(|one, other| one.row.id.cmp(&other.row.id));
    let [one, other, unasked, unused] = keys.as_slice() else { return Err(Unmet::failed("the kit has too few keys")) };
    // Counts of a key do not need the key: they may come before it is inserted, or after it was deleted.
    candidate.written(&scene.insert([unasked, other])).await?;
    let first = vec![
        from("intake", "curl", "", row(other, "success", "", 3, 10, 20)),
        row(one, "success", "intake", 7, 5, 5),
        row(one, "key_revoked", "b", 1, 9, 9),
        row(one, "success", "", 1, 1, 2),
        row(one, "success", "Intake", 2, 3, 4),
        row(unasked, "success", "intake", 500, 1, 1),
        UsageRow { key: None, ..row(one, "success", "intake", 500, 1, 1) },
        // As one line of text they would be the same; only the parts differ.
        from("", "intake", "", row(one, "success", "", 21, 1, 1)),
        from("intake/a", "b", "", row(one, "success", "", 22, 1, 1)),
        from("intake", "a/b", "", row(one, "success", "", 23, 1, 1)),
        from("intake", "a", "203.0.113.0/24", row(one, "success", "", 24, 1, 1)),
        from("intake", "a@203.0.113.0/24", "", row(one, "success", "", 25, 1, 1)),
        from("", "", "203.0.113.0/24", row(one, "success", "", 26, 1, 1)),
    ];
    let second = vec![
        from("intake", "curl", "", row(other, "success", "", 4, 30, 40)),
        row(one, "success", "intake", 1, 1, 3),
        from("intake", "a", "203.0.113.0/24", row(one, "success", "", 100, 2, 2)),
    ];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: first, days: Vec::new() }).await?;
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: second, days: Vec::new() }).await?;
    let expected = vec![
        row(one, "key_revoked", "b", 1, 9, 9),
        row(one, "success", "", 1, 1, 2),
        from("", "", "203.0.113.0/24", row(one, "success", "", 26, 1, 1)),
        from("", "intake", "", row(one, "success", "", 21, 1, 1)),
        row(one, "success", "Intake", 2, 3, 4),
        row(one, "success", "intake", 8, 1, 5),
        from("intake", "a", "203.0.113.0/24", row(one, "success", "", 124, 1, 2)),
        from("intake", "a/b", "", row(one, "success", "", 23, 1, 1)),
        from("intake", "a@203.0.113.0/24", "", row(one, "success", "", 25, 1, 1)),
        from("intake/a", "b", "", row(one, "success", "", 22, 1, 1)),
        from("intake", "curl", "", row(other, "success", "", 7, 10, 40)),
    ];
    let of = UsageScope::Keys(vec![other.id, unused.id, one.id, other.id]);
    same("the counts of three keys", &candidate.counts(&of).await?, &expected)?;
    let absent = UsageScope::Keys(vec![unused.id]);
    same("the counts of a key that nobody used", &candidate.counts(&absent).await?, &Vec::new())?;
    let mut many: Vec<KeyId> = (0..998).map(|_| scene.id()).collect::<Result<_, _>>()?;
    many.extend([one.id, other.id]);
    same("the counts of a thousand keys", &candidate.counts(&UsageScope::Keys(many)).await?, &expected)
}

pub(crate) async fn counts_without_a_key_are_read<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    // An outcome of its own, because others may have used the database before.
    let outcome = scene.word();
    let keyless =
        |outcome: &str, source: &str, count| UsageRow { key: None, ..row(&key, outcome, source, count, 1, 2) };
    let later = format!("{outcome}.truncated");
    let first = vec![
        keyless(&later, "", 5),
        keyless(&outcome, "intake", 9),
        row(&key, &outcome, "intake", 500, 1, 2),
        keyless(&outcome, "Intake", 2),
    ];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: first, days: Vec::new() }).await?;
    let second = vec![UsageRow { last_at: at(7).as_millis(), ..keyless(&outcome, "intake", 1) }];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: second, days: Vec::new() }).await?;
    let seen = candidate.counts(&UsageScope::NoKey(vec![None])).await?;
    ensure("no key among refusals that name none", seen.iter().all(|row| row.key.is_none()), &seen)?;
    ensure(
        "an order by outcome and source",
        seen.is_sorted_by_key(|row| (&row.outcome, &row.label, &row.client, &row.network)),
        &seen,
    )?;
    let seen: Vec<UsageRow> = seen.into_iter().filter(|row| row.outcome.starts_with(&outcome)).collect();
    let summed = UsageRow { last_at: at(7).as_millis(), ..keyless(&outcome, "intake", 10) };
    let expected = vec![keyless(&outcome, "Intake", 2), summed, keyless(&later, "", 5)];
    same("the counts of the refusals that name no key", &seen, &expected)
}

pub(crate) async fn refusals_without_a_key_are_apart_by_organization<S: Ledger>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    // Words of its own, because others may have used the database before. The last one differs only in case.
    let (outcome, word) = (scene.word(), scene.word());
    let mut organizations = Vec::new();
    for id in [format!("A{word}"), format!("A{word}x"), format!("B{word}"), format!("a{word}")] {
        organizations.push(made(OrganizationId::new(id))?);
    }
    let counted = |of: Option<&OrganizationId>, label: &str, count, last| {
        concerning(of, row(&key, &outcome, label, count, 1, last))
    };
    let mut first = vec![counted(None, "intake", 7, 2), row(&key, &outcome, "intake", 500, 1, 2)];
    for (of, count) in organizations.iter().zip([3, 10, 20, 40]) {
        first.extend([counted(Some(of), "intake", count, 2), counted(Some(of), "", 1, 2)]);
    }
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: first, days: Vec::new() }).await?;
    let second = vec![counted(organizations.first(), "intake", 4, 7), counted(None, "intake", 1, 7)];
    candidate.record(&UsageBatch { writer: scene.bytes(), sequence: 1, rows: second, days: Vec::new() }).await?;

    let mut expected = Vec::new();
    for (of, (count, last)) in organizations.iter().zip([(7, 7), (10, 2), (20, 2), (40, 2)]) {
        let own = [counted(Some(of), "", 1, 2), counted(Some(of), "intake", count, last)];
        let seen = candidate.counts(&UsageScope::NoKey(vec![Some(of.clone())])).await?;
        same("the refusals that concern one organization", &seen, &own.to_vec())?;
        expected.extend(own);
    }
    let mut seen = candidate.counts(&UsageScope::NoKey(vec![None])).await?;
    seen.retain(|row| row.outcome == outcome);
    same("those that concern none", &seen, &vec![counted(None, "intake", 8, 7)])?;
    // Unordered, one of them twice, among others that have no counts.
    let mut many = vec![organizations.first().cloned()];
    for number in 0..995 {
        many.push(Some(made(OrganizationId::new(format!("C{word}{number}")))?));
    }
    many.extend(organizations.iter().rev().cloned().map(Some));
    same("those of a thousand organizations", &candidate.counts(&UsageScope::NoKey(many)).await?, &expected)
}

pub(crate) async fn an_organization_stands_on_no_count_of_a_key<S: Ledger>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let organization = scene.organization();
    let own = |count| row(&key, "invalid_key", "intake", count, 1, 2);
    let without_key = |count| concerning(Some(&organization), own(count));
    for (sequence, rows) in [(1, vec![without_key(500), own(3)]), (2, vec![own(4), without_key(500)])] {
        let days = UsageDayRow::sums(&rows);
        candidate.record(&UsageBatch { writer: scene.bytes(), sequence, rows, days }).await?;
    }
    let of_key = UsageScope::Keys(vec![key.id]);
    same("the counts of the key", &candidate.counts(&of_key).await?, &vec![own(7)])?;
    let without = UsageScope::NoKey(vec![Some(organization.clone())]);
    same("those without one", &candidate.counts(&without).await?, &vec![without_key(1_000)])?;
    let totals = UsageTotals { failures: 7, last_failure_at: Some(at(2)), ..UsageTotals::default() };
    same("the totals of the key", &candidate.usage(&scene).await?, &totals)?;
    let day = own(7).day();
    let days = vec![UsageDayRow { key: key.row.id.clone(), day, accepted: 0, refused: 7 }];
    same("its days", &candidate.days(&[key.id], day).await?, &days)
}

/// The same count for refusals that name no key and concern this organization.
pub(super) fn concerning(organization: Option<&OrganizationId>, row: UsageRow) -> UsageRow {
    UsageRow { key: None, organization: organization.map(ToString::to_string), ..row }
}

/// The same count for another source.
pub(super) fn from(label: &str, client: &str, network: &str, row: UsageRow) -> UsageRow {
    UsageRow { label: label.to_owned(), client: client.to_owned(), network: network.to_owned(), ..row }
}

pub(super) fn row(key: &Sample, outcome: &str, label: &str, count: i64, first: u64, last: u64) -> UsageRow {
    UsageRow {
        key: Some(key.row.id.clone()),
        organization: None,
        outcome: outcome.to_owned(),
        label: label.to_owned(),
        client: String::new(),
        network: String::new(),
        count,
        first_at: at(first).as_millis(),
        last_at: at(last).as_millis(),
    }
}

async fn inserted<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(Scene, Sample), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    Ok((scene, key))
}

pub(crate) async fn counts_of_keys_that_are_gone_are_forgotten<S: Ledger>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let dead = scene.key()?;
    candidate.written(&scene.insert([&dead])).await?;
    candidate.written(&scene.change(at(1), vec![dead.revoke()])).await?;
    // Enough for several calls, and more than one kind of count for each.
    let gone = scene.keys(50)?;
    let of = |key: &Sample| [row(key, "success", "intake", 1, 1, 2), row(key, "key_revoked", "", 2, 1, 2)];
    let mut rows: Vec<UsageRow> = gone.iter().chain([&key, &dead]).flat_map(of).collect();
    let organization = scene.organization();
    for of in [None, Some(&organization)] {
        rows.push(concerning(of, row(&key, "missing_credentials", "intake", 9, 1, 2)));
    }
    let batch = UsageBatch { writer: scene.bytes(), sequence: 1, days: UsageDayRow::sums(&rows), rows };
    candidate.record(&batch).await?;
    let kept = UsageScope::Keys(vec![key.id, dead.id]);
    let nobody = UsageScope::NoKey(vec![None, Some(organization)]);
    let days = async |keys: &[KeyId]| candidate.days(keys, 0).await;
    let before = (candidate.counts(&kept).await?, candidate.counts(&nobody).await?, days(&[key.id, dead.id]).await?);

    let mut after = Some(KeyId::LEAST);
    let mut forgotten = 0;
    while let Some(usage_after) = after {
        let pruned = candidate.prune(&Prune { usage_after: Some(usage_after), ..Prune::default() }).await?;
        forgotten += pruned.usage;
        after = pruned.usage_next;
        ensure("each call to go on behind the one before", after.is_none_or(|next| next > usage_after), pruned)?;
    }
    let ids: Vec<KeyId> = gone.iter().map(|key| key.id).collect();
    ensure("all counts of 50 keys to be forgotten, and their days", forgotten >= 150, forgotten)?;
    same("the counts of keys that are gone", &candidate.counts(&UsageScope::Keys(ids.clone())).await?, &vec![])?;
    same("their days", &days(&ids).await?, &vec![])?;
    let left = (candidate.counts(&kept).await?, candidate.counts(&nobody).await?, days(&[key.id, dead.id]).await?);
    same("the counts of the keys that are there, of no key, and the days", &left, &before)
}
