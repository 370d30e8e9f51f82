//! A stored row becomes a record exactly if every column is valid, and the record becomes the same row again.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use libfuzzer_sys::fuzz_target;
use tower_api_keys::{
    Scopes, Timestamp,
    audit::{Event, EventRow},
    hash::KeyHash,
    key::contains_key,
    record::{KeyRecord, KeyRow, Labels, OwnerStatus, OwnerStatusRow, Suspension},
};

// Each line replaces one column of a good row: a letter, then the text or the number.
fuzz_target!(|data: &[u8]| {
    let mut row = KeyRow::example();
    let mut event = EventRow::example();
    let mut status = OwnerStatusRow::default();
    for line in data.split(|&byte| byte == b'\n') {
        if let Some((&column, value)) = line.split_first() {
            set(&mut row, &mut event, &mut status, column, value);
        }
    }
    read_key(&row);
    read_event(&event);
    read_status(&status);
});

/// Each letter is a column, in the order of [`KeyRow`], then the other columns of the other rows.
fn set(row: &mut KeyRow, event: &mut EventRow, status: &mut OwnerStatusRow, column: u8, value: &[u8]) {
    let text = || String::from_utf8_lossy(value).into_owned();
    let optional_text = || Some(text()).filter(|text| !text.is_empty());
    let number = || {
        let bytes = || value.iter().fold(0_i64, |number, &byte| (number << 8) | i64::from(byte));
        text().parse().unwrap_or_else(|_| bytes())
    };
    let optional_number = || Some(number()).filter(|_| !value.is_empty());
    match column {
        b'a' => (row.organization, event.organization) = (text(), text()),
        b'b' => (row.id, event.key) = (text(), optional_text()),
        b'c' => (row.kind, event.owner_kind) = (text(), text()),
        b'd' => (row.owner, event.owner) = (text(), text()),
        b'e' => row.name = text(),
        b'f' => row.labels = text(),
        b'g' => row.hash = text(),
        b'h' => row.tag = std::array::from_fn(|index| value.get(index).copied().unwrap_or_default()),
        b'i' => row.pepper_id = optional_number(),
        b'j' => row.scopes = text(),
        b'k' => (row.created_by, event.actor) = (text(), text()),
        b'l' => row.created_via_key = optional_text(),
        b'm' => (row.created_at, event.at) = (number(), number()),
        b'n' => (row.expires_at, status.suspended_at) = (optional_number(), optional_number()),
        b'o' => (row.revoked_at, status.plan_suspended_at) = (optional_number(), optional_number()),
        b'p' => row.revoked_by = optional_text(),
        b'q' => row.replaces = optional_text(),
        b'r' => (row.version, event.sequence) = (number(), number()),
        b's' => event.action = text(),
        b't' => event.before = optional_text(),
        b'u' => event.after = optional_text(),
        b'v' => event.source = optional_text(),
        b'w' => status.closed_at = optional_number(),
        b'A' => row.proof = Some(value.to_vec()).filter(|value| !value.is_empty()),
        b'B' => row.allowed_networks = optional_text(),
        b'C' => row.limits = optional_text(),
        b'D' => row.imported_from = optional_text(),
        b'E' => row.responsible = optional_text(),
        b'F' => row.paused_at = optional_number(),
        b'G' => row.paused_by = optional_text(),
        b'H' => row.lineage = text(),
        b'I' => row.predecessor_expires_at = optional_number(),
        b'J' => row.grace_ends_at = optional_number(),
        b'L' => (row.warned_end, row.warned_before_ms) = (optional_number(), optional_number()),
        b'K' => event.audience = text(),
        _ => {}
    }
}

fn read_key(row: &KeyRow) {
    let wrong = wrong_columns(row);
    match KeyRecord::try_from(row) {
        Ok(record) => {
            assert!(wrong.is_empty(), "{wrong:?} of {row:?}");
            let again = KeyRow::from(&record);
            // Three columns can have several texts with one meaning, and a proof of a wrong length counts as none. A
            // second read changes nothing.
            let words = |scopes: &str| scopes.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(words(&again.scopes), words(&row.scopes));
            assert_eq!(labels(&again.labels), labels(&row.labels));
            let model = |row: &KeyRow| row.allowed_networks.as_deref().map(networks);
            assert_eq!(model(&again), model(row));
            let (scopes, labels) = (row.scopes.clone(), row.labels.clone());
            let allowed_networks = row.allowed_networks.clone();
            let proof = row.proof.clone().filter(|proof| proof.len() == 32);
            assert_eq!(again.proof, proof);
            assert_eq!(KeyRow { scopes, allowed_networks, labels, proof: row.proof.clone(), ..again.clone() }, *row);
            let third = KeyRecord::try_from(&again).expect("what was read once");
            assert_eq!(KeyRow::from(&third), again);

            assert_eq!(serde_json::from_str::<Scopes>(&json(&record.scopes)).ok().as_ref(), Some(&record.scopes));
            assert_eq!(serde_json::from_str::<Labels>(&json(&record.labels)).ok().as_ref(), Some(&record.labels));
            assert_eq!(record.created_at.to_string().parse::<Timestamp>().ok(), Some(record.created_at));
            assert_eq!(record.kind().as_str(), row.kind);
            assert!(!record.is_live(Timestamp::MAX) || record.expires_at.is_none());
            let _ = format!("{record:?}");
        }
        Err(error) => assert!(wrong.contains(&error.column()), "{error}, not {wrong:?}: {row:?}"),
    }
}

fn read_event(row: &EventRow) {
    let is_sound = row.key.as_deref().is_none_or(is_key_id)
        && match row.owner_kind.as_str() {
            "organization" => row.owner == row.organization && row.key.is_none(),
            "user" | "team" => is_id(&row.owner),
            _ => false,
        }
        && is_id(&row.organization)
        && is_actor(&row.actor)
        && is_time(row.at)
        && ["organization", "subject"].contains(&row.audience.as_str());
    match Event::try_from(row) {
        Ok(event) => {
            assert!(is_sound, "{row:?}");
            assert_eq!(EventRow::from(&event), *row);
            let _ = json(&event);
        }
        Err(error) => assert!(!is_sound, "{error}: {row:?}"),
    }
}

fn read_status(row: &OwnerStatusRow) {
    let columns = [row.suspended_at, row.plan_suspended_at, row.closed_at];
    let is_sound = columns.into_iter().flatten().all(is_time);
    match OwnerStatus::try_from(row) {
        Ok(status) => {
            assert!(is_sound, "{row:?}");
            assert_eq!(status.is_active(), columns == [None; 3]);
            assert_eq!(status.has(Suspension::Admin), row.suspended_at.is_some());
            assert_eq!(status.has(Suspension::Plan), row.plan_suspended_at.is_some());
            assert_eq!(status.closed_at().map(Timestamp::as_millis), row.closed_at);
            let _ = json(&status);
        }
        Err(error) => assert!(!is_sound, "{error}: {row:?}"),
    }
}

/// The first bits of the addresses, and their number. An IPv4 network and its IPv6 form are the same.
fn networks(text: &str) -> Option<BTreeSet<(bool, u128, u32)>> {
    let one = |word: &str| {
        let (address, length) = word.split_once('/').map_or((word, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => width,
            Some(length) => length.parse::<u32>().ok().filter(|number| number.to_string() == length)?,
        };
        let bits = match address {
            IpAddr::V4(four) => u128::from(four.to_bits()),
            IpAddr::V6(six) => six.to_bits(),
        };
        let is_cut = length <= width && (length == 128 || bits & ((1 << (width - length)) - 1) == 0);
        let is_mapped = width == 128 && bits >> 32 == 0xffff && length >= 96;
        let (is_four, length) = if is_mapped { (true, length - 96) } else { (width == 32, length) };
        (is_cut && length > 0).then_some((is_four, if is_mapped { bits & 0xffff_ffff } else { bits }, length))
    };
    let all: Option<BTreeSet<_>> = text.split(' ').map(one).collect();
    all.filter(|all| all.len() <= 32 && text.split(' ').count() <= 64)
}

/// An independent implementation of the rules of each column.
fn wrong_columns(row: &KeyRow) -> Vec<&'static str> {
    let pepper = row.pepper_id.map(u32::try_from).transpose();
    let columns = [
        ("organization", is_id(&row.organization)),
        ("id", is_key_id(&row.id)),
        ("kind", ["user", "team"].contains(&row.kind.as_str())),
        ("owner", is_id(&row.owner)),
        ("name", is_shown_text(&row.name, 100)),
        ("labels", labels(&row.labels).is_some_and(|labels| are_labels(&labels))),
        // The target `stored_hash` tests what a valid hash is.
        ("hash", KeyHash::from_parts(&row.hash, row.tag, None).is_ok()),
        ("pepper_id", pepper.is_ok()),
        ("scopes", are_scopes(&row.scopes)),
        ("created_by", is_actor(&row.created_by)),
        ("created_via_key", row.created_via_key.as_deref().is_none_or(is_key_id)),
        ("created_at", is_time(row.created_at)),
        ("expires_at", row.expires_at.is_none_or(is_time)),
        ("revoked_at", row.revoked_at.is_none_or(is_time)),
        ("revoked_by", row.revoked_by.as_deref().is_none_or(|by| row.revoked_at.is_some() && is_actor(by))),
        ("allowed_networks", row.allowed_networks.as_deref().is_none_or(|text| networks(text).is_some())),
        (
            "responsible",
            row.responsible.as_deref().is_none_or(|text| !text.trim().is_empty() && is_shown_text(text, 128)),
        ),
        ("paused_at", row.paused_at.is_none_or(is_time)),
        ("paused_by", row.paused_by.as_deref().is_none_or(|by| row.paused_at.is_some() && is_actor(by))),
        ("lineage", is_key_id(&row.lineage)),
        ("predecessor_expires_at", row.predecessor_expires_at.is_none_or(is_time)),
        ("grace_ends_at", row.grace_ends_at.is_none_or(is_time)),
        ("replaces", row.replaces.as_deref().is_none_or(is_key_id)),
        ("version", row.version > 0),
    ];
    columns.into_iter().filter(|(_, is_sound)| !is_sound).map(|(column, _)| column).collect()
}

fn is_id(text: &str) -> bool {
    let is_padded = text.starts_with(' ') || text.ends_with(' ');
    let hides = |c: char| is_unseen(c) || (c.is_whitespace() && c != ' ');
    (1..=128).contains(&text.len()) && !is_padded && !text.contains(hides)
}

fn is_key_id(text: &str) -> bool {
    text.len() == 20 && text.chars().all(|c| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_'))
}

fn is_actor(text: &str) -> bool {
    let is_named = |scheme| text.strip_prefix(scheme).is_some_and(is_id);
    is_named("user:") || is_named("system:") || text.strip_prefix("key:").is_some_and(is_key_id)
}

/// From 1970 to the last millisecond of 9999.
fn is_time(millis: i64) -> bool {
    (0..253_402_300_800_000).contains(&millis)
}

/// Invisible characters: controls, and those that Unicode lets programs ignore.
fn is_unseen(c: char) -> bool {
    let few = "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{2800}\u{3164}\u{feff}\u{ffa0}";
    let ranges = [
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x206f),
        (0xfe00, 0xfe0f),
        (0xfff0, 0xfffb),
        (0x13430, 0x1343f),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe0fff),
    ];
    c.is_control() || few.contains(c) || ranges.iter().any(|(from, to)| (*from..=*to).contains(&u32::from(c)))
}

/// The beginnings of credentials of other services.
const FOREIGN: [&str; 10] = ["AKIA", "ASIA", "eyJ", "gh", "github", "gl", "k_", "sk-", "whsec_", "x"];

/// Whether this is a short text that people may see: no invisible characters except those that belong to a word or an
/// emoji, no key, and no credential of another service. Where a joiner is allowed, and what such a credential is, has
/// no independent test here.
fn is_shown_text(text: &str, longest: usize) -> bool {
    let joins = |c: char| {
        let selects = matches!(u32::from(c), 0x180b..=0x180d | 0x180f | 0xfe00..=0xfe0f | 0xe0100..=0xe01ef);
        selects || matches!(u32::from(c), 0x200c | 0x200d | 0xe0020..=0xe007f)
    };
    let is_right = match text.contains(joins) || FOREIGN.iter().any(|begin| text.contains(begin)) {
        true => Labels::new([("a", text)]).is_ok(),
        false => !text.contains(is_unseen),
    };
    text.chars().count() <= longest && is_right && !contains_key(text)
}

fn labels(text: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(text).ok()
}

fn are_labels(labels: &BTreeMap<String, String>) -> bool {
    let is_label = |label: &String| {
        (1..=32).contains(&label.len()) && label.chars().all(|c| "abcdefghijklmnopqrstuvwxyz0123456789-_.".contains(c))
    };
    labels.len() <= 16 && labels.keys().all(is_label) && labels.values().all(|value| is_shown_text(value, 128))
}

/// RFC 6749 §3.3, with `*` for all.
fn are_scopes(text: &str) -> bool {
    let is_scope =
        |word: &str| (1..=64).contains(&word.len()) && word.chars().all(|c| matches!(c, '!' | '#'..='[' | ']'..='~'));
    let named: BTreeSet<&str> = text.split(' ').filter(|word| *word != "*").collect();
    text.is_empty() || (named.iter().all(|word| is_scope(word)) && named.len() <= 64)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("text")
}
