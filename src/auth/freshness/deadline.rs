use std::{future::Future, time::Duration};

use tokio::time::Instant;

/// How long a request waits for the store, in total. Work with a limit of its own does not count.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct Deadline(Instant);

impl Deadline {
    pub(in crate::auth) fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    pub(in crate::auth) const fn at(self) -> Instant {
        self.0
    }

    pub(in crate::auth) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Does work that the store has no part in.
    pub(in crate::auth) async fn apart<T>(&mut self, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let done = work.await;
        self.0 += begun.elapsed();
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn only_the_store_s_time_counts() {
        let mut deadline = Deadline::after(SECOND);
        tokio::time::sleep(SECOND / 4).await;
        deadline.apart(tokio::time::sleep(SECOND * 5)).await;
        assert_eq!(deadline.left(), SECOND * 3 / 4);
        tokio::time::sleep(SECOND).await;
        assert_eq!(deadline.left(), Duration::ZERO);
    }
}
