use std::fmt;

use crate::{
    outcome::RefusalCode,
    record::{Stopped, Suspension},
    scope::ManagingScope,
};

/// Why an actor may not do what it asked for.
///
/// ```
/// use tower_api_keys::manage::DenialReason;
///
/// assert_eq!(DenialReason::PlanRequired.code().as_str(), "plan_required");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialReason {
    /// The person, or the owner of the key that acts, is closed, which is final.
    ActorClosed,
    /// The key that acts lost scopes or time between the question and the answer.
    ActorKeyChanged,
    /// The key that acts is revoked, or it ended during the call.
    ActorKeyDead,
    /// The key that acts has expired.
    ActorKeyExpired,
    /// The key that acts is paused.
    ActorKeyPaused,
    /// The plan of the person, or of the owner of the key that acts, no longer includes their keys.
    ActorPlanSuspended,
    /// An admin suspended the person, or the owner of the key that acts.
    ActorSuspended,
    /// A reason of the embedder's own policy: a sentence for the person who asked.
    Custom(&'static str),
    /// A key may give another one no later end than its own.
    ExpiryTooLate,
    /// The role in the team or the organization is not enough.
    InsufficientRole,
    /// The key that acts does not have this scope named on it.
    InsufficientScope(ManagingScope),
    /// The key that acts has limits, and may give another key only the same.
    LimitsTooWide,
    /// No key may do this, whatever its scopes: it cannot be taken back, or undoes what somebody decided.
    NotForKeys,
    /// Only the person whose key it is may do this.
    NotYourKey,
    /// The team's plan does not include keys of its own.
    PlanRequired,
    /// A key may give only scopes that it has itself, and none with which a key manages keys.
    ScopesTooWide,
}

impl DenialReason {
    /// Why somebody may not act whose own keys are refused for this.
    pub(super) const fn stopped(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Closed => Self::ActorClosed,
            Stopped::Suspended(Suspension::Admin) => Self::ActorSuspended,
            Stopped::Suspended(Suspension::Plan) => Self::ActorPlanSuspended,
        }
    }

    /// The code of an answer that says so. A button and an answer have the same one; a code may have several reasons.
    #[must_use]
    pub const fn code(self) -> RefusalCode {
        match self {
            Self::ActorClosed => RefusalCode::OwnerClosed,
            Self::ActorKeyDead => RefusalCode::KeyRevoked,
            Self::ActorKeyExpired => RefusalCode::KeyExpired,
            Self::ActorKeyPaused => RefusalCode::KeyPaused,
            Self::ActorPlanSuspended => RefusalCode::OwnerPlanSuspended,
            Self::ActorSuspended => RefusalCode::OwnerSuspended,
            Self::Custom(_) => RefusalCode::Denied,
            Self::ExpiryTooLate => RefusalCode::ExpiryTooLate,
            Self::InsufficientRole => RefusalCode::InsufficientRole,
            Self::ActorKeyChanged | Self::InsufficientScope(_) => RefusalCode::InsufficientScope,
            Self::LimitsTooWide => RefusalCode::LimitsTooWide,
            Self::NotForKeys => RefusalCode::NotForKeys,
            Self::NotYourKey => RefusalCode::NotYourKey,
            Self::PlanRequired => RefusalCode::PlanRequired,
            Self::ScopesTooWide => RefusalCode::ScopesTooWide,
        }
    }
}

/// A no, with the reason, a sentence for the person who asked, and what would change it.
///
/// ```
/// use tower_api_keys::manage::{Denial, DenialReason};
///
/// let denial = Denial::from(DenialReason::InsufficientRole);
/// assert_eq!(denial.sentence(), "Your role does not allow this.");
/// assert_eq!(denial.remedy(), "Ask an admin of the team or the organization.");
/// ```
///
/// What is said of a plan is the service's own
/// ([`ApiKeysBuilder::upgrade_sentence`](crate::ApiKeysBuilder::upgrade_sentence)): errors and previews have it, and for an
/// answer of [`KeyManager::can`](super::KeyManager::can) so does [`KeyManager::denial`](super::KeyManager::denial).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    reason: DenialReason,
    /// What is said where the plan does not include team keys.
    upgrade: &'static str,
}

/// What is said of a plan, unless the service says something else.
const UPGRADE: &str = "Team API keys are not included in this plan.";

impl Denial {
    pub(super) const fn with_upgrade(mut self, sentence: &'static str) -> Self {
        self.upgrade = sentence;
        self
    }

    /// The reason.
    #[must_use]
    pub const fn reason(self) -> DenialReason {
        self.reason
    }

    /// What is the matter, in a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self.reason {
            DenialReason::ActorClosed => "This account is closed.",
            DenialReason::ActorKeyChanged => "The key that asks was changed meanwhile.",
            DenialReason::ActorKeyDead => "The key that asks is revoked or has just ended.",
            DenialReason::ActorKeyExpired => "The key that asks has expired.",
            DenialReason::ActorKeyPaused => "The key that asks is paused.",
            DenialReason::ActorPlanSuspended => {
                "This account is suspended, because the plan does not include its keys."
            }
            DenialReason::ActorSuspended => "An admin suspended this account.",
            DenialReason::Custom(sentence) => sentence,
            DenialReason::ExpiryTooLate => "A key can give another key no later end than its own.",
            DenialReason::InsufficientRole => "Your role does not allow this.",
            DenialReason::InsufficientScope(scope) => match scope {
                ManagingScope::Issue => "This needs the scope `keys:issue`, which the key does not have.",
                ManagingScope::Manage => "This needs the scope `keys:manage`, which the key does not have.",
                ManagingScope::Read => "This needs the scope `keys:read`, which the key does not have.",
                ManagingScope::Revoke => "This needs the scope `keys:revoke`, which the key does not have.",
                ManagingScope::Rotate => "This needs the scope `keys:rotate`, which the key does not have.",
            },
            DenialReason::LimitsTooWide => "A key with limits can give another key only the same limits.",
            DenialReason::NotForKeys => "No API key may do this.",
            DenialReason::NotYourKey => "Only the person whose key it is may do this.",
            DenialReason::PlanRequired => self.upgrade,
            DenialReason::ScopesTooWide => {
                "A key can give another key only scopes that it has, and none to manage keys."
            }
        }
    }

    /// What would change it, in a sentence. Empty for a [custom](DenialReason::Custom) reason, and for a plan, whose sentence
    /// says it all.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self.reason {
            DenialReason::ActorClosed => "That is final. Use another account.",
            DenialReason::ActorKeyChanged => "Try again: it may do less now.",
            DenialReason::ActorKeyDead | DenialReason::ActorKeyExpired => "Use a live key.",
            DenialReason::ActorKeyPaused => "Keep it, and ask an admin of the organization to resume it.",
            DenialReason::ActorPlanSuspended => "Ask an admin of the organization about the plan.",
            DenialReason::ActorSuspended => "Ask an admin of the organization to reinstate it.",
            DenialReason::Custom(_) | DenialReason::PlanRequired => "",
            DenialReason::ExpiryTooLate => "Ask for an earlier end, or let a person create the key.",
            DenialReason::InsufficientRole => "Ask an admin of the team or the organization.",
            DenialReason::InsufficientScope(_) => "Use a key on which a person has named that scope.",
            DenialReason::LimitsTooWide => "Ask for the same limits, or let a person create the key.",
            DenialReason::NotForKeys => "A person has to do it.",
            DenialReason::NotYourKey => "Ask that person, or revoke the key.",
            DenialReason::ScopesTooWide => "Ask for fewer scopes, or let a person create the key.",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())?;
        if self.remedy().is_empty() { Ok(()) } else { write!(f, " {}", self.remedy()) }
    }
}

impl From<DenialReason> for Denial {
    fn from(reason: DenialReason) -> Self {
        Self { reason, upgrade: UPGRADE }
    }
}

#[cfg(test)]
impl DenialReason {
    /// One of each: a reason that is missing here does not compile in [`follows`](Self::follows).
    pub(crate) fn examples() -> Vec<Self> {
        std::iter::successors(Some(Self::ActorClosed), |reason| reason.follows()).collect()
    }

    fn follows(self) -> Option<Self> {
        let scopes = ManagingScope::ALL;
        Some(match self {
            Self::ActorClosed => Self::ActorKeyChanged,
            Self::ActorKeyChanged => Self::ActorKeyDead,
            Self::ActorKeyDead => Self::ActorKeyExpired,
            Self::ActorKeyExpired => Self::ActorKeyPaused,
            Self::ActorKeyPaused => Self::ActorPlanSuspended,
            Self::ActorPlanSuspended => Self::ActorSuspended,
            Self::ActorSuspended => Self::Custom("Personal keys are not offered here."),
            Self::Custom(_) => Self::ExpiryTooLate,
            Self::ExpiryTooLate => Self::InsufficientRole,
            Self::InsufficientRole => Self::LimitsTooWide,
            Self::LimitsTooWide => Self::NotForKeys,
            Self::NotForKeys => Self::NotYourKey,
            Self::NotYourKey => Self::PlanRequired,
            Self::PlanRequired => Self::ScopesTooWide,
            Self::ScopesTooWide => Self::InsufficientScope(scopes.into_iter().next()?),
            Self::InsufficientScope(scope) => {
                Self::InsufficientScope(scopes.into_iter().skip_while(|one| *one != scope).nth(1)?)
            }
        })
    }
}
