use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A place among all rows of a store: in this table, right after this row, or at the table's beginning if none.
///
/// Cursors are ordered as rows are exported: by table in the order of the variants, and in a table by the bytes of the
/// primary key. The text of a cursor is one line of JSON, which parses again: another process can continue there.
///
/// ```
/// use tower_api_keys::store::transfer::Cursor;
///
/// let cursor = Cursor::Keys(Some("AAAAAAAAAAAAAAAAAAAA".into()));
/// assert_eq!(cursor.to_string(), r#"{"keys":"AAAAAAAAAAAAAAAAAAAA"}"#);
/// assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
/// assert!(Cursor::START < cursor && cursor < Cursor::Usage(None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cursor {
    /// Bytes under names, after this name.
    Meta(Option<String>),
    /// Owners' statuses, after this organization, kind and id.
    Owners(Option<(String, String, String)>),
    /// Keys, after this id.
    Keys(Option<String>),
    /// What is left of purged keys, after this id.
    Tombstones(Option<String>),
    /// Counts of use, after this key, organization, outcome, label, client and network; key and organization are empty
    /// if the row names none.
    Usage(Option<[String; 6]>),
    /// Counts of use by day, after this key and day.
    UsageDays(Option<(String, i32)>),
    /// Events, after this sequence.
    Events(Option<i64>),
}

impl Cursor {
    /// Before the first row of the first table.
    pub const START: Self = Self::Meta(None);

    /// The beginning of the next table, if there is one.
    #[must_use]
    pub const fn next_table(&self) -> Option<Self> {
        match self {
            Self::Meta(_) => Some(Self::Owners(None)),
            Self::Owners(_) => Some(Self::Keys(None)),
            Self::Keys(_) => Some(Self::Tombstones(None)),
            Self::Tombstones(_) => Some(Self::Usage(None)),
            Self::Usage(_) => Some(Self::UsageDays(None)),
            Self::UsageDays(_) => Some(Self::Events(None)),
            Self::Events(_) => None,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It consists of text and numbers, which `serde_json` always writes.
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map_err(|_| InvalidCursor(()))
    }
}

/// The text is no [`Cursor`].
///
/// ```
/// use tower_api_keys::store::transfer::Cursor;
///
/// let error = "page 7".parse::<Cursor>().unwrap_err();
/// assert_eq!(error.to_string(), "this is no cursor of a copy: start the copy again without one");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of a copy: start the copy again without one")]
pub struct InvalidCursor(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_line_and_parses_again() {
        let words = || ("an organization".to_owned(), "team".to_owned(), "\"\n\u{e9}".to_owned());
        let places = [
            Cursor::START,
            Cursor::Meta(Some(String::new())),
            Cursor::Owners(None),
            Cursor::Owners(Some(words())),
            Cursor::Keys(Some("A".into())),
            Cursor::Tombstones(Some("A".into())),
            Cursor::Usage(Some(["A", "", "success", "in/take", "", "\n"].map(str::to_owned))),
            Cursor::UsageDays(Some(("A".into(), i32::MIN))),
            Cursor::Events(Some(i64::MIN)),
            Cursor::Events(Some(i64::MAX)),
        ];
        for cursor in places {
            let text = cursor.to_string();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(text.parse(), Ok(cursor));
        }
    }

    #[test]
    fn tables_come_in_the_order_of_places() {
        let mut cursor = Cursor::START;
        let mut tables = 1;
        while let Some(next) = cursor.next_table() {
            assert!(cursor < next);
            (cursor, tables) = (next, tables + 1);
        }
        assert_eq!((cursor, tables), (Cursor::Events(None), 7));
    }
}
