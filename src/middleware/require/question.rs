use std::{error::Error, future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use http::request::Parts;

use crate::{
    middleware::{bound::Bound, report},
    outcome::RefusalCode,
    owner::{OrganizationId, TeamId, TeamRef, UserId},
    principal::{Principal, TeamAccess},
};

type Failure = Box<dyn Error + Send + Sync>;

/// The function that finds the organization or team a request is about.
pub(super) struct Find<T>(Arc<dyn Finds<T>>);

trait Finds<T>: Send + Sync {
    fn find(&self, request: &Parts, principal: &Principal) -> Found<T>;
}

impl<T, F: Fn(&Parts, &Principal) -> Found<T> + Send + Sync> Finds<T> for F {
    fn find(&self, request: &Parts, principal: &Principal) -> Found<T> {
        self(request, principal)
    }
}

/// The result, now or later; none if the request is about no organization or team.
pub(super) enum Found<T> {
    Now(Option<T>),
    Later(BoxFuture<'static, Result<Option<T>, Failure>>),
}

/// The team that a request is about.
pub(super) struct AskedTeam {
    /// None for a team of the organization that the layer requires, or of the single one if it requires none.
    pub(super) organization: Option<OrganizationId>,
    pub(super) team: TeamId,
}

/// The question to a [`membership`](super::RequireKeyLayer::membership): is this user a member of this team?
///
/// The user and the team are in the same organization, [`team.organization`](TeamRef::organization).
///
/// ```
/// use tower_api_keys::middleware::MembershipQuestion;
///
/// async fn is_member(asked: MembershipQuestion) -> Result<bool, std::io::Error> {
///     let (organization, team) = (asked.team.organization.as_str(), asked.team.team.as_str());
///     Ok(organization == "acme" && team == "engineering" && asked.user.as_str() == "alice") // in your service: a query
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MembershipQuestion {
    /// The user who owns the key.
    pub user: UserId,
    /// The team that the request is about.
    pub team: TeamRef,
    /// The caller: the same user, and the key.
    pub principal: Principal,
}

/// Whether a user is a member of a team.
pub(super) struct Membership(
    pub(super) Arc<dyn Fn(MembershipQuestion) -> BoxFuture<'static, Result<bool, Failure>> + Send + Sync>,
);

impl<T: 'static> Find<T> {
    pub(super) fn told<U: Into<T>>(find: impl Fn(&Parts) -> Option<U> + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |request: &Parts, _: &Principal| Found::Now(find(request).map(Into::into))))
    }

    pub(super) fn looked_up<F, Fut, U, E>(find: F) -> Self
    where
        F: Fn(&Parts, &Principal) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<U>, E>> + Send + 'static,
        U: Into<T>,
        E: Into<Failure>,
    {
        Self(Arc::new(move |request: &Parts, principal: &Principal| {
            let found = find(request, principal);
            Found::Later(Box::pin(async move { Ok(found.await.map_err(Into::into)?.map(Into::into)) }))
        }))
    }

    pub(super) fn ask(&self, request: &Parts, principal: &Principal) -> Found<T> {
        self.0.find(request, principal)
    }
}

/// The open questions about a request, their order, and what each answer means.
pub(super) struct Question {
    pub(super) principal: Principal,
    /// None if no organization is required.
    pub(super) organization: Option<Found<OrganizationId>>,
    /// None if no team is required.
    pub(super) team: Option<Found<AskedTeam>>,
    /// None if no membership function is set: then no user is a member.
    pub(super) membership: Option<Membership>,
}

impl Question {
    /// Whether all answers are here without a wait.
    pub(super) fn is_answered(&self) -> bool {
        let asks_membership = self.team.is_some() && self.membership.is_some() && self.principal.user().is_some();
        !asks_membership
            && !matches!(self.organization, Some(Found::Later(_)))
            && !matches!(self.team, Some(Found::Later(_)))
    }

    /// The organization and team for which the caller is let through, or why not. Failures go to the log.
    pub(super) async fn settle(self) -> Result<Bound, RefusalCode> {
        let Self { principal, organization, team, membership } = self;
        let asks_organization = organization.is_some();
        if let Some(found) = organization {
            let found = found.wait("the organization of a request").await?;
            if found.as_ref() != Some(principal.organization()) {
                return Err(RefusalCode::WrongTeam);
            }
        }
        let Some(found) = team else { return Ok(Bound::of(principal)) };
        let AskedTeam { organization, team } =
            found.wait("the team of a request").await?.ok_or(RefusalCode::WrongTeam)?;
        let organization = match organization {
            Some(organization) => organization,
            None if asks_organization => principal.organization().clone(),
            None => OrganizationId::single(),
        };
        let team = TeamRef::new(organization, team);
        match (principal.access_to(&team), membership) {
            (TeamAccess::Granted, _) => Ok(Bound::to_team(principal, team)),
            (TeamAccess::AskMembership(user), Some(Membership(is_member))) => {
                let question =
                    MembershipQuestion { user: user.clone(), team: team.clone(), principal: principal.clone() };
                match is_member(question).await {
                    Ok(true) => Ok(Bound::to_team(principal, team)),
                    Ok(false) => Err(RefusalCode::WrongTeam),
                    Err(error) => Err(unavailable("a team's members", &*error)),
                }
            }
            // There is no membership function, and without one a user's key does not pass.
            (TeamAccess::AskMembership(_), None) | (TeamAccess::Refused, _) => Err(RefusalCode::WrongTeam),
        }
    }
}

impl<T> Found<T> {
    async fn wait(self, what: &'static str) -> Result<Option<T>, RefusalCode> {
        match self {
            Self::Now(found) => Ok(found),
            Self::Later(found) => found.await.map_err(|error| unavailable(what, &*error)),
        }
    }
}

/// An unknown answer says nothing against the key: the client is told to retry.
fn unavailable(what: &'static str, error: &(dyn Error + Send + Sync + 'static)) -> RefusalCode {
    report::failed_look_up(what, error);
    RefusalCode::StoreUnavailable
}

impl From<TeamRef> for AskedTeam {
    fn from(TeamRef { organization, team }: TeamRef) -> Self {
        Self { organization: Some(organization), team }
    }
}

impl<T> Clone for Find<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Clone for Membership {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
