use crate::sentence::told_words;

told_words! {
    /// Something about a key that needs attention and action. Its sentence says what.
    ///
    /// [`FlagSettings`](super::FlagSettings) documents when each is raised, and what can be set about it. A dead key,
    /// revoked or expired, has at most one: [`TriedSinceDeath`](Self::TriedSinceDeath).
    ///
    /// ```
    /// use tower_api_keys::manage::KeyFlag;
    ///
    /// assert_eq!(KeyFlag::Unnamed.as_str(), "unnamed");
    /// assert_eq!(KeyFlag::Unnamed.sentence(), "It has no name. Name it after what uses it, and where.");
    /// assert_eq!("unnamed".parse(), Ok(KeyFlag::Unnamed));
    /// ```
    #[non_exhaustive]
    pub enum KeyFlag as "flag",
    /// What to do about it, in a sentence or two.
    pub sentence {
        /// Its creator, who is not its owner, is suspended or closed, or has left.
        CreatorInactive = "creator_inactive":
            "The person who created it, and saw its text, has left or is suspended or closed. Rotate it if they may \
             still have the text.",
        /// It is live, has an end and no successor, and the end is near.
        EndsSoon = "ends_soon":
            "It expires soon. If it is still needed, rotate it before then and give the new key a later expiry.",
        /// It lives longer than the service would let such a key live if it were made today.
        LivesTooLong = "lives_too_long":
            "It expires later than this service allows new keys to. Rotate it: the new key gets an expiry that is \
             allowed.",
        /// It is a team key, but is used as if it were one person's.
        LooksPersonal = "looks_personal":
            "It is a team key that looks like one person's: it keeps working when they leave. Let them create a \
             personal key, and revoke this one.",
        /// It is a personal key, but is used as if it were shared.
        LooksShared = "looks_shared":
            "It is a personal key that looks like a service's: it stops working when the person leaves. Move it to a \
             team.",
        /// It has a [`ManagingScope`](crate::ManagingScope).
        ManagesKeys = "manages_keys":
            "It can manage keys. Check that it still needs to, and that only one job has it.",
        /// No request with it was ever accepted.
        NeverUsed = "never_used":
            "It was never used. Check whether it was installed where it should be, and revoke it if it is not needed.",
        /// Its hash is weaker than those of new keys, or has an older pepper.
        OldHash = "old_hash":
            "Its hash is weaker than the hashes of new keys. The next use replaces the hash; if it is not used any \
             more, revoke it.",
        /// Its owner is suspended or closed.
        OwnerInactive = "owner_inactive":
            "Its user or team is suspended or closed, so the key is refused. Reinstate the owner, or revoke the key.",
        /// It is a personal key whose person has left and was not closed.
        OwnerLeft = "owner_left":
            "Its user has left, but the key is still accepted. Close the user, or revoke the key.",
        /// Its owner is neither suspended nor closed, but the directory knows no such user or team.
        OwnerUnknown = "owner_unknown":
            "The directory does not know its user or team, but the key is still accepted. Close the owner, or revoke \
             the key.",
        /// It is paused.
        Paused = "paused":
            "It is paused, so it is refused. Resume it if it is still needed, otherwise revoke it.",
        /// It was made longer ago than the service wants a key to go without rotation, and it is not being rotated.
        RotationDue = "rotation_due":
            "It was not rotated for longer than this service recommends. Start a rotation, and install the new key.",
        /// It was rotated, and both keys are live.
        RotationUnfinished = "rotation_unfinished":
            "It was rotated, and both keys work. Finish the rotation when the old key is not used any more.",
        /// It is used by several programs.
        SeveralSources = "several_sources":
            "Several programs use it. Give each its own key, so that you can revoke one without stopping the others.",
        /// It is valid, but was used on a team that is not its own.
        TriedAtOtherTeam = "tried_at_other_team":
            "It was used on another team's resources, and refused. Ask the people who use it why; if they do not \
             know, rotate it.",
        /// It is dead, or its owner is closed, and requests with it still arrive.
        TriedSinceDeath = "tried_since_death":
            "It is revoked or expired, but is still being sent. Find the programs by their sources, and give them a \
             live key.",
        /// It has no name.
        Unnamed = "unnamed": "It has no name. Name it after what uses it, and where.",
        /// No request with it has been accepted for a long time.
        Unused = "unused": "It was not used for a long time. Ask whether it is still needed, and revoke it if not.",
        /// Its name does not help.
        VagueName = "vague_name":
            "Its name does not help. Name it after what uses it, and where: `GitHub Actions - production`.",
        /// It was made or used at a time in the future.
        WrongClock = "wrong_clock":
            "It seems to have been created or used in the future, so a clock was wrong. Set the clocks of all nodes; \
             its last use is not known.",
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
