use http::StatusCode;
use serde::Serialize;
use tower_api_keys::{
    IssueKey, KeyKind, Networks, Owner, Scope, Scopes, TeamId,
    manage::{Decision, DenialReason, ManageErrorKind, NoteKind, Preview, Severity},
    record::Labels,
};

use super::{
    failed::Failed,
    reveal::{replayed, reveal},
    teams::{TeamSearch, Teams},
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, in_query},
    times,
};

/// The labels that the form has fields for.
pub(super) const TICKET: &str = "ticket";
pub(super) const INSTALLED_IN: &str = "installed-in";

#[derive(Serialize)]
struct CreateView {
    kind: &'static str,
    teams: Vec<Choice>,
    /// A search for a team, if there are too many for a list.
    search: Option<TeamSearch>,
    /// Whether the team is typed: nothing lists the teams of this caller.
    team_typed: bool,
    team: String,
    name: String,
    may_all: bool,
    scopes: Vec<Choice>,
    ends_never: bool,
    ends: String,
    responsible: String,
    ticket: String,
    installed_in: String,
    /// Whether the service can check networks.
    has_networks: bool,
    networks: String,
    more: bool,
    idempotency_key: String,
    notes: Notes,
    failed: Option<Failed>,
    /// Why no key can be created here at all.
    refused: Option<String>,
    /// Whom to ask about that.
    ask: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) text: String,
    pub(super) chosen: bool,
}

/// What will surprise people about the key once they have it.
#[derive(Default, Serialize)]
struct Notes {
    name_advice: Option<String>,
    notes: Vec<Note>,
    /// The same form for a team key.
    as_team_key: Option<String>,
}

#[derive(Serialize)]
struct Note {
    severity: &'static str,
    sentence: String,
    remedy: Option<String>,
}

/// What a form asks for, as far as it can be understood.
struct Asked {
    kind: KeyKind,
    teams: Teams,
    team: Option<TeamId>,
    request: Option<IssueKey>,
    wrong: Option<Failed>,
}

/// The empty form, or one that a link filled in.
pub(in crate::page) async fn ask(call: &Call) -> Result<Reply, Stop> {
    let asked = asked(call).await?;
    screen(call, asked, None, StatusCode::OK).await
}

/// The notes for the form as it stands.
pub(in crate::page) async fn notes(call: &Call) -> Result<Reply, Stop> {
    let asked = asked(call).await?;
    let mut notes = match &asked.request {
        Some(request) => say(call, &asked, &call.manager.preview(request, &call.actor).await?),
        None => Notes::default(),
    };
    if let Some(wrong) = asked.wrong {
        let severity = Severity::Error.as_str();
        notes.notes.insert(0, Note { severity, sentence: wrong.text, remedy: None });
    }
    Ok(Screen::new("notes.html", call.say("create.notes"), &NotesView { notes }).part(true).into())
}

#[derive(Serialize)]
struct NotesView {
    notes: Notes,
}

/// Creates the key.
pub(in crate::page) async fn make(call: &Call) -> Result<Reply, Stop> {
    let mut asked = asked(call).await?;
    if let Some(wrong) = asked.wrong.take() {
        return screen(call, asked, Some(wrong), StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let key = call.fields.some("idempotency_key").ok_or(Stop::Malformed("idempotency_key"))?;
    let Some(request) = asked.request.take() else { return Err(Stop::Malformed("team")) };
    match call.manager.issue(request.idempotency_key(key), &call.actor).await {
        Ok(issued) => Ok(reveal(call, &issued, None).await),
        Err(error) if error.kind() == ManageErrorKind::IdempotencyKeyUsed => Ok(replayed(call, &error).await),
        Err(error) => {
            let (failed, status) = Failed::of(call, error)?;
            let again = self::asked(call).await?;
            screen(call, again, Some(failed), status).await
        }
    }
}

async fn asked(call: &Call) -> Result<Asked, Stop> {
    let fields = &call.fields;
    let kind = match fields.text("kind") {
        "team" => KeyKind::Team,
        "user" | "" => KeyKind::User,
        _ => return Err(Stop::Malformed("kind")),
    };
    let named = fields.some("team").map(TeamId::new).transpose();
    let teams = Teams::of(call, named.as_ref().ok().and_then(Option::as_ref)).await?;
    let mut wrong = None;
    let (owner, team) = match (kind, named) {
        (KeyKind::User, _) => (call.actor.user_id().cloned().map(Owner::User), None),
        (KeyKind::Team, Err(_)) => {
            wrong = Some(Failed::field(call, "team", "create.team_invalid"));
            (None, None)
        }
        (KeyKind::Team, Ok(Some(team))) => (Some(Owner::Team(team.clone())), Some(team)),
        (KeyKind::Team, Ok(None)) => {
            // Without a choice, the notes say why for a team of theirs.
            let first = teams.choices.first().map(|team| team.id().clone());
            let first = first.or_else(|| call.actor.teams().next().map(|team| team.id.clone()));
            if teams.choices.len() != 1 {
                wrong = Some(Failed::field(call, "team", "create.team_missing"));
            }
            (first.clone().map(Owner::Team), first)
        }
    };
    let request = owner.map(IssueKey::of);
    let request = match request {
        Some(request) => filled(call, request, &mut wrong)?,
        None if kind == KeyKind::User => return Err(Stop::NotFound),
        None => None,
    };
    Ok(Asked { kind, teams, team, request, wrong })
}

/// The request with what the form says besides its owner.
fn filled(call: &Call, request: IssueKey, wrong: &mut Option<Failed>) -> Result<Option<IssueKey>, Stop> {
    let fields = &call.fields;
    let mut request = request.named(fields.text("name"));
    // One of the two was a mistake, and only the person knows which.
    if fields.is("may", "all") && fields.some("scope").is_some() {
        *wrong = Some(Failed::field(call, "scopes", "create.scopes_unclear"));
    } else if let Some(scopes) = scopes(call)? {
        request = request.scopes(scopes);
    }
    match (fields.text("end"), fields.some("ends")) {
        ("never", Some(_)) => *wrong = Some(Failed::field(call, "ends", "create.ends_unclear")),
        (_, Some(text)) => match times::of_day(text) {
            Some(end) => request = request.expires_at(end),
            None => *wrong = Some(Failed::field(call, "ends", "create.ends_invalid")),
        },
        ("on", None) => *wrong = Some(Failed::field(call, "ends", "create.ends_invalid")),
        (_, None) => {}
    }
    if let Some(responsible) = fields.some("responsible") {
        request = request.responsible(responsible);
    }
    match networks(call) {
        Ok(Some(networks)) => request = request.networks(networks),
        Ok(None) => {}
        Err(failed) => *wrong = Some(failed),
    }
    for (label, field) in [(TICKET, "ticket"), (INSTALLED_IN, "installed_in")] {
        if let Some(value) = fields.some(field) {
            request = request.labelled(label, value);
        }
    }
    Ok(Some(request))
}

/// The scopes that are chosen; `None` for all.
pub(super) fn scopes(call: &Call) -> Result<Option<Scopes>, Stop> {
    let fields = &call.fields;
    let named: Vec<_> = fields.all("scope").filter(|scope| !scope.is_empty()).collect();
    if fields.is("may", "all") || (named.is_empty() && !fields.is("may", "only")) {
        return Ok(None);
    }
    let named = named.into_iter().map(|scope| Scope::new(scope).map_err(|_| Stop::Malformed("scope")));
    named.collect::<Result<Scopes, _>>().map(Some)
}

/// The networks that are typed, with blanks, commas or line ends between them; `None` for all.
pub(super) fn networks(call: &Call) -> Result<Option<Networks>, Failed> {
    let typed = call.fields.text("networks");
    let each = typed.split(|letter: char| letter.is_whitespace() || letter == ',').filter(|text| !text.is_empty());
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        return Ok(None);
    }
    let wrong = |sentence| Failed { field: Some("networks"), text: call.site.words().sentence(&sentence) };
    Networks::new(each).map(Some).map_err(|error| wrong(error.sentence()))
}

async fn screen(call: &Call, asked: Asked, failed: Option<Failed>, status: StatusCode) -> Result<Reply, Stop> {
    let fields = &call.fields;
    let preview = match &asked.request {
        Some(request) => Some(call.manager.preview(request, &call.actor).await?),
        None => None,
    };
    let words = call.site.words();
    // Without choices there is no other team, scope or end with another answer.
    let has_choice = call.actor.is_org_admin() || !asked.teams.choices.is_empty();
    let denial = match &preview {
        _ if has_choice => None,
        Some(Preview { decision: Decision::Deny(_), denial, .. }) => *denial,
        // In no team.
        None if asked.kind == KeyKind::Team && !fields.has("team") => {
            Some(call.manager.denial(DenialReason::InsufficientRole))
        }
        _ => None,
    };
    let refused = denial.map(|denial| {
        let both = [Some(denial.sentence()), denial.remedy()];
        both.iter().flatten().map(|sentence| words.sentence(sentence)).collect::<Vec<_>>().join(" ")
    });
    let notes = preview.map(|preview| say(call, &asked, &preview)).unwrap_or_default();
    let Asked { kind, teams, team, .. } = asked;
    let chosen: Vec<_> = fields.all("scope").collect();
    let scopes = call.manager.scopes().into_iter().flatten().map(|scope| Choice {
        value: scope.as_str().to_owned(),
        text: scope.as_str().to_owned(),
        chosen: chosen.contains(&scope.as_str()),
    });
    let (search, teams) = (teams.search.clone(), teams.list(team.as_ref()));
    let text = |name| fields.echo(name);
    let is_refused = refused.is_some();
    let ask = if is_refused { call.whom_to_ask(team.as_ref()).await } else { None };
    let view = CreateView {
        kind: kind.as_str(),
        team_typed: kind == KeyKind::Team && teams.is_empty() && search.is_none(),
        search,
        teams,
        team: team.map(|team| team.to_string()).unwrap_or_default(),
        name: text("name"),
        may_all: fields.is("may", "all") || chosen.is_empty() && !fields.is("may", "only"),
        scopes: scopes.collect(),
        ends_never: fields.some("ends").is_none() || fields.is("end", "never"),
        ends: text("ends"),
        responsible: text("responsible"),
        ticket: text("ticket"),
        installed_in: text("installed_in"),
        has_networks: call.manager.checks_networks(),
        networks: text("networks"),
        more: ["responsible", "ticket", "installed_in", "networks"].iter().any(|field| fields.some(field).is_some()),
        idempotency_key: attempt(call)?,
        notes,
        failed,
        refused,
        ask,
    };
    let title = call.say(&format!("create.title.{}", kind.as_str()));
    let status = if is_refused && status.is_success() { StatusCode::FORBIDDEN } else { status };
    Ok(Screen::new("create.html", title, &view).with_status(status).into())
}

fn say(call: &Call, asked: &Asked, preview: &Preview) -> Notes {
    let words = call.site.words();
    let mut sorted: Vec<_> = preview.notes.iter().collect();
    sorted.sort_by_key(|note| note.severity);
    let notes = sorted
        .into_iter()
        .map(|note| Note {
            severity: note.severity.as_str(),
            sentence: words.sentence(&note.sentence),
            remedy: note.remedy.as_ref().map(|remedy| words.sentence(remedy)),
        })
        .collect();
    let offers_team = preview.has(NoteKind::ShouldBeTeamKey) && !asked.teams.choices.is_empty();
    let as_team_key =
        offers_team.then(|| call.at(&format!("/new?kind=team&name={}", in_query(&call.fields.echo("name")))));
    Notes { name_advice: preview.name.map(|advice| words.sentence(&advice.sentence())), notes, as_team_key }
}

/// A text that names one attempt: the same if the form was sent and is shown again, so that no second key is made; a
/// random one for a new form, whatever a link says.
pub(super) fn attempt(call: &Call) -> Result<String, Stop> {
    let sent = call.fields.text("idempotency_key");
    if call.is_post && (1..=64).contains(&sent.len()) && sent.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(sent.to_owned());
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Stop::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Labels with these values of the two that forms know; an empty value takes one away.
pub(super) fn labels(known: &Labels, call: &Call) -> Result<Labels, Failed> {
    let mut pairs: Vec<(String, String)> =
        known.iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    for (label, field) in [(TICKET, "ticket"), (INSTALLED_IN, "installed_in")] {
        pairs.retain(|(name, _)| name != label);
        if let Some(value) = call.fields.some(field) {
            pairs.push((label.to_owned(), value.to_owned()));
        }
    }
    Labels::new(pairs)
        .map_err(|error| Failed { field: Some("labels"), text: call.site.words().sentence(&error.sentence()) })
}
