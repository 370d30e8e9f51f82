use std::time::Duration;

use super::*;
use crate::{
    auth::{AuthErrorKind, AuthSettings},
    hash::HasherConfig,
    time::{ManualClock, Timestamp},
};

fn meter() -> Meter {
    let hasher = Hasher::new(HasherConfig::new()).unwrap();
    Meter::new(hasher, Arc::new(ProofCache::new(7)), 7, AuthSettings::new().clock)
}

fn nonzero(metrics: &AuthMetrics) -> Vec<(RefusalCode, Option<MalformedReason>, u64)> {
    let seen = metrics.refusals.iter().filter(|refusal| refusal.count > 0);
    seen.map(|refusal| (refusal.code, refusal.reason, refusal.count)).collect()
}

#[test]
fn hits_of_every_thread_are_counted_and_threads_spread_over_the_counters() {
    let meter = meter();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| (0..10).for_each(|_| meter.hit()));
        }
    });
    assert_eq!(meter.read().proof_hits, 1_000);
    // Other tests of the program have threads too, and take turns.
    assert!(meter.hits.iter().filter(|line| value(&line.0) > 0).count() > LINES / 2);
}

#[test]
fn no_two_counters_of_hits_share_a_cache_line() {
    let meter = meter();
    let addresses = meter.hits.each_ref().map(|line| std::ptr::from_ref(&line.0).addr());
    assert!(addresses.windows(2).all(|pair| pair[1] - pair[0] == 128), "{addresses:?}");
    let others = [std::ptr::from_ref(&meter.misses).addr(), std::ptr::from_ref(&meter.codes).addr()];
    assert!(others.iter().all(|other| addresses.iter().all(|line| line.abs_diff(*other) >= 64)), "{others:?}");
}

#[test]
fn each_reason_has_a_counter_of_its_own() {
    let meter = meter();
    for (before, reason) in MalformedReason::ALL.into_iter().enumerate() {
        (0..=before).for_each(|_| meter.refused(RefusalCode::MalformedKey, Some(reason)));
    }
    let expected: Vec<_> = (1_u64..)
        .zip(MalformedReason::ALL)
        .map(|(count, reason)| (RefusalCode::MalformedKey, Some(reason), count))
        .collect();
    assert_eq!(nonzero(&meter.read()), expected);
}

#[test]
fn each_code_of_an_authenticator_has_a_counter() {
    /// To be asked here, so that a new kind does not compile before it is in the list below.
    const fn is_listed(kind: AuthErrorKind) -> bool {
        match kind {
            AuthErrorKind::Malformed(_) => false,
            AuthErrorKind::ClockUnsure
            | AuthErrorKind::CorruptRecord
            | AuthErrorKind::Expired
            | AuthErrorKind::HashFailed
            | AuthErrorKind::Invalid
            | AuthErrorKind::OwnerClosed
            | AuthErrorKind::OwnerPlanSuspended
            | AuthErrorKind::OwnerSuspended
            | AuthErrorKind::Overloaded
            | AuthErrorKind::Paused
            | AuthErrorKind::Revoked
            | AuthErrorKind::Starved
            | AuthErrorKind::StoreUnavailable => true,
        }
    }
    // They have no code of their own.
    for kind in [AuthErrorKind::HashFailed, AuthErrorKind::Starved] {
        assert_eq!(kind.code(), AuthErrorKind::Overloaded.code());
    }
    let kinds = [
        AuthErrorKind::ClockUnsure,
        AuthErrorKind::CorruptRecord,
        AuthErrorKind::Invalid,
        AuthErrorKind::Expired,
        AuthErrorKind::Paused,
        AuthErrorKind::Revoked,
        AuthErrorKind::Overloaded,
        AuthErrorKind::OwnerClosed,
        AuthErrorKind::OwnerPlanSuspended,
        AuthErrorKind::OwnerSuspended,
        AuthErrorKind::StoreUnavailable,
    ];
    let meter = meter();
    for kind in kinds {
        assert!(is_listed(kind));
        meter.refused(kind.code(), None);
    }
    assert_eq!(nonzero(&meter.read()), kinds.map(|kind| (kind.code(), None, 1)));
    let malformed = AuthErrorKind::Malformed(MalformedReason::Empty);
    assert_eq!((is_listed(malformed), malformed.code()), (false, RefusalCode::MalformedKey));
}

#[test]
fn refusals_are_sorted_and_listed_before_there_are_any() {
    let refusals = meter().read().refusals;
    assert_eq!(refusals.len(), 13 + MalformedReason::ALL.len());
    assert!(refusals.is_sorted_by_key(|refusal| (refusal.code, refusal.reason)));
    assert!(refusals.iter().all(|refusal| refusal.count == 0));
}

#[test]
fn only_the_first_failure_and_the_first_success_after_it_are_news() {
    let (meter, attempts) = (meter(), Attempts::default());
    let news = [
        attempts.succeed(meter.now()),
        attempts.fail(),
        attempts.fail(),
        attempts.succeed(meter.now()),
        attempts.succeed(meter.now()),
        attempts.fail(),
    ];
    assert_eq!(news, [false, true, false, true, false, true]);
}

#[test]
fn a_failure_leaves_the_time_of_the_last_success() {
    let clock = Arc::new(ManualClock::at(Timestamp::MIN));
    let hasher = Hasher::new(HasherConfig::new()).unwrap();
    let meter = Meter::new(hasher, Arc::new(ProofCache::new(1)), 1, clock.clone());
    assert_eq!(meter.read().last_usage_flush, None);
    meter.usage_flushes.succeed(meter.now());
    clock.advance(Duration::from_secs(1));
    meter.usage_flushes.fail();
    assert_eq!(meter.read().last_usage_flush, Some(Timestamp::MIN));
}

#[test]
fn the_mean_wait_is_that_of_the_hashes_that_waited() {
    let mut metrics = meter().read();
    assert_eq!(metrics.mean_hash_wait(), None);
    (metrics.hash_waits, metrics.hash_wait_total) = (4, Duration::from_millis(10));
    assert_eq!(metrics.mean_hash_wait(), Some(Duration::from_micros(2_500)));
}
