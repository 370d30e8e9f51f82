use futures_util::FutureExt;

use super::*;
use crate::{
    metering::{
        Days, Unwritten,
        source_slots::{MOST_BEYOND, MOST_COUNTS},
        unwritten::tests::Table,
    },
    owner::OrganizationId,
    usage::{Label, UsageRow},
};

/// A refusal that names no key and concerns no organization.
const NOBODY: CountedFor = CountedFor::NoKey(None);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

#[derive(Debug)]
struct UsedKey(KeyUsage);

impl Counted for UsedKey {
    fn key(&self) -> KeyId {
        KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap()
    }

    fn usage(&self) -> &KeyUsage {
        &self.0
    }
}

fn used_key() -> Arc<UsedKey> {
    Arc::new(UsedKey(KeyUsage::default()))
}

fn recorder() -> (Arc<UsageRecorder>, Arc<UsedKey>, Source) {
    (Arc::default(), used_key(), Source::new("intake").unwrap())
}

/// What a flush writes of what was counted.
fn flushed(recorder: &Arc<UsageRecorder>) -> Vec<UsageRow> {
    let table = Table::default();
    Unwritten::new(Arc::clone(recorder), [1; 16])
        .flush(&table, Days::All, || Timestamp::MAX)
        .now_or_never()
        .expect("the table answers at once")
        .unwrap();
    table.written().into_iter().flat_map(|batch| batch.rows).collect()
}

#[test]
fn successes_are_summed_between_flushes() {
    let (recorder, usage, source) = recorder();
    for millis in [5, 7, 6] {
        recorder.success(&usage, Origin::Source(&source), at(millis));
    }
    let row = &flushed(&recorder)[0];
    assert_eq!((row.count, row.first_at, row.last_at, row.label.as_str()), (3, 5, 7, "intake"));
}

#[test]
fn a_second_source_is_counted_apart() {
    let (recorder, usage, source) = recorder();
    recorder.success(&usage, Origin::Source(&source), at(5));
    recorder.success(&usage, Origin::Source(&Source::new("api").unwrap()), at(6));
    let mut sources: Vec<_> = flushed(&recorder).into_iter().map(|row| row.label).collect();
    sources.sort();
    assert_eq!(sources, ["api", "intake"]);
}

#[test]
fn counts_are_exact_when_threads_count_while_another_flushes() {
    let (recorder, usage, source) = recorder();
    let mut written = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..10_000).for_each(|_| drop(recorder.success(&usage, Origin::Source(&source), at(1)))))
            })
            .collect();
        let mut flush = || written += flushed(&recorder).iter().map(|row| row.count).sum::<i64>();
        while threads.iter().any(|thread| !thread.is_finished()) {
            flush();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        flush();
    });
    assert_eq!(written, 40_000);
}

#[test]
fn cells_that_no_proof_stands_behind_do_not_pile_up() {
    for sources in [&["intake"][..], &["intake", "api"], &["intake", "api", "cli", "web"]] {
        let recorder = Arc::<UsageRecorder>::default();
        for _ in 0..5_000 {
            let key = used_key();
            for source in sources {
                recorder.success(&key, Origin::Source(&Source::new(source).unwrap()), at(5));
            }
        }
        assert!(lock(&recorder.used).keys.len() <= 1_024);
        let rows = flushed(&recorder);
        assert_eq!(rows.len(), sources.len());
        assert!(rows.iter().all(|row| row.count == 5_000));
    }
}

#[test]
fn a_flood_of_distinct_refusals_stays_bounded() {
    let (recorder, _, source) = recorder();
    let format = crate::key::KeyFormat::unbranded();
    for _ in 0..MOST_COUNTS + 50 {
        let key = format.generate(crate::KeyKind::User).unwrap();
        recorder.refusal(&CountedFor::Key(key.id()), RefusalCode::InvalidKey, None, Origin::Source(&source), at(1));
    }
    assert_eq!(lock(&recorder.counts).slots().len(), MOST_COUNTS + 1);
    let other = SourceSlot {
        counted_for: NOBODY,
        end: Outcome::Refused(RefusalCode::InvalidKey),
        source: Source::other_of(&Label::default()),
        day: 0,
    };
    assert_eq!(lock(&recorder.counts).slots()[&other].count, 50);
}

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

/// A text that is no key, from a client.
fn malformed(recorder: &UsageRecorder, concerned: Option<&str>, client: &str) {
    let concerned = concerned.map(organization);
    let source = Source::new("intake").unwrap().with_client(client).unwrap();
    let (code, reason) = (RefusalCode::MalformedKey, Some(MalformedReason::Truncated));
    recorder.refusal(&CountedFor::without_key(concerned.as_ref()), code, reason, Origin::Source(&source), at(5));
}

#[test]
fn refusals_without_a_key_are_counted_apart_by_organization() {
    let (recorder, ..) = recorder();
    for concerned in [Some("acme"), None, Some("globex"), Some("acme"), None, None] {
        malformed(&recorder, concerned, "curl");
    }
    let mut rows: Vec<_> = flushed(&recorder);
    rows.sort();
    assert!(rows.iter().all(|row| row.key.is_none()));
    let counts: Vec<_> = rows.iter().map(|row| (row.organization.as_deref(), row.count)).collect();
    assert_eq!(counts, [(None, 3), (Some("acme"), 2), (Some("globex"), 1)]);
}

#[test]
fn a_text_of_no_source_is_counted_without_a_lock_where_it_concerns_nobody() {
    let (recorder, ..) = recorder();
    let refuse = |concerned: Option<&OrganizationId>| {
        let (code, reason) = (RefusalCode::MalformedKey, Some(MalformedReason::Truncated));
        let origin = Origin::Source(&Source::default());
        recorder.refusal(&CountedFor::without_key(concerned), code, reason, origin, at(5));
    };
    let slots = || lock(&recorder.counts).slots().len();
    (0..2).for_each(|_| refuse(None));
    assert_eq!(slots(), 0);
    refuse(Some(&organization("acme")));
    assert_eq!(slots(), 1);
    let mut counts: Vec<_> = flushed(&recorder).into_iter().map(|row| (row.organization, row.count)).collect();
    counts.sort();
    assert_eq!(counts, [(None, 2), (Some("acme".into()), 1)]);
}

#[test]
fn the_noise_of_one_organization_takes_no_room_from_another() {
    let (recorder, ..) = recorder();
    for number in 0..1_000 {
        malformed(&recorder, Some("acme"), &format!("noise-{number}"));
    }
    for concerned in [Some("acme"), Some("globex"), None] {
        for number in 0..10 {
            malformed(&recorder, concerned, &format!("quiet-{number}"));
        }
    }
    let rows = flushed(&recorder);
    let of = |concerned: Option<&str>| -> Vec<_> {
        rows.iter().filter(|row| row.organization.as_deref() == concerned).collect()
    };
    for concerned in [Some("globex"), None] {
        assert!(of(concerned).len() == 10 && of(concerned).iter().all(|row| row.client.starts_with("quiet-")));
    }
    // 64 of them are counted separately, and all are counted.
    let noisy = of(Some("acme"));
    assert_eq!((noisy.len(), noisy.iter().map(|row| row.count).sum::<i64>()), (65, 1_010));
    assert_eq!(recorder.folded(), 1_010 - 64);
}

#[test]
fn organizations_share_the_bound_of_all_counts() {
    let (recorder, _, source) = recorder();
    let most = MOST_COUNTS + MOST_BEYOND;
    let refuse = |number: usize| {
        let concerned = organization(&format!("org-{number}"));
        let (counted_for, origin) = (CountedFor::without_key(Some(&concerned)), Origin::Source(&source));
        recorder.refusal(&counted_for, RefusalCode::InvalidKey, None, origin, at(1));
    };
    (0..most + 50).for_each(refuse);
    assert_eq!(lock(&recorder.counts).slots().len(), most + 1);
    let other = |counted_for| SourceSlot {
        counted_for,
        end: Outcome::Refused(RefusalCode::InvalidKey),
        source: Source::other_of(&Label::default()),
        day: 0,
    };
    assert_eq!(lock(&recorder.counts).slots()[&other(NOBODY)].count, 50);
    // An organization that has a place among the further counts keeps it.
    let last = most - 1;
    refuse(last);
    let concerned = organization(&format!("org-{last}"));
    assert_eq!(lock(&recorder.counts).slots()[&other(CountedFor::NoKey(Some(concerned)))].count, 2);
}

#[test]
fn the_noise_of_one_organization_leaves_another_its_refusals() {
    let (recorder, _, source) = recorder();
    let format = crate::key::KeyFormat::unbranded();
    for _ in 0..MOST_COUNTS {
        let key = format.generate(crate::KeyKind::User).unwrap();
        recorder.refusal(&CountedFor::Key(key.id()), RefusalCode::InvalidKey, None, Origin::Source(&source), at(1));
    }
    let quiet = CountedFor::NoKey(Some(organization("globex")));
    recorder.refusal(&quiet, RefusalCode::MissingCredentials, None, Origin::Source(&source), at(1));
    let rows = flushed(&recorder);
    let seen: Vec<_> = rows.iter().filter(|row| row.organization.as_deref() == Some("globex")).collect();
    assert_eq!((seen.len(), seen[0].count, seen[0].outcome.as_str()), (1, 1, "missing_credentials"));
}

#[test]
fn texts_that_are_no_keys_are_counted_by_reason_and_source() {
    let (recorder, _, intake) = recorder();
    let malformed = |reason, source: &Source, millis| {
        recorder.refusal(&NOBODY, RefusalCode::MalformedKey, Some(reason), Origin::Source(source), at(millis));
    };
    malformed(MalformedReason::Truncated, &Source::default(), 3);
    malformed(MalformedReason::Truncated, &Source::default(), 9);
    malformed(MalformedReason::Placeholder, &Source::default(), 4);
    malformed(MalformedReason::Truncated, &intake, 5);
    let mut rows: Vec<_> = flushed(&recorder)
        .into_iter()
        .map(|row| (row.outcome, row.label, row.count, row.first_at, row.last_at))
        .collect();
    rows.sort();
    let row = |reason: &str, source: &str, count, first, last| {
        (format!("malformed_key.{reason}"), source.to_owned(), count, first, last)
    };
    assert_eq!(
        rows,
        [row("placeholder", "", 1, 4, 4), row("truncated", "", 2, 3, 9), row("truncated", "intake", 1, 5, 5)]
    );
}

#[test]
fn full_counts_take_no_room_for_more_keys_and_fold_once() {
    let (recorder, _, source) = recorder();
    let refuse = |number: usize, of: &Source| {
        let key = KeyId::new(&format!("{number:020}")).unwrap();
        recorder.refusal(&CountedFor::Key(key), RefusalCode::InvalidKey, None, Origin::Source(of), at(1));
    };
    (0..MOST_COUNTS).for_each(|number| refuse(number, &source));
    for number in 0..300 {
        refuse(MOST_COUNTS, &Source::new(format!("api-{number}")).unwrap());
    }
    assert_eq!((recorder.folded(), lock(&recorder.counts).budgets()), (300, MOST_COUNTS));
}

#[test]
fn a_refusal_of_a_source_that_was_forgotten_is_counted_under_its_label() {
    let (recorder, key, intake) = recorder();
    let seen = recorder.success(&used_key(), Origin::Agent(intake.shared_label(), Some(b"curl/8")), at(5));
    assert_eq!(flushed(&recorder).len(), 1);
    lock(&recorder.known).forget_all();
    recorder.denied_downstream(key.key(), RefusalCode::WrongTeam, &seen, at(6));
    let rows = flushed(&recorder);
    assert_eq!((rows[0].outcome.as_str(), Source::from(&rows[0]).to_string()), ("wrong_team", "intake/other".into()));
    assert_eq!(recorder.folded(), 1);
}

/// Midnight of the first day, and the last millisecond before it.
const MIDNIGHT: i64 = 86_400_000;

#[test]
fn what_came_on_two_days_is_two_counts() {
    let (recorder, key, intake) = recorder();
    for millis in [MIDNIGHT - 2, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT * 3, MIDNIGHT * 3 + 1, MIDNIGHT * 3 + 2] {
        recorder.success(&key, Origin::Source(&intake), at(millis));
        recorder.refusal(
            &CountedFor::Key(key.key()),
            RefusalCode::KeyRevoked,
            None,
            Origin::Source(&intake),
            at(millis),
        );
        let reason = Some(MalformedReason::Truncated);
        recorder.refusal(&NOBODY, RefusalCode::MalformedKey, reason, Origin::Source(&Source::default()), at(millis));
    }
    let mut rows: Vec<_> =
        flushed(&recorder).into_iter().map(|row| (row.outcome, row.first_at, row.last_at, row.count)).collect();
    rows.sort();
    let of = |outcome: &str| {
        let row = |first, last, count| (outcome.to_owned(), first, last, count);
        [row(MIDNIGHT - 2, MIDNIGHT - 1, 2), row(MIDNIGHT, MIDNIGHT, 1), row(MIDNIGHT * 3, MIDNIGHT * 3 + 2, 3)]
    };
    assert_eq!(rows, [of("key_revoked"), of("malformed_key.truncated"), of("success")].concat());
}

#[test]
fn days_are_exact_when_threads_count_on_both_sides_of_midnight_while_another_flushes() {
    let (recorder, usage, source) = recorder();
    let mut written = std::collections::BTreeMap::<i32, i64>::new();
    std::thread::scope(|scope| {
        let count = |thread: i64| {
            let (recorder, usage, source) = (&recorder, &usage, &source);
            move || {
                for number in 0..10_000 {
                    let day = (number + thread) % 3;
                    recorder.success(usage, Origin::Source(source), at(day * MIDNIGHT + number));
                }
            }
        };
        let threads: Vec<_> = (0..3).map(|thread| scope.spawn(count(thread))).collect();
        let mut flush = || {
            for row in flushed(&recorder) {
                assert_eq!(crate::time::day_of(row.first_at), row.day());
                *written.entry(row.day()).or_default() += row.count;
            }
        };
        while threads.iter().any(|thread| !thread.is_finished()) {
            flush();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        flush();
    });
    assert_eq!(written.into_iter().collect::<Vec<_>>(), [(0, 10_000), (1, 10_000), (2, 10_000)]);
}

#[test]
fn the_day_of_a_clock_that_was_ahead_is_the_present_one() {
    let (recorder, key, intake) = recorder();
    recorder.success(&key, Origin::Source(&intake), at(MIDNIGHT * 50));
    recorder.success(&key, Origin::Source(&intake), at(MIDNIGHT * 2));
    let counts = recorder.take(at(MIDNIGHT * 2 + 7));
    let counts: Vec<_> = counts.into_iter().map(|(slot, count)| (slot.day, count)).collect();
    assert_eq!(counts, [(2, Count { count: 2, first_at: MIDNIGHT * 2, last_at: MIDNIGHT * 2 + 7 })]);
}
