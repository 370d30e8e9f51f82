use std::fmt;

use super::{
    note::{NoteKind, PreviewNote, Severity},
    said, words,
};
use crate::{
    json::json_form,
    manage::{
        denial::Denial,
        lint::{NameAdvice, lint_name},
        names::{Names, Presence},
        policy::{Decision, SaidDecision},
        request::IssueKey,
    },
    owner::{KeyKind, Owner, UserId},
    record::{OwnerStatus, Suspension},
    sentence::Sentence,
    time::Timestamp,
};

/// A key that ends sooner than this after it is made may come as a surprise.
const SOON_MS: i64 = 7 * 24 * 3_600_000;

/// What a key would be, before it is made: whether it can be made, and what would surprise later. Nothing is made or
/// hashed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, IssueKey, TeamId, UserId, manage::{NoteKind, Rights}};
///
/// let alice = UserId::new("alice")?;
/// let request = IssueKey::user(alice.clone()).named("GitHub Actions - deploy");
/// let rights = Rights::none().team_keys_included_for(TeamId::new("blue")?);
/// let preview = manager.preview(&request, &Actor::user(alice, rights)).await?;
/// assert!(preview.can_be_issued());
/// assert!(preview.has(NoteKind::ShouldBeTeamKey));
/// println!("{preview}"); // a line for each note, errors first
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preview {
    /// Whether the actor may make it: the answer of [`KeyManager::can`](crate::manage::KeyManager::can). The notes say
    /// if the actor is suspended or closed, or its key dead.
    pub decision: Decision,
    /// The decision in words, if it is no.
    pub denial: Option<Denial>,
    /// A personal key or a team key.
    pub kind: KeyKind,
    /// What could be better about the name.
    pub name: Option<NameAdvice>,
    /// The end that it would have: the requested one or, if none is requested and the service limits the life of such a
    /// key, the latest allowed.
    pub expires_at: Option<Timestamp>,
    /// What to know about it: errors that prevent it first, then what may surprise.
    pub notes: Vec<PreviewNote>,
    /// The name of the owner and whether they have left, if the actor may see the owner. The notes use it.
    pub names: Names,
}

impl Preview {
    /// Whether nothing prevents it. This can change until it is made: [`issue`](crate::manage::KeyManager::issue)
    /// checks again.
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
        let lines: Vec<_> = self.notes.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// What is known about a request besides its own fields.
pub(in crate::manage) struct Findings {
    pub(in crate::manage) decision: Decision,
    /// The decision in words, if it is no.
    pub(in crate::manage) denial: Option<Denial>,
    /// Why it would be denied at the moment of commit, if it is allowed.
    pub(in crate::manage) unfit: Option<Denial>,
    /// The status of the owner, if the actor may see it.
    pub(in crate::manage) owner: OwnerStatus,
    /// The person who makes it for another person.
    pub(in crate::manage) maker: Option<UserId>,
    /// Whether the actor's plan includes team keys.
    pub(in crate::manage) has_team_keys: bool,
    /// How many live keys of the owner have the same name, if the actor may see them.
    pub(in crate::manage) same_name: usize,
    /// What is wrong with the request itself: what issuing would refuse, in words.
    pub(in crate::manage) invalid: Vec<(NoteKind, Sentence)>,
    /// The names of the owner, if the actor may see it.
    pub(in crate::manage) names: Names,
    /// The end that it would have.
    pub(in crate::manage) expires_at: Option<Timestamp>,
    pub(in crate::manage) now: Timestamp,
}

pub(in crate::manage) fn preview(request: &IssueKey, known: Findings) -> Preview {
    let Findings { decision, denial, unfit, owner, maker, has_team_keys, same_name, invalid, names, expires_at, now } =
        known;
    let mut notes = Notes(Vec::new());
    if let Some(denial) = denial.or(unfit) {
        let (kind, severity) = (NoteKind::Denied, Severity::Error);
        notes.0.push(PreviewNote { kind, severity, sentence: denial.sentence(), remedy: denial.remedy() });
    }
    for (kind, sentence) in invalid {
        notes.add(kind, Severity::Error, sentence);
    }
    notes.of_owner(&request.owner, &owner);
    notes.of_leaver(&request.owner, &owner, &names);
    notes.of_maker(&request.owner, maker.as_ref());
    notes.of_name(&request.owner, same_name);
    notes.of_words(request, has_team_keys);
    notes.of_survival(&request.owner);
    notes.of_scopes(request);
    if let Some(networks) = &request.networks {
        notes.add(NoteKind::NetworksLimited, Severity::Info, said::networks_limited(networks.iter().collect()));
    }
    notes.of_time(request.expires_at, expires_at, now);
    notes.add(NoteKind::ShownOnce, Severity::Info, said::shown_once());
    notes.0.sort_by_key(|note| note.severity);
    let mut notes = notes.0;
    notes.iter_mut().for_each(|note| note.sentence = note.sentence.naming(&names));
    Preview { decision, denial, kind: request.owner.kind(), name: lint_name(&request.name), expires_at, notes, names }
}

struct Notes(Vec<PreviewNote>);

impl Notes {
    fn add(&mut self, kind: NoteKind, severity: Severity, sentence: Sentence) {
        self.0.push(PreviewNote { kind, severity, sentence, remedy: None });
    }

    fn of_owner(&mut self, owner: &Owner, status: &OwnerStatus) {
        if status.closed_at().is_some() {
            return self.add(NoteKind::OwnerClosed, Severity::Error, said::owner_closed(owner));
        }
        if status.has(Suspension::Admin) {
            self.add(NoteKind::OwnerSuspended, Severity::Error, said::owner_suspended(owner));
        }
        if status.has(Suspension::Plan) {
            self.add(NoteKind::OwnerPlanSuspended, Severity::Error, said::owner_plan_suspended(owner));
        }
    }

    /// It could be made, but its owner could not use it any more.
    fn of_leaver(&mut self, owner: &Owner, status: &OwnerStatus, names: &Names) {
        match (owner, names.presence(owner)) {
            _ if !status.is_active() => {}
            (Owner::User(user), Some(Presence::Left)) => {
                self.add(NoteKind::OwnerLeft, Severity::Warning, said::owner_left(user));
            }
            (_, Some(Presence::Unknown)) => {
                self.add(NoteKind::OwnerUnknown, Severity::Warning, said::owner_unknown(owner));
            }
            _ => {}
        }
    }

    fn of_maker(&mut self, owner: &Owner, maker: Option<&UserId>) {
        if let (Owner::User(user), Some(maker)) = (owner, maker) {
            self.add(NoteKind::MadeForSomebodyElse, Severity::Warning, said::made_for_somebody_else(maker, user));
        }
    }

    fn of_name(&mut self, owner: &Owner, same_name: usize) {
        if same_name > 0 {
            self.add(NoteKind::SameName, Severity::Warning, said::same_name(same_name, owner));
        }
    }

    /// Adds a note if its words suggest the other kind of key, and none suggests its own kind.
    fn of_words(&mut self, request: &IssueKey, has_team_keys: bool) {
        let of_labels = request.labels.iter().flat_map(|(_, value)| words::uses(value));
        let uses: Vec<_> = words::uses_of_name(&request.name).into_iter().chain(of_labels).collect();
        let kind = request.owner.kind();
        let Some((of, word)) = uses.first().copied() else { return };
        if uses.iter().any(|(of, _)| of.key_kind() == kind) {
            return;
        }
        let what = of.phrase();
        match kind {
            KeyKind::User if !has_team_keys => {
                let said = said::should_be_service_user_key(word, what);
                self.add(NoteKind::ShouldBeServiceUserKey, Severity::Warning, said);
            }
            KeyKind::User => {
                self.add(NoteKind::ShouldBeTeamKey, Severity::Warning, said::should_be_team_key(word, what));
            }
            KeyKind::Team => {
                self.add(NoteKind::ShouldBePersonalKey, Severity::Warning, said::should_be_personal_key(word, what));
            }
        }
    }

    fn of_survival(&mut self, owner: &Owner) {
        let said = match owner {
            Owner::User(user) => [
                (NoteKind::WhoCanUse, said::used_as_user(user)),
                (NoteKind::DiesWithPerson, said::dies_with_person(user)),
                (NoteKind::Reach, said::reach_of_user(user)),
            ]
            .to_vec(),
            Owner::Team(team) => [
                (NoteKind::WhoCanUse, said::used_as_team(team)),
                (NoteKind::OutlivesCreator, said::outlives_creator()),
                (NoteKind::SuspendedWithTeam, said::suspended_with_team(team)),
                (NoteKind::Reach, said::reach_of_team(team)),
            ]
            .to_vec(),
        };
        for (kind, sentence) in said {
            self.add(kind, Severity::Info, sentence);
        }
    }

    fn of_scopes(&mut self, request: &IssueKey) {
        let named: Vec<_> = request.scopes.named().collect();
        if request.scopes.is_all() {
            // It may do everything that its owner may; the note on reach says that.
        } else if named.is_empty() {
            self.add(NoteKind::NoScopes, Severity::Warning, said::no_scopes());
        } else {
            self.add(NoteKind::ScopesLimited, Severity::Info, said::scopes_limited(named));
        }
        if request.scopes.manage_keys() {
            let named = request.scopes.named().filter(|scope| scope.manages_keys()).collect();
            self.add(NoteKind::ManagesKeys, Severity::Warning, said::manages_keys(named));
        } else {
            self.add(NoteKind::ManagesNoKeys, Severity::Info, said::manages_no_keys());
        }
    }

    fn of_time(&mut self, asked: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) {
        // Another note covers an end in the past.
        let Some(end) = expires_at.filter(|end| *end > now) else { return };
        let is_soon = end.as_millis() - now.as_millis() < SOON_MS;
        let severity = if is_soon { Severity::Warning } else { Severity::Info };
        let said = if asked.is_some() { said::expires(end) } else { said::expires_at_the_latest(end) };
        self.add(NoteKind::Expires, severity, said);
    }
}

json_form! {
    Preview<'a>, |preview| Preview { decision, denial, kind, name, expires_at, notes, names } => {
        can_be_issued: bool = preview.can_be_issued(),
        decision: SaidDecision = SaidDecision::new(*decision, *denial),
        kind: KeyKind = *kind,
        name_advice: Option<NameAdvice> = *name,
        name_sentence: Option<Sentence> = name.map(NameAdvice::sentence),
        expires_at: Option<Timestamp> = *expires_at,
        notes: &'a [PreviewNote] = notes,
        names: &'a Names = names,
    }
}
