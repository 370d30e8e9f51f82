use std::fmt;

use super::{
    info::KeyInfo,
    soon::{SOON, ends_soon, ends_within},
};
use crate::{key::PlaintextKey, sentence::Sentence};

/// A key that was just made, with its text, which is not stored anywhere and cannot be shown again.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, IssueKey, UserId};
///
/// let issued = manager.issue(IssueKey::user(UserId::new("alice")?), &Actor::system("first start")?).await?;
/// println!("{}", issued.plaintext().expose_secret()); // the only time
/// assert!(format!("{issued:?}").contains("[REDACTED]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It cannot be copied or serialized by accident:
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<tower_api_keys::IssuedKey>();
/// ```
/// ```compile_fail
/// fn needs_serialize<T: serde::Serialize>() {}
/// needs_serialize::<tower_api_keys::IssuedKey>();
/// ```
/// ```compile_fail
/// fn needs_display<T: std::fmt::Display>() {}
/// needs_display::<tower_api_keys::IssuedKey>();
/// ```
/// ```
/// fn needs_debug<T: std::fmt::Debug + Send + Sync>() {}
/// needs_debug::<tower_api_keys::IssuedKey>();
/// ```
#[must_use = "the text of the key is here and nowhere else"]
pub struct IssuedKey {
    plaintext: PlaintextKey,
    info: KeyInfo,
}

impl IssuedKey {
    pub(super) const fn new(plaintext: PlaintextKey, info: KeyInfo) -> Self {
        Self { plaintext, info }
    }

    /// The text of the key.
    #[must_use]
    pub const fn plaintext(&self) -> &PlaintextKey {
        &self.plaintext
    }

    /// Takes the text of the key out.
    #[must_use]
    pub fn into_plaintext(self) -> PlaintextKey {
        self.plaintext
    }

    /// The rest of what is known about the key.
    #[must_use]
    pub const fn info(&self) -> &KeyInfo {
        &self.info
    }

    /// A sentence that it ends within a week of being made; `None` for a key that ends later, or does not end. A key
    /// from a rotation ends when the old one would have, unless the request gave it [another
    /// end](super::RotateKey::expires_at).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let request = tower_api_keys::IssueKey::team("blue".parse()?);
    /// # let in_an_hour = tower_api_keys::Clock::now(&tower_api_keys::SystemClock::default())
    /// #     .saturating_add(std::time::Duration::from_secs(3_600));
    /// # let old = manager.issue(request.expires_at(in_an_hour), &admin).await?.info().id;
    /// use tower_api_keys::manage::RotateKey;
    ///
    /// let new = manager.begin_rotation(RotateKey::of(old), &admin).await?;
    /// assert!(new.ends_soon().is_some_and(|sentence| sentence.id() == "note.ends_soon"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ends_soon(&self) -> Option<Sentence> {
        ends_within(self.info.expires_at, SOON, self.info.created_at).map(ends_soon)
    }
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey").field("plaintext", &self.plaintext).field("info", &self.info).finish()
    }
}
