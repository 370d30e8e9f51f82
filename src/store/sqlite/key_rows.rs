use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::Failure;
use crate::{
    key::KeyId,
    record::{KeyRow, OwnerStatusRow},
    store::{FoundKey, RehashedKey},
};

/// The columns of a key `k` and of the status of its owner `o`, as [`found_key`] reads them.
macro_rules! found_columns {
    () => {
        "k.organization, k.id, k.kind, k.owner, k.name, k.labels, k.hash, k.tag, k.pepper_id, k.scopes, k.created_by, \
         k.created_via_key, k.created_at, k.expires_at, k.revoked_at, k.revoked_by, k.replaces, k.version, \
         o.suspended_at, o.plan_suspended_at, o.closed_at"
    };
}

/// Keys `k`, read by way of this index if one is named, with their owners `o`.
macro_rules! keys_and_owners {
    ($($indexed_by:literal)?) => {
        concat!(
            " from api_keys k ", $("indexed by ", $indexed_by,)?
            " left join api_key_owners o on o.organization = k.organization and o.kind = k.kind and o.id = k.owner "
        )
    };
}

pub(super) use {found_columns, keys_and_owners};

const FIND: &str = concat!("select ", found_columns!(), keys_and_owners!(), "where k.id = ?1");

pub(super) fn find(connection: &Connection, id: &KeyId) -> Result<Option<FoundKey>, Failure> {
    Ok(connection.prepare_cached(FIND)?.query_row([id.as_str()], found_key).optional()?)
}

/// How many columns [`found_key`] reads; what follows is the caller's.
pub(super) const FOUND_COLUMNS: usize = 21;

pub(super) fn found_key(row: &Row<'_>) -> Result<FoundKey, rusqlite::Error> {
    let owner = OwnerStatusRow { suspended_at: row.get(18)?, plan_suspended_at: row.get(19)?, closed_at: row.get(20)? };
    Ok(FoundKey { key: key_row(row)?, owner })
}

/// The columns of a key, in the order of [`found_columns`].
pub(super) fn key_row(row: &Row<'_>) -> Result<KeyRow, rusqlite::Error> {
    Ok(KeyRow {
        organization: row.get(0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        owner: row.get(3)?,
        name: row.get(4)?,
        labels: row.get(5)?,
        hash: row.get(6)?,
        tag: row.get(7)?,
        pepper_id: row.get(8)?,
        scopes: row.get(9)?,
        created_by: row.get(10)?,
        created_via_key: row.get(11)?,
        created_at: row.get(12)?,
        expires_at: row.get(13)?,
        revoked_at: row.get(14)?,
        revoked_by: row.get(15)?,
        replaces: row.get(16)?,
        version: row.get(17)?,
    })
}

const REHASH: &str = "\
    update api_keys set hash = ?3, tag = ?4, pepper_id = ?5 where id = ?1 and hash = ?2 and revoked_at is null";

pub(super) fn rehash(connection: &Connection, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, Failure> {
    let replaced =
        connection.prepare_cached(REHASH)?.execute(params![id.as_str(), old, new.hash, new.tag, new.pepper_id])?;
    Ok(replaced > 0)
}
