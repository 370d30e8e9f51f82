use serde::Serialize;

use crate::{metering::UsageRecorder, time::Timestamp};

/// Until when usage is counted in an answer. Every answer about how keys are used has one of these, whether it has
/// counts, times of a last use or conclusions from them. It is taken before the first count is read.
///
/// Requests that this process had answered before [`until`](Self::until) are in the counts, or among those that were
/// [`dropped`](Self::dropped). Later ones may be missing. So may part of a flood: if more than 100,000 counts differ in
/// key, outcome and source between two flushes, the rest is counted among [refusals without a
/// key](super::KeyManager::refusals_without_key), from other sources. A flush that fails does not advance the times,
/// until everything before them is written; [`failing_since`](Self::failing_since) says that this is so.
///
/// # Other nodes
/// This is what the answering process knows. It does not know what other nodes have counted but not written. Each node
/// writes at the same interval, on its own. A node that cannot write, or that crashed, is visible in its own metrics
/// ([`last_usage_flush`](crate::auth::AuthMetrics::last_usage_flush)) and not here. A command line or a job that serves
/// no requests counts nothing: its times are `None`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// use tower_api_keys::manage::ListKeys;
///
/// let page = keys.manager().list(ListKeys::all(), &admin).await?;
/// assert_eq!((page.counted.until, page.counted.dropped), (None, 0)); // nothing written so far
///
/// keys.flush_usage().await?;
/// let page = keys.manager().list(ListKeys::all(), &admin).await?;
/// if let Some(until) = page.counted.until {
///     println!("uses are counted until {until}");
/// }
/// # assert!(page.counted.until.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CountedUntil {
    /// The time, by its own clock, until which this process has written its counts: every 10 seconds, unless the
    /// [interval](crate::ApiKeysBuilder::usage_interval) differs. `None` before the first time.
    pub until: Option<Timestamp>,
    /// The same for counts by day: every 10 minutes, and at a shutdown.
    pub days_until: Option<Timestamp>,
    /// How many requests to this process, since it started, are permanently missing from a count because the store
    /// refused one of their values. For all keys of the process together, whatever the actor.
    pub dropped: u64,
    /// Since when this process cannot write its counts: when the first flush failed after the last that did not. `None`
    /// while it can, and before the first flush.
    pub failing_since: Option<Timestamp>,
}

impl CountedUntil {
    /// The state at this moment, to be taken before the counts are read.
    pub(super) fn now(counted: &UsageRecorder) -> Self {
        // The times first: every request that was dropped before them is then in the later number.
        let (until, days_until) = (counted.written_until(), counted.days_written_until());
        Self { until, days_until, dropped: counted.refused(), failing_since: counted.failing_since() }
    }
}
