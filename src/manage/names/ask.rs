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

/// The names that were learned while an answer is put together, and those about which the directory did not answer.
/// Each id is asked about until it is answered, and not again.
#[derive(Debug)]
pub(in crate::manage) struct Naming {
    answered: Mentions,
    /// Those about which it failed to answer at some time: earlier parts of the answer were made without them.
    missed: Mentions,
    names: Names,
    patience: Patience,
}

impl Naming {
    /// Before any question, with this time limit for the store's own answers.
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

    /// What is known about these.
    pub(in crate::manage) fn of(&self, mentions: &Mentions) -> Names {
        self.names.only(&mentions.users, &mentions.teams).complete_if(mentions.is_disjoint(&self.missed))
    }

    /// The same for a whole answer: its content may depend on people who are not in it.
    pub(in crate::manage) fn of_whole(&self, mentions: &Mentions) -> Names {
        self.of(mentions).complete_if(self.is_complete())
    }

    /// Whether the directory answered about all people and teams.
    pub(in crate::manage) fn is_complete(&self) -> bool {
        self.missed.is_empty()
    }

    /// Whether the person has left, if the directory answered about them.
    pub(in crate::manage) fn has_left(&self, user: &UserId) -> Option<bool> {
        self.answered.users.contains(user).then(|| self.names.has_left(user))
    }

    /// The answer has looked at this many more keys, and so may take longer.
    pub(in crate::manage) fn looked_at(&mut self, keys: usize) {
        self.patience.looked_at(keys);
    }
}

impl ManagerParts {
    pub(in crate::manage) fn naming(&self) -> Naming {
        Naming::new(self.guarded.limit())
    }

    /// What the directory says about the people and teams of an answer; nothing without a directory, or if it does not
    /// answer.
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
    /// The names of the people and teams of these keys: their owners, and who made and revoked them.
    ///
    /// For a single key from [`find`](Self::find), [`trace`](crate::ApiKeys::trace) or a change; the answers of other
    /// reads already carry names. One question to the [`Directory`](crate::manage::Directory) for all the keys; without
    /// one, nothing is known. If it does not answer, the names are not [complete](Names::is_complete). Keys of another
    /// organization than this manager's are skipped.
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

    /// The names of the actor and of the teams that its rights name: for the head of a page. For a key, its owner.
    /// Nothing is known about the system, about an actor of another organization than this manager's, and about a key
    /// that manages no keys.
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
        // As for other requests: an actor of another organization, or of none where there are several, gets nothing.
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
