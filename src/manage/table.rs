use super::{
    actor::Actor,
    denial::DenialReason,
    policy::{Decision, KeyAction, PausedBy, Policy, Target},
};
use crate::owner::{Owner, TeamId, UserId};

/// The default [`Policy`]: the table on the [module's page](super). What the table does not name is refused.
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

impl DefaultPolicy {
    /// This table, except that an admin of the organization also makes personal keys for others: for a user that is not
    /// a person, or one who cannot use the console. Without it, only people themselves and the system make personal
    /// keys.
    ///
    /// The key belongs to that person: it has their permissions, is in their list, and stops when they leave. They see
    /// who made it. The admin sees its text once, so it is among the keys that the admin was
    /// [exposed](super::KeyManager::exposure) to.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower_api_keys::{
    ///     Actor, ApiKeys, IssueKey, UserId,
    ///     manage::{DefaultPolicy, NoteKind, Rights},
    ///     store::MemoryStore,
    /// };
    ///
    /// let keys = ApiKeys::builder(MemoryStore::new()).policy(DefaultPolicy.with_personal_keys_by_admins());
    /// # let keys = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET);
    /// let manager = keys.build().await?.manager();
    /// let olga = Actor::user(UserId::new("olga")?, Rights::none().org_admin());
    /// let request = IssueKey::user(UserId::new("alice")?).named("Laptop");
    /// assert!(manager.preview(&request, &olga).await?.has(NoteKind::MadeForSomebodyElse));
    /// let issued = manager.issue(request, &olga).await?;
    /// assert_eq!(issued.info().made_by_another(), Some(&UserId::new("olga")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Security
    /// Anyone who has the text of a personal key acts as its person. An admin gives it no
    /// [`ManagingScope`](crate::ManagingScope), and no key makes one for another person, whatever its scopes.
    #[must_use]
    pub const fn with_personal_keys_by_admins(self) -> PersonalKeysByAdmins {
        PersonalKeysByAdmins(())
    }
}

/// The [`DefaultPolicy`], with which an admin of the organization also makes personal keys for others: see
/// [`with_personal_keys_by_admins`](DefaultPolicy::with_personal_keys_by_admins).
///
/// ```
/// use tower_api_keys::{Actor, Owner, UserId, manage::{Decision, DefaultPolicy, KeyAction, Policy, Rights, Target}};
///
/// let policy = DefaultPolicy.with_personal_keys_by_admins();
/// let olga = Actor::user(UserId::new("olga")?, Rights::none().org_admin());
/// let bob = Owner::User(UserId::new("bob")?);
/// assert_eq!(policy.decide(&olga, KeyAction::Issue, &Target::new_key(&bob)), Decision::Allow);
/// assert_ne!(DefaultPolicy.decide(&olga, KeyAction::Issue, &Target::new_key(&bob)), Decision::Allow);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PersonalKeysByAdmins(());

impl Policy for PersonalKeysByAdmins {
    fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
        match (action, target) {
            (KeyAction::Issue, Target::NewKey { owner: Owner::User(_), scopes, .. })
                if actor.is_org_admin() && actor.key_id().is_none() && !scopes.manage_keys() =>
            {
                Decision::Allow
            }
            _ => DefaultPolicy.decide(actor, action, target),
        }
    }
}

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
            // Everyone in a suspended organization is suspended with it, and cannot act. To end all of it permanently,
            // the account of one admin is not enough: it may be stolen.
            None if matches!(action, KeyAction::Close | KeyAction::Erase | KeyAction::Reinstate) => {
                Decision::Deny(DenialReason::SystemOnly)
            }
            None if actor.is_org_admin() || actor.is_auditor() && is_audit(action) => Decision::Allow,
            None => Decision::Deny(DenialReason::InsufficientRole),
        }
    }
}

/// Whether the action exists for such a target.
const fn is_meant_for(action: KeyAction, target: &Target<'_>) -> bool {
    use KeyAction::{
        Audit, Close, Erase, Issue, Reinstate, Revoke, See, SeeBlastRadius, SeeExposure, SeeUsage, Suspend,
    };
    match target {
        Target::Key { .. } => action.is_of_a_key(),
        Target::NewKey { .. } => matches!(action, Issue),
        Target::Organization => {
            matches!(action, Audit | Close | Erase | Reinstate | Revoke | See | SeeExposure | SeeUsage | Suspend)
        }
        Target::Owner(Owner::Team(_)) => {
            matches!(action, Audit | Close | Erase | Reinstate | Revoke | See | SeeExposure | SeeUsage | Suspend)
        }
        Target::Owner(Owner::User(_)) => {
            matches!(
                action,
                Audit | Close | Erase | Reinstate | Revoke | See | SeeBlastRadius | SeeExposure | SeeUsage | Suspend
            )
        }
    }
}

/// Whether an auditor may do this.
const fn is_audit(action: KeyAction) -> bool {
    matches!(action, KeyAction::Audit | KeyAction::See | KeyAction::SeeUsage)
}

/// Whether another actor paused the key: a person does not restart what an admin stopped.
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
        Audit, Close, Erase, Expire, Issue, Narrow, Pause, Reinstate, Relabel, Rename, Resume, Revoke, Rotate, See,
        SeeBlastRadius, SeeExposure, SeeUsage, Suspend,
    };
    let is_self = actor.user_id() == Some(user);
    match action {
        _ if actor.is_auditor() && is_audit(action) => Decision::Allow,
        Audit | Pause | Revoke | See | SeeBlastRadius | SeeUsage if is_self || actor.is_org_admin() => Decision::Allow,
        Resume if actor.is_org_admin() || is_self && !is_anothers_pause => Decision::Allow,
        Expire | Issue | Narrow | Relabel | Rename | Rotate if is_self => Decision::Allow,
        Close | Reinstate | SeeExposure | Suspend if actor.is_org_admin() => Decision::Allow,
        // Only for the keys of these teams, and for any person: the answer does not reveal whether the person exists.
        SeeExposure if actor.manages_keys_of_any() => Decision::Allow,
        // An attacker would do this last after taking over an account.
        Erase if is_self || actor.is_org_admin() || actor.is_auditor() => Decision::Deny(DenialReason::SystemOnly),
        _ if is_self => Decision::Deny(DenialReason::InsufficientRole),
        _ if actor.is_org_admin() => Decision::Deny(DenialReason::NotYourKey),
        _ if actor.is_auditor() => Decision::Deny(DenialReason::InsufficientRole),
        _ => Decision::Hide,
    }
}

/// A team and its keys.
fn of_team(actor: &Actor, action: KeyAction, team: &TeamId) -> Decision {
    use KeyAction::{
        Audit, Close, Erase, Expire, Issue, Narrow, Pause, Reinstate, Relabel, Rename, Resume, Revoke, Rotate, See,
        SeeExposure, SeeUsage, Suspend,
    };
    let manages = actor.is_org_admin() || actor.manages_keys_of(team);
    let knows = manages || actor.is_auditor() || actor.has_part_in(team);
    match action {
        See if knows => Decision::Allow,
        _ if actor.is_auditor() && is_audit(action) => Decision::Allow,
        Audit | Expire | Narrow | Pause | Relabel | Rename | Resume | Revoke | Rotate | SeeExposure | SeeUsage
            if manages =>
        {
            Decision::Allow
        }
        Issue if manages && actor.includes_team_keys(team) => Decision::Allow,
        Issue if manages => Decision::Deny(DenialReason::PlanRequired),
        Close | Reinstate | Suspend if actor.is_org_admin() => Decision::Allow,
        Erase if knows => Decision::Deny(DenialReason::SystemOnly),
        _ if knows => Decision::Deny(DenialReason::InsufficientRole),
        _ => Decision::Hide,
    }
}
