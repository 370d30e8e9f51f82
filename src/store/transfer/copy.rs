use std::{fmt, future::IntoFuture, time::Duration};

use futures_util::future::{BoxFuture, join};

use super::{
    batch::{Batch, Page},
    copy_error::CopyError,
    cursor::Cursor,
    portable::PortableStore,
};
use crate::store::{
    calls::{guarded, guarded_change},
    error::StoreError,
};

/// How long reading or writing a page may take: far more than any page needs.
const LONGEST: Duration = Duration::from_secs(60);

/// Rows in a page. From SQLite to PostgreSQL on one machine, pages of 100 to 10,000 rows were equally fast. With 1,000
/// rows, a round trip through a network costs little per row, and the lock of the target, which other changes wait for,
/// is held for tens of milliseconds.
const PAGE: u16 = 1_000;

/// Copies all keys, owners' statuses, counts of use, events and check values of peppers, of all organizations, from one
/// store into another: from SQLite to PostgreSQL, for example. No key has to be issued again.
///
/// ```
/// use tower_api_keys::store::{MemoryStore, transfer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let (sqlite, postgres) = (MemoryStore::new(), MemoryStore::new());
/// let copied = transfer::copy(&sqlite, &postgres).await?;
/// println!("{} keys", copied.keys);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How to move a service
/// 1. Make the target's tables (`PostgresStore::migrate`), and do not use them yet.
/// 2. Stop every process that writes to the source, with
///    [`ApiKeys::shutdown`](crate::ApiKeys::shutdown): counts of use are in the memory of a running service until it
///    flushes them, and would be missing.
/// 3. Copy.
/// 4. Start the service on the target, with the same peppers. Hashes are moved as they are, and with them the check
///    values, which keep a node with another pepper from starting.
///
/// If a process still writes to the source during the copy, rows that were already copied do not get its changes. Even
/// a revocation can be lost: the key still works in the target. A copy that is started again then finds rows whose
/// counts or content changed, which is a conflict.
///
/// Owners are copied before keys, so that a node on the target never accepts the key of a suspended owner.
///
/// # Repeat and continue
/// Nothing is ever overwritten, so you can repeat a copy: rows that are there stay. To continue a copy that stopped,
/// give [`CopyError::cursor`] to [`Copy::starting_at`]. This works in another process, too.
///
/// The target must not hold other data: owners, keys, counts or events that the source does not have, or has with
/// another content, are a conflict. The copy checks this before it writes anything, unless it starts at a cursor. The
/// target may have names of bytes that the source does not have: nodes with the same peppers may have been started on
/// it.
///
/// [`PortableStore`] lists what is not copied.
///
/// # Errors
/// [`CopyError`]. Rows that were copied before the error stay.
pub fn copy<'a, S: PortableStore, T: PortableStore>(source: &'a S, target: &'a T) -> Copy<'a, S, T> {
    Copy { ends: Ends { source, target, page: PAGE }, start: Cursor::START, progress: Box::new(|_| {}) }
}

/// A copy that starts when it is awaited. See [`copy`](copy()).
///
/// ```
/// use tower_api_keys::store::{MemoryStore, transfer::{self, Cursor}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let (sqlite, postgres) = (MemoryStore::new(), MemoryStore::new());
/// # let (saved, mut save) = (Cursor::START.to_string(), |_: String| {});
/// let copied = transfer::copy(&sqlite, &postgres)
///     .starting_at(saved.parse()?)
///     .on_progress(|progress| save(progress.cursor.to_string()))
///     .await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is copied until it is awaited"]
pub struct Copy<'a, S, T> {
    ends: Ends<'a, S, T>,
    start: Cursor,
    progress: Box<dyn FnMut(&Progress) + Send + 'a>,
}

/// The store to copy, and the store to copy into.
struct Ends<'a, S, T> {
    source: &'a S,
    target: &'a T,
    /// Rows in a page.
    page: u16,
}

/// How far a copy has come, after each page.
///
/// ```
/// use tower_api_keys::store::transfer::{Copied, Cursor, Progress};
///
/// let progress = Progress { cursor: Cursor::Keys(None), copied: Copied { owners: 12, ..Copied::default() } };
/// assert_eq!(progress.copied.owners, 12);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where a copy that stopped now would continue.
    pub cursor: Cursor,
    /// How many rows this copy copied so far.
    pub copied: Copied,
}

/// How many rows were copied.
///
/// ```
/// use tower_api_keys::store::transfer::Copied;
///
/// let copied = Copied { keys: 3, written: 0, ..Copied::default() }; // all of them were there already
/// assert_eq!(copied.rows(), 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Check values of peppers and the like.
    pub meta: u64,
    /// Owners' statuses.
    pub owners: u64,
    /// Keys.
    pub keys: u64,
    /// What is left of purged keys.
    pub tombstones: u64,
    /// Counts of use.
    pub usage: u64,
    /// Counts of use by day.
    pub usage_days: u64,
    /// Events.
    pub events: u64,
    /// How many of all these were written; the others were there already.
    pub written: u64,
}

impl Copied {
    /// Rows of all tables together.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.meta + self.owners + self.keys + self.tombstones + self.usage + self.usage_days + self.events
    }

    fn add(&mut self, rows: &Batch, written: u64) {
        let count = match rows {
            Batch::Meta(_) => &mut self.meta,
            Batch::Owners(_) => &mut self.owners,
            Batch::Keys(_) => &mut self.keys,
            Batch::Tombstones(_) => &mut self.tombstones,
            Batch::Usage(_) => &mut self.usage,
            Batch::UsageDays(_) => &mut self.usage_days,
            Batch::Events(_) => &mut self.events,
        };
        *count += rows.len() as u64;
        self.written += written;
    }
}

impl<'a, S: PortableStore, T: PortableStore> Copy<'a, S, T> {
    /// Continues at a cursor: everything before it was copied earlier. By default everything is copied.
    pub fn starting_at(mut self, cursor: Cursor) -> Self {
        self.start = cursor;
        self
    }

    /// Calls this after each page that was written, before the next page.
    pub fn on_progress(mut self, progress: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Rows in a page, 1 to 10,000; 1,000 by default. Each page is one transaction of the target.
    pub fn page_size(mut self, rows: u16) -> Self {
        self.ends.page = rows.clamp(1, 10_000);
        self
    }

    async fn run(self) -> Result<Copied, CopyError> {
        let Self { ends, start, progress: mut tell } = self;
        if start == Cursor::START {
            ends.refuse_strangers().await?;
        }
        let mut page = ends.read(&start).await.map_err(|error| CopyError::source(&start, error))?;
        let mut progress = Progress { cursor: start, copied: Copied::default() };
        loop {
            // The next page is read while this one is written.
            let (written, next) = match &page.next {
                Some(next) => join(ends.write(&page.rows), async { Some(ends.read(next).await) }).await,
                None => (ends.write(&page.rows).await, None),
            };
            let written = written.map_err(|error| CopyError::target(&progress.cursor, error))?;
            progress.copied.add(&page.rows, written);
            if let Some(cursor) = page.next.or_else(|| page.rows.end()) {
                progress.cursor = cursor;
            }
            tell(&progress);
            match next {
                Some(next) => page = next.map_err(|error| CopyError::source(&progress.cursor, error))?,
                None => return Ok(progress.copied),
            }
        }
    }
}

impl<S: PortableStore, T: PortableStore> Ends<'_, S, T> {
    /// Checks that the target holds only rows of the source. It reads the source only where the target has rows.
    async fn refuse_strangers(&self) -> Result<(), CopyError> {
        let of_source = |error| CopyError::source(&Cursor::START, error);
        let of_target = |error| CopyError::target(&Cursor::START, error);
        // Not the names: the target may have more, and the same ones are compared when they are written.
        let mut cursor = Some(Cursor::Owners(None));
        while let Some(from) = cursor {
            let call = || self.target.export(&from, self.page);
            let standing = guarded(LONGEST, call).await.map_err(of_target)?;
            if standing.rows.is_empty() {
                cursor = standing.next;
                continue;
            }
            let expected = self.read(&from).await.map_err(of_source)?;
            if let Some(stranger) = stranger(&standing.rows, &expected) {
                return Err(of_target(StoreError::differs(stranger)));
            }
            cursor = expected.next;
        }
        Ok(())
    }

    async fn read(&self, cursor: &Cursor) -> Result<Page, StoreError> {
        guarded(LONGEST, || self.source.export(cursor, self.page)).await
    }

    async fn write(&self, rows: &Batch) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        guarded_change(LONGEST, || self.target.import(rows)).await
    }
}

/// The first row that is not in the expected page, up to the end of that page.
fn stranger(standing: &Batch, expected: &Page) -> Option<Cursor> {
    let until = expected.next.as_ref();
    match (standing, &expected.rows) {
        (Batch::Meta(standing), Batch::Meta(expected)) => missing(standing, expected, until),
        (Batch::Owners(standing), Batch::Owners(expected)) => missing(standing, expected, until),
        (Batch::Keys(standing), Batch::Keys(expected)) => missing(standing, expected, until),
        (Batch::Usage(standing), Batch::Usage(expected)) => missing(standing, expected, until),
        (Batch::UsageDays(standing), Batch::UsageDays(expected)) => missing(standing, expected, until),
        (Batch::Tombstones(standing), Batch::Tombstones(expected)) => missing(standing, expected, until),
        (Batch::Events(standing), Batch::Events(expected)) => missing(standing, expected, until),
        (standing, _) => standing.end(),
    }
}

/// Both slices are in the order of cursors.
fn missing<R: PartialEq>(standing: &[R], expected: &[R], until: Option<&Cursor>) -> Option<Cursor>
where
    Cursor: for<'a> From<&'a R>,
{
    let mut expected = expected.iter().map(|row| (Cursor::from(row), row)).peekable();
    standing
        .iter()
        .map(|row| (Cursor::from(row), row))
        .take_while(|(cursor, _)| until.is_none_or(|end| cursor <= end))
        .find(|(cursor, row)| {
            while expected.next_if(|(before, _)| before < cursor).is_some() {}
            expected.next_if(|(_, same)| same == row).is_none()
        })
        .map(|(cursor, _)| cursor)
}

impl<'a, S: PortableStore, T: PortableStore> IntoFuture for Copy<'a, S, T> {
    type Output = Result<Copied, CopyError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S, T> fmt::Debug for Copy<'_, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copy").field("start", &self.start).field("page", &self.ends.page).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::transfer::MetaRow;

    fn names(names: &[&str]) -> Vec<MetaRow> {
        names.iter().map(|name| MetaRow { name: (*name).into(), value: vec![] }).collect()
    }

    /// The first stored name that is not expected.
    fn strange(standing: &[&str], expected: &[&str], limit: u16) -> Option<Cursor> {
        stranger(&Batch::Meta(names(standing)), &Page::of(Batch::Meta(names(expected)), limit))
    }

    #[test]
    fn what_stands_must_be_expected() {
        let at = |name: &str| Some(Cursor::Meta(Some(name.into())));
        assert_eq!(strange(&["a", "c"], &["a", "b", "c"], 3), None);
        assert_eq!(strange(&["a", "c"], &["a", "b"], 3), at("c"));
        assert_eq!(strange(&["a"], &["b", "c"], 3), at("a"));
        assert_eq!(strange(&["b"], &[], 3), at("b"));
    }

    #[test]
    fn what_stands_behind_the_page_is_not_looked_at() {
        assert_eq!(strange(&["a", "c"], &["a", "b"], 2), None);
        assert_eq!(strange(&["b", "c"], &["a"], 1), None);
    }

    #[test]
    fn what_stands_with_another_content_is_a_stranger() {
        let expected = Page::of(Batch::Meta(vec![MetaRow { name: "a".into(), value: vec![1] }]), 9);
        assert_eq!(stranger(&Batch::Meta(names(&["a"])), &expected), Some(Cursor::Meta(Some("a".into()))));
    }
}
