use std::time::Duration;

use crate::{
    json::json_form,
    sentence::{Sentence, sentences},
};

/// How long a key may still be accepted somewhere after a call that ends, pauses or suspends it has returned. For what a
/// page says beside the button. It serializes, with its [sentence](Self::sentence).
///
/// It is what this node knows: [its own setting](crate::ApiKeysBuilder::freshness), and [what the service said of its
/// other nodes](crate::ApiKeysBuilder::freshness_of_other_nodes). Nodes do not tell each other through the store: a
/// node that only checks keys may not even be allowed to write to it.
///
/// It is about requests that begin later. A request that has begun is not interrupted; a
/// [stream that waits for the end of its key](crate::manual::streams) ends. For when a bound does not hold, see
/// [`Freshness::Bounded`](crate::auth::Freshness::Bounded).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use std::time::Duration;
/// use tower_api_keys::{ApiKeys, auth::Freshness, store::MemoryStore};
///
/// let keys = ApiKeys::builder(MemoryStore::new()).freshness_of_other_nodes(Freshness::Strict).build().await?;
/// let staleness = keys.manager().staleness();
/// assert_eq!((staleness.longest, staleness.is_of_all_nodes), (Duration::ZERO, true));
/// assert_eq!(staleness.sentence(), "Every server refuses the next request with the key.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staleness {
    /// The longest time after the call returned; zero if the next request is refused. The node of the call itself
    /// always refuses the next request.
    pub longest: Duration,
    /// Whether this holds on all nodes of the service, because it [said
    /// so](crate::ApiKeysBuilder::freshness_of_other_nodes). If not, it holds on nodes with the settings of this one.
    pub is_of_all_nodes: bool,
}

impl Staleness {
    /// Of a node and, if they are known, of the others.
    pub(crate) fn of(own: Duration, others: Option<Duration>) -> Self {
        Self { longest: own.max(others.unwrap_or_default()), is_of_all_nodes: others.is_some() }
    }

    /// What to say to people.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match (self.longest.is_zero(), self.is_of_all_nodes) {
            (true, true) => none(),
            (true, false) => none_here(),
            (false, true) => bounded(self.longest),
            (false, false) => bounded_here(self.longest),
        }
    }
}

json_form! {
    Staleness, |staleness| Staleness { longest, is_of_all_nodes } => {
        /// The longest time after the call returned, in milliseconds; 0 if the next request is refused.
        longest_ms: u64 = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX),
        /// Whether this holds on all nodes of the service. If not, it holds on nodes with the settings of this one.
        is_of_all_nodes: bool = *is_of_all_nodes,
        sentence: Sentence = staleness.sentence(),
    }
}

sentences! {
    pub(super) fn all;

    fn bounded(longest: Duration) = "staleness.bounded":
        "This server refuses the next request with the key, and every other server does so after at most {longest}.";
    fn bounded_here(longest: Duration) = "staleness.bounded_here":
        "This server refuses the next request with the key, and every other server with the same settings does so after \
         at most {longest}.";
    fn none() = "staleness.none": "Every server refuses the next request with the key.";
    fn none_here() = "staleness.none_here":
        "This server, and every other server with the same settings, refuses the next request with the key.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ApiKeys,
        auth::Freshness::{self, Bounded, Strict},
        store::MemoryStore,
    };

    const SECOND: Duration = Duration::from_secs(1);

    async fn said(own: Freshness, others: Option<Freshness>) -> Staleness {
        let mut keys = ApiKeys::builder(MemoryStore::new()).freshness(own);
        if let Some(others) = others {
            keys = keys.freshness_of_other_nodes(others);
        }
        let keys = keys.build().await.unwrap();
        let customer = keys.manager_for("acme".parse().unwrap());
        assert_eq!(customer.staleness(), keys.manager().staleness());
        customer.staleness()
    }

    #[tokio::test]
    async fn the_least_current_node_counts_and_an_unknown_one_is_not_vouched_for() {
        for (own, others, longest, id) in [
            (Strict, None, Duration::ZERO, "staleness.none_here"),
            (Strict, Some(Strict), Duration::ZERO, "staleness.none"),
            (Bounded(SECOND), None, SECOND, "staleness.bounded_here"),
            (Bounded(SECOND), Some(Strict), SECOND, "staleness.bounded"),
            (Strict, Some(Bounded(SECOND)), SECOND, "staleness.bounded"),
            (Bounded(SECOND), Some(Bounded(3 * SECOND)), 3 * SECOND, "staleness.bounded"),
            (Bounded(3 * SECOND), Some(Bounded(SECOND)), 3 * SECOND, "staleness.bounded"),
        ] {
            let staleness = said(own, others).await;
            assert_eq!((staleness.longest, staleness.sentence().id()), (longest, id), "{own:?} {others:?}");
            assert_eq!(staleness.is_of_all_nodes, others.is_some());
        }
    }

    #[tokio::test]
    async fn its_json_has_the_time_and_the_sentence() {
        let json = serde_json::to_value(said(Bounded(2 * SECOND), None).await).unwrap();
        assert_eq!((&json["longest_ms"], &json["is_of_all_nodes"]), (&2_000.into(), &false.into()));
        let text = "This server refuses the next request with the key, and every other server with the same settings \
            does so after at most 2 seconds.";
        assert_eq!((&json["sentence"]["text"], json.as_object().unwrap().len()), (&text.into(), 3));
    }

    #[tokio::test]
    async fn a_bound_that_no_node_can_have_is_refused() {
        for bound in [Duration::ZERO, Duration::from_millis(99), 3_601 * SECOND] {
            let keys = ApiKeys::builder(MemoryStore::new()).freshness_of_other_nodes(Bounded(bound));
            let error = keys.build().await.unwrap_err().to_string();
            assert_eq!(error, "the bound of `freshness_of_other_nodes` must be 100 ms to 1 hour");
        }
    }
}
