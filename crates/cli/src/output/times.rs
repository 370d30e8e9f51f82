//! Times for people. Programs get RFC 3339.

use std::time::Duration;

use tower_api_keys::{Clock, SystemClock, Timestamp};

/// The moment a command began: all its lines count from there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now(pub(crate) Timestamp);

impl Now {
    pub(crate) fn read() -> Self {
        Self(SystemClock::default().now())
    }

    /// How long ago that was: `2 min ago`.
    pub(crate) fn ago(self, time: Timestamp) -> String {
        let seconds = (self.0.as_millis() - time.as_millis()) / 1_000;
        match seconds {
            i64::MIN..-60 => minute(time),
            -60..60 => "just now".to_owned(),
            60..3_600 => format!("{} min ago", seconds / 60),
            3_600..86_400 => format!("{} h ago", seconds / 3_600),
            86_400..172_800 => "yesterday".to_owned(),
            172_800..2_592_000 => format!("{} days ago", seconds / 86_400),
            _ => date(time),
        }
    }

    /// The same, or `-` for never.
    pub(crate) fn ago_or_never(self, time: Option<Timestamp>) -> String {
        time.map_or_else(|| "-".to_owned(), |time| self.ago(time))
    }
}

/// `2026-11-28`, in UTC.
pub(crate) fn date(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// `2026-11-28 18:02 UTC`.
pub(crate) fn minute(time: Timestamp) -> String {
    let text: String = time.to_string().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}

/// `2026-11-28 18:02:09`, in UTC.
pub(crate) fn seconds(time: Timestamp) -> String {
    let text: String = time.to_string().chars().take(19).collect();
    text.replace('T', " ")
}

/// `500 ms`, `3 s`, `2 min`, `5 h`, `4 days`.
pub(crate) fn length(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_grows_with_the_distance() {
        let now = Now("2026-11-28T18:40:11Z".parse().unwrap());
        for (time, said) in [
            ("2026-11-28T18:40:00Z", "just now"),
            ("2026-11-28T18:38:00Z", "2 min ago"),
            ("2026-11-28T14:38:00Z", "4 h ago"),
            ("2026-11-27T14:38:00Z", "yesterday"),
            ("2026-11-23T14:38:00Z", "5 days ago"),
            ("2026-03-04T14:38:00Z", "2026-03-04"),
            ("2026-11-28T19:38:00Z", "2026-11-28 19:38 UTC"),
        ] {
            assert_eq!(now.ago(time.parse().unwrap()), said);
        }
    }
}
