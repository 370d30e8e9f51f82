//! Decides what to do with an answer.

use std::time::Duration;

use http::StatusCode;

/// The first pause; each next one is twice as long.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause, unless the receiver asks for a longer one.
const LONGEST: Duration = Duration::from_secs(60);

/// The longest pause, even if the receiver asks for more.
const MOST_ASKED_FOR: Duration = Duration::from_secs(3_600);

/// How often an event is posted if the receiver refuses it.
const ATTEMPTS: u32 = 5;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Delivered,
    /// The receiver refused this event at every attempt.
    Refused(StatusCode),
    After(Duration),
}

/// What to do after this number of attempts. `answer` is that of the last attempt, if any; `share` is the jitter, from
/// 0 to 1.
pub(crate) fn verdict(answer: Option<(StatusCode, Option<&str>)>, attempts: u32, share: f64) -> Verdict {
    match answer {
        Some((status, _)) if status.is_success() => Verdict::Delivered,
        // 408, 425 and 429 ask to try later, and refuse nothing.
        Some((status, _))
            if status.is_client_error() && ![408, 425, 429].contains(&status.as_u16()) && attempts >= ATTEMPTS =>
        {
            Verdict::Refused(status)
        }
        answer => {
            let asked = answer.and_then(|(_, after)| after?.trim().parse().ok()).map(Duration::from_secs);
            let doubled = FIRST.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
            let pause = doubled.min(LONGEST).mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0);
            Verdict::After(asked.map_or(pause, |asked| asked.min(MOST_ASKED_FOR).max(pause)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, after: Option<&str>, attempts: u32) -> Verdict {
        verdict(StatusCode::from_u16(status).ok().map(|status| (status, after)), attempts, 1.0)
    }

    const fn millis(millis: u64) -> Verdict {
        Verdict::After(Duration::from_millis(millis))
    }

    #[test]
    fn what_was_taken_is_delivered_and_pauses_double_up_to_a_minute() {
        assert_eq!((of(200, None, 1), of(204, Some("9"), 9)), (Verdict::Delivered, Verdict::Delivered));
        for (attempts, pause) in [(1, 100), (2, 200), (3, 400), (10, 51_200), (11, 60_000), (99, 60_000)] {
            assert_eq!(of(503, None, attempts), millis(pause));
            assert_eq!(verdict(None, attempts, 1.0), millis(pause));
            assert_eq!(verdict(None, attempts, 0.0), millis(pause / 2));
        }
    }

    #[test]
    fn what_is_refused_again_and_again_is_given_up_and_nothing_else() {
        for status in [400, 401, 404, 410, 413, 422] {
            assert_eq!(of(status, None, 4), millis(800));
            assert!(matches!(of(status, None, 5), Verdict::Refused(refused) if refused.as_u16() == status));
        }
        for status in [301, 408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(of(status, None, 1_000), millis(60_000), "{status}");
        }
    }

    #[test]
    fn the_receiver_is_given_the_time_that_it_asks_for() {
        assert_eq!(of(429, Some("7"), 1), millis(7_000));
        assert_eq!(of(503, Some(" 7 "), 1), millis(7_000));
        assert_eq!(of(503, Some("0"), 3), millis(400), "never sooner than without");
        assert_eq!(of(503, Some("999999999"), 1), millis(3_600_000));
        assert_eq!(of(503, Some("Fri, 31 Dec 1999 23:59:59 GMT"), 1), millis(100));
    }
}
