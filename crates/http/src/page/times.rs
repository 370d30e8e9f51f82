//! Times for people: dates in UTC, and how long ago something was. The exact time stays in the markup.

use serde::Serialize;
use tower_api_keys::Timestamp;

use super::words::Words;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A time in a view: for machines, and for people.
#[derive(Clone, Debug, Serialize)]
pub(super) struct When {
    /// The exact time, if the text is about it and does not have all of it.
    at: Option<String>,
    pub(super) text: String,
}

impl When {
    /// The date: `2 Nov 2026`.
    pub(super) fn date(at: Timestamp, words: &Words) -> Self {
        Self { at: None, text: words.date(at) }
    }

    /// Date and minute: `2 Nov 2026, 09:14 UTC`.
    pub(super) fn minute(at: Timestamp, words: &Words) -> Self {
        Self { at: Some(seconds(at)), text: words.minute(at) }
    }

    /// How long before `now`, up to a month; then the date.
    pub(super) fn ago(at: Timestamp, now: Timestamp, words: &Words) -> Self {
        let passed = now.as_millis().saturating_sub(at.as_millis());
        let counted = |id: &str, count: i64| words.say(id, &[("count", count.to_string())]);
        let text = match passed {
            ..MINUTE => words.say("time.now", &[]),
            MINUTE..HOUR => counted("time.minutes", passed / MINUTE),
            HOUR..DAY => counted("time.hours", passed / HOUR),
            _ if passed < 30 * DAY => counted("time.days", passed / DAY),
            _ => return Self::date(at, words),
        };
        Self { at: Some(seconds(at)), text }
    }
}

/// The day in the form of a date field: `2026-11-02`.
pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// The beginning of the day that a date field holds.
pub(super) fn of_day(text: &str) -> Option<Timestamp> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_date.then(|| format!("{text}T00:00:00Z").parse().ok()).flatten()
}

fn seconds(at: Timestamp) -> String {
    let iso = at.to_string();
    format!("{}Z", iso.chars().take(19).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn dates_and_lengths_are_for_people() {
        let words = Words::english();
        assert_eq!(When::date(at("2026-11-02T09:14:03.221Z"), &words).text, "2 Nov 2026");
        assert_eq!(When::date(at("2026-11-02T09:14:03.221Z"), &words).at, None);
        assert_eq!(When::minute(at("2026-11-02T09:14:03.221Z"), &words).text, "2 Nov 2026, 09:14 UTC");
        let now = at("2026-11-02T12:00:00Z");
        let ago = |text: &str| When::ago(at(text), now, &words).text;
        assert_eq!(ago("2026-11-02T12:00:01Z"), "just now");
        assert_eq!(ago("2026-11-02T11:59:01Z"), "just now");
        assert_eq!(ago("2026-11-02T11:59:00Z"), "1 minute ago");
        assert_eq!(ago("2026-11-02T11:00:01Z"), "59 minutes ago");
        assert_eq!(ago("2026-11-02T11:00:00Z"), "1 hour ago");
        assert_eq!(ago("2026-11-01T12:00:00Z"), "1 day ago");
        assert_eq!(ago("2026-10-04T12:00:00Z"), "29 days ago");
        assert_eq!(ago("2026-10-03T12:00:00Z"), "3 Oct 2026");
    }

    #[test]
    fn a_date_field_is_a_day_or_nothing() {
        assert_eq!(of_day("2027-01-01"), Some(at("2027-01-01T00:00:00Z")));
        assert_eq!(of_day("2027-01-01").map(day).as_deref(), Some("2027-01-01"));
        for text in ["", "2027-1-1", "2027-13-01", "2027-01-01T", "tomorrow!!"] {
            assert_eq!(of_day(text), None, "{text}");
        }
    }
}
