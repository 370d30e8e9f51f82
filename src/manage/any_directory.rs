//! A directory of any type, or none; every call to it has a time limit.

use std::{error::Error, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;

use super::{
    directory::Directory,
    error::{ManageError, ManageErrorKind},
    misconfigured::Misconfiguration,
    names::{Mentions, NamedTeam, Names},
    patience::{Failing, Patience},
};
use crate::{
    log::{Repeated, log},
    owner::{OrganizationId, TeamId, TeamRef, UserId},
    record::NamePart,
};

/// How many ids one question about names has: as many as one question to the store.
const MOST_IDS: usize = 1_000;

/// The most teams of one list.
pub(super) const MOST_TEAMS: usize = 1_000;

type AnyError = Box<dyn Error + Send + Sync>;

/// A directory of any type, or none.
#[derive(Clone, Default)]
pub(crate) struct AnyDirectory(Option<Arc<Known<dyn Boxed>>>);

struct Known<D: ?Sized> {
    /// Questions about names and lists of teams that failed.
    failed: Repeated,
    /// The organizations for which it does not give names.
    of_names: Failing,
    /// The organizations for which it does not list teams.
    of_teams: Failing,
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
        let (of_names, of_teams) = (Failing::default(), Failing::default());
        Self(Some(Arc::new(Known { failed: Repeated::new(), of_names, of_teams, directory })))
    }

    pub(super) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the organization has this team; `None` without a directory.
    pub(super) async fn has_team(&self, team: &TeamRef, timeout: Duration) -> Result<Option<bool>, ManageError> {
        let Some(known) = &self.0 else { return Ok(None) };
        let unavailable = ManageError::new(ManageErrorKind::DirectoryUnavailable);
        let said = within(timeout, known.directory.has_team(team)).await;
        said.map(Some).map_err(|unsaid| unavailable.with_source(AnyError::from(unsaid)))
    }

    /// The names of these, and who has left, as far as the directory answers in time; and those about which it did not
    /// answer.
    pub(super) async fn names(
        &self,
        organization: &OrganizationId,
        of: Mentions,
        patience: &mut Patience,
    ) -> (Names, Mentions) {
        let (mut names, mut unanswered) = (Names::none(), Mentions::default());
        let Some(known) = &self.0 else { return (names, unanswered) };
        let mut parts = of.parts(MOST_IDS).into_iter();
        for (users, teams) in parts.by_ref() {
            let answer = known.directory.names(organization, &users, &teams);
            match known.said(&known.of_names, organization, patience, answer).await {
                Some(said) => names.extend(said.only(&users, &teams)),
                None => {
                    unanswered.extend(users, teams);
                    break;
                }
            }
        }
        parts.for_each(|(users, teams)| unanswered.extend(users, teams));
        (names, unanswered)
    }

    /// What the directory says about these, for an action that depends on it: the directory has time to answer, and no
    /// answer is an error.
    pub(super) async fn asked_about(
        &self,
        organization: &OrganizationId,
        of: Mentions,
        timeout: Duration,
    ) -> Result<Names, ManageError> {
        let no_directory = ManageErrorKind::Misconfigured(Misconfiguration::NoDirectory);
        let known = self.0.as_ref().ok_or_else(|| ManageError::new(no_directory))?;
        let mut names = Names::none();
        for (users, teams) in of.parts(MOST_IDS) {
            let said =
                within(timeout, known.directory.names(organization, &users, &teams)).await.map_err(|unsaid| {
                    ManageError::new(ManageErrorKind::DirectoryUnavailable).with_source(AnyError::from(unsaid))
                })?;
            names.extend(said.only(&users, &teams));
        }
        Ok(names)
    }

    /// The teams of the organization, or those with this text in their names, if the directory answers in time.
    pub(super) async fn teams(
        &self,
        organization: &OrganizationId,
        named_like: Option<&NamePart>,
        patience: &mut Patience,
    ) -> Option<Vec<NamedTeam>> {
        let known = self.0.as_deref()?;
        let answer = known.directory.teams(organization, named_like);
        let mut teams = known.said(&known.of_teams, organization, patience, answer).await??;
        teams.truncate(MOST_TEAMS);
        Some(teams)
    }
}

impl Known<dyn Boxed> {
    /// An answer about names, with a short time limit.
    async fn said<T>(
        &self,
        failing: &Failing,
        organization: &OrganizationId,
        patience: &mut Patience,
        answer: BoxFuture<'_, Result<T, AnyError>>,
    ) -> Option<T> {
        if failing.is_paused(organization) {
            return None;
        }
        let (limit, is_whole, begun) = (patience.limit(), patience.is_whole(), Instant::now());
        // With no time left the directory is not asked: its answer would be dropped.
        let said = if limit.is_zero() { Err(Unsaid::Late) } else { within(limit, answer).await };
        patience.spend(begun.elapsed());
        match said {
            Ok(said) => {
                failing.answered(organization);
                if self.of_names.is_over() && self.of_teams.is_over() && self.failed.is_over().is_some() {
                    log!(info, "the directory gives names again");
                }
                Some(said)
            }
            Err(unsaid) => {
                failing.failed(organization, is_whole && matches!(unsaid, Unsaid::Late));
                if let Some(_times) = self.failed.happened() {
                    let _error = AnyError::from(unsaid);
                    log!(
                        warn,
                        times = _times,
                        organization = organization.as_str(),
                        error = &*_error as &dyn Error,
                        "the directory gives no names: ids are shown, and nobody is taken to have left"
                    );
                }
                None
            }
        }
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
    // The timeout is made inside, because it panics in a runtime without time.
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
