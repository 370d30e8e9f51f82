//! Checking a key: from a text to a [`Principal`](crate::Principal).

mod error;

pub use error::{AuthError, AuthErrorKind};
