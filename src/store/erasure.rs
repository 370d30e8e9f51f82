use std::{fmt, str::FromStr};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Serialize, Serializer};

use crate::{
    audit::{Action, EventRow},
    owner::{InvalidId, OrganizationId, Owner, OwnerRef, TeamId, UserId},
    random::{RandomnessError, random_bytes},
    record::{ActorId, KeyRow},
};

/// The name of an erased user, team or organization in the trail: `erased-` and 22 random letters, digits, `-` and `_`.
/// The pseudonym does not reveal the id, and cannot be computed from it.
///
/// ```
/// use tower_api_keys::store::Pseudonym;
///
/// let pseudonym = Pseudonym::random()?;
/// assert_eq!(pseudonym.to_string().parse::<Pseudonym>()?, pseudonym);
/// assert_eq!(Pseudonym::from_bytes([0; 16]).to_string(), "erased-AAAAAAAAAAAAAAAAAAAAAA");
/// assert!("erased-alice".parse::<Pseudonym>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym([u8; 16]);

const PREFIX: &str = "erased-";

impl Pseudonym {
    /// A new random pseudonym.
    ///
    /// # Errors
    /// [`RandomnessError`] if the operating system gives no randomness.
    pub fn random() -> Result<Self, RandomnessError> {
        Ok(Self(*random_bytes()?))
    }

    /// The pseudonym of these bytes, which should be random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The pseudonym as the id of a user.
    ///
    /// # Errors
    /// Never: each pseudonym is a valid id.
    pub fn user(self) -> Result<UserId, InvalidId> {
        UserId::new(self.to_string())
    }

    /// The pseudonym as the id of an organization.
    ///
    /// # Errors
    /// Never: each pseudonym is a valid id.
    pub fn organization(self) -> Result<OrganizationId, InvalidId> {
        OrganizationId::new(self.to_string())
    }

    /// The pseudonym as an owner of the same kind, to replace this one.
    ///
    /// # Errors
    /// Never: each pseudonym is a valid id.
    pub fn in_place_of(self, owner: &Owner) -> Result<Owner, InvalidId> {
        Ok(match owner {
            Owner::Team(_) => TeamId::new(self.to_string())?.into(),
            Owner::User(_) => self.user()?.into(),
        })
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", Base64UrlUnpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({self})")
    }
}

/// A text that is no [`Pseudonym`].
///
/// ```
/// use tower_api_keys::store::Pseudonym;
///
/// assert_eq!("alice".parse::<Pseudonym>().unwrap_err().to_string(), "a pseudonym must be `erased-` followed by 22 characters");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pseudonym must be `erased-` followed by 22 characters")]
pub struct InvalidPseudonym(());

impl FromStr for Pseudonym {
    type Err = InvalidPseudonym;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = text.strip_prefix(PREFIX).ok_or(InvalidPseudonym(()))?;
        let mut bytes = [0; 16];
        match Base64UrlUnpadded::decode(letters, &mut bytes) {
            Ok(decoded) if decoded.len() == 16 => Ok(Self(bytes)),
            _ => Err(InvalidPseudonym(())),
        }
    }
}

impl Serialize for Pseudonym {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What to erase: a user or a team of an organization, or the whole organization. It has to be closed.
///
/// [The page for authors of stores](crate::manual::stores#erasing) lists what an erasure deletes, and what it keeps
/// under the pseudonym. A store that has its rows in the form of this crate need not implement that again: the methods
/// here decide it row by row.
///
/// ```
/// use tower_api_keys::{OrganizationId, UserId, audit::EventRow, record::KeyRow, store::{Erasure, Pseudonym}};
///
/// let (organization, pseudonym) = (OrganizationId::single(), Pseudonym::from_bytes([0; 16]));
/// let alice = Erasure { organization, owner: Some(UserId::new("alice")?.into()), pseudonym };
/// let row = KeyRow { created_by: "user:alice".into(), ..KeyRow::example() }; // a team's
/// assert!(!alice.takes(&row) && alice.renamed_key(&row).created_by == format!("user:{pseudonym}"));
///
/// let event = EventRow { actor: "user:alice".into(), source: Some("api".into()), ..EventRow::example() };
/// let renamed = alice.renamed_event(&event, |_key| false);
/// assert_eq!((renamed.actor, renamed.source), (format!("user:{pseudonym}"), None));
/// assert_eq!(renamed.owner, event.owner);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The organization to erase, or that of the owner.
    pub organization: OrganizationId,
    /// The user or the team; none for the whole organization.
    pub owner: Option<Owner>,
    /// What replaces the id.
    pub pseudonym: Pseudonym,
}

impl Erasure {
    /// Whether the erasure deletes this key.
    #[must_use]
    pub fn takes(&self, key: &KeyRow) -> bool {
        key.organization == self.organization.as_str()
            && self.owner.as_ref().is_none_or(|owner| key.kind == owner.kind().as_str() && key.owner == owner.id())
    }

    /// Whether the user who is erased made this key.
    #[must_use]
    pub fn made(&self, key: &KeyRow) -> bool {
        key.organization == self.organization.as_str() && self.actor().is_some_and(|actor| key.created_by == actor)
    }

    /// A key that stays, with the pseudonym where it names the erased user, and without a responsible person where that
    /// is [the erased owner](Self::calls).
    #[must_use]
    pub fn renamed_key(&self, key: &KeyRow) -> KeyRow {
        let mut renamed = key.clone();
        if key.organization != self.organization.as_str() {
            return renamed;
        }
        renamed.responsible = renamed.responsible.filter(|text| !self.calls(text));
        let Some(actor) = self.actor() else { return renamed };
        let pseudonym = format!("user:{}", self.pseudonym);
        let texts = [&mut renamed.revoked_by, &mut renamed.paused_by];
        for text in texts.into_iter().flatten().chain([&mut renamed.created_by]) {
            if *text == actor {
                text.clone_from(&pseudonym);
            }
        }
        renamed
    }

    /// Whether the `responsible` text of a key is the id of the erased owner: alone, or with the kind and a colon
    /// before it. Other texts, such as an address, are not recognized: only the service knows them.
    #[must_use]
    pub fn calls(&self, text: &str) -> bool {
        self.called().is_some_and(|called| called.iter().any(|one| one == text))
    }

    fn called(&self) -> Option<[String; 2]> {
        let owner = self.owner.as_ref()?;
        Some([owner.id().to_owned(), format!("{}:{}", owner.kind().as_str(), owner.id())])
    }

    /// Whether this text of an event says that the erased owner is responsible for a key.
    fn is_said_of(&self, action: &str, text: &str) -> bool {
        let part = |called: &String| format!("\"responsible\":{}", serde_json::Value::from(called.as_str()));
        let is_set = action == Action::KEY_RESPONSIBLE_SET.as_str() && self.calls(text);
        is_set || self.called().is_some_and(|called| called.iter().any(|one| text.contains(&part(one))))
    }

    /// Whether this event is about the erased owner or organization. The key that such an event names is one of theirs.
    #[must_use]
    pub fn is_about(&self, event: &EventRow) -> bool {
        event.organization == self.organization.as_str()
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| event.owner_kind == owner.kind().as_str() && event.owner == owner.id())
    }

    /// An event as it is kept after the erasure. `is_theirs` says whether the key with this id is or was one of theirs:
    /// a key that the erasure [deletes](Self::takes), or one that an event [about](Self::is_about) them names.
    #[must_use]
    pub fn renamed_event(&self, event: &EventRow, is_theirs: impl Fn(&str) -> bool) -> EventRow {
        let mut renamed = event.clone();
        if event.organization != self.organization.as_str() {
            return renamed;
        }
        let is_about = self.is_about(event);
        let is_by = match self.actor() {
            Some(actor) => event.actor == actor,
            None => self.owner.is_none() && event.actor.starts_with("user:"),
        };
        if is_about || is_by || event.actor.strip_prefix("key:").is_some_and(is_theirs) {
            (renamed.before, renamed.after, renamed.source) = (None, None, None);
        }
        let texts = [&event.before, &event.after];
        if texts.into_iter().flatten().any(|text| self.is_said_of(&event.action, text)) {
            (renamed.before, renamed.after) = (None, None);
        }
        if is_by {
            renamed.actor = format!("user:{}", self.pseudonym);
        }
        if is_about && !event.owner.is_empty() {
            renamed.owner = self.pseudonym.to_string();
        }
        if self.owner.is_none() {
            renamed.organization = self.pseudonym.to_string();
        }
        renamed
    }

    /// The owner that a row of the change log names after the erasure, instead of this one.
    ///
    /// # Errors
    /// Never: each pseudonym is a valid id.
    pub fn renamed_owner(&self, owner: &OwnerRef) -> Result<OwnerRef, InvalidId> {
        let is_theirs = owner.organization == self.organization;
        let is_erased = is_theirs && self.owner.as_ref().is_none_or(|erased| *erased == owner.owner);
        Ok(OwnerRef {
            organization: match is_theirs && self.owner.is_none() {
                true => self.pseudonym.organization()?,
                false => owner.organization.clone(),
            },
            owner: if is_erased { self.pseudonym.in_place_of(&owner.owner)? } else { owner.owner.clone() },
        })
    }

    /// The actor that rows name for the erased user; none for a team, which acts only with its keys.
    pub(crate) fn actor(&self) -> Option<String> {
        match &self.owner {
            Some(Owner::User(user)) => Some(ActorId::User(user.clone()).to_string()),
            Some(Owner::Team(_)) | None => None,
        }
    }
}
