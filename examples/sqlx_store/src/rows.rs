use std::collections::BTreeMap;

use sqlx::{Row, postgres::PgRow};
use tower_api_keys::{
    Timestamp,
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow},
    store::{FoundKey, ListedKey, SuccessorRow},
    usage::{UsageDayRow, UsageRow, UsageTotals},
};

use crate::{failure::Failure, time::Time};

pub(crate) fn found_key(row: &PgRow) -> Result<FoundKey, Failure> {
    Ok(FoundKey { key: key(row)?, owner: status(row, "")?, organization: status(row, "organization_")? })
}

pub(crate) fn key(row: &PgRow) -> Result<KeyRow, Failure> {
    let tag: &[u8] = row.try_get("tag")?;
    Ok(KeyRow {
        organization: row.try_get("organization")?,
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        owner: row.try_get("owner")?,
        name: row.try_get("name")?,
        labels: labels(row)?,
        hash: row.try_get("hash")?,
        tag: tag.try_into().map_err(|_| Failure::Corrupt("a tag has 4 bytes".into()))?,
        pepper_id: row.try_get("pepper_id")?,
        proof: row.try_get("proof")?,
        scopes: words(row, "scopes")?.unwrap_or_default(),
        allowed_networks: words(row, "allowed_networks")?,
        limits: row.try_get("limits")?,
        created_by: row.try_get("created_by")?,
        created_via_key: row.try_get("created_via_key")?,
        imported_from: row.try_get("imported_from")?,
        responsible: row.try_get("responsible")?,
        created_at: row.try_get::<Time, _>("created_at")?.0,
        expires_at: time(row, "expires_at")?,
        revoked_at: time(row, "revoked_at")?,
        revoked_by: row.try_get("revoked_by")?,
        paused_at: time(row, "paused_at")?,
        paused_by: row.try_get("paused_by")?,
        replaces: row.try_get("replaces")?,
        lineage: row.try_get("lineage")?,
        predecessor_expires_at: time(row, "predecessor_expires_at")?,
        grace_ends_at: time(row, "grace_ends_at")?,
        warned_end: time(row, "warned_end")?,
        warned_before_ms: row.try_get("warned_before_ms")?,
        version: row.try_get("version")?,
    })
}

/// A JSON object in the form of a row: the server's form differs.
fn labels(row: &PgRow) -> Result<String, Failure> {
    let labels = serde_json::from_str::<BTreeMap<String, String>>(row.try_get("labels_text")?);
    let labels = labels.and_then(|labels| serde_json::to_string(&labels));
    labels.map_err(|error| Failure::Corrupt(error.into()))
}

fn words(row: &PgRow, column: &str) -> Result<Option<String>, Failure> {
    Ok(row.try_get::<Option<Vec<String>>, _>(column)?.map(|words| words.join(" ")))
}

/// Milliseconds since 1970.
pub(crate) fn time(row: &PgRow, column: &str) -> Result<Option<i64>, Failure> {
    Ok(row.try_get::<Option<Time>, _>(column)?.map(|Time(millis)| millis))
}

/// Words as an array.
pub(crate) fn split(words: &str) -> Vec<&str> {
    words.split(' ').filter(|word| !word.is_empty()).collect()
}

/// The three columns of a status, whose names begin with this prefix.
pub(crate) fn status(row: &PgRow, prefix: &str) -> Result<OwnerStatusRow, Failure> {
    let time = |column: &str| time(row, &format!("{prefix}{column}"));
    Ok(OwnerStatusRow {
        suspended_at: time("suspended_at")?,
        plan_suspended_at: time("plan_suspended_at")?,
        closed_at: time("closed_at")?,
    })
}

pub(crate) fn listed_key(row: &PgRow, with_usage: bool) -> Result<ListedKey, Failure> {
    let number = |name: &str| row.try_get::<Option<i64>, _>(name);
    let at = |name: &str| Ok::<_, Failure>(time(row, name)?.and_then(|millis| Timestamp::from_millis(millis).ok()));
    let usage = UsageTotals {
        successes: number("successes")?.unwrap_or(0),
        last_success_at: at("last_success")?,
        failures: number("failures")?.unwrap_or(0),
        last_failure_at: at("last_failure")?,
    };
    let FoundKey { key, owner, organization } = found_key(row)?;
    Ok(ListedKey {
        key,
        owner,
        organization,
        creator: status(row, "creator_")?,
        usage: with_usage.then_some(usage),
        successor: successor(row)?,
        predecessor_is_live: row.try_get("predecessor_is_live")?,
    })
}

fn successor(row: &PgRow) -> Result<Option<SuccessorRow>, Failure> {
    let Some(id) = row.try_get("successor_id")? else { return Ok(None) };
    Ok(Some(SuccessorRow {
        id,
        kind: row.try_get("successor_kind")?,
        owner: row.try_get("successor_owner")?,
        created_by: row.try_get("successor_created_by")?,
        created_via_key: row.try_get("successor_created_via_key")?,
    }))
}

pub(crate) fn usage_day(row: &PgRow) -> Result<UsageDayRow, Failure> {
    Ok(UsageDayRow {
        key: row.try_get("key_id")?,
        day: row.try_get("day")?,
        accepted: row.try_get("accepted")?,
        refused: row.try_get("refused")?,
    })
}

pub(crate) fn usage(row: &PgRow) -> Result<UsageRow, Failure> {
    let [key, organization] =
        [row.try_get("key_id")?, row.try_get("organization")?].map(|word: String| (!word.is_empty()).then_some(word));
    Ok(UsageRow {
        key,
        organization,
        outcome: row.try_get("outcome")?,
        label: row.try_get("label")?,
        client: row.try_get("client")?,
        network: row.try_get("network")?,
        count: row.try_get("count")?,
        first_at: row.try_get::<Time, _>("first_at")?.0,
        last_at: row.try_get::<Time, _>("last_at")?.0,
    })
}

pub(crate) fn event(row: &PgRow) -> Result<EventRow, Failure> {
    Ok(EventRow {
        sequence: row.try_get("sequence")?,
        organization: row.try_get("organization")?,
        at: row.try_get::<Time, _>("at")?.0,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        key: row.try_get("key_id")?,
        owner_kind: row.try_get("owner_kind")?,
        owner: row.try_get("owner")?,
        before: row.try_get("before")?,
        after: row.try_get("after")?,
        source: row.try_get("source")?,
        audience: row.try_get("audience")?,
    })
}
