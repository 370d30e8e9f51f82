use super::{known::Names, mentions::Mentions};
use crate::manage::{
    access::{Access, ManagerParts},
    actor::Actor,
    info::KeyInfo,
    manager::KeyManager,
    policy::KeyAction,
};

/// What was learned while an answer is put together: each id is asked about once.
#[derive(Debug, Default)]
pub(in crate::manage) struct Naming {
    asked: Mentions,
    names: Names,
}

impl Naming {
    pub(in crate::manage) const fn names(&self) -> &Names {
        &self.names
    }
}

impl ManagerParts {
    /// What the directory says of those that an answer speaks of; nothing if there is none to ask, or if it does not say.
    pub(in crate::manage) async fn names(&self, mention: impl FnOnce(&mut Mentions)) -> Names {
        if self.rules.directory.is_none() || self.is_nobodys() {
            return Names::none();
        }
        let mut mentions = Mentions::default();
        mention(&mut mentions);
        self.rules.directory.names(&self.organization, mentions, self.guarded.limit()).await
    }

    /// The same for an answer that is put together step by step.
    pub(in crate::manage) async fn learn(&self, naming: &mut Naming, mention: impl FnOnce(&mut Mentions)) {
        if self.rules.directory.is_none() {
            return;
        }
        let mut mentions = Mentions::default();
        mention(&mut mentions);
        let new = mentions.new_to(&mut naming.asked);
        naming.names.extend(self.rules.directory.names(&self.organization, new, self.guarded.limit()).await);
    }
}

impl KeyManager {
    /// What the people and teams are called that these keys speak of: their owners, and who made and revoked them.
    ///
    /// For a key that comes by itself, from [`find`](Self::find), [`trace`](crate::ApiKeys::trace) or a change. What other
    /// reads answer has such names with it. One question to the [`Directory`](crate::manage::Directory) for all the keys;
    /// without one, and if it does not answer, nothing is known. Keys of another organization than this manager's are
    /// passed over.
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
