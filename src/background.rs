//! What runs beside requests.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A task beside everything else, of which there is one at a time.
#[derive(Default)]
pub(crate) struct Background {
    is_running: Arc<AtomicBool>,
}

impl Background {
    /// Starts the task, unless it runs already. Does nothing outside of a tokio runtime.
    pub(crate) fn start<F>(&self, task: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.is_running.load(Ordering::Relaxed) || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let (running, task) = (Running(Arc::clone(&self.is_running)), task());
        tokio::spawn(async move {
            let _running = running;
            task.await;
        });
    }
}

/// Ends with its runtime: then another one may start it again.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
