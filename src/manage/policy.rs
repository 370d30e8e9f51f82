use std::{fmt, sync::LazyLock};

use super::{
    actor::Actor,
    denial::{Denial, DenialReason},
    info::KeyInfo,
};
use crate::{
    key::KeyId,
    owner::Owner,
    record::{ActorId, KeyRecord},
    scope::{ManagingScope, Scopes},
    time::Timestamp,
    words::words,
};

/// Who may do what. The default is the [table of rights](super::DefaultPolicy).
///
/// Asked for every call, and for every key of a list. A policy decides about roles and plans; what it allows still does
/// not let a key act without the [scope](ManagingScope) for it, let it give more than it has, let anybody reach another organization, make a key for a team that is none of the organization's
/// ([`Directory`](super::Directory)), or let somebody act who is suspended.
///
/// ```
/// use tower_api_keys::{Actor, manage::{Decision, DenialReason, KeyAction, Policy, DefaultPolicy, Target}};
///
/// /// The table, but nobody makes personal keys.
/// #[derive(Debug)]
/// struct TeamKeysOnly;
///
/// impl Policy for TeamKeysOnly {
///     fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
///         match (action, target.owner()) {
///             (KeyAction::Issue, Some(tower_api_keys::Owner::User(_))) => {
///                 Decision::Deny(DenialReason::Custom("Personal keys are not offered here."))
///             }
///             _ => DefaultPolicy.decide(actor, action, target),
///         }
///     }
/// }
/// ```
pub trait Policy: fmt::Debug + Send + Sync + 'static {
    /// Whether this actor may do this to that.
    ///
    /// Actions and targets grow: what is not known should be denied.
    fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision;
}

words! {
    /// What an actor wants to do.
    ///
    /// ```
    /// use tower_api_keys::manage::KeyAction;
    ///
    /// assert_ne!(KeyAction::See, KeyAction::SeeUsage);
    /// ```
    #[non_exhaustive]
    pub enum KeyAction {
        /// Read the audit trail of a key, of a user or a team and their keys, or of the organization.
        Audit = "audit",
        /// Close a user, a team or the organization for good.
        Close = "close",
        /// Erase a user, a team or the organization, from the trail too.
        Erase = "erase",
        /// Set an earlier expiry of a key.
        Expire = "expire",
        /// Make a key.
        Issue = "issue",
        /// Take scopes from a key, or say from which networks it may be used. From more than before, whoever may [issue](Self::Issue)
        /// such a key too.
        Narrow = "narrow",
        /// Pause a key: it is refused until it is resumed.
        Pause = "pause",
        /// Reinstate a user, a team or the organization.
        Reinstate = "reinstate",
        /// Change the labels of a key.
        Relabel = "relabel",
        /// Change the name of a key.
        Rename = "rename",
        /// Resume a key that is paused.
        Resume = "resume",
        /// Revoke a key. Of a user or a team: revoke many of their keys at once.
        Revoke = "revoke",
        /// Begin, finish or abort the rotation of a key.
        Rotate = "rotate",
        /// See that a key exists, and all about it except how it is used. Of an owner: see its status and list its keys. Of the
        /// organization: list its keys.
        See = "see",
        /// See what stops if a person leaves.
        SeeBlastRadius = "see_blast_radius",
        /// See which keys a person saw the texts of.
        SeeExposure = "see_exposure",
        /// See how a key is used: counts, sources, advice, what would happen if it called now, inventory and export.
        SeeUsage = "see_usage",
        /// Suspend a user, a team or the organization.
        Suspend = "suspend",
    }
}

/// What an actor wants to do it to.
///
/// ```
/// use tower_api_keys::{Owner, TeamId, manage::Target};
///
/// let blue = Owner::Team(TeamId::new("blue")?);
/// assert_eq!(Target::Owner(&blue).owner(), Some(&blue));
/// assert_eq!(Target::Organization.owner(), None);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// A key that exists.
    #[non_exhaustive]
    Key {
        /// Which.
        id: &'a KeyId,
        /// Whose.
        owner: &'a Owner,
        /// Who made it.
        created_by: &'a ActorId,
        /// The key that made it, if one did.
        created_via_key: Option<&'a KeyId>,
        /// Whether it is paused, and by whom.
        paused: PausedBy<'a>,
    },
    /// A key to be made.
    #[non_exhaustive]
    NewKey {
        /// For whom.
        owner: &'a Owner,
        /// With these scopes.
        scopes: &'a Scopes,
        /// With this end: the one that is asked for, or the one that the service's longest life gives it where none is.
        expires_at: Option<Timestamp>,
    },
    /// The organization, or all keys of it.
    Organization,
    /// A user or a team.
    Owner(&'a Owner),
}

/// Whether a key is paused, and by whom.
///
/// ```
/// use tower_api_keys::{manage::PausedBy, record::ActorId};
///
/// let alice = ActorId::User("alice".parse()?);
/// assert_ne!(PausedBy::Actor(&alice), PausedBy::Unknown);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy<'a> {
    /// By this user, key or part of the system.
    Actor(&'a ActorId),
    /// It is not paused.
    Nobody,
    /// By somebody's plain SQL.
    Unknown,
}

impl<'a> PausedBy<'a> {
    const fn new(is_paused: bool, by: Option<&'a ActorId>) -> Self {
        match by {
            _ if !is_paused => Self::Nobody,
            Some(by) => Self::Actor(by),
            None => Self::Unknown,
        }
    }
}

impl KeyAction {
    /// Whether it can be done to a key that exists.
    pub(super) const fn is_of_a_key(self) -> bool {
        match self {
            Self::Audit
            | Self::Expire
            | Self::Narrow
            | Self::Pause
            | Self::Relabel
            | Self::Rename
            | Self::Resume
            | Self::Revoke
            | Self::Rotate
            | Self::See
            | Self::SeeUsage => true,
            Self::Close
            | Self::Erase
            | Self::Issue
            | Self::Reinstate
            | Self::SeeBlastRadius
            | Self::SeeExposure
            | Self::Suspend => false,
        }
    }

    /// What a key needs to do it; none for what no key does.
    pub(super) const fn scope(self) -> Option<ManagingScope> {
        match self {
            Self::Audit | Self::See | Self::SeeBlastRadius | Self::SeeExposure | Self::SeeUsage => {
                Some(ManagingScope::Read)
            }
            Self::Issue => Some(ManagingScope::Issue),
            Self::Rotate => Some(ManagingScope::Rotate),
            Self::Expire | Self::Narrow | Self::Pause | Self::Revoke => Some(ManagingScope::Revoke),
            Self::Relabel | Self::Rename | Self::Suspend => Some(ManagingScope::Manage),
            Self::Close | Self::Erase | Self::Reinstate | Self::Resume => None,
        }
    }
}

impl<'a> Target<'a> {
    /// The user or team it is or belongs to.
    #[must_use]
    pub const fn owner(&self) -> Option<&'a Owner> {
        match self {
            Self::Key { owner, .. } | Self::NewKey { owner, .. } | Self::Owner(owner) => Some(owner),
            Self::Organization => None,
        }
    }

    /// A key that this owner is to get, as a form asks for it before anybody has chosen scopes or an end: with none.
    #[must_use]
    pub fn new_key(owner: &'a Owner) -> Self {
        static NONE: LazyLock<Scopes> = LazyLock::new(Scopes::none);
        Self::NewKey { owner, scopes: &NONE, expires_at: None }
    }

    /// A key that exists, as [`find`](super::KeyManager::find) and lists show it.
    #[must_use]
    pub const fn listed(key: &'a KeyInfo) -> Self {
        Self::Key {
            id: &key.id,
            owner: &key.owner,
            created_by: &key.created_by,
            created_via_key: key.created_via_key.as_ref(),
            paused: PausedBy::new(key.paused_at.is_some(), key.paused_by.as_ref()),
        }
    }

    pub(super) fn key(record: &'a KeyRecord) -> Self {
        Self::Key {
            id: &record.id,
            owner: &record.owner,
            created_by: &record.created_by,
            created_via_key: record.created_via_key.as_ref(),
            paused: PausedBy::new(record.paused.is_some(), record.paused.as_ref().and_then(|pause| pause.by.as_ref())),
        }
    }
}

/// What a [`Policy`] says. It serializes as `{"decision": …, "denial": …}`; the denial is `null` unless it denies.
///
/// ```
/// use tower_api_keys::manage::{Decision, DenialReason};
///
/// assert_ne!(Decision::Deny(DenialReason::InsufficientRole), Decision::Hide);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, and the actor is told why: it may know that the target exists.
    Deny(DenialReason),
    /// No, and the actor is not told that the target exists.
    Hide,
}

/// A decision with what is said of a no, in the words of the service where it has some.
#[derive(serde::Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema), schemars(rename = "Decision"))]
pub(super) struct SaidDecision {
    #[cfg_attr(feature = "schemars", schemars(extend("enum" = ["allow", "deny", "hide"])))]
    decision: &'static str,
    denial: Option<Denial>,
}

impl SaidDecision {
    pub(super) fn new(decision: Decision, denial: Option<Denial>) -> Self {
        match decision {
            Decision::Allow => Self { decision: "allow", denial: None },
            Decision::Deny(reason) => Self { decision: "deny", denial: Some(denial.unwrap_or_else(|| reason.into())) },
            Decision::Hide => Self { decision: "hide", denial: None },
        }
    }
}

impl serde::Serialize for Decision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SaidDecision::new(*self, None).serialize(serializer)
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Decision {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decision".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        SaidDecision::json_schema(generator)
    }
}
