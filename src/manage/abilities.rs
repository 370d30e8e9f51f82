use serde::Serialize;

use super::{
    access::Access,
    actor::Actor,
    denial::Denial,
    error::{ManageError, ManageErrorKind},
    info::KeyInfo,
    manager::KeyManager,
    policy::{Decision, KeyAction, Target},
};
use crate::{json::json_form, sentence::Sentence};

/// What an actor may do to one key, and why not the rest: one [`Ability`] for each action that exists for keys, in the
/// order of their words. It serializes, as a list.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let key = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().clone();
/// use tower_api_keys::{Actor, TeamId, UserId, manage::{KeyAction, Rights, TeamRole}};
///
/// let rights = Rights::none().team(TeamId::new("blue")?, TeamRole::Member);
/// let abilities = manager.abilities(&key, &Actor::user(UserId::new("mo")?, rights))?;
/// assert!(abilities.allows(KeyAction::See) && !abilities.allows(KeyAction::Revoke));
/// for ability in abilities.iter().filter(|ability| !ability.is_allowed()) {
///     let Some(sentence) = ability.sentence() else { unreachable!("it is not allowed") };
///     println!("{}: {sentence}", ability.action()); // Your role does not allow this.
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Abilities(Vec<Ability>);

/// Whether an actor may do one action to a key, and if not, why: for a button. It serializes, as `action`, `allowed`,
/// `code`, `sentence` and `remedy`; the last three are null if it is allowed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let key = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().clone();
/// use tower_api_keys::{Actor, TeamId, UserId, manage::{KeyAction, Rights, TeamRole}};
///
/// let rights = Rights::none().team(TeamId::new("blue")?, TeamRole::Member);
/// let abilities = manager.abilities(&key, &Actor::user(UserId::new("mo")?, rights))?;
/// let rename = abilities.of(KeyAction::Rename).ok_or("no act on a key")?;
/// assert_eq!(rename.code(), Some("insufficient_role"));
/// assert_eq!(rename.remedy().ok_or("no remedy")?, "Ask an admin of the team or the organization.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ability {
    action: KeyAction,
    decision: Decision,
    /// Why not, in the service's own words, if the actor may know.
    denial: Option<Denial>,
}

impl Abilities {
    /// Whether the actor may do this. `false` for an action that does not exist for keys.
    #[must_use]
    pub fn allows(&self, action: KeyAction) -> bool {
        self.of(action).is_some_and(Ability::is_allowed)
    }

    /// The ability for this action; `None` for an action that does not exist for keys.
    #[must_use]
    pub fn of(&self, action: KeyAction) -> Option<Ability> {
        self.iter().find(|ability| ability.action == action)
    }

    /// All abilities.
    pub fn iter(&self) -> impl Iterator<Item = Ability> + '_ {
        self.0.iter().copied()
    }
}

impl Ability {
    /// The action.
    #[must_use]
    pub const fn action(self) -> KeyAction {
        self.action
    }

    /// The answer of [`can`](KeyManager::can).
    #[must_use]
    pub const fn decision(self) -> Decision {
        self.decision
    }

    /// Whether the actor may do it.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self.decision, Decision::Allow)
    }

    /// The code that an attempt would get, if it is not allowed.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        self.refusal().map(ManageErrorKind::code)
    }

    /// Why it is not allowed, as a sentence.
    #[must_use]
    pub fn sentence(self) -> Option<Sentence> {
        self.refusal().map(ManageErrorKind::sentence)
    }

    /// What would change that, if something would.
    #[must_use]
    pub fn remedy(self) -> Option<Sentence> {
        self.refusal().and_then(ManageErrorKind::remedy)
    }

    /// The error that an attempt would get.
    const fn refusal(self) -> Option<ManageErrorKind> {
        match (self.decision, self.denial) {
            (Decision::Allow, _) => None,
            (_, Some(denial)) => Some(ManageErrorKind::Denied(denial)),
            (_, None) => Some(ManageErrorKind::NotFound),
        }
    }
}

json_form! {
    Ability, |ability| _ => {
        action: KeyAction = ability.action,
        allowed: bool = ability.is_allowed(),
        code: Option<&'static str> = ability.code(),
        sentence: Option<Sentence> = ability.sentence(),
        remedy: Option<Sentence> = ability.remedy(),
    }
}

impl KeyManager {
    /// All that an actor may do to a key of this organization, as returned by [`find`](Self::find) or a list: the
    /// answers of [`can`](Self::can) for each action that exists for keys, in one call and without a read of the store.
    /// A key of another organization is hidden.
    ///
    /// # Errors
    /// [`ManageErrorKind::Misconfigured`].
    pub fn abilities(&self, key: &KeyInfo, actor: &Actor) -> Result<Abilities, ManageError> {
        let is_ours = key.organization == *self.organization();
        let of = |action: KeyAction| {
            let decision = self.hint(actor, action, &Target::listed(key))?;
            let decision = if is_ours { decision } else { Decision::Hide };
            let denial = match decision {
                Decision::Deny(reason) => Some(self.denial(reason)),
                Decision::Allow | Decision::Hide => None,
            };
            Ok(Ability { action, decision, denial })
        };
        KeyAction::ALL
            .into_iter()
            .filter(|action| action.is_of_a_key())
            .map(of)
            .collect::<Result<_, _>>()
            .map(Abilities)
    }

    /// The answer for an action whose target needs no directory.
    fn hint(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Result<Decision, ManageError> {
        match Access::hints(self.parts(), actor, &[action]) {
            Ok(access) => Ok(access.decide(action, target)),
            Err(error) => refused_hint(error),
        }
    }
}

/// The hint for an actor that may not even ask.
pub(super) fn refused_hint(error: ManageError) -> Result<Decision, ManageError> {
    match error.kind() {
        ManageErrorKind::Denied(denial) => Ok(Decision::Deny(denial.reason())),
        ManageErrorKind::NotFound => Ok(Decision::Hide),
        _ => Err(error),
    }
}
