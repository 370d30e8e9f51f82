//! A directory of any type, or none, each of whose calls ends.

use std::{
    error::Error,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;

use super::{
    directory::Directory,
    error::{ManageError, ManageErrorKind},
    names::{Mentions, NamedTeam, Names},
};
use crate::{
    log::{Repeated, log},
    owner::{OrganizationId, TeamId, TeamRef, UserId},
    record::NamePart,
};

/// Ids of one question about names: as many as the store is asked about at once.
const MOST_IDS: usize = 1_000;

/// The most teams of one list.
pub(super) const MOST_TEAMS: usize = 1_000;

/// How long an answer about names may take. A page is whole without them, and is read within milliseconds: half a second is
/// what people do not yet take for a page that hangs. `has_team` guards something, and has the time of a store.
const PATIENCE: Duration = Duration::from_millis(500);

/// For how long nobody asks for names once an answer did not come in time, so that not each page waits for that.
const PAUSE: Duration = Duration::from_secs(5);

type AnyError = Box<dyn Error + Send + Sync>;

/// A directory of any type, or none.
#[derive(Clone, Default)]
pub(crate) struct AnyDirectory(Option<Arc<Known<dyn Boxed>>>);

struct Known<D: ?Sized> {
    /// Answers about names that failed.
    failed: Repeated,
    /// When the last one that came too late was given up.
    late_at: Mutex<Option<Instant>>,
    directory: D,
}

trait Boxed: Send + Sync {
    fn has_team<'a>(&'a self, team: &'a TeamRef) -> BoxFuture<'a, Result<bool, AnyError>>;

    fn names<'a>(
        &'a self,
        organization: &'a OrganizationId,
        users: &'a [UserId],
        teams: &'a [TeamId],
    ) -> BoxFuture<'a, Result<Names, AnyError>>;

    fn teams<'a>(
        &'a self,
        organization: &'a OrganizationId,
        named_like: Option<&'a NamePart>,
    ) -> BoxFuture<'a, Result<Option<Vec<NamedTeam>>, AnyError>>;
}

impl<D: Directory> Boxed for D {
    fn has_team<'a>(&'a self, team: &'a TeamRef) -> BoxFuture<'a, Result<bool, AnyError>> {
        Box::pin(async move { Directory::has_team(self, team).await.map_err(Into::into) })
    }

    fn names<'a>(
        &'a self,
        organization: &'a OrganizationId,
        users: &'a [UserId],
        teams: &'a [TeamId],
    ) -> BoxFuture<'a, Result<Names, AnyError>> {
        Box::pin(async move { Directory::names(self, organization, users, teams).await.map_err(Into::into) })
    }

    fn teams<'a>(
        &'a self,
        organization: &'a OrganizationId,
        named_like: Option<&'a NamePart>,
    ) -> BoxFuture<'a, Result<Option<Vec<NamedTeam>>, AnyError>> {
        Box::pin(async move { Directory::teams(self, organization, named_like, MOST_TEAMS).await.map_err(Into::into) })
    }
}

impl AnyDirectory {
    pub(crate) fn new(directory: impl Directory) -> Self {
        Self(Some(Arc::new(Known { failed: Repeated::new(), late_at: Mutex::new(None), directory })))
    }

    pub(super) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the organization has this team; none if there is no directory to ask.
    pub(super) async fn has_team(&self, team: &TeamRef, timeout: Duration) -> Result<Option<bool>, ManageError> {
        let Some(known) = &self.0 else { return Ok(None) };
        let unavailable = ManageError::new(ManageErrorKind::DirectoryUnavailable);
        let said = within(timeout, known.directory.has_team(team)).await;
        said.map(Some).map_err(|unsaid| unavailable.with_source(AnyError::from(unsaid)))
    }

    /// What these are called, and who of them has left, as far as the directory says so in time; of others nothing.
    pub(super) async fn names(&self, organization: &OrganizationId, of: Mentions, timeout: Duration) -> Names {
        let mut names = Names::none();
        let Some(known) = &self.0 else { return names };
        for (users, teams) in of.parts(MOST_IDS) {
            let answer = known.directory.names(organization, &users, &teams);
            let Some(said) = known.said(timeout, answer).await else { break };
            names.extend(said.only(&users, &teams));
        }
        names
    }

    /// The teams of the organization, or those with this part in their names, if the directory says that in time.
    pub(super) async fn teams(
        &self,
        organization: &OrganizationId,
        named_like: Option<&NamePart>,
        timeout: Duration,
    ) -> Option<Vec<NamedTeam>> {
        let known = self.0.as_deref()?;
        let mut teams = known.said(timeout, known.directory.teams(organization, named_like)).await??;
        teams.truncate(MOST_TEAMS);
        Some(teams)
    }
}

impl Known<dyn Boxed> {
    /// An answer about names, which nobody waits for long.
    async fn said<T>(&self, timeout: Duration, answer: BoxFuture<'_, Result<T, AnyError>>) -> Option<T> {
        if self.is_paused() {
            return None;
        }
        match within(timeout.min(PATIENCE), answer).await {
            Ok(said) => {
                if self.failed.is_over().is_some() {
                    log!(info, "the directory says names again");
                }
                Some(said)
            }
            Err(unsaid) => {
                if matches!(unsaid, Unsaid::Late) {
                    *self.late_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
                if let Some(_times) = self.failed.happened() {
                    let _error = AnyError::from(unsaid);
                    log!(
                        warn,
                        times = _times,
                        error = &*_error as &dyn Error,
                        "the directory does not say names: ids are shown, and nobody is known to have left"
                    );
                }
                None
            }
        }
    }

    fn is_paused(&self) -> bool {
        let late_at = *self.late_at.lock().unwrap_or_else(PoisonError::into_inner);
        late_at.is_some_and(|at| at.elapsed() < PAUSE)
    }
}

/// Why there is no answer.
enum Unsaid {
    Failed(AnyError),
    Late,
    Panicked,
}

impl From<Unsaid> for AnyError {
    fn from(unsaid: Unsaid) -> Self {
        match unsaid {
            Unsaid::Failed(error) => error,
            Unsaid::Late => "the directory did not answer in time".into(),
            Unsaid::Panicked => "the directory panicked".into(),
        }
    }
}

async fn within<T>(limit: Duration, answer: BoxFuture<'_, Result<T, AnyError>>) -> Result<T, Unsaid> {
    // The limit is made inside, for it panics in a runtime without time.
    let asked = async { tokio::time::timeout(limit, answer).await };
    match AssertUnwindSafe(asked).catch_unwind().await {
        Ok(Ok(Ok(said))) => Ok(said),
        Ok(Ok(Err(error))) => Err(Unsaid::Failed(error)),
        Ok(Err(_)) => Err(Unsaid::Late),
        Err(_) => Err(Unsaid::Panicked),
    }
}

impl fmt::Debug for AnyDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyDirectory").field(&self.0.is_some()).finish()
    }
}
