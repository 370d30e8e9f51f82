use std::{borrow::Cow, fmt};

use serde::Serialize;

use crate::lengths::ACTION;

/// Declares each action once: its constant, and its kind for code that has to handle all of them.
macro_rules! actions {
    ($( $(#[$doc:meta])* $name:ident $kind:ident = $word:literal, )+) => {
        impl Action {
            $( $(#[$doc])* pub const $name: Self = Self(Cow::Borrowed(fits($word))); )+
        }

        /// An action that this version knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind,)+
        }

        impl Kind {
            #[cfg(test)]
            pub(super) const ALL: &[(Self, &str)] = &[$((Self::$kind, $word)),+];

            pub(super) fn of(action: &Action) -> Option<Self> {
                match action.as_str() {
                    $($word => Some(Self::$kind),)+
                    _ => None,
                }
            }
        }
    };
}

/// What was done, in two words: `key.issued`. The set is open: a newer version of this crate may write more.
///
/// ```
/// use tower_api_keys::audit::Action;
///
/// assert_eq!(Action::KEY_REVOKED.as_str(), "key.revoked");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Action(Cow<'static, str>);

actions! {
    /// A key was presented and accepted. Written only if the access log is enabled.
    ATTEMPT_ACCEPTED AttemptAccepted = "attempt.accepted",
    /// Entries of the access log with keys of the organization are missing here, or may be.
    /// [`Event::after`](super::Event::after) is a line of JSON: the `count`, and the times of the first and the last of
    /// them, `first_at` and `last_at`. The subject is the key of the first one; the others may have had any key of the
    /// organization.
    ATTEMPT_DROPPED AttemptDropped = "attempt.dropped",
    /// A key that is in the store, or a text with its id, was presented and refused.
    /// [`Event::after`](super::Event::after) is the code of the refusal. The actor is the key if the text was proved to
    /// be that key, which has expired, was revoked, or whose owner is suspended; otherwise `system:unproved caller`.
    /// Written only if the access log is enabled, and for each key at most ten times a minute with the right text and
    /// ten times with other texts.
    ATTEMPT_REFUSED AttemptRefused = "attempt.refused",
    /// More attempts of one minute like those of [`ATTEMPT_REFUSED`](Self::ATTEMPT_REFUSED), with one key, one code and
    /// from one source, or from several that are summed as `other`. [`Event::after`](super::Event::after) is a line of
    /// JSON: the `code`, the `count`, and the times of the first and the last of them, `first_at` and `last_at`.
    ATTEMPT_REPEATED AttemptRepeated = "attempt.repeated",
    /// The inventory was exported, or its export was begun. [`Event::after`](super::Event::after) is a line of JSON
    /// with the `format`. The event is about the organization, or about each user and team whose keys were requested.
    INVENTORY_EXPORTED InventoryExported = "inventory.exported",
    /// A key ends soon. [`Event::after`](super::Event::after) is a line of JSON with its end, `expires_at`, its
    /// `responsible`, and how many milliseconds before the end this is told, `before_ms`: at one of [these
    /// times](crate::ApiKeysBuilder::warn_of_ends), or soon after it. Told once for each key, end and time, by
    /// `system:clock`.
    KEY_ENDS_SOON KeyEndsSoon = "key.ends_soon",
    /// A key has expired. [`Event::after`](super::Event::after) is a line of JSON with the time, `expires_at`, and its
    /// `responsible`. Told once for each key and end, by `system:clock`.
    KEY_EXPIRED KeyExpired = "key.expired",
    /// The expiry of a key was set or moved.
    KEY_EXPIRY_SET KeyExpirySet = "key.expiry_set",
    /// A text matched a key's tag but not its hash: a guess that succeeds once in 4.3 billion, or a text made by a
    /// reader of the database.
    KEY_FORGED KeyForged = "key.forged",
    /// A key was made.
    KEY_ISSUED KeyIssued = "key.issued",
    /// The scopes of a key were narrowed.
    KEY_NARROWED KeyNarrowed = "key.narrowed",
    /// The networks that a key may be used from were changed or removed. Without networks it may be used from anywhere.
    KEY_NETWORKS_SET KeyNetworksSet = "key.networks_set",
    /// The labels of a key were changed.
    KEY_RELABELLED KeyRelabelled = "key.relabelled",
    /// A key was paused. [`Event::after`](super::Event::after) has the reason, if one was given.
    KEY_PAUSED KeyPaused = "key.paused",
    /// A key that ended long ago was [purged](crate::ApiKeysBuilder::keep_dead_keys). The actor is `system:pruner`. The
    /// store writes the event when it purges, and reports how many keys it purged, not which: an [event
    /// sink](super::EventSink) is not told.
    KEY_PURGED KeyPurged = "key.purged",
    /// A key was renamed.
    KEY_RENAMED KeyRenamed = "key.renamed",
    /// The recipient of messages about a key was set, changed or removed: see [`Event::before`](super::Event::before)
    /// and [`Event::after`](super::Event::after).
    KEY_RESPONSIBLE_SET KeyResponsibleSet = "key.responsible_set",
    /// The pause of a key was ended. [`Event::after`](super::Event::after) has the reason, if one was given.
    KEY_RESUMED KeyResumed = "key.resumed",
    /// A key was revoked. [`Event::after`](super::Event::after) has the reason, if one was given.
    KEY_REVOKED KeyRevoked = "key.revoked",
    /// A rotation was aborted: the new key was revoked in favour of the old one, whose id is in
    /// [`Event::after`](super::Event::after).
    KEY_ROTATION_ABORTED KeyRotationAborted = "key.rotation_aborted",
    /// A key was made to replace another, whose id is in [`Event::before`](super::Event::before).
    KEY_ROTATION_BEGUN KeyRotationBegun = "key.rotation_begun",
    /// A rotation was finished: the old key was revoked in favour of the new one, whose id is in
    /// [`Event::after`](super::Event::after).
    KEY_ROTATION_FINISHED KeyRotationFinished = "key.rotation_finished",
    /// A key got a successor, whose id is in [`Event::after`](super::Event::after), and kept its expiry. If the
    /// rotation gave it an earlier one, there is a [`KEY_EXPIRY_SET`](Self::KEY_EXPIRY_SET) instead.
    KEY_SUCCESSOR_MADE KeySuccessorMade = "key.successor_made",
    /// The stored record of a key cannot be read; requests with it get 503.
    KEY_UNREADABLE KeyUnreadable = "key.unreadable",
    /// Attempts to manage keys that were denied. [`Event::after`](super::Event::after) is a line of JSON with the
    /// attempted `action`, the `reason`, and the `count`. The reason is [a code](crate::manage::DenialReason::code), or
    /// one of these: `expiry_later` for a key that tried to undo an end that it did not set itself, `hidden` for an
    /// object that exists and must not be known to the actor, `not_found` for a `key`, a user or a team that does not
    /// exist. There is one `not_found` line for all of an actor's attempts; it is about the actor itself, and names the
    /// key if there is only one. Repetitions by an actor within an hour are added up. Attempts on hidden keys, attempts
    /// on hidden owners and attempts whose reason the actor is told have separate room: 8 lines of an actor in any case
    /// and 100 at most; the rest is `various`. 1,000 actors of an organization are counted separately. Further actors
    /// share the room of one, in lines that name them, and the rest is `other_actors`. Lines with these three reasons
    /// are shown only to actors that may see the trail of the whole organization.
    MANAGE_DENIED ManageDenied = "manage.denied",
    /// The organization was closed permanently.
    ORGANIZATION_CLOSED OrganizationClosed = "organization.closed",
    /// The organization was [erased](crate::KeyManager::erase). The event has the pseudonym, like its whole trail.
    ORGANIZATION_ERASED OrganizationErased = "organization.erased",
    /// A suspension of the organization was ended; [`Event::before`](super::Event::before) says which one.
    ORGANIZATION_REINSTATED OrganizationReinstated = "organization.reinstated",
    /// The organization was suspended; [`Event::after`](super::Event::after) has the reason.
    ORGANIZATION_SUSPENDED OrganizationSuspended = "organization.suspended",
    /// An owner was closed permanently.
    OWNER_CLOSED OwnerClosed = "owner.closed",
    /// An owner was [erased](crate::KeyManager::erase). The event is about the pseudonym.
    OWNER_ERASED OwnerErased = "owner.erased",
    /// An owner was suspended; [`Event::after`](super::Event::after) has the reason.
    OWNER_SUSPENDED OwnerSuspended = "owner.suspended",
    /// A suspension of an owner was ended; [`Event::before`](super::Event::before) says which one.
    OWNER_REINSTATED OwnerReinstated = "owner.reinstated",
    /// The audit trail was exported, or its export was begun. [`Event::after`](super::Event::after) is a line of JSON
    /// with the `format`, and with `attempts`: whether the access log was requested. The event is about the requested
    /// key, or as for an [inventory](Self::INVENTORY_EXPORTED).
    TRAIL_EXPORTED TrailExported = "trail.exported",
}

impl Action {
    /// Any words, from a row.
    pub(super) const fn stored(words: String) -> Self {
        Self(Cow::Owned(words))
    }

    /// The words as they are stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Words that fit into a store; others do not compile.
const fn fits(words: &'static str) -> &'static str {
    assert!(words.len() <= ACTION.bytes());
    words
}

/// Any words: actions that another version of this crate wrote are found by them. Other words match nothing.
impl From<&str> for Action {
    fn from(words: &str) -> Self {
        Self(Cow::Owned(words.to_owned()))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
