use rusqlite::{Connection, params};

use super::{
    export::usage_row,
    failure::Failure,
    transaction::{begin, commit},
};
use crate::{
    store::UsageScope,
    usage::{UsageBatch, UsageRow},
};

const NEXT: &str = "\
    insert into api_key_usage_writers (writer, sequence) values (?1, ?2) \
    on conflict (writer) do update set sequence = excluded.sequence where excluded.sequence > sequence";
const ADD: &str = "\
    insert into api_key_usage (key_id, outcome, label, client, network, count, first_at, last_at) \
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
    on conflict (key_id, outcome, label, client, network) do update set count = count + excluded.count, \
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)";

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
        let key = row.key.as_deref().unwrap_or_default();
        let source = (&row.label, &row.client, &row.network);
        let row = params![key, row.outcome, source.0, source.1, source.2, row.count, row.first_at, row.last_at];
        transaction.prepare_cached(ADD)?.execute(row)?;
    }
    commit(transaction)
}

/// One statement, and so of one moment, however many keys.
pub(super) const READ: &str = "\
    select key_id, outcome, label, client, network, count, first_at, last_at from api_key_usage \
    where key_id in (select value from json_each(?1)) order by key_id, outcome, label, client, network";

pub(super) fn usage(connection: &Connection, of: &UsageScope) -> Result<Vec<UsageRow>, Failure> {
    let keys = match of {
        UsageScope::Keys(ids) => serde_json::json!(ids),
        UsageScope::NoKey => serde_json::json!([""]),
    };
    let mut statement = connection.prepare_cached(READ)?;
    Ok(statement.query_map([keys.to_string()], usage_row)?.collect::<Result<_, _>>()?)
}
