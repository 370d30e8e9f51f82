use crate::sentence::told_words;

told_words! {
    /// What somebody should look at about a key, and do something about. Its sentence says what.
    ///
    /// When each is raised, and what can be set about it, is with [`FlagSettings`](super::FlagSettings). A dead key, revoked
    /// or expired, has at most one: [`TriedSinceDeath`](Self::TriedSinceDeath).
    ///
    /// ```
    /// use tower_api_keys::manage::KeyFlag;
    ///
    /// assert_eq!(KeyFlag::Unnamed.as_str(), "unnamed");
    /// assert_eq!(KeyFlag::Unnamed.sentence(), "It has no name. Give it one: who uses it, and where.");
    /// assert_eq!("unnamed".parse(), Ok(KeyFlag::Unnamed));
    /// ```
    #[non_exhaustive]
    pub enum KeyFlag as "flag",
    /// What to do about it, in a sentence or two.
    pub sentence {
        /// Whoever made it, not for themselves, is suspended or closed, or has left.
        CreatorInactive = "creator_inactive":
            "Whoever made it, and saw its text, has left or is suspended or closed. Rotate it if they may still have it.",
        /// It is live, has an end and no successor, and the end is near.
        EndsSoon = "ends_soon":
            "It ends soon, and is refused from then on. If it is still needed then, rotate it before, to a later end.",
        /// It lives longer than the service lets such a key live that is made today.
        LivesTooLong = "lives_too_long":
            "It lives longer than this service lets new keys live. Rotate it: the new key ends in time.",
        /// It is a team's key, and used as if it were one person's.
        LooksPersonal = "looks_personal":
            "It is a team's key, and used like one person's: it goes on when they leave. Let them issue a personal key, \
             and revoke this one.",
        /// It is a personal key, and used as if it were not one person's.
        LooksShared = "looks_shared":
            "It is one person's key, and used like a service's: it stops when they leave. Move it to a team.",
        /// It has a [`ManagingScope`](crate::ManagingScope).
        ManagesKeys = "manages_keys":
            "It can manage keys. Make sure that it still has to, and that only its job has it.",
        /// No request with it was ever accepted.
        NeverUsed = "never_used":
            "It was never used. Look whether it was installed where it should be, and revoke it if nobody needs it.",
        /// Its hash is weaker than those of new keys, or has an older pepper.
        OldHash = "old_hash":
            "Its hash is weaker than those of new keys. Its next use replaces the hash; if it has none, revoke it.",
        /// Its owner is suspended or closed.
        OwnerInactive = "owner_inactive":
            "Its user or team is suspended or closed, so it is refused. Reinstate the owner or revoke the key.",
        /// It is a personal key whose person has left and was not closed.
        OwnerLeft = "owner_left":
            "Its user has left, and it is still accepted. Close the user, or revoke the key.",
        /// Its owner is neither suspended nor closed, and the directory knows no such user or team.
        OwnerUnknown = "owner_unknown":
            "The directory does not know its user or team, and it is still accepted. Close the owner, or revoke the key.",
        /// It is paused.
        Paused = "paused":
            "It is paused, so it is refused. Resume it if it is still needed, and revoke it if not.",
        /// It was made, or its line was rotated, longer ago than the service wants, and it is not being rotated.
        RotationDue = "rotation_due":
            "It was not rotated for longer than this service wants. Begin a rotation, and put the new key where it is.",
        /// It was rotated, and both keys are live.
        RotationUnfinished = "rotation_unfinished":
            "It was rotated, and both keys work. Finish the rotation when nobody uses the old key any more.",
        /// It is used by several programs.
        SeveralSources = "several_sources":
            "Several programs use it. Give each a key of its own, so that one can be revoked without the others.",
        /// It was accepted, and shown at the door of a team that is not its own.
        TriedAtOtherTeam = "tried_at_other_team":
            "It was used on another team's resources, and refused. Ask its users why, and rotate it if nobody knows.",
        /// It is dead, or its owner is closed, and somebody still calls with it.
        TriedSinceDeath = "tried_since_death":
            "It is dead, and somebody still calls with it. Find them by their sources, and give them a live key.",
        /// It has no name.
        Unnamed = "unnamed": "It has no name. Give it one: who uses it, and where.",
        /// No request with it was accepted for a long time.
        Unused = "unused": "It was not used for a long time. Ask whether it is still needed, and revoke it if not.",
        /// Its name says nothing.
        VagueName = "vague_name": "Its name says nothing. Say who uses it, and where: `GitHub Actions - production`.",
        /// It was made or used at a time that is yet to come.
        WrongClock = "wrong_clock":
            "It was made or used in the future, by a wrong clock. Set the clocks of all nodes; its last use is not \
             known.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_there_once_in_the_order_of_their_names() {
        assert!(KeyFlag::ALL.is_sorted_by(|one, next| one < next && one.as_str() < next.as_str()));
    }

    #[test]
    fn each_says_what_to_do_in_a_sentence_of_its_own() {
        let sentences: std::collections::BTreeSet<_> =
            KeyFlag::ALL.iter().map(|flag| flag.sentence().to_string()).collect();
        assert_eq!(sentences.len(), KeyFlag::ALL.len());
        assert!(sentences.iter().all(|text| text.ends_with('.') && text.matches(". ").count() >= 1), "{sentences:#?}");
    }
}
