//! Rows of keys with what needs attention, for the list and for the review.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tower_api_keys::{
    KeyId, Timestamp,
    manage::{InventoryEntry, InventoryQuery, KeyAction, KeyFlag, KeyInfo, Names},
};

use crate::page::{
    answer::Stop,
    request::Call,
    times::When,
    views::{Button, KeyView, buttons, is_rotating, plain, sources_line},
};

/// A row of a table of keys.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) key: KeyView,
    /// What to look at, in a word or two, and as a sentence.
    pub(super) flags: Vec<Flag>,
    pub(super) rotating: bool,
    /// Whether the actor may see its use.
    pub(super) sees_use: bool,
    /// When it was last used, if the actor may see that and it was.
    pub(super) used: Option<When>,
    pub(super) sources: String,
    /// Only what the actor may do.
    pub(super) buttons: Vec<Button>,
}

#[derive(Debug, Serialize)]
pub(super) struct Flag {
    pub(super) flag: &'static str,
    pub(super) text: String,
    pub(super) sentence: String,
    /// The action that would take it away.
    pub(super) fix: Option<&'static str>,
    pub(super) fix_text: Option<String>,
}

/// What an inventory adds to a list.
pub(super) struct Evidence {
    pub(super) asked_at: Option<Timestamp>,
    pub(super) entries: BTreeMap<KeyId, InventoryEntry>,
}

impl Evidence {
    pub(super) const fn none() -> Self {
        Self { asked_at: None, entries: BTreeMap::new() }
    }

    /// What the actor may see of the use of these keys; nothing for a member.
    pub(super) async fn of(call: &Call, query: InventoryQuery) -> Result<Self, Stop> {
        let page = call.manager.inventory(query, &call.actor).await?;
        let entries = page.entries.into_iter().map(|entry| (entry.key.id, entry)).collect();
        Ok(Self { asked_at: Some(page.asked_at), entries })
    }
}

/// The row of a key.
pub(super) fn row(call: &Call, key: &KeyInfo, names: &Names, evidence: &Evidence) -> Result<Row, Stop> {
    let abilities = call.manager.abilities(key, &call.actor)?;
    let entry = evidence.entries.get(&key.id);
    let words = call.site.words();
    let used = key.usage.and_then(|usage| usage.last_success_at).map(|at| match evidence.asked_at {
        Some(now) => When::ago(at, now, words),
        None => When::date(at, words),
    });
    let flags = entry.map(|entry| flags(call, entry, &|action| abilities.allows(action))).unwrap_or_default();
    Ok(Row {
        key: KeyView::of(call, key, names),
        flags,
        rotating: is_rotating(key),
        sees_use: key.usage.is_some(),
        used,
        sources: entry.map(|entry| sources_line(call, entry.usage.successes())).unwrap_or_default(),
        buttons: buttons(call, key, &abilities).into_iter().filter(|button| button.allowed).collect(),
    })
}

/// Leaves out sentences that are on the same screen already: a hundred keys with the same flag are one sentence.
pub(super) fn say_once<'a>(rows: impl Iterator<Item = &'a mut Row>) {
    let mut said = BTreeSet::new();
    for flag in rows.flat_map(|row| &mut row.flags) {
        if !said.insert(flag.sentence.clone()) {
            flag.sentence.clear();
        }
    }
}

/// The flags of a key, each with its sentence and the action that takes it away.
pub(super) fn flags(call: &Call, entry: &InventoryEntry, allows: &dyn Fn(KeyAction) -> bool) -> Vec<Flag> {
    let words = call.site.words();
    let flag = |flag: &KeyFlag| {
        let (fix, text, action) = match flag {
            KeyFlag::Unnamed | KeyFlag::VagueName => ("edit", "button.rename", KeyAction::Rename),
            KeyFlag::LooksShared if entry.has_team_keys => ("rotate", "button.move", KeyAction::Rotate),
            _ => ("", "", KeyAction::See),
        };
        let is_fixable = !fix.is_empty() && allows(action);
        Flag {
            flag: flag.as_str(),
            text: plain(flag.as_str()),
            sentence: words.sentence(&entry.flag_sentence(*flag)),
            fix: is_fixable.then_some(fix),
            fix_text: is_fixable.then(|| words.say(text, &[])),
        }
    };
    entry.flags.iter().map(flag).collect()
}
