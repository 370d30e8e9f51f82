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
            "This key has expired, which cannot be undone: make a new text with `KeyFormat::generate` and configure \
             that.",
        /// The key has another end than requested.
        OtherExpiry = "other_expiry":
            "This key has another expiry than the configured one, and was not changed: configure the key's own expiry \
             or none, or a new text for a key with another expiry.",
        /// The id belongs to a key of another organization, or to a key with another secret.
        OtherKey = "other_key":
            "Another key already has the id in this text: make a new text with `KeyFormat::generate` and configure \
             that.",
        /// The key has other limits.
        OtherLimits = "other_limits":
            "This key has other limits than the configured ones, and was not changed: configure the key's own limits, \
             or a new text for a key with other limits.",
        /// The key may be used from other networks.
        OtherNetworks = "other_networks":
            "This key has other networks than the configured ones, and was not changed: configure the key's own \
             networks, or change the networks of the key.",
        /// The key has another owner.
        OtherOwner = "other_owner":
            "This key belongs to another user or team than the configured one, and was not changed: configure the \
             key's owner, or a new text for a key of another owner.",
        /// The key has other scopes.
        OtherScopes = "other_scopes":
            "This key has other scopes than the configured ones, and was not changed: configure the key's own scopes, \
             or a new text for a key with other scopes.",
        /// The key is paused.
        Paused = "paused": "This key is paused: resume it, or make a new text with `KeyFormat::generate` and configure that.",
        /// The id is that of a key that was removed long after its end. Its owner is no longer known.
        Purged = "purged":
            "The key with this text ended and was removed, and its id can never be used again: make a new text with \
             `KeyFormat::generate` and configure that.",
        /// The key is revoked.
        Revoked = "revoked":
            "This key is revoked, which cannot be undone: make a new text with `KeyFormat::generate` and configure \
             that.",
        /// The key ended in a rotation.
        Rotated = "rotated":
            "This key was replaced in a rotation and has ended: configure the text of its successor, or a new text.",
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
