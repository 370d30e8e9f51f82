//! The longest value of each column, and how it gets into a row.

use std::iter::repeat;

use tower_api_keys::{
    audit::EventRow,
    record::KeyRow,
    store::{Alphabet, COLUMNS, Column},
    usage::UsageRow,
};

use crate::{Unmet, scene::Scene};

/// A character of four bytes in UTF-8.
const WIDE: char = '\u{1f511}';

pub(super) fn set_key(row: &mut KeyRow, column: &str, value: &str) -> Result<(), Unmet> {
    match column {
        "organization" => value.clone_into(&mut row.organization),
        "kind" => value.clone_into(&mut row.kind),
        "owner" => value.clone_into(&mut row.owner),
        "name" => value.clone_into(&mut row.name),
        "labels" => value.clone_into(&mut row.labels),
        "hash" => value.clone_into(&mut row.hash),
        "scopes" => value.clone_into(&mut row.scopes),
        "created_by" => value.clone_into(&mut row.created_by),
        "lineage" => value.clone_into(&mut row.lineage),
        "proof" => row.proof = Some(value.into()),
        "allowed_networks" => row.allowed_networks = Some(value.to_owned()),
        "limits" => row.limits = Some(value.to_owned()),
        "created_via_key" => row.created_via_key = Some(value.to_owned()),
        "imported_from" => row.imported_from = Some(value.to_owned()),
        "responsible" => row.responsible = Some(value.to_owned()),
        "revoked_by" => (row.revoked_at, row.revoked_by) = (Some(row.created_at), Some(value.to_owned())),
        "paused_by" => (row.paused_at, row.paused_by) = (Some(row.created_at), Some(value.to_owned())),
        "replaces" => row.replaces = Some(value.to_owned()),
        other => return Err(unknown(other)),
    }
    Ok(())
}

pub(super) fn set_event(row: &mut EventRow, column: &str, value: &str) -> Result<(), Unmet> {
    match column {
        "organization" => value.clone_into(&mut row.organization),
        "actor" => value.clone_into(&mut row.actor),
        "action" => value.clone_into(&mut row.action),
        "owner_kind" => value.clone_into(&mut row.owner_kind),
        "owner" => value.clone_into(&mut row.owner),
        "audience" => value.clone_into(&mut row.audience),
        "key_id" => row.key = Some(value.to_owned()),
        "before" => row.before = Some(value.to_owned()),
        "after" => row.after = Some(value.to_owned()),
        "source" => row.source = Some(value.to_owned()),
        other => return Err(unknown(other)),
    }
    Ok(())
}

pub(super) fn set_usage(row: &mut UsageRow, column: &str, value: &str) -> Result<(), Unmet> {
    match column {
        // It has a fixed length.
        "key_id" => {}
        // No count of a key has one.
        "organization" => (row.key, row.organization) = (None, Some(value.into())),
        "outcome" => row.outcome = value.into(),
        "label" => row.label = value.into(),
        "client" => row.client = value.into(),
        "network" => row.network = value.into(),
        other => return Err(unknown(other)),
    }
    Ok(())
}

pub(super) fn of(table: &str) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(move |column| column.table == table)
}

/// The longest values of a column: one with the most characters, and one with the most bytes.
pub(super) fn values(column: &Column) -> Result<Vec<String>, Unmet> {
    // Columns in which a value has to be unique.
    let is_name = ["idempotency_key", "organization"].contains(&column.name)
        || (column.name == "name" && column.table != "api_keys");
    let stem = if is_name { Scene::new()?.word() } else { String::new() };
    let longest = column.longest;
    let filled = |with: char| {
        let (mut text, mut characters) = (String::new(), 0);
        for next in stem.chars().chain(repeat(with)) {
            let next = if text.len() + next.len_utf8() > longest.bytes() { 'x' } else { next };
            if characters == longest.characters() || text.len() == longest.bytes() {
                break;
            }
            text.push(next);
            characters += 1;
        }
        text
    };
    Ok(match (column.name, longest.alphabet()) {
        // Words that a store may check; they are as long as their column.
        ("kind", _) if column.table == "api_keys" => vec!["team".into()],
        ("kind" | "owner_kind" | "audience", _) => vec!["organization".into()],
        ("labels", _) => vec![labels("\\\""), labels(&WIDE.to_string())],
        ("scopes", _) => vec![(0..64).fold("*".to_owned(), |scopes, number| format!("{scopes} {number:x>64}"))],
        (_, Alphabet::Unicode) => vec![filled('x'), filled(WIDE)],
        _ => vec![filled('x')],
    })
}

/// The most and longest labels that a key may have: 16, with names of 32 and values of 128 characters.
fn labels(character: &str) -> String {
    let label = |number| format!("\"{number:0>32}\":\"{}\"", character.repeat(128));
    format!("{{{}}}", (0..16).map(label).collect::<Vec<_>>().join(","))
}

/// Another value of the same length that differs only in its last character: a truncated column would see both as
/// equal.
pub(super) fn almost(value: &str) -> String {
    let mut other: Vec<char> = value.chars().collect();
    if let Some(last) = other.last_mut() {
        *last = match *last {
            WIDE => '\u{1f512}',
            'x' => 'y',
            _ => 'x',
        };
    }
    other.into_iter().collect()
}

pub(super) fn unknown(column: &str) -> Unmet {
    Unmet::failed(format!("the kit does not know the column `{column}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these tables is tested by a clause, which knows all of its columns.
    const TABLES: [&str; 9] = [
        "api_keys",
        "api_key_owners",
        "api_key_log",
        "api_key_changes",
        "api_key_events",
        "api_key_usage",
        "api_key_usage_days",
        "api_key_meta",
        "api_key_notes",
    ];

    #[test]
    fn every_table_with_lengths_is_tried() {
        let tried = |column: &&Column| TABLES.contains(&column.table) || column.table == "api_key_tombstones";
        assert_eq!(COLUMNS.iter().filter(tried).count(), COLUMNS.len());
    }

    #[test]
    fn what_is_tried_is_as_long_as_it_may_be() {
        for column in COLUMNS {
            let values = values(column).unwrap();
            let most = |count: fn(&String) -> usize| values.iter().map(count).max().unwrap();
            let longest = (most(String::len), most(|value| value.chars().count()));
            assert_eq!(longest, (column.longest.bytes(), column.longest.characters()), "{column:?}");
        }
    }
}
