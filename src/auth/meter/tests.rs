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
fn what_any_thread_counted_is_counted_after_its_end_too() {
    let meter = meter();
    for _ in 0..10 {
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        meter.hit();
                        meter.refused(RefusalCode::InvalidKey, None);
                    }
                });
            }
        });
    }
    meter.miss();
    meter.proved_at_rest();
    let metrics = meter.read();
    assert_eq!((metrics.proof_hits, metrics.proof_misses, metrics.stored_proofs_used), (1_000, 1, 1));
    assert_eq!(nonzero(&metrics), [(RefusalCode::InvalidKey, None, 1_000)]);
}

#[test]
fn threads_share_no_cache_line_and_leave_their_counters_to_the_next() {
    let meter = meter();
    let address = || std::ptr::from_ref(meter.checks()).addr();
    let (mut own, both_count) = (Vec::new(), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        let count = || {
            meter.hit();
            both_count.wait();
            address()
        };
        own.extend([scope.spawn(count), scope.spawn(count)].map(|thread| thread.join().unwrap()));
    });
    assert!(own[0].abs_diff(own[1]) >= size_of::<CheckCounts>() && own.iter().all(|address| address % 128 == 0));
    // Of a thousand threads in sequence, only as many have their own counters as run at the same time: at most those of
    // the other tests of this program.
    for _ in 0..1_000 {
        std::thread::scope(|scope| scope.spawn(|| meter.hit()).join().unwrap());
    }
    assert_eq!(meter.read().proof_hits, 1_002);
    assert!(meter.checks.iter().count() < 500);
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
    /// A new kind does not compile before it is listed here and below.
    const fn is_listed(kind: AuthErrorKind) -> bool {
        match kind {
            AuthErrorKind::Malformed(_) => false,
            AuthErrorKind::ClockUnsure
            | AuthErrorKind::CorruptRecord
            | AuthErrorKind::Expired
            | AuthErrorKind::HashFailed
            | AuthErrorKind::Invalid
            | AuthErrorKind::NetworkNotAllowed
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
        AuthErrorKind::NetworkNotAllowed,
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
    assert_eq!(refusals.len(), 14 + MalformedReason::ALL.len());
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
