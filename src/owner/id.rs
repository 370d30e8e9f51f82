use std::{
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};

use crate::{lengths::ID, text::is_invisible, words::words};

macro_rules! embedder_id {
    ($(#[$docs:meta])* $name:ident, $what:literal) => {
        $(#[$docs])*
        ///
        /// The id is the embedder's own: 1 to 128 bytes of UTF-8, compared byte by byte. It has no invisible
        /// characters: no control or zero-width character, no direction mark, no space except the common one, and none
        /// at either end.
        ///
        /// Use an id that never changes and is never reused, such as a UUID: no e-mail address, no slug. Integers
        /// convert directly; anything that displays (a UUID, say) through
        #[doc = concat!("[`", stringify!($name), "::from_display`].")]
        ///
        /// ```
        #[doc = concat!("use tower_api_keys::", stringify!($name), ";")]
        ///
        #[doc = concat!("assert_eq!(", stringify!($name), "::new(\"blue\")?.as_str(), \"blue\");")]
        #[doc = concat!("assert_eq!(", stringify!($name), "::from(42_u64).as_str(), \"42\");")]
        #[doc = concat!("assert!(", stringify!($name), "::new(\"line\\nbreak\").is_err());")]
        /// # Ok::<(), tower_api_keys::InvalidId>(())
        /// ```
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("The id of ", $what, ".")]
            ///
            /// # Errors
            /// [`InvalidId`] if it is empty, longer than 128 bytes or has an invisible character.
            pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidId> {
                checked(id.as_ref()).map(|id| Self(id.into()))
            }

            /// The id from any value that displays as one: a UUID, a number, a type of your own.
            ///
            /// # Errors
            /// [`InvalidId`] as for `new`.
            pub fn from_display(id: impl fmt::Display) -> Result<Self, InvalidId> {
                Self::new(id.to_string())
            }

            /// The id as the embedder wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                Self::new(id)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;

            fn try_from(id: &str) -> Result<Self, Self::Error> {
                Self::new(id)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(id: String) -> Result<Self, Self::Error> {
                Self::new(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        embedder_id!(@integers $name i32 i64 i128 u32 u64 u128);
    };
    (@integers $name:ident $($integer:ident)+) => {$(
        impl From<$integer> for $name {
            fn from(id: $integer) -> Self {
                Self(id.to_string().into())
            }
        }
    )+};
}

/// Two ids that look alike are one id to a person, and two to a store.
fn checked(id: &str) -> Result<&str, InvalidId> {
    // Each stored id is checked, and nearly all are like this.
    let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    let hides = |c: char| is_invisible(c) || (c.is_whitespace() && c != ' ');
    let is_padded = id.starts_with(' ') || id.ends_with(' ');
    if id.is_empty() || id.len() > ID.bytes() || !is_plain && (is_padded || id.chars().any(hides)) {
        return Err(InvalidId(()));
    }
    Ok(id)
}

embedder_id! {
    /// A customer of the service. Every key belongs to exactly one, and one customer sees nothing of another.
    OrganizationId, "an organization"
}

embedder_id! {
    /// A person. A user's keys stop working when the person is suspended or leaves.
    UserId, "a user"
}

embedder_id! {
    /// A team. A team's keys still work after the person who made them leaves.
    TeamId, "a team"
}

/// The id of the organization of a service that has only one.
const DEFAULT: &str = "default";

impl OrganizationId {
    /// The organization of a service that has only one.
    ///
    /// ```
    /// use tower_api_keys::OrganizationId;
    ///
    /// assert_eq!(OrganizationId::single().as_str(), "default");
    /// ```
    ///
    /// # Security
    /// In a service of several organizations no customer may have the id `default`: a team that is named without its
    /// organization would be theirs.
    #[must_use]
    pub fn single() -> Self {
        Self::single_ref().clone()
    }

    /// Whether it is the organization of a service that has only one.
    pub(crate) fn is_single(&self) -> bool {
        &*self.0 == DEFAULT
    }

    /// The same, for a comparison that must not allocate.
    pub(super) fn single_ref() -> &'static Self {
        static SINGLE: LazyLock<OrganizationId> = LazyLock::new(|| OrganizationId(DEFAULT.into()));
        &SINGLE
    }
}

impl Default for OrganizationId {
    fn default() -> Self {
        Self::single()
    }
}

/// The text is not a valid id of an organization, a user or a team.
///
/// ```
/// use tower_api_keys::TeamId;
///
/// let error = TeamId::new("a".repeat(129)).unwrap_err();
/// assert_eq!(error.to_string(), "an id must have 1 to 128 bytes, no space at either end, and no control or invisible character");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id must have 1 to 128 bytes, no space at either end, and no control or invisible character")]
pub struct InvalidId(());

words! {
    /// The kind of a key: personal, or a team's. The first word of a key says which.
    ///
    /// ```
    /// use tower_api_keys::KeyKind;
    ///
    /// assert_eq!(KeyKind::Team.as_str(), "team");
    /// ```
    pub enum KeyKind {
        /// `user.…`: belongs to a person and stops working when that person loses access.
        User = "user",
        /// `team.…`: belongs to a team and still works after its creator leaves.
        Team = "team",
    }
}

/// The owner of a key, whose permissions it carries.
///
/// Exhaustive on purpose: a service must decide what each may do.
///
/// ```
/// use tower_api_keys::{KeyKind, Owner, TeamId};
///
/// let owner = Owner::Team(TeamId::new("engineering")?);
/// assert_eq!(owner.kind(), KeyKind::Team);
/// assert_eq!(owner.to_string(), "team engineering");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "id", rename_all = "lowercase")]
pub enum Owner {
    /// A person.
    User(UserId),
    /// A team.
    Team(TeamId),
}

impl Owner {
    /// An owner of the given kind.
    ///
    /// # Errors
    /// [`InvalidId`] if the id breaks the rules of [`UserId`] and [`TeamId`].
    pub fn new(kind: KeyKind, id: impl AsRef<str>) -> Result<Self, InvalidId> {
        Ok(match kind {
            KeyKind::User => Self::User(UserId::new(id)?),
            KeyKind::Team => Self::Team(TeamId::new(id)?),
        })
    }

    /// The kind of key this owner can have.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::User(_) => KeyKind::User,
            Self::Team(_) => KeyKind::Team,
        }
    }

    /// The embedder's id of the user or the team.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::User(user) => user.as_str(),
            Self::Team(team) => team.as_str(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}

impl From<UserId> for Owner {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<TeamId> for Owner {
    fn from(team: TeamId) -> Self {
        Self::Team(team)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_128_bytes() {
        assert!(UserId::new("").is_err());
        assert!(UserId::new("a".repeat(128)).is_ok());
        assert!(UserId::new("a".repeat(129)).is_err());
        assert!(UserId::new("é".repeat(65)).is_err());
    }

    #[test]
    fn control_characters_are_refused() {
        for id in ["\0", "a\tb", "a\u{7f}", "a\u{85}"] {
            assert!(TeamId::new(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn serde_refuses_what_new_refuses() {
        assert!(serde_json::from_str::<UserId>("\"alice\"").is_ok());
        assert!(serde_json::from_str::<UserId>("\"\"").is_err());
    }
}
