use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    owner::{Owner, TeamId, UserId},
    record::{ActorId, KeyName},
    words::words,
};

/// What people and teams are called, and who has left: what a [`Directory`](super::super::Directory) says, and what
/// answers carry. What is not in it is not known: then the id is shown.
///
/// A name is one line that people can read: at most 100 characters, none of them invisible, and no credential, as for the
/// [name of a key](KeyName). Spaces around it are taken away. Another one, or an empty one, is not known either, so that one
/// bad row of a directory spoils no page.
///
/// Of each person and each team, four things can be known: that they are [there](Self::with_known), which a name says, too; that
/// the person has [left](Self::with_left); that there is [nobody](Self::with_unknown) of this id; or nothing, if they are not in
/// it.
///
/// It serializes as
/// `{"users": {"alice": {"name": "Alice Jones", "left": false, "unknown": false}}, "teams": {"blue": {"name": "Blue", "unknown":
/// false}}, "complete": true}`; a name that is not known is `null`.
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
/// People choose what they are called. A page escapes names as any other text, and decides nothing by them: two people may
/// have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Names {
    /// People by their ids.
    users: BTreeMap<UserId, KnownUser>,
    /// Teams by their ids.
    teams: BTreeMap<TeamId, KnownTeam>,
    /// Whether the directory answered about everybody in the answer that has these.
    complete: bool,
}

words! {
    /// What a [`Directory`](super::super::Directory) says of a user or a team.
    ///
    /// ```
    /// use tower_api_keys::manage::Presence;
    ///
    /// assert!(Presence::Left.is_missing() && !Presence::Here.is_missing());
    /// ```
    #[non_exhaustive]
    pub enum Presence {
        /// It is there.
        Here = "here",
        /// The person was there, and has left.
        Left = "left",
        /// There is no such person or team.
        Unknown = "unknown",
    }
}

impl Presence {
    /// Whether it is not there any more, or never was.
    #[must_use]
    pub const fn is_missing(self) -> bool {
        matches!(self, Self::Left | Self::Unknown)
    }
}

/// What is known of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
struct KnownUser {
    /// What they are called.
    name: Option<Box<str>>,
    /// Whether they have left the organization.
    left: bool,
    /// Whether the directory knows nobody of this id.
    unknown: bool,
}

/// What is known of a team.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
struct KnownTeam {
    /// What it is called.
    name: Option<Box<str>>,
    /// Whether the directory knows no team of this id.
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

    /// And what this person is called. That they are there is known by that, also if the name cannot be shown.
    #[must_use]
    pub fn with_user(mut self, id: UserId, name: impl AsRef<str>) -> Self {
        let user = self.users.entry(id).or_default();
        user.name = legible(name.as_ref()).or(user.name.take());
        self
    }

    /// And what this team is called. That it is there is known by that, also if the name cannot be shown.
    #[must_use]
    pub fn with_team(mut self, id: TeamId, name: impl AsRef<str>) -> Self {
        let team = self.teams.entry(id).or_default();
        team.name = legible(name.as_ref()).or(team.name.take());
        self
    }

    /// And that this user or team is there, whatever it is called.
    #[must_use]
    pub fn with_known(mut self, owner: impl Into<Owner>) -> Self {
        match owner.into() {
            Owner::User(id) => _ = self.users.entry(id).or_default(),
            Owner::Team(id) => _ = self.teams.entry(id).or_default(),
        }
        self
    }

    /// And that there is no user or team of this id, or none any more. Say so only if you looked and it was not there: one that
    /// could not be looked up is left out.
    ///
    /// What was said before of a name stays: a team that is gone may still be called by it. Of a person of whom you still know
    /// that they were there, say that they have [left](Self::with_left).
    #[must_use]
    pub fn with_unknown(mut self, owner: impl Into<Owner>) -> Self {
        match owner.into() {
            Owner::User(id) => self.users.entry(id).or_default().unknown = true,
            Owner::Team(id) => self.teams.entry(id).or_default().unknown = true,
        }
        self
    }

    /// And that this person has left the organization. Keep saying what they were called: trails and keys that they made
    /// still show it.
    #[must_use]
    pub fn with_left(mut self, id: UserId) -> Self {
        self.users.entry(id).or_default().left = true;
        self
    }

    /// What the person is called.
    #[must_use]
    pub fn of_user(&self, id: &UserId) -> Option<&str> {
        self.users.get(id)?.name.as_deref()
    }

    /// What the team is called.
    #[must_use]
    pub fn of_team(&self, id: &TeamId) -> Option<&str> {
        self.teams.get(id)?.name.as_deref()
    }

    /// What the user or the team is called.
    #[must_use]
    pub fn of_owner(&self, owner: &Owner) -> Option<&str> {
        match owner {
            Owner::User(user) => self.of_user(user),
            Owner::Team(team) => self.of_team(team),
        }
    }

    /// What the person is called who acted. A key and a part of the service have no such name.
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

    /// Whether it is known that there is no such user or team. Not of a person who is known to have left.
    #[must_use]
    pub fn is_unknown(&self, owner: &Owner) -> bool {
        self.presence(owner) == Some(Presence::Unknown)
    }

    /// What is known of this one; none if nothing is.
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

    /// Whether the [`Directory`](super::super::Directory) answered about everybody whom the answer that has these speaks of,
    /// and about whom it had to know for it. If not, it failed or took too long: names are missing, and whoever has left may
    /// be among those of whom nothing is known. Ask again later. Without a directory nothing is known, and nothing is missing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let actor = tower_api_keys::Actor::system("report")?;
    /// use tower_api_keys::manage::{InventoryQuery, KeyFlag};
    ///
    /// let page = manager.inventory(InventoryQuery::all().flagged([KeyFlag::CreatorInactive]), &actor).await?;
    /// if !page.names.is_complete() {
    ///     println!("There may be more: nobody could say who has left.");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The same, if they are complete or not.
    pub(in crate::manage) fn complete_if(self, is_complete: bool) -> Self {
        Self { complete: is_complete, ..self }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.teams.is_empty()
    }

    /// What is known of these, and of nobody else.
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
    // The name of a key is shown beside it, in the same lists, to the same people.
    (!name.is_empty() && KeyName::new(name).is_ok()).then(|| name.into())
}
