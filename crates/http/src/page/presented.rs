//! Stopping keys by their whole texts, whatever the store: the one thing that needs no right. The holder of the whole text
//! could use the key.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tower_api_keys::{
    ApiKeys,
    manage::{ManageError, PresentedKey},
    store::Ledger,
    usage::Source,
};

/// How a key is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    Pause,
    Revoke,
}

type Answers<'a> = Pin<Box<dyn Future<Output = Result<Vec<PresentedKey>, ManageError>> + Send + 'a>>;

trait StopsPresented: Send + Sync {
    fn stop<'a>(&'a self, texts: &'a [&'a str], how: Stopping, source: Source) -> Answers<'a>;
}

impl<S: Ledger> StopsPresented for ApiKeys<S> {
    fn stop<'a>(&'a self, texts: &'a [&'a str], how: Stopping, source: Source) -> Answers<'a> {
        match how {
            Stopping::Pause => Box::pin(self.pause_presented(texts, source)),
            Stopping::Revoke => Box::pin(self.revoke_presented(texts, source)),
        }
    }
}

/// The keys of a service, for those who hold the text of one.
#[derive(Clone)]
pub(super) struct Presented(Arc<dyn StopsPresented>);

impl Presented {
    pub(super) fn new(keys: &ApiKeys<impl Ledger>) -> Self {
        Self(Arc::new(keys.clone()))
    }

    /// Stops the keys whose whole texts these are. Each text has its own answer.
    pub(super) async fn stop(&self, texts: &[&str], how: Stopping) -> Result<Vec<PresentedKey>, ManageError> {
        // The constant is a valid label; without a source, the event has none.
        let source = Source::new("settings-page").unwrap_or_default();
        self.0.stop(texts, how, source).await
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").finish_non_exhaustive()
    }
}
