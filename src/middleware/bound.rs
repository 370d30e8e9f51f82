use http::Extensions;

use crate::{owner::TeamRef, principal::Principal};

/// In the extensions of a request that a layer let through because of the organization, or the team of one, that the
/// request is about. Holds the caller that was judged: it does not apply to another caller that a layer further in
/// finds.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    caller: Principal,
    team: Option<TeamRef>,
}

impl Bound {
    /// The caller is of the organization that the request is about.
    pub(crate) const fn of(caller: Principal) -> Self {
        Self { caller, team: None }
    }

    /// Like [`of`](Self::of), for a request about this team, which the caller has access to.
    pub(crate) const fn to_team(caller: Principal, team: TeamRef) -> Self {
        Self { caller, team: Some(team) }
    }

    /// Puts it where handlers find it. If a layer further out judged a team, a layer that asks for less does not erase
    /// that.
    pub(crate) fn put_into(self, extensions: &mut Extensions) {
        let says_less = |known: &Self| self.team.is_none() && known.team.is_some() && known.is_for(&self.caller);
        if !extensions.get().is_some_and(says_less) {
            extensions.insert(self);
        }
    }

    /// Whether it was judged for this caller.
    pub(crate) fn is_for(&self, principal: &Principal) -> bool {
        self.caller.is_same_caller(principal)
    }

    #[cfg(feature = "axum")]
    pub(crate) const fn team(&self) -> Option<&TeamRef> {
        self.team.as_ref()
    }
}
