//! A directory that records the questions, and answers as configured.

use std::{
    collections::BTreeSet,
    future::pending,
    io, mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    OrganizationId, TeamId, TeamRef, UserId,
    manage::{AnyDirectory, Directory, NamedTeam, Names, Rules, fixture::Bench},
    record::NamePart,
};

/// How the directory answers about names and teams.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum How {
    #[default]
    Answers,
    Fails,
    /// Fails once, and then answers.
    FailsOnce,
    Hangs,
    /// Hangs for this organization only.
    HangsFor(&'static str),
    /// Hangs when it is asked for all teams.
    HangsAtLists,
    /// Also returns names of people and teams that it was not asked about.
    Lies,
    Panics,
    PanicsAtOnce,
    Takes(Duration),
}

/// A question about names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    pub(super) of: OrganizationId,
    pub(super) users: Vec<UserId>,
    pub(super) teams: Vec<TeamId>,
}

/// Knows all ids, and records the questions.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<State>);

#[derive(Default)]
struct State {
    how: Mutex<How>,
    questions: Mutex<Vec<Question>>,
    lists: AtomicUsize,
    single: AtomicUsize,
    left: Mutex<BTreeSet<String>>,
    /// People and teams that it reports as unknown.
    unknown: Mutex<BTreeSet<String>>,
    /// The teams of every organization.
    teams: Mutex<Vec<NamedTeam>>,
}

/// The name of an id: a text that does not contain the id.
pub(super) fn called(id: &str) -> String {
    format!("~{}", id.chars().rev().collect::<String>().to_uppercase())
}

impl Fake {
    pub(super) fn that(how: How) -> Self {
        let fake = Self::default();
        fake.be(how);
        fake
    }

    pub(super) fn be(&self, how: How) {
        *self.0.how.lock().unwrap() = how;
    }

    pub(super) fn without(self, leaver: &str) -> Self {
        self.0.left.lock().unwrap().insert(leaver.to_owned());
        self
    }

    pub(super) fn not_knowing(self, id: &str) -> Self {
        self.0.unknown.lock().unwrap().insert(id.to_owned());
        self
    }

    pub(super) fn with_teams(self, teams: impl IntoIterator<Item = NamedTeam>) -> Self {
        self.0.teams.lock().unwrap().extend(teams);
        self
    }

    pub(super) fn rules(&self) -> Rules {
        Rules { directory: AnyDirectory::new(self.clone()), ..Rules::default() }
    }

    pub(super) fn bench(&self) -> Bench {
        Bench::with_rules(self.rules())
    }

    /// The questions about names since the last call of this.
    pub(super) fn questions(&self) -> Vec<Question> {
        mem::take(&mut *self.0.questions.lock().unwrap())
    }

    /// How often it was asked for all teams, and for one.
    pub(super) fn asked_for_teams(&self) -> (usize, usize) {
        (self.0.lists.swap(0, Ordering::SeqCst), self.0.single.swap(0, Ordering::SeqCst))
    }

    async fn behave(&self, how: How, organization: &OrganizationId) -> io::Result<()> {
        match how {
            How::FailsOnce => self.be(How::Answers),
            How::HangsFor(who) if who == organization.as_str() => pending().await,
            _ => {}
        }
        match how {
            How::Answers | How::Lies | How::HangsFor(_) | How::HangsAtLists => Ok(()),
            How::Fails | How::FailsOnce => Err(io::Error::other("directory down")),
            How::Hangs => pending().await,
            How::Panics | How::PanicsAtOnce => panic!("the directory's own"),
            How::Takes(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
        }
    }

    fn how(&self) -> How {
        let how = *self.0.how.lock().unwrap();
        assert!(how != How::PanicsAtOnce, "the directory's own");
        how
    }
}

impl Directory for Fake {
    type Error = io::Error;

    async fn has_team(&self, team: &TeamRef) -> io::Result<bool> {
        self.0.single.fetch_add(1, Ordering::SeqCst);
        let teams = self.0.teams.lock().unwrap();
        Ok(teams.is_empty() || teams.iter().any(|known| known.id() == &team.team))
    }

    #[allow(clippy::manual_async_fn, reason = "panics before there is a future")]
    fn names(
        &self,
        organization: &OrganizationId,
        users: &[UserId],
        teams: &[TeamId],
    ) -> impl Future<Output = io::Result<Names>> + Send {
        let question = Question { of: organization.clone(), users: users.to_vec(), teams: teams.to_vec() };
        self.0.questions.lock().unwrap().push(question);
        let how = self.how();
        async move {
            self.behave(how, organization).await?;
            let mut names = Names::none();
            let (mut users, mut teams) = (users.to_vec(), teams.to_vec());
            if how == How::Lies {
                users.extend(["mallory", "zoe"].map(|id| UserId::new(id).unwrap()));
                teams.push(TeamId::new("rivals").unwrap());
            }
            let is_unknown = |id: &str| self.0.unknown.lock().unwrap().contains(id);
            for user in users {
                if is_unknown(user.as_str()) {
                    names = names.with_unknown(user);
                    continue;
                }
                names = names.with_user(user.clone(), called(user.as_str()));
                if self.0.left.lock().unwrap().contains(user.as_str()) {
                    names = names.with_left(user);
                }
            }
            Ok(teams.into_iter().fold(names, |names, team| {
                let name = called(team.as_str());
                if is_unknown(team.as_str()) { names.with_unknown(team) } else { names.with_team(team, name) }
            }))
        }
    }

    #[allow(clippy::manual_async_fn, reason = "panics before there is a future")]
    fn teams(
        &self,
        organization: &OrganizationId,
        named_like: Option<&NamePart>,
        limit: usize,
    ) -> impl Future<Output = io::Result<Option<Vec<NamedTeam>>>> + Send {
        self.0.lists.fetch_add(1, Ordering::SeqCst);
        let how = self.how();
        async move {
            if how == How::HangsAtLists {
                pending::<()>().await;
            }
            self.behave(how, organization).await?;
            let teams = self.0.teams.lock().unwrap().clone();
            let limit = if how == How::Lies { usize::MAX } else { limit };
            let asked = teams.into_iter().filter(|team| named_like.is_none_or(|part| part.is_in(team.label())));
            Ok(Some(asked.take(limit).collect()))
        }
    }
}
