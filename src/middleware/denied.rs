//! The one thing that the layer knows of managing keys: how a denial is answered.

use super::Refusal;
use crate::{
    manage::{Denial, DenialReason},
    outcome::RefusalCode,
};

/// What a client may be told when it asked for keys to be managed and may not: the denial's own sentences, with the code
/// that fits best.
///
/// ```
/// use tower_api_keys::{manage::{Denial, DenialReason}, middleware::{Refusal, RefusalCode}};
///
/// let refusal = Refusal::from(&Denial::from(DenialReason::PlanRequired));
/// assert_eq!(refusal.code(), RefusalCode::PlanRequired);
/// assert_eq!(refusal.detail(), "Team API keys are not included in this plan.");
/// ```
impl From<&Denial> for Refusal {
    fn from(denial: &Denial) -> Self {
        let code = match denial.reason() {
            DenialReason::ActorClosed => RefusalCode::OwnerClosed,
            DenialReason::ActorPlanSuspended => RefusalCode::OwnerPlanSuspended,
            DenialReason::ActorSuspended => RefusalCode::OwnerSuspended,
            // Or its time is over: either way it is of no use any more.
            DenialReason::ActorKeyDead => RefusalCode::KeyRevoked,
            DenialReason::Custom(_) | DenialReason::InsufficientRole | DenialReason::NotYourKey => {
                RefusalCode::InsufficientRole
            }
            DenialReason::InsufficientScope | DenialReason::ScopesTooWide => RefusalCode::InsufficientScope,
            DenialReason::PlanRequired => RefusalCode::PlanRequired,
        };
        Self::new(code).with_detail(denial.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_keeps_its_sentences_and_gets_the_code_that_fits() {
        for (reason, code) in [
            (DenialReason::ActorClosed, RefusalCode::OwnerClosed),
            (DenialReason::ActorPlanSuspended, RefusalCode::OwnerPlanSuspended),
            (DenialReason::ActorSuspended, RefusalCode::OwnerSuspended),
            (DenialReason::ActorKeyDead, RefusalCode::KeyRevoked),
            (DenialReason::Custom("Not here."), RefusalCode::InsufficientRole),
            (DenialReason::InsufficientRole, RefusalCode::InsufficientRole),
            (DenialReason::InsufficientScope, RefusalCode::InsufficientScope),
            (DenialReason::NotYourKey, RefusalCode::InsufficientRole),
            (DenialReason::PlanRequired, RefusalCode::PlanRequired),
            (DenialReason::ScopesTooWide, RefusalCode::InsufficientScope),
        ] {
            let denial = Denial::from(reason);
            let refusal = Refusal::from(&denial);
            assert_eq!((refusal.code(), refusal.detail()), (code, denial.to_string().as_str()), "{reason:?}");
        }
    }
}
