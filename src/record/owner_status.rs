use serde::Serialize;

use super::row::{CorruptRow, time};
use crate::{time::Timestamp, words::words};

words! {
    /// The kinds of suspension of an owner. Each is ended separately, and an owner can be under both.
    ///
    /// ```
    /// use tower_api_keys::Suspension;
    ///
    /// assert_eq!(Suspension::Admin.as_str(), "admin");
    /// ```
    #[non_exhaustive]
    pub enum Suspension {
        /// An admin suspended the owner.
        Admin = "admin",
        /// The plan no longer includes the owner's keys.
        Plan = "plan",
    }
}

/// Whether an owner's keys are accepted: neither suspended nor closed. An owner that is not in the store is active.
///
/// ```
/// use tower_api_keys::record::{OwnerStatus, OwnerStatusRow, Suspension};
///
/// let status = OwnerStatus::try_from(&OwnerStatusRow { suspended_at: Some(1), ..Default::default() })?;
/// assert!(!status.is_active());
/// assert!(status.has(Suspension::Admin) && !status.has(Suspension::Plan));
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct OwnerStatus {
    suspended_at: Option<Timestamp>,
    plan_suspended_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
}

/// Why no key of an owner is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Closed,
    Suspended(Suspension),
}

impl OwnerStatus {
    /// Neither suspended nor closed.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.suspended_at.is_none() && self.plan_suspended_at.is_none() && self.closed_at.is_none()
    }

    /// The status of an owner in an organization with that status: what holds for either, since the earlier time of the
    /// two.
    pub(crate) fn within(self, organization: Self) -> Self {
        let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| one.into_iter().chain(other).min();
        Self {
            suspended_at: earlier(self.suspended_at, organization.suspended_at),
            plan_suspended_at: earlier(self.plan_suspended_at, organization.plan_suspended_at),
            closed_at: earlier(self.closed_at, organization.closed_at),
        }
    }

    /// Whether this suspension is in effect.
    #[must_use]
    pub const fn has(&self, suspension: Suspension) -> bool {
        self.suspended_since(suspension).is_some()
    }

    /// When this suspension began, if it is in effect.
    #[must_use]
    pub const fn suspended_since(&self, suspension: Suspension) -> Option<Timestamp> {
        match suspension {
            Suspension::Admin => self.suspended_at,
            Suspension::Plan => self.plan_suspended_at,
        }
    }

    /// When the owner was closed, which is final.
    #[must_use]
    pub const fn closed_at(&self) -> Option<Timestamp> {
        self.closed_at
    }

    /// Why the owner's keys are refused, and since when. Of several reasons, the permanent one comes first, then the
    /// one that a person decided.
    pub(crate) const fn stopped(&self) -> Option<(Stopped, Timestamp)> {
        match (self.closed_at, self.suspended_at, self.plan_suspended_at) {
            (Some(at), _, _) => Some((Stopped::Closed, at)),
            (None, Some(at), _) => Some((Stopped::Suspended(Suspension::Admin), at)),
            (None, None, Some(at)) => Some((Stopped::Suspended(Suspension::Plan), at)),
            (None, None, None) => None,
        }
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
    /// When the plan no longer included the owner's keys.
    pub plan_suspended_at: Option<i64>,
    /// When the owner was closed permanently.
    pub closed_at: Option<i64>,
}

impl TryFrom<&OwnerStatusRow> for OwnerStatus {
    type Error = CorruptRow;

    fn try_from(row: &OwnerStatusRow) -> Result<Self, Self::Error> {
        Ok(Self {
            suspended_at: row.suspended_at.map(|at| time("suspended_at", at)).transpose()?,
            plan_suspended_at: row.plan_suspended_at.map(|at| time("plan_suspended_at", at)).transpose()?,
            closed_at: row.closed_at.map(|at| time("closed_at", at)).transpose()?,
        })
    }
}
