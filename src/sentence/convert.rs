//! Conversion of the crate's types into arguments, and an example of each.

use std::time::Duration;

use super::said::{Argument, Sentence};
use crate::{
    key::KeyId,
    owner::{Owner, TeamId, UserId},
    scope::{ManagingScope, Scope},
    time::Timestamp,
};

macro_rules! from {
    ($($type:ty => |$value:ident| $argument:expr;)+) => {
        $(
            impl From<$type> for Argument {
                fn from($value: $type) -> Self {
                    $argument
                }
            }
        )+
    };
}

from! {
    Duration => |length| Self::DurationMs(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    KeyId => |key| Self::Key(key);
    ManagingScope => |scope| Self::Word(scope.as_str().to_owned());
    Sentence => |sentence| Self::Sentence(Box::new(sentence));
    Timestamp => |time| Self::Time(time);
    Vec<String> => |texts| Self::List(texts);
    Vec<&Scope> => |scopes| Self::List(scopes.into_iter().map(ToString::to_string).collect());
    i64 => |number| Self::Number(u64::try_from(number).unwrap_or(0));
    &Owner => |owner| match owner {
        Owner::Team(team) => Self::Team(team.clone()),
        Owner::User(user) => Self::User(user.clone()),
    };
    &TeamId => |team| Self::Team(team.clone());
    &UserId => |user| Self::User(user.clone());
    &str => |text| Self::Text(text.to_owned());
    u32 => |number| Self::Number(number.into());
    u64 => |number| Self::Number(number);
    usize => |number| Self::Number(number as u64);
}

/// The example of an argument in the list of sentences.
pub(crate) trait Example {
    fn example() -> Argument;
}

macro_rules! examples {
    ($($type:ty => $argument:expr;)+) => {
        $(
            impl Example for $type {
                fn example() -> Argument {
                    $argument
                }
            }
        )+
    };
}

examples! {
    Duration => Argument::DurationMs(30 * 24 * 3_600_000);
    KeyId => Argument::Key(KeyId::LEAST);
    ManagingScope => ManagingScope::Rotate.into();
    Sentence => Sentence::new("example.part", "a part", Vec::new()).into();
    // 1 March 2026 at noon.
    Timestamp => Timestamp::from_millis(1_772_366_400_000).unwrap_or(Timestamp::MIN).into();
    Vec<String> => Argument::List(vec!["one".to_owned(), "two".to_owned()]);
    Vec<&Scope> => vec![&Scope::KEYS_READ, &Scope::KEYS_ROTATE].into();
    i64 => Argument::Number(2);
    &Owner => <&TeamId>::example();
    &TeamId => TeamId::new("blue").map_or_else(|_| Argument::Text("blue".to_owned()), Argument::Team);
    &UserId => UserId::new("alice").map_or_else(|_| Argument::Text("alice".to_owned()), Argument::User);
    &str => Argument::Text("text".to_owned());
    u32 => Argument::Number(2);
    u64 => Argument::Number(2);
    usize => Argument::Number(2);
}
