//! Tables for people, written while they are read: one of 100,000 rows needs no more memory than one of a page.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use super::{Screen, Style, shown};
use crate::failure::Failure;

/// Between two columns.
const GAP: usize = 3;

/// A column, with the most that it shows of a text on a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    most: usize,
}

impl Column {
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, most: 40 }
    }

    pub(crate) const fn at_most(title: &'static str, most: usize) -> Self {
        Self { title, most }
    }
}

/// A table. Its columns are as wide as the first page of rows needs.
pub(crate) struct Table<const N: usize> {
    columns: [Column; N],
    widths: Option<[usize; N]>,
    rows: u64,
}

impl<const N: usize> Table<N> {
    pub(crate) const fn new(columns: [Column; N]) -> Self {
        Self { columns, widths: None, rows: 0 }
    }

    /// How many rows were written.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes a page of rows, below the titles if it is the first.
    pub(crate) fn page(&mut self, rows: &[[String; N]], screen: &mut Screen) -> Result<(), Failure> {
        let Some(first) = rows.first() else { return Ok(()) };
        debug_assert_eq!(first.len(), N);
        let titles = self.columns.map(|column| column.title.to_owned());
        let is_first = self.widths.is_none();
        let widths = *self.widths.get_or_insert_with(|| {
            let mut widths = titles.each_ref().map(|title| title.width());
            for row in rows {
                for ((width, column), cell) in widths.iter_mut().zip(&self.columns).zip(row) {
                    *width = (*width).max(shown(cell).width().min(column.most));
                }
            }
            widths
        });
        if is_first {
            screen.styled(Style::Heading, line(&titles, &widths, None))?;
        }
        let cut = screen.is_terminal().then_some(&self.columns);
        for row in rows {
            screen.line(line(row, &widths, cut))?;
        }
        self.rows += u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// The cells of a row, each as wide as its column. If the row is [cut](Column::at_most), none is wider.
fn line<const N: usize>(cells: &[String; N], widths: &[usize; N], cut: Option<&[Column; N]>) -> String {
    let mut line = String::new();
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = shown(cell);
        let cell = match cut.and_then(|columns| columns.get(place)) {
            Some(column) => shortened(&cell, column.most),
            None => cell,
        };
        line.push_str(&cell);
        if place + 1 < N {
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + GAP));
        }
    }
    line
}

/// The text in at most this many columns, with `…` at its end if something is missing.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.width() <= most {
        return Cow::Owned(text.to_owned());
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if kept.width() >= most {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_a_terminal_shows_them() {
        let widths = [4, 4];
        assert_eq!(line(&["鍵".to_owned(), "x".to_owned()], &widths, None), "鍵     x");
        assert_eq!(line(&["ab".to_owned(), "x".to_owned()], &widths, None), "ab     x");
        assert_eq!(line(&["a\u{1b}b".to_owned(), "x".to_owned()], &widths, None), "a\u{fffd}b    x");
    }

    #[test]
    fn a_long_text_is_cut_at_its_column() {
        for (text, cut) in [("12345", "12345"), ("123456", "1234…"), ("鍵鍵鍵", "鍵鍵…"), ("👩‍🚒👩‍🚒👩‍🚒", "👩‍🚒👩‍🚒…")]
        {
            assert_eq!(shortened(text, 5), cut);
        }
    }
}
