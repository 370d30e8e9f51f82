//! What to do about a key that leaked: which one it was, who used it, and an end to it and to all it may have made.

mod identified;
mod misuse;
mod revoke;
mod revoke_error;
mod scan;

pub use identified::{Identification, Identified, LeakEvidence};
pub use misuse::{Misuse, SourceUse};
pub(in crate::manage) use revoke::Which;
pub use revoke::{RevokeMany, RevokedMany};
pub use revoke_error::RevokeManyError;
pub(in crate::manage) use scan::{Finding, Scan};
