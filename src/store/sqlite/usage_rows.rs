use rusqlite::{Connection, params};

use super::{
    export::{day_row, usage_row},
    failure::Failure,
    transaction::{begin, commit},
};
use crate::{
    key::KeyId,
    owner::OrganizationId,
    store::UsageScope,
    usage::{DAYS, UsageBatch, UsageDayRow, UsageRow},
};

const NEXT: &str = "\
    insert into api_key_usage_writers (writer, sequence) values (?1, ?2) \
    on conflict (writer) do update set sequence = excluded.sequence where excluded.sequence > sequence";
const ADD: &str = "\
    insert into api_key_usage (key_id, organization, outcome, label, client, network, count, first_at, last_at) \
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
    on conflict (key_id, organization, outcome, label, client, network) do update set count = count + excluded.count, \
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)";

const ADD_DAY: &str = "\
    insert into api_key_usage_days (key_id, day, accepted, refused) values (?1, ?2, ?3, ?4) \
    on conflict (key_id, day) do update set accepted = accepted + excluded.accepted, \
        refused = refused + excluded.refused";

pub(super) fn record_usage(connection: &mut Connection, batch: &UsageBatch) -> Result<(), Failure> {
    // Sequences begin at 1.
    if batch.sequence < 1 {
        return Ok(());
    }
    let transaction = begin(connection)?;
    if transaction.prepare_cached(NEXT)?.execute(params![batch.writer, batch.sequence])? == 0 {
        return Ok(());
    }
    for row in &batch.rows {
        let [key, organization] = [&row.key, &row.organization].map(|word| word.as_deref().unwrap_or_default());
        let (outcome, source) = (&row.outcome, (&row.label, &row.client, &row.network));
        let of = (row.count, row.first_at, row.last_at);
        let row = params![key, organization, outcome, source.0, source.1, source.2, of.0, of.1, of.2];
        transaction.prepare_cached(ADD)?.execute(row)?;
    }
    for row in &batch.days {
        transaction.prepare_cached(ADD_DAY)?.execute(params![row.key, row.day, row.accepted, row.refused])?;
    }
    commit(transaction)
}

/// One statement for all keys, and so as of one moment.
pub(super) const READ: &str = "\
    select key_id, organization, outcome, label, client, network, count, first_at, last_at from api_key_usage \
    where key_id in (select value from json_each(?1)) \
    order by key_id, organization, outcome, label, client, network";

/// The same for refusals that name no key, for all organizations.
pub(super) const READ_WITHOUT_KEY: &str = "\
    select key_id, organization, outcome, label, client, network, count, first_at, last_at from api_key_usage \
    where key_id = '' and organization in (select value from json_each(?1)) \
    order by organization, outcome, label, client, network";

pub(super) fn usage(connection: &Connection, of: &UsageScope) -> Result<Vec<UsageRow>, Failure> {
    let (sql, asked) = match of {
        UsageScope::Keys(ids) => (READ, serde_json::json!(ids)),
        UsageScope::NoKey(of) => {
            let word = |of: &Option<OrganizationId>| of.as_ref().map_or_else(String::new, ToString::to_string);
            (READ_WITHOUT_KEY, of.iter().map(word).collect())
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([asked.to_string()], usage_row)?.collect::<Result<_, _>>()?)
}

pub(super) const READ_DAYS: &str = "\
    select key_id, day, accepted, refused from api_key_usage_days \
    where key_id in (select value from json_each(?1)) and day >= ?2 and day < ?3 order by key_id, day";

pub(super) fn usage_days(connection: &Connection, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, Failure> {
    let mut statement = connection.prepare_cached(READ_DAYS)?;
    let which = params![serde_json::json!(keys).to_string(), from, i64::from(from) + i64::from(DAYS)];
    Ok(statement.query_map(which, day_row)?.collect::<Result<_, _>>()?)
}
