//! Enums whose values are words of a protocol or of stored rows.

use std::{error::Error, fmt};

/// The text is none of the expected words. The error does not contain the text.
///
/// ```
/// use tower_api_keys::{RefusalCode, UnknownWord};
///
/// assert_eq!("key_revoked".parse(), Ok(RefusalCode::KeyRevoked));
/// assert_eq!("Key revoked".parse::<RefusalCode>(), Err(UnknownWord::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownWord {}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown word: take one of the list, in snake case")
    }
}

impl Error for UnknownWord {}

/// Declares such an enum: each variant with its word, and with a sentence that explains it if it has one. The enum gets
/// `ALL`, the word, and the conversion back.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$of_variant:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[$of_variant])* $variant, )+
        }

        impl $name {
            /// All values, in order.
            $vis const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word, in snake case.
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }

            /// The value with this word.
            pub(crate) fn of_word(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.as_str() == word)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::of_word(word).ok_or_else(Self::Err::default)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(::serde::de::Error::custom)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        #[cfg(feature = "schemars")]
        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident, $(#[$of_sentence:meta])* $sentence_vis:vis $sentence:ident {
            $( $(#[$of_variant:meta])* $variant:ident = $word:literal: $text:literal, )+
        }
    ) => {
        $crate::words::words! {
            $(#[$meta])*
            $vis enum $name {
                $( $(#[$of_variant])* $variant = $word, )+
            }
        }

        impl $name {
            $(#[$of_sentence])*
            #[must_use]
            $sentence_vis const fn $sentence(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::UnknownWord;

    words! {
        /// Two words.
        enum Colour, meaning {
            Blue = "blue": "Like the sky.",
            Red = "red": "Like a rose.",
        }
    }

    #[test]
    fn a_word_leads_back_to_its_value() {
        for colour in Colour::ALL {
            assert_eq!(Colour::of_word(colour.as_str()), Some(colour));
            let text = serde_json::to_string(&colour).unwrap();
            assert_eq!(text, format!("\"{colour}\""));
            assert_eq!(serde_json::from_str::<Colour>(&text).unwrap(), colour);
        }
        assert_eq!("Blue".parse::<Colour>(), Err(UnknownWord::default()));
        assert!(serde_json::from_str::<Colour>("\"Blue\"").is_err());
        assert_eq!(Colour::ALL.iter().map(|colour| colour.meaning()).collect::<String>(), "Like the sky.Like a rose.");
    }
}
