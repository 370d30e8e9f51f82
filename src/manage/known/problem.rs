use crate::sentence::told_words;

told_words! {
    /// Why a key that is [known beforehand](crate::IssueKey::with_text) does not exist as requested. The existing key
    /// is not changed.
    ///
    /// ```
    /// use tower_api_keys::manage::KnownKeyProblem;
    ///
    /// assert_eq!(KnownKeyProblem::OtherScopes.field(), Some("scopes"));
    /// assert_eq!(KnownKeyProblem::Purged.field(), None);
    /// ```
    #[non_exhaustive]
    pub enum KnownKeyProblem as "known_key",
    /// What is wrong and what to do, as a sentence for the author of the configuration.
    pub sentence {
        /// The key has expired.
        Expired = "expired":
            "This key has expired, which cannot be undone: generate a new key with `KeyFormat::generate` and put it \
             in the configuration.",
        /// The key has another end than requested.
        OtherExpiry = "other_expiry":
            "The expiry in the configuration is not the expiry of this key, so nothing was changed: configure the \
             expiry that the key has, or no expiry, or generate a new key.",
        /// The id belongs to a key of another organization, or to a key with another secret.
        OtherKey = "other_key":
            "Another key already has the id of this key: generate a new key with `KeyFormat::generate` and put it in \
             the configuration.",
        /// The key has other limits.
        OtherLimits = "other_limits":
            "The limits in the configuration are not the limits of this key, so nothing was changed: configure the \
             limits that the key has, or generate a new key.",
        /// The key may be used from other networks.
        OtherNetworks = "other_networks":
            "The networks in the configuration are not the networks of this key, so nothing was changed: configure \
             the networks that the key has, or change the networks of the key.",
        /// The key has another owner.
        OtherOwner = "other_owner":
            "The owner in the configuration is not the owner of this key, so nothing was changed: configure the owner \
             that the key has, or generate a new key for the other owner.",
        /// The key has other scopes.
        OtherScopes = "other_scopes":
            "The scopes in the configuration are not the scopes of this key, so nothing was changed: configure the \
             scopes that the key has, or generate a new key.",
        /// The key is paused.
        Paused = "paused":
            "This key is paused: resume it, or generate a new key with `KeyFormat::generate` and put it in the \
             configuration.",
        /// The id is that of a key that was removed long after its end. Its owner is no longer known.
        Purged = "purged":
            "This key ended and was removed, and its id can never be used again: generate a new key with \
             `KeyFormat::generate` and put it in the configuration.",
        /// The key is revoked.
        Revoked = "revoked":
            "This key is revoked, which cannot be undone: generate a new key with `KeyFormat::generate` and put it in \
             the configuration.",
        /// The key ended in a rotation.
        Rotated = "rotated":
            "This key was replaced in a rotation and no longer works: configure the new key of that rotation, or \
             generate another key.",
    }
}

impl KnownKeyProblem {
    /// The request field that differs from the key, if there is one.
    #[must_use]
    pub const fn field(self) -> Option<&'static str> {
        Some(match self {
            Self::OtherExpiry => "expires_at",
            Self::OtherKey => "text",
            Self::OtherLimits => "limits",
            Self::OtherNetworks => "networks",
            Self::OtherOwner => "owner",
            Self::OtherScopes => "scopes",
            Self::Expired | Self::Paused | Self::Purged | Self::Revoked | Self::Rotated => return None,
        })
    }
}
