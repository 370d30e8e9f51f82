use std::time::Duration;

use super::{known::Names, mentions::Mentions};
use crate::{
    manage::{
        access::{Access, ManagerParts},
        actor::Actor,
        info::KeyInfo,
        manager::KeyManager,
        patience::Patience,
        policy::KeyAction,
    },
    owner::UserId,
};

/// What was learned while an answer is put together, and of whom the directory did not answer. Each id is asked about until
/// it is answered, and not again.
#[derive(Debug)]
pub(in crate::manage) struct Naming {
    answered: Mentions,
    /// Those that it did not answer about at some time: what was said of them until then was said without an answer.
    missed: Mentions,
    names: Names,
    patience: Patience,
}

impl Naming {
    /// Before anything is asked, where the store has so long for each of its own answers.
    pub(in crate::manage) fn new(store_timeout: Duration) -> Self {
        Self {
            answered: Mentions::default(),
            missed: Mentions::default(),
            names: Names::none(),
            patience: Patience::new(store_timeout),
        }
    }

    pub(in crate::manage) const fn names(&self) -> &Names {
        &self.names
    }

    /// What is known of these.
    pub(in crate::manage) fn of(&self, mentions: &Mentions) -> Names {
        self.names.only(&mentions.users, &mentions.teams).complete_if(mentions.is_disjoint(&self.missed))
    }

    /// The same for a whole answer: it may be what it is by people who are not in it.
    pub(in crate::manage) fn of_whole(&self, mentions: &Mentions) -> Names {
        self.of(mentions).complete_if(self.is_complete())
    }

    /// Whether the directory answered about everybody.
    pub(in crate::manage) fn is_complete(&self) -> bool {
        self.missed.is_empty()
    }

    /// Whether the person has left, if the directory answered about them.
    pub(in crate::manage) fn has_left(&self, user: &UserId) -> Option<bool> {
        self.answered.users.contains(user).then(|| self.names.has_left(user))
    }

    /// The answer went through so many more keys, and may take longer than another.
    pub(in crate::manage) fn looked_at(&mut self, keys: usize) {
        self.patience.looked_at(keys);
    }
}

impl ManagerParts {
    pub(in crate::manage) fn naming(&self) -> Naming {
        Naming::new(self.guarded.limit())
    }

    /// What the directory says of those that an answer speaks of; nothing if there is none to ask, or if it does not say.
    pub(in crate::manage) async fn names(&self, mention: impl FnOnce(&mut Mentions)) -> Names {
        let mut patience = Patience::new(self.guarded.limit());
        self.names_within(&mut patience, mention).await
    }

    /// The same for an answer that asks for more than names.
    pub(in crate::manage) async fn names_within(
        &self,
        patience: &mut Patience,
        mention: impl FnOnce(&mut Mentions),
    ) -> Names {
        if self.rules.directory.is_none() || self.is_nobodys() {
            return Names::none();
        }
        let mut mentions = Mentions::default();
        mention(&mut mentions);
        let (names, unanswered) = self.rules.directory.names(&self.organization, mentions, patience).await;
        names.complete_if(unanswered.is_empty())
    }

    /// The same for an answer that is put together step by step.
    pub(in crate::manage) async fn learn(&self, naming: &mut Naming, mention: impl FnOnce(&mut Mentions)) {
        if self.rules.directory.is_none() {
            return;
        }
        let mut mentions = Mentions::default();
        mention(&mut mentions);
        let new = mentions.without(&naming.answered);
        let directory = &self.rules.directory;
        let (names, unanswered) = directory.names(&self.organization, new.clone(), &mut naming.patience).await;
        naming.names.extend(names);
        let answered = new.without(&unanswered);
        naming.answered.extend(answered.users, answered.teams);
        naming.missed.extend(unanswered.users, unanswered.teams);
    }
}

impl KeyManager {
    /// What the people and teams are called that these keys speak of: their owners, and who made and revoked them.
    ///
    /// For a key that comes by itself, from [`find`](Self::find), [`trace`](crate::ApiKeys::trace) or a change. What other
    /// reads answer has such names with it. One question to the [`Directory`](crate::manage::Directory) for all the keys;
    /// without one, nothing is known. If it does not answer, they are not [complete](Names::is_complete). Keys of another
    /// organization than this manager's are passed over.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let issued = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?;
    /// let key = manager.find(&issued.info().id, &admin).await?;
    /// let names = manager.names_of([&key]).await;
    /// println!("made by {}", names.of_actor(&key.created_by).unwrap_or("somebody"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn names_of<'k>(&self, keys: impl IntoIterator<Item = &'k KeyInfo>) -> Names {
        let parts = self.parts();
        parts
            .names(|mentions| {
                for key in keys.into_iter().filter(|key| key.organization == parts.organization) {
                    mentions.key(key);
                }
            })
            .await
    }

    /// What the actor and the teams are called that its rights name: for the head of a page. Of a key, its owner. Nothing is
    /// known of the system, of an actor of another organization than this manager's, and of a key that manages no keys.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, UserId, manage::Rights};
    ///
    /// let alice = Actor::user(UserId::new("u-1")?, Rights::none());
    /// let names = manager.names_for(&alice).await;
    /// for team in alice.teams() {
    ///     println!("{}", names.of_team(team.id).unwrap_or(team.id.as_str()));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn names_for(&self, actor: &Actor) -> Names {
        // As for what it asks for: one of another organization, or of none where there are several, is told nothing.
        if Access::hints(self.parts(), actor, &KeyAction::ALL).is_err() {
            return Names::none();
        }
        self.parts()
            .names(|mentions| {
                actor.standing_on().iter().for_each(|owner| mentions.owner(owner));
                actor.known_teams().for_each(|team| mentions.team(team));
            })
            .await
    }
}
