//! Statuses of owners, for look-ups and for the manager.

use tokio_postgres::{Row, types::ToSql};

use super::{
    failure::Failure,
    key_rows::{column, status},
    session::Sessions,
    sql::Sql,
};
use crate::{
    owner::OwnerRef,
    store::{FoundOwner, StatusOf},
};

/// The owner whose status is read, as parameters of a statement.
pub(super) trait Parameters {
    fn parameters(&self) -> [&(dyn ToSql + Sync); 3];
}

impl Parameters for StatusOf<'_> {
    fn parameters(&self) -> [&(dyn ToSql + Sync); 3] {
        [&self.organization, &self.kind, &self.id]
    }
}

pub(super) async fn find_owner(sessions: &Sessions, sql: &Sql, of: &OwnerRef) -> Result<FoundOwner, Failure> {
    found_owner(&sessions.rows(&sql.statuses, &StatusOf::owner(of).parameters()).await?)
}

/// The statuses in the rows, of which there are at most two.
pub(super) fn found_owner(rows: &[Row]) -> Result<FoundOwner, Failure> {
    let mut found = FoundOwner::default();
    for row in rows {
        let of = if column(row, 3)? { &mut found.organization } else { &mut found.owner };
        *of = status(row, 0)?;
    }
    Ok(found)
}
