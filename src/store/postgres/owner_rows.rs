use tokio_postgres::types::ToSql;

use super::{failure::Failure, key_rows::status, session::Session, sql::Sql};
use crate::{owner::OwnerRef, record::OwnerStatusRow};

pub(super) async fn owner_status(session: &Session<'_>, sql: &Sql, of: &OwnerRef) -> Result<OwnerStatusRow, Failure> {
    let owner: [&(dyn ToSql + Sync); 3] = [&of.organization.as_str(), &of.owner.kind().as_str(), &of.owner.id()];
    session.row(&sql.status, &owner).await?.map_or(Ok(OwnerStatusRow::default()), |row| status(&row, 0))
}
