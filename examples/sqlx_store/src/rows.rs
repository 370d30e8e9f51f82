use sqlx::{Row, postgres::PgRow};
use tower_api_keys::{
    Timestamp,
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow},
    store::{FoundKey, ListedKey},
    usage::{UsageRow, UsageTotals},
};

use crate::failure::Failure;

pub(crate) fn found_key(row: &PgRow) -> Result<FoundKey, Failure> {
    let tag: &[u8] = row.try_get("tag")?;
    let key = KeyRow {
        organization: row.try_get("organization")?,
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        owner: row.try_get("owner")?,
        name: row.try_get("name")?,
        labels: row.try_get("labels")?,
        hash: row.try_get("hash")?,
        tag: tag.try_into().map_err(|_| Failure::Corrupt("a tag has 4 bytes".into()))?,
        pepper_id: row.try_get("pepper_id")?,
        scopes: row.try_get("scopes")?,
        created_by: row.try_get("created_by")?,
        created_via_key: row.try_get("created_via_key")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        revoked_by: row.try_get("revoked_by")?,
        replaces: row.try_get("replaces")?,
        version: row.try_get("version")?,
    };
    Ok(FoundKey { key, owner: status(row)? })
}

pub(crate) fn status(row: &PgRow) -> Result<OwnerStatusRow, Failure> {
    Ok(OwnerStatusRow {
        suspended_at: row.try_get("suspended_at")?,
        plan_suspended_at: row.try_get("plan_suspended_at")?,
        closed_at: row.try_get("closed_at")?,
    })
}

pub(crate) fn listed_key(row: &PgRow) -> Result<ListedKey, Failure> {
    let number = |name: &str| row.try_get::<Option<i64>, _>(name);
    let time = |name: &str| Ok::<_, Failure>(number(name)?.and_then(|millis| Timestamp::from_millis(millis).ok()));
    let creator = OwnerStatusRow {
        suspended_at: number("creator_suspended_at")?,
        plan_suspended_at: number("creator_plan_suspended_at")?,
        closed_at: number("creator_closed_at")?,
    };
    let usage = UsageTotals {
        successes: number("successes")?.unwrap_or(0),
        last_success_at: time("last_success")?,
        failures: number("failures")?.unwrap_or(0),
        last_failure_at: time("last_failure")?,
    };
    let FoundKey { key, owner } = found_key(row)?;
    Ok(ListedKey {
        key,
        owner,
        creator,
        usage,
        successor: row.try_get("successor")?,
        predecessor_is_live: row.try_get("predecessor_is_live")?,
    })
}

pub(crate) fn usage(row: &PgRow) -> Result<UsageRow, Failure> {
    let key: String = row.try_get("key_id")?;
    Ok(UsageRow {
        key: (!key.is_empty()).then_some(key),
        outcome: row.try_get("outcome")?,
        source: row.try_get("source")?,
        count: row.try_get("count")?,
        first_at: row.try_get("first_at")?,
        last_at: row.try_get("last_at")?,
    })
}

pub(crate) fn event(row: &PgRow) -> Result<EventRow, Failure> {
    Ok(EventRow {
        sequence: row.try_get("sequence")?,
        organization: row.try_get("organization")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        key: row.try_get("key_id")?,
        owner_kind: row.try_get("owner_kind")?,
        owner: row.try_get("owner")?,
        before: row.try_get("before")?,
        after: row.try_get("after")?,
        source: row.try_get("source")?,
    })
}
