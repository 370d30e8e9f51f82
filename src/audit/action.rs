use std::{borrow::Cow, fmt};

use serde::Serialize;

use crate::lengths::ACTION;

/// Declares each action once: its constant, and its kind for whoever has to think of all of them.
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

/// What was done, in two words: `key.issued`. An open set: a newer version of this crate may write more.
///
/// ```
/// use tower_api_keys::audit::Action;
///
/// assert_eq!(Action::KEY_REVOKED.as_str(), "key.revoked");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Action(Cow<'static, str>);

actions! {
    /// A key was shown and accepted. Written only where a line for each attempt is asked for.
    ATTEMPT_ACCEPTED AttemptAccepted = "attempt.accepted",
    /// Entries of the access log with keys of the organization are missing in this place, or may be. [`Event::after`](super::Event::after) is a
    /// line of JSON: the `count`, and when the first and the last of them came, `first_at` and `last_at`. The subject is the
    /// key of the first; the others may have been of any key of the organization.
    ATTEMPT_DROPPED AttemptDropped = "attempt.dropped",
    /// A key that is in the store was shown, or a text with its id, and refused; [`Event::after`](super::Event::after) is the code of the
    /// refusal. The actor is the key if it was proved to be that key, which expired, was revoked, or whose owner is
    /// suspended; else `system:unproved caller`. Written only where a line for each attempt is asked for, and of one
    /// key for ten a minute of those with the right text and ten of the others.
    ATTEMPT_REFUSED AttemptRefused = "attempt.refused",
    /// More attempts of one minute like those of [`ATTEMPT_REFUSED`](Self::ATTEMPT_REFUSED), with one key, one code and
    /// from one source, or from several that are told as `other`. [`Event::after`](super::Event::after) is a line of JSON: the `code`, the
    /// `count`, and when the first and the last of them came, `first_at` and `last_at`.
    ATTEMPT_REPEATED AttemptRepeated = "attempt.repeated",
    /// The inventory was exported, or its export begun. [`Event::after`](super::Event::after) is a line of JSON with the `format`. It stands with
    /// the organization, or with each user and team whose keys were asked for.
    INVENTORY_EXPORTED InventoryExported = "inventory.exported",
    /// The end of a key comes: [`Event::after`](super::Event::after) is a line of JSON with its end, `expires_at`, who is `responsible` for it, and
    /// how many milliseconds before it this is told, `before_ms`: at one of [these times](crate::ApiKeysBuilder::warn_of_ends), or soon after it.
    /// Told once for each key, end and time, by `system:clock`.
    KEY_ENDS_SOON KeyEndsSoon = "key.ends_soon",
    /// A key has expired: [`Event::after`](super::Event::after) is a line of JSON with the time, `expires_at`, and who is `responsible`. Told once for each key and end, by `system:clock`.
    KEY_EXPIRED KeyExpired = "key.expired",
    /// The expiry of a key was set or moved.
    KEY_EXPIRY_SET KeyExpirySet = "key.expiry_set",
    /// A text matched a key's tag and not its hash: a guess of one in 4.3 billion, or made by a reader of the database.
    KEY_FORGED KeyForged = "key.forged",
    /// A key was made.
    KEY_ISSUED KeyIssued = "key.issued",
    /// The scopes of a key were narrowed.
    KEY_NARROWED KeyNarrowed = "key.narrowed",
    /// Another list of networks that a key may be used from, or none: then it may be used from anywhere.
    KEY_NETWORKS_SET KeyNetworksSet = "key.networks_set",
    /// The labels of a key were changed.
    KEY_RELABELLED KeyRelabelled = "key.relabelled",
    /// A key was paused. [`Event::after`](super::Event::after) says why, if that was said.
    KEY_PAUSED KeyPaused = "key.paused",
    /// A key that ended long ago was [purged](crate::ApiKeysBuilder::keep_dead_keys). The actor is `system:pruner`. The store
    /// writes it where it purges, and tells how many keys that were, not which: an [event sink](super::EventSink) is not told.
    KEY_PURGED KeyPurged = "key.purged",
    /// A key was renamed.
    KEY_RENAMED KeyRenamed = "key.renamed",
    /// Who is told about a key was set, changed or removed: [`Event::before`](super::Event::before) and [`Event::after`](super::Event::after) say who.
    KEY_RESPONSIBLE_SET KeyResponsibleSet = "key.responsible_set",
    /// The pause of a key was ended. [`Event::after`](super::Event::after) says why, if that was said.
    KEY_RESUMED KeyResumed = "key.resumed",
    /// A key was revoked. [`Event::after`](super::Event::after) says why, if that was said.
    KEY_REVOKED KeyRevoked = "key.revoked",
    /// A rotation was given up: the new key was revoked in favour of the old one, whose id stands after.
    KEY_ROTATION_ABORTED KeyRotationAborted = "key.rotation_aborted",
    /// A key was made to replace another, whose id stands before.
    KEY_ROTATION_BEGUN KeyRotationBegun = "key.rotation_begun",
    /// A rotation was finished: the old key was revoked in favour of the new one, whose id stands after.
    KEY_ROTATION_FINISHED KeyRotationFinished = "key.rotation_finished",
    /// A key got a successor, whose id stands after, and kept its expiry. If the rotation gave it an earlier one,
    /// [`KEY_EXPIRY_SET`](Self::KEY_EXPIRY_SET) stands in the place of this.
    KEY_SUCCESSOR_MADE KeySuccessorMade = "key.successor_made",
    /// The stored record of a key cannot be read; its calls get 503.
    KEY_UNREADABLE KeyUnreadable = "key.unreadable",
    /// Attempts to manage keys that were denied: what stands since is a line of JSON with the `action` that was tried,
    /// the `reason`, and the `count`. The reason is [a code](crate::manage::DenialReason::code), `expiry_later` for a
    /// key that would take back an end that it did not give itself, `hidden` for what exists and may not be known of,
    /// or `not_found` for a `key`, a user or a team that does not exist: that line is about the actor itself, and one for
    /// all of them; it names the key if that is the only one. What an actor repeats within an hour is added up. Attempts
    /// on hidden keys, on hidden owners and those whose reason the actor is told have room of their own, for 8 lines of an
    /// actor in any case and 100 at most; the rest is `various`. Of an organization's actors, 1,000 are told apart; what more of
    /// them try has the room of one, in lines that name them, and the rest is `other_actors`. Lines of these three
    /// reasons are shown only to actors that may see the trail of the whole organization.
    MANAGE_DENIED ManageDenied = "manage.denied",
    /// The organization was closed for good.
    ORGANIZATION_CLOSED OrganizationClosed = "organization.closed",
    /// The organization was [erased](crate::KeyManager::erase). It stands under the pseudonym, as its whole trail does.
    ORGANIZATION_ERASED OrganizationErased = "organization.erased",
    /// A suspension of the organization was ended; [`Event::before`](super::Event::before) says which.
    ORGANIZATION_REINSTATED OrganizationReinstated = "organization.reinstated",
    /// The organization was suspended; [`Event::after`](super::Event::after) says why.
    ORGANIZATION_SUSPENDED OrganizationSuspended = "organization.suspended",
    /// An owner was closed for good.
    OWNER_CLOSED OwnerClosed = "owner.closed",
    /// An owner was [erased](crate::KeyManager::erase). It is about the pseudonym.
    OWNER_ERASED OwnerErased = "owner.erased",
    /// An owner was suspended; [`Event::after`](super::Event::after) says why.
    OWNER_SUSPENDED OwnerSuspended = "owner.suspended",
    /// A suspension of an owner was ended; [`Event::before`](super::Event::before) says which.
    OWNER_REINSTATED OwnerReinstated = "owner.reinstated",
    /// The audit trail was exported, or its export begun. [`Event::after`](super::Event::after) is a line of JSON with the `format`, and with
    /// `attempts`, which says whether the access log was asked for. It stands with the key that was asked about, or as that of an
    /// [inventory](Self::INVENTORY_EXPORTED).
    TRAIL_EXPORTED TrailExported = "trail.exported",
}

impl Action {
    /// Any words, as a row has them.
    pub(super) const fn stored(words: String) -> Self {
        Self(Cow::Owned(words))
    }

    /// The words as they are stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Words that a store has room for; others do not compile.
const fn fits(words: &'static str) -> &'static str {
    assert!(words.len() <= ACTION.bytes());
    words
}

/// Any words: those that another version of this crate wrote are found by them, and others nowhere.
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
