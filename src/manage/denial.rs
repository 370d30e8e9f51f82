use std::fmt;

use crate::{
    json::json_form,
    outcome::RefusalCode,
    record::{Stopped, Suspension},
    scope::ManagingScope,
    sentence::{Sentence, joined, sentences},
};

/// Why an actor may not do what it requested.
///
/// ```
/// use tower_api_keys::manage::DenialReason;
///
/// assert_eq!(DenialReason::PlanRequired.code().as_str(), "plan_required");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialReason {
    /// The person, or the owner of the acting key, is closed, which is final.
    ActorClosed,
    /// The acting key lost scopes or lifetime between the request and its commit.
    ActorKeyChanged,
    /// The acting key is revoked, or it ended during the call.
    ActorKeyDead,
    /// The acting key has expired.
    ActorKeyExpired,
    /// The acting key is paused.
    ActorKeyPaused,
    /// The plan of the person, or of the owner of the acting key, no longer includes their keys.
    ActorPlanSuspended,
    /// An admin suspended the person, or the owner of the acting key.
    ActorSuspended,
    /// A reason of the embedder's own policy: a sentence for the person.
    Custom(&'static str),
    /// A key may not give another key a later end than its own.
    ExpiryTooLate,
    /// The role in the team or the organization is not enough.
    InsufficientRole,
    /// The acting key does not have this named scope.
    InsufficientScope(ManagingScope),
    /// The acting key has limits, and may give another key only the same ones.
    LimitsTooWide,
    /// A key may let another key be used only from networks that it may be used from itself, and may not widen the
    /// networks of any key.
    NetworksTooWide,
    /// No key may do this, whatever its scopes: it cannot be undone, or it undoes a person's decision.
    NotForKeys,
    /// Only the person who owns that personal key can do this.
    NotYourKey,
    /// The team's plan does not include keys of its own.
    PlanRequired,
    /// A key may give only scopes that it has itself, and none with which a key manages keys.
    ScopesTooWide,
    /// Only the service itself, as the [system](super::Actor::system), may do this.
    SystemOnly,
}

impl DenialReason {
    /// Why an actor may not act whose own keys are refused for this.
    pub(super) const fn stopped(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Closed => Self::ActorClosed,
            Stopped::Suspended(Suspension::Admin) => Self::ActorSuspended,
            Stopped::Suspended(Suspension::Plan) => Self::ActorPlanSuspended,
        }
    }

    /// The code of an answer with this reason, the same for a button and an attempt; a code may have several reasons.
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
            Self::InsufficientRole | Self::SystemOnly => RefusalCode::InsufficientRole,
            Self::ActorKeyChanged | Self::InsufficientScope(_) => RefusalCode::InsufficientScope,
            Self::LimitsTooWide => RefusalCode::LimitsTooWide,
            Self::NetworksTooWide => RefusalCode::NetworksTooWide,
            Self::NotForKeys => RefusalCode::NotForKeys,
            Self::NotYourKey => RefusalCode::NotYourKey,
            Self::PlanRequired => RefusalCode::PlanRequired,
            Self::ScopesTooWide => RefusalCode::ScopesTooWide,
        }
    }
}

/// A denial: the reason, a sentence for the person who is denied, and what would change it.
///
/// ```
/// use tower_api_keys::manage::{Denial, DenialReason};
///
/// let denial = Denial::from(DenialReason::InsufficientRole);
/// assert_eq!(denial.sentence(), "Your role does not allow this.");
/// assert_eq!(denial.remedy().unwrap(), "Ask an admin of the team or the organization.");
/// ```
///
/// It serializes as `{"code": …, "scope": …, "sentence": …, "remedy": …}`; the scope is the one that a key lacks.
///
/// The sentence about a plan is the service's own
/// ([`ApiKeysBuilder::upgrade_sentence`](crate::ApiKeysBuilder::upgrade_sentence)): errors and previews have it; for an
/// answer of [`KeyManager::can`](super::KeyManager::can), [`KeyManager::denial`](super::KeyManager::denial) adds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    reason: DenialReason,
    /// The service's sentence for a plan that does not include team keys.
    upgrade: Option<&'static str>,
}

impl Denial {
    pub(super) const fn with_upgrade(mut self, sentence: &'static str) -> Self {
        self.upgrade = Some(sentence);
        self
    }

    /// The reason.
    #[must_use]
    pub const fn reason(self) -> DenialReason {
        self.reason
    }

    /// What the problem is, as a sentence.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        match self.reason {
            DenialReason::ActorClosed => actor_closed(),
            DenialReason::ActorKeyChanged => actor_key_changed(),
            DenialReason::ActorKeyDead => actor_key_dead(),
            DenialReason::ActorKeyExpired => actor_key_expired(),
            DenialReason::ActorKeyPaused => actor_key_paused(),
            DenialReason::ActorPlanSuspended => actor_plan_suspended(),
            DenialReason::ActorSuspended => actor_suspended(),
            DenialReason::Custom(sentence) => own_words(sentence),
            DenialReason::ExpiryTooLate => expiry_too_late(),
            DenialReason::InsufficientRole => insufficient_role(),
            DenialReason::InsufficientScope(scope) => insufficient_scope(scope),
            DenialReason::LimitsTooWide => limits_too_wide(),
            DenialReason::NetworksTooWide => networks_too_wide(),
            DenialReason::NotForKeys => not_for_keys(),
            DenialReason::NotYourKey => not_your_key(),
            DenialReason::PlanRequired => self.upgrade.map_or_else(plan_required, own_words),
            DenialReason::ScopesTooWide => scopes_too_wide(),
            DenialReason::SystemOnly => system_only(),
        }
    }

    /// What would change it, as a sentence. `None` for a [custom](DenialReason::Custom) reason, and for a plan if
    /// [your own sentence](crate::ApiKeysBuilder::upgrade_sentence) says it.
    #[must_use]
    pub fn remedy(self) -> Option<Sentence> {
        Some(match self.reason {
            DenialReason::ActorClosed => use_another_account(),
            DenialReason::ActorKeyChanged => try_again(),
            DenialReason::ActorKeyDead | DenialReason::ActorKeyExpired => use_a_live_key(),
            DenialReason::ActorKeyPaused => let_it_be_resumed(),
            DenialReason::ActorPlanSuspended => ask_about_the_plan(),
            DenialReason::ActorSuspended => let_it_be_reinstated(),
            DenialReason::Custom(_) => return None,
            DenialReason::ExpiryTooLate => ask_for_an_earlier_end(),
            DenialReason::InsufficientRole => ask_an_admin(),
            DenialReason::InsufficientScope(_) => use_a_key_with_that_scope(),
            DenialReason::LimitsTooWide => ask_for_the_same_limits(),
            DenialReason::NetworksTooWide => ask_for_fewer_networks(),
            DenialReason::NotForKeys => a_person_has_to(),
            DenialReason::NotYourKey => ask_that_person(),
            DenialReason::PlanRequired if self.upgrade.is_some() => return None,
            DenialReason::PlanRequired => ask_about_the_plan(),
            DenialReason::ScopesTooWide => ask_for_fewer_scopes(),
            DenialReason::SystemOnly => ask_the_service(),
        })
    }
}

sentences! {
    pub(super) fn all;

    fn actor_closed() = "denial.actor_closed": "This account is closed.";
    fn actor_key_changed() = "denial.actor_key_changed":
        "The API key used for this request was changed while the request was running.";
    fn actor_key_dead() = "denial.actor_key_dead":
        "The API key used for this request was revoked or has just expired.";
    fn actor_key_expired() = "denial.actor_key_expired": "The API key used for this request has expired.";
    fn actor_key_paused() = "denial.actor_key_paused": "The API key used for this request is paused.";
    fn actor_plan_suspended() = "denial.actor_plan_suspended":
        "This account is suspended, because the plan does not include API keys for it.";
    fn actor_suspended() = "denial.actor_suspended": "Your account or organization is suspended.";
    fn expiry_too_late() = "denial.expiry_too_late":
        "An API key cannot create a key that expires later than the API key itself.";
    fn insufficient_role() = "denial.insufficient_role": "Your role does not allow this.";
    fn insufficient_scope(scope: ManagingScope) = "denial.insufficient_scope":
        "This API key does not have the scope `{scope}`.";
    fn limits_too_wide() = "denial.limits_too_wide":
        "This API key has limits, so every key that it creates must have the same limits.";
    fn networks_too_wide() = "denial.networks_too_wide":
        "An API key cannot allow another key any network that it may not use itself.";
    fn not_for_keys() = "denial.not_for_keys": "This cannot be done with an API key.";
    fn not_your_key() = "denial.not_your_key": "Only the person who owns that personal key can do this.";
    fn own_words(sentence: &str) = "denial.own_words": "{sentence}";
    fn plan_required() = "denial.plan_required": "Team API keys are not included in this plan.";
    fn scopes_too_wide() = "denial.scopes_too_wide":
        "An API key can give another key only scopes that it has itself, and never a scope for managing keys.";
    fn system_only() = "denial.system_only": "Only the service itself can do this.";

    fn a_person_has_to() = "remedy.a_person_has_to": "A person has to do this, signed in and without an API key.";
    fn ask_about_the_plan() = "remedy.ask_about_the_plan": "Upgrade the plan, or ask an admin of the organization to do it.";
    fn ask_an_admin() = "remedy.ask_an_admin": "Ask an admin of the team or the organization.";
    fn ask_for_an_earlier_end() = "remedy.ask_for_an_earlier_end":
        "Choose an earlier expiry, or ask a person to create the key.";
    fn ask_for_fewer_scopes() = "remedy.ask_for_fewer_scopes":
        "Choose fewer scopes, or ask a person to create the key.";
    fn ask_for_fewer_networks() = "remedy.ask_for_fewer_networks": "Choose fewer networks, or ask a person to do it.";
    fn ask_for_the_same_limits() = "remedy.ask_for_the_same_limits":
        "Send the same limits, or ask a person to create the key.";
    fn ask_that_person() = "remedy.ask_that_person": "Ask that person to do it, or revoke that key.";
    fn ask_the_service() = "remedy.ask_the_service": "Ask the support of the service.";
    fn let_it_be_reinstated() = "remedy.let_it_be_reinstated":
        "Ask an admin of the organization to reinstate it. If the whole organization is suspended, ask the support of \
         the service.";
    fn let_it_be_resumed() = "remedy.let_it_be_resumed":
        "Keep the key, and ask an admin of the organization to resume it.";
    fn try_again() = "remedy.try_again": "Try again. The API key may have fewer rights now.";
    fn use_a_key_with_that_scope() = "remedy.use_a_key_with_that_scope":
        "Ask an admin to create a key with this scope.";
    fn use_a_live_key() = "remedy.use_a_live_key": "Use a key that is not revoked, expired or paused.";
    fn use_another_account() = "remedy.use_another_account": "This cannot be undone. Use another account.";
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined([Some(self.sentence()), self.remedy()].iter().flatten()))
    }
}

json_form! {
    Denial, |denial| Denial { reason, upgrade: _ } => {
        code: RefusalCode = reason.code(),
        /// The scope that a key lacks.
        scope: Option<ManagingScope> = match reason {
            DenialReason::InsufficientScope(scope) => Some(*scope),
            _ => None,
        },
        sentence: Sentence = denial.sentence(),
        remedy: Option<Sentence> = denial.remedy(),
    }
}

impl From<DenialReason> for Denial {
    fn from(reason: DenialReason) -> Self {
        Self { reason, upgrade: None }
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
            Self::LimitsTooWide => Self::NetworksTooWide,
            Self::NetworksTooWide => Self::NotForKeys,
            Self::NotForKeys => Self::NotYourKey,
            Self::NotYourKey => Self::PlanRequired,
            Self::PlanRequired => Self::ScopesTooWide,
            Self::ScopesTooWide => Self::SystemOnly,
            Self::SystemOnly => Self::InsufficientScope(scopes.into_iter().next()?),
            Self::InsufficientScope(scope) => {
                Self::InsufficientScope(scopes.into_iter().skip_while(|one| *one != scope).nth(1)?)
            }
        })
    }
}
