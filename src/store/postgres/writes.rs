use super::{apply::owner_status, failure::Failure, key_rows::column, sql::Sql, store::Transaction};
use crate::{
    key::KeyId,
    owner::{OrganizationId, OwnerRef},
    record::KeyRow,
    store::{Conflict, KeyUpdate, OwnerChange, Write, WriteOutcome},
    time::Timestamp,
};

/// One write of a change, in its transaction. The change log is the triggers' business.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    sql: &Sql,
    write: &Write,
    at: Timestamp,
) -> Result<WriteOutcome, Failure> {
    match write {
        Write::Insert(row) => insert(transaction, sql, row).await,
        Write::Update(update) => self::update(transaction, sql, update).await,
        Write::Revoke { organization, id, by } => revoke(transaction, sql, organization, id, by, at).await,
        Write::Owner(owner, change) => change_owner(transaction, sql, owner, *change, at).await,
    }
}

async fn insert(transaction: &Transaction<'_>, sql: &Sql, row: &KeyRow) -> Result<WriteOutcome, Failure> {
    let inserted = transaction
        .execute(
            &sql.insert,
            &[
                &row.organization,
                &row.id,
                &row.kind,
                &row.owner,
                &row.name,
                &row.labels,
                &row.hash,
                &row.tag.as_slice(),
                &row.pepper_id,
                &row.scopes,
                &row.created_by,
                &row.created_with,
                &row.created_at,
                &row.expires_at,
                &row.revoked_at,
                &row.revoked_by,
                &row.replaces,
            ],
        )
        .await?;
    if inserted == 0 { Err(Conflict::IdTaken.into()) } else { Ok(WriteOutcome::Written) }
}

async fn update(transaction: &Transaction<'_>, sql: &Sql, update: &KeyUpdate) -> Result<WriteOutcome, Failure> {
    let (organization, id) = (update.organization.as_str(), update.id.as_str());
    let state = transaction.row(&sql.state, &[&organization, &id]).await?.ok_or(Conflict::Missing)?;
    if column(&state, 0)? {
        return Err(Conflict::Revoked.into());
    }
    if column::<i64>(&state, 1)? != update.expected_version {
        return Err(Conflict::Version.into());
    }
    transaction
        .execute(&sql.update, &[&organization, &id, &update.name, &update.labels, &update.scopes, &update.expires_at])
        .await?;
    Ok(WriteOutcome::Written)
}

async fn revoke(
    transaction: &Transaction<'_>,
    sql: &Sql,
    organization: &OrganizationId,
    id: &KeyId,
    by: &str,
    at: Timestamp,
) -> Result<WriteOutcome, Failure> {
    let (organization, id) = (organization.as_str(), id.as_str());
    if transaction.execute(&sql.revoke, &[&organization, &id, &at.as_millis(), &by]).await? > 0 {
        return Ok(WriteOutcome::Written);
    }
    let exists = transaction.row(&sql.state, &[&organization, &id]).await?.is_some();
    if exists { Ok(WriteOutcome::Unchanged) } else { Err(Conflict::Missing.into()) }
}

async fn change_owner(
    transaction: &Transaction<'_>,
    sql: &Sql,
    of: &OwnerRef,
    change: OwnerChange,
    at: Timestamp,
) -> Result<WriteOutcome, Failure> {
    let (organization, kind, id) = (of.organization.as_str(), of.owner.kind().as_str(), of.owner.id());
    let before = owner_status(transaction, sql, of).await?;
    let after = change.applied_to(before, at)?;
    if after == before {
        return Ok(WriteOutcome::Unchanged);
    }
    transaction
        .execute(
            &sql.set_status,
            &[&organization, &kind, &id, &after.suspended_at, &after.plan_held_at, &after.closed_at],
        )
        .await?;
    Ok(WriteOutcome::Written)
}
