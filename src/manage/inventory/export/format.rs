/// The format of an exported inventory.
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
    /// A table in the format of RFC 4180, in UTF-8, with a first line of names: the
    /// [columns](crate::manage::InventoryColumn::ALL), in their order. A cell is empty where something is not known or
    /// never happened.
    ///
    /// # Security
    /// Spreadsheets run cells that begin with certain characters as formulas (OWASP, CSV injection). Where their list
    /// separator is a semicolon or a tab, they also split cells there. So a cell gets one more apostrophe in front, ids
    /// included, if its text begins with `=`, `+`, `-` or `@`, plain or of full width, with a tab, a line feed or a
    /// carriage return, or with an apostrophe. So does any text within a cell that begins like that after a semicolon,
    /// a tab, a line feed or a carriage return. Blanks and quotation marks before such a beginning change nothing,
    /// because spreadsheets may drop them. A program that reads the table must remove one apostrophe, if there is one,
    /// from the beginning of every cell and after every semicolon, tab, line feed and carriage return in it
    /// ([`unguarded`](Self::unguarded)); for a cell that holds JSON, before it parses the JSON.
    Csv,
    /// A line of JSON for each key: a serialized [`InventoryEntry`](crate::manage::InventoryEntry) and, in `names`, the
    /// [`Names`](crate::manage::Names) of its people and teams. If the text is cut off after a line, the lines before
    /// can be read.
    JsonLines,
}

impl ExportFormat {
    /// The value for the `Content-Type` header.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/x-ndjson",
        }
    }

    /// The extension of such a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}
