use rusqlite::{Connection, OptionalExtension};

use super::failure::Failure;
use crate::{record::OwnerStatusRow, store::OwnerRef};

const STATUS: &str = "\
    select suspended_at, plan_suspended_at, closed_at from api_key_owners \
    where organization = ?1 and kind = ?2 and id = ?3";

/// None if there is no row of the owner.
pub(super) fn owner_status(connection: &Connection, of: &OwnerRef) -> Result<Option<OwnerStatusRow>, Failure> {
    let row = [of.organization.as_str(), of.owner.kind().as_str(), of.owner.id()];
    let status = connection.prepare_cached(STATUS)?.query_row(row, |row| {
        Ok(OwnerStatusRow { suspended_at: row.get(0)?, plan_suspended_at: row.get(1)?, closed_at: row.get(2)? })
    });
    Ok(status.optional()?)
}
