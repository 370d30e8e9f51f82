use std::{fmt, time::Duration};

use super::actor::Actor;
use crate::{
    owner::{Owner, OwnerRef},
    store::Guard,
    time::Timestamp,
    usage::LARGEST_SKEW,
};

/// The window of [`Quota::IssuesPerHour`].
const HOUR: Duration = Duration::from_secs(3_600);

/// A quota that is used up, with the number that it allows. Set with
/// [`max_live_keys_per_user`](crate::ApiKeysBuilder::max_live_keys_per_user),
/// [`max_live_keys_per_team`](crate::ApiKeysBuilder::max_live_keys_per_team) and
/// [`max_issues_per_hour`](crate::ApiKeysBuilder::max_issues_per_hour).
///
/// ```
/// use tower_api_keys::manage::Quota;
///
/// assert!(Quota::LiveKeys(20).to_string().starts_with("the user or team has 20 live keys"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quota {
    /// Keys that a person makes within an hour, those among them that their keys make; or the keys of one team.
    IssuesPerHour(u32),
    /// Live keys of one user or team.
    LiveKeys(u32),
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IssuesPerHour(limit) => write!(
                f,
                "you made as many keys within the last hour as this service allows ({limit}): try again in an hour"
            ),
            Self::LiveKeys(limit) => write!(
                f,
                "the user or team has {limit} live keys, as many as this service allows: revoke one that is no longer \
                 needed"
            ),
        }
    }
}

/// The quotas of a service; none of them unless it is set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quotas {
    pub(crate) live_keys_of_user: Option<u32>,
    pub(crate) live_keys_of_team: Option<u32>,
    pub(crate) issues_per_hour: Option<u32>,
}

impl Quotas {
    /// Whether there is room for one more key of this owner.
    pub(super) fn live_keys(self, owner: &OwnerRef) -> Option<(Guard, Quota)> {
        let limit = match owner.owner {
            Owner::Team(_) => self.live_keys_of_team?,
            Owner::User(_) => self.live_keys_of_user?,
        };
        Some((Guard::LiveKeysBelow { owner: owner.clone(), limit }, Quota::LiveKeys(limit)))
    }

    /// Whether this actor may make one more key in this owner's organization. A key makes its own on the account of its
    /// owner: it would find an hour of its own in each key that it makes or rotates into. The system makes as many as it
    /// likes: its jobs are the service's own.
    pub(super) fn issues(self, actor: &Actor, owner: &OwnerRef, at: Timestamp) -> Option<(Guard, Quota)> {
        let limit = self.issues_per_hour?;
        let by = OwnerRef { organization: owner.organization.clone(), owner: actor.standing_on()? };
        // A key made an hour ago, to the millisecond, is no longer within the hour.
        let since = at.saturating_sub(HOUR).saturating_add(Duration::from_millis(1));
        let until = at.saturating_add(LARGEST_SKEW);
        Some((Guard::IssuedBelow { by, since, until, limit }, Quota::IssuesPerHour(limit)))
    }
}
