mod request;
mod status;
mod verdict;

pub use request::RotateKey;
pub(super) use request::SuccessorExpiry;
pub use status::{EndedRotation, Rotation, Seen};
pub use verdict::RotationVerdict;
pub(super) use verdict::TURNED_AWAY;
