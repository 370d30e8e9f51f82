//! Sentences for people, which another language can say too.
//!
//! A [`Sentence`] is an id, named arguments and the English text. The id is stable and names what is said; the arguments
//! are what it speaks of: a number, a time, a key, a person. The English is a template with places for the arguments, and
//! is put together when it is asked for, so that a program can say the same in another language, or call people by their
//! names. [`manage::sentences`](crate::manage::sentences) lists every sentence there is.

mod convert;
mod declare;
mod said;

pub(crate) use convert::Example;
pub(crate) use declare::{sentences, told_words};
pub(crate) use said::joined;
pub use said::{Argument, Place, Sentence};

#[cfg(test)]
mod tests;
