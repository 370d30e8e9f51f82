use std::fmt;

use serde::Serialize;

use super::{cadence::Cadence, evidence::Evidence};
use crate::{
    key::KeyId,
    manage::counted::CountedUntil,
    owner::KeyKind,
    sentence::{Sentence, told_words},
};

/// Whether a key should be a personal key or a team key, why, and what to do about it.
///
/// # The rules
/// They follow the table in [`KeyUse`](super::KeyUse): a person's editor and experiments need a personal key; CI,
/// schedules, webhooks and shared hosts need a team key. Evidence is gathered source by source, from accepted requests
/// only (refused ones may be another caller's):
///
/// | recorded | speaks for | weight |
/// |---|---|---|
/// | a client known for CI and deploys, schedules, webhooks, monitoring | the use it is known for | strong |
/// | a client known for editing and for trying APIs by hand | editor session | strong |
/// | a browser, or a client that claims to be one | editor session | moderate |
/// | a layer with a label about webhooks: `intake`, `hooks` | webhook handler | moderate |
/// | another client, at least 8 requests over 3 days, with an average interval within half a percent of a schedule (5, 10, 15, 30 minutes, 1, 6, 12, 24 hours, 7 days) | scheduled job | moderate |
/// | another client, 100 requests a day or more over a week or more | shared host | moderate |
/// | at least 5 networks with 3 requests each, if sources name addresses | shared host | moderate |
/// | at least 4 programs with 3 requests each, besides tools for the hand such as `curl` | shared host | moderate |
/// | more sources than the counts keep apart | shared host | strong |
///
/// A source with fewer than 3 requests is weak evidence; one whose last request is more than 90 days old is one step
/// weaker. Weak counts 1, moderate 2, strong 4. A name or label with a word for a use, and the fact that another key
/// made this one, are written evidence, and weak.
///
/// 1. A dead key needs no advice.
/// 2. A personal key should be a team key if anything strong is recorded for a team, or if what is recorded for a team
///    has at least 2 points and more than what is recorded for a person. A team key should be personal if nothing
///    strong is recorded for a team, and what is recorded for a person has at least 2 points and more than what is
///    recorded for a team.
/// 3. Else it stays if anything is recorded for its kind, and no less than for the other kind.
/// 4. Else, with fewer than 3 accepted requests, there is not enough evidence: a name alone decides nothing.
/// 5. Else written and recorded evidence decide together. The key should change if more of both points to the other
///    kind. It stays if nothing written does; otherwise ask the people who use it.
///
/// If a personal key should be a team key, but the actor's rights do not say that the plan includes team keys
/// ([`Rights::team_keys_included`](crate::manage::Rights::team_keys_included)), it should be the key of a [user that is
/// not a person](crate::manual::service_users) instead.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let issued = manager.issue(tower_api_keys::IssueKey::user("alice".parse()?).named("CI deploy"), &admin).await?;
/// # let id = issued.info().id;
/// use tower_api_keys::manage::Recommendation;
///
/// let advice = manager.advise(&id, &admin).await?;
/// assert_eq!(advice.recommendation, Recommendation::NotEnoughEvidence); // never used yet
/// for evidence in &advice.evidence {
///     println!("{evidence}"); // No request with it has arrived yet. Its name says `ci`: a CI or deploy pipeline.
/// }
/// println!("{advice} {}", advice.next_sentence);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Advice {
    /// The id of the key.
    pub key: KeyId,
    /// What it is now.
    pub kind: KeyKind,
    /// What it should be.
    pub recommendation: Recommendation,
    /// The recommendation as a sentence.
    pub recommendation_sentence: Sentence,
    /// What to do about it.
    pub next: NextStep,
    /// What to do, as a sentence or two.
    pub next_sentence: Sentence,
    /// Why: recorded evidence first, then written, each in falling weight. Never empty.
    pub evidence: Vec<Evidence>,
    /// How often it is used, over all sources; `None` if it never was.
    pub cadence: Option<Cadence>,
    /// What else to know about the key: that it [is to be rotated](crate::ApiKeysBuilder::rotation_due_after). Empty in
    /// the advice of an inventory [entry](crate::manage::InventoryEntry::advice), whose flags say it.
    pub notes: Vec<Sentence>,
    /// Until when usage is counted. `None` in the advice of an inventory
    /// [entry](crate::manage::InventoryEntry::advice), whose page says it.
    pub counted: Option<CountedUntil>,
}

told_words! {
    /// What a key should be.
    ///
    /// ```
    /// use tower_api_keys::manage::Recommendation;
    ///
    /// assert_eq!(Recommendation::MakeTeamKey.sentence(), "A service seems to use this personal key. Replace it with a team key.");
    /// ```
    #[non_exhaustive]
    pub enum Recommendation as "recommendation",
    /// What it means, in a sentence.
    pub sentence {
        /// It is revoked or has expired.
        AlreadyDead = "already_dead": "This key is revoked or expired.",
        /// A personal key is right.
        KeepPersonal = "keep_personal": "A personal key is the right choice here.",
        /// A team key is right.
        KeepTeam = "keep_team": "A team key is the right choice here.",
        /// A team key that looks like one person's key.
        MakePersonalKey = "make_personal_key":
            "Only one person seems to use this team key. Replace it with a personal key.",
        /// A personal key that looks like a team's key, where the plan does not include team keys.
        MakeServiceUserKey = "make_service_user_key":
            "A service seems to use this personal key. Replace it with a key of a separate user for that service.",
        /// A personal key that looks like a team's key.
        MakeTeamKey = "make_team_key": "A service seems to use this personal key. Replace it with a team key.",
        /// There is not enough evidence yet.
        NotEnoughEvidence = "not_enough_evidence":
            "It is too early to say whether this key should be a personal or a team key.",
    }
}

told_words! {
    /// What to do about an [`Advice`].
    ///
    /// ```
    /// use tower_api_keys::manage::NextStep;
    ///
    /// assert!(NextStep::RotateIntoTeam.sentence().to_string().starts_with("Rotate it into a team"));
    /// ```
    #[non_exhaustive]
    pub enum NextStep as "next_step",
    /// What to do, in a sentence or two.
    pub sentence {
        /// The name and the labels of this key contradict each other. Ask the people who use it what it is for.
        AskThePeople = "ask_the_people":
            "The name and the labels of this key contradict each other. Ask the people who use it what it is for.",
        /// Make a user that is not a person, and a key for it: the plan does not include team keys.
        IssueForServiceUser = "issue_for_service_user":
            "The plan does not include team keys. Create a separate user for the service with only the access it \
             needs, create a personal key for that user, and use that key for the automated work. If you do not, the \
             work stops when the person leaves.",
        /// Let the person issue a personal key, then revoke the team key.
        IssuePersonalKey = "issue_personal_key":
            "Ask the person who uses it to create a personal key and to switch to it. Then revoke this key, because \
             it keeps working after the person leaves.",
        /// Let the person who uses a team key by hand issue a personal key.
        IssuePersonalKeyBeside = "issue_personal_key_beside":
            "Programs and a person both use this key. Keep it for the team's programs, and ask the person to create a \
             personal key.",
        /// Issue a team key for the automatic part, and keep the personal key for the person.
        IssueTeamKeyBeside = "issue_team_key_beside":
            "A person and a program both use this key. Create a team key for the program, and keep this key for the \
             person only.",
        /// Nothing.
        Nothing = "nothing": "Nothing needs to be done.",
        /// Begin a rotation of the key into a team: the successor is a team key.
        RotateIntoTeam = "rotate_into_team":
            "Rotate it into a team key, switch everything that uses it to the new key, and finish the rotation. If \
             the person leaves before that, everything that depends on this key stops.",
        /// Check again after the key has been used.
        WaitForUse = "wait_for_use": "Check again after the key has been used.",
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recommendation_sentence.fmt(f)
    }
}
