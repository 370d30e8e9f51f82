//! The only knowledge that the layer has of managing keys: how a denial is answered.

use super::Refusal;
use crate::manage::{Denial, DenialReason};

/// The refusal of a client that asked to manage keys and may not: the denial's own sentences, with the code of its
/// reason.
///
/// ```
/// use tower_api_keys::{manage::{Denial, DenialReason}, middleware::{Refusal, RefusalCode}};
///
/// let refusal = Refusal::from(&Denial::from(DenialReason::PlanRequired));
/// assert_eq!(refusal.code(), RefusalCode::PlanRequired);
/// assert!(refusal.detail().starts_with("Team API keys are not included in this plan. Upgrade the plan, or"));
/// ```
impl From<&Denial> for Refusal {
    fn from(denial: &Denial) -> Self {
        let refusal = match denial.reason() {
            DenialReason::InsufficientScope(scope) => Self::insufficient_scope([scope.into()]),
            reason => Self::new(reason.code()),
        };
        refusal.with_detail(denial.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_keeps_its_sentences_and_its_code() {
        for reason in DenialReason::examples() {
            let denial = Denial::from(reason);
            let refusal = Refusal::from(&denial);
            assert_eq!((refusal.code(), refusal.detail()), (reason.code(), denial.to_string().as_str()), "{reason:?}");
            let needed = match reason {
                DenialReason::InsufficientScope(scope) => Some(scope.as_str()),
                _ => None,
            };
            assert_eq!(refusal.scope(), needed, "{reason:?}");
        }
    }
}
