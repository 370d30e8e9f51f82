//! Owners of live keys whom the directory does not have any more: who they are, and an end to their keys.

mod report;
mod request;
mod run;
mod said;

#[cfg(test)]
mod tests;

pub use report::{MissingOwner, Reconciled};
pub use request::Reconcile;
pub(super) use said::all;
