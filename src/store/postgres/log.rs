use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::Row;

use super::{failure::Failure, key_rows::column, link::Link};
use crate::store::{Changed, Changes, Head};

/// The column of the answer that says whether a standby gave it.
pub(super) const STANDBY_COLUMN: usize = 2;

/// No log has this position, so a reader without a head gets the present head.
const NOWHERE: i64 = -1;

/// The queries of the link: for the head, and for changes.
const HEAD: usize = 0;
const CHANGES: usize = 1;

pub(super) async fn changes_since(link: &Link, has_moved: &AtomicBool, head: Option<Head>) -> Result<Changes, Failure> {
    if head.is_some() && !has_moved.load(Ordering::Relaxed) {
        let (_, now) = head_of(&link.ask(HEAD, &[]).await?)?;
        if head == Some(now) {
            return Ok(Changes::Unchanged);
        }
    }
    // If much changes, the next read asks for changes at once. It does that also after this one took too long.
    has_moved.store(true, Ordering::Relaxed);
    let (position, change) = head.map_or((NOWHERE, [0; 16]), |head| (head.position, head.change));
    let rows = link.ask(CHANGES, &[&position, &change.as_slice()]).await?;
    let (first, now) = head_of(&rows)?;
    if head == Some(now) {
        has_moved.store(false, Ordering::Relaxed);
        return Ok(Changes::Unchanged);
    }
    let is_known = head == Some(Head::EMPTY) || column(first, 3)?;
    let changed = if is_known { changes(&rows, position, now)? } else { None };
    Ok(changed.unwrap_or(Changes::Reset { head: now }))
}

/// The head, and the row that has it.
fn head_of(rows: &[Row]) -> Result<(&Row, Head), Failure> {
    let first = rows.first().ok_or_else(|| Failure::Corrupt("the change log has no head".into()))?;
    let bytes: &[u8] = column(first, 1)?;
    let change = bytes.try_into().map_err(|_| Failure::Corrupt("a change has 16 bytes".into()))?;
    Ok((first, Head { position: column(first, 0)?, change }))
}

/// The changes in the rows; none if some rows are missing or cannot be read.
fn changes(rows: &[Row], position: i64, now: Head) -> Result<Option<Changes>, Failure> {
    let mut changed = Changed::default();
    for row in rows {
        if column::<Option<i64>>(row, 8)?.is_none() {
            return Ok(None);
        }
        let [key, organization, kind, id] = [column(row, 4)?, column(row, 5)?, column(row, 6)?, column(row, 7)?];
        if changed.add_row(key, [organization, kind, id]).is_none() {
            return Ok(None);
        }
    }
    let is_complete = now.position.checked_sub(position).is_some_and(|steps| steps == rows.len() as i64);
    Ok(is_complete.then_some(changed.until(now)))
}
