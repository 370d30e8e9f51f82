use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    note::{NoteKind, PreviewNote, Severity},
    words,
};
use crate::{
    manage::{
        denial::Denial,
        lint::{NameAdvice, lint_name},
        policy::Decision,
        request::IssueKey,
    },
    owner::{KeyKind, Owner},
    record::{OwnerStatus, Suspension},
    scope::Scope,
    time::Timestamp,
};

/// A key that ends sooner than this after it is made surprises somebody.
const SOON_MS: i64 = 7 * 24 * 3_600_000;

/// What a key would be, before it is made: whether it can be, and what would surprise later. Nothing was made or hashed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, IssueKey, UserId, manage::{NoteKind, Rights}};
///
/// let alice = UserId::new("alice")?;
/// let request = IssueKey::user(alice.clone()).named("GitHub Actions - deploy");
/// let preview = manager.preview(&request, &Actor::user(alice, Rights::none())).await?;
/// assert!(preview.can_be_issued());
/// assert!(preview.has(NoteKind::ShouldBeTeamKey));
/// println!("{preview}"); // a line for each note, what stands in the way first
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preview {
    /// Whether the actor may make it: what [`KeyManager::can`](crate::manage::KeyManager::can) says. That the actor is
    /// suspended or closed, or its key dead, is in the notes.
    pub decision: Decision,
    /// The same in words, if the decision is no.
    pub denial: Option<Denial>,
    /// Personal, or a team's.
    pub kind: KeyKind,
    /// Advice about the name.
    pub name: Option<NameNote>,
    /// What there is to know, what stands in the way first, then what may surprise.
    pub notes: Vec<PreviewNote>,
}

/// Advice about a name, for programs and for people.
///
/// ```
/// # fn example(preview: tower_api_keys::manage::Preview) {
/// if let Some(name) = preview.name {
///     println!("{}", name.sentence);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NameNote {
    /// What [`lint_name`] says.
    #[serde(serialize_with = "name_advice")]
    pub advice: NameAdvice,
    /// The same in words.
    pub sentence: String,
}

impl Preview {
    /// Whether nothing stands in the way. Things can change until it is made: [`issue`](crate::manage::KeyManager::issue)
    /// looks again.
    #[must_use]
    pub fn can_be_issued(&self) -> bool {
        self.notes.iter().all(|note| note.severity != Severity::Error)
    }

    /// Whether there is a note of this kind.
    #[must_use]
    pub fn has(&self, kind: NoteKind) -> bool {
        self.notes.iter().any(|note| note.kind == kind)
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.notes.iter().map(|note| note.sentence.as_str()).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// What is known of a request beside itself.
pub(in crate::manage) struct Findings {
    pub(in crate::manage) decision: Decision,
    /// The same in words, if it is no.
    pub(in crate::manage) denial: Option<Denial>,
    /// Why it would be denied at the moment of commit, if it is allowed.
    pub(in crate::manage) unfit: Option<Denial>,
    /// Of the owner, if the actor may know of it.
    pub(in crate::manage) owner: OwnerStatus,
    /// How many live keys of the owner have the same name, if the actor may see them.
    pub(in crate::manage) same_name: usize,
    /// What is wrong with the request itself: what issuing would refuse, in words.
    pub(in crate::manage) invalid: Vec<(NoteKind, String)>,
    pub(in crate::manage) now: Timestamp,
}

pub(in crate::manage) fn preview(request: &IssueKey, known: Findings) -> Preview {
    let Findings { decision, denial, unfit, owner, same_name, invalid, now } = known;
    let mut notes = Notes(Vec::new());
    if let Some(denial) = denial.or(unfit) {
        notes.add(NoteKind::Denied, Severity::Error, denial.to_string());
    }
    for (kind, sentence) in invalid {
        notes.add(kind, Severity::Error, sentence);
    }
    notes.of_owner(&request.owner, &owner);
    notes.of_name(&request.owner, same_name);
    notes.of_words(request);
    notes.of_survival(&request.owner);
    notes.of_scopes(request);
    notes.of_time(request.expires_at, now);
    let sentence = "Its text is shown once, when it is made, and nobody can show it again.";
    notes.add(NoteKind::ShownOnce, Severity::Info, sentence);
    notes.0.sort_by_key(|note| note.severity);
    let name = lint_name(&request.name).map(|advice| NameNote { advice, sentence: advice.to_string() });
    Preview { decision, denial, kind: request.owner.kind(), name, notes: notes.0 }
}

struct Notes(Vec<PreviewNote>);

impl Notes {
    fn add(&mut self, kind: NoteKind, severity: Severity, sentence: impl Into<String>) {
        self.0.push(PreviewNote { kind, severity, sentence: sentence.into() });
    }

    fn of_owner(&mut self, owner: &Owner, status: &OwnerStatus) {
        if status.closed_at().is_some() {
            let sentence = format!("The {owner} is closed for good, and gets no keys any more.");
            return self.add(NoteKind::OwnerClosed, Severity::Error, sentence);
        }
        let by_admin = (Suspension::Admin, NoteKind::OwnerSuspended, "suspended");
        let by_plan = (Suspension::Plan, NoteKind::OwnerPlanSuspended, "suspended by the plan");
        for (suspension, kind, how) in [by_admin, by_plan] {
            if status.has(suspension) {
                let sentence = format!("The {owner} is {how}: it gets no keys before it is reinstated.");
                self.add(kind, Severity::Error, sentence);
            }
        }
    }

    fn of_name(&mut self, owner: &Owner, same_name: usize) {
        let have = match same_name {
            0 => return,
            1 => format!("A live key of the {owner} has"),
            many => format!("{many} live keys of the {owner} have"),
        };
        let sentence = format!("{have} this name already: nobody can tell them apart in a list.");
        self.add(NoteKind::SameName, Severity::Warning, sentence);
    }

    /// Whether its words speak of the other kind of key, and of none of its own.
    fn of_words(&mut self, request: &IssueKey) {
        let of_labels = request.labels.iter().flat_map(|(_, value)| words::uses(value));
        let uses: Vec<_> = words::uses_of_name(&request.name).into_iter().chain(of_labels).collect();
        let kind = request.owner.kind();
        let Some((of, word)) = uses.first().copied() else { return };
        if uses.iter().any(|(of, _)| of.key_kind() == kind) {
            return;
        }
        let what = of.phrase();
        match kind {
            KeyKind::User => self.add(
                NoteKind::ShouldBeTeamKey,
                Severity::Warning,
                format!("It says `{word}`, which sounds like {what}: with a personal key, that stops when the person leaves. A team key goes on."),
            ),
            KeyKind::Team => self.add(
                NoteKind::ShouldBePersonalKey,
                Severity::Warning,
                format!("It says `{word}`, which sounds like {what}: a team key goes on after the person leaves. A personal key stops."),
            ),
        }
    }

    fn of_survival(&mut self, owner: &Owner) {
        match owner {
            Owner::User(user) => {
                let sentence = format!("Whoever has its text acts as {user}, with what {user} may do at that moment.");
                self.add(NoteKind::WhoCanUse, Severity::Info, sentence);
                let sentence =
                    format!("It is refused while {user} is suspended, and stops for good when {user} leaves.");
                self.add(NoteKind::DiesWithPerson, Severity::Info, sentence);
                let sentence = format!("It reaches what {user} reaches: of teams, those that {user} is a member of.");
                self.add(NoteKind::Reach, Severity::Info, sentence);
            }
            Owner::Team(team) => {
                let sentence = format!("Whoever has its text acts for the team {team}, member or not.");
                self.add(NoteKind::WhoCanUse, Severity::Info, sentence);
                let sentence = "It goes on when whoever makes it leaves or is suspended.";
                self.add(NoteKind::OutlivesCreator, Severity::Info, sentence);
                let sentence = format!("It is refused while the team {team} is suspended.");
                self.add(NoteKind::SuspendedWithTeam, Severity::Info, sentence);
                let sentence =
                    format!("It reaches the team {team} only: no other team, and nothing that is a person's.");
                self.add(NoteKind::Reach, Severity::Info, sentence);
            }
        }
    }

    fn of_scopes(&mut self, request: &IssueKey) {
        let named: Vec<_> = request.scopes.named().map(Scope::as_str).collect();
        if request.scopes.is_all() {
            // Everything that its owner may, which is told already.
        } else if named.is_empty() {
            let sentence = "It has no scope: whatever asks for a scope refuses it, and so do the layers and extractors that ask for none.";
            self.add(NoteKind::NoScopes, Severity::Warning, sentence);
        } else {
            let sentence =
                format!("It has only the scopes {}. Scopes can be taken away later, not added.", named.join(", "));
            self.add(NoteKind::ScopesLimited, Severity::Info, sentence);
        }
        if request.scopes.manage_keys() {
            let named: Vec<_> =
                request.scopes.named().filter(|scope| scope.manages_keys()).map(|scope| format!("`{scope}`")).collect();
            let sentence = format!("It looks after keys, as far as its owner may: it has {}.", named.join(", "));
            self.add(NoteKind::ManagesKeys, Severity::Warning, sentence);
        } else {
            let sentence = "It cannot see, create, rotate or revoke keys: it has none of the scopes for that.";
            self.add(NoteKind::ManagesNoKeys, Severity::Info, sentence);
        }
    }

    fn of_time(&mut self, expires_at: Option<Timestamp>, now: Timestamp) {
        // One in the past is told of already.
        let Some(end) = expires_at.filter(|end| *end > now) else { return };
        let is_soon = end.as_millis() - now.as_millis() < SOON_MS;
        let severity = if is_soon { Severity::Warning } else { Severity::Info };
        let sentence = format!("It is refused from {end} on. An expiry can be set earlier later, never later.");
        self.add(NoteKind::Expires, severity, sentence);
    }
}

impl Serialize for Preview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { decision, denial, kind, name, notes } = self;
        let mut out = serializer.serialize_struct("Preview", 4)?;
        out.serialize_field("decision", &Said { is_allowed: *decision == Decision::Allow, denial: *denial })?;
        out.serialize_field("kind", kind)?;
        out.serialize_field("name", name)?;
        out.serialize_field("notes", notes)?;
        out.end()
    }
}

/// A decision in words.
struct Said {
    is_allowed: bool,
    denial: Option<Denial>,
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let denial = self.denial;
        let mut out = serializer.serialize_struct("Decision", 4)?;
        out.serialize_field("allowed", &self.is_allowed)?;
        out.serialize_field("code", &denial.map(|denial| denial.reason().code()))?;
        out.serialize_field("sentence", &denial.map(Denial::sentence))?;
        out.serialize_field("remedy", &denial.map(Denial::remedy))?;
        out.end()
    }
}

fn name_advice<S: Serializer>(advice: &NameAdvice, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match advice {
        NameAdvice::Empty => "empty",
        NameAdvice::Vague => "vague",
    })
}
