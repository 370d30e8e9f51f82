use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody should look at about a key, and do something about. Its text says what.
///
/// When each is raised, and what can be set about it, is with [`FlagSettings`](super::FlagSettings). A dead key, revoked
/// or expired, has at most one: [`TriedSinceDeath`](Self::TriedSinceDeath).
///
/// ```
/// use tower_api_keys::manage::KeyFlag;
///
/// assert_eq!(KeyFlag::Unnamed.as_str(), "unnamed");
/// assert_eq!(KeyFlag::Unnamed.to_string(), "It has no name. Give it one: who uses it, and where.");
/// assert_eq!(KeyFlag::from_word("unnamed"), Some(KeyFlag::Unnamed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyFlag {
    /// Whoever made it, not for themselves, is held or closed.
    CreatorInactive,
    /// It is a personal key, and used as if it were not one person's.
    LooksShared,
    /// It has the scope [`keys:manage`](crate::Scope::KEYS_MANAGE).
    ManagesKeys,
    /// No request with it was ever accepted.
    NeverUsed,
    /// Its hash is weaker than those of new keys, or has an older pepper.
    OldHash,
    /// Its owner is held or closed.
    OwnerInactive,
    /// It was rotated, and both keys are live.
    RotationUnfinished,
    /// It is used by several programs.
    SeveralSources,
    /// It was accepted, and shown at the door of a team that is not its own.
    TriedAtOtherTeam,
    /// It is dead, or its owner is closed, and somebody still calls with it.
    TriedSinceDeath,
    /// It has no name.
    Unnamed,
    /// No request with it was accepted for a long time.
    Unused,
    /// Its name says nothing.
    VagueName,
    /// It was made or used at a time that is yet to come.
    WrongClock,
}

impl KeyFlag {
    /// All of them, by name.
    pub const ALL: [Self; 14] = [
        Self::CreatorInactive,
        Self::LooksShared,
        Self::ManagesKeys,
        Self::NeverUsed,
        Self::OldHash,
        Self::OwnerInactive,
        Self::RotationUnfinished,
        Self::SeveralSources,
        Self::TriedAtOtherTeam,
        Self::TriedSinceDeath,
        Self::Unnamed,
        Self::Unused,
        Self::VagueName,
        Self::WrongClock,
    ];

    /// A word for programs, the same as it serializes to.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreatorInactive => "creator_inactive",
            Self::LooksShared => "looks_shared",
            Self::ManagesKeys => "manages_keys",
            Self::NeverUsed => "never_used",
            Self::OldHash => "old_hash",
            Self::OwnerInactive => "owner_inactive",
            Self::RotationUnfinished => "rotation_unfinished",
            Self::SeveralSources => "several_sources",
            Self::TriedAtOtherTeam => "tried_at_other_team",
            Self::TriedSinceDeath => "tried_since_death",
            Self::Unnamed => "unnamed",
            Self::Unused => "unused",
            Self::VagueName => "vague_name",
            Self::WrongClock => "wrong_clock",
        }
    }

    /// The flag of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == word)
    }
}

impl fmt::Display for KeyFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreatorInactive => {
                "Whoever made it, and saw its text, is suspended or closed. Rotate it if they may still have it."
            }
            Self::LooksShared => {
                "It is one person's key, and used like a service's: it stops when they leave. Move it to a team."
            }
            Self::ManagesKeys => "It can manage keys. Make sure that it still has to, and that only its job has it.",
            Self::NeverUsed => {
                "It was never used. Look whether it was installed where it should be, and revoke it if nobody needs it."
            }
            Self::OldHash => {
                "Its hash is weaker than those of new keys. Its next use replaces the hash; if it has none, revoke it."
            }
            Self::OwnerInactive => {
                "Its user or team is suspended, held by its plan or closed, so it is refused. Lift the hold or revoke it."
            }
            Self::RotationUnfinished => {
                "It was rotated, and both keys work. Finish the rotation when nobody uses the old key any more."
            }
            Self::SeveralSources => {
                "Several programs use it. Give each a key of its own, so that one can be revoked without the others."
            }
            Self::TriedAtOtherTeam => {
                "It was used on another team's resources, and refused. Ask its users why, and rotate it if nobody knows."
            }
            Self::TriedSinceDeath => {
                "It is dead, and somebody still calls with it. Find them by their sources, and give them a live key."
            }
            Self::Unnamed => "It has no name. Give it one: who uses it, and where.",
            Self::Unused => "It was not used for a long time. Ask whether it is still needed, and revoke it if not.",
            Self::WrongClock => {
                "It was made or used in the future, by a wrong clock. Set the clocks of all nodes; its last use is not known."
            }
            Self::VagueName => "Its name says nothing. Say who uses it, and where: `GitHub Actions - production`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_serialize_and_lead_back() {
        for flag in KeyFlag::ALL {
            assert_eq!(serde_json::to_value(flag).unwrap(), flag.as_str());
            assert_eq!(serde_json::from_value::<KeyFlag>(flag.as_str().into()).unwrap(), flag);
            assert_eq!(KeyFlag::from_word(flag.as_str()), Some(flag));
        }
        assert_eq!(KeyFlag::from_word("forgotten"), None);
    }

    #[test]
    fn all_are_there_once_in_the_order_of_their_names() {
        assert!(KeyFlag::ALL.is_sorted_by(|one, next| one < next && one.as_str() < next.as_str()));
    }

    #[test]
    fn each_says_what_to_do_in_a_sentence_of_its_own() {
        let sentences: std::collections::BTreeSet<_> = KeyFlag::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(sentences.len(), KeyFlag::ALL.len());
        assert!(sentences.iter().all(|text| text.ends_with('.') && text.matches(". ").count() >= 1), "{sentences:#?}");
    }
}
