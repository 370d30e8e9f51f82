use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::Event;
use crate::log::{Repeated, log};

/// Receives events after they are committed: to notify people, or to feed another system.
///
/// Every closure over `&[Event]` is one. Each event is told at most once, by the node that wrote it, except those of
/// ends of keys. Events of changes made at the same time come in any order. Their [`sequence`](Event::sequence) is not
/// known here and is 0. By then the node already applies the change.
///
/// Not every event is told: not if the node dies between the commit and this call, if the request that made the change
/// is dropped there, or if the store never said whether the change was made. If you must not miss an event, use the
/// [feed](crate::ApiKeys::feed), which has them all. No sink is told that a key was
/// [purged](crate::audit::Action::KEY_PURGED): the store chooses the keys, and writes the event itself. That a key
/// [ends soon](crate::audit::Action::KEY_ENDS_SOON) or [has expired](crate::audit::Action::KEY_EXPIRED) is told at
/// least once: if a node wrote the event and did not tell it, another node tells it within minutes, or the same node
/// after a restart.
///
/// ```
/// use std::sync::mpsc;
/// use tower_api_keys::{ApiKeys, audit::{Action, Event}, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (sender, receiver) = mpsc::channel();
/// let tell = move |events: &[Event]| {
///     for event in events.iter().filter(|event| event.action == Action::KEY_REVOKED) {
///         let _ = sender.send(format!("{:?} was revoked by {}", event.subject, event.actor));
///     }
/// };
/// let keys = ApiKeys::builder(MemoryStore::new()).event_sink(tell).build().await?;
/// # let _ = (keys, receiver);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Receives committed events: those of one change, or at most 500 denied attempts of several actors and
    /// organizations. Called on the task that made the change, whose caller waits for it: pass them on and return. A
    /// panic is logged, and the change is kept.
    fn committed(&self, events: &[Event]);
}

impl<F: Fn(&[Event]) + Send + Sync + 'static> EventSink for F {
    fn committed(&self, events: &[Event]) {
        self(events);
    }
}

/// The embedder's sink, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Notifier(Option<Arc<dyn EventSink>>);

impl Notifier {
    pub(crate) fn new(sink: impl EventSink) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Tells the sink of committed events, and survives its panics.
    pub(crate) fn tell(&self, events: &[Event]) {
        let Some(sink) = self.0.as_ref().filter(|_| !events.is_empty()) else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| sink.committed(events))).is_err() {
            static PANICKED: Repeated = Repeated::new();
            if let Some(_times) = PANICKED.happened() {
                log!(error, times = _times, "the service's event sink panicked; the events are in the audit trail");
            }
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
