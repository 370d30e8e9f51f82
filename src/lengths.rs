//! The greatest length of every value that a store keeps in a column of no fixed length. The code that makes such a
//! value takes its limit from here, and the conformance kit tries each.

/// The greatest length of a value.
///
/// ```
/// use tower_api_keys::store::{Alphabet, COLUMNS};
///
/// let names = COLUMNS.iter().find(|column| (column.table, column.name) == ("api_keys", "name")).ok_or("no such column")?;
/// assert_eq!((names.longest.characters(), names.longest.bytes()), (100, 400));
/// assert_eq!(names.longest.alphabet(), Alphabet::Unicode);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    bytes: usize,
    characters: usize,
    alphabet: Alphabet,
}

/// The kind of characters in a value.
///
/// ```
/// use tower_api_keys::store::Alphabet;
///
/// assert_ne!(Alphabet::Ascii, Alphabet::Unicode);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alphabet {
    /// ASCII characters.
    Ascii,
    /// Bytes that are not text.
    Bytes,
    /// Any characters, including those of four bytes in UTF-8.
    Unicode,
}

impl Length {
    /// The most bytes, in UTF-8 if it is a text.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bytes
    }

    /// The most characters (Unicode scalar values), which is what most databases count; for bytes, the number of bytes.
    #[must_use]
    pub const fn characters(self) -> usize {
        self.characters
    }

    /// The kind of characters.
    #[must_use]
    pub const fn alphabet(self) -> Alphabet {
        self.alphabet
    }

    const fn ascii(bytes: usize) -> Self {
        Self { bytes, characters: bytes, alphabet: Alphabet::Ascii }
    }

    const fn octets(bytes: usize) -> Self {
        Self { bytes, characters: bytes, alphabet: Alphabet::Bytes }
    }

    /// A text with a limit in bytes: each byte may be a character.
    const fn text(bytes: usize) -> Self {
        Self { bytes, characters: bytes, alphabet: Alphabet::Unicode }
    }

    /// A text with a limit in characters: each may have four bytes.
    const fn characters_of(characters: usize) -> Self {
        Self { bytes: 4 * characters, characters, alphabet: Alphabet::Unicode }
    }
}

/// A key's id, also within the key's text.
pub(crate) const KEY_ID: Length = Length::ascii(20);

/// The embedder's own ids, and values with the same rule: labels of sources and of parts of the service.
pub(crate) const ID: Length = Length::text(128);

/// A key's name.
pub(crate) const NAME: Length = Length::characters_of(100);

pub(crate) const MOST_LABELS: usize = 16;

/// A label, in ASCII.
pub(crate) const LABEL: Length = Length::ascii(32);

/// A label's value.
pub(crate) const LABEL_VALUE: Length = Length::characters_of(128);

/// A hash as a PHC string. Hashes written today have 100 characters.
pub(crate) const HASH: Length = Length::ascii(128);

pub(crate) const MOST_SCOPES: usize = 64;

/// One scope.
pub(crate) const SCOPE: Length = Length::ascii(64);

pub(crate) const MOST_NETWORKS: usize = 32;

/// One network: eight groups of four digits, and a length of three.
const NETWORK: Length = Length::ascii("2001:0db8:0000:0000:0000:0000:0000:0000/128".len());

/// A key's limits, in the service's own words.
pub(crate) const LIMITS: Length = Length::text(1_024);

/// The recipient of messages about a key.
pub(crate) const RESPONSIBLE: Length = Length::characters_of(128);

/// An idempotency key.
pub(crate) const IDEMPOTENCY_KEY: Length = Length::text(256);

/// The action of an event.
pub(crate) const ACTION: Length = Length::ascii(64);

/// The word of an outcome.
pub(crate) const OUTCOME: Length = Length::ascii(64);

/// The text before or after a change, in an event: more than the longest summary of a new key.
pub(crate) const EVENT_TEXT: Length = Length::text(16_384);

/// A client: an id of the embedder, or at most 64 characters of a caller's own text.
pub(crate) const CLIENT: Length =
    Length { bytes: 4 * CLIENT_CHARACTERS, characters: ID.characters, alphabet: Alphabet::Unicode };

/// The number of characters kept of a caller's own text.
pub(crate) const CLIENT_CHARACTERS: usize = 64;

/// A note in the store, from node to node.
pub(crate) const NOTE: Length = Length::octets(16_384);

/// Labels as a JSON object. Quotes and backslashes take two characters there. Nothing else is escaped, because control
/// characters are refused.
const LABELS: Length = {
    // Quotes around both, a colon between them, and a comma after them.
    let around = MOST_LABELS * (LABEL.bytes + 6) - 1 + 2;
    Length {
        bytes: around + MOST_LABELS * LABEL_VALUE.bytes,
        characters: around + MOST_LABELS * 2 * LABEL_VALUE.characters,
        alphabet: Alphabet::Unicode,
    }
};

/// The star, and each scope with a blank before it.
const SCOPES: Length = Length::ascii(1 + MOST_SCOPES * (1 + SCOPE.bytes));

/// Each network, with a blank between two.
const NETWORKS: Length = Length::ascii(MOST_NETWORKS * (NETWORK.bytes + 1) - 1);

/// `system:` and a label.
const ACTOR: Length = Length::text("system:".len() + ID.bytes);

/// `label/client@network`.
const SOURCE: Length = Length {
    bytes: 2 * ID.bytes + CLIENT.bytes + 2,
    characters: 2 * ID.characters + CLIENT.characters + 2,
    alphabet: Alphabet::Unicode,
};

/// `user` and `team`.
const KIND: Length = Length::ascii(4);

/// `organization`, beside `user`, `team` or `subject`.
const WIDE_KIND: Length = Length::ascii(12);

/// Columns that this version leaves empty. A later version will not make them longer.
const RESERVED: Length = Length::text(1_024);

const NAME_OF_BYTES: Length = Length::ascii(64);

/// A column of no fixed length.
///
/// ```
/// use tower_api_keys::store::COLUMNS;
///
/// // The widths of a table, in a database that counts characters.
/// for column in COLUMNS.iter().filter(|column| column.table == "api_key_owners") {
///     println!("{} varchar({})", column.name, column.longest.characters());
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The table, by its name in the stores of this crate.
    pub table: &'static str,
    /// The column, by its name there.
    pub name: &'static str,
    /// The greatest length of a value.
    pub longest: Length,
}

const fn column(table: &'static str, name: &'static str, longest: Length) -> Column {
    Column { table, name, longest }
}

/// Every column of no fixed length that a store has, with the greatest length of what this crate writes there. Longer
/// values are refused before a store sees them.
pub const COLUMNS: &[Column] = &[
    column("api_keys", "id", KEY_ID),
    column("api_keys", "organization", ID),
    column("api_keys", "kind", KIND),
    column("api_keys", "owner", ID),
    column("api_keys", "name", NAME),
    column("api_keys", "labels", LABELS),
    column("api_keys", "hash", HASH),
    column("api_keys", "proof", Length::octets(32)),
    column("api_keys", "scopes", SCOPES),
    column("api_keys", "allowed_networks", NETWORKS),
    column("api_keys", "limits", LIMITS),
    column("api_keys", "created_by", ACTOR),
    column("api_keys", "created_via_key", KEY_ID),
    column("api_keys", "imported_from", RESERVED),
    column("api_keys", "responsible", RESPONSIBLE),
    column("api_keys", "revoked_by", ACTOR),
    column("api_keys", "paused_by", ACTOR),
    column("api_keys", "replaces", KEY_ID),
    column("api_keys", "lineage", KEY_ID),
    column("api_key_owners", "organization", ID),
    column("api_key_owners", "kind", WIDE_KIND),
    column("api_key_owners", "id", ID),
    column("api_key_log", "key_id", KEY_ID),
    column("api_key_log", "organization", ID),
    column("api_key_log", "owner_kind", WIDE_KIND),
    column("api_key_log", "owner", ID),
    column("api_key_changes", "idempotency_key", IDEMPOTENCY_KEY),
    column("api_key_changes", "key_id", KEY_ID),
    column("api_key_events", "organization", ID),
    column("api_key_events", "actor", ACTOR),
    column("api_key_events", "action", ACTION),
    column("api_key_events", "key_id", KEY_ID),
    column("api_key_events", "owner_kind", WIDE_KIND),
    column("api_key_events", "owner", ID),
    column("api_key_events", "before", EVENT_TEXT),
    column("api_key_events", "after", EVENT_TEXT),
    column("api_key_events", "source", SOURCE),
    column("api_key_events", "audience", WIDE_KIND),
    column("api_key_usage", "key_id", KEY_ID),
    column("api_key_usage", "organization", ID),
    column("api_key_usage", "outcome", OUTCOME),
    column("api_key_usage", "label", ID),
    column("api_key_usage", "client", CLIENT),
    column("api_key_usage", "network", ID),
    column("api_key_usage_days", "key_id", KEY_ID),
    column("api_key_meta", "name", NAME_OF_BYTES),
    column("api_key_meta", "value", Length::octets(4_096)),
    column("api_key_notes", "name", NAME_OF_BYTES),
    column("api_key_notes", "value", NOTE),
    column("api_key_tombstones", "id", KEY_ID),
    column("api_key_tombstones", "organization", ID),
    column("api_key_tombstones", "lineage", KEY_ID),
    column("api_key_tombstones", "created_via_key", KEY_ID),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hash::PepperId,
        key::MalformedReason,
        networks::Networks,
        outcome::{Outcome, RefusalCode},
        owner::{OrganizationId, TeamId},
        record::{ActorId, KeyName, Labels, Responsible, SystemLabel, labels_text},
        scope::{Scope, Scopes},
        usage::Source,
    };

    const WIDE: &str = "\u{1f511}";

    fn longest(table: &str, name: &str) -> Length {
        COLUMNS.iter().find(|column| (column.table, column.name) == (table, name)).unwrap().longest
    }

    /// Asserts that the greatest numbers of bytes and characters among these texts are those of the column.
    fn assert_longest<T: ToString>(table: &str, name: &str, texts: impl IntoIterator<Item = T>) {
        let texts: Vec<String> = texts.into_iter().map(|text| text.to_string()).collect();
        let most = |count: fn(&String) -> usize| texts.iter().map(count).max().unwrap();
        let (bytes, characters) = (most(String::len), most(|text| text.chars().count()));
        let Length { bytes: most_bytes, characters: most_characters, .. } = longest(table, name);
        assert_eq!((bytes, characters), (most_bytes, most_characters), "{table}.{name}");
    }

    fn labels(value: &str) -> Labels {
        let value = value.repeat(LABEL_VALUE.characters());
        Labels::new((0..MOST_LABELS).map(|number| (format!("{number:0>32}"), value.clone()))).unwrap()
    }

    fn scopes() -> Scopes {
        let named: Scopes = (0..MOST_SCOPES).map(|number| Scope::new(format!("{number:x>64}")).unwrap()).collect();
        named.named().cloned().fold(Scopes::all(), Scopes::with)
    }

    #[test]
    fn the_longest_that_can_be_made_is_what_the_table_says() {
        assert_longest("api_keys", "organization", [OrganizationId::new("x".repeat(128)).unwrap()]);
        assert_longest("api_keys", "owner", [TeamId::new("x".repeat(128)).unwrap()]);
        assert_longest("api_keys", "name", [KeyName::new(WIDE.repeat(100)).unwrap()]);
        assert_longest("api_keys", "responsible", [Responsible::new(WIDE.repeat(128)).unwrap().as_str()]);
        assert_longest("api_keys", "labels", [labels("\""), labels(WIDE)].map(|labels| labels_text(&labels)));
        assert_longest("api_keys", "scopes", [scopes()]);
        let network = |number: usize| format!("2001:1db8:1111:1111:1111:1111:1111:1{number:03}/128");
        assert_longest("api_keys", "allowed_networks", [Networks::new((0..MOST_NETWORKS).map(network)).unwrap()]);
        let label = SystemLabel::new("x".repeat(128)).unwrap();
        assert_longest("api_keys", "created_by", [ActorId::System(label)]);
        let source = |client: &str| {
            let source = Source::new("x".repeat(128)).unwrap().with_network("x".repeat(128)).unwrap();
            source.with_client(client).unwrap()
        };
        // A client of 64 characters of four bytes can come from a caller, but not through here: half of it can.
        let wide = WIDE.repeat(CLIENT_CHARACTERS / 2);
        assert_longest(
            "api_key_events",
            "source",
            [source(&"x".repeat(128)).to_string(), { source(&wide).to_string().replace(&wide, &wide.repeat(2)) }],
        );
    }

    #[test]
    fn nothing_longer_can_be_made() {
        assert!(TeamId::new("x".repeat(129)).is_err() && KeyName::new("x".repeat(101)).is_err());
        assert!(Scope::new("x".repeat(65)).is_err());
        assert!(format!("{} y", scopes()).parse::<Scopes>().is_err());
        assert!(Labels::new([("x".repeat(33), "")]).is_err() && Labels::new([("x", "x".repeat(129))]).is_err());
    }

    #[test]
    fn the_crate_s_own_words_fit_their_columns() {
        let words =
            RefusalCode::ALL.map(Outcome::Refused).into_iter().chain(MalformedReason::ALL.map(Outcome::Malformed));
        assert!(words.map(|outcome| outcome.word().len()).all(|length| length <= OUTCOME.bytes()));
        assert!(format!("pepper {}", PepperId::new(u32::MAX).as_u32()).len() <= NAME_OF_BYTES.bytes());
    }

    #[test]
    fn no_column_is_named_twice() {
        for (place, column) in COLUMNS.iter().enumerate() {
            let others = COLUMNS.iter().skip(place + 1);
            assert!(
                !others.into_iter().any(|other| (other.table, other.name) == (column.table, column.name)),
                "{column:?}"
            );
        }
    }
}
