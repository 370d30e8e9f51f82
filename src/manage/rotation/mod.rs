//! Replacing a key while both are accepted: begin, look at who still uses the old one, finish or abort.

mod begin;
mod finish;
mod pair;
mod request;
mod status;
mod verdict;

#[cfg(test)]
mod tests;

pub use request::RotateKey;
pub use status::{EndedRotation, LastUse, Rotation};
pub use verdict::RotationVerdict;
