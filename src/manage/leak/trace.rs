use std::fmt;

use serde::Serialize;

use super::{
    identify::{Found, LONGEST_TEXT, Reach, identify},
    matches::{KeyMatch, MatchConfidence},
    scan::Scan,
};
use crate::{
    manage::{
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        invalid::InvalidInput,
        manager::KeyManager,
        policy::KeyAction,
    },
    owner::OrganizationId,
    sentence::Sentence,
};

/// The key that a text is about, and its organization: the answer of [`ApiKeys::trace`](crate::ApiKeys::trace). It
/// serializes.
///
/// ```
/// use tower_api_keys::manage::{MatchConfidence, Traced};
///
/// fn has_to_be_revoked(found: &Traced) -> bool {
///     found.evidence == MatchConfidence::WholeKey && found.key.revoked_at.is_none()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Traced {
    /// The organization of the key, as [`ApiKeys::manager_for`](crate::ApiKeys::manager_for) takes it.
    pub organization: OrganizationId,
    /// The key, dead or alive, without its usage.
    pub key: KeyInfo,
    /// How sure it is that this is the key.
    pub evidence: MatchConfidence,
    /// The evidence as a sentence.
    pub evidence_sentence: Sentence,
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key.redacted, self.evidence_sentence)
    }
}

impl From<KeyMatch> for Traced {
    fn from(KeyMatch { key, evidence, evidence_sentence, .. }: KeyMatch) -> Self {
        Self { organization: key.organization.clone(), key, evidence, evidence_sentence }
    }
}

impl KeyManager {
    /// The key of any organization that most surely matches a text.
    pub(crate) async fn trace(&self, text: &str, actor: &Actor) -> Result<Option<Traced>, ManageError> {
        let home = self.across(actor, KeyAction::See).await?;
        let access = home.acting(actor, &[KeyAction::See]).await?;
        if text.len() > LONGEST_TEXT {
            return Err(ManageError::invalid(InvalidInput::Fragment));
        }
        let scan = Scan::of(text, &access.parts.format);
        let mut found = Found::default();
        identify(&Reach::Everywhere(self, actor), &access, &scan, &mut found).await?;
        let found = found.finish(access.parts.clock.now());
        match found.keys.into_iter().next() {
            Some(surest) => Ok(Some(surest.into())),
            None if found.unreadable > 0 => Err(ManageError::new(ManageErrorKind::CorruptRecord)),
            None => Ok(None),
        }
    }
}
