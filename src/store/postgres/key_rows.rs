use tokio_postgres::Row;

use super::{failure::Failure, link::Link};
use crate::{
    key::KeyId,
    record::{KeyRow, OwnerStatusRow},
    store::FoundKey,
};

/// How many columns [`found_key`] reads; what follows is the caller's.
pub(super) const FOUND_COLUMNS: usize = 21;

/// A column of a row; corrupt if it holds what was never written there.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, Failure> {
    row.try_get(place).map_err(|error| Failure::Corrupt(error.into()))
}

pub(super) async fn find(link: &Link, id: &KeyId) -> Result<Option<FoundKey>, Failure> {
    let rows = link.ask(&[&id.as_str()]).await?;
    let row = rows.first().ok_or_else(|| Failure::Corrupt("a look-up without an answer".into()))?;
    if column::<Option<&str>>(row, 1)?.is_some() { found_key(row).map(Some) } else { Ok(None) }
}

pub(super) fn found_key(row: &Row) -> Result<FoundKey, Failure> {
    Ok(FoundKey { key: key_row(row)?, owner: status(row, 18)? })
}

/// The columns of a key, which come first.
pub(super) fn key_row(row: &Row) -> Result<KeyRow, Failure> {
    let tag: &[u8] = column(row, 7)?;
    Ok(KeyRow {
        organization: column(row, 0)?,
        id: column(row, 1)?,
        kind: column(row, 2)?,
        owner: column(row, 3)?,
        name: column(row, 4)?,
        labels: column(row, 5)?,
        hash: column(row, 6)?,
        tag: tag.try_into().map_err(|_| Failure::Corrupt("a tag has 4 bytes".into()))?,
        pepper_id: column(row, 8)?,
        scopes: column(row, 9)?,
        created_by: column(row, 10)?,
        created_via_key: column(row, 11)?,
        created_at: column(row, 12)?,
        expires_at: column(row, 13)?,
        revoked_at: column(row, 14)?,
        revoked_by: column(row, 15)?,
        replaces: column(row, 16)?,
        version: column(row, 17)?,
    })
}

/// The three columns of an owner's status, from this place on.
pub(super) fn status(row: &Row, place: usize) -> Result<OwnerStatusRow, Failure> {
    Ok(OwnerStatusRow {
        suspended_at: column(row, place)?,
        plan_suspended_at: column(row, place + 1)?,
        closed_at: column(row, place + 2)?,
    })
}
