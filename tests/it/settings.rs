//! Settings that make no sense are an error when the keys are built, before any resource is taken.

use std::time::Duration;

use tower_api_keys::{ApiKeys, ApiKeysBuilder, auth::Freshness, hash::HasherConfig, store::MemoryStore};

const WAIT: Duration = Duration::from_secs(1);
const PROOFS: &str = "the cache capacity must be 1 to 100,000,000 keys";
const LOOK_UPS: &str = "the number of look-ups at the same time must be 1 to 100,000";
const LOOK_UP_WAIT: &str = "a look-up can wait for its turn for at most 1 hour";
const STORE_TIMEOUT: &str = "`store_timeout` must be more than 0 and at most 1 hour";
const ANSWER_TIMEOUT: &str = "the answer timeout must be more than 0 and at most 1 hour";
const BOUND: &str = "the bound of `Freshness::Bounded` must be 100 ms to 1 hour";
const USAGE_INTERVAL: &str = "`usage_interval` must be 100 ms to 1 day";
const COALESCING: &str = "the coalescing delay must be at most 100 ms";
const KEEP_ACCESS_LOG: &str = "`keep_access_log` must be at least 1 hour";
const KEEP_DEAD_KEYS: &str = "`keep_dead_keys` must be at least 1 day";
const KEEP_EVENTS: &str = "`keep_events` must be at least 1 day";
const KEEP_USAGE_DAYS: &str = "`keep_usage_days` must be 1 to 400 days";
const LIFETIMES: &str = "the longest life of a key and the time until a rotation is due must be longer than 0";
const WARNINGS: &str = "`warn_of_ends` takes at most 8 times, each 1 millisecond to 366 days before the end of a key";
const THREADS: &str = "the hasher must have 1 to 1024 threads";
const QUEUE: &str = "the queue of the hasher must have room for 1 to 65536 checks";
const CHECK_WAIT: &str = "the check wait of the hasher must be 1 millisecond to 60 seconds";

/// The message of the error, and the setting that causes it.
struct Row(&'static str, fn(ApiKeysBuilder<MemoryStore>) -> ApiKeysBuilder<MemoryStore>);

fn hasher(builder: ApiKeysBuilder<MemoryStore>, set: fn(HasherConfig) -> HasherConfig) -> ApiKeysBuilder<MemoryStore> {
    builder.hasher(set(HasherConfig::new()))
}

fn bounded(builder: ApiKeysBuilder<MemoryStore>, bound: Duration) -> ApiKeysBuilder<MemoryStore> {
    builder.freshness(Freshness::Bounded(bound))
}

#[tokio::test]
async fn zero_and_absurd_sizes_and_times_are_refused_when_the_keys_are_built() {
    let table: [Row; 43] = [
        Row(LIFETIMES, |keys| keys.longest_life_of_user_keys(Duration::ZERO)),
        Row(LIFETIMES, |keys| keys.longest_life_of_team_keys(Duration::ZERO)),
        Row(LIFETIMES, |keys| {
            keys.longest_life_with_scope(tower_api_keys::Scope::new("read").unwrap(), Duration::ZERO)
        }),
        Row(LIFETIMES, |keys| keys.rotation_due_after(Duration::ZERO)),
        Row(WARNINGS, |keys| keys.warn_of_ends([Duration::from_micros(1)])),
        Row(WARNINGS, |keys| keys.warn_of_ends([Duration::from_secs(367 * 86_400)])),
        Row(WARNINGS, |keys| keys.warn_of_ends((1..10).map(Duration::from_secs))),
        Row(PROOFS, |keys| keys.cache_capacity(0)),
        Row(PROOFS, |keys| keys.cache_capacity(100_000_001)),
        Row(PROOFS, |keys| keys.cache_capacity(usize::MAX)),
        Row(LOOK_UPS, |keys| keys.max_concurrent_lookups(0, WAIT)),
        Row(LOOK_UPS, |keys| keys.max_concurrent_lookups(100_001, WAIT)),
        Row(LOOK_UPS, |keys| keys.max_concurrent_lookups(usize::MAX, WAIT)),
        Row(LOOK_UP_WAIT, |keys| keys.max_concurrent_lookups(64, Duration::from_secs(3_601))),
        Row(LOOK_UP_WAIT, |keys| keys.max_concurrent_lookups(64, Duration::MAX)),
        Row(STORE_TIMEOUT, |keys| keys.store_timeout(Duration::ZERO)),
        Row(STORE_TIMEOUT, |keys| keys.store_timeout(Duration::MAX)),
        Row(ANSWER_TIMEOUT, |keys| keys.answer_timeout(Duration::ZERO)),
        Row(ANSWER_TIMEOUT, |keys| keys.answer_timeout(Duration::MAX)),
        Row(BOUND, |keys| bounded(keys, Duration::ZERO)),
        Row(BOUND, |keys| bounded(keys, Duration::from_millis(99))),
        Row(BOUND, |keys| bounded(keys, Duration::MAX)),
        Row(COALESCING, |keys| keys.coalescing(Duration::from_millis(101))),
        Row(KEEP_ACCESS_LOG, |keys| keys.keep_access_log(Duration::ZERO)),
        Row(KEEP_ACCESS_LOG, |keys| keys.keep_access_log(Duration::from_secs(3_599))),
        Row(KEEP_DEAD_KEYS, |keys| keys.keep_dead_keys(Duration::ZERO)),
        Row(KEEP_DEAD_KEYS, |keys| keys.keep_dead_keys(Duration::from_secs(86_399))),
        Row(KEEP_EVENTS, |keys| keys.keep_events(Duration::ZERO)),
        Row(KEEP_EVENTS, |keys| keys.keep_events(Duration::from_secs(86_399))),
        Row(KEEP_USAGE_DAYS, |keys| keys.keep_usage_days(0)),
        Row(KEEP_USAGE_DAYS, |keys| keys.keep_usage_days(401)),
        Row(KEEP_USAGE_DAYS, |keys| keys.keep_usage_days(u16::MAX)),
        Row(USAGE_INTERVAL, |keys| keys.usage_interval(Duration::ZERO)),
        Row(USAGE_INTERVAL, |keys| keys.usage_interval(Duration::MAX)),
        Row(THREADS, |keys| hasher(keys, |config| config.with_threads(0))),
        Row(THREADS, |keys| hasher(keys, |config| config.with_threads(1_025))),
        Row(THREADS, |keys| hasher(keys, |config| config.with_threads(usize::MAX))),
        Row(QUEUE, |keys| hasher(keys, |config| config.with_queue(0))),
        Row(QUEUE, |keys| hasher(keys, |config| config.with_queue(65_537))),
        Row(QUEUE, |keys| hasher(keys, |config| config.with_queue(usize::MAX))),
        Row(CHECK_WAIT, |keys| hasher(keys, |config| config.with_check_wait(Duration::ZERO))),
        Row(CHECK_WAIT, |keys| hasher(keys, |config| config.with_check_wait(Duration::from_secs(61)))),
        Row(CHECK_WAIT, |keys| hasher(keys, |config| config.with_check_wait(Duration::MAX))),
    ];
    for (row, Row(expected, set)) in table.into_iter().enumerate() {
        let error = set(ApiKeys::builder(MemoryStore::new())).build().await.unwrap_err();
        assert_eq!(error.to_string(), expected, "row {row}");
    }
}

#[tokio::test]
async fn the_ends_of_the_ranges_are_accepted() {
    let hour = Duration::from_secs(3_600);
    let least = HasherConfig::new().with_threads(1).with_queue(1).with_check_wait(Duration::from_millis(1));
    let most = HasherConfig::new().with_threads(1_024).with_queue(65_536).with_check_wait(Duration::from_secs(60));
    for (proofs, look_ups, wait, timeout, bound, interval, hasher, days) in [
        (
            1,
            1,
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(100),
            Duration::from_millis(100),
            least,
            1,
        ),
        (100_000, 100_000, hour, hour, hour, 24 * hour, most, 400),
    ] {
        let builder =
            ApiKeys::builder(MemoryStore::new()).cache_capacity(proofs).max_concurrent_lookups(look_ups, wait);
        let builder = bounded(builder.answer_timeout(timeout).store_timeout(timeout).usage_interval(interval), bound);
        let builder = builder
            .keep_events(24 * hour)
            .keep_dead_keys(24 * hour)
            .keep_access_log(hour)
            .coalescing(Duration::from_millis(100));
        builder.hasher(hasher).keep_usage_days(days).build().await.unwrap();
    }
}
