use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::pin,
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;

use super::StoreError;

/// Waits for a read of a store, but not forever, and survives its panics: whoever calls a store calls it through here
/// or through [`guarded_change`].
///
/// # Errors
/// What the store says; unavailable if it took longer than `timeout` or panicked.
pub(crate) async fn guarded<T, F: Future<Output = Result<T, StoreError>>>(
    timeout: Duration,
    call: impl FnOnce() -> F,
) -> Result<T, StoreError> {
    outcome(timeout, call).await.unwrap_or_else(|lost| Err(StoreError::unavailable(lost)))
}

/// The same for a call that changes something: where nobody knows whether it did, the error says so.
///
/// # Errors
/// What the store says; outcome unknown if it took longer than `timeout` or panicked.
pub(crate) async fn guarded_change<T, F: Future<Output = Result<T, StoreError>>>(
    timeout: Duration,
    call: impl FnOnce() -> F,
) -> Result<T, StoreError> {
    outcome(timeout, call).await.unwrap_or_else(|lost| Err(StoreError::outcome_unknown(lost)))
}

/// The call never said how it ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the key store panicked")]
    Panicked,
    #[error("the key store did not answer in time")]
    TimedOut,
}

async fn outcome<T, F: Future<Output = Result<T, StoreError>>>(
    timeout: Duration,
    call: impl FnOnce() -> F,
) -> Result<Result<T, StoreError>, Lost> {
    // A store that panicked half-way broke its own promises only: nothing of this crate is left half-written. The call
    // is made inside, for it may panic before there is a future; so is the limit, which panics in a runtime without time.
    let limited = async {
        let mut call = pin!(call());
        // A store that answers at once needs no timer.
        match poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => tokio::time::timeout(timeout, call).await,
        }
    };
    AssertUnwindSafe(limited).catch_unwind().await.map_err(|_| Lost::Panicked)?.map_err(|_| Lost::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::store::StoreErrorKind;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends() {
        let read = guarded(SECOND, pending::<Result<(), _>>).await.unwrap_err();
        assert_eq!(read.kind(), StoreErrorKind::Unavailable);
        let change = guarded_change(SECOND, pending::<Result<(), _>>).await.unwrap_err();
        assert_eq!(change.kind(), StoreErrorKind::OutcomeUnknown);
    }

    #[tokio::test]
    async fn a_call_that_panics_is_an_error() {
        let panics = || async { if SECOND.is_zero() { Ok(()) } else { panic!("the store's own") } };
        assert_eq!(guarded(SECOND, panics).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
        assert_eq!(guarded_change(SECOND, panics).await.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
    }

    #[tokio::test]
    async fn a_call_that_panics_before_it_is_awaited_is_an_error() {
        let panics = || if SECOND.is_zero() { pending::<Result<(), _>>() } else { panic!("the store's own") };
        assert_eq!(guarded(SECOND, panics).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }

    #[test]
    fn a_runtime_without_time_is_an_error_and_no_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let waits = || async {
            tokio::task::yield_now().await;
            Ok(())
        };
        let error = runtime.block_on(guarded(SECOND, waits)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
}
