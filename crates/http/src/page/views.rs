//! Keys, people and buttons, as templates show them.

use std::cmp::Reverse;

use serde::Serialize;
use tower_api_keys::{
    Owner,
    manage::{Abilities, CountedUntil, KeyAction, KeyInfo, KeyState, Names},
    record::{ActorId, OwnerStatus, Suspension},
    usage::{Source, UsageCount},
};

use super::{
    request::{Call, in_path},
    times::When,
    words::Words,
};

/// Until when requests are counted, and whether the last attempts to write the counts failed.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counted {
    until: Option<When>,
    failing: Option<When>,
}

impl Counted {
    pub(super) fn of(counted: &CountedUntil, words: &Words) -> Self {
        let minute = |at: Option<_>| at.map(|at| When::minute(at, words));
        Self { until: minute(counted.until), failing: minute(counted.failing_since) }
    }
}

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

/// The path of the screen of an owner.
pub(super) fn place(owner: &Owner) -> String {
    let folder = match owner {
        Owner::Team(_) => "teams",
        Owner::User(_) => "people",
    };
    format!("/{folder}/{}", in_path(owner.id()))
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
    /// The screen of its owner, if the caller has a use for it.
    pub(super) owner_at: Option<String>,
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
        let is_useful = match &key.owner {
            Owner::User(_) => call.sees_people(),
            Owner::Team(_) => call.actor.is_org_admin(),
        };
        Self {
            id: key.id.to_string(),
            kind: key.kind.as_str(),
            shown: if name.is_empty() { words.say("key.unnamed", &[]) } else { name.clone() },
            name,
            short: format!("{}{}.…", call.manager.format().prefix(key.kind), key.id),
            owner: owner_name(&key.owner, names),
            owner_at: is_useful.then(|| call.at(&place(&key.owner))),
            state: key.state.as_str(),
            state_text: (key.state != KeyState::Live).then(|| state_text(call, key.state)),
            created: When::date(key.created_at, words),
            created_by: Person::of(call, &key.created_by, names),
            expires: key.expires_at.map(|end| When::date(end, words)),
            version: key.version,
        }
    }
}

/// Whether a key in this state never works again, whatever becomes of its owner.
pub(super) const fn is_dead(state: KeyState) -> bool {
    matches!(state, KeyState::Revoked | KeyState::Expired)
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
    /// Whom to ask about that.
    pub(super) ask: Option<String>,
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
            ask: None,
        }
    }

    /// The same, with whom to ask if it does not work for keys of this owner.
    pub(super) async fn with_contacts(mut self, call: &Call, owner: &Owner) -> Self {
        if !self.allowed {
            let team = match owner {
                Owner::Team(team) => Some(team),
                Owner::User(_) => None,
            };
            self.ask = call.whom_to_ask(team).await;
        }
        self
    }
}

/// Why an owner has no accepted keys and gets no new ones, in a word.
pub(super) fn stopped(status: &OwnerStatus) -> Option<&'static str> {
    if status.closed_at().is_some() {
        Some("closed")
    } else if status.has(Suspension::Admin) {
        Some("suspended")
    } else if status.has(Suspension::Plan) {
        Some("suspended_by_plan")
    } else {
        None
    }
}

/// Where to upgrade, if an owner is stopped for that reason.
pub(super) fn upgrade(call: &Call, stopped: &str) -> Option<String> {
    call.site.page.upgrade_at.clone().filter(|_| stopped == "suspended_by_plan")
}

/// Why the keys of an owner are refused, all of them, and where to upgrade if that would change it.
pub(super) fn notice(call: &Call, kind: &str, status: &OwnerStatus) -> (Option<String>, Option<String>) {
    let Some(id) = stopped(status) else { return (None, None) };
    (Some(call.say(&format!("notice.{kind}.{id}"))), upgrade(call, id))
}

/// Whether the key is the old or the new one of a rotation that is under way.
pub(super) fn is_rotating(key: &KeyInfo) -> bool {
    key.successor.is_some() || key.predecessor_is_live == Some(true)
}

/// The button to rotate a key. An owner that is suspended or closed gets no new keys.
pub(super) fn rotate_button(call: &Call, key: &KeyInfo, abilities: &Abilities) -> Button {
    let mut button = Button::of(call, "rotate", abilities, KeyAction::Rotate);
    if let (true, (Some(why), _)) = (button.allowed, notice(call, key.kind.as_str(), &key.owner_status)) {
        button.allowed = false;
        button.why = Some(why);
    }
    button
}

/// The buttons that make sense for a key in its state, allowed or not.
pub(super) fn buttons(call: &Call, key: &KeyInfo, abilities: &Abilities) -> Vec<Button> {
    // The keys of a closed owner never work again.
    if is_dead(key.state) || key.state == KeyState::OwnerClosed {
        return Vec::new();
    }
    let is_paused = key.paused_at.is_some();
    let mut buttons = Vec::new();
    if is_rotating(key) {
        let mut button = Button::of(call, "continue", abilities, KeyAction::Rotate);
        button.path = "rotation";
        buttons.push(button);
    } else if !is_paused {
        buttons.push(rotate_button(call, key, abilities));
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
