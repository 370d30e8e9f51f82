//! Keys that end soon: how soon that is, and the sentences about them.

use std::time::Duration;

use crate::{sentence::sentences, time::Timestamp};

/// How long before its end a key ends soon by default: a week, so that people who are away for some days still see it.
pub(super) const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The end, if it is in the future and within this time.
pub(super) fn ends_within(end: Option<Timestamp>, soon: Duration, now: Timestamp) -> Option<Timestamp> {
    end.filter(|end| now < *end && *end <= now.saturating_add(soon))
}

sentences! {
    pub(super) fn all;

    pub(super) fn rotation_due(since: Timestamp) = "note.rotation_due":
        "The rotation of this key was due at {since}. Start a rotation, and install the new key.";
    pub(super) fn ends_soon(at: Timestamp) = "note.ends_soon":
        "It expires soon, at {at}: if it is still needed, rotate it before then and give the new key a later expiry.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_is_a_week_and_over_is_not_soon() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let ends = |end: Timestamp| ends_within(Some(end), SOON, now).is_some();
        let millisecond = Duration::from_millis(1);
        assert!(ends(now.saturating_add(millisecond)) && ends(now.saturating_add(SOON)));
        assert!(!ends(now.saturating_add(SOON + millisecond)) && !ends(now) && !ends(Timestamp::MIN));
        assert_eq!(ends_within(None, Duration::MAX, now), None);
        assert!(ends_within(Some(Timestamp::MAX), Duration::MAX, now).is_some());
    }
}
