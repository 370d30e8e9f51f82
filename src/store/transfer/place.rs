use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A place among all rows of a store: in which table, and right after which row; at the table's beginning if none.
///
/// Places are ordered as rows are exported: by table in the order of the variants, and within one by the bytes of the
/// primary key. As text, which parses again, a place is a line of JSON, so that another process can go on there.
///
/// ```
/// use tower_api_keys::store::Place;
///
/// let place = Place::Keys(Some("AAAAAAAAAAAAAAAAAAAA".into()));
/// assert_eq!(place.to_string(), r#"{"keys":"AAAAAAAAAAAAAAAAAAAA"}"#);
/// assert_eq!(place.to_string().parse(), Ok(place.clone()));
/// assert!(Place::START < place && place < Place::Usage(None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// Bytes under names, after this name.
    Meta(Option<String>),
    /// Owners' statuses, after this organization, kind and id.
    Owners(Option<(String, String, String)>),
    /// Keys, after this id.
    Keys(Option<String>),
    /// What is left of purged keys, after this id.
    Tombstones(Option<String>),
    /// Counts of use, after this key, empty if none is named, outcome, label, client and network.
    Usage(Option<[String; 5]>),
    /// Counts of use by day, after this key and day.
    UsageDays(Option<(String, i32)>),
    /// Events, after this sequence.
    Events(Option<i64>),
}

impl Place {
    /// Before the first row of the first table.
    pub const START: Self = Self::Meta(None);

    /// The beginning of the table that comes next, if there is one.
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It consists of text and numbers, which `serde_json` always writes.
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map_err(|_| InvalidPlace(()))
    }
}

/// The text is no [`Place`].
///
/// ```
/// use tower_api_keys::store::Place;
///
/// let error = "page 7".parse::<Place>().unwrap_err();
/// assert_eq!(error.to_string(), "this is no place among the rows of a store");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place among the rows of a store")]
pub struct InvalidPlace(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_line_and_parses_again() {
        let words = || ("an organization".to_owned(), "team".to_owned(), "\"\n\u{e9}".to_owned());
        let places = [
            Place::START,
            Place::Meta(Some(String::new())),
            Place::Owners(None),
            Place::Owners(Some(words())),
            Place::Keys(Some("A".into())),
            Place::Tombstones(Some("A".into())),
            Place::Usage(Some(["A", "success", "in/take", "", "\n"].map(str::to_owned))),
            Place::UsageDays(Some(("A".into(), i32::MIN))),
            Place::Events(Some(i64::MIN)),
            Place::Events(Some(i64::MAX)),
        ];
        for place in places {
            let text = place.to_string();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(text.parse(), Ok(place));
        }
    }

    #[test]
    fn tables_come_in_the_order_of_places() {
        let mut place = Place::START;
        let mut tables = 1;
        while let Some(next) = place.next_table() {
            assert!(place < next);
            (place, tables) = (next, tables + 1);
        }
        assert_eq!((place, tables), (Place::Events(None), 7));
    }
}
