use serde::Serialize;

use super::row::{CorruptRow, time};
use crate::{time::Timestamp, words::words};

words! {
    /// Why an owner's keys stand still for a while. Each hold is lifted only by itself.
    ///
    /// ```
    /// use tower_api_keys::record::Hold;
    ///
    /// assert_eq!(Hold::Suspended.as_str(), "suspended");
    /// ```
    #[non_exhaustive]
    pub enum Hold {
        /// The plan no longer includes these keys.
        Plan = "plan",
        /// An admin suspended the owner.
        Suspended = "suspended",
    }
}

/// Whether an owner's keys are accepted: no hold, and not closed. An owner nobody ever held is active.
///
/// ```
/// use tower_api_keys::record::{Hold, OwnerStatus, OwnerStatusRow};
///
/// let status = OwnerStatus::try_from(&OwnerStatusRow { suspended_at: Some(1), ..Default::default() })?;
/// assert!(!status.is_active());
/// assert!(status.has(Hold::Suspended) && !status.has(Hold::Plan));
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnerStatus {
    suspended_at: Option<Timestamp>,
    plan_held_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
}

impl OwnerStatus {
    /// Neither held nor closed.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.suspended_at.is_none() && self.plan_held_at.is_none() && self.closed_at.is_none()
    }

    /// The status of an owner in an organization with that one: whatever holds for either, since the earlier of the two.
    pub(crate) fn within(self, organization: Self) -> Self {
        let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| one.into_iter().chain(other).min();
        Self {
            suspended_at: earlier(self.suspended_at, organization.suspended_at),
            plan_held_at: earlier(self.plan_held_at, organization.plan_held_at),
            closed_at: earlier(self.closed_at, organization.closed_at),
        }
    }

    /// Whether this hold stands.
    #[must_use]
    pub const fn has(&self, hold: Hold) -> bool {
        self.held_since(hold).is_some()
    }

    /// Since when this hold stands, if it does.
    #[must_use]
    pub const fn held_since(&self, hold: Hold) -> Option<Timestamp> {
        match hold {
            Hold::Plan => self.plan_held_at,
            Hold::Suspended => self.suspended_at,
        }
    }

    /// When the owner was closed, which is final.
    #[must_use]
    pub const fn closed_at(&self) -> Option<Timestamp> {
        self.closed_at
    }
}

/// [`OwnerStatus`] as stores keep it: milliseconds since 1970, or nothing. The default, all nothing, is an active
/// owner, and the same as no row.
///
/// ```
/// use tower_api_keys::record::{OwnerStatus, OwnerStatusRow};
///
/// assert!(OwnerStatus::try_from(&OwnerStatusRow::default())?.is_active());
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerStatusRow {
    /// When an admin suspended the owner.
    pub suspended_at: Option<i64>,
    /// When the plan stopped including the owner's keys.
    pub plan_held_at: Option<i64>,
    /// When the owner was closed for good.
    pub closed_at: Option<i64>,
}

impl TryFrom<&OwnerStatusRow> for OwnerStatus {
    type Error = CorruptRow;

    fn try_from(row: &OwnerStatusRow) -> Result<Self, Self::Error> {
        Ok(Self {
            suspended_at: row.suspended_at.map(|at| time("suspended_at", at)).transpose()?,
            plan_held_at: row.plan_held_at.map(|at| time("plan_held_at", at)).transpose()?,
            closed_at: row.closed_at.map(|at| time("closed_at", at)).transpose()?,
        })
    }
}
