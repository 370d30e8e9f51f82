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
            "The person who created it and saw the full key has left, or the account is suspended or closed. Rotate \
             the key if this person may still have a copy.",
        /// It is live, has an end and no successor, and the end is near.
        EndsSoon = "ends_soon":
            "It expires soon. If it is still needed, rotate it before then and give the new key a later expiry.",
        /// It lives longer than the service would let such a key live if it were made today.
        LivesTooLong = "lives_too_long":
            "Its expiry is later than this service now allows. Rotate it: the new key gets an allowed expiry.",
        /// It is a team key, but is used as if it were one person's.
        LooksPersonal = "looks_personal":
            "It is a team key, but only one person seems to use it. It keeps working after that person leaves. Ask \
             this person to create a personal key, then revoke this one.",
        /// It is a personal key, but is used as if it were shared.
        LooksShared = "looks_shared":
            "It is a personal key, but a service seems to use it. It stops working when the person leaves. Replace it \
             with a team key.",
        /// It has a [`ManagingScope`](crate::ManagingScope).
        ManagesKeys = "manages_keys":
            "It can manage other keys. Check that this is still needed, and that only one program uses it.",
        /// No request with it was ever accepted.
        NeverUsed = "never_used":
            "It has never been used. Check whether the program that needs it has it, and revoke it if it is not \
             needed.",
        /// Its hash is weaker than those of new keys, or has an older pepper.
        OldHash = "old_hash":
            "Its hash is weaker than the hashes of new keys. It is replaced automatically when the key is used next. \
             If nobody uses the key any more, revoke it.",
        /// Its owner is suspended or closed.
        OwnerInactive = "owner_inactive":
            "Its user or team is suspended or closed, so the key is refused. Reinstate the owner, or revoke the key.",
        /// It is a personal key whose person has left and was not closed.
        OwnerLeft = "owner_left":
            "Its user has left, but the key still works. Close the user, or revoke the key.",
        /// Its owner is neither suspended nor closed, but the directory knows no such user or team.
        OwnerUnknown = "owner_unknown":
            "Its user or team is missing in the directory of users and teams, but is not closed, so the key still \
             works. If the user or team no longer exists, close it.",
        /// It is paused.
        Paused = "paused":
            "It is paused, so it is refused. Resume it if it is still needed, otherwise revoke it.",
        /// It was made longer ago than the service wants a key to go without rotation, and it is not being rotated.
        RotationDue = "rotation_due":
            "Its rotation is overdue. Start a rotation, and install the new key.",
        /// It was rotated, and both keys are live.
        RotationUnfinished = "rotation_unfinished":
            "It was rotated, and both keys work. Finish the rotation when the old key is not used any more.",
        /// It is used by several programs.
        SeveralSources = "several_sources":
            "Several programs use it. Give each its own key, so that you can revoke one without stopping the others.",
        /// It is valid, but was used on a team that is not its own.
        TriedAtOtherTeam = "tried_at_other_team":
            "Somebody tried to use it for another team's resources, and this was refused. Ask the people who use the \
             key why. If they do not know, rotate it.",
        /// It is dead, or its owner is closed, and requests with it still arrive.
        TriedSinceDeath = "tried_since_death":
            "It is revoked or expired, but programs still send it. The list of sources shows which programs. Give \
             them a valid key.",
        /// It has no name.
        Unnamed = "unnamed": "It has no name. Name it after what uses it, and where.",
        /// No request with it has been accepted for a long time.
        Unused = "unused": "It has not been used for a long time. Ask whether it is still needed. If not, revoke it.",
        /// Its name does not help.
        VagueName = "vague_name":
            "Its name does not say what the key is for. Name it after what uses it, and where: `GitHub Actions - \
             production`.",
        /// It was made or used at a time in the future.
        WrongClock = "wrong_clock":
            "Its creation or last use has a date in the future, so the clock of a server was wrong. Correct the \
             clocks of all servers. When the key was last used is not known.",
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
