use std::{fmt, time::Duration};

use http::StatusCode;
use serde::Serialize;

use super::{
    error::{ManageError, ManageErrorKind},
    info::KeyInfo,
};
use crate::{
    outcome::RefusalCode,
    sentence::{Sentence, joined, sentences},
};

impl ManageErrorKind {
    /// The HTTP status of an answer with this error.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.answer().0
    }

    /// The code of an answer with this error, in snake case: that of a [`RefusalCode`] where there is one. A code can
    /// have several statuses: `key_revoked` is 409 for the key to be changed, 403 for the acting key, and 401 where a
    /// request is refused.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.answer().1
    }

    /// The request field that is invalid, if it is a single one.
    #[must_use]
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::Invalid(what) => what.field(),
            Self::KnownKey(what) => what.field(),
            _ => None,
        }
    }

    /// A more detailed reason, in a word: which rule is broken, which quota is used up, what the counts say, what is
    /// missing in the service's setup, or what is wrong with a known key.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Invalid(what) => Some(what.code()),
            Self::KnownKey(what) => Some(what.as_str()),
            Self::Misconfigured(what) => Some(what.as_str()),
            Self::NotSafeToFinish(verdict) => Some(verdict.as_str()),
            Self::QuotaReached(quota) => Some(quota.as_str()),
            _ => None,
        }
    }

    /// Status and code: every kind has its own line, so that none is forgotten.
    fn answer(self) -> (StatusCode, &'static str) {
        use super::{invalid::InvalidInput, quota::Quota};
        match self {
            Self::ActorBusy => (StatusCode::TOO_MANY_REQUESTS, "actor_busy"),
            Self::ClockUnsure => (StatusCode::SERVICE_UNAVAILABLE, RefusalCode::ClockUnsure.as_str()),
            Self::ClosedJustNow => (StatusCode::CONFLICT, "closed_just_now"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict"),
            Self::CorruptRecord => (StatusCode::SERVICE_UNAVAILABLE, RefusalCode::CorruptRecord.as_str()),
            Self::Denied(denial) => (StatusCode::FORBIDDEN, denial.reason().code().as_str()),
            Self::DirectoryIncomplete { .. } => (StatusCode::SERVICE_UNAVAILABLE, "directory_incomplete"),
            Self::DirectoryUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "directory_unavailable"),
            Self::HashFailed => (StatusCode::SERVICE_UNAVAILABLE, "hash_failed"),
            Self::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch"),
            Self::IdempotencyKeyUsed => (StatusCode::CONFLICT, "idempotency_key_used"),
            Self::Invalid(InvalidInput::TwoRotations) => (StatusCode::CONFLICT, InvalidInput::TwoRotations.code()),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::KeyExpired => (StatusCode::CONFLICT, RefusalCode::KeyExpired.as_str()),
            Self::KeyPaused => (StatusCode::CONFLICT, RefusalCode::KeyPaused.as_str()),
            Self::KeyRevoked => (StatusCode::CONFLICT, RefusalCode::KeyRevoked.as_str()),
            Self::KnownKey(_) => (StatusCode::CONFLICT, "known_key"),
            Self::Misconfigured(_) => (StatusCode::INTERNAL_SERVER_ERROR, "misconfigured"),
            Self::NoRotation => (StatusCode::CONFLICT, "no_rotation"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::NotSafeToFinish(_) => (StatusCode::CONFLICT, "not_safe_to_finish"),
            Self::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Overloaded.as_str()),
            Self::OwnerClosed => (StatusCode::CONFLICT, RefusalCode::OwnerClosed.as_str()),
            Self::OwnerNotClosed => (StatusCode::CONFLICT, "owner_not_closed"),
            Self::OwnerPlanSuspended => (StatusCode::CONFLICT, RefusalCode::OwnerPlanSuspended.as_str()),
            Self::OwnerSuspended => (StatusCode::CONFLICT, RefusalCode::OwnerSuspended.as_str()),
            Self::PepperMissing => (StatusCode::SERVICE_UNAVAILABLE, "pepper_missing"),
            Self::QuotaReached(Quota::IssuesPerHour(_)) => (StatusCode::TOO_MANY_REQUESTS, "quota_reached"),
            Self::QuotaReached(Quota::LiveKeys(_)) => (StatusCode::CONFLICT, "quota_reached"),
            Self::Randomness => (StatusCode::SERVICE_UNAVAILABLE, "randomness"),
            Self::RotationOver => (StatusCode::CONFLICT, "rotation_over"),
            Self::RotationUnderWay => (StatusCode::CONFLICT, "rotation_under_way"),
            Self::Starved => (StatusCode::SERVICE_UNAVAILABLE, "starved"),
            Self::StoreRefused => (StatusCode::INTERNAL_SERVER_ERROR, "store_refused"),
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, RefusalCode::StoreUnavailable.as_str()),
            Self::TooManyMissing { .. } => (StatusCode::CONFLICT, "too_many_missing"),
            Self::VersionDiffers { .. } => (StatusCode::PRECONDITION_FAILED, "precondition_failed"),
        }
    }

    /// Whether trying again in a moment can help, without a change by anyone.
    const fn passes_by_itself(self) -> bool {
        matches!(
            self,
            Self::ActorBusy
                | Self::DirectoryUnavailable
                | Self::HashFailed
                | Self::Overloaded
                | Self::Randomness
                | Self::Starved
                | Self::StoreUnavailable
        )
    }

    /// What is wrong, and what to do if that is always the same.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        match self {
            Self::ActorBusy => actor_busy(),
            Self::ClockUnsure => clock_unsure(),
            Self::ClosedJustNow => closed_just_now(),
            Self::Conflict => conflict(),
            Self::CorruptRecord => corrupt_record(),
            Self::Denied(denial) => denial.sentence(),
            Self::DirectoryIncomplete { unanswered } => directory_incomplete(unanswered),
            Self::DirectoryUnavailable => directory_unavailable(),
            Self::HashFailed => hash_failed(),
            Self::IdempotencyKeyReused => idempotency_key_reused(),
            Self::IdempotencyKeyUsed => idempotency_key_used(),
            Self::Invalid(what) => what.sentence(),
            Self::KeyExpired => key_expired(),
            Self::KeyPaused => key_paused(),
            Self::KeyRevoked => key_revoked(),
            Self::KnownKey(what) => what.sentence(),
            Self::Misconfigured(what) => what.sentence(),
            Self::NoRotation => no_rotation(),
            Self::NotFound => not_found(),
            Self::NotSafeToFinish(verdict) => verdict.sentence(),
            Self::OutcomeUnknown => outcome_unknown(),
            Self::Overloaded => overloaded(),
            Self::OwnerClosed => owner_closed(),
            Self::OwnerNotClosed => owner_not_closed(),
            Self::OwnerPlanSuspended => owner_plan_suspended(),
            Self::OwnerSuspended => owner_suspended(),
            Self::PepperMissing => pepper_missing(),
            Self::QuotaReached(quota) => quota.sentence(),
            Self::Randomness => randomness(),
            Self::RotationOver => rotation_over(),
            Self::RotationUnderWay => rotation_under_way(),
            Self::Starved => starved(),
            Self::StoreRefused => store_refused(),
            Self::StoreUnavailable => store_unavailable(),
            Self::TooManyMissing { missing, owners } => too_many_missing(missing, owners),
            Self::VersionDiffers { current } => version_differs(current),
        }
    }

    /// What would change it, if that is a separate sentence.
    #[must_use]
    pub fn remedy(self) -> Option<Sentence> {
        match self {
            Self::Denied(denial) => denial.remedy(),
            Self::NotSafeToFinish(_) => Some(finish_it_anyway()),
            Self::TooManyMissing { .. } => Some(close_even_if_many()),
            _ => None,
        }
    }
}

sentences! {
    pub(super) fn all;

    fn actor_busy() = "error.actor_busy":
        "Too many keys are being created for this user at the same time: wait until these requests are answered, then \
         try again.";
    fn clock_unsure() = "error.clock_unsure":
        "The clock of this server jumped, so it is not certain whether an expiry has passed, and nothing was changed: \
         try again in 30 seconds.";
    fn close_even_if_many() = "remedy.close_even_if_many":
        "Check the directory. If it is correct, close these users and teams and confirm that the large number is \
         intended.";
    fn closed_just_now() = "error.closed_just_now":
        "The user, team or organization was closed less than a minute ago, and earlier changes may still be running, \
         so nothing was changed: try again in a minute.";
    fn conflict() = "error.conflict":
        "Somebody else changed this at the same time, and your change was not made: load it again, check it, and try \
         again.";
    fn corrupt_record() = "error.corrupt_record":
        "The stored data of this key is damaged, so the key cannot be managed: restore the data from a backup, or \
         create a new key.";
    fn directory_incomplete(unanswered: u64) = "error.directory_incomplete":
        "The directory did not say whether {unanswered} {unanswered:owner|owners} of active keys (users or teams) \
         still {unanswered:exists|exist}, so nothing was closed: ask the developer who connected the directory to let \
         it answer for each user and team.";
    fn directory_unavailable() = "error.directory_unavailable":
        "The directory of users and teams did not answer, and nothing was changed: try again.";
    fn finish_it_anyway() = "remedy.finish_it_anyway":
        "Nothing was changed. If you know that the old key is not needed any more, finish the rotation anyway.";
    fn hash_failed() = "error.hash_failed": "The new key could not be hashed, so it was not created: try again.";
    fn idempotency_key_reused() = "error.idempotency_key_reused":
        "This idempotency key was used for a different request: use a new idempotency key for this one.";
    fn idempotency_key_used() = "error.idempotency_key_used":
        "This request has already created a key, and the key cannot be shown again: if it is lost, revoke it and \
         create another one, with a new form or a new idempotency key.";
    fn key_expired() = "error.key_expired": "The key has expired, which cannot be undone: create a new one.";
    fn key_paused() = "error.key_paused":
        "The key is paused, and a paused key cannot be rotated: resume it first, or revoke it.";
    fn key_revoked() = "error.key_revoked": "The key is revoked, which cannot be undone: create a new one.";
    fn no_rotation() = "error.no_rotation": "This key has no rotation: start one first.";
    fn not_found() = "error.not_found": "Not found, or you do not have access to it.";
    fn outcome_unknown() = "error.outcome_unknown":
        "It is not known whether the change was made: check the key, and if a new key was created, revoke it before \
         you try again.";
    fn overloaded() = "error.overloaded": "Too many keys are being created: try again in a moment.";
    fn owner_closed() = "error.owner_closed":
        "The user, team or organization is closed permanently and cannot have keys, so nothing was changed: choose \
         another user or team.";
    fn owner_not_closed() = "error.owner_not_closed":
        "Only a closed user, team or organization can be erased: close it first.";
    fn owner_plan_suspended() = "error.owner_plan_suspended":
        "The plan does not include API keys for this user or team: upgrade the plan, then call `plan_changed`.";
    fn owner_suspended() = "error.owner_suspended":
        "The user, team or organization is suspended, so nothing was changed: reinstate it first.";
    fn pepper_missing() = "error.pepper_missing":
        "The server's own secret for new keys (the pepper) is not configured on this server, so the key was not \
         created: configure the same peppers on every server.";
    fn randomness() = "error.randomness":
        "The operating system did not provide random numbers, so nothing was changed: try again.";
    fn rotation_over() = "error.rotation_over":
        "The rotation was finished or aborted in the meantime: check both keys.";
    fn rotation_under_way() = "error.rotation_under_way":
        "A rotation of this key is under way: finish or abort it first; if the other key belongs to somebody else, \
         ask them or an admin of the organization to revoke it.";
    fn starved() = "error.starved":
        "The server was too busy to hash the new key, so it was not created: try again in a moment.";
    fn store_refused() = "error.store_refused":
        "The key store refused this request, and nothing was changed: tell the operator of the service.";
    fn store_unavailable() = "error.store_unavailable":
        "Keys cannot be managed at the moment, and nothing was changed: try again.";
    fn too_many_missing(missing: u64, owners: u64) = "error.too_many_missing":
        "{missing} of {owners} {owners:user or team|users and teams} with active keys {missing:is|are} not in the \
         directory. That is more than 10%, so nothing was closed.";
    fn version_differs(current: i64) = "error.version_differs":
        "Somebody changed the key in the meantime, to version {current}, and your change was not made: load it again, \
         check it, and try again.";
}

impl ManageError {
    /// The HTTP status of an answer with this error: [`ManageErrorKind::status`].
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind().status()
    }

    /// The code of an answer with this error: [`ManageErrorKind::code`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// The request field that is invalid, if it is a single one: [`ManageErrorKind::field`].
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        self.kind().field()
    }

    /// What is wrong, for people: [`ManageErrorKind::sentence`].
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        self.kind().sentence()
    }
}

impl fmt::Display for ManageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ManageErrorKind::Denied(denial) = self.kind() {
            return write!(f, "denied: {denial}");
        }
        self.sentence().as_error().fmt(f)?;
        match self.kind().remedy() {
            Some(remedy) => write!(f, "; {}", remedy.as_error()),
            None => Ok(()),
        }
    }
}

/// A [`ManageError`] as a client gets it: a problem document (RFC 9457), with the media type
/// `application/problem+json`. Unknown values are `null`.
///
/// ```
/// use tower_api_keys::manage::{ManageError, Problem};
///
/// fn answer(error: &ManageError) -> http::Response<Vec<u8>> {
///     let problem = Problem::from(error);
///     let mut answer = http::Response::builder().status(problem.status).header("content-type", Problem::MEDIA_TYPE);
///     if let Some(seconds) = problem.retry_after_seconds() {
///         answer = answer.header("retry-after", seconds);
///     }
///     answer.body(serde_json::to_vec(&problem).unwrap_or_default()).unwrap_or_default()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Problem {
    /// `about:blank`: the title is the status in words.
    pub r#type: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What went wrong, as a word.
    pub code: &'static str,
    /// A more detailed reason: which rule is broken, which quota is used up, what the counts of a rotation say, what is
    /// missing in the service's setup, or what is wrong with a known key.
    pub reason: Option<&'static str>,
    /// Sentence and remedy in English, one after the other.
    pub detail: String,
    /// What is wrong.
    pub sentence: Sentence,
    /// What would change it, if that is a separate sentence.
    pub remedy: Option<Sentence>,
    /// The request field that is invalid, if it is a single one.
    pub field: Option<&'static str>,
    /// The key that the same request made before, if the error [says so](ManageErrorKind::IdempotencyKeyUsed) and the
    /// actor may see it: [`ManageError::replayed`].
    pub key: Option<KeyInfo>,
    /// The current version of the key, if it is [not the expected one](ManageErrorKind::VersionDiffers).
    pub current: Option<i64>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    /// The value for the `Content-Type` header.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// The value for the `Retry-After` header: whole seconds, rounded up. `None` if that is not known, or if a repeat
    /// does not help.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|after| after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1))
    }
}

impl From<&ManageError> for Problem {
    fn from(error: &ManageError) -> Self {
        let kind = error.kind();
        let problem = Self::from(kind);
        Self { key: error.replayed().cloned(), retry_after: error.retry_after().or(problem.retry_after), ..problem }
    }
}

impl From<ManageErrorKind> for Problem {
    fn from(kind: ManageErrorKind) -> Self {
        let (status, sentence, remedy) = (kind.status(), kind.sentence(), kind.remedy());
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: kind.code(),
            reason: kind.reason(),
            detail: joined([Some(&sentence), remedy.as_ref()].into_iter().flatten()),
            sentence,
            remedy,
            field: kind.field(),
            key: None,
            current: match kind {
                ManageErrorKind::VersionDiffers { current } => Some(current),
                _ => None,
            },
            retry_after: kind.passes_by_itself().then_some(Duration::from_secs(1)),
        }
    }
}
