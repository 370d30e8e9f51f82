mod entry;
mod export;
mod flag;
mod judge;
mod query;
mod summary;

pub(super) use entry::DEAD;
pub use entry::{Attempts, InventoryEntry, InventoryPage};
pub(super) use export::Sheet;
pub use export::{ExportError, ExportFormat, InventoryColumn, InventoryExport};
pub use flag::KeyFlag;
pub(super) use judge::Facts;
pub use judge::FlagSettings;
pub use query::InventoryQuery;
pub(super) use summary::SummaryCount;
pub use summary::{InventorySummary, OwnerSummary};
