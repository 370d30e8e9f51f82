use std::fmt;

use serde::Serialize;

use crate::{
    key::KeyId,
    manage::{
        counted::CountedUntil,
        names::{Mentions, Names},
    },
    outcome::RefusalCode,
    record::ActorId,
    sentence::{Sentence, joined, sentences},
    time::Timestamp,
    usage::{CallHistory, OutcomeSummary},
    words::words,
};

/// What would happen if a key called now, and why, and how its requests ended so far.
///
/// It looks at the records and the clock of this node as a request would. The one difference: there is no text to
/// check, so the text is assumed to be right.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let issued = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?;
/// # let id = issued.info().id;
/// use tower_api_keys::{RefusalCode, manage::CallVerdict, usage::CallHistory};
///
/// let explanation = manager.explain(&id, &admin).await?;
/// assert_eq!(explanation.verdict, CallVerdict::Accepted);
/// assert_eq!(explanation.call_history, CallHistory::Never); // live, and never used
///
/// manager.revoke(&id, &admin).await?;
/// let explanation = manager.explain(&id, &admin).await?;
/// assert_eq!(explanation.verdict.code(), Some(RefusalCode::KeyRevoked));
/// println!("{explanation}"); // A request with this key would be refused with `key_revoked`. It was revoked at …
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Explanation {
    /// The id of the key.
    pub key: KeyId,
    /// The moment that it is about.
    pub asked_at: Timestamp,
    /// What a request would get.
    pub verdict: CallVerdict,
    /// The verdict as a sentence.
    pub verdict_sentence: Sentence,
    /// Every check, in the order in which a request runs them. The first that failed gives the verdict; the other
    /// failed ones would be next.
    pub checks: Vec<CallCheck>,
    /// What else to know about it, as sentences: that another person made it and, of a key that would be accepted, that
    /// it ends soon or that its user has left.
    pub notes: Vec<Sentence>,
    /// Whether the key was ever used in a request.
    pub call_history: CallHistory,
    /// The call history as a sentence.
    pub call_history_sentence: Sentence,
    /// How requests with it ended, the latest first.
    pub seen: Vec<OutcomeSummary>,
    /// Until when usage is counted.
    pub counted: CountedUntil,
    /// The names of the people and teams in the checks, and who has left. The sentences use them.
    pub names: Names,
}

words! {
    /// What a request with a key would get.
    ///
    /// ```
    /// use tower_api_keys::{RefusalCode, manage::CallVerdict};
    ///
    /// assert_eq!(CallVerdict::KeyRevoked.code(), Some(RefusalCode::KeyRevoked));
    /// assert_eq!(CallVerdict::Accepted.code(), None);
    /// ```
    #[non_exhaustive]
    pub enum CallVerdict {
        /// It would be accepted.
        Accepted = "accepted",
        /// 503: this node cannot read its stored record, or cannot check its hash.
        CorruptRecord = "corrupt_record",
        /// 401: it is revoked.
        KeyRevoked = "key_revoked",
        /// 503: the clock of this node jumped, and the answer to whether the key has expired depends on which time is
        /// right.
        ClockUnsure = "clock_unsure",
        /// 401: it has expired.
        KeyExpired = "key_expired",
        /// 401: it is paused.
        KeyPaused = "key_paused",
        /// 401: its owner is closed.
        OwnerClosed = "owner_closed",
        /// 401: an admin suspended its owner.
        OwnerSuspended = "owner_suspended",
        /// 401: the plan does not include the keys of its owner.
        OwnerPlanSuspended = "owner_plan_suspended",
    }
}

impl CallVerdict {
    /// The code of the refusal; `None` if it would be accepted.
    #[must_use]
    pub const fn code(self) -> Option<RefusalCode> {
        match self {
            Self::Accepted => None,
            Self::ClockUnsure => Some(RefusalCode::ClockUnsure),
            Self::CorruptRecord => Some(RefusalCode::CorruptRecord),
            Self::KeyExpired => Some(RefusalCode::KeyExpired),
            Self::KeyPaused => Some(RefusalCode::KeyPaused),
            Self::KeyRevoked => Some(RefusalCode::KeyRevoked),
            Self::OwnerClosed => Some(RefusalCode::OwnerClosed),
            Self::OwnerPlanSuspended => Some(RefusalCode::OwnerPlanSuspended),
            Self::OwnerSuspended => Some(RefusalCode::OwnerSuspended),
        }
    }

    /// The verdict as a sentence for people.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        self.code().map_or_else(accepted, refused)
    }
}

sentences! {
    pub(in crate::manage) fn all;

    fn accepted() = "call_verdict.accepted": "A request with this key would be accepted.";
    fn refused(code: RefusalCode) = "call_verdict.refused": "A request with this key would be refused with `{code}`.";
}

/// One check of a key.
///
/// ```
/// # fn example(explanation: tower_api_keys::manage::Explanation) {
/// for check in &explanation.checks {
///     println!("{:?}: {}", check.result, check.sentence);
///     if let Some(remedy) = &check.remedy {
///         println!("{remedy}");
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CallCheck {
    /// What is checked.
    pub kind: CheckKind,
    /// How it ended.
    pub result: CheckResult,
    /// The check and its result as a sentence.
    pub sentence: Sentence,
    /// Since when it has failed, if that is known.
    pub since: Option<Timestamp>,
    /// Who caused it, if that is known and the actor may know.
    pub by: Option<ActorId>,
    /// What would change it, as a sentence, if it failed.
    pub remedy: Option<Sentence>,
}

words! {
    /// What is checked, in the order in which a request runs the checks.
    ///
    /// ```
    /// use tower_api_keys::manage::CheckKind;
    ///
    /// assert!(CheckKind::NotRevoked < CheckKind::NotExpired);
    /// ```
    #[non_exhaustive]
    pub enum CheckKind {
        /// A key with this id exists.
        Exists = "exists",
        /// Its stored record and its owner's status can be read.
        Readable = "readable",
        /// This node knows the pepper that its hash was made with.
        PepperKnown = "pepper_known",
        /// The caller's text is that of the key, its brand and kind included. Only a request can show that.
        TextMatches = "text_matches",
        /// It is not revoked.
        NotRevoked = "not_revoked",
        /// It has not expired.
        NotExpired = "not_expired",
        /// It is not paused.
        NotPaused = "not_paused",
        /// Its owner is neither suspended nor closed.
        OwnerActive = "owner_active",
        /// This node accepts the cost that its hash was made with.
        HashAccepted = "hash_accepted",
        /// It may be used from the caller's network. Only a request can show that, if the key has a list of networks.
        NetworkAllowed = "network_allowed",
    }
}

words! {
    /// How a [`CallCheck`] ended.
    ///
    /// ```
    /// use tower_api_keys::manage::CheckResult;
    ///
    /// assert_ne!(CheckResult::Assumed, CheckResult::Passed);
    /// ```
    pub enum CheckResult {
        /// It passed.
        Passed = "passed",
        /// It would refuse the request.
        Failed = "failed",
        /// Only a request could show it; assumed to pass.
        Assumed = "assumed",
        /// It could not be checked, because the record cannot be read.
        Unknown = "unknown",
    }
}

impl Explanation {
    /// Mentions the people and teams in it.
    pub(in crate::manage) fn mention(&self, mentions: &mut Mentions) {
        for check in &self.checks {
            mentions.sentence(&check.sentence);
            check.by.iter().for_each(|by| mentions.actor(by));
        }
        self.notes.iter().for_each(|note| mentions.sentence(note));
    }

    /// The same explanation with names.
    pub(in crate::manage) fn naming(mut self, names: Names) -> Self {
        self.checks.iter_mut().for_each(|check| check.sentence = check.sentence.naming(&names));
        self.notes.iter_mut().for_each(|note| *note = note.naming(&names));
        Self { names, ..self }
    }

    /// The check that gives the verdict, if the key would be refused.
    #[must_use]
    pub fn reason(&self) -> Option<&CallCheck> {
        self.checks.iter().find(|check| check.result == CheckResult::Failed)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.checks.iter().filter(|check| check.result == CheckResult::Failed);
        let failed = failed.flat_map(|check| [&check.sentence].into_iter().chain(&check.remedy));
        let all =
            [&self.verdict_sentence].into_iter().chain(failed).chain(&self.notes).chain([&self.call_history_sentence]);
        f.write_str(&joined(all))
    }
}
