//! What the audit trail shows, to which actors, and what it hides.

mod access_log;
mod denials;
mod export;
mod hides;
mod lineage;
mod read;
