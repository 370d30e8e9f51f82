use super::*;
use crate::usage::UsageRow;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const NOW: i64 = 100 * DAY;
const BEGUN: i64 = NOW - 2 * HOUR;
const QUIET: Duration = Duration::from_secs(3_600);

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// Counts with outcome, source, number, and time of the last use.
fn usage(counts: &[(&str, &str, i64, i64)]) -> UsageDetail {
    let row = |&(outcome, source, count, last_at): &(&str, &str, i64, i64)| UsageRow {
        key: None,
        outcome: outcome.into(),
        count,
        first_at: last_at - count,
        last_at,
        ..UsageRow::seen_from(source)
    };
    UsageDetail::of(&counts.iter().map(row).collect::<Vec<_>>()).unwrap()
}

#[test]
fn verdict_and_sources_left_follow_from_the_counts() {
    use RotationVerdict::{NotStarted, QuietSince, SafeToFinish, StillUsedBy};
    let quiet_since = |at| QuietSince(time(at));
    for (case, old, new, expected, left) in [
        ("nobody uses either", &[][..], &[][..], NotStarted, &[][..]),
        ("the new one is not there yet", &[("success", "ci", 9, NOW)], &[], NotStarted, &["ci"]),
        (
            "the new one was only refused",
            &[("success", "ci", 9, NOW - DAY)],
            &[("invalid_key", "ci", 9, NOW)],
            NotStarted,
            &["ci"],
        ),
        ("the old one was never used", &[], &[("success", "ci", 1, NOW)], SafeToFinish, &[]),
        (
            "refusals of the old one are no use of it",
            &[("insufficient_scope", "ci", 9, NOW)],
            &[("success", "ci", 1, NOW)],
            SafeToFinish,
            &[],
        ),
        (
            "all moved",
            &[("success", "ci", 9, NOW - 2 * HOUR), ("success", "cron", 2, NOW - DAY)],
            &[("success", "ci", 1, NOW - 2 * HOUR), ("success", "cron", 1, NOW)],
            SafeToFinish,
            &[],
        ),
        (
            "one of two is still there",
            &[("success", "ci", 9, NOW - 2 * HOUR), ("success", "cron", 2, NOW - MINUTE)],
            &[("success", "ci", 1, NOW)],
            StillUsedBy(1),
            &["cron"],
        ),
        (
            "two are",
            &[("success", "ci", 9, NOW), ("success", "cron", 2, NOW - MINUTE)],
            &[("success", "laptop", 1, NOW)],
            StillUsedBy(2),
            &["ci", "cron"],
        ),
        (
            "one name, several machines: some moved",
            &[("success", "ci", 9, NOW - MINUTE)],
            &[("success", "ci", 5, NOW)],
            StillUsedBy(1),
            &["ci"],
        ),
        (
            "still there to the last millisecond of the hour",
            &[("success", "ci", 9, NOW - HOUR + 1)],
            &[("success", "ci", 5, NOW)],
            StillUsedBy(1),
            &["ci"],
        ),
        ("and no longer", &[("success", "ci", 9, NOW - HOUR)], &[("success", "ci", 5, NOW)], SafeToFinish, &[]),
        (
            "a node's clock is ahead",
            &[("success", "ci", 9, NOW + MINUTE)],
            &[("success", "ci", 5, NOW + HOUR)],
            StillUsedBy(1),
            &["ci"],
        ),
        (
            "the weekly job was not seen yet, and the rotation is younger than its silence",
            &[("success", "ci", 9, NOW - 3 * HOUR), ("success", "weekly", 20, NOW - 6 * DAY)],
            &[("success", "ci", 5, NOW)],
            quiet_since(BEGUN),
            &["weekly"],
        ),
        (
            "somebody went back to the old one",
            &[("success", "ci", 9, NOW - 61 * MINUTE)],
            &[("success", "ci", 5, NOW - 90 * MINUTE)],
            quiet_since(NOW - 61 * MINUTE),
            &["ci"],
        ),
        (
            "those that are too many to tell apart never all move",
            &[("success", "intake/other", 9, NOW - DAY)],
            &[("success", "intake/other", 5, NOW)],
            quiet_since(BEGUN),
            &["intake/other"],
        ),
        (
            "a client with a long name is not too many",
            &[("success", "intake/another", 9, NOW - DAY)],
            &[("success", "intake/another", 5, NOW)],
            SafeToFinish,
            &[],
        ),
        (
            "accepted each time, and denied each time downstream",
            &[("success", "ci", 9, NOW - DAY)],
            &[("success", "ci", 5, NOW), ("wrong_team", "ci", 5, NOW)],
            quiet_since(BEGUN),
            &["ci"],
        ),
        (
            "denied downstream sometimes, as before",
            &[("success", "ci", 9, NOW - DAY)],
            &[("success", "ci", 5, NOW), ("insufficient_scope", "ci", 4, NOW)],
            SafeToFinish,
            &[],
        ),
        (
            "another's failures are its own",
            &[("success", "ci", 9, NOW - DAY)],
            &[("success", "ci", 5, NOW), ("wrong_team", "laptop", 50, NOW)],
            SafeToFinish,
            &[],
        ),
        (
            "sources without a name are one",
            &[("success", "", 9, NOW - DAY)],
            &[("success", "", 5, NOW)],
            SafeToFinish,
            &[],
        ),
    ] {
        let (old, new) = (usage(old), usage(new));
        assert_eq!(verdict(&old, &new, time(BEGUN), time(NOW), QUIET), expected, "{case}");
        let remaining = still_on_old(&old, &new, time(NOW), QUIET);
        assert_eq!(remaining.iter().map(|count| count.source.to_string()).collect::<Vec<_>>(), left, "{case}");
    }
}

#[test]
fn a_shorter_silence_is_enough_where_it_is_asked_for() {
    let old = usage(&[("success", "ci", 9, NOW - 20 * MINUTE)]);
    let new = usage(&[("success", "ci", 9, NOW)]);
    let verdict = |quiet| verdict(&old, &new, time(BEGUN), time(NOW), Duration::from_secs(quiet));
    assert_eq!(verdict(21 * 60), RotationVerdict::StillUsedBy(1));
    assert_eq!(verdict(20 * 60), RotationVerdict::SafeToFinish);
    assert_eq!(verdict(0), RotationVerdict::SafeToFinish);
}

#[test]
fn verdicts_are_sentences_and_words() {
    for (verdict, sentence, words) in [
        (
            RotationVerdict::NotStarted,
            "The new key was never used: install it where the old one is.",
            serde_json::json!({"verdict": "not_started", "since": null, "sources": null}),
        ),
        (
            RotationVerdict::QuietSince(time(0)),
            "The old key has not been used since 1970-01-01T00:00:00Z, but some sources that used it have not been seen with the new key.",
            serde_json::json!({"verdict": "quiet_since", "since": "1970-01-01T00:00:00Z", "sources": null}),
        ),
        (
            RotationVerdict::SafeToFinish,
            "Every source that used the old key now uses the new one. Sources are recognized by name only. Finish the \
             rotation.",
            serde_json::json!({"verdict": "safe_to_finish", "since": null, "sources": null}),
        ),
        (
            RotationVerdict::StillUsedBy(1),
            "The old key is still used by 1 source.",
            serde_json::json!({"verdict": "still_used_by", "since": null, "sources": 1}),
        ),
        (
            RotationVerdict::StillUsedBy(3),
            "The old key is still used by 3 sources.",
            serde_json::json!({"verdict": "still_used_by", "since": null, "sources": 3}),
        ),
    ] {
        assert_eq!(verdict.to_string(), sentence);
        let mut json = serde_json::to_value(verdict).unwrap();
        assert_eq!(json.as_object_mut().unwrap().remove("sentence").unwrap()["text"], sentence);
        assert_eq!(json, words);
    }
}
