use std::fmt;

use crate::{key::PlaintextKey, manage::request::IssueKey};

/// A key to make with a text that is known beforehand, for [`KeyManager::issue_known`](crate::KeyManager::issue_known).
/// [`IssueKey::with_text`] makes one.
///
/// It holds the text, so it cannot be copied or serialized by accident:
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<tower_api_keys::manage::IssueKnownKey>();
/// ```
/// ```compile_fail
/// fn needs_serialize<T: serde::Serialize>() {}
/// needs_serialize::<tower_api_keys::manage::IssueKnownKey>();
/// ```
/// ```compile_fail
/// fn needs_partial_eq<T: PartialEq>() {}
/// needs_partial_eq::<tower_api_keys::manage::IssueKnownKey>();
/// ```
/// ```
/// fn needs_debug<T: std::fmt::Debug + Send + Sync>() {}
/// needs_debug::<tower_api_keys::manage::IssueKnownKey>();
/// ```
#[must_use = "nothing is made before `KeyManager::issue_known`"]
pub struct IssueKnownKey {
    pub(super) request: IssueKey,
    pub(super) text: PlaintextKey,
}

impl IssueKey {
    /// Requests the same key with this text instead of a random one: for a service that finds the text in its
    /// configuration at every start. Generate the text once, offline, with
    /// [`KeyFormat::generate`](crate::key::KeyFormat::generate).
    /// [`KeyManager::issue_known`](crate::KeyManager::issue_known) makes the key at the first start and finds it at
    /// later ones.
    ///
    /// The text itself makes a repeat harmless: an [idempotency key](Self::idempotency_key) is ignored.
    ///
    /// ```
    /// use tower_api_keys::{IssueKey, KeyKind, TeamId, key::KeyFormat};
    ///
    /// let format = KeyFormat::unbranded();
    /// # let offline = format.generate(KeyKind::Team)?;
    /// # let configured = offline.expose_secret();
    /// let text = format.parse(configured.as_bytes())?.to_plaintext();
    /// let request = IssueKey::team(TeamId::new("engineering")?).named("compose").with_text(text);
    /// assert!(format!("{request:?}").contains("[REDACTED]"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Security
    /// The text is in a configuration: everyone who may read that has it, at any time. If a person or a program can
    /// receive a random text instead, [`KeyManager::issue`](crate::KeyManager::issue) is better. Give each installation
    /// its own text: a file that many people copy is a key that many people have.
    pub const fn with_text(self, text: PlaintextKey) -> IssueKnownKey {
        IssueKnownKey { request: self, text }
    }
}

/// The output shows the text without its secret.
impl fmt::Debug for IssueKnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueKnownKey").field("request", &self.request).field("text", &self.text).finish()
    }
}
