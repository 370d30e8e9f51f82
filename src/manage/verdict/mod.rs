//! Whether a rotation can be finished, judged by the counts of both keys.

use std::{fmt, time::Duration};

use crate::{
    json::json_form,
    sentence::{Sentence, sentences},
    time::Timestamp,
    usage::{UsageCount, UsageDetail},
};

/// How long a source is assumed to be still there after its last call. Usage is written every ten seconds by default,
/// so a call is known long before that.
pub(in crate::manage) const QUIET: Duration = Duration::from_secs(3_600);

/// Whether a rotation can be finished, as far as usage shows. It serializes as
/// `{"verdict": …, "since": …, "sources": …, "sentence": …}`.
///
/// ```
/// use tower_api_keys::manage::RotationVerdict;
///
/// assert_eq!(RotationVerdict::StillUsedBy(2).sentence(), "The old key is still used by 2 sources.");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationVerdict {
    /// The new key was never accepted: it is not installed yet.
    NotStarted,
    /// The new key is paused: calls with it are refused, whatever the counts say.
    NewKeyPaused,
    /// This many sources used the old key lately.
    StillUsedBy(usize),
    /// The old key has been idle since this time, or since the rotation began if that is later, but some sources that
    /// used it have not been seen with the new key since. A job that runs once a week is quiet for six days.
    QuietSince(Timestamp),
    /// The new key is in use, and every source that ever used the old key was seen with the new one since. Callers
    /// without a name, which send no user agent, are one source: if one of them moved, that says nothing about the
    /// others. Check whether an empty [`source`](crate::usage::UsageCount::source) is among those of the old key before
    /// you finish. A stream that was opened with the old key is not in the counts after its first request, however
    /// often the service rechecks it; finishing ends it.
    SafeToFinish,
}

sentences! {
    pub(in crate::manage) fn all;

    fn new_key_paused() = "rotation.new_key_paused":
        "The new key is paused: resume it, or abort the rotation.";
    fn not_started() = "rotation.not_started": "The new key was never used: install it where the old one is.";
    fn quiet_since(since: Timestamp) = "rotation.quiet_since":
        "The old key has not been used since {since}, but some sources that used it have not been seen with the new \
         key.";
    fn safe_to_finish() = "rotation.safe_to_finish":
        "Every source that used the old key now uses the new one. Sources are recognized by name only. Finish the \
         rotation.";
    fn still_used_by(sources: usize) = "rotation.still_used_by":
        "The old key is still used by {sources} {sources:source|sources}.";
}

impl RotationVerdict {
    /// The verdict as a word in snake case.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NewKeyPaused => "new_key_paused",
            Self::NotStarted => "not_started",
            Self::QuietSince(_) => "quiet_since",
            Self::SafeToFinish => "safe_to_finish",
            Self::StillUsedBy(_) => "still_used_by",
        }
    }

    /// The verdict as a sentence for people.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::NewKeyPaused => new_key_paused(),
            Self::NotStarted => not_started(),
            Self::QuietSince(time) => quiet_since(*time),
            Self::SafeToFinish => safe_to_finish(),
            Self::StillUsedBy(sources) => still_used_by(*sources),
        }
    }
}

impl fmt::Display for RotationVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

json_form! {
    RotationVerdict, |verdict| _ => {
        #[cfg_attr(
            feature = "schemars",
            schemars(extend("enum" = ["new_key_paused", "not_started", "quiet_since", "safe_to_finish", "still_used_by"]))
        )]
        verdict: &'static str = verdict.as_str(),
        /// Since when the old key has been quiet.
        since: Option<Timestamp> = match verdict {
            RotationVerdict::QuietSince(time) => Some(*time),
            _ => None,
        },
        /// How many sources still use it.
        sources: Option<usize> = match verdict {
            RotationVerdict::StillUsedBy(sources) => Some(*sources),
            _ => None,
        },
        sentence: Sentence = verdict.sentence(),
    }
}

/// The verdict from the counts of both keys.
///
/// It is by source, because a key as a whole falls silent long before its last user has moved: one that calls once a
/// week is quiet for six days, and fails on the seventh if the old key is gone by then. A source proves that it moved
/// by calling with the new key after its last call with the old one. One name may mean several machines, so a source
/// that called with the old key lately is still there, whatever else it did. A call in the future was dated by a wrong
/// clock, and is no evidence of its time; no verdict waits until that time has come.
pub(in crate::manage) fn verdict(
    old: &UsageDetail,
    new: &UsageDetail,
    begun_at: Timestamp,
    now: Timestamp,
    quiet: Duration,
) -> RotationVerdict {
    if new.successes().next().is_none() {
        return RotationVerdict::NotStarted;
    }
    let still_there = old.successes().filter(|source| called_lately(source, now, quiet)).count();
    if still_there > 0 {
        return RotationVerdict::StillUsedBy(still_there);
    }
    if old.successes().all(|source| has_moved(source, new, now)) {
        return RotationVerdict::SafeToFinish;
    }
    let last = old.successes().filter_map(|source| source.last_known_at(now)).max();
    // Silence before the rotation began says nothing about it.
    RotationVerdict::QuietSince(last.map_or(begun_at, |last| last.max(begun_at)))
}

/// The sources of the old key that have not shown that they are done with it.
pub(in crate::manage) fn still_on_old(
    old: &UsageDetail,
    new: &UsageDetail,
    now: Timestamp,
    quiet: Duration,
) -> Vec<UsageCount> {
    let stays = |source: &&UsageCount| called_lately(source, now, quiet) || !has_moved(source, new, now);
    old.successes().filter(stays).cloned().collect()
}

fn called_lately(source: &UsageCount, now: Timestamp, quiet: Duration) -> bool {
    source.last_known_at(now).is_some_and(|last| last.saturating_add(quiet) > now)
}

/// Whether a source of the old key was accepted with the new one since.
fn has_moved(source: &UsageCount, new: &UsageDetail, now: Timestamp) -> bool {
    let from = &source.source;
    let let_in = new.successes().filter(|count| count.source == *from);
    let denied_downstream = new.refusals().filter(|count| count.source == *from);
    let denied_downstream = denied_downstream.filter(|count| count.outcome.is_denied_downstream());
    let times = denied_downstream.map(|count| count.count).fold(0, i64::saturating_add);
    // A call with a time in the future, from a wrong clock, may have been before or after any other. Then any call with
    // the new key, which exists since the rotation began, has to be enough.
    let last = source.last_known_at(now).filter(|last| *last == source.last_at);
    let is_since = |count: &UsageCount| last.is_none_or(|last| count.last_known_at(now) >= Some(last));
    // If the source combines several that are not kept apart, one of them moving says nothing about the others.
    !from.is_other() && let_in.into_iter().any(|count| is_since(count) && count.count > times)
}

#[cfg(test)]
mod tests;
