use tokio_postgres::{Row, types::ToSql};

use super::{
    failure::Failure,
    key_rows::status,
    session::{Session, Sessions},
    sql::Sql,
};
use crate::{owner::OwnerRef, record::OwnerStatusRow};

/// As a transaction sees it.
pub(super) async fn owner_status(session: &Session<'_>, sql: &Sql, of: &OwnerRef) -> Result<OwnerStatusRow, Failure> {
    first(&session.rows(&sql.status, &params(&owner(of))).await?)
}

/// As it stands.
pub(super) async fn standing_owner_status(
    sessions: &Sessions,
    sql: &Sql,
    of: &OwnerRef,
) -> Result<OwnerStatusRow, Failure> {
    first(&sessions.rows(&sql.status, &params(&owner(of))).await?)
}

fn owner(of: &OwnerRef) -> [&str; 3] {
    [of.organization.as_str(), of.owner.kind().as_str(), of.owner.id()]
}

fn params<'a>(owner: &'a [&'a str; 3]) -> [&'a (dyn ToSql + Sync); 3] {
    owner.each_ref().map(|word| word as _)
}

fn first(rows: &[Row]) -> Result<OwnerStatusRow, Failure> {
    rows.first().map_or(Ok(OwnerStatusRow::default()), |row| status(row, 0))
}
