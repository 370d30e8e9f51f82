use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use tower_api_keys::{
    manage::{
        KeyAction, KeyMatch, KeyMatches, LeakReport, ManageError, ManageErrorKind, MatchConfidence, Names,
        PresentedOutcome,
    },
    usage::Source,
};

use crate::page::{
    answer::{Reply, Screen, Stop},
    request::Call,
    times::When,
    views::{Button, KeyView, Person, buttons, plain, source_name},
};

/// How a key is stopped.
#[derive(Clone, Copy)]
enum Stopping {
    Pause,
    Revoke,
}

/// The longest text that is searched, in bytes.
const LONGEST: usize = 64 * 1_024;

#[derive(Default, Serialize)]
struct LeakView {
    /// Whether a text was searched.
    looked: bool,
    /// What happened to the whole keys in the text, if they were to be stopped.
    stopped: Vec<StoppedView>,
    /// When a stopped key is refused everywhere.
    effective: Option<String>,
    sentences: Vec<String>,
    matches: Vec<MatchView>,
    report: Option<ReportView>,
    unreadable: u64,
    failed: Option<String>,
}

/// A key whose whole text was in the text.
#[derive(Serialize)]
struct StoppedView {
    /// How it begins. The person who sent it has all of it.
    short: String,
    sentence: String,
    done: bool,
}

#[derive(Serialize)]
struct MatchView {
    key: KeyView,
    /// Who is to be told, besides the owner.
    responsible: Option<String>,
    evidence: String,
    /// Whether the whole key may be in the text.
    urgent: bool,
    buttons: Vec<Button>,
}

#[derive(Serialize)]
struct ReportView {
    sentences: Vec<String>,
    sources: Vec<SourceUse>,
    made: Vec<KeyView>,
    changes: Vec<ChangeView>,
}

#[derive(Serialize)]
struct SourceUse {
    source: String,
    accepted: i64,
    refused: i64,
    last: When,
    new: bool,
}

#[derive(Serialize)]
struct ChangeView {
    at: When,
    by: Person,
    action: String,
}

/// The box to paste into.
pub(in crate::page) fn ask(call: &Call) -> Result<Reply, Stop> {
    Ok(Screen::new("leak.html", call.say("leak.title"), &LeakView::default()).into())
}

/// Which keys a text is about, after the whole keys in it were stopped, if that was asked for. Nothing of the text is
/// in the answer, besides the public beginning of those keys.
pub(in crate::page) async fn look(call: &Call) -> Result<Reply, Stop> {
    let text = call.fields.raw("text");
    let how = match call.fields.text("do") {
        "" | "look" => None,
        "pause" => Some(Stopping::Pause),
        "revoke" => Some(Stopping::Revoke),
        _ => return Err(Stop::Malformed("do")),
    };
    let mut view = LeakView { looked: true, ..LeakView::default() };
    if let Some(how) = how.filter(|_| text.len() <= LONGEST) {
        view.stopped = stop(call, text, how).await?;
        view.effective = view.stopped.iter().any(|key| key.done).then(|| call.effect());
        if view.stopped.is_empty() {
            view.failed = Some(call.say("leak.no_whole_key"));
        }
    }
    let status = match call.manager.identify(text, &call.actor).await {
        Ok(found) => add(call, &mut view, &found).await?,
        Err(error) => failed(call, &mut view, error)?,
    };
    Ok(Screen::new("leak.html", call.say("leak.title"), &view).with_status(status).into())
}

/// Stops every whole key in a text. Any caller may: the text is the permission.
async fn stop(call: &Call, text: &str, how: Stopping) -> Result<Vec<StoppedView>, Stop> {
    let format = call.manager.format();
    let whole = format.find_in(text.as_bytes()).filter(|found| found.is_whole);
    let known: BTreeMap<&str, String> = whole
        .filter_map(|found| Some((text.get(found.at)?, format!("{}{}.…", format.prefix(found.kind), found.id))))
        .collect();
    let texts: Vec<&str> = known.keys().copied().collect();
    // The constant is a valid label; without a source, the event says only who it was.
    let actor = call.actor.clone().with_source(Source::new("settings-page").unwrap_or_default());
    let answers = match how {
        Stopping::Pause => call.manager.pause_presented(&texts, &actor).await?,
        Stopping::Revoke => call.manager.revoke_presented(&texts, &actor).await?,
    };
    let stopped = known.into_values().zip(answers).map(|(short, answer)| {
        let words = call.site.words();
        match answer.outcome {
            // The text proves that the caller could use the key, so it may know what became of it.
            PresentedOutcome::AlreadyPaused
            | PresentedOutcome::AlreadyRevoked
            | PresentedOutcome::Paused
            | PresentedOutcome::Revoked => {
                StoppedView { short, sentence: words.sentence(&answer.outcome_sentence), done: true }
            }
            PresentedOutcome::TryAgain | PresentedOutcome::Unreadable => {
                StoppedView { short, sentence: call.say("leak.not_checked"), done: false }
            }
            // One sentence for all of these: nobody learns here which ids there are.
            _ => StoppedView { short, sentence: call.say("leak.no_key"), done: false },
        }
    });
    Ok(stopped.collect())
}

async fn add(call: &Call, view: &mut LeakView, found: &KeyMatches) -> Result<StatusCode, Stop> {
    let words = call.site.words();
    let is_about_others = found.keys.is_empty() && !view.stopped.is_empty();
    if !is_about_others {
        view.sentences = found.sentences().iter().map(|sentence| words.sentence(sentence)).collect();
    }
    let matches = found.keys.iter().map(|found_key| matched(call, found_key, &found.names));
    view.matches = matches.collect::<Result<_, _>>()?;
    view.unreadable = found.unreadable;
    view.report = match found.keys.first() {
        Some(surest) => report(call, surest).await?,
        None => None,
    };
    Ok(if view.failed.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK })
}

/// A text that cannot be searched, or a caller that may not search. What was stopped is told all the same.
fn failed(call: &Call, view: &mut LeakView, error: ManageError) -> Result<StatusCode, Stop> {
    match error.kind() {
        ManageErrorKind::Invalid(_) => {
            view.failed = Some(call.site.words().sentence(&error.sentence()));
            Ok(StatusCode::UNPROCESSABLE_ENTITY)
        }
        _ if !view.stopped.is_empty() => Ok(StatusCode::OK),
        _ => Err(error.into()),
    }
}

fn matched(call: &Call, found: &KeyMatch, names: &Names) -> Result<MatchView, Stop> {
    let abilities = call.manager.abilities(&found.key, &call.actor)?;
    Ok(MatchView {
        key: KeyView::of(call, &found.key, names),
        responsible: found.key.responsible.as_ref().map(ToString::to_string),
        evidence: call.site.words().sentence(&found.evidence_sentence),
        urgent: found.evidence <= MatchConfidence::IdAndSecret,
        buttons: buttons(call, &found.key, &abilities),
    })
}

/// What was done with the surest key, if the caller may see that.
async fn report(call: &Call, surest: &KeyMatch) -> Result<Option<ReportView>, Stop> {
    // Asked first: a denied attempt would be recorded.
    if !call.manager.abilities(&surest.key, &call.actor)?.allows(KeyAction::SeeUsage) {
        return Ok(None);
    }
    let report = call.manager.leak_report(&surest.key.id, surest.key.created_at, &call.actor).await?;
    let words = call.site.words();
    let LeakReport { sources, made, changes, names, .. } = &report;
    let sources = sources.iter().map(|used| SourceUse {
        source: source_name(call, &used.source),
        accepted: used.accepted,
        refused: used.refused,
        last: When::minute(used.last_at, words),
        new: used.is_new,
    });
    let changes = changes.iter().map(|event| ChangeView {
        at: When::minute(event.at, words),
        by: Person::of(call, &event.actor, names),
        action: plain(event.action.as_str()),
    });
    Ok(Some(ReportView {
        sentences: report.sentences().iter().map(|sentence| words.sentence(sentence)).collect(),
        sources: sources.collect(),
        made: made.iter().map(|key| KeyView::of(call, key, names)).collect(),
        changes: changes.collect(),
    }))
}
