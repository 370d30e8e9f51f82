//! Whom to ask, beside a button that does not work.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tower_api_keys::{Actor, TeamId};

/// How many names are shown, and how many characters of each.
const MOST: usize = 5;
const LONGEST: usize = 100;

/// How long the page waits for them.
const PATIENCE: Duration = Duration::from_millis(500);

type Asked = Pin<Box<dyn Future<Output = Vec<String>> + Send>>;

/// The service's answer to the question whom to ask.
#[derive(Clone)]
pub(super) struct Contacts(Arc<dyn Fn(Actor, Option<TeamId>) -> Asked + Send + Sync>);

impl Contacts {
    pub(super) fn new<F>(ask: impl Fn(Actor, Option<TeamId>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<String>> + Send + 'static,
    {
        Self(Arc::new(move |actor, team| Box::pin(ask(actor, team))))
    }

    /// The names, as one text; `None` if there are none, or not in time.
    pub(super) async fn names(&self, actor: &Actor, team: Option<&TeamId>) -> Option<String> {
        let names = tokio::time::timeout(PATIENCE, (self.0)(actor.clone(), team.cloned())).await.ok()?;
        let short = names.iter().take(MOST).map(|name| name.trim().chars().take(LONGEST).collect::<String>());
        let short: Vec<_> = short.filter(|name| !name.is_empty()).collect();
        (!short.is_empty()).then(|| short.join(", "))
    }
}

impl fmt::Debug for Contacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contacts").finish_non_exhaustive()
    }
}
