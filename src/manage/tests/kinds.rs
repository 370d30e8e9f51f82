//! One error of each kind. The list does not compile if one is missing.

use crate::manage::{
    InvalidInput, KnownKeyProblem, ManageErrorKind, Misconfiguration, Quota, RotationVerdict, denial::DenialReason,
};

/// One of each kind. A missing kind does not compile in [`follows`].
pub(super) fn every_kind() -> Vec<ManageErrorKind> {
    std::iter::successors(Some(ManageErrorKind::ActorBusy), |kind| follows(*kind)).collect()
}

fn follows(kind: ManageErrorKind) -> Option<ManageErrorKind> {
    use ManageErrorKind as Kind;
    let follows = |what: InvalidInput| InvalidInput::ALL.into_iter().skip_while(move |one| *one != what).nth(1);
    Some(match kind {
        Kind::ActorBusy => Kind::ClockUnsure,
        Kind::ClockUnsure => Kind::ClosedJustNow,
        Kind::ClosedJustNow => Kind::Conflict,
        Kind::Conflict => Kind::CorruptRecord,
        Kind::CorruptRecord => Kind::Denied(DenialReason::InsufficientRole.into()),
        Kind::Denied(_) => Kind::DirectoryIncomplete { unanswered: 2 },
        Kind::DirectoryIncomplete { .. } => Kind::DirectoryUnavailable,
        Kind::DirectoryUnavailable => Kind::HashFailed,
        Kind::HashFailed => Kind::IdempotencyKeyReused,
        Kind::IdempotencyKeyReused => Kind::IdempotencyKeyUsed,
        Kind::IdempotencyKeyUsed => Kind::Invalid(InvalidInput::ALL[0]),
        Kind::Invalid(what) => follows(what).map_or(Kind::KeyExpired, Kind::Invalid),
        Kind::KeyExpired => Kind::KeyPaused,
        Kind::KeyPaused => Kind::KeyRevoked,
        Kind::KeyRevoked => Kind::KnownKey(KnownKeyProblem::ALL[0]),
        Kind::KnownKey(what) => {
            let next = KnownKeyProblem::ALL.into_iter().skip_while(|one| *one != what).nth(1);
            next.map_or(Kind::Misconfigured(Misconfiguration::ActorWithoutOrganization), Kind::KnownKey)
        }
        Kind::Misconfigured(Misconfiguration::ActorWithoutOrganization) => {
            Kind::Misconfigured(Misconfiguration::ManagerWithoutOrganization)
        }
        Kind::Misconfigured(Misconfiguration::ManagerWithoutOrganization) => {
            Kind::Misconfigured(Misconfiguration::NoDirectory)
        }
        Kind::Misconfigured(Misconfiguration::NoDirectory) => Kind::NoRotation,
        Kind::NoRotation => Kind::NotFound,
        Kind::NotFound => Kind::NotSafeToFinish(RotationVerdict::NotStarted),
        Kind::NotSafeToFinish(_) => Kind::OutcomeUnknown,
        Kind::OutcomeUnknown => Kind::Overloaded,
        Kind::Overloaded => Kind::OwnerClosed,
        Kind::OwnerClosed => Kind::OwnerNotClosed,
        Kind::OwnerNotClosed => Kind::OwnerPlanSuspended,
        Kind::OwnerPlanSuspended => Kind::OwnerSuspended,
        Kind::OwnerSuspended => Kind::PepperMissing,
        Kind::PepperMissing => Kind::QuotaReached(Quota::IssuesPerHour(1)),
        Kind::QuotaReached(Quota::IssuesPerHour(_)) => Kind::QuotaReached(Quota::LiveKeys(20)),
        Kind::QuotaReached(_) => Kind::Randomness,
        Kind::Randomness => Kind::RotationOver,
        Kind::RotationOver => Kind::RotationUnderWay,
        Kind::RotationUnderWay => Kind::Starved,
        Kind::Starved => Kind::StoreRefused,
        Kind::StoreRefused => Kind::StoreUnavailable,
        Kind::StoreUnavailable => Kind::TooManyMissing { missing: 3, owners: 12 },
        Kind::TooManyMissing { .. } => Kind::VersionDiffers { current: 3 },
        Kind::VersionDiffers { .. } => return None,
    })
}
