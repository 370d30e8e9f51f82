use serde::Serialize;

use super::{Contact, Outcome, UsageDetail};
use crate::{key::MalformedReason, time::Timestamp};

/// How requests ended, in the words of whoever looks after keys, beside those that begin with `malformed_key`.
const MEANINGS: &[(&str, &str)] = &[
    (
        "ambiguous_credentials",
        "The request had two different keys, or a header twice: nobody can tell which was meant.",
    ),
    (
        "clock_unsure",
        "The clock of the service jumped, and whether the key had expired depended on which time was right.",
    ),
    ("corrupt_record", "The stored record of the key could not be read, so nobody could say whether it is good."),
    ("insufficient_role", "The key was accepted, and the caller's role does not allow what it asked for."),
    ("insufficient_scope", "The key was accepted, and lacks a scope that what it asked for needs."),
    ("invalid_key", "There is no such key, or the secret behind a known id was wrong: somebody has another text."),
    ("key_expired", "The key had expired: whoever called had the right text."),
    ("key_revoked", "The key was revoked: whoever called had the right text."),
    ("malformed_key", "What was sent is not a key."),
    ("missing_credentials", "The request had no key where one is looked for."),
    ("overloaded", "Too many keys were being checked at once: nothing is known to be wrong with this one."),
    ("owner_suspended", "The owner was held or closed: whoever called had the right text."),
    ("plan_required", "The key was accepted, and the plan does not include what it asked for."),
    ("store_unavailable", "The key store could not be asked: nothing is known to be wrong with the key."),
    ("success", "The key was accepted."),
    (
        "wrong_key_kind",
        "The key was accepted, and is a personal one where a team key is needed, or the other way round.",
    ),
    ("wrong_team", "The key was accepted, and knocked at the door of a team that it does not reach."),
];

/// For outcomes of a newer version of this crate, or of a store of one's own.
const UNKNOWN: &str = "Refused, for a reason that this version does not know.";

impl Outcome {
    /// What the outcome means, in a sentence for whoever looks after the key.
    ///
    /// ```
    /// use tower_api_keys::usage::Outcome;
    ///
    /// assert_eq!(Outcome::SUCCESS.meaning(), "The key was accepted.");
    /// ```
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        let word = self.as_str();
        if let Some(reason) = word.strip_prefix("malformed_key.")
            && let Some(reason) = MalformedReason::ALL.iter().find(|known| known.code() == reason)
        {
            return reason.advice();
        }
        MEANINGS.iter().find(|(known, _)| *known == word).map_or(UNKNOWN, |(_, meaning)| meaning)
    }
}

impl Contact {
    /// What it means, in a sentence for whoever looks after the key.
    ///
    /// ```
    /// use tower_api_keys::usage::Contact;
    ///
    /// assert!(Contact::Never.meaning().starts_with("No request with this key has arrived"));
    /// ```
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Accepted => "Requests with this key arrived, and at least one was accepted.",
            Self::Never => {
                "No request with this key has arrived, neither good nor bad: look at the program that should call, its \
                 address of the service, and whether it sends the key at all."
            }
            Self::OnlyRefused => {
                "Requests with this key arrived, and every one was refused: the program calls, and the outcomes say \
                 what is wrong."
            }
        }
    }
}

/// The requests that ended in one way, over all sources.
///
/// ```
/// use tower_api_keys::usage::UsageDetail;
///
/// for seen in UsageDetail::default().by_outcome() {
///     println!("{} times, last at {}: {}", seen.count, seen.last_at, seen.meaning);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutcomeSummary {
    /// How the requests ended.
    pub outcome: Outcome,
    /// What that means, in a sentence.
    pub meaning: &'static str,
    /// How many there were, at least 1.
    pub count: i64,
    /// When the first of them came.
    pub first_at: Timestamp,
    /// When the last of them came.
    pub last_at: Timestamp,
    /// From where they came, each once; the source of the last one first.
    pub sources: Vec<String>,
}

impl UsageDetail {
    /// The requests by how they ended, what was seen last first.
    #[must_use]
    pub fn by_outcome(&self) -> Vec<OutcomeSummary> {
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_by(|a, b| (b.last_at, &a.outcome, &a.source).cmp(&(a.last_at, &b.outcome, &b.source)));
        let mut seen: Vec<OutcomeSummary> = Vec::new();
        for count in counts {
            match seen.iter_mut().find(|seen| seen.outcome == count.outcome) {
                Some(seen) => {
                    seen.count = seen.count.saturating_add(count.count);
                    seen.first_at = seen.first_at.min(count.first_at);
                    seen.sources.push(count.source.clone());
                }
                None => seen.push(OutcomeSummary {
                    outcome: count.outcome.clone(),
                    meaning: count.outcome.meaning(),
                    count: count.count,
                    first_at: count.first_at,
                    last_at: count.last_at,
                    sources: vec![count.source.clone()],
                }),
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::UsageRow;

    #[test]
    fn every_reason_of_a_malformed_key_has_its_own_sentence() {
        for reason in MalformedReason::ALL {
            let outcome = Outcome::refused("malformed_key", Some(reason));
            assert_eq!(outcome.meaning(), reason.advice());
        }
        assert_eq!(Outcome::stored("malformed_key").meaning(), "What was sent is not a key.");
        assert_eq!(Outcome::stored("malformed_key.of_tomorrow").meaning(), UNKNOWN);
    }

    #[test]
    fn meanings_are_sorted_and_told_apart() {
        for pair in MEANINGS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
            assert_ne!(pair[0].1, pair[1].1);
        }
        assert_eq!(Outcome::stored("of_tomorrow").meaning(), UNKNOWN);
    }

    #[test]
    fn outcomes_are_summed_over_sources_and_the_last_comes_first() {
        let row = |outcome: &str, source: &str, count, first_at, last_at| UsageRow {
            key: None,
            outcome: outcome.into(),
            source: source.into(),
            count,
            first_at,
            last_at,
        };
        let rows = [
            row("success", "api/curl", 2, 10, 30),
            row("key_revoked", "api/curl", 1, 40, 40),
            row("success", "intake", 3, 5, 35),
        ];
        let seen = UsageDetail::of(&rows).unwrap().by_outcome();
        let told: Vec<_> = seen
            .iter()
            .map(|seen| (seen.outcome.as_str(), seen.count, seen.first_at.as_millis(), seen.last_at.as_millis()))
            .collect();
        assert_eq!(told, [("key_revoked", 1, 40, 40), ("success", 5, 5, 35)]);
        assert_eq!(seen[1].sources, ["intake", "api/curl"]);
    }
}
