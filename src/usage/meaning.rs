use serde::Serialize;

use super::{Parts, Source, UsageDetail};
use crate::{
    outcome::Outcome,
    sentence::{Argument, Example, Place, Sentence},
    time::Timestamp,
};

/// The requests with one outcome, over all sources.
///
/// ```
/// use tower_api_keys::usage::UsageDetail;
///
/// for seen in UsageDetail::default().by_outcome() {
///     println!("{} times, last at {}: {}", seen.count, seen.last_at, seen.meaning);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OutcomeSummary {
    /// How the requests ended.
    pub outcome: Outcome,
    /// What that means, in a sentence.
    pub meaning: Sentence,
    /// How many there were, at least 1.
    pub count: i64,
    /// The time of the first one.
    pub first_at: Timestamp,
    /// The time of the last one.
    pub last_at: Timestamp,
    /// Their sources, each once, the source of the last request first.
    pub sources: Vec<Source>,
}

impl UsageDetail {
    /// The requests by outcome, the most recent outcome first.
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
                    meaning: count.outcome.sentence(),
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

impl From<&Source> for Argument {
    fn from(source: &Source) -> Self {
        let Parts { label, client, network } = source.parts();
        Self::Source(Place::new([label, client, network], source.to_string()))
    }
}

impl Example for &Source {
    fn example() -> Argument {
        Argument::from(&Source::of_parts(Parts { label: "api", client: "curl", network: "203.0.113.0/24" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::UsageRow;

    #[test]
    fn outcomes_are_summed_over_sources_and_the_last_comes_first() {
        let row = |outcome: &str, (label, client): (&str, &str), count, first_at, last_at| UsageRow {
            key: None,
            organization: None,
            outcome: outcome.into(),
            label: label.into(),
            client: client.into(),
            network: String::new(),
            count,
            first_at,
            last_at,
        };
        let rows = [
            row("success", ("api", "curl"), 2, 10, 30),
            row("key_revoked", ("api", "curl"), 1, 40, 40),
            row("success", ("intake", ""), 3, 5, 35),
        ];
        let seen = UsageDetail::of(&rows).unwrap().by_outcome();
        let told: Vec<_> = seen
            .iter()
            .map(|seen| (seen.outcome.to_string(), seen.count, seen.first_at.as_millis(), seen.last_at.as_millis()))
            .collect();
        assert_eq!(told, [("key_revoked".into(), 1, 40, 40), ("success".into(), 5, 5, 35)]);
        let sources: Vec<_> = seen[1].sources.iter().map(Source::to_string).collect();
        assert_eq!(sources, ["intake", "api/curl"]);
    }
}
