use std::fmt;

use serde::Serialize;

use super::{cadence::Cadence, evidence::Evidence};
use crate::{
    key::KeyId,
    manage::counted::CountedUntil,
    owner::KeyKind,
    sentence::{Sentence, told_words},
};

/// Whether a key should be personal or a team's, why, and what to do about it.
///
/// # The rules
/// [`KeyUse`](super::KeyUse) is the table: a person's editor and a person's experiments want a personal key; CI,
/// schedules, webhooks and shared hosts want a team key. Evidence for its rows is gathered from accepted requests, source
/// by source (refused ones may be somebody else's):
///
/// | recorded | speaks for | weight |
/// |---|---|---|
/// | a client known for CI and deploys, schedules, webhooks, monitoring | its row | strong |
/// | a client known for editing and for trying APIs by hand | editor session | strong |
/// | a browser, or what says it is one | editor session | moderate |
/// | a layer whose label speaks of webhooks: `intake`, `hooks` | webhook handler | moderate |
/// | another client, at least 8 requests over 3 days, the average time between them that of a schedule to half a percent (5, 10, 15, 30 minutes, 1, 6, 12, 24 hours, 7 days) | scheduled job | moderate |
/// | another client, 100 requests a day or more over a week or more | shared host | moderate |
/// | at least 5 networks with 3 requests each, if sources name addresses | shared host | moderate |
/// | at least 4 programs with 3 requests each, beside tools for the hand such as `curl` | shared host | moderate |
/// | more sources than are told apart | shared host | strong |
///
/// A source with fewer than 3 requests weighs weak, one whose last request is more than 90 days old a step less. Weak
/// counts 1, moderate 2, strong 4. A name and labels that use a word of a row, and that another key made this one, are
/// written evidence, and weak.
///
/// 1. A dead key needs no advice.
/// 2. A personal key should be a team key if anything strong recorded says so, or if what is recorded for a team has at
///    least 2 points and more than what is recorded for a person. A team key should be personal if nothing strong is
///    recorded for a team, and what is recorded for a person has at least 2 points and more than what is recorded for a
///    team.
/// 3. Else it stays if anything recorded says so.
/// 4. Else, with fewer than 3 accepted requests, nobody can tell: a name alone decides nothing.
/// 5. Else what is written decides, with what was recorded; if it says nothing, the key stays what it is.
///
/// Where a personal key should be a team key and no plan with team keys was said of whoever asks
/// ([`Rights::team_keys_included`](crate::manage::Rights::team_keys_included)), no team can have it: then it should be the key of
/// a [user that is no person](crate::manual::service_users).
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
    /// The key.
    pub key: KeyId,
    /// What it is now.
    pub kind: KeyKind,
    /// What it should be.
    pub recommendation: Recommendation,
    /// The same in a sentence.
    pub recommendation_sentence: Sentence,
    /// What to do about it.
    pub next: NextStep,
    /// The same in a sentence or two.
    pub next_sentence: Sentence,
    /// Why: what was recorded first, then what was written, each in falling weight. Never empty.
    pub evidence: Vec<Evidence>,
    /// How often it is used, over all sources; none if it never was.
    pub cadence: Option<Cadence>,
    /// What else there is to know of the key: that it [is to be rotated](crate::ApiKeysBuilder::rotation_due_after). None in
    /// the advice of an [entry](crate::manage::InventoryEntry::advice) of the inventory, whose flags say it.
    pub notes: Vec<Sentence>,
    /// How far the counts go. None in the advice of an [entry](crate::manage::InventoryEntry::advice) of the inventory, whose
    /// page says it.
    pub counted: Option<CountedUntil>,
}

told_words! {
    /// What a key should be.
    ///
    /// ```
    /// use tower_api_keys::manage::Recommendation;
    ///
    /// assert_eq!(Recommendation::MakeTeamKey.sentence(), "This personal key should be a team key.");
    /// ```
    #[non_exhaustive]
    pub enum Recommendation as "recommendation",
    /// What it means, in a sentence.
    pub sentence {
        /// It is revoked or has expired.
        AlreadyDead = "already_dead": "This key is revoked or expired.",
        /// A personal key, and rightly.
        KeepPersonal = "keep_personal": "A personal key is the right choice here.",
        /// A team key, and rightly.
        KeepTeam = "keep_team": "A team key is the right choice here.",
        /// A team key that looks like one person's.
        MakePersonalKey = "make_personal_key": "This team key looks like one person's, and should be a personal key.",
        /// A personal key that looks like a team's, where the plan does not include team keys.
        MakeServiceUserKey = "make_service_user_key":
            "This personal key does the work of a service, and should belong to a separate user for that service.",
        /// A personal key that looks like a team's.
        MakeTeamKey = "make_team_key": "This personal key should be a team key.",
        /// Nobody can tell yet.
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
        /// Ask those who use it: what is written about it contradicts itself.
        AskThePeople = "ask_the_people": "Ask the people who use it: its name and labels contradict each other.",
        /// Make a user that is no person and a key of it: the plan does not include team keys.
        IssueForServiceUser = "issue_for_service_user":
            "The plan does not include team keys: create a separate user for the service, with only the access it \
             needs, create a personal key for that user, and switch the automated work to it. Until then, the work \
             stops when the person leaves.",
        /// Let the person issue a personal key, then revoke the team key.
        IssuePersonalKey = "issue_personal_key":
            "Let the person who uses it create a personal key and switch to it, then revoke this one: it would keep \
             working after they leave.",
        /// Let the person who uses a team's key by hand issue a personal one.
        IssuePersonalKeyBeside = "issue_personal_key_beside":
            "Keep it for the team's programs, and let the person who also uses it by hand create a personal key.",
        /// Issue a team key for the automatic part, and keep the personal key for the person.
        IssueTeamKeyBeside = "issue_team_key_beside":
            "Create a team key for the automated work and switch it to that key; keep this one for the person alone.",
        /// Leave it as it is.
        Nothing = "nothing": "Nothing needs to be done.",
        /// Begin a rotation of the key into a team: the successor is a team key.
        RotateIntoTeam = "rotate_into_team":
            "Rotate it into a team: a team key replaces it, everything that uses it switches, and this one is \
             revoked. Until then, what depends on it stops when the person leaves.",
        /// Look again when it was used.
        WaitForUse = "wait_for_use": "Look again after it has been used.",
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recommendation_sentence.fmt(f)
    }
}
