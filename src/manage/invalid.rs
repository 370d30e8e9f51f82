use crate::sentence::told_words;

told_words! {
    /// What makes no sense. The source of the error says more, where there is more to say.
    ///
    /// ```
    /// use tower_api_keys::manage::InvalidInput;
    ///
    /// assert_eq!(InvalidInput::ExpiryPast.field(), Some("expires_at"));
    /// assert_eq!(InvalidInput::ExpiryPast.sentence(), "An expiry lies in the future: to end a key now, revoke it.");
    /// ```
    #[non_exhaustive]
    pub enum InvalidInput as "invalid",
    /// What the rule is, in a sentence.
    pub sentence {
        /// More than 400 days of usage.
        Days = "days": "Usage is told by day of 400 days at most.",
        /// The new expiry is later than the present one. A rotation gives a later one.
        ExpiryLater = "expiry_later":
            "The expiry of a key can only be moved to an earlier time: for a later one, rotate the key (`begin_rotation` with \
             `RotateKey::expires_at`).",
        /// A key that acts would let a key live longer by a rotation, which people and the system can.
        ExpiryLaterByKey = "expiry_later_by_key":
            "An API key lets no key live longer by a rotation: ask a person who may rotate the key.",
        /// The expiry is now or in the past.
        ExpiryPast = "expiry_past": "An expiry lies in the future: to end a key now, revoke it.",
        /// The expiry is later than the service lets such a key live.
        ExpiryTooLate = "expiry_too_late":
            "This service does not let such a key live for that long: ask for an earlier expiry, or for none to get the latest \
             that it allows.",
        /// The text to look for keys in is too long.
        Fragment = "fragment": "A text to look for keys in has at most 64 KiB.",
        /// The idempotency key is empty or longer than 256 bytes.
        IdempotencyKey = "idempotency_key": "An idempotency key has 1 to 256 bytes.",
        /// The labels break a rule of [`Labels`](crate::record::Labels).
        Labels = "labels":
            "A key has at most 16 labels of `a-z`, `0-9`, `-`, `_` and `.`, with values of at most 128 characters, none of \
             them a control or text direction character, and no key in them.",
        /// The limits have more than 1,024 bytes or contain a key.
        Limits = "limits": "Limits have at most 1,024 bytes and contain no key.",
        /// The name breaks a rule of [`KeyName`](crate::record::KeyName).
        Name = "name":
            "A name has at most 100 characters, none of them a control or text direction character, and no key in it.",
        /// Nobody said how the address of a request is found: a key with a list of networks would be refused everywhere.
        NetworksUnchecked = "networks_unchecked":
            "This service does not look from where requests come, so a key with a list of networks would never be accepted: \
             let the service say how (`ApiKeysBuilder::addresses`).",
        /// A page has 1 to 1,000 keys or events.
        PageSize = "page_size": "A page has 1 to 1000 keys or events.",
        /// Who is responsible breaks a rule of [`Responsible`](crate::record::Responsible).
        Responsible = "responsible":
            "Who is responsible is said in at most 128 characters, none of them a control or text direction character, and \
             no key in it.",
        /// There are more than 64 scopes.
        Scopes = "scopes": "A key has at most 64 scopes.",
        /// The new scopes are not within the old ones. A rotation gives wider ones.
        ScopesWider = "scopes_wider":
            "The scopes of a key can only become fewer: for more, rotate the key (`begin_rotation` with `RotateKey::scopes`).",
        /// A text that is known beforehand follows a pattern, as those in documentation do.
        TextGuessable = "text_guessable":
            "The secret in this text can be guessed: make a text with `KeyFormat::generate` and configure that.",
        /// A text that is known beforehand has a brand that the service does not accept.
        TextNotAccepted = "text_not_accepted":
            "This service does not accept such a text: make one with its own `KeyFormat` and configure that.",
        /// A text that is known beforehand is that of a personal key where a team key is asked for, or the other way round.
        TextOfOtherKind = "text_of_other_kind":
            "A text that begins with `user` belongs to a personal key, and one that begins with `team` to a team key: configure \
             one of the right kind.",
        /// There are more than 1,000 texts.
        Texts = "texts": "At most 1,000 texts of keys are taken at a time.",
        /// The time ends before it begins.
        TimeWindow = "time_window": "A time window ends before it begins.",
        /// The key is the new one of a rotation, and the old one of another.
        TwoRotations = "two_rotations":
            "The key is the new one of a rotation and the old one of another: name the other by its new key.",
        /// The service knows no such scope.
        UnknownScope = "unknown_scope":
            "This service has no such scope: a misspelt one would allow nothing.",
    }
}

impl InvalidInput {
    /// The same in a word, for programs: that of [`as_str`](Self::as_str).
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.as_str()
    }

    /// The field of the request that is meant, if it is one.
    #[must_use]
    pub const fn field(self) -> Option<&'static str> {
        Some(match self {
            Self::Days => "days",
            Self::ExpiryLater | Self::ExpiryLaterByKey | Self::ExpiryPast | Self::ExpiryTooLate => "expires_at",
            Self::Fragment | Self::TextGuessable | Self::TextNotAccepted | Self::TextOfOtherKind => "text",
            Self::IdempotencyKey => "idempotency_key",
            Self::Labels => "labels",
            Self::Limits => "limits",
            Self::Name => "name",
            Self::NetworksUnchecked => "networks",
            Self::PageSize => "limit",
            Self::Responsible => "responsible",
            Self::Scopes | Self::ScopesWider | Self::UnknownScope => "scopes",
            Self::Texts => "texts",
            Self::TimeWindow => "until",
            Self::TwoRotations => return None,
        })
    }
}
