//! Statuses of owners, for look-ups and for the manager.

use rusqlite::{Connection, OptionalExtension};

use super::{failure::Failure, key_rows::status};
use crate::{
    record::OwnerStatusRow,
    store::{FoundOwner, OwnerRef, StatusOf},
};

const STATUS: &str = "\
    select suspended_at, plan_suspended_at, closed_at from api_key_owners \
    where organization = ?1 and kind = ?2 and id = ?3";

/// None if there is no row for it.
pub(super) fn status_of(connection: &Connection, of: StatusOf<'_>) -> Result<Option<OwnerStatusRow>, Failure> {
    let row = [of.organization, of.kind, of.id];
    Ok(connection.prepare_cached(STATUS)?.query_row(row, |row| status(row, 0)).optional()?)
}

const BOTH: &str = "\
    select suspended_at, plan_suspended_at, closed_at, kind = 'organization' from api_key_owners \
    where organization = ?1 and (kind = ?2 and id = ?3 or kind = 'organization' and id = '')";

pub(super) fn find_owner(connection: &Connection, owner: &OwnerRef) -> Result<FoundOwner, Failure> {
    let StatusOf { organization, kind, id } = StatusOf::owner(owner);
    let mut found = FoundOwner::default();
    let mut statement = connection.prepare_cached(BOTH)?;
    let mut rows = statement.query([organization, kind, id])?;
    while let Some(row) = rows.next()? {
        let is_organization = row.get::<_, bool>(3)?;
        *(if is_organization { &mut found.organization } else { &mut found.owner }) = status(row, 0)?;
    }
    Ok(found)
}
