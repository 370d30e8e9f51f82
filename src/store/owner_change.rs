use super::error::Conflict;
use crate::{
    record::{OwnerStatusRow, Suspension},
    time::Timestamp,
};

/// A change of the status of an owner. A second suspension of the same kind, the end of a suspension that does not
/// exist, and a second close change nothing and are no conflicts. To suspend or reinstate a closed owner is a conflict.
///
/// ```
/// use tower_api_keys::{Timestamp, record::{Suspension, OwnerStatusRow}, store::OwnerChange};
///
/// let suspended = OwnerChange::Suspend(Suspension::Admin).applied_to(OwnerStatusRow::default(), Timestamp::MIN)?;
/// assert_eq!(suspended.suspended_at, Some(0));
/// # Ok::<(), tower_api_keys::store::Conflict>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerChange {
    /// Closes the owner, which is final.
    Close,
    /// Ends this suspension, and no other.
    Reinstate(Suspension),
    /// Suspends the owner.
    Suspend(Suspension),
}

impl OwnerChange {
    /// The status after this change. What is already so keeps its time.
    ///
    /// # Errors
    /// [`Conflict::OwnerClosed`] if the owner is closed and the change is not a close.
    pub fn applied_to(self, before: OwnerStatusRow, at: Timestamp) -> Result<OwnerStatusRow, Conflict> {
        let now = Some(at.as_millis());
        let mut after = before;
        match self {
            Self::Close => after.closed_at = before.closed_at.or(now),
            _ if before.closed_at.is_some() => return Err(Conflict::OwnerClosed),
            Self::Reinstate(Suspension::Admin) => after.suspended_at = None,
            Self::Reinstate(Suspension::Plan) => after.plan_suspended_at = None,
            Self::Suspend(Suspension::Admin) => after.suspended_at = before.suspended_at.or(now),
            Self::Suspend(Suspension::Plan) => after.plan_suspended_at = before.plan_suspended_at.or(now),
        }
        Ok(after)
    }
}
