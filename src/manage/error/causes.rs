use super::{ManageError, ManageErrorKind};
use crate::{
    hash::{HashError, HashErrorKind, VerifyError, VerifyErrorKind},
    record::{Stopped, Suspension},
    store::{Conflict, StoreError, StoreErrorKind},
    time::{ClockInDoubt, LONGEST_DOUBT},
};

impl From<ClockInDoubt> for ManageError {
    fn from(doubt: ClockInDoubt) -> Self {
        Self { retry_after: Some(LONGEST_DOUBT), ..Self::new(ManageErrorKind::ClockUnsure).with_source(doubt) }
    }
}

impl From<Stopped> for ManageErrorKind {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Closed => Self::OwnerClosed,
            Stopped::Suspended(Suspension::Admin) => Self::OwnerSuspended,
            Stopped::Suspended(Suspension::Plan) => Self::OwnerPlanSuspended,
        }
    }
}

impl From<StoreError> for ManageError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            // Without a source: a missing key and a hidden key must look the same.
            StoreErrorKind::Conflict(Conflict::Missing) => return Self::not_found(),
            StoreErrorKind::Conflict(Conflict::NotClosed) => ManageErrorKind::OwnerNotClosed,
            StoreErrorKind::Conflict(Conflict::OwnerClosed) => ManageErrorKind::OwnerClosed,
            StoreErrorKind::Conflict(Conflict::IdempotencyKeyUsed { same_request: true, .. }) => {
                ManageErrorKind::IdempotencyKeyUsed
            }
            StoreErrorKind::Conflict(Conflict::IdempotencyKeyUsed { same_request: false, .. }) => {
                ManageErrorKind::IdempotencyKeyReused
            }
            StoreErrorKind::Conflict(Conflict::Revoked) => ManageErrorKind::KeyRevoked,
            StoreErrorKind::Conflict(
                Conflict::Differs | Conflict::Guard(_) | Conflict::IdTaken | Conflict::Version,
            ) => ManageErrorKind::Conflict,
            StoreErrorKind::Conflict(Conflict::Successor) => ManageErrorKind::RotationUnderWay,
            StoreErrorKind::Corrupt => ManageErrorKind::CorruptRecord,
            StoreErrorKind::OutcomeUnknown => ManageErrorKind::OutcomeUnknown,
            StoreErrorKind::Refused => ManageErrorKind::StoreRefused,
            StoreErrorKind::Unavailable => ManageErrorKind::StoreUnavailable,
        };
        Self::new(kind).with_source(error)
    }
}

impl From<HashError> for ManageError {
    fn from(error: HashError) -> Self {
        let kind = match error.kind() {
            HashErrorKind::Crowded => ManageErrorKind::ActorBusy,
            HashErrorKind::Overloaded => ManageErrorKind::Overloaded,
            HashErrorKind::Starved => ManageErrorKind::Starved,
            HashErrorKind::Randomness => ManageErrorKind::Randomness,
            HashErrorKind::Corrupt | HashErrorKind::Failed => ManageErrorKind::HashFailed,
        };
        Self { retry_after: error.retry_after(), ..Self::new(kind).with_source(error) }
    }
}

/// The error when a text could not be checked; the caller reports a wrong text itself.
impl From<VerifyError> for ManageError {
    fn from(error: VerifyError) -> Self {
        let kind = match error.kind() {
            VerifyErrorKind::Corrupt => ManageErrorKind::CorruptRecord,
            VerifyErrorKind::Failed => ManageErrorKind::HashFailed,
            VerifyErrorKind::Mismatch => ManageErrorKind::Conflict,
            VerifyErrorKind::Overloaded => ManageErrorKind::Overloaded,
            VerifyErrorKind::Starved => ManageErrorKind::Starved,
        };
        Self { retry_after: error.retry_after(), ..Self::new(kind).with_source(error) }
    }
}
