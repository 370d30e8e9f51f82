use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;

use super::{
    Applied, Change, Changes, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, KeyQuery, KeyReader,
    KeyStore, Ledger, ListedKey, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, Trail, UsageScope,
};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// A store whose calls always end: a call that panics or takes too long is an error. The rest of the crate calls stores
/// only through this type.
#[derive(Clone, Debug)]
pub(crate) struct Calls<S> {
    store: S,
    limit: Duration,
}

impl<S> Calls<S> {
    pub(crate) const fn new(store: S, limit: Duration) -> Self {
        Self { store, limit }
    }

    /// How long a call may take.
    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }

    /// The store itself.
    pub(crate) const fn inner(&self) -> &S {
        &self.store
    }
}

impl<R: KeyReader> KeyReader for Calls<R> {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        guarded(self.limit, || self.store.find(id)).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        guarded(self.limit, || self.store.changes_since(head)).await
    }

    /// None if the store panics: then the caller reads the log.
    fn try_head(&self) -> Option<Head> {
        catch_unwind(AssertUnwindSafe(|| self.store.try_head())).unwrap_or_default()
    }

    /// Also ends after the limit, or if the store panics: then the caller reads the log.
    async fn wait_for_change(&self, head: Head) {
        self.hint(head).await;
    }
}

impl<R: KeyReader> Calls<R> {
    /// Waits until the store notifies that its log continues after this head. Returns whether it did: false after the
    /// limit or a panic.
    pub(crate) async fn hint(&self, head: Head) -> bool {
        guarded(self.limit, || self.store.wait_for_change(head).map(Ok)).await.is_ok()
    }
}

/// A call for each method, with the guard that fits: what to answer if the call did not say how it ended.
macro_rules! calls {
    ($store:ident; $($guard:ident $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl<S: $store> $store for Calls<S> {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, StoreError> {
                $guard(self.limit, || self.store.$name($($arg),*)).await
            })*
        }
    };
}

calls! {
    KeyStore;
    guarded_change apply(change: &Change) -> Applied;
    guarded_change rehash(id: &KeyId, old: &str, new: &RehashedKey) -> bool;
    guarded list(query: &KeyQuery, now: Timestamp) -> Page<ListedKey>;
    guarded ending(query: &EndingQuery) -> Vec<KeyRow>;
    guarded owner_status(owner: &OwnerRef) -> FoundOwner;
    guarded_change put_meta_if_absent(name: &str, value: &[u8]) -> Vec<u8>;
    guarded_change replace_note(name: &str, old: &[u8], new: &[u8]) -> Vec<u8>;
    guarded ended_keys(before: Timestamp) -> EndedKeys;
    guarded_change prune(prune: &Prune) -> Pruned;
}

calls! {
    Ledger;
    guarded_change record_usage(batch: &UsageBatch) -> ();
    guarded usage(of: &UsageScope) -> Vec<UsageRow>;
    guarded usage_days(keys: &[KeyId], from: i32) -> Vec<UsageDayRow>;
    guarded_change append_events(events: &[EventRow]) -> ();
    guarded events(query: &EventQuery) -> Page<EventRow>;
    guarded feed(after: Option<i64>, limit: u16) -> Page<EventRow>;
    guarded trail(attempts: bool, before: Timestamp) -> Trail;
}

/// Waits for a read of a store up to a limit, and survives its panics.
///
/// # Errors
/// What the store says; unavailable if it took longer than `timeout` or panicked.
pub(super) async fn guarded<T, F: Future<Output = Result<T, StoreError>>>(
    timeout: Duration,
    call: impl FnOnce() -> F,
) -> Result<T, StoreError> {
    outcome(timeout, call).await.unwrap_or_else(|lost| Err(StoreError::unavailable(lost)))
}

/// The same for a call that changes something: the error says that the outcome is unknown.
///
/// # Errors
/// What the store says; outcome unknown if it took longer than `timeout` or panicked.
pub(super) async fn guarded_change<T, F: Future<Output = Result<T, StoreError>>>(
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
    // Unwind safe: a store that panics leaves nothing of this crate half-written. The call is made inside because it
    // may panic before there is a future; so is the limit, which panics in a runtime without time.
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
