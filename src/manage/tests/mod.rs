//! The frozen JSON of every answer: its form, its schema, and whether it can be translated.

mod answers;
mod kinds;
mod language;
pub(super) mod world;
