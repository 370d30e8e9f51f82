//! An exported cell parses back to its value, and no spreadsheet takes it for a formula.
#![no_main]

mod planted;

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tower_api_keys::{
    manage::{ExportFormat, InventoryColumn, InventoryQuery},
    record::{KeyRecord, KeyRow},
    store::transfer::Batch,
    usage::UsageRow,
};

use self::planted::Planted;

const SEPARATORS: [char; 4] = [';', '\t', '\n', '\r'];

// Lines are columns of a key: a letter, then the text.
fuzz_target!(|data: &[u8]| {
    let mut row = KeyRow::example();
    let mut source = String::new();
    for line in data.split(|&byte| byte == b'\n') {
        let Some((&column, value)) = line.split_first() else { continue };
        let text = String::from_utf8_lossy(value).into_owned();
        match column {
            b'i' => (row.id, row.lineage) = (text.clone(), text),
            b'o' => row.owner = text,
            b'n' => row.name = text,
            b'l' => row.labels = serde_json::to_string(&BTreeMap::from([("label", text)])).expect("text"),
            b'L' => row.labels = text,
            b'b' => row.created_by = text,
            b's' => row.scopes = text,
            b'S' => source = text,
            _ => {}
        }
    }
    if let Ok(record) = KeyRecord::try_from(&row) {
        export(&row, &KeyRow::from(&record), &source);
    }
});

/// Exports the row as stored, and compares it with the row as read.
fn export(stored: &KeyRow, row: &KeyRow, source: &str) {
    let planted = Planted::new();
    planted.put(&Batch::Keys(vec![stored.clone()])).expect("a good row");
    let used = UsageRow {
        key: Some(row.id.clone()),
        organization: None,
        outcome: "success".into(),
        label: source.to_owned(),
        client: String::new(),
        network: String::new(),
        count: 1,
        first_at: 1,
        last_at: 2,
    };
    planted.put(&Batch::Usage(vec![used])).expect("a good row");
    let table = written(&planted, ExportFormat::Csv);
    let records = records(&table);
    let [names, cells] = records.as_slice() else { panic!("not two lines: {table:?}") };
    assert!(names.iter().map(String::as_str).eq(InventoryColumn::ALL.map(InventoryColumn::as_str)));
    let cell = |column: InventoryColumn| {
        let place = names.iter().position(|name| name == column.as_str()).expect("a column");
        plain(&cells[place])
    };
    assert_eq!(cell(InventoryColumn::Id), row.id);
    assert_eq!(cell(InventoryColumn::Owner), row.owner);
    assert_eq!(cell(InventoryColumn::Name), row.name);
    assert_eq!(cell(InventoryColumn::CreatedBy), row.created_by);
    assert_eq!(cell(InventoryColumn::Scopes), row.scopes);
    let labels = |text: &str| serde_json::from_str::<BTreeMap<String, String>>(text).expect("labels");
    assert_eq!(labels(&cell(InventoryColumn::Labels)), labels(&row.labels));
    let sources: Vec<String> = serde_json::from_str(&cell(InventoryColumn::Sources)).expect("sources");
    let expected: &[&str] = if source.is_empty() { &[] } else { &[source] };
    assert_eq!(sources, expected);
    for cell in cells {
        assert!(!cell.split(SEPARATORS).any(is_formula), "{cell:?}");
    }

    let lines = written(&planted, ExportFormat::JsonLines);
    assert_eq!(lines.lines().count(), 1);
    let entry: serde_json::Value = serde_json::from_str(&lines).expect("JSON");
    assert_eq!((&entry["key"]["id"], &entry["key"]["name"]), (&row.id.as_str().into(), &row.name.as_str().into()));
}

fn written(planted: &Planted, format: ExportFormat) -> String {
    let mut text = Vec::new();
    let exported = planted.manager.export_inventory(InventoryQuery::all(), format, &mut text, &planted.system);
    let exported = planted.runtime.block_on(exported).expect("no writer fails");
    assert_eq!((exported.keys, exported.unreadable), (1, 0));
    String::from_utf8(text).expect("UTF-8")
}

/// An independent reader of tables as in RFC 4180.
fn records(table: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut characters = table.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => cell.push(character),
            ',' => record.push(std::mem::take(&mut cell)),
            '\r' => {}
            '\n' => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            _ => cell.push(character),
        }
    }
    assert!(!is_quoted && record.is_empty() && cell.is_empty(), "{table:?}");
    records
}

/// Removes one apostrophe from the beginning, and one after each separator.
fn plain(cell: &str) -> String {
    cell.split_inclusive(SEPARATORS).map(|part| part.strip_prefix('\'').unwrap_or(part)).collect()
}

/// OWASP, CSV injection. A program may ignore blanks, quotation marks and a byte order mark before it.
fn is_formula(part: &str) -> bool {
    let left_out = |c: char| c.is_whitespace() || c == '"' || c == '\u{feff}';
    part.trim_start_matches(left_out).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}
