//! How many requests with one key are let through.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tower_api_keys::{KeyId, Refusal, RefusalCode};

/// How often keys without a recent request are forgotten.
const FORGETS: Duration = Duration::from_secs(60);

/// The budgets of all keys of this process.
pub(super) struct Rate(DefaultKeyedRateLimiter<KeyId>);

impl Rate {
    pub(super) fn new(quota: Quota) -> Self {
        Self(RateLimiter::keyed(quota))
    }

    /// Takes one request from the budget of a key: by the first key of its chain of rotations, so that a rotation gives
    /// no second budget.
    pub(super) fn take(&self, lineage: KeyId) -> Result<(), Refusal> {
        self.0.check_key(&lineage).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Refusal::new(RefusalCode::RateLimited).with_retry_after(wait)
        })
    }

    /// Forgets keys whose budget is full again, for ever.
    pub(super) async fn forget(self: Arc<Self>) {
        loop {
            tokio::time::sleep(FORGETS).await;
            self.0.retain_recent();
            self.0.shrink_to_fit();
        }
    }
}

/// `100/s`, `600/m`, `5000/h`.
pub(super) fn quota(text: &str) -> Result<Quota, String> {
    let wrong = || "write a number of requests and a time, such as 100/s, 600/m or 5000/h".to_owned();
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: NonZeroU32 = number.parse().map_err(|_| wrong())?;
    match unit {
        "s" => Ok(Quota::per_second(number)),
        "m" => Ok(Quota::per_minute(number)),
        "h" => Ok(Quota::per_hour(number)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        assert_eq!(quota("100/s").unwrap(), Quota::per_second(NonZeroU32::new(100).unwrap()));
        assert_eq!(quota("6/m").unwrap(), Quota::per_minute(NonZeroU32::new(6).unwrap()));
        for text in ["", "100", "0/s", "/s", "-1/s", "1.5/s", "100/d", "100/s ", "9999999999/s"] {
            assert!(quota(text).is_err(), "{text}");
        }
    }
}
