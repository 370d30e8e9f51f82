//! The end of what is kept about a person, a team or a whole organization: whom a request names, and what went.

mod report;
mod request;
mod run;

#[cfg(test)]
mod tests;

pub use report::Erased;
pub use request::Erase;
