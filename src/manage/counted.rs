use serde::Serialize;

use crate::{metering::UsageRecorder, time::Timestamp};

/// How far counts go that were read from the store. Every answer that tells how keys are used, in counts, in times of a last
/// use or in what follows from them, has one of these, which was taken before the first count was read.
///
/// Requests that this process had answered before [`until`](Self::until) are in the counts, or among those that were
/// [`dropped`](Self::dropped). Later ones may be missing. So may some of a flood: where more than 100,000 counts differ in
/// key, outcome and source between two flushes, the rest is counted among [refusals without a
/// key](super::KeyManager::refusals_without_key), from other sources. A flush that fails moves no time: the times stay where they are
/// until everything before them is written.
///
/// # Other nodes
/// This is what the answering process knows, and it knows nothing of what others have counted and not written. Each node
/// writes at the same interval, by itself. One that cannot, or that crashed, is told of by its own metrics
/// ([`last_usage_flush`](crate::auth::AuthMetrics::last_usage_flush)) and not here. A command line or a job that
/// serves no requests counts nothing: there, the times are none.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// use tower_api_keys::manage::ListKeys;
///
/// let page = keys.manager().list(ListKeys::all(), &admin).await?;
/// assert_eq!((page.counted.until, page.counted.dropped), (None, 0)); // nothing was written so far
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
    /// Until when this process has written what it counted, by its own clock: every 10 seconds, unless the
    /// [interval](crate::ApiKeysBuilder::usage_interval) is another. None before the first time.
    pub until: Option<Timestamp>,
    /// The same of the counts by day: every 10 minutes, and at a shutdown.
    pub days_until: Option<Timestamp>,
    /// How many requests to this process are missing from a count for good, since it began, because the store did not take
    /// a value of theirs. Of all keys of the process together, whoever asks.
    pub dropped: u64,
}

impl CountedUntil {
    /// As it is at this moment. To be taken before the counts are read.
    pub(super) fn now(counted: &UsageRecorder) -> Self {
        // The times first: what was dropped until then is among what was dropped by now.
        let (until, days_until) = (counted.written_until(), counted.days_written_until());
        Self { until, days_until, dropped: counted.refused() }
    }
}
