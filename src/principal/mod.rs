//! The caller: what a checked key proves.

mod claims;

use std::{fmt, future::Future, panic::RefUnwindSafe, sync::Arc};

pub(crate) use claims::{Claims, Particulars, SharedOwner, WithClaims};

#[cfg(any(test, feature = "test-util"))]
use crate::owner::{InvalidId, OwnerRef};
use crate::{
    key::KeyId,
    owner::{KeyKind, NamesTeam, OrganizationId, Owner, TeamId, TeamRef, UserId, UserRef},
    scope::{Scope, Scopes},
    time::Timestamp,
};

/// The caller of a request: a user or a team, proved by a key that was good when the request arrived.
///
/// Cheap to clone. [`ApiKeyLayer`](crate::ApiKeyLayer) puts it into the request's extensions. For streams and sockets
/// that outlive their request, wait for [`Authenticator::until_refused`](crate::Authenticator::until_refused) at the
/// same time.
///
/// ```
/// use tower_api_keys::{Owner, Principal};
///
/// fn greet(principal: &Principal) -> String {
///     match principal.owner() {
///         Owner::User(user) => format!("hello, {user}"),
///         Owner::Team(team) => format!("hello, team {team}"),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Principal(Arc<WithClaims<dyn Send + Sync + RefUnwindSafe>>);

impl Principal {
    pub(crate) fn new(claims: Claims) -> Self {
        Self(Arc::new(WithClaims { claims, rest: () }))
    }

    /// The principal with these claims. It keeps the rest of the allocation alive.
    pub(crate) fn sharing<T: Send + Sync + RefUnwindSafe + 'static>(shared: Arc<WithClaims<T>>) -> Self {
        Self(shared)
    }

    /// Whether the key may be used from every network that it could be used from when `earlier` called. The address was
    /// not stored: that would cost each request, and most keys may be used from anywhere.
    pub(crate) fn reaches_as_far_as(&self, earlier: &Self) -> bool {
        match (self.0.claims.particulars.networks(), earlier.0.claims.particulars.networks()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(now), Some(before)) => before.is_within(now),
        }
    }

    /// Whether both are proved by the same key of the same owner.
    pub(crate) fn is_same_caller(&self, other: &Self) -> bool {
        let (one, two) = (&self.0.claims, &other.0.claims);
        one.key == two.key && one.owner.of == two.owner.of
    }

    pub(crate) fn proved_by(&self) -> u32 {
        self.0.claims.proved_by
    }

    /// The organization the key belongs to.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.0.claims.owner.of.organization
    }

    /// The user or the team whose permissions the caller has.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.0.claims.owner.of.owner
    }

    /// Personal, or a team's.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.owner().kind()
    }

    /// The user, if the key is personal. Of [this](Self::organization) organization: another one may have a user with
    /// the same id.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self.owner() {
            Owner::User(user) => Some(user),
            Owner::Team(_) => None,
        }
    }

    /// The user with the organization, if the key is personal: what to compare, to look up and to store.
    #[must_use]
    pub fn user_ref(&self) -> Option<UserRef> {
        self.user().map(|user| UserRef::new(self.organization().clone(), user.clone()))
    }

    /// The team, if the key is a team's. Of [this](Self::organization) organization: another one may have a team with
    /// the same id.
    #[must_use]
    pub fn team(&self) -> Option<&TeamId> {
        match self.owner() {
            Owner::User(_) => None,
            Owner::Team(team) => Some(team),
        }
    }

    /// The team with the organization, if the key is a team's: what to compare, to look up and to store.
    #[must_use]
    pub fn team_ref(&self) -> Option<TeamRef> {
        self.team().map(|team| TeamRef::new(self.organization().clone(), team.clone()))
    }

    /// The public id of the key: what logs may show.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.0.claims.key
    }

    /// The id that stays the same when the key is rotated: that of the first key of its chain of rotations, which is
    /// the key's own id if it replaces none. Use it in meters, quotas and logs that should not start again with each
    /// successor.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// # let keys = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?;
    /// # let (manager, admin) = (keys.manager(), tower_api_keys::Actor::system("first start")?);
    /// use tower_api_keys::{IssueKey, manage::RotateKey};
    ///
    /// let old = manager.issue(IssueKey::team("blue".parse()?), &admin).await?.info().id;
    /// let new = manager.begin_rotation(RotateKey::of(old), &admin).await?;
    /// let caller = keys.authenticator().authenticate(new.plaintext().expose_secret()).await?;
    /// assert_eq!((caller.lineage(), *caller.key_id()), (old, new.info().id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lineage(&self) -> KeyId {
        self.0.claims.particulars.lineage().unwrap_or(self.0.claims.key)
    }

    /// The name of the key; may be empty. It is as of the last time that this node read the key's record.
    #[must_use]
    pub fn key_name(&self) -> &str {
        self.0.claims.particulars.name()
    }

    /// What the key may do.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.0.claims.scopes
    }

    /// Whether the key may do what `scope` names.
    #[must_use]
    pub fn allows(&self, scope: &Scope) -> bool {
        self.scopes().allows(scope)
    }

    /// The key's limits, in the words the service gave when the key was made: a rate, a budget. Nothing here enforces
    /// them. None if none were given.
    #[must_use]
    pub fn limits(&self) -> Option<&str> {
        self.0.claims.particulars.limits()
    }

    /// The first moment at which the key is refused, if it expires.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.claims.expires_at
    }

    /// Whether this caller has access to `team`, a [`TeamRef`], or a [`TeamId`] alone in a service with a
    /// [single](OrganizationId::single) organization.
    ///
    /// A team key has access to its own team and no other. A user's key has access to the teams of its own organization
    /// that the user is a member of. Only the embedder knows which: no such key passes without that question. No key
    /// has access to another organization, even if the ids are the same.
    ///
    /// ```
    /// use tower_api_keys::{Principal, TeamAccess, TeamRef};
    ///
    /// fn may_read(principal: &Principal, team: &TeamRef, is_member: impl Fn(&str) -> bool) -> bool {
    ///     match principal.access_to(team) {
    ///         TeamAccess::Granted => true,
    ///         TeamAccess::Refused => false,
    ///         TeamAccess::AskMembership(user) => is_member(user.as_str()),
    ///     }
    /// }
    /// ```
    ///
    /// # Security
    /// A [`TeamId`] alone never grants anything to a key of an organization other than the single one.
    #[must_use]
    pub fn access_to(&self, team: &(impl NamesTeam + ?Sized)) -> TeamAccess<'_> {
        let (organization, team) = team.pair();
        match self.owner() {
            _ if self.organization() != organization => TeamAccess::Refused,
            Owner::User(user) => TeamAccess::AskMembership(user),
            Owner::Team(own) if own == team => TeamAccess::Granted,
            Owner::Team(_) => TeamAccess::Refused,
        }
    }

    /// Like [`access_to`](Self::access_to), with `membership` to answer the question. It is asked only for keys of
    /// users of the team's own organization.
    ///
    /// ```
    /// # async fn example(principal: tower_api_keys::Principal) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_api_keys::{TeamId, UserId};
    ///
    /// async fn is_member(user: UserId, team: &TeamId) -> Result<bool, std::io::Error> {
    ///     Ok(user.as_str() == "alice" && team.as_str() == "engineering") // in your service: a query
    /// }
    ///
    /// let team = TeamId::new("engineering")?;
    /// principal.authorize_team(&team, |user| is_member(user, &team)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TeamRefused::NotAllowed`] if the answer is no, [`TeamRefused::Unknown`] if `membership` failed.
    pub async fn authorize_team<F, Fut, E>(
        &self,
        team: &(impl NamesTeam + ?Sized),
        membership: F,
    ) -> Result<(), TeamRefused<E>>
    where
        F: FnOnce(UserId) -> Fut,
        Fut: Future<Output = Result<bool, E>>,
    {
        let allowed = match self.access_to(team) {
            TeamAccess::Granted => true,
            TeamAccess::Refused => false,
            TeamAccess::AskMembership(user) => membership(user.clone()).await.map_err(TeamRefused::Unknown)?,
        };
        if allowed { Ok(()) } else { Err(TeamRefused::NotAllowed) }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("organization", self.organization())
            .field("owner", self.owner())
            .field("key_id", self.key_id())
            .finish_non_exhaustive()
    }
}

/// The answer of [`Principal::access_to`].
///
/// ```
/// use tower_api_keys::{TeamAccess, UserId};
///
/// let alice = UserId::new("alice")?;
/// assert_ne!(TeamAccess::AskMembership(&alice), TeamAccess::Granted);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeamAccess<'a> {
    /// Ask the embedder's directory whether this user, who is of the team's organization, is a member of the team.
    AskMembership(&'a UserId),
    /// The team's own key.
    Granted,
    /// Another team's key, or one of another organization.
    Refused,
}

/// Why [`Principal::authorize_team`] refused.
///
/// ```
/// use tower_api_keys::TeamRefused;
///
/// let refused: TeamRefused<std::io::Error> = TeamRefused::NotAllowed;
/// assert_eq!(refused.to_string(), "the key has no access to this team");
/// ```
#[derive(Debug, thiserror::Error)]
pub enum TeamRefused<E> {
    /// Another team's key, a user who is no member, or a key of another organization: 403.
    #[error("the key has no access to this team")]
    NotAllowed,
    /// The membership could not be looked up: 503, not a refusal.
    #[error("the team's members could not be looked up")]
    Unknown(#[source] E),
}

/// A principal without a key, for tests of handlers.
///
/// ```
/// use tower_api_keys::{Principal, Scope};
///
/// let ci = Principal::fake().team("engineering")?.scopes([Scope::new("agents:read")?].into_iter().collect()).build();
/// assert_eq!(ci.owner().to_string(), "team engineering");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug)]
pub struct FakePrincipal {
    owner: OwnerRef,
    key: KeyId,
    scopes: Scopes,
}

#[cfg(any(test, feature = "test-util"))]
impl Principal {
    /// Starts a principal for a test: user `alice` of the single organization, all scopes, unless you set others.
    #[must_use]
    pub fn fake() -> FakePrincipal {
        let alice = Owner::User(UserId::new("alice").unwrap_or_else(|_| UserId::from(0_u32)));
        FakePrincipal {
            owner: OwnerRef { organization: OrganizationId::single(), owner: alice },
            key: KeyId::FAKE,
            scopes: Scopes::all(),
        }
    }
}

#[cfg(any(test, feature = "test-util"))]
impl FakePrincipal {
    /// A personal key of this user.
    ///
    /// # Errors
    /// [`InvalidId`] as for [`UserId::new`].
    pub fn user(mut self, user: &str) -> Result<Self, InvalidId> {
        self.owner.owner = Owner::User(UserId::new(user)?);
        Ok(self)
    }

    /// A key of this team.
    ///
    /// # Errors
    /// [`InvalidId`] as for [`TeamId::new`].
    pub fn team(mut self, team: &str) -> Result<Self, InvalidId> {
        self.owner.owner = Owner::Team(TeamId::new(team)?);
        Ok(self)
    }

    /// In this organization.
    #[must_use]
    pub fn organization(mut self, organization: OrganizationId) -> Self {
        self.owner.organization = organization;
        self
    }

    /// With a key of this id, which need not exist.
    #[must_use]
    pub const fn key(mut self, id: KeyId) -> Self {
        self.key = id;
        self
    }

    /// With these scopes instead of all.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// The principal.
    #[must_use]
    pub fn build(self) -> Principal {
        Principal::new(Claims {
            owner: SharedOwner::new(self.owner),
            key: self.key,
            proved_by: 0,
            particulars: Particulars::new("fake", None, None, None),
            scopes: self.scopes,
            expires_at: None,
        })
    }
}

#[cfg(test)]
mod tests;
