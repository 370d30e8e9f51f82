use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use crate::store::{Changed, Changes, Head};

/// A reader that is more than this number of changes behind starts over.
const LONGEST_LOG: i64 = 1_000;

const HEAD: &str = "select position, change from api_key_head";

pub(super) fn read_head(connection: &Connection) -> Result<Head, rusqlite::Error> {
    connection.prepare_cached(HEAD)?.query_row([], |row| Ok(Head { position: row.get(0)?, change: row.get(1)? }))
}

pub(super) fn changes_since(connection: &mut Connection, head: Option<Head>) -> Result<Changes, Failure> {
    // One snapshot for the head and the rows before it.
    let transaction = connection.transaction()?;
    let now = read_head(&transaction)?;
    if head == Some(now) {
        return Ok(Changes::Unchanged);
    }
    let changed = match head {
        Some(head) if follows(&transaction, head, now)? => changes_between(&transaction, head, now)?,
        _ => None,
    };
    Ok(changed.unwrap_or(Changes::Reset { head: now }))
}

const CHANGE_AT: &str = "select change from api_key_log where position = ?1";

/// Whether `head` is a place in this log, and `now` is not too many steps after it.
fn follows(connection: &Connection, head: Head, now: Head) -> Result<bool, rusqlite::Error> {
    let is_near = now.position.checked_sub(head.position).is_some_and(|steps| (1..=LONGEST_LOG).contains(&steps));
    if !is_near || head == Head::EMPTY {
        return Ok(is_near);
    }
    let change: Option<Vec<u8>> =
        connection.prepare_cached(CHANGE_AT)?.query_row([head.position], |row| row.get(0)).optional()?;
    Ok(change.is_some_and(|change| change == head.change))
}

const ROWS_BETWEEN: &str = "\
    select key_id, organization, owner_kind, owner from api_key_log where position > ?1 and position <= ?2 \
    order by position";

/// What changed after `head`; none if rows are missing or cannot be read.
fn changes_between(connection: &Connection, head: Head, now: Head) -> Result<Option<Changes>, rusqlite::Error> {
    let mut changed = Changed::default();
    let mut missing = now.position - head.position;
    let mut statement = connection.prepare_cached(ROWS_BETWEEN)?;
    let mut rows = statement.query(params![head.position, now.position])?;
    while let Some(row) = rows.next()? {
        let text = |place| row.get_ref(place).ok().and_then(|value| value.as_str().ok());
        if changed.add_row(text(0), [text(1), text(2), text(3)]).is_none() {
            return Ok(None);
        }
        missing -= 1;
    }
    Ok((missing == 0).then_some(changed.until(now)))
}
