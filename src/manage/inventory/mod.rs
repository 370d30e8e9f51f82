//! Which keys exist, who uses them, and which need attention: pages, totals and tables.

mod entry;
mod export;
mod flag;
mod judge;
mod pieces;
mod query;
mod read;
mod summary;

#[cfg(test)]
mod tests;

pub(super) use entry::all as sentences;
pub use entry::{Attempts, InventoryEntry, InventoryPage};
pub use export::{ExportError, ExportFormat, InventoryColumn, InventoryExport};
pub(super) use export::{Lines, Pieces, table};
pub use flag::KeyFlag;
pub use judge::FlagSettings;
pub use query::InventoryQuery;
pub use summary::{InventorySummary, OwnerSummary};
