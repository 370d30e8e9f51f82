//! Sentences with the names of people and teams.

use super::known::Names;
use crate::sentence::{Argument, Sentence};

impl Sentence {
    /// The same sentence, with these names of people and teams in its text. Its arguments are still the ids. The text
    /// has the id of what has no name.
    ///
    /// The sentences of answers that carry names have them already; this is for one that does not.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// use tower_api_keys::{UserId, manage::Names};
    ///
    /// let alice = UserId::new("u-1")?;
    /// let sentence = manager.exposure(&alice, &admin).await?.sentence();
    /// assert_eq!(sentence, "u-1 has not seen any active key in full.");
    ///
    /// let names = Names::none().with_user(alice, "Alice Jones");
    /// assert_eq!(sentence.naming(&names), "Alice Jones has not seen any active key in full.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn naming(&self, names: &Names) -> Self {
        self.saying(&|argument| match argument {
            Argument::Team(team) => names.of_team(team),
            Argument::User(user) => names.of_user(user),
            _ => None,
        })
    }
}
