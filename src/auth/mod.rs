//! Checks a key: from a text to a [`Principal`](crate::Principal).
//!
//! Argon2id runs once on each node for each key. Then the node caches the proof: this text matched that hash. A proof
//! is not a permission. Whether the key is revoked, expired or suspended is checked on every request, against a record
//! that is known to be current: a read of the store's change log, begun after the request arrived, shows it.
//!
//! # Metrics
//!
//! [`Authenticator::metrics`] says what checks have cost and how they ended. With the feature `metrics` the same
//! figures reach the recorder of the crate [`metrics`](https://docs.rs/metrics), and so an exporter for Prometheus:
//! each time [`ApiKeys`](crate::ApiKeys) has written usage, and when `Authenticator::publish_metrics` is called. A
//! request that is accepted never waits for the recorder. Install the recorder first: the descriptions of the figures
//! are sent once.
//!
//! | name | kind | unit | figure |
//! |---|---|---|---|
//! | `api_keys_argon2_runs_total` | counter | runs | [`argon2_runs`](AuthMetrics::argon2_runs) |
//! | `api_keys_hashes_queued` | gauge | hashes | [`hashes_queued`](AuthMetrics::hashes_queued) |
//! | `api_keys_hash_waits_total` | counter | hashes | [`hash_waits`](AuthMetrics::hash_waits) |
//! | `api_keys_hash_wait_seconds` | gauge that only grows | seconds | [`hash_wait_total`](AuthMetrics::hash_wait_total) |
//! | `api_keys_hash_wait_longest_seconds` | gauge | seconds | [`hash_wait_longest`](AuthMetrics::hash_wait_longest) |
//! | `api_keys_hashes_refused_total` | counter | hashes | [`hashes_refused`](AuthMetrics::hashes_refused) |
//! | `api_keys_hashes_taken_over_total` | counter | hashes | [`hashes_taken_over`](AuthMetrics::hashes_taken_over) |
//! | `api_keys_hash_starvation_seconds` | gauge that only grows | seconds | [`hash_starvation`](AuthMetrics::hash_starvation) |
//! | `api_keys_proof_hits_total` | counter | checks | [`proof_hits`](AuthMetrics::proof_hits) |
//! | `api_keys_proof_misses_total` | counter | checks | [`proof_misses`](AuthMetrics::proof_misses) |
//! | `api_keys_stored_proofs_used_total` | counter | checks | [`stored_proofs_used`](AuthMetrics::stored_proofs_used) |
//! | `api_keys_proofs_remembered` | gauge | keys | [`proofs_remembered`](AuthMetrics::proofs_remembered) |
//! | `api_keys_proof_capacity` | gauge | keys | [`proof_capacity`](AuthMetrics::proof_capacity) |
//! | `api_keys_refusals_total` | counter | requests | [`refusals`](AuthMetrics::refusals), labels `code` and `reason` |
//! | `api_keys_freshness_reads_total` | counter | reads | [`freshness_reads`](AuthMetrics::freshness_reads) |
//! | `api_keys_freshness_reads_failed_total` | counter | reads | [`freshness_reads_failed`](AuthMetrics::freshness_reads_failed) |
//! | `api_keys_log_resets_total` | counter | times | [`log_resets`](AuthMetrics::log_resets) |
//! | `api_keys_log_losses_total` | counter | times | [`log_losses`](AuthMetrics::log_losses) |
//! | `api_keys_last_freshness_read_timestamp_seconds` | gauge | seconds since 1970 | [`last_freshness_read`](AuthMetrics::last_freshness_read) |
//! | `api_keys_last_freshness_read_age_seconds` | gauge | seconds | [`last_freshness_read_age`](AuthMetrics::last_freshness_read_age) |
//! | `api_keys_usage_flushes_total` | counter | attempts | [`usage_flushes`](AuthMetrics::usage_flushes) |
//! | `api_keys_usage_flushes_failed_total` | counter | attempts | [`usage_flushes_failed`](AuthMetrics::usage_flushes_failed) |
//! | `api_keys_last_usage_flush_timestamp_seconds` | gauge | seconds since 1970 | [`last_usage_flush`](AuthMetrics::last_usage_flush) |
//! | `api_keys_usage_refused_total` | counter | requests | [`usage_refused`](AuthMetrics::usage_refused) |
//! | `api_keys_usage_sources_folded_total` | counter | requests | [`usage_sources_folded`](AuthMetrics::usage_sources_folded) |
//! | `api_keys_owners_missing` | gauge | users and teams | [`owners_missing`](AuthMetrics::owners_missing) |
//! | `api_keys_access_log_written_total` | counter | attempts | [`access_log_written`](AuthMetrics::access_log_written) |
//! | `api_keys_access_log_dropped_total` | counter | attempts | [`access_log_dropped`](AuthMetrics::access_log_dropped) |
//!
//! `reason` is empty except for `malformed_key`. No other label is ever set: no figure names a key, an owner or an
//! organization. The names are those of a process. A process with several [`ApiKeys`](crate::ApiKeys) that must be
//! distinguished reads [`Authenticator::metrics`] of each, and publishes under its own names.

mod addresses;
mod authenticator;
mod background;
mod cache;
mod candidate;
mod check;
mod digest;
mod error;
mod freshness;
mod lookup;
mod meter;
mod metrics;
mod new_keys;
mod owners;
#[cfg(feature = "metrics")]
mod publish;
mod refusals;
mod settings;
mod ticket;
mod trouble;
mod watch;
mod whose;
mod wiring;

pub use addresses::Addresses;
pub(crate) use addresses::CameFrom;
pub use authenticator::Authenticator;
pub(crate) use authenticator::Check;
pub(crate) use background::{AccessLog, AccessLogWriter, EndTeller, Keep, Pruner, StoreUpkeep, Upkeep, UsageFlusher};
pub use error::{AuthError, AuthErrorKind};
pub use metrics::{AuthMetrics, RefusalCount};
pub use settings::{AuthSettings, AuthSetupError, Freshness};
pub(crate) use ticket::{Accepted, AnonymousUse, UsageTicket};
pub use watch::StreamEnd;
pub(crate) use wiring::Wiring;
