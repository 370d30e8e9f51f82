//! Declares sentences: each once, with its id and its English text.

/// Declares functions that each make one sentence, and one function that returns an example of each.
///
/// ```text
/// sentences! {
///     pub(super) fn all;
///
///     fn revoked_by(at: Timestamp, by: &ActorId) = "check.revoked_by": "It was revoked at {at} by {by}.";
/// }
/// ```
#[cfg_attr(not(feature = "manage"), allow(unused_macros))]
macro_rules! sentences {
    (
        $list_vis:vis fn $list:ident;
        $( $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) = $id:literal: $template:literal; )+
    ) => {
        $(
            $vis fn $name($($argument: $type),*) -> $crate::sentence::Sentence {
                let arguments = vec![$((stringify!($argument), $crate::sentence::Argument::from($argument))),*];
                $crate::sentence::Sentence::new($id, $template, arguments)
            }
        )+

        /// An example of each sentence.
        $list_vis fn $list() -> Vec<$crate::sentence::Sentence> {
            vec![$({
                let arguments =
                    vec![$((stringify!($argument), <$type as $crate::sentence::Example>::example())),*];
                $crate::sentence::Sentence::new($id, $template, arguments)
            }),+]
        }
    };
}

/// Declares an enum of [words](crate::words::words), each with a sentence without arguments. The id of the sentence is
/// that of the enum, a dot and the word.
macro_rules! told_words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident as $id:literal, $(#[$of_sentence:meta])* $sentence_vis:vis $sentence:ident {
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
            $sentence_vis fn $sentence(self) -> $crate::sentence::Sentence {
                let (id, text) = match self {
                    $( Self::$variant => (concat!($id, ".", $word), $text), )+
                };
                $crate::sentence::Sentence::new(id, text, Vec::new())
            }
        }
    };
}

pub(crate) use {sentences, told_words};
