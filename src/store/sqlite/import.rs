use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, params};

use super::{
    event_rows::event_row,
    export::{day_row, meta_row, owner_row, tombstone, usage_row},
    failure::Failure,
    key_rows::{self, key_row},
    transaction::{begin, commit},
};
use crate::{
    record::key_columns,
    store::transfer::{Batch, Cursor},
};

const META: &str = "select name, value from api_key_meta where name = ?1";
const INSERT_META: &str = "insert into api_key_meta (name, value) values (?1, ?2)";
const OWNER: &str = "\
    select organization, kind, id, suspended_at, plan_suspended_at, closed_at from api_key_owners \
    where organization = ?1 and kind = ?2 and id = ?3";
const INSERT_OWNER: &str = "\
    insert into api_key_owners (organization, kind, id, suspended_at, plan_suspended_at, closed_at) \
    values (?1, ?2, ?3, ?4, ?5, ?6)";
const KEY: &str = concat!("select ", key_columns!(), " from api_keys where id = ?1");
const TOMBSTONE: &str =
    "select id, organization, lineage, created_via_key, revoked_at, expires_at from api_key_tombstones where id = ?1";
/// A key that exists gets no tombstone.
const INSERT_TOMBSTONE: &str = "\
    insert into api_key_tombstones (id, organization, lineage, created_via_key, revoked_at, expires_at) \
    select ?1, ?2, ?3, ?4, ?5, ?6 where not exists (select 1 from api_keys where id = ?1)";
const USAGE: &str = "\
    select key_id, organization, outcome, label, client, network, count, first_at, last_at from api_key_usage \
    where key_id = ?1 and organization = ?2 and outcome = ?3 and label = ?4 and client = ?5 and network = ?6";
const INSERT_USAGE: &str = "\
    insert into api_key_usage (key_id, organization, outcome, label, client, network, count, first_at, last_at) \
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const USAGE_DAY: &str = "\
    select key_id, day, accepted, refused from api_key_usage_days where key_id = ?1 and day = ?2";
const INSERT_USAGE_DAY: &str = "\
    insert into api_key_usage_days (key_id, day, accepted, refused) values (?1, ?2, ?3, ?4)";
const EVENT: &str = "\
    select sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience \
    from api_key_events where sequence = ?1";
/// `autoincrement` gives later events greater numbers.
const INSERT_EVENT: &str = "\
    insert into api_key_events \
        (sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience) \
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Each row is looked up before it is written. With `on conflict do nothing` instead, the triggers would log a key that
/// is already stored.
pub(super) fn import(connection: &mut Connection, rows: &Batch) -> Result<u64, Failure> {
    let transaction = begin(connection)?;
    let mut written = 0;
    match rows {
        Batch::Meta(rows) => {
            for row in rows {
                if is_absent(&transaction, META, params![row.name], meta_row, row)? {
                    written += insert(&transaction, INSERT_META, params![row.name, row.value])?;
                }
            }
        }
        Batch::Owners(rows) => {
            for row in rows {
                let key = params![row.organization, row.kind, row.id];
                if is_absent(&transaction, OWNER, key, owner_row, row)? {
                    let status = &row.status;
                    let columns = params![
                        row.organization,
                        row.kind,
                        row.id,
                        status.suspended_at,
                        status.plan_suspended_at,
                        status.closed_at,
                    ];
                    written += insert(&transaction, INSERT_OWNER, columns)?;
                }
            }
        }
        Batch::Keys(rows) => {
            for row in rows {
                if is_absent(&transaction, KEY, params![row.id], key_row, row)? {
                    if !key_rows::insert(&transaction, row)? {
                        return Err(Failure::Differs(Box::new(Cursor::from(row))));
                    }
                    written += 1;
                }
            }
        }
        Batch::Tombstones(rows) => {
            for row in rows {
                if is_absent(&transaction, TOMBSTONE, params![row.id], tombstone, row)? {
                    let (ended, made) = ((row.revoked_at, row.expires_at), &row.created_via_key);
                    let columns = params![row.id, row.organization, row.lineage, made, ended.0, ended.1];
                    if transaction.prepare_cached(INSERT_TOMBSTONE)?.execute(columns)? == 0 {
                        return Err(Failure::Differs(Box::new(Cursor::from(row))));
                    }
                    written += 1;
                }
            }
        }
        Batch::Usage(rows) => {
            for row in rows {
                let [key, organization] = [&row.key, &row.organization].map(|word| word.as_deref().unwrap_or_default());
                let cursor = params![key, organization, row.outcome, row.label, row.client, row.network];
                if is_absent(&transaction, USAGE, cursor, usage_row, row)? {
                    let columns = params![
                        key,
                        organization,
                        row.outcome,
                        row.label,
                        row.client,
                        row.network,
                        row.count,
                        row.first_at,
                        row.last_at,
                    ];
                    written += insert(&transaction, INSERT_USAGE, columns)?;
                }
            }
        }
        Batch::UsageDays(rows) => {
            for row in rows {
                if is_absent(&transaction, USAGE_DAY, params![row.key, row.day], day_row, row)? {
                    let columns = params![row.key, row.day, row.accepted, row.refused];
                    written += insert(&transaction, INSERT_USAGE_DAY, columns)?;
                }
            }
        }
        Batch::Events(rows) => {
            for row in rows {
                if is_absent(&transaction, EVENT, params![row.sequence], event_row, row)? {
                    let columns = params![
                        row.sequence,
                        row.organization,
                        row.at,
                        row.actor,
                        row.action,
                        row.key,
                        row.owner_kind,
                        row.owner,
                        row.before,
                        row.after,
                        row.source,
                        row.audience,
                    ];
                    written += insert(&transaction, INSERT_EVENT, columns)?;
                }
            }
        }
    }
    commit(transaction)?;
    Ok(written)
}

/// Whether there is no row in its place. A different row there is a conflict.
fn is_absent<R: PartialEq>(
    transaction: &Transaction<'_>,
    sql: &str,
    key: impl Params,
    read: fn(&Row<'_>) -> Result<R, rusqlite::Error>,
    row: &R,
) -> Result<bool, Failure>
where
    Cursor: for<'a> From<&'a R>,
{
    match transaction.prepare_cached(sql)?.query_row(key, read).optional()? {
        None => Ok(true),
        Some(standing) if standing == *row => Ok(false),
        Some(_) => Err(Failure::Differs(Box::new(Cursor::from(row)))),
    }
}

fn insert(transaction: &Transaction<'_>, sql: &str, columns: impl Params) -> Result<u64, Failure> {
    transaction.prepare_cached(sql)?.execute(columns)?;
    Ok(1)
}
