use super::rights::{ActorTeam, Rights, TeamRole};
use crate::{
    key::{KeyId, redact},
    owner::{InvalidId, OrganizationId, Owner, TeamId, UserId},
    principal::Principal,
    record::{ActorId, SystemLabel},
    scope::Scopes,
    usage::{Parts, Source},
};

/// The caller of a change or a read of keys: a person, a key, or the service itself. Made by the embedder from what it
/// has proved, never from anything in a request body.
///
/// ```
/// use tower_api_keys::{Actor, TeamId, UserId, manage::{Rights, TeamRole}};
///
/// let rights = Rights::none().team(TeamId::new("blue")?, TeamRole::Owner).team_keys_included();
/// let alice = Actor::user(UserId::new("alice")?, rights);
/// assert_eq!(alice.id().to_string(), "user:alice");
///
/// let first_start = Actor::system("first start")?;
/// assert_eq!(first_start.id().to_string(), "system:first start");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug)]
pub struct Actor {
    who: Who,
    rights: Rights,
    source: Option<Source>,
}

#[derive(Clone, Debug)]
enum Who {
    Key { id: KeyId, organization: OrganizationId, owner: Owner, scopes: Scopes },
    System(SystemLabel),
    User { user: UserId, organization: Option<OrganizationId> },
}

impl Actor {
    /// A person, with the rights they have at this moment, of a service's only organization.
    ///
    /// In a service of several organizations make them with [`KeyManager::actor`](super::KeyManager::actor), or
    /// [name](Self::with_organization) their organization: rights are those in one organization. The manager of one of
    /// several organizations refuses a person without one as [`Misconfigured`](super::ManageErrorKind::Misconfigured),
    /// rather than assume its own. With the manager of another organization, everything is *not found* for them.
    #[must_use]
    pub fn user(user: UserId, rights: Rights) -> Self {
        Self::of(Who::User { user, organization: None }, rights)
    }

    /// A key, with the rights its owner has at this moment, in the key's own organization.
    ///
    /// A user's key needs what the user may do now: look it up as for [`Actor::user`]. A team's key acts as an admin of
    /// its own team only; of the given rights, only one counts: whether its team's plan includes team keys
    /// ([`Rights::team_keys_included_for`]).
    ///
    /// ```
    /// # fn example(principal: tower_api_keys::Principal) {
    /// use tower_api_keys::{Actor, Owner, manage::Rights};
    ///
    /// let rights = match principal.owner() {
    ///     Owner::User(_user) => Rights::none(), // in production, from the directory
    ///     Owner::Team(team) => Rights::none().team_keys_included_for(team.clone()), // in production, from its plan
    /// };
    /// let actor = Actor::key(&principal, rights);
    /// # }
    /// ```
    ///
    /// # Security
    /// The key may do nothing that its named [`ManagingScope`](crate::ManagingScope)s do not cover. The scopes in the
    /// principal are not relied on: each call reads the stored scopes of the key, and a change is made only if the key
    /// still has them at the moment of commit.
    #[must_use]
    pub fn key(principal: &Principal, owner_rights: Rights) -> Self {
        let rights = match principal.owner() {
            Owner::User(_) => owner_rights,
            Owner::Team(team) => {
                let rights = Rights::none().team(team.clone(), TeamRole::Admin);
                if owner_rights.includes_team_keys(team) { rights.team_keys_included_for(team.clone()) } else { rights }
            }
        };
        let who = Who::Key {
            id: *principal.key_id(),
            organization: principal.organization().clone(),
            owner: principal.owner().clone(),
            scopes: principal.scopes().clone(),
        };
        Self::of(who, rights)
    }

    /// The service itself: its first start, its command line, a job. It may do anything in the organization of the
    /// manager that gets it. The label is recorded in the audit trail.
    ///
    /// # Errors
    /// [`InvalidId`] if the label is empty, longer than 128 bytes or contains something invisible.
    pub fn system(label: impl AsRef<str>) -> Result<Self, InvalidId> {
        Ok(Self::of(Who::System(SystemLabel::new(label)?), Rights::none()))
    }

    /// The actor for a caller that presents the whole text of a key.
    pub(super) fn presented() -> Self {
        Self::of(Who::System(SystemLabel::presented()), Rights::none())
    }

    /// Sets the organization of this person. A key has its own organization and the system has the manager's: for them
    /// this changes nothing.
    #[must_use]
    pub fn with_organization(mut self, to: OrganizationId) -> Self {
        if let Who::User { organization, .. } = &mut self.who {
            *organization = Some(to);
        }
        self
    }

    /// Sets the source of this actor's requests: `console`, `api`, an address. The audit trail records it for what the
    /// actor does. Default: none. A key in it is replaced by a form that shows which key it was.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        let parts = source.parts();
        // A part that is no longer valid after redaction is left out: it may be too long.
        let word = |part| Some(redact(part)).filter(|word| UserId::new(word).is_ok()).unwrap_or_default();
        let [label, client, network] = [parts.label, parts.client, parts.network].map(word);
        let redacted = Source::of_parts(Parts { label: &label, client: &client, network: &network });
        self.source = (!redacted.is_empty()).then_some(redacted);
        self
    }

    /// This key with its current scopes.
    pub(super) fn with_scopes(mut self, now: Scopes) -> Self {
        if let Who::Key { scopes, .. } = &mut self.who {
            *scopes = now;
        }
        self
    }

    const fn of(who: Who, rights: Rights) -> Self {
        Self { who, rights, source: None }
    }

    /// The source of its requests, if it was set.
    #[must_use]
    pub const fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The id of the actor in records and events.
    #[must_use]
    pub fn id(&self) -> ActorId {
        match &self.who {
            Who::Key { id, .. } => ActorId::Key(*id),
            Who::System(label) => ActorId::System(label.clone()),
            Who::User { user, .. } => ActorId::User(user.clone()),
        }
    }

    /// The organization it belongs to; `None` for the system, and for a person whose organization was not set.
    #[must_use]
    pub const fn organization(&self) -> Option<&OrganizationId> {
        match &self.who {
            Who::Key { organization, .. } => Some(organization),
            Who::User { organization, .. } => organization.as_ref(),
            Who::System(_) => None,
        }
    }

    /// The person whose rights it has: itself, or the owner of the key.
    #[must_use]
    pub const fn user_id(&self) -> Option<&UserId> {
        match &self.who {
            Who::Key { owner: Owner::User(user), .. } | Who::User { user, .. } => Some(user),
            Who::Key { .. } | Who::System(_) => None,
        }
    }

    /// The id of the acting key, if the actor is a key.
    #[must_use]
    pub const fn key_id(&self) -> Option<&KeyId> {
        match &self.who {
            Who::Key { id, .. } => Some(id),
            Who::System(_) | Who::User { .. } => None,
        }
    }

    /// The scopes of the acting key, if the actor is a key.
    #[must_use]
    pub const fn scopes(&self) -> Option<&Scopes> {
        match &self.who {
            Who::Key { scopes, .. } => Some(scopes),
            Who::System(_) | Who::User { .. } => None,
        }
    }

    /// Whether the service itself acts.
    #[must_use]
    pub const fn is_system(&self) -> bool {
        matches!(self.who, Who::System(_))
    }

    /// Whether it has the rights of an admin of the organization.
    #[must_use]
    pub const fn is_org_admin(&self) -> bool {
        self.rights.is_org_admin()
    }

    /// Whether it has the rights of an auditor of the organization.
    #[must_use]
    pub const fn is_auditor(&self) -> bool {
        self.rights.is_auditor()
    }

    /// Whether it manages the keys of a team, by its role there or without one.
    #[must_use]
    pub fn manages_keys_of(&self, team: &TeamId) -> bool {
        self.rights.manages_keys_of(team)
    }

    /// Its role in a team, if it has one.
    #[must_use]
    pub fn role_in(&self, team: &TeamId) -> Option<TeamRole> {
        self.rights.role_in(team)
    }

    /// Whether the plan includes keys of this team, as far as its rights say.
    #[must_use]
    pub fn includes_team_keys(&self, team: &TeamId) -> bool {
        self.rights.includes_team_keys(team)
    }

    /// Whether any plan includes team keys, as far as its rights say; always for the system. Advice does not recommend
    /// what the plan does not have.
    pub(super) fn has_team_keys(&self) -> bool {
        self.is_system() || self.rights.includes_keys_of_any_team()
    }

    /// The teams that its rights name: by a role, the management of their keys, or a plan with team keys, in the order
    /// of their ids. For a team's key, its own team. None for the system, which has no rights and needs none.
    pub fn teams(&self) -> impl Iterator<Item = ActorTeam<'_>> {
        self.known_teams().map(|id| ActorTeam {
            id,
            role: self.role_in(id),
            manages_keys: self.manages_keys_of(id),
            includes_team_keys: self.includes_team_keys(id),
        })
    }

    /// Whether its rights name the team: by a role, the management of its keys, or a plan with team keys.
    pub(super) fn names_team(&self, team: &TeamId) -> bool {
        self.rights.names(team)
    }

    /// Whether it has a role in the team or manages its keys.
    pub(super) fn has_part_in(&self, team: &TeamId) -> bool {
        self.rights.has_part_in(team)
    }

    /// Whether there is a team whose keys it manages.
    pub(super) fn manages_keys_of_any(&self) -> bool {
        self.rights.teams().any(|team| self.rights.manages_keys_of(team))
    }

    /// The teams that its rights name.
    pub(super) fn known_teams(&self) -> impl Iterator<Item = &TeamId> {
        self.rights.known_teams()
    }

    /// The owners whose keys it may be concerned with: itself and its teams.
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> {
        let user = self.user_id().cloned().map(Owner::User);
        user.into_iter().chain(self.rights.teams().cloned().map(Owner::Team))
    }

    /// The user or team that must be active for it to act; `None` for the system.
    pub(super) fn standing_on(&self) -> Option<Owner> {
        match &self.who {
            Who::Key { owner, .. } => Some(owner.clone()),
            Who::System(_) => None,
            Who::User { user, .. } => Some(Owner::User(user.clone())),
        }
    }
}
