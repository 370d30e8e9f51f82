//! The JSON of every answer, frozen: what it is, that its schema says so, and that another language can say it.

mod answers;
mod kinds;
mod language;
pub(super) mod world;
