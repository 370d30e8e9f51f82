//! Keys whose texts are known before they are made: the texts are in the configuration of a service, and every start
//! requests the keys again.

mod issue;
mod problem;
mod request;

#[cfg(test)]
mod tests;

pub use problem::KnownKeyProblem;
pub use request::IssueKnownKey;
