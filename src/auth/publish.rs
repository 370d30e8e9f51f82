//! Publishes the figures of an authenticator to the facade `metrics`. [`auth`](super) lists the names.

use std::time::Duration;

use super::metrics::AuthMetrics;
use crate::{key::MalformedReason, time::Timestamp};

use ::metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const REFUSALS: &str = "api_keys_refusals_total";
const REFUSALS_MEANING: &str = "requests that were refused, by code and, for malformed keys, reason";

struct Figure {
    name: &'static str,
    unit: Unit,
    /// Read by itself, without the order here.
    meaning: &'static str,
    value: Value,
}

enum Value {
    /// Only grows.
    Count(u64),
    /// Goes up and down; none yet.
    Level(Option<f64>),
}

/// Describes the figures, for recorders that keep descriptions.
pub(super) fn describe(metrics: &AuthMetrics) {
    describe_counter!(REFUSALS, Unit::Count, REFUSALS_MEANING);
    for Figure { name, unit, meaning, value } in figures(metrics) {
        match value {
            Value::Count(_) => describe_counter!(name, unit, meaning),
            Value::Level(_) => describe_gauge!(name, unit, meaning),
        }
    }
}

/// Gives the figures to the recorder of the process.
pub(super) fn publish(metrics: &AuthMetrics) {
    for refusal in &metrics.refusals {
        // The same labels on all of them; to Prometheus an empty label is none.
        counter!(REFUSALS, "code" => refusal.code.as_str(), "reason" => refusal.reason.map_or("", MalformedReason::as_str))
            .absolute(refusal.count);
    }
    for Figure { name, value, .. } in figures(metrics) {
        match value {
            Value::Count(count) => counter!(name).absolute(count),
            Value::Level(Some(level)) => gauge!(name).set(level),
            Value::Level(None) => {}
        }
    }
}

fn figures(metrics: &AuthMetrics) -> [Figure; 27] {
    [
        count(
            "api_keys_argon2_runs_total",
            "Argon2 runs begun to check, make or improve hashes of keys",
            metrics.argon2_runs,
        ),
        number("api_keys_hashes_queued", "hashes that wait for a hashing thread now", metrics.hashes_queued),
        count("api_keys_hash_waits_total", "hashes that a hashing thread took from the queue", metrics.hash_waits),
        // A gauge, because a counter of the facade has whole numbers only.
        time(
            "api_keys_hash_wait_seconds",
            "how long hashes had waited when a hashing thread took them from the queue, added up",
            metrics.hash_wait_total,
        ),
        time(
            "api_keys_hash_wait_longest_seconds",
            "the longest that a hash had waited when a hashing thread took it from the queue",
            metrics.hash_wait_longest,
        ),
        count(
            "api_keys_hashes_refused_total",
            "hashes refused because the queue of the hashing threads was full",
            metrics.hashes_refused,
        ),
        count(
            "api_keys_hashes_taken_over_total",
            "hashes run at normal priority because the hashing threads got no core",
            metrics.hashes_taken_over,
        ),
        time(
            "api_keys_hash_starvation_seconds",
            "how long hashing threads with work got no core, added up",
            metrics.hash_starvation,
        ),
        count(
            "api_keys_proof_hits_total",
            "checks of keys that took neither a look-up in the store nor a hash",
            metrics.proof_hits,
        ),
        count(
            "api_keys_proof_misses_total",
            "checks of keys that took a look-up in the store, and maybe a hash",
            metrics.proof_misses,
        ),
        count(
            "api_keys_stored_proofs_used_total",
            "checks of keys that a stored proof spared a hash",
            metrics.stored_proofs_used,
        ),
        number("api_keys_proofs_remembered", "proved keys that are remembered now", metrics.proofs_remembered),
        number("api_keys_proof_capacity", "the most proved keys that can be remembered", metrics.proof_capacity),
        count(
            "api_keys_freshness_reads_total",
            "reads of the store's change log that were begun",
            metrics.freshness_reads,
        ),
        count(
            "api_keys_freshness_reads_failed_total",
            "reads of the store's change log that failed or took too long",
            metrics.freshness_reads_failed,
        ),
        count(
            "api_keys_log_resets_total",
            "times the store's change log did not go on from where this node had read it",
            metrics.log_resets,
        ),
        count(
            "api_keys_log_losses_total",
            "times the store's change log had lost changes that this node had read",
            metrics.log_losses,
        ),
        date(
            "api_keys_last_freshness_read_timestamp_seconds",
            "when the last successful read of the store's change log began",
            metrics.last_freshness_read,
        ),
        time_or_none(
            "api_keys_last_freshness_read_age_seconds",
            "seconds since the last successful read of the store's change log began",
            metrics.last_freshness_read_age,
        ),
        count("api_keys_usage_flushes_total", "attempts to write counts of usage to the store", metrics.usage_flushes),
        count(
            "api_keys_usage_flushes_failed_total",
            "attempts to write counts of usage to the store that failed",
            metrics.usage_flushes_failed,
        ),
        date(
            "api_keys_last_usage_flush_timestamp_seconds",
            "when the last successful write of counts of usage to the store began",
            metrics.last_usage_flush,
        ),
        count("api_keys_usage_refused_total", "requests missing in the counts of usage", metrics.usage_refused),
        count(
            "api_keys_usage_sources_folded_total",
            "requests counted under the source `other` because their key was used from too many sources",
            metrics.usage_sources_folded,
        ),
        Figure {
            name: "api_keys_owners_missing",
            unit: Unit::Count,
            meaning: "users and teams with live keys that the directory did not know when it was last asked about all of them",
            value: Value::Level(metrics.owners_missing.map(|owners| owners as f64)),
        },
        count(
            "api_keys_access_log_written_total",
            "attempts with keys that were written to the access log",
            metrics.access_log_written,
        ),
        count(
            "api_keys_access_log_dropped_total",
            "attempts with keys that are missing in the access log, or may be",
            metrics.access_log_dropped,
        ),
    ]
}

const fn count(name: &'static str, meaning: &'static str, count: u64) -> Figure {
    Figure { name, unit: Unit::Count, meaning, value: Value::Count(count) }
}

const fn number(name: &'static str, meaning: &'static str, number: usize) -> Figure {
    Figure { name, unit: Unit::Count, meaning, value: Value::Level(Some(number as f64)) }
}

fn time(name: &'static str, meaning: &'static str, time: Duration) -> Figure {
    time_or_none(name, meaning, Some(time))
}

fn time_or_none(name: &'static str, meaning: &'static str, time: Option<Duration>) -> Figure {
    Figure { name, unit: Unit::Seconds, meaning, value: Value::Level(time.map(|time| time.as_secs_f64())) }
}

fn date(name: &'static str, meaning: &'static str, date: Option<Timestamp>) -> Figure {
    let seconds = date.map(|date| date.as_millis() as f64 / 1_000.0);
    Figure { name, unit: Unit::Seconds, meaning, value: Value::Level(seconds) }
}
