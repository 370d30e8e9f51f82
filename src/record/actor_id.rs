use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    key::KeyId,
    owner::{InvalidId, UserId},
    sentence::{Argument, Example},
};

/// The actor of a change, as kept in records and events: `user:alice`, `key:<id>` or `system:<label>`.
///
/// ```
/// use tower_api_keys::{UserId, record::ActorId};
///
/// let actor = ActorId::User(UserId::new("alice")?);
/// assert_eq!(actor.to_string(), "user:alice");
/// assert_eq!("user:alice".parse::<ActorId>().ok(), Some(actor));
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ActorId {
    /// A key that manages keys.
    Key(KeyId),
    /// The service itself: its first start, its command line, a job.
    System(SystemLabel),
    /// A person.
    User(UserId),
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key:{id}"),
            Self::System(label) => write!(f, "system:{}", label.as_str()),
            Self::User(user) => write!(f, "user:{user}"),
        }
    }
}

impl FromStr for ActorId {
    type Err = InvalidActorId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let actor = match text.split_once(':') {
            Some(("key", id)) => KeyId::new(id).ok().map(Self::Key),
            Some(("system", label)) => SystemLabel::new(label).ok().map(Self::System),
            Some(("user", user)) => UserId::new(user).ok().map(Self::User),
            _ => None,
        };
        actor.ok_or(InvalidActorId(()))
    }
}

impl TryFrom<String> for ActorId {
    type Error = InvalidActorId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ActorId> for String {
    fn from(actor: ActorId) -> Self {
        actor.to_string()
    }
}

impl From<&ActorId> for Argument {
    fn from(actor: &ActorId) -> Self {
        match actor {
            ActorId::Key(id) => Self::Key(*id),
            ActorId::System(label) => Self::System(label.as_str().to_owned()),
            ActorId::User(user) => Self::User(user.clone()),
        }
    }
}

impl Example for &ActorId {
    fn example() -> Argument {
        <&UserId>::example()
    }
}

/// The text is not a valid actor: it names no user, key or part of the system.
///
/// ```
/// use tower_api_keys::record::ActorId;
///
/// let error = "alice".parse::<ActorId>().unwrap_err();
/// assert_eq!(error.to_string(), "an actor must be `user:`, `key:` or `system:`, followed by an id");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor must be `user:`, `key:` or `system:`, followed by an id")]
pub struct InvalidActorId(());

/// The part of the service that acts by itself: `first start`, `command line`, `nightly job`.
///
/// 1 to 128 bytes without control characters.
///
/// ```
/// use tower_api_keys::record::SystemLabel;
///
/// assert_eq!(SystemLabel::new("first start")?.as_str(), "first start");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemLabel(Arc<str>);

impl SystemLabel {
    /// A label.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, longer than 128 bytes or has an invisible character.
    pub fn new(label: impl AsRef<str>) -> Result<Self, InvalidId> {
        // The same rule as for the embedder's ids.
        UserId::new(label).map(|id| Self(id.as_str().into()))
    }

    /// A caller that has the whole text of a key and acts on it.
    #[cfg(any(test, feature = "manage"))]
    pub(crate) fn presented() -> Self {
        Self("presented".into())
    }

    /// The label as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
