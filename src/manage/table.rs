use super::{
    actor::Actor,
    denial::DenialReason,
    policy::{Decision, KeyAction, PausedBy, Policy, Target},
};
use crate::owner::{Owner, TeamId, UserId};

/// The default [`Policy`]: the table on the [module's page](super). What it does not name is refused.
///
/// ```
/// use tower_api_keys::{Actor, Owner, UserId, manage::{Decision, KeyAction, Policy, Rights, DefaultPolicy, Target}};
///
/// let alice = Actor::user(UserId::new("alice")?, Rights::none());
/// let bob = Owner::User(UserId::new("bob")?);
/// assert_eq!(DefaultPolicy.decide(&alice, KeyAction::Close, &Target::Owner(&bob)), Decision::Hide);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {
    fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
        if !is_meant_for(action, target) {
            return Decision::Hide;
        }
        if actor.is_system() {
            return Decision::Allow;
        }
        match target.owner() {
            Some(Owner::User(user)) => of_user(actor, action, user, is_anothers_pause(actor, target)),
            Some(Owner::Team(team)) => of_team(actor, action, team),
            // Whoever belongs to a suspended organization is suspended with it, and does not act. To end all of it for good is
            // more than the account of one admin, which may be a stolen one, should be able to.
            None if matches!(action, KeyAction::Close | KeyAction::Reinstate) => {
                Decision::Deny(DenialReason::SystemOnly)
            }
            None if actor.is_org_admin() => Decision::Allow,
            None => Decision::Deny(DenialReason::InsufficientRole),
        }
    }
}

/// Whether the action can be done to such a target at all.
const fn is_meant_for(action: KeyAction, target: &Target<'_>) -> bool {
    use KeyAction::{Audit, Close, Issue, Reinstate, Revoke, See, SeeBlastRadius, SeeExposure, SeeUsage, Suspend};
    match target {
        Target::Key { .. } => action.is_of_a_key(),
        Target::NewKey { .. } => matches!(action, Issue),
        Target::Organization => {
            matches!(action, Audit | Close | Reinstate | Revoke | See | SeeUsage | Suspend)
        }
        Target::Owner(Owner::Team(_)) => {
            matches!(action, Audit | Close | Reinstate | Revoke | See | SeeUsage | Suspend)
        }
        Target::Owner(Owner::User(_)) => {
            matches!(
                action,
                Audit | Close | Reinstate | Revoke | See | SeeBlastRadius | SeeExposure | SeeUsage | Suspend
            )
        }
    }
}

/// Whether somebody else paused the key: what an admin stopped, its person does not start again.
fn is_anothers_pause(actor: &Actor, target: &Target<'_>) -> bool {
    match target {
        Target::Key { paused: PausedBy::Actor(by), .. } => **by != actor.id(),
        Target::Key { paused: PausedBy::Unknown, .. } => true,
        _ => false,
    }
}

/// A person and their personal keys.
fn of_user(actor: &Actor, action: KeyAction, user: &UserId, is_anothers_pause: bool) -> Decision {
    use KeyAction::{
        Audit, Close, Expire, Issue, Narrow, Pause, Reinstate, Relabel, Rename, Resume, Revoke, Rotate, See,
        SeeBlastRadius, SeeExposure, SeeUsage, Suspend,
    };
    let is_self = actor.user_id() == Some(user);
    match action {
        Audit | Pause | Revoke | See | SeeBlastRadius | SeeUsage if is_self || actor.is_org_admin() => Decision::Allow,
        Resume if actor.is_org_admin() || is_self && !is_anothers_pause => Decision::Allow,
        Expire | Issue | Narrow | Relabel | Rename | Rotate if is_self => Decision::Allow,
        Close | Reinstate | SeeExposure | Suspend if actor.is_org_admin() => Decision::Allow,
        _ if is_self => Decision::Deny(DenialReason::InsufficientRole),
        _ if actor.is_org_admin() => Decision::Deny(DenialReason::NotYourKey),
        _ => Decision::Hide,
    }
}

/// A team and its keys.
fn of_team(actor: &Actor, action: KeyAction, team: &TeamId) -> Decision {
    use KeyAction::{
        Audit, Close, Expire, Issue, Narrow, Pause, Reinstate, Relabel, Rename, Resume, Revoke, Rotate, See, SeeUsage,
        Suspend,
    };
    let role = actor.role_in(team);
    let manages = actor.is_org_admin() || role.is_some_and(|role| role.manages_keys());
    match action {
        See if manages || role.is_some() => Decision::Allow,
        Audit | Expire | Narrow | Pause | Relabel | Rename | Resume | Revoke | Rotate | SeeUsage if manages => {
            Decision::Allow
        }
        Issue if manages && actor.includes_team_keys(team) => Decision::Allow,
        Issue if manages => Decision::Deny(DenialReason::PlanRequired),
        Close | Reinstate | Suspend if actor.is_org_admin() => Decision::Allow,
        _ if manages || role.is_some() => Decision::Deny(DenialReason::InsufficientRole),
        _ => Decision::Hide,
    }
}
