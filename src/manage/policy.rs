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

/// Decides which actor may do what. The default is the [table of rights](super::DefaultPolicy).
///
/// Asked for every call, and for every key of a list. A policy decides about roles and plans. Whatever it allows, a key
/// still does not act without the [scope](ManagingScope) for it and does not give more than it has; no actor reaches
/// another organization, or makes a key for a team outside the organization ([`Directory`](super::Directory)); and no
/// suspended actor acts.
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
    /// Whether this actor may do this action on this target.
    ///
    /// Later versions add actions and targets: deny those you do not know.
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
        /// Close a user, a team or the organization permanently.
        Close = "close",
        /// Erase a user, a team or the organization, from the trail, too.
        Erase = "erase",
        /// Set an earlier expiry of a key.
        Expire = "expire",
        /// Make a key.
        Issue = "issue",
        /// Remove scopes from a key, or set the networks it may be used from. Allowing more networks than before also
        /// needs the right to [issue](Self::Issue) such a key.
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
        /// See that a key exists, and all about it except how it is used. On an owner: see its status and list its
        /// keys. On the organization: list its keys.
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

/// What an actor wants to act on.
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
        /// The id of the key.
        id: &'a KeyId,
        /// The owner of the key.
        owner: &'a Owner,
        /// The actor that made it.
        created_by: &'a ActorId,
        /// The key that made it, if one did.
        created_via_key: Option<&'a KeyId>,
        /// Whether it is paused, and by which actor.
        paused: PausedBy<'a>,
    },
    /// A key to be made.
    #[non_exhaustive]
    NewKey {
        /// The owner of the new key.
        owner: &'a Owner,
        /// The scopes of the new key.
        scopes: &'a Scopes,
        /// The end of the new key: the requested one or, if none is requested, the one that the service's longest life
        /// gives it.
        expires_at: Option<Timestamp>,
    },
    /// The organization, or all keys of it.
    Organization,
    /// A user or a team.
    Owner(&'a Owner),
}

/// Whether a key is paused, and by which actor.
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
    /// It is paused by this user, key or system.
    Actor(&'a ActorId),
    /// It is not paused.
    Nobody,
    /// It is paused, and the actor is not known: plain SQL did it.
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
    /// Whether the action exists for an existing key.
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

    /// The scope that a key needs to do it; `None` if no key may do it.
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
    /// The user or team that is the target, or that the key belongs to.
    #[must_use]
    pub const fn owner(&self) -> Option<&'a Owner> {
        match self {
            Self::Key { owner, .. } | Self::NewKey { owner, .. } | Self::Owner(owner) => Some(owner),
            Self::Organization => None,
        }
    }

    /// A key that this owner is to get, for a form before scopes or an end are chosen: it has none.
    #[must_use]
    pub fn new_key(owner: &'a Owner) -> Self {
        static NONE: LazyLock<Scopes> = LazyLock::new(Scopes::none);
        Self::NewKey { owner, scopes: &NONE, expires_at: None }
    }

    /// An existing key, as returned by [`find`](super::KeyManager::find) and lists.
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

/// The answer of a [`Policy`]. It serializes as `{"decision": …, "denial": …}`; the denial is `null` unless it denies.
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
    /// No, and the actor learns why: it may know that the target exists.
    Deny(DenialReason),
    /// No, and the actor does not learn that the target exists.
    Hide,
}

/// A decision with the denial in words, in the service's own words where it has some.
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
