//! Sentences for people, in a form that can be translated.
//!
//! A [`Sentence`] is an id, named arguments and the English text. The id is stable and says which sentence it is. The
//! arguments are what the sentence is about: a number, a time, a key, a person. The English text is a template with
//! places for the arguments. It is filled in on request, so that a program can translate the sentence, or show people's
//! names. [`manage::sentences`](crate::manage::sentences) lists all sentences.

mod convert;
mod declare;
mod said;

pub(crate) use convert::Example;
pub(crate) use declare::{sentences, told_words};
pub(crate) use said::joined;
pub use said::{Argument, Place, Sentence};

#[cfg(test)]
mod tests;
