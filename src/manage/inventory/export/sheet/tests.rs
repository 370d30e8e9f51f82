use proptest::prelude::*;

use super::*;
use crate::{
    manage::info::KeyInfo,
    record::{KeyName, KeyRecord, KeyRow, Labels, OwnerStatus, labels_text},
    time::ClockReading,
    usage::{UsageDetail, UsageRow},
};

fn entry(row: &KeyRow, sources: &[&str]) -> InventoryEntry {
    let record = KeyRecord::try_from(row).unwrap();
    let asked_at = record.created_at;
    let rows: Vec<_> =
        sources.iter().map(|label| UsageRow { label: (*label).into(), ..UsageRow::seen_from("") }).collect();
    InventoryEntry {
        key: KeyInfo::new(record, OwnerStatus::default(), None, ClockReading::certain(asked_at)),
        asked_at,
        is_live: true,
        creator_status: OwnerStatus::default(),
        usage: UsageDetail::of(&rows).unwrap(),
        attempts_since_death: Default::default(),
        flags: Vec::new(),
        has_team_keys: true,
    }
}

fn written(format: ExportFormat, entries: &[InventoryEntry]) -> Vec<u8> {
    [format.head().unwrap(), format.lines(entries, &Naming::new(std::time::Duration::ZERO)).unwrap()].concat()
}

/// The cells of one column, as a program would read them.
fn column(table: &[u8], column: InventoryColumn) -> Vec<String> {
    raw_column(table, column).iter().map(|cell| ExportFormat::unguarded(cell).into_owned()).collect()
}

fn raw_column(table: &[u8], column: InventoryColumn) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(table);
    let place = reader.headers().unwrap().iter().position(|name| name == column.as_str()).unwrap();
    reader.records().map(|record| record.unwrap()[place].to_owned()).collect()
}

#[test]
fn columns_are_these() {
    let table = String::from_utf8(written(ExportFormat::Csv, &[])).unwrap();
    assert_eq!(
        table,
        "id,kind,owner,name,state,owner_status,flags,created_at,age_days,created_by,creator_status,created_via_key,\
         last_success_at,successes,last_failure_at,failures,attempts_since_death,last_attempt_since_death_at,sources,\
         labels,scopes,expires_at,revoked_at,revoked_by,replaces,successor,version,organization,asked_at,\
         owner_name,created_by_name,creator_left,revoked_by_name,names_complete,paused_at,paused_by,paused_by_name,\
         networks,lineage,rotated_at,known_beforehand,responsible\r\n"
    );
}

#[test]
fn cells_that_spreadsheets_would_run_get_an_apostrophe() {
    let bad = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "'=1",
        " =1",
        "\u{a0}=1",
        "\u{feff}=1",
        "\"=1",
        " \" =1",
        "=cmd|' /C calc'!A0",
        "=HYPERLINK(\"http://example.com\",\"x\")",
    ];
    for cell in bad {
        assert_eq!(safe(cell.into()), format!("'{cell}"));
        for separator in [';', '\t', '\n', '\r'] {
            let behind = format!("x{separator}{cell};y");
            assert_eq!(safe(behind.into()), format!("x{separator}'{cell};y"));
        }
    }
    for separator in ['\t', '\n', '\r'] {
        assert_eq!(safe(format!("{separator}=1").into()), format!("'{separator}'=1"));
        assert_eq!(safe(format!("x; {separator}y").into()), format!("x;' {separator}y"));
    }
    assert_eq!(safe("[\"a;=1\",\"b;\",\"=c\"]".into()), "[\"a;'=1\",\"b;\",\"=c\"]");
    for cell in [
        "",
        ";",
        " ",
        "CI pipeline",
        "1=1",
        "a+b",
        "x;y=1",
        "x; y",
        "x;;",
        "{\"a\":\"=1\"}",
        "[\"=1\"]",
        "2026-03-01T12:00:00Z",
    ] {
        assert_eq!(safe(cell.into()), cell);
    }
}

#[test]
fn quotes_commas_line_ends_and_every_script_survive_in_cells() {
    for cell in ["a,b", "say \"hi\"", "two\nlines", "two\r\nlines", "\"", ",", "夜間バッチ 🚀", "é\u{301}", ";", " x "]
    {
        let mut cells = InventoryColumn::ALL.map(|_| Cow::Borrowed("x"));
        cells[3] = Cow::Borrowed(cell);
        let names = InventoryColumn::ALL.map(|column| Cow::Borrowed(column.as_str()));
        assert_eq!(column(&table([names, cells]).unwrap(), InventoryColumn::Name), [cell], "{cell:?}");
    }
}

#[test]
fn ids_that_begin_with_a_hyphen_are_made_safe_too() {
    let table = written(ExportFormat::Csv, &[entry(&KeyRow { id: "-".repeat(20), ..KeyRow::example() }, &[])]);
    assert_eq!(raw_column(&table, InventoryColumn::Id), [format!("'{}", "-".repeat(20))]);
    assert_eq!(column(&table, InventoryColumn::Id), ["-".repeat(20)]);
}

fn text(most: usize) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        3 => any::<char>(),
        2 => prop::sample::select(vec!['=', '+', '-', '@', '\'', '"', ',', ';', ' ', '＝', '\u{2212}', 'a', '0', '\\']),
    ];
    proptest::collection::vec(character, 0..most).prop_map(String::from_iter)
}

/// Separators, quotation marks and first characters of formulas, in any order.
fn wild() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        1 => any::<char>(),
        9 => prop::sample::select(vec!['=', '-', '＠', '\'', '"', ',', ';', '\t', '\n', '\r', ' ', '\u{feff}', 'a']),
    ];
    proptest::collection::vec(character, 0..12).prop_map(String::from_iter)
}

fn name() -> impl Strategy<Value = KeyName> {
    text(40).prop_filter_map("no name", |text| KeyName::new(text).ok())
}

fn labels() -> impl Strategy<Value = Labels> {
    let label = prop::string::string_regex("[-a-z0-9_.]{1,32}").unwrap();
    proptest::collection::vec((label, text(30)), 0..5).prop_filter_map("no labels", |labels| Labels::new(labels).ok())
}

/// With any separator, no cell of the table begins like a formula, whether or not a program ignores blanks and
/// quotation marks.
fn runs_nothing(table: &[u8]) -> Result<(), TestCaseError> {
    for (separator, quoting) in [(b',', true), (b';', true), (b';', false), (b'\t', true), (b'\t', false)] {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(separator).quoting(quoting);
        for record in reader.from_reader(table).records() {
            for cell in record.unwrap().iter() {
                prop_assert!(!cell.starts_with(['\t', '\r', '\n']), "{separator} {cell:?}");
                let begins = cell.trim_start_matches(|c: char| c == '"' || c == '\u{feff}' || c.is_whitespace());
                let formula = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
                prop_assert!(!begins.starts_with(formula), "{separator} {cell:?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn texts_of_any_kind_come_back_and_are_run_by_nobody(
        rows in proptest::collection::vec(proptest::collection::vec(wild(), 3), 1..4),
    ) {
        let cells = rows.iter().map(|texts| {
            let mut cells = InventoryColumn::ALL.map(|_| Cow::Borrowed("x"));
            // Of the first three columns, side by side.
            for (cell, text) in cells.iter_mut().zip(texts) {
                *cell = text.into();
            }
            cells
        });
        // After the column names, as in every table: readers ignore a byte order mark at the beginning of a file.
        let names = InventoryColumn::ALL.map(|column| Cow::Borrowed(column.as_str()));
        let table = table(std::iter::once(names).chain(cells)).unwrap();
        let reader = csv::Reader::from_reader(&*table);
        let read = reader.into_records().map(|record| record.unwrap().iter().take(3).map(|cell| ExportFormat::unguarded(cell).into_owned()).collect::<Vec<_>>());
        prop_assert_eq!(&read.collect::<Vec<_>>(), &rows);
        runs_nothing(&table)?;
    }

    #[test]
    fn names_labels_and_sources_come_back_as_they_were(
        keys in proptest::collection::vec((name(), labels(), proptest::collection::vec(text(20), 0..3)), 1..4),
    ) {
        let entries: Vec<_> = keys
            .iter()
            .map(|(name, labels, sources)| {
                let row = KeyRow { name: name.as_str().into(), labels: labels_text(labels), ..KeyRow::example() };
                entry(&row, &sources.iter().map(String::as_str).collect::<Vec<_>>())
            })
            .collect();
        let table = written(ExportFormat::Csv, &entries);
        let names: Vec<_> = keys.iter().map(|(name, _, _)| name.as_str().to_owned()).collect();
        prop_assert_eq!(column(&table, InventoryColumn::Name), names);
        let read: Vec<Labels> =
            column(&table, InventoryColumn::Labels).iter().map(|cell| serde_json::from_str(cell).unwrap()).collect();
        prop_assert_eq!(&read, &keys.iter().map(|(_, labels, _)| labels.clone()).collect::<Vec<_>>());
        for (cell, (_, _, sources)) in column(&table, InventoryColumn::Sources).iter().zip(&keys) {
            let read: std::collections::BTreeSet<String> = serde_json::from_str(cell).unwrap();
            prop_assert_eq!(read, sources.iter().filter(|source| !source.is_empty()).cloned().collect());
        }
        runs_nothing(&table)?;
        let lines = written(ExportFormat::JsonLines, &entries);
        for (line, (name, labels, _)) in std::str::from_utf8(&lines).unwrap().lines().zip(&keys) {
            let read: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(&read["key"]["name"], name.as_str());
            prop_assert_eq!(&read["key"]["labels"], &serde_json::to_value(labels).unwrap());
        }
        prop_assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), keys.len());
    }
}
