//! Tests of finding, reporting and ending leaked keys.

mod identify;
mod presented;
mod revoke_many;
mod scan;
mod trace;
