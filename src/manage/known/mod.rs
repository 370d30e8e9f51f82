//! Keys whose texts are known before they are made: they lie in the configuration of a service, and every start asks for
//! them again.

mod issue;
mod problem;
mod request;

#[cfg(test)]
mod tests;

pub use problem::KnownKeyProblem;
pub use request::IssueKnownKey;
