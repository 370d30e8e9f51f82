use std::{error::Error, future::Future, sync::Arc};

use super::names::{NamedTeam, Names};
use crate::{
    owner::{OrganizationId, TeamId, TeamRef, UserId},
    record::NamePart,
};

/// What the service knows about its organizations, and the crate does not: which teams they have, the names of people
/// and teams, and who has left.
///
/// Given to [`ApiKeysBuilder::directory`](crate::ApiKeysBuilder::directory). Only the first method is required; each of
/// the others makes answers easier to read:
///
/// | method | used for | if it fails |
/// |---|---|---|
/// | [`has_team`](Self::has_team) | a guard: people and keys make keys only for teams of the manager's organization | nothing is done: [`DirectoryUnavailable`](super::ManageErrorKind::DirectoryUnavailable) |
/// | [`names`](Self::names) | [`reconcile`](super::KeyManager::reconcile) finds owners of live keys who are gone, and closes them on request | nothing is done, as above |
/// | the same | answers carry [`Names`], sentences use them, flags know who has left or is unknown | ids are shown, no person counts as left, and the answer says that its names are not [complete](Names::is_complete) |
/// | [`teams`](Self::teams) | select lists of admins | lists have the teams that [`Rights`](super::Rights) name |
///
/// ```
/// use std::{collections::BTreeMap, io};
/// use tower_api_keys::{
///     ApiKeys, OrganizationId, TeamId, TeamRef, UserId,
///     manage::{Directory, NamedTeam, Names},
///     record::NamePart,
///     store::MemoryStore,
/// };
///
/// struct Person {
///     name: String,
///     has_left: bool,
/// }
///
/// /// In your service: a pool of connections.
/// struct Tables {
///     people: BTreeMap<(OrganizationId, UserId), Person>,
///     teams: BTreeMap<TeamRef, String>,
/// }
///
/// impl Directory for Tables {
///     type Error = io::Error;
///
///     async fn has_team(&self, team: &TeamRef) -> io::Result<bool> {
///         // select exists (select 1 from teams where organization = $1 and id = $2)
///         Ok(self.teams.contains_key(team))
///     }
///
///     async fn names(&self, of: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> io::Result<Names> {
///         let mut names = Names::none();
///         // select id, name, left_at is not null from people where organization = $1 and id = any($2)
///         for user in users {
///             let Some(person) = self.people.get(&(of.clone(), user.clone())) else {
///                 names = names.with_unknown(user.clone());
///                 continue;
///             };
///             names = names.with_user(user.clone(), &person.name);
///             if person.has_left {
///                 names = names.with_left(user.clone());
///             }
///         }
///         // select id, name from teams where organization = $1 and id = any($2)
///         for team in teams {
///             names = match self.teams.get(&TeamRef::new(of.clone(), team.clone())) {
///                 Some(name) => names.with_team(team.clone(), name),
///                 None => names.with_unknown(team.clone()),
///             };
///         }
///         Ok(names)
///     }
///
///     async fn teams(
///         &self,
///         of: &OrganizationId,
///         named_like: Option<&NamePart>,
///         limit: usize,
///     ) -> io::Result<Option<Vec<NamedTeam>>> {
///         // select id, name from teams where organization = $1 and name ilike $2 order by name limit $3
///         let ours = self.teams.iter().filter(|(team, _)| team.organization == *of);
///         let asked = ours.filter(|(_, name)| named_like.is_none_or(|part| part.is_in(name)));
///         Ok(Some(asked.take(limit).map(|(team, name)| NamedTeam::new(team.team.clone()).with_name(name)).collect()))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use tower_api_keys::{Actor, IssueKey, manage::{InventoryQuery, KeyFlag, ListKeys, Rights}};
///
/// let (organization, blue) = (OrganizationId::single(), TeamId::new("t-1")?);
/// let bob = Person { name: "Bob Brown".into(), has_left: true };
/// let tables = Tables {
///     people: BTreeMap::from([((organization.clone(), UserId::new("u-2")?), bob)]),
///     teams: BTreeMap::from([(TeamRef::new(organization, blue.clone()), "Blue".into())]),
/// };
/// let keys = ApiKeys::builder(MemoryStore::new()).directory(tables).build().await?;
/// let bob = Actor::user(UserId::new("u-2")?, Rights::none().org_admin().team_keys_included());
/// let _ = keys.manager().issue(IssueKey::team(blue).named("CI pipeline"), &bob).await?;
///
/// let page = keys.manager().inventory(InventoryQuery::all(), &Actor::system("report")?).await?;
/// let entry = &page.entries[0];
/// assert_eq!(page.names.of_owner(&entry.key.owner), Some("Blue"));
/// assert_eq!(page.names.of_actor(&entry.key.created_by), Some("Bob Brown"));
/// assert_eq!(entry.flags, [KeyFlag::CreatorInactive]); // he has left, but was not closed
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Teams
///
/// The [system](crate::Actor::system) may name any team, so that a first start does not depend on the directory.
/// Without a directory, an actor's [`Rights`](super::Rights) vouch for the teams they name; the
/// [single](crate::OrganizationId::single) organization has every team. These ask `has_team`, once the
/// [`Policy`](super::Policy) has allowed the action: [`issue`](super::KeyManager::issue),
/// [`begin_rotation`](super::KeyManager::begin_rotation) into a team, [`preview`](super::KeyManager::preview),
/// [`can`](super::KeyManager::can) and [`teams_to_issue_for`](super::KeyManager::teams_to_issue_for).
///
/// # Names
///
/// The answer of a read carries the [`Names`] of all people and teams in it, and no others. An answer with at most
/// 1,000 people and teams is one question. An inventory of [people who left](super::InventoryQuery::flagged) is one
/// question for each read of the store, because who has left decides what is read next; a summary asks for each 1,000
/// keys, and an export for each piece. A single key and the answer of a change carry no names:
/// [`names_of`](super::KeyManager::names_of) asks for them.
///
/// All questions of one answer together, to `names` and `teams`, may take half a second; those of a summary half a
/// second for each 5,000 keys, and so may those of each piece of an export. Names that are not given by then are
/// unknown, and the names of the answer are not [complete](Names::is_complete). If one question timed out with half a
/// second to itself, that organization is not asked the same for the next five seconds: pages do not wait for a
/// directory that hangs. Other organizations are still asked about. An error is logged once a minute at most, and is
/// never part of an answer.
///
/// # Who is still there
///
/// [`reconcile`](super::KeyManager::reconcile) asks `names` about all owners of live keys, and acts on the answer: each
/// question may take as long as an answer of the store, and an error ends the call. Say about each owner that they are
/// there ([`with_user`](Names::with_user), [`with_team`](Names::with_team), [`with_known`](Names::with_known)), that
/// they have [left](Names::with_left), or that this id is [unknown](Names::with_unknown). An owner in none of these is
/// in doubt, and is never closed.
///
/// # Security
/// Every actor that may read an answer with an id sees the name, too. What the directory says about other ids than the
/// requested ones is dropped.
pub trait Directory: Send + Sync + 'static {
    /// Why it could not answer. It goes to the log and into
    /// [`ManageErrorKind::DirectoryUnavailable`](super::ManageErrorKind::DirectoryUnavailable), never to a client.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Whether the organization has this team now.
    ///
    /// # Errors
    /// If you cannot answer: then nothing is done. An answer may take as long as one of the store
    /// ([`store_timeout`](crate::ApiKeysBuilder::store_timeout)).
    fn has_team(&self, team: &TeamRef) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// The names of these people and teams of the organization, and which of the people have left. Each id comes once,
    /// in the order of the ids, at most 1,000 at a time, people and teams together; more are asked about in further
    /// calls. Leave out what you do not know, and mark as [unknown](Names::with_unknown) what you know does not exist.
    /// Default: nothing is known.
    ///
    /// People who left are those who no longer belong to the organization, whatever your tables call that. Keep their
    /// names as long as you may: trails and keys that they made still show them.
    ///
    /// # Errors
    /// If you cannot answer: then ids are shown, no person counts as left, and the answer's names are not
    /// [complete](Names::is_complete). Do not return a partial answer: it would be taken for a complete one.
    fn names(
        &self,
        organization: &OrganizationId,
        users: &[UserId],
        teams: &[TeamId],
    ) -> impl Future<Output = Result<Names, Self::Error>> + Send {
        let _ = (organization, users, teams);
        async { Ok(Names::none()) }
    }

    /// All teams of the organization, or those with this text in their names, sorted by name; at most `limit`, which is
    /// 1,000. `None` if the directory does not list teams. Default: `None`.
    ///
    /// An organization may have more teams than fit a select list: then people type a part of the name, and
    /// [`find_teams_to_issue_for`](super::KeyManager::find_teams_to_issue_for) asks with it.
    ///
    /// # Errors
    /// If you cannot answer; it counts as `None`.
    fn teams(
        &self,
        organization: &OrganizationId,
        named_like: Option<&NamePart>,
        limit: usize,
    ) -> impl Future<Output = Result<Option<Vec<NamedTeam>>, Self::Error>> + Send {
        let _ = (organization, named_like, limit);
        async { Ok(None) }
    }
}

impl<D: Directory> Directory for Arc<D> {
    type Error = D::Error;

    fn has_team(&self, team: &TeamRef) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        (**self).has_team(team)
    }

    fn names(
        &self,
        organization: &OrganizationId,
        users: &[UserId],
        teams: &[TeamId],
    ) -> impl Future<Output = Result<Names, Self::Error>> + Send {
        (**self).names(organization, users, teams)
    }

    fn teams(
        &self,
        organization: &OrganizationId,
        named_like: Option<&NamePart>,
        limit: usize,
    ) -> impl Future<Output = Result<Option<Vec<NamedTeam>>, Self::Error>> + Send {
        (**self).teams(organization, named_like, limit)
    }
}
