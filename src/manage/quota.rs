use std::{fmt, time::Duration};

use super::actor::Actor;
use crate::{
    json::json_form,
    owner::{Owner, OwnerRef},
    sentence::{Sentence, sentences},
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
/// assert!(Quota::LiveKeys(20).sentence().to_string().starts_with("The user or team already has 20 active keys"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quota {
    /// Keys that a person makes within an hour, including those that their keys make; or that the keys of one team
    /// make.
    IssuesPerHour(u32),
    /// Live keys of one user or team.
    LiveKeys(u32),
}

sentences! {
    pub(super) fn all;

    fn issues_per_hour(limit: u32) = "quota.issues_per_hour":
        "You created as many keys within the last hour as this service allows ({limit}): try again in an hour.";
    fn live_keys(limit: u32) = "quota.live_keys":
        "The user or team already has {limit} active {limit:key|keys}, as many as this service allows: revoke one \
         that is not needed any more.";
}

impl Quota {
    /// The quota as a word in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IssuesPerHour(_) => "issues_per_hour",
            Self::LiveKeys(_) => "live_keys",
        }
    }

    /// The number that it allows.
    #[must_use]
    pub const fn limit(self) -> u32 {
        match self {
            Self::IssuesPerHour(limit) | Self::LiveKeys(limit) => limit,
        }
    }

    /// The quota as a sentence for people, with what to do.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        match self {
            Self::IssuesPerHour(limit) => issues_per_hour(limit),
            Self::LiveKeys(limit) => live_keys(limit),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

json_form! {
    Quota, |quota| _ => {
        #[cfg_attr(feature = "schemars", schemars(extend("enum" = ["issues_per_hour", "live_keys"])))]
        quota: &'static str = quota.as_str(),
        limit: u32 = quota.limit(),
        sentence: Sentence = quota.sentence(),
    }
}

/// The quotas of a service; each is unlimited unless set.
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

    /// The room for one more key made by this actor in this owner's organization. What a key makes counts for its
    /// owner: otherwise each key that it makes or rotates into would have an hour of its own. The system has no limit:
    /// its jobs are the service's own.
    pub(super) fn issues(self, actor: &Actor, owner: &OwnerRef, at: Timestamp) -> Option<(Guard, Quota)> {
        let limit = self.issues_per_hour?;
        let by = OwnerRef { organization: owner.organization.clone(), owner: actor.standing_on()? };
        // A key that was made exactly an hour ago, to the millisecond, is no longer within the hour.
        let since = at.saturating_sub(HOUR).saturating_add(Duration::from_millis(1));
        let until = at.saturating_add(LARGEST_SKEW);
        Some((Guard::IssuedBelow { by, since, until, limit }, Quota::IssuesPerHour(limit)))
    }
}
