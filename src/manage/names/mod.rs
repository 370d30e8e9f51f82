//! The names of people and teams, and who has left: asked from the directory once for an answer, and used in sentences.

mod ask;
mod known;
mod mentions;
mod said;
mod team;

#[cfg(test)]
mod tests;

pub(super) use ask::Naming;
pub use known::{Names, Presence};
pub(super) use mentions::Mentions;
pub use team::NamedTeam;
