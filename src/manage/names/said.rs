//! Sentences that call people and teams by their names.

use super::known::Names;
use crate::sentence::{Argument, Sentence};

impl Sentence {
    /// The same sentence, whose text calls people and teams by these names. Its arguments are the ids all the same. What has
    /// no name is called by its id.
    ///
    /// Answers that carry names are so already; this is for a sentence that does not.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// use tower_api_keys::{UserId, manage::Names};
    ///
    /// let alice = UserId::new("u-1")?;
    /// let sentence = manager.exposure(&alice, &admin).await?.sentence();
    /// assert_eq!(sentence, "u-1 saw the text of no live key.");
    ///
    /// let names = Names::none().with_user(alice, "Alice Jones");
    /// assert_eq!(sentence.naming(&names), "Alice Jones saw the text of no live key.");
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
