use std::{error::Error, fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};

use super::error::{ManageError, ManageErrorKind};
use crate::owner::TeamRef;

/// What the service knows of its organizations, and the crate does not: which teams they have.
///
/// Given to [`ApiKeysBuilder::directory`](crate::ApiKeysBuilder::directory). With it, people and keys make keys for teams
/// of the manager's organization only. The [system](crate::Actor::system) may name any team, so that a first start does
/// not depend on the directory. Without it, an actor's [`Rights`](super::Rights) vouch for the teams they name; in
/// the [single](crate::OrganizationId::single) organization every team is its own.
///
/// Asked by [`issue`](super::KeyManager::issue), [`begin_rotation`](super::KeyManager::begin_rotation) into a team,
/// [`preview`](super::KeyManager::preview), [`can`](super::KeyManager::can) and
/// [`teams_to_issue_for`](super::KeyManager::teams_to_issue_for), once the [`Policy`](super::Policy) has allowed it.
///
/// ```
/// use tower_api_keys::{ApiKeys, TeamRef, manage::Directory, store::MemoryStore};
///
/// struct Teams; // in your service: a pool of connections
///
/// impl Directory for Teams {
///     type Error = std::io::Error;
///
///     async fn has_team(&self, team: &TeamRef) -> Result<bool, Self::Error> {
///         // In your service: select exists (select 1 from teams where organization = $1 and id = $2)
///         Ok(team.organization.as_str() == "acme" && team.team.as_str() == "engineering")
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let keys = ApiKeys::builder(MemoryStore::new()).directory(Teams).build().await?;
/// # let _ = keys;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Directory: Send + Sync + 'static {
    /// Why it could not be asked. Goes to the log and into [`ManageErrorKind::DirectoryUnavailable`], never to a client.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Whether the organization has this team, now.
    ///
    /// # Errors
    /// If that cannot be said: then nothing is done. An answer may take as long as one of the store
    /// ([`store_timeout`](crate::ApiKeysBuilder::store_timeout)).
    fn has_team(&self, team: &TeamRef) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

impl<D: Directory> Directory for Arc<D> {
    type Error = D::Error;

    fn has_team(&self, team: &TeamRef) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        (**self).has_team(team)
    }
}

/// A directory of any type, or none.
#[derive(Clone, Default)]
pub(crate) struct AnyDirectory(Option<Arc<dyn Boxed>>);

trait Boxed: Send + Sync {
    fn has_team<'a>(&'a self, team: &'a TeamRef) -> BoxFuture<'a, Result<bool, Box<dyn Error + Send + Sync>>>;
}

impl<D: Directory> Boxed for D {
    fn has_team<'a>(&'a self, team: &'a TeamRef) -> BoxFuture<'a, Result<bool, Box<dyn Error + Send + Sync>>> {
        Box::pin(async move { Directory::has_team(self, team).await.map_err(Into::into) })
    }
}

impl AnyDirectory {
    pub(crate) fn new(directory: impl Directory) -> Self {
        Self(Some(Arc::new(directory)))
    }

    /// Whether the organization has this team; none if there is no directory to ask.
    pub(super) async fn has_team(&self, team: &TeamRef, timeout: Duration) -> Result<Option<bool>, ManageError> {
        let Some(directory) = &self.0 else { return Ok(None) };
        // The call is made inside, for it may panic before there is a future; so is the limit, which panics in a runtime
        // without time.
        let asked = async { tokio::time::timeout(timeout, directory.has_team(team)).await };
        let unavailable = ManageError::new(ManageErrorKind::DirectoryUnavailable);
        match AssertUnwindSafe(asked).catch_unwind().await {
            Ok(Ok(Ok(has))) => Ok(Some(has)),
            Ok(Ok(Err(error))) => Err(unavailable.with_source(error)),
            Ok(Err(_)) => Err(unavailable.with_source("the directory did not answer in time")),
            Err(_) => Err(unavailable.with_source("the directory panicked")),
        }
    }
}

impl fmt::Debug for AnyDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyDirectory").field(&self.0.is_some()).finish()
    }
}
