use futures_util::future::join;

use super::{Access, Gift, OwnKey};
use crate::{
    audit::Subject,
    key::KeyId,
    manage::{
        actor::Actor,
        denial::DenialReason,
        error::{ManageError, ManageErrorKind},
        invalid::InvalidInput,
        policy::{Decision, KeyAction, Target},
        trail::{Attempt, HIDDEN, NOT_FOUND},
    },
    networks::Networks,
    owner::{OrganizationId, Owner, TeamId, TeamRef},
    scope::Scopes,
    store::KeyQuery,
};

impl Access<'_> {
    /// Whether the actor may do this action on this target: a hint, without a record in the trail. For a new key of a
    /// team, [`decision`](Self::decision) is more precise.
    pub(in crate::manage) fn may(&self, action: KeyAction, target: &Target<'_>) -> bool {
        self.decide(action, target) == Decision::Allow
    }

    /// The decision that the actor gets, without a record in the trail: that of the policy, and that a key is made only
    /// for a team of this organization. Another team is hidden, so that guesses do not reveal which teams exist.
    pub(in crate::manage) async fn decision(
        &self,
        action: KeyAction,
        target: &Target<'_>,
    ) -> Result<Decision, ManageError> {
        let decision = self.decide(action, target);
        let is_ours = match target {
            Target::NewKey { owner: Owner::Team(team), .. } if decision == Decision::Allow => {
                self.is_team_of_ours(team).await?
            }
            _ => true,
        };
        Ok(if is_ours { decision } else { Decision::Hide })
    }

    /// Requires the decision for an attempt; a refusal is recorded in the audit trail.
    pub(in crate::manage) async fn require(&self, action: KeyAction, target: &Target<'_>) -> Result<(), ManageError> {
        match self.decision(action, target).await? {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => Err(self.deny(action, reason, target)),
            Decision::Hide => Err(match target {
                Target::NewKey { owner, .. } | Target::Owner(owner) => self.hide_owner(action, owner).await,
                Target::Key { .. } | Target::Organization => self.hide(action, subject(target)),
            }),
        }
    }

    /// The error for a target that the actor knows of, but may not act on.
    pub(in crate::manage) fn deny(&self, action: KeyAction, reason: DenialReason, target: &Target<'_>) -> ManageError {
        self.note(Some(action), reason.code().as_str(), subject(target), None);
        ManageError::new(ManageErrorKind::Denied(self.parts.rules.denial(reason)))
    }

    /// The error for a target that the actor may not know exists: this key, or one of this owner.
    pub(super) fn hide(&self, action: KeyAction, aimed_at: Option<Subject>) -> ManageError {
        self.note(Some(action), HIDDEN, aimed_at, None);
        ManageError::not_found()
    }

    /// The same for an owner. One that does not exist counts as a guess, which takes no room in the trail from attempts
    /// on existing owners. The store is asked in any case, so that the time of the answer reveals nothing.
    pub(super) async fn hide_owner(&self, action: KeyAction, owner: &Owner) -> ManageError {
        if self.is_known(owner).await {
            return self.hide(action, Some(Subject::Owner(owner.clone())));
        }
        self.note(Some(action), NOT_FOUND, None, None);
        ManageError::not_found()
    }

    /// Whether the owner has a key, dead or alive, or a status; if that cannot be read, it counts as known.
    async fn is_known(&self, owner: &Owner) -> bool {
        let query = KeyQuery { owners: vec![owner.clone()], ..KeyQuery::all(self.parts.organization.clone()) };
        let (has_keys, has_no_status) = join(self.finds_any(query), self.has_no_status(owner)).await;
        has_keys.unwrap_or(true) || !has_no_status.unwrap_or(false)
    }

    /// The error if no key with this id exists here, or the row does not say whose key it is.
    pub(in crate::manage) fn absent(&self, action: KeyAction, id: &KeyId) -> ManageError {
        self.note(Some(action), NOT_FOUND, None, Some(*id));
        ManageError::not_found()
    }

    /// Adds a denied attempt for the audit trail; about the actor's own user or team, if nothing is known about its
    /// target. The system cannot be denied what does not exist.
    pub(in crate::manage) fn note(
        &self,
        action: Option<KeyAction>,
        reason: &'static str,
        aimed_at: Option<Subject>,
        asked: Option<KeyId>,
    ) {
        let (parts, actor) = (self.parts, &self.actor);
        let Some(subject) = aimed_at.or_else(|| actor.standing_on().map(Subject::Owner)) else { return };
        parts.guarded.denials.note(Attempt {
            // An attempt from another organization is recorded there: nothing of one organization is visible in
            // another.
            organization: actor.organization().unwrap_or(&parts.organization).clone(),
            actor: actor.id(),
            action: action.map(KeyAction::as_str),
            reason,
            subject,
            asked,
            source: actor.source().map(ToString::to_string),
        });
    }

    /// The decision without the directory.
    pub(in crate::manage) fn decide(&self, action: KeyAction, target: &Target<'_>) -> Decision {
        match self.parts.guarded.policy.decide(&self.actor, action, target) {
            Decision::Allow if is_widening(&self.actor, target) => Decision::Deny(DenialReason::ScopesTooWide),
            decision => decision,
        }
    }

    /// A key that acts gives another key nothing beyond its own rights, whether it makes it or gets its text by a
    /// rotation.
    pub(in crate::manage) fn require_gift(
        &self,
        action: KeyAction,
        target: &Target<'_>,
        gift: Gift<'_>,
    ) -> Result<(), ManageError> {
        self.excess(gift).map_or(Ok(()), |reason| Err(self.deny(action, reason, target)))
    }

    /// A list of networks for a key is refused if the service does not check the addresses of requests.
    pub(in crate::manage) fn require_addresses(&self, networks: Option<&Networks>) -> Result<(), ManageError> {
        if networks.is_some() && !self.parts.rules.finds_addresses {
            return Err(ManageError::invalid(InvalidInput::NetworksUnchecked));
        }
        Ok(())
    }

    /// What such a key would have beyond the acting key, if a key acts.
    pub(in crate::manage) fn excess(&self, gift: Gift<'_>) -> Option<DenialReason> {
        let OwnKey { expires_at: own_end, networks, limits, .. } = self.own.as_ref()?;
        if exceed(gift.scopes, self.actor.scopes()?) {
            return Some(DenialReason::ScopesTooWide);
        }
        if own_end.is_some_and(|own_end| gift.expires_at.is_none_or(|end| end > own_end)) {
            return Some(DenialReason::ExpiryTooLate);
        }
        if is_wider(gift.networks, networks.as_ref()) {
            return Some(DenialReason::NetworksTooWide);
        }
        // Only the service knows what limits mean: other limits might allow more.
        let is_limited_alike = limits.is_none() || limits.as_deref() == gift.limits;
        (!is_limited_alike).then_some(DenialReason::LimitsTooWide)
    }

    async fn is_team_of_ours(&self, team: &TeamId) -> Result<bool, ManageError> {
        if self.actor.is_system() {
            return Ok(true);
        }
        let (organization, limit) = (&self.parts.organization, self.parts.guarded.limit());
        let team = TeamRef::new(organization.clone(), team.clone());
        let said = self.parts.rules.directory.has_team(&team, limit).await?;
        Ok(said.unwrap_or_else(|| *organization == OrganizationId::single() || self.actor.names_team(&team.team)))
    }
}

/// Whether a key with the first list may be used from a network outside the second. Without a list, it may from
/// anywhere.
pub(in crate::manage) fn is_wider(networks: Option<&Networks>, other: Option<&Networks>) -> bool {
    other.is_some_and(|other| networks.is_none_or(|networks| !networks.is_within(other)))
}

/// The target of an attempt; `None` for an organization.
fn subject(target: &Target<'_>) -> Option<Subject> {
    match target {
        Target::Key { id, owner, .. } => Some(Subject::Key(**id, (*owner).clone())),
        Target::NewKey { owner, .. } | Target::Owner(owner) => Some(Subject::Owner((*owner).clone())),
        Target::Organization => None,
    }
}

/// No policy can allow a key to give more scopes than it has.
fn is_widening(actor: &Actor, target: &Target<'_>) -> bool {
    match (actor.scopes(), target) {
        (Some(own), Target::NewKey { scopes, .. }) => exceed(scopes, own),
        _ => false,
    }
}

/// Whether these are more than a key with its own scopes may give: a key makes no key that manages keys.
fn exceed(given: &Scopes, own: &Scopes) -> bool {
    given.manage_keys() || !given.is_within(own)
}
