//! The columns of a key, one by one: add a new column only here in the kit.

use tower_api_keys::{Timestamp, key::KeyId, record::KeyRow};

/// Sets every optional column of a key.
pub(super) fn fill(row: &mut KeyRow, creator: &KeyId, predecessor: &KeyId) {
    let labels: Vec<String> = (0..16).map(|n| format!(r#""label {n:02}":"{}""#, "w\u{f6}rter".repeat(10))).collect();
    row.name = "GitHub Actions \u{2013} Produktion \u{1f511}".into();
    row.labels = format!("{{{}}}", labels.join(","));
    row.tag = [0xff, 0, 0x80, 0x7f];
    row.pepper_id = Some(i64::from(u32::MAX));
    row.proof = Some(vec![0, 1, 0xff]);
    row.scopes = "intake:write keys:manage".into();
    row.allowed_networks = Some("10.0.0.0/8 2001:db8::/32".into());
    row.limits = Some("{ \"per minute\": 60 }".into());
    row.imported_from = Some("the old system".into());
    row.responsible = Some("user:bob".into());
    row.created_by = format!("key:{creator}");
    row.created_via_key = Some(creator.as_str().to_owned());
    row.expires_at = Some(Timestamp::MAX.as_millis());
    row.revoked_at = Some(Timestamp::MIN.as_millis());
    row.revoked_by = Some("system:nightly job".into());
    row.paused_at = Some(Timestamp::MAX.as_millis());
    row.paused_by = Some("user:bob".into());
    row.lineage = creator.as_str().to_owned();
    row.predecessor_expires_at = Some(Timestamp::MIN.as_millis());
    row.grace_ends_at = Some(Timestamp::MAX.as_millis());
    row.warned_end = Some(Timestamp::MAX.as_millis());
    row.warned_before_ms = Some(i64::MAX);
    row.replaces = Some(predecessor.as_str().to_owned());
}

/// Functions that change one column each.
pub(super) const KEY_COLUMNS: &[fn(&mut KeyRow)] = &[
    |row| row.organization.push('x'),
    |row| row.kind = if row.kind == "team" { "user".into() } else { "team".into() },
    |row| row.owner.push('x'),
    |row| row.name.push(' '),
    |row| row.labels = r#"{"another":"1"}"#.into(),
    |row| row.hash.push('A'),
    |row| row.tag = [9, 9, 9, 9],
    |row| row.pepper_id = another(row.pepper_id),
    |row| row.scopes.push('x'),
    |row| row.created_by = row.created_by.to_uppercase(),
    |row| row.created_via_key = another_text(&row.created_via_key),
    |row| row.created_at += 1,
    |row| row.expires_at = another(row.expires_at),
    |row| row.revoked_at = another(row.revoked_at),
    |row| row.revoked_by = another_text(&row.revoked_by),
    |row| row.replaces = another_text(&row.replaces),
    |row| row.proof = if row.proof.is_some() { None } else { Some(vec![7]) },
    |row| row.allowed_networks = another_text(&row.allowed_networks),
    |row| row.limits = another_text(&row.limits),
    |row| row.imported_from = another_text(&row.imported_from),
    |row| row.responsible = another_text(&row.responsible),
    |row| row.paused_at = another(row.paused_at),
    |row| row.paused_by = another_text(&row.paused_by),
    |row| row.lineage.push('x'),
    |row| row.predecessor_expires_at = another(row.predecessor_expires_at),
    |row| row.grace_ends_at = another(row.grace_ends_at),
    |row| row.warned_end = another(row.warned_end),
    |row| row.warned_before_ms = another(row.warned_before_ms),
    |row| row.version -= 1,
];

pub(super) fn another(time: Option<i64>) -> Option<i64> {
    if time.is_some() { None } else { Some(1) }
}

pub(super) fn another_text(text: &Option<String>) -> Option<String> {
    if text.is_some() { None } else { Some("user:mallory".to_owned()) }
}
