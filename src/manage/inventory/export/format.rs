/// As what an inventory is exported.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let actor = tower_api_keys::Actor::system("first start")?;
/// # manager.issue(tower_api_keys::IssueKey::team("blue".parse()?).named("=1+1"), &actor).await?;
/// use tower_api_keys::manage::{ExportFormat, InventoryQuery};
///
/// let mut table = Vec::new();
/// let exported = manager.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut table, &actor).await?;
/// assert_eq!(exported.keys, 1);
/// let table = String::from_utf8(table)?;
/// assert!(table.starts_with("id,kind,owner,") && table.contains(",'=1+1,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A table as RFC 4180 has it, in UTF-8, with a line of names first: the
    /// [columns](crate::manage::InventoryColumn::ALL), in their order. Where something is not known or never happened,
    /// the cell is empty.
    ///
    /// # Security
    /// Spreadsheets run cells that begin with certain characters as formulas (OWASP, CSV injection), and where their
    /// list separator is a semicolon or a tab, they split these cells there. So a cell whose text begins with `=`,
    /// `+`, `-` or `@`, plain or of full width, with a tab, a line feed or a carriage return, or with an apostrophe,
    /// gets one more apostrophe in front, ids included; so does what follows a semicolon, a tab, a line feed or a
    /// carriage return within a cell, if it begins like that. Blanks and quotation marks before such a beginning
    /// change nothing, because spreadsheets may leave them out. Whoever reads the table with a program takes one
    /// apostrophe from the beginning of every cell, and one from behind every semicolon, tab, line feed and carriage
    /// return in it, if there is one, and has what was there ([`unguarded`](Self::unguarded)); of a cell that holds JSON, before it is read as such.
    Csv,
    /// A line of JSON for each key: an [`InventoryEntry`](crate::manage::InventoryEntry) as it serializes, and in `names` the
    /// [`Names`](crate::manage::Names) of its people and teams. What was cut off after a line can be read as far as it goes.
    JsonLines,
}

impl ExportFormat {
    /// For the header `Content-Type`.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/x-ndjson",
        }
    }

    /// How the name of such a file ends.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}
