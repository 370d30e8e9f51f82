//! Keys as a table with cells that no spreadsheet runs as formulas, and what tables and lines of other things share
//! with it.

use std::{borrow::Cow, io, mem};

use bytes::Bytes;

use super::{column::InventoryColumn, format::ExportFormat};
use crate::manage::{
    inventory::entry::InventoryEntry,
    names::{Mentions, Names, Naming},
};

/// After one of these a spreadsheet may begin a cell: list separators other than the comma, and line ends that the
/// quotation marks of such a cell no longer hide.
const SEPARATORS: [char; 4] = [';', '\t', '\n', '\r'];

/// What spreadsheets take for the beginning of a formula (OWASP, CSV injection), and the apostrophe that marks plain
/// text.
const BEGINNINGS: [char; 12] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\n', '\r', '\''];

fn row<'a>(entry: &'a InventoryEntry, naming: &'a Naming) -> [Cow<'a, str>; InventoryColumn::ALL.len()] {
    InventoryColumn::ALL.map(|column| column.cell(entry, naming))
}

/// A cell that no spreadsheet runs, as a whole or split.
fn safe(cell: Cow<'_, str>) -> Cow<'_, str> {
    if !parts(&cell).any(is_risky) {
        return cell;
    }
    let guarded = parts(&cell).flat_map(|part| [if is_risky(part) { "'" } else { "" }, part]);
    guarded.collect::<String>().into()
}

/// The parts that could become cells of their own, each with the separator after it.
fn parts(cell: &str) -> impl Iterator<Item = &str> {
    cell.split_inclusive(SEPARATORS)
}

/// Whether a spreadsheet could run this part. Spreadsheets may skip blanks, drop a byte order mark at the beginning of
/// a text, and drop quotation marks of a quoted cell.
fn is_risky(part: &str) -> bool {
    let is_left_out = |c: char| matches!(c, '"' | '\u{feff}') || (c.is_whitespace() && !SEPARATORS.contains(&c));
    part.trim_start_matches(is_left_out).starts_with(BEGINNINGS)
}

impl ExportFormat {
    /// The text before all keys: the line of column names, if the format has one.
    pub(in crate::manage) fn head(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Csv => table([InventoryColumn::ALL.map(|column| Cow::Borrowed(column.as_str()))]),
            Self::JsonLines => Ok(Vec::new()),
        }
    }

    /// A line for each key.
    pub(in crate::manage) fn lines(self, entries: &[InventoryEntry], naming: &Naming) -> io::Result<Vec<u8>> {
        match self {
            Self::Csv => table(entries.iter().map(|entry| row(entry, naming))),
            Self::JsonLines => json_lines(entries, naming),
        }
    }

    const fn end_of_line(self) -> &'static [u8] {
        match self {
            Self::Csv => b"\r\n",
            Self::JsonLines => b"\n",
        }
    }

    /// The original text of a cell that was made safe for spreadsheets: without the apostrophe at its beginning, and
    /// those after separators. A program that reads an export must do this to every cell.
    ///
    /// ```
    /// use tower_api_keys::manage::ExportFormat;
    ///
    /// assert_eq!(ExportFormat::unguarded("'-MgYN0pVbP2cXk4sQ1aE"), "-MgYN0pVbP2cXk4sQ1aE");
    /// assert_eq!(ExportFormat::unguarded("alice@example.com"), "alice@example.com");
    /// ```
    #[must_use]
    pub fn unguarded(cell: &str) -> Cow<'_, str> {
        if !cell.contains('\'') {
            return cell.into();
        }
        parts(cell).map(|part| part.strip_prefix('\'').unwrap_or(part)).collect::<String>().into()
    }
}

/// A table of these rows, with cells that no spreadsheet runs.
pub(in crate::manage) fn table<'a, R>(rows: impl IntoIterator<Item = R>) -> io::Result<Vec<u8>>
where
    R: IntoIterator<Item = Cow<'a, str>>,
{
    // RFC 4180 §2.1.
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        let row: Vec<_> = row.into_iter().map(safe).collect();
        table.write_record(row.iter().map(|cell| cell.as_bytes())).map_err(io::Error::from)?;
    }
    table.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// The lines of an export in pieces. The end of a line is held back until it is known whether more follows or the
/// export is complete.
pub(in crate::manage) struct Lines {
    end: &'static [u8],
    held_back: &'static [u8],
}

impl Lines {
    pub(in crate::manage) const fn new(format: ExportFormat) -> Self {
        Self { end: format.end_of_line(), held_back: b"" }
    }

    /// The end of the line before, and these lines; the end of the last line is held back unless nothing follows.
    pub(in crate::manage) fn piece(&mut self, mut lines: Vec<u8>, is_last: bool) -> Bytes {
        let is_empty = lines.is_empty();
        let mut piece = Vec::new();
        if !is_empty || is_last {
            piece.extend(mem::take(&mut self.held_back));
        }
        if !is_empty && !is_last {
            lines.truncate(lines.len().saturating_sub(self.end.len()));
            self.held_back = self.end;
        }
        piece.extend(lines);
        piece.into()
    }
}

/// An entry with the names of its own people and teams, so that each line can be read alone.
#[derive(serde::Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a InventoryEntry,
    names: Names,
}

fn json_lines(entries: &[InventoryEntry], naming: &Naming) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries {
        let mut mentions = Mentions::default();
        mentions.key(&entry.key);
        serde_json::to_writer(&mut lines, &Line { entry, names: naming.of(&mentions) })?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
