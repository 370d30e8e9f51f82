use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    owner::{Owner, TeamId, UserId},
    record::{ActorId, KeyName},
    words::words,
};

/// The names of people and teams, and who has left: what a [`Directory`](super::super::Directory) says, and what
/// answers carry. If a name is not in it, the id is shown.
///
/// A name is one readable line: at most 100 characters, none of them invisible, and no credential, as for the [name of
/// a key](KeyName). Spaces around it are removed. A name that breaks these rules, or an empty one, counts as unknown,
/// so that one bad row of a directory spoils no page.
///
/// For each person and each team, one of four things is known: that they are [there](Self::with_known), which a name
/// says, too; that the person has [left](Self::with_left); that this id is [unknown](Self::with_unknown) to the
/// directory; or nothing, if they are not in it.
///
/// It serializes as
/// `{"users": {"alice": {"name": "Alice Jones", "left": false, "unknown": false}}, "teams": {"blue": {"name": "Blue",
/// "unknown": false}}, "complete": true}`; an unknown name is `null`.
///
/// ```
/// use tower_api_keys::{Owner, TeamId, UserId, manage::Names};
///
/// let (alice, bob, blue) = (UserId::new("u-1")?, UserId::new("u-2")?, TeamId::new("t-1")?);
/// let names = Names::none().with_user(alice.clone(), "Alice Jones").with_team(blue.clone(), "Blue");
/// let names = names.with_user(bob.clone(), "Bob Brown").with_left(bob.clone());
///
/// assert_eq!(names.of_user(&alice), Some("Alice Jones"));
/// assert_eq!(names.of_owner(&Owner::Team(blue)), Some("Blue"));
/// assert!(names.has_left(&bob) && !names.has_left(&alice));
///
/// let carol = UserId::new("u-3")?;
/// assert!(names.with_unknown(carol.clone()).is_unknown(&Owner::User(carol)));
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
///
/// # Security
/// People choose their own names. Escape names on a page like any other text, and decide nothing by them: two people
/// may have the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Names {
    /// People by their ids.
    users: BTreeMap<UserId, KnownUser>,
    /// Teams by their ids.
    teams: BTreeMap<TeamId, KnownTeam>,
    /// Whether the directory answered about all people and teams of the answer that has these.
    complete: bool,
}

words! {
    /// What a [`Directory`](super::super::Directory) says about a user or a team.
    ///
    /// ```
    /// use tower_api_keys::manage::Presence;
    ///
    /// assert!(Presence::Left.is_missing() && !Presence::Here.is_missing());
    /// ```
    #[non_exhaustive]
    pub enum Presence {
        /// They are there.
        Here = "here",
        /// The person was there, and has left.
        Left = "left",
        /// There is no such person or team.
        Unknown = "unknown",
    }
}

impl Presence {
    /// Whether they are no longer there, or never were.
    #[must_use]
    pub const fn is_missing(self) -> bool {
        matches!(self, Self::Left | Self::Unknown)
    }
}

/// What is known about a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
struct KnownUser {
    /// Their name.
    name: Option<Box<str>>,
    /// Whether they have left the organization.
    left: bool,
    /// Whether the directory does not know this id.
    unknown: bool,
}

/// What is known about a team.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
struct KnownTeam {
    /// Its name.
    name: Option<Box<str>>,
    /// Whether the directory does not know this id.
    unknown: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self::none()
    }
}

impl Names {
    /// Nothing is known.
    #[must_use]
    pub const fn none() -> Self {
        Self { users: BTreeMap::new(), teams: BTreeMap::new(), complete: true }
    }

    /// Adds this person's name. It also says that they are there, even if the name cannot be shown.
    #[must_use]
    pub fn with_user(mut self, id: UserId, name: impl AsRef<str>) -> Self {
        let user = self.users.entry(id).or_default();
        user.name = legible(name.as_ref()).or(user.name.take());
        self
    }

    /// Adds this team's name. It also says that the team is there, even if the name cannot be shown.
    #[must_use]
    pub fn with_team(mut self, id: TeamId, name: impl AsRef<str>) -> Self {
        let team = self.teams.entry(id).or_default();
        team.name = legible(name.as_ref()).or(team.name.take());
        self
    }

    /// Adds that this user or team is there, without a name.
    #[must_use]
    pub fn with_known(mut self, owner: impl Into<Owner>) -> Self {
        match owner.into() {
            Owner::User(id) => _ = self.users.entry(id).or_default(),
            Owner::Team(id) => _ = self.teams.entry(id).or_default(),
        }
        self
    }

    /// Adds that there is no user or team with this id, or no longer one. Use it only if you looked and did not find
    /// it: leave out an id that you could not look up.
    ///
    /// A name that was added before stays, so that a team that is gone can still have its name. For a person who you
    /// know was there, use [left](Self::with_left).
    #[must_use]
    pub fn with_unknown(mut self, owner: impl Into<Owner>) -> Self {
        match owner.into() {
            Owner::User(id) => self.users.entry(id).or_default().unknown = true,
            Owner::Team(id) => self.teams.entry(id).or_default().unknown = true,
        }
        self
    }

    /// Adds that this person has left the organization. Keep giving their name: trails and keys that they made still
    /// show it.
    #[must_use]
    pub fn with_left(mut self, id: UserId) -> Self {
        self.users.entry(id).or_default().left = true;
        self
    }

    /// The name of the person.
    #[must_use]
    pub fn of_user(&self, id: &UserId) -> Option<&str> {
        self.users.get(id)?.name.as_deref()
    }

    /// The name of the team.
    #[must_use]
    pub fn of_team(&self, id: &TeamId) -> Option<&str> {
        self.teams.get(id)?.name.as_deref()
    }

    /// The name of the user or the team.
    #[must_use]
    pub fn of_owner(&self, owner: &Owner) -> Option<&str> {
        match owner {
            Owner::User(user) => self.of_user(user),
            Owner::Team(team) => self.of_team(team),
        }
    }

    /// The name of the person who acted. A key and the system have no such name.
    #[must_use]
    pub fn of_actor(&self, actor: &ActorId) -> Option<&str> {
        match actor {
            ActorId::User(user) => self.of_user(user),
            ActorId::Key(_) | ActorId::System(_) => None,
        }
    }

    /// Whether it is known that the person has left.
    #[must_use]
    pub fn has_left(&self, id: &UserId) -> bool {
        self.users.get(id).is_some_and(|user| user.left)
    }

    /// Whether it is known that there is no such user or team. False for a person who is known to have left.
    #[must_use]
    pub fn is_unknown(&self, owner: &Owner) -> bool {
        self.presence(owner) == Some(Presence::Unknown)
    }

    /// What is known about this one; `None` if nothing is.
    pub(in crate::manage) fn presence(&self, owner: &Owner) -> Option<Presence> {
        let (left, unknown) = match owner {
            Owner::User(id) => self.users.get(id).map(|user| (user.left, user.unknown))?,
            Owner::Team(id) => self.teams.get(id).map(|team| (false, team.unknown))?,
        };
        Some(match (left, unknown) {
            (true, _) => Presence::Left,
            (false, true) => Presence::Unknown,
            (false, false) => Presence::Here,
        })
    }

    /// Whether the [`Directory`](super::super::Directory) answered about all people and teams in the answer that has
    /// these, and about all that its content depends on. If not, it failed or took too long: names are missing, and
    /// people who left may be among those about whom nothing is known. Ask again later. Without a directory nothing is
    /// known, and nothing is missing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let actor = tower_api_keys::Actor::system("report")?;
    /// use tower_api_keys::manage::{InventoryQuery, KeyFlag};
    ///
    /// let page = manager.inventory(InventoryQuery::all().flagged([KeyFlag::CreatorInactive]), &actor).await?;
    /// if !page.names.is_complete() {
    ///     println!("There may be more than is listed here: nobody could say who has left.");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The same names, complete only if this says so, too.
    pub(in crate::manage) fn complete_if(self, is_complete: bool) -> Self {
        Self { complete: is_complete, ..self }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.teams.is_empty()
    }

    /// What is known about these, and no others.
    pub(in crate::manage) fn only<'i>(
        &self,
        users: impl IntoIterator<Item = &'i UserId>,
        teams: impl IntoIterator<Item = &'i TeamId>,
    ) -> Self {
        Self {
            users: users.into_iter().filter_map(|id| Some((id.clone(), self.users.get(id)?.clone()))).collect(),
            teams: teams.into_iter().filter_map(|id| Some((id.clone(), self.teams.get(id)?.clone()))).collect(),
            complete: self.complete,
        }
    }

    pub(in crate::manage) fn extend(&mut self, more: Self) {
        self.users.extend(more.users);
        self.teams.extend(more.teams);
        self.complete &= more.complete;
    }
}

/// A name that can be shown, without the spaces around it.
pub(super) fn legible(name: &str) -> Option<Box<str>> {
    let name = name.trim();
    // The name of a key is shown next to it, in the same lists, to the same people.
    (!name.is_empty() && KeyName::new(name).is_ok()).then(|| name.into())
}
