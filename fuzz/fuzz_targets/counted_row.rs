//! Rows of counts and of the access log are read as stored or reported as corrupt, whatever they contain.
#![no_main]

mod planted;

use libfuzzer_sys::fuzz_target;
use tower_api_keys::{
    ApiKeys, KeyId, OrganizationId, Timestamp,
    audit::{Event, EventRow},
    manage::{AuditQuery, ManageErrorKind},
    record::KeyRow,
    store::transfer::Batch,
    usage::{UsageCount, UsageDayRow, UsageDetail, UsageRow},
};

use self::planted::Planted;

// Each line changes one column of a row: a letter, then the text or the number. An empty line begins the next row.
fuzz_target!(|data: &[u8]| {
    let planted = Planted::new();
    let (mut counts, mut events) = (Vec::new(), Vec::new());
    let (mut count, mut event) = (count(), attempt());
    for line in data.split(|&byte| byte == b'\n') {
        match line.split_first() {
            Some((&column, value)) => set(&mut count, &mut event, column, value),
            None if counts.len() < 8 => {
                event.sequence += 1;
                counts.push(count.clone());
                events.push(event.clone());
            }
            None => {}
        }
    }
    read_counts(&planted, &counts);
    read_events(&planted, &events);
});

fn count() -> UsageRow {
    UsageRow {
        key: Some(KeyRow::example().id),
        organization: None,
        outcome: "success".into(),
        label: "intake".into(),
        client: "curl".into(),
        network: String::new(),
        count: 1,
        first_at: 1,
        last_at: 2,
    }
}

fn attempt() -> EventRow {
    EventRow { action: "attempt.key_revoked".into(), sequence: 0, ..EventRow::example() }
}

fn set(count: &mut UsageRow, event: &mut EventRow, column: u8, value: &[u8]) {
    let text = || String::from_utf8_lossy(value).into_owned();
    let number = || {
        let bytes = || value.iter().fold(0_i64, |number, &byte| (number << 8) | i64::from(byte));
        text().parse().unwrap_or_else(|_| bytes())
    };
    match column {
        b'k' => count.key = None,
        // A count of a key has no organization.
        b'g' => (count.key, count.organization) = (None, Some(text()).filter(|text| !text.is_empty())),
        b'o' => count.outcome = text(),
        b'l' => count.label = text(),
        b'c' => count.client = text(),
        b'n' => count.network = text(),
        b'#' => count.count = number(),
        b'f' => count.first_at = number(),
        b't' => count.last_at = number(),
        b'a' => event.action = format!("attempt.{}", text()),
        b'A' => event.actor = text(),
        b'm' => event.at = number(),
        b'K' => event.key = Some(text()),
        b'w' => event.owner = text(),
        b'x' => event.after = Some(text()),
        b's' => event.source = Some(text()),
        b'u' => event.audience = text(),
        _ => {}
    }
}

/// The counts that are read are those that were written, with the right sums. Only a time out of range makes one
/// corrupt.
fn read_counts(planted: &Planted, rows: &[UsageRow]) {
    planted.put(&Batch::Keys(vec![KeyRow::example()])).expect("a good row");
    // A store has one row for each key, outcome and source. It refuses a second one.
    let mut kept: Vec<&UsageRow> = Vec::new();
    for row in rows {
        let is_new = !kept.iter().any(|kept| place(kept) == place(row));
        assert_eq!(planted.put(&Batch::Usage(vec![row.clone()])).is_ok(), is_new || kept.contains(&row));
        kept.extend(is_new.then_some(row));
    }
    let id = KeyId::new(&KeyRow::example().id).expect("an id");
    let (manager, system) = (&planted.manager, &planted.system);
    let of_key = planted.runtime.block_on(manager.usage(&id, 30, system)).map(|usage| usage.detail);
    let of_none = planted.runtime.block_on(manager.refusals_without_key(system)).map(|refusals| refusals.detail);
    let of_acme = planted.runtime.block_on(async {
        let keys = ApiKeys::builder(planted.store.clone()).build().await.expect("keys");
        let acme = keys.manager_for(OrganizationId::new("acme").expect("an id"));
        acme.refusals_without_key(system).await.map(|refusals| refusals.detail)
    });
    for (read, is_named, organization) in [(of_key, true, None), (of_none, false, None), (of_acme, false, Some("acme"))]
    {
        let is_read = |row: &&UsageRow| (row.key.is_some(), row.organization.as_deref()) == (is_named, organization);
        let rows: Vec<&UsageRow> = kept.iter().copied().filter(is_read).collect();
        match read {
            Ok(detail) => agree(&detail, &rows),
            Err(error) => {
                assert_eq!(error.kind(), ManageErrorKind::CorruptRecord);
                assert!(rows.iter().any(|row| !is_sound(row)), "{rows:?}");
            }
        }
    }

    for day in UsageDayRow::sums(rows) {
        let of_day = |row: &&UsageRow| row.key.as_ref() == Some(&day.key) && row.day() == day.day;
        let sum = |is_accepted: bool| {
            let rows = rows.iter().filter(of_day).filter(|row| (row.outcome == "success") == is_accepted);
            rows.fold(0_i64, |sum, row| sum.saturating_add(row.count))
        };
        assert_eq!((day.accepted, day.refused), (sum(true), sum(false)));
    }
}

fn place(row: &UsageRow) -> [&str; 6] {
    let [key, organization] = [&row.key, &row.organization].map(|word| word.as_deref().unwrap_or_default());
    [key, organization, &row.outcome, &row.label, &row.client, &row.network]
}

fn is_sound(row: &UsageRow) -> bool {
    [row.first_at, row.last_at].into_iter().all(|time| (0..253_402_300_800_000).contains(&time))
}

fn agree(detail: &UsageDetail, rows: &[&UsageRow]) {
    let written = |count: &UsageCount| {
        let source = &count.source;
        let parts = [source.label(), source.client(), source.network()].map(str::to_owned);
        (count.outcome.word().into_owned(), parts, count.count, count.first_at.as_millis(), count.last_at.as_millis())
    };
    let mut read: Vec<_> = detail.counts.iter().map(written).collect();
    let mut expected: Vec<_> = rows
        .iter()
        .map(|row| {
            let parts = [&row.label, &row.client, &row.network].map(Clone::clone);
            (row.outcome.clone(), parts, row.count, row.first_at, row.last_at)
        })
        .collect();
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
    let totals = detail.totals();
    let of = |is_success: bool| rows.iter().filter(move |row| (row.outcome == "success") == is_success);
    let last = |is_success| of(is_success).map(|row| row.last_at).max();
    assert_eq!(totals.last_success_at.map(Timestamp::as_millis), last(true));
    assert_eq!(totals.last_failure_at.map(Timestamp::as_millis), last(false));
    let _ = serde_json::to_string(detail).expect("text and numbers");
}

/// Each event is either read, or counted as unreadable.
fn read_events(planted: &Planted, rows: &[EventRow]) {
    planted.put(&Batch::Events(rows.to_vec())).expect("rows of different sequences");
    let query = AuditQuery::all().attempts().oldest_first().limit(100);
    let page = planted.runtime.block_on(planted.manager.events(query, &planted.system)).expect("a page");
    let sound: Vec<_> = rows.iter().filter(|row| Event::try_from(*row).is_ok()).collect();
    assert_eq!(page.entries.len(), sound.len(), "{rows:?}");
    assert_eq!(page.unreadable, (rows.len() - sound.len()) as u64);
    for (entry, row) in page.entries.iter().zip(sound) {
        assert_eq!(EventRow::from(&entry.event), *row);
    }
    let _ = serde_json::to_string(&page).expect("text and numbers");
}
