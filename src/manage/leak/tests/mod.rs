//! Finding, reporting and ending leaked keys.

mod identify;
mod revoke_many;
mod scan;
