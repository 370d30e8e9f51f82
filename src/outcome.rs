//! The outcomes of requests, in one vocabulary: for clients, counts, logs and the people who manage keys.

use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};

use crate::{
    key::MalformedReason,
    sentence::{Argument, Example, Sentence},
    words::words,
};

words! {
    /// The code of a refusal, one word of the protocol. The words, statuses and sentences are fixed.
    ///
    /// A caller *has the key* if its text was proved with Argon2id, or if the 32-bit [`Tag`](crate::hash::Tag) of its text
    /// is that of the key, as for one guess in 4.3 billion: such refusals need no run of Argon2id.
    ///
    /// ```
    /// use http::StatusCode;
    /// use tower_api_keys::RefusalCode;
    ///
    /// assert_eq!(RefusalCode::KeyRevoked.as_str(), "key_revoked");
    /// assert_eq!(RefusalCode::KeyRevoked.status(), StatusCode::UNAUTHORIZED);
    /// assert_eq!(RefusalCode::KeyRevoked.detail(), "The API key was revoked. Use another one, or create a new one.");
    /// ```
    #[non_exhaustive]
    pub enum RefusalCode,
    /// What it means, in a sentence for the people who manage the key.
    pub meaning {
        /// 400: two different candidates, a header twice, an empty key header beside a Bearer text.
        AmbiguousCredentials = "ambiguous_credentials":
            "The request had two different keys, or one header twice, so it was not clear which key was meant.",
        /// 503: the clock of this node jumped, and whether the key has expired depends on which time is right.
        ClockUnsure = "clock_unsure":
            "The clock of the service jumped, so it was not certain whether the key had expired.",
        /// 503: the stored record of the key cannot be read.
        CorruptRecord = "corrupt_record":
            "The stored data of the key could not be read, so the key could not be checked.",
        /// 403: the service's own rules for managing keys do not allow it.
        Denied = "denied": "The caller was identified, but the service's rules do not allow what it asked for.",
        /// 403: a key tried to give another key a later expiry than its own.
        ExpiryTooLate = "expiry_too_late":
            "The key is valid, but the request tried to create a key that expires later than this one.",
        /// 403: the caller's role does not allow it.
        InsufficientRole = "insufficient_role":
            "The key is valid, but the caller's role does not allow what it asked for.",
        /// 403: the key lacks a scope.
        InsufficientScope = "insufficient_scope":
            "The key is valid, but does not have a scope that this request needs.",
        /// 401: unknown id, wrong secret, or another kind of key, which have identical answers.
        InvalidKey = "invalid_key":
            "The caller sent a wrong key: no key has this id, or the secret is wrong.",
        /// 401: the key has expired. Only a caller that has the key is told.
        KeyExpired = "key_expired": "The key had expired. The caller sent the complete, correct key.",
        /// 401: the key is paused. Only a caller that has the key is told.
        KeyPaused = "key_paused": "The key was paused. The caller sent the complete, correct key.",
        /// 401: the key was revoked. Only a caller that has the key is told.
        KeyRevoked = "key_revoked": "The key was revoked. The caller sent the complete, correct key.",
        /// 403: a key with limits tried to give another key other limits.
        LimitsTooWide = "limits_too_wide":
            "The key is valid, but the request tried to create a key with different limits.",
        /// 401: the text is no key. The reason says why.
        MalformedKey = "malformed_key": "The text that was sent is not an API key.",
        /// 500: an extractor or [`RequireKeyLayer`](crate::middleware::RequireKeyLayer) without an
        /// [`ApiKeyLayer`](crate::middleware::ApiKeyLayer) outside it. A defect of the service, reported in its log.
        Misconfigured = "misconfigured":
            "The service is not set up to check API keys for this request. The key is fine: tell the operator of the service.",
        /// 401: no key.
        MissingCredentials = "missing_credentials": "The request had no API key in a header that the service reads, such as Authorization.",
        /// 403: the key may not be used from where the request came, or the address of the request is not known. Only a
        /// caller that has the key is told.
        NetworkNotAllowed = "network_not_allowed":
            "The key is correct, but the request came from a network that is not on the key's list. If you do not \
             know this network, rotate the key.",
        /// 403: a key tried to give another key networks that it may not be used from itself.
        NetworksTooWide = "networks_too_wide":
            "The key is valid, but the request tried to give another key more networks than this key can give.",
        /// 403: no key may do it, but people may.
        NotForKeys = "not_for_keys": "The key is valid, but no API key may do what it asked for.",
        /// 403: only the user who owns the key may do it.
        NotYourKey = "not_your_key": "The caller asked for something that only the person who owns the key can do.",
        /// 503: too many keys are being checked for the first time.
        Overloaded = "overloaded":
            "Too many keys were being checked at the same time. Nothing is known to be wrong with this key.",
        /// 401: the owner is closed. Only a caller that has the key is told.
        OwnerClosed = "owner_closed": "The owner of the key or its organization was closed. The caller sent the complete, correct key.",
        /// 401: the plan does not include the owner's keys. Only a caller that has the key is told.
        OwnerPlanSuspended = "owner_plan_suspended":
            "The plan did not include API keys for the owner of the key. The caller sent the complete, correct key.",
        /// 401: an admin suspended the owner. Only a caller that has the key is told.
        OwnerSuspended = "owner_suspended":
            "An admin had suspended the owner of the key or its organization. The caller sent the complete, correct key.",
        /// 403: the plan does not include it.
        PlanRequired = "plan_required": "The key is valid, but the plan does not include what it asked for.",
        /// 429: the key made more requests than a limiter of the service allows. This crate has none.
        RateLimited = "rate_limited": "The key is valid, but too many requests were sent with it.",
        /// 403: a key tried to give another key scopes that it does not have, or scopes to manage keys.
        ScopesTooWide = "scopes_too_wide":
            "The key is valid, but the request tried to create a key with more rights than this one.",
        /// 503: the store, or the embedder's directory of members, could not answer.
        StoreUnavailable = "store_unavailable":
            "The key store did not answer. Nothing is known to be wrong with the key.",
        /// 403: only personal keys are accepted, or only team keys.
        WrongKeyKind = "wrong_key_kind":
            "The key is valid, but it is a personal key where a team key is needed, or the other way round.",
        /// 403: another team's key, or the key of a user who is no member.
        WrongTeam = "wrong_team": "The key is valid, but it has no access to the team in the request.",
    }
}

/// What a request proved about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Proved {
    /// The key, and it was good.
    Good,
    /// The key, and it was dead or its owner suspended.
    Dead,
    /// The key, and it was good, but not allowed from there.
    Elsewhere,
    /// Nothing.
    Nothing,
}

impl RefusalCode {
    pub(crate) const fn proves(self) -> Proved {
        match self {
            Self::Denied
            | Self::ExpiryTooLate
            | Self::InsufficientRole
            | Self::InsufficientScope
            | Self::LimitsTooWide
            | Self::NetworksTooWide
            | Self::NotForKeys
            | Self::NotYourKey
            | Self::PlanRequired
            | Self::RateLimited
            | Self::ScopesTooWide
            | Self::WrongKeyKind
            | Self::WrongTeam => Proved::Good,
            Self::KeyExpired
            | Self::KeyPaused
            | Self::KeyRevoked
            | Self::OwnerClosed
            | Self::OwnerPlanSuspended
            | Self::OwnerSuspended => Proved::Dead,
            Self::NetworkNotAllowed => Proved::Elsewhere,
            Self::AmbiguousCredentials
            | Self::ClockUnsure
            | Self::CorruptRecord
            | Self::InvalidKey
            | Self::MalformedKey
            | Self::Misconfigured
            | Self::MissingCredentials
            | Self::Overloaded
            | Self::StoreUnavailable => Proved::Nothing,
        }
    }
}

/// How a request ended. In stores and on the wire it is a word: `success`, or the code of the refusal, such as
/// `key_revoked`. For a text that is no key the word includes the reason: `malformed_key.truncated`. A request without
/// a key is `missing_credentials`.
///
/// A good key that is denied behind the layer is counted twice: as a `success`, because it was accepted, and with the
/// code of the denial: `wrong_team`, `wrong_key_kind`, `insufficient_scope`, `plan_required`, `rate_limited`, or why
/// the caller may not manage keys. The code is read from the [`Refusal`](crate::middleware::Refusal) in the extensions
/// of the answer, as left there by the layers and extractors of this crate, or by a service that answers with one. A
/// handler's own 403 is not counted.
///
/// ```
/// use tower_api_keys::{RefusalCode, key::MalformedReason, usage::Outcome};
///
/// assert_eq!(Outcome::Accepted.to_string(), "success");
/// assert_eq!(Outcome::Refused(RefusalCode::KeyRevoked).to_string(), "key_revoked");
/// assert_eq!(Outcome::Malformed(MalformedReason::Truncated).to_string(), "malformed_key.truncated");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The key was accepted.
    Accepted,
    /// The request was refused.
    Refused(RefusalCode),
    /// The text is no key, for this reason.
    Malformed(MalformedReason),
    /// A word of a newer version of this crate, or of your own store.
    Unknown(Box<str>),
}

const SUCCESS: &str = "success";

/// The separator between the code of a text that is no key and the reason.
const DOT: char = '.';

impl Outcome {
    /// A refusal; with its reason, if the text is no key.
    pub(crate) const fn refused(code: RefusalCode, reason: Option<MalformedReason>) -> Self {
        match reason {
            Some(reason) => Self::Malformed(reason),
            None => Self::Refused(code),
        }
    }

    /// The outcome for this word in a store.
    pub(crate) fn of_word(word: &str) -> Self {
        if word == SUCCESS {
            return Self::Accepted;
        }
        let known = match word.split_once(DOT) {
            Some((code, reason)) if code == RefusalCode::MalformedKey.as_str() => {
                MalformedReason::of_word(reason).map(Self::Malformed)
            }
            _ => RefusalCode::of_word(word).map(Self::Refused),
        };
        known.unwrap_or_else(|| Self::Unknown(word.into()))
    }

    /// The word, as in a store.
    #[must_use]
    pub fn word(&self) -> Cow<'_, str> {
        match self {
            Self::Accepted => SUCCESS.into(),
            Self::Refused(code) => code.as_str().into(),
            Self::Malformed(reason) => format!("{}{DOT}{reason}", RefusalCode::MalformedKey).into(),
            Self::Unknown(word) => Cow::Borrowed(word),
        }
    }

    /// What the outcome means, for the people who manage the key. For a text that is not a key, this is what the caller
    /// was told.
    ///
    /// ```
    /// use tower_api_keys::usage::Outcome;
    ///
    /// assert_eq!(Outcome::Accepted.meaning(), "The key was accepted.");
    /// ```
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self {
            Self::Accepted => "The key was accepted.",
            Self::Refused(code) => code.meaning(),
            Self::Malformed(reason) => reason.advice(),
            Self::Unknown(_) => "Refused, for a reason that this version of the library does not know.",
        }
    }

    /// The meaning as a translatable sentence: its id is `outcome.` and the word.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        let id = match self {
            Self::Accepted => Cow::Borrowed("outcome.success"),
            // An unknown word has no sentence of its own.
            Self::Unknown(_) => Cow::Borrowed("outcome.unknown"),
            Self::Malformed(_) | Self::Refused(_) => Cow::Owned(format!("outcome.{}", self.word())),
        };
        match self {
            Self::Malformed(reason) => {
                let told = "The request had a text that is not an API key. The caller was told: \"{advice}\"";
                Sentence::new(id, told, vec![("advice", told_to_caller(*reason).into())])
            }
            _ => Sentence::new(id, self.meaning(), Vec::new()),
        }
    }

    /// The sentences of all outcomes.
    pub(crate) fn sentences() -> Vec<Sentence> {
        let refused = RefusalCode::ALL.into_iter().map(Self::Refused);
        let malformed = MalformedReason::ALL.into_iter().map(Self::Malformed);
        let all = [Self::Accepted, Self::Unknown(Box::default())].into_iter().chain(refused).chain(malformed);
        let told = MalformedReason::ALL.into_iter().map(told_to_caller);
        all.map(|outcome| outcome.sentence()).chain(told).collect()
    }

    pub(crate) const fn proves(&self) -> Proved {
        match self {
            Self::Accepted => Proved::Good,
            Self::Refused(code) => code.proves(),
            Self::Malformed(_) | Self::Unknown(_) => Proved::Nothing,
        }
    }

    /// Whether the key was good and the request was denied behind the layer.
    pub(crate) fn is_denied_downstream(&self) -> bool {
        matches!(self, Self::Refused(code) if code.proves() == Proved::Good)
    }
}

fn told_to_caller(reason: MalformedReason) -> Sentence {
    Sentence::new(format!("{}{DOT}{reason}", RefusalCode::MalformedKey), reason.advice(), Vec::new())
}

impl From<RefusalCode> for Argument {
    fn from(code: RefusalCode) -> Self {
        Self::Word(code.as_str().to_owned())
    }
}

impl Example for RefusalCode {
    fn example() -> Argument {
        Self::KeyRevoked.into()
    }
}

impl From<RefusalCode> for Outcome {
    fn from(code: RefusalCode) -> Self {
        Self::Refused(code)
    }
}

impl From<MalformedReason> for Outcome {
    fn from(reason: MalformedReason) -> Self {
        Self::Malformed(reason)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.word())
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Outcome> {
        let refused = RefusalCode::ALL.into_iter().map(Outcome::Refused);
        let malformed = MalformedReason::ALL.into_iter().map(Outcome::Malformed);
        [Outcome::Accepted].into_iter().chain(refused).chain(malformed)
    }

    #[test]
    fn every_outcome_is_read_back_from_its_word() {
        for outcome in all() {
            assert_eq!(Outcome::of_word(&outcome.word()), outcome);
        }
        for word in ["", "of_tomorrow", "malformed_key.of_tomorrow", "key_revoked.truncated", "Success"] {
            let outcome = Outcome::of_word(word);
            assert_eq!((&outcome, &*outcome.word()), (&Outcome::Unknown(word.into()), word));
        }
    }

    #[test]
    fn every_outcome_has_a_meaning_of_its_own() {
        let mut meanings: Vec<_> = all().chain([Outcome::of_word("of_tomorrow")]).map(|one| one.meaning()).collect();
        let count = meanings.len();
        meanings.sort_unstable();
        meanings.dedup();
        assert_eq!(meanings.len(), count);
    }

    #[test]
    fn codes_are_in_the_order_of_their_words() {
        assert!(RefusalCode::ALL.is_sorted_by_key(|code| code.as_str()));
        assert!(MalformedReason::ALL.is_sorted_by_key(|reason| reason.as_str()));
    }
}
