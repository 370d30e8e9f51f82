//! What people and teams are called, and who has left: asked of the directory once for an answer, and said in sentences.

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
