//! Keys as rows of a table, and in sentences.

use tower_api_keys::manage::{KeyInfo, KeyState};

use crate::output::{Column, Now, date, quoted};

/// The columns of a list of keys.
pub(super) const COLUMNS: [Column; 7] = [
    Column::new("ID"),
    Column::new("NAME"),
    Column::at_most("OWNER", 30),
    Column::new("STATE"),
    Column::new("CREATED"),
    Column::at_most("BY", 30),
    Column::new("LAST USED"),
];

/// A key as a row.
pub(super) fn row(key: &KeyInfo, now: Now) -> [String; 7] {
    [
        key.id.to_string(),
        key.name.to_string(),
        key.owner.to_string(),
        state(key),
        date(key.created_at),
        key.created_by.to_string(),
        now.ago_or_never(key.usage.and_then(|usage| usage.last_success_at)),
    ]
}

/// What a key is now, in a word or two.
pub(super) fn state(key: &KeyInfo) -> String {
    let state = match key.state {
        KeyState::Live => "live",
        KeyState::Revoked => "revoked",
        KeyState::Expired => "expired",
        KeyState::KeyPaused => "paused",
        KeyState::OwnerClosed => "owner closed",
        KeyState::OwnerSuspended => "owner suspended",
        KeyState::OwnerPlanSuspended => "plan suspended",
        KeyState::ClockUnsure => "clock unsure",
        other => return other.to_string(),
    };
    let is_rotating = key.state == KeyState::Live && (key.successor.is_some() || key.predecessor_is_live == Some(true));
    if is_rotating { format!("{state}, rotating") } else { state.to_owned() }
}

/// A key in a sentence: `team key AAEC…, "CI", of team engineering`.
pub(super) fn about(key: &KeyInfo) -> String {
    format!("{} key {}, {}, of {}", key.kind, key.id, quoted(key.name.as_str()), key.owner)
}
