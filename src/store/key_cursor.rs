use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{key::KeyId, time::Timestamp};

/// A place in a list of keys, in any order: after the key with this time of creation, this end and this id.
///
/// ```
/// use tower_api_keys::{Timestamp, key::KeyId, store::KeyCursor};
///
/// let cursor = KeyCursor { created_at: Timestamp::MIN, expires_at: None, id: KeyId::new("AAAAAAAAAAAAAAAAAAAA")? };
/// assert_eq!(cursor.to_string().parse(), Ok(cursor));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It serializes as its text. Clients only send the text back: its format is private to this crate, and may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyCursor {
    /// The key's time of creation.
    pub created_at: Timestamp,
    /// Its end, if it had one when it was listed.
    pub expires_at: Option<Timestamp>,
    /// The key.
    pub id: KeyId,
}

impl fmt::Display for KeyCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.created_at.as_millis())?;
        if let Some(end) = self.expires_at {
            write!(f, "{}.", end.as_millis())?;
        }
        write!(f, "{}", self.id)
    }
}

impl FromStr for KeyCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (times, id) = text.rsplit_once('.').ok_or(InvalidCursor(()))?;
        let (created_at, expires_at) = match times.split_once('.') {
            Some((created_at, end)) => (time(created_at)?, Some(time(end)?)),
            None => (time(times)?, None),
        };
        Ok(Self { created_at, expires_at, id: KeyId::new(id).map_err(|_| InvalidCursor(()))? })
    }
}

/// Without a sign and leading zeros, so that each place has only one text.
fn time(text: &str) -> Result<Timestamp, InvalidCursor> {
    let millis = text.parse().ok().filter(|known: &i64| known.to_string() == text).ok_or(InvalidCursor(()))?;
    Timestamp::from_millis(millis).map_err(|_| InvalidCursor(()))
}

impl TryFrom<String> for KeyCursor {
    type Error = InvalidCursor;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyCursor> for String {
    fn from(cursor: KeyCursor) -> Self {
        cursor.to_string()
    }
}

/// The text is no [`KeyCursor`]: begin the list again without one.
///
/// ```
/// use tower_api_keys::store::{InvalidCursor, KeyCursor};
///
/// let error: InvalidCursor = "next".parse::<KeyCursor>().unwrap_err();
/// assert_eq!(error.to_string(), "this is no cursor of a list of keys: list again without a cursor");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of a list of keys: list again without a cursor")]
pub struct InvalidCursor(());

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back_from_its_text(
            millis in 0..=Timestamp::MAX.as_millis(),
            end in proptest::option::of(0..=Timestamp::MAX.as_millis()),
            id in "[A-Za-z0-9_-]{20}",
        ) {
            let cursor = KeyCursor {
                created_at: Timestamp::from_millis(millis).unwrap(),
                expires_at: end.map(|end| Timestamp::from_millis(end).unwrap()),
                id: KeyId::new(&id).unwrap(),
            };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            let json = serde_json::to_string(&cursor).unwrap();
            prop_assert_eq!(&json, &format!("\"{cursor}\""));
            prop_assert_eq!(serde_json::from_str::<KeyCursor>(&json).unwrap(), cursor);
        }

        #[test]
        fn any_text_is_a_cursor_or_refused(text in any::<String>()) {
            if let Ok(cursor) = text.parse::<KeyCursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let id = KeyId::LEAST;
        for text in ["", ".", "5", "5.", "5.short", "-1.", "next"] {
            assert!(text.parse::<KeyCursor>().is_err(), "{text}");
        }
        for millis in ["", "-1", "+5", "05", "5 ", "9999999999999999"] {
            assert!(format!("{millis}.{id}").parse::<KeyCursor>().is_err(), "{millis}");
            assert!(format!("5.{millis}.{id}").parse::<KeyCursor>().is_err(), "{millis}");
        }
        assert!(format!("5.{id}").parse::<KeyCursor>().is_ok());
        assert!(format!("5.6.{id}").parse::<KeyCursor>().is_ok());
        assert!(format!("5.6.7.{id}").parse::<KeyCursor>().is_err());
    }
}
