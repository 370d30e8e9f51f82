//! Erasing what is kept about a person, a team or a whole organization: the request and the report.

mod report;
mod request;
mod run;

#[cfg(test)]
mod tests;

pub use report::Erased;
pub use request::Erase;
