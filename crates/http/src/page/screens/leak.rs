use http::StatusCode;
use serde::Serialize;
use tower_api_keys::manage::{KeyMatch, LeakReport, ManageErrorKind, MatchConfidence, Names};

use crate::page::{
    answer::{Reply, Screen, Stop},
    request::Call,
    times::When,
    views::{Button, KeyView, Person, buttons, plain, source_name},
};

#[derive(Default, Serialize)]
struct LeakView {
    /// Whether a text was searched.
    looked: bool,
    sentences: Vec<String>,
    matches: Vec<MatchView>,
    report: Option<ReportView>,
    unreadable: u64,
    failed: Option<String>,
}

#[derive(Serialize)]
struct MatchView {
    key: KeyView,
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

/// Which keys a text is about. Nothing of the text is in the answer.
pub(in crate::page) async fn look(call: &Call) -> Result<Reply, Stop> {
    let words = call.site.words();
    let found = match call.manager.identify(call.fields.raw("text"), &call.actor).await {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ManageErrorKind::Invalid(_)) => {
            let view = LeakView { failed: Some(words.sentence(&error.sentence())), ..LeakView::default() };
            let screen = Screen::new("leak.html", call.say("leak.title"), &view);
            return Ok(screen.with_status(StatusCode::UNPROCESSABLE_ENTITY).into());
        }
        Err(error) => return Err(error.into()),
    };
    let report = match found.keys.first() {
        Some(surest) => report(call, surest).await?,
        None => None,
    };
    let matches = found.keys.iter().map(|found_key| matched(call, found_key, &found.names));
    let view = LeakView {
        looked: true,
        sentences: found.sentences().iter().map(|sentence| words.sentence(sentence)).collect(),
        matches: matches.collect::<Result<_, _>>()?,
        report,
        unreadable: found.unreadable,
        failed: None,
    };
    Ok(Screen::new("leak.html", call.say("leak.title"), &view).into())
}

fn matched(call: &Call, found: &KeyMatch, names: &Names) -> Result<MatchView, Stop> {
    let abilities = call.manager.abilities(&found.key, &call.actor)?;
    Ok(MatchView {
        key: KeyView::of(call, &found.key, names),
        evidence: call.site.words().sentence(&found.evidence_sentence),
        urgent: found.evidence <= MatchConfidence::IdAndSecret,
        buttons: buttons(call, &found.key, &abilities),
    })
}

/// What was done with the surest key, if the caller may see that.
async fn report(call: &Call, surest: &KeyMatch) -> Result<Option<ReportView>, Stop> {
    let report = match call.manager.leak_report(&surest.key.id, surest.key.created_at, &call.actor).await {
        Ok(report) => report,
        Err(error) if matches!(error.kind(), ManageErrorKind::Denied(_) | ManageErrorKind::NotFound) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
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
