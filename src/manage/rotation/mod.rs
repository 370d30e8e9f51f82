//! Replacing a key while both are accepted: begin, check who still uses the old one, finish or abort.

mod begin;
mod finish;
mod pair;
mod request;
mod status;

#[cfg(test)]
mod tests;

pub use pair::RotationStage;
pub use request::{EndRotation, RotateKey};
pub use status::{EndedRotation, LastUse, Rotation};
