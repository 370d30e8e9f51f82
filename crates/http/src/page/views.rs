//! Keys, people and buttons, as templates show them.

use std::cmp::Reverse;

use serde::Serialize;
use tower_api_keys::{
    Owner,
    manage::{Abilities, KeyAction, KeyInfo, KeyState, Names},
    record::ActorId,
    usage::{Source, UsageCount},
};

use super::{
    request::{Call, in_path},
    times::When,
};

/// A person, a key or a job, by name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Person {
    pub(super) text: String,
    pub(super) left: bool,
}

impl Person {
    pub(super) fn of(call: &Call, actor: &ActorId, names: &Names) -> Self {
        let words = call.site.words();
        match actor {
            ActorId::User(user) => {
                Self { text: names.of_user(user).unwrap_or(user.as_str()).to_owned(), left: names.has_left(user) }
            }
            ActorId::Key(id) => Self { text: words.say("person.key", &[("key", id.to_string())]), left: false },
            ActorId::System(label) => {
                Self { text: words.say("person.system", &[("label", label.as_str().to_owned())]), left: false }
            }
        }
    }
}

/// The name of a user or a team.
pub(super) fn owner_name(owner: &Owner, names: &Names) -> String {
    names.of_owner(owner).unwrap_or(owner.id()).to_owned()
}

/// A source, as people read it.
pub(super) fn source_name(call: &Call, source: &Source) -> String {
    if source.is_empty() { call.say("source.none") } else { source.to_string() }
}

/// The sources of these counts, the latest first, each once, and how many more there are.
pub(super) fn sources_line<'a>(call: &Call, counts: impl Iterator<Item = &'a UsageCount>) -> String {
    const SHOWN: usize = 2;
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|count| Reverse(count.last_at));
    let mut named: Vec<String> = Vec::new();
    for count in counts {
        let name = source_name(call, &count.source);
        if !named.contains(&name) {
            named.push(name);
        }
    }
    let more = named.len().saturating_sub(SHOWN);
    let shown = named.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    match more {
        0 => shown,
        _ => call.site.words().say("source.more", &[("shown", shown), ("count", more.to_string())]),
    }
}

/// A key.
#[derive(Clone, Debug, Serialize)]
pub(super) struct KeyView {
    pub(super) id: String,
    pub(super) kind: &'static str,
    /// The name, or a word for none.
    pub(super) shown: String,
    pub(super) name: String,
    /// How it begins: what people see of it in a configuration.
    pub(super) short: String,
    pub(super) owner: String,
    /// The page of its person, for a personal key.
    pub(super) person: Option<String>,
    pub(super) state: &'static str,
    pub(super) state_text: Option<String>,
    pub(super) created: When,
    pub(super) created_by: Person,
    pub(super) expires: Option<When>,
    pub(super) version: i64,
}

impl KeyView {
    pub(super) fn of(call: &Call, key: &KeyInfo, names: &Names) -> Self {
        let words = call.site.words();
        let name = key.name.as_str().to_owned();
        let person = match &key.owner {
            Owner::User(user) if call.sees_people() => Some(call.at(&format!("/people/{}", in_path(user.as_str())))),
            Owner::User(_) | Owner::Team(_) => None,
        };
        Self {
            id: key.id.to_string(),
            kind: key.kind.as_str(),
            shown: if name.is_empty() { words.say("key.unnamed", &[]) } else { name.clone() },
            name,
            short: format!("{}{}.…", call.manager.format().prefix(key.kind), key.id),
            owner: owner_name(&key.owner, names),
            person,
            state: key.state.as_str(),
            state_text: (key.state != KeyState::Live).then(|| state_text(call, key.state)),
            created: When::date(key.created_at, words),
            created_by: Person::of(call, &key.created_by, names),
            expires: key.expires_at.map(|end| When::date(end, words)),
            version: key.version,
        }
    }
}

/// A state in a word or two. A state of a newer library is shown as its word.
pub(super) fn state_text(call: &Call, state: KeyState) -> String {
    let id = format!("state.{}", state.as_str());
    if call.site.words().has(&id) { call.say(&id) } else { plain(state.as_str()) }
}

/// A word in snake case for people: `vague_name` is *Vague name*.
pub(super) fn plain(word: &str) -> String {
    let mut letters = word.replace(['_', '.'], " ");
    if let Some(first) = letters.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    letters
}

/// A button: where it leads, or why it does not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Button {
    pub(super) id: &'static str,
    pub(super) text: String,
    /// The last part of the address.
    pub(super) path: &'static str,
    pub(super) allowed: bool,
    /// Why not, and what would change it.
    pub(super) why: Option<String>,
}

impl Button {
    pub(super) fn of(call: &Call, id: &'static str, abilities: &Abilities, action: KeyAction) -> Self {
        let words = call.site.words();
        let ability = abilities.of(action);
        let said = |ability: &tower_api_keys::manage::Ability| {
            let both = [ability.sentence(), ability.remedy()];
            let both: Vec<_> = both.iter().flatten().map(|sentence| words.sentence(sentence)).collect();
            (!both.is_empty()).then(|| both.join(" "))
        };
        Self {
            id,
            text: words.say(&format!("button.{id}"), &[]),
            path: id,
            allowed: abilities.allows(action),
            why: ability.as_ref().and_then(said),
        }
    }
}

/// The buttons that make sense for a key in its state, allowed or not.
pub(super) fn buttons(call: &Call, key: &KeyInfo, abilities: &Abilities) -> Vec<Button> {
    // The keys of a closed owner never work again.
    if matches!(key.state, KeyState::Revoked | KeyState::Expired | KeyState::OwnerClosed) {
        return Vec::new();
    }
    let is_rotating = key.successor.is_some() || key.predecessor_is_live == Some(true);
    let is_paused = key.paused_at.is_some();
    let mut buttons = Vec::new();
    if is_rotating {
        let mut button = Button::of(call, "continue", abilities, KeyAction::Rotate);
        button.path = "rotation";
        buttons.push(button);
    } else if !is_paused {
        buttons.push(Button::of(call, "rotate", abilities, KeyAction::Rotate));
    }
    if is_paused {
        buttons.push(Button::of(call, "resume", abilities, KeyAction::Resume));
    }
    buttons.push(Button::of(call, "delete", abilities, KeyAction::Revoke));
    buttons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_for_people() {
        assert_eq!(plain("vague_name"), "Vague name");
        assert_eq!(plain("key.issued"), "Key issued");
        assert_eq!(plain(""), "");
    }
}
