//! What the audit trail says, to whom, and what it hides.

mod access_log;
mod denials;
mod export;
mod hides;
mod lineage;
mod read;
