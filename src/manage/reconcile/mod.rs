//! Owners of live keys that the directory no longer has: finding them, and ending their keys.

mod report;
mod request;
mod run;
mod said;

#[cfg(test)]
mod tests;

pub use report::{MissingOwner, Reconciled};
pub use request::Reconcile;
pub(super) use said::all;
