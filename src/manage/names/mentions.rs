use std::collections::BTreeSet;

use crate::{
    audit::Event,
    manage::info::KeyInfo,
    owner::{Owner, TeamId, UserId},
    record::{ActorId, KeyRecord},
    sentence::{Argument, Sentence},
};

/// The people and teams in an answer, each once and in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(in crate::manage) struct Mentions {
    pub(in crate::manage) users: BTreeSet<UserId>,
    pub(in crate::manage) teams: BTreeSet<TeamId>,
}

impl Mentions {
    pub(in crate::manage) fn user(&mut self, user: &UserId) {
        if !self.users.contains(user) {
            self.users.insert(user.clone());
        }
    }

    pub(in crate::manage) fn team(&mut self, team: &TeamId) {
        if !self.teams.contains(team) {
            self.teams.insert(team.clone());
        }
    }

    pub(in crate::manage) fn owner(&mut self, owner: &Owner) {
        match owner {
            Owner::User(user) => self.user(user),
            Owner::Team(team) => self.team(team),
        }
    }

    pub(in crate::manage) fn actor(&mut self, actor: &ActorId) {
        if let ActorId::User(user) = actor {
            self.user(user);
        }
    }

    /// Mentions everyone in a [`KeyInfo`].
    pub(in crate::manage) fn key(&mut self, key: &KeyInfo) {
        self.owner(&key.owner);
        self.actor(&key.created_by);
        [&key.revoked_by, &key.paused_by].into_iter().flatten().for_each(|by| self.actor(by));
    }

    /// Mentions everyone in a record.
    pub(in crate::manage) fn record(&mut self, record: &KeyRecord) {
        self.owner(&record.owner);
        self.actor(&record.created_by);
        record.revoked.iter().flat_map(|revoked| &revoked.by).for_each(|by| self.actor(by));
        record.paused.iter().flat_map(|paused| &paused.by).for_each(|by| self.actor(by));
    }

    pub(in crate::manage) fn event(&mut self, event: &Event) {
        self.actor(&event.actor);
        event.subject.owner().into_iter().for_each(|owner| self.owner(owner));
    }

    pub(in crate::manage) fn sentence(&mut self, sentence: &Sentence) {
        for (_, argument) in sentence.arguments() {
            match argument {
                Argument::Sentence(part) => self.sentence(part),
                Argument::Team(team) => self.team(team),
                Argument::User(user) => self.user(user),
                _ => {}
            }
        }
    }

    pub(in crate::manage) fn extend(
        &mut self,
        users: impl IntoIterator<Item = UserId>,
        teams: impl IntoIterator<Item = TeamId>,
    ) {
        self.users.extend(users);
        self.teams.extend(teams);
    }

    /// Those that are not among the others.
    pub(super) fn without(mut self, others: &Self) -> Self {
        self.users.retain(|user| !others.users.contains(user));
        self.teams.retain(|team| !others.teams.contains(team));
        self
    }

    pub(super) fn is_disjoint(&self, others: &Self) -> bool {
        self.users.is_disjoint(&others.users) && self.teams.is_disjoint(&others.teams)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.teams.is_empty()
    }

    /// In parts of at most this many.
    pub(in crate::manage) fn parts(self, most: usize) -> Vec<(Vec<UserId>, Vec<TeamId>)> {
        let (mut users, mut teams) = (self.users.into_iter().peekable(), self.teams.into_iter().peekable());
        let mut parts = Vec::new();
        while users.peek().is_some() || teams.peek().is_some() {
            let some_users: Vec<_> = users.by_ref().take(most).collect();
            let room = most - some_users.len();
            parts.push((some_users, teams.by_ref().take(room).collect()));
        }
        parts
    }
}
