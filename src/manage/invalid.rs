use crate::sentence::told_words;

told_words! {
    /// What is invalid in a request. The source of the error has details, if there are any.
    ///
    /// ```
    /// use tower_api_keys::manage::InvalidInput;
    ///
    /// assert_eq!(InvalidInput::ExpiryPast.field(), Some("expires_at"));
    /// assert_eq!(InvalidInput::ExpiryPast.sentence(), "An expiry must be in the future: to stop a key now, revoke it.");
    /// ```
    #[non_exhaustive]
    pub enum InvalidInput as "invalid",
    /// The rule, as a sentence.
    pub sentence {
        /// More than 400 days of usage.
        Days = "days": "Usage by day covers at most 400 days.",
        /// The new expiry is later than the current one. A rotation can give a later one.
        ExpiryLater = "expiry_later":
            "You can only shorten the lifetime of a key: for a later expiry, rotate the key and give the new key a \
             later expiry.",
        /// A key that acts would let a key live longer by a rotation; only people and the system can do that.
        ExpiryLaterByKey = "expiry_later_by_key":
            "An API key cannot extend a lifetime by a rotation: ask a person who may rotate the key.",
        /// The expiry is now or in the past.
        ExpiryPast = "expiry_past": "An expiry must be in the future: to stop a key now, revoke it.",
        /// The expiry is later than the service allows for such a key.
        ExpiryTooLate = "expiry_too_late":
            "This service does not allow such a late expiry for this key: ask for an earlier one, or leave the expiry \
             out to get the latest that is allowed.",
        /// The text to look for keys in is too long.
        Fragment = "fragment": "You can search for keys in at most 64 KiB of text at a time.",
        /// The idempotency key is empty or longer than 256 bytes.
        IdempotencyKey = "idempotency_key": "An idempotency key must have 1 to 256 bytes.",
        /// The labels break a rule of [`Labels`](crate::record::Labels).
        Labels = "labels":
            "A key can have at most 16 labels. The name of a label can have only `a-z`, `0-9`, `-`, `_` and `.`. Its \
             value can have at most 128 characters, without invisible characters and without API keys.",
        /// The limits have more than 1,024 bytes or contain a key.
        Limits = "limits": "Limits can have at most 1,024 bytes, and must not contain an API key.",
        /// The name breaks a rule of [`KeyName`](crate::record::KeyName).
        Name = "name":
            "A name can have at most 100 characters, without invisible characters and without API keys.",
        /// The service does not say how the address of a request is found: a key with a list of networks would be
        /// refused everywhere.
        NetworksUnchecked = "networks_unchecked":
            "This service does not check the address of a request, so a key with a list of networks would always be \
             refused: configure `ApiKeysBuilder::addresses` first.",
        /// A page has 1 to 1,000 keys or events.
        PageSize = "page_size": "A page can have 1 to 1000 keys or events.",
        /// The text about who is responsible breaks a rule of [`Responsible`](crate::record::Responsible).
        Responsible = "responsible":
            "The responsible person or channel can have at most 128 characters, without invisible characters and \
             without API keys.",
        /// There are more than 64 scopes.
        Scopes = "scopes": "A key can have at most 64 scopes.",
        /// The new scopes are not within the old ones. A rotation can give wider ones.
        ScopesWider = "scopes_wider":
            "You can only take scopes away from a key: to add some, rotate the key and give the new key more scopes.",
        /// A text that is known beforehand follows a pattern, like those in documentation.
        TextGuessable = "text_guessable":
            "The secret in this key is easy to guess: generate a key with `KeyFormat::generate` and put it in the \
             configuration.",
        /// A text that is known beforehand has a brand that the service does not accept.
        TextNotAccepted = "text_not_accepted":
            "This is not a valid key for this service: generate one with the service's own `KeyFormat` and put it in \
             the configuration.",
        /// A text that is known beforehand is that of a personal key, but a team key is requested, or the other way
        /// round.
        TextOfOtherKind = "text_of_other_kind":
            "A key that begins with `user` is a personal key, one that begins with `team` is a team key: configure a \
             key of the right kind.",
        /// There are more than 1,000 texts.
        Texts = "texts": "You can send at most 1,000 keys at a time.",
        /// The time ends before it begins.
        TimeWindow = "time_window": "The time window ends before it begins.",
        /// The key is the new one of one rotation, and the old one of another.
        TwoRotations = "two_rotations":
            "This key is part of two rotations: it is the new key of one and the old key of the other. To \
             choose one of the two rotations, use the newer of its keys.",
        /// The service knows no such scope.
        UnknownScope = "unknown_scope":
            "This service has no such scope: check the spelling.",
    }
}

impl InvalidInput {
    /// The invalid input as a word for programs, the same as [`as_str`](Self::as_str).
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.as_str()
    }

    /// The request field that is invalid, if it is a single one.
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
