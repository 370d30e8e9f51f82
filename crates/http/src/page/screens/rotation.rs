use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use tower_api_keys::{
    manage::{EndRotation, KeyAction, Rotation, RotationStage, RotationVerdict},
    usage::{Source, UsageCount},
};

use super::failed::Failed;
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, key_id},
    times::When,
    views::{Button, Counted, KeyView, Person, source_name},
};

#[derive(Serialize)]
struct RotationView {
    old: KeyView,
    new: KeyView,
    /// Where this screen and its forms are.
    at: String,
    begun: When,
    under_way: bool,
    stage: &'static str,
    stage_sentence: String,
    ended: Option<When>,
    ended_by: Option<Person>,
    ends: Option<When>,
    /// The step that is next, 2 to 4; 5 when it is over.
    step: u8,
    verdict: &'static str,
    verdict_sentence: String,
    safe: bool,
    quiet: bool,
    sources: Vec<SourceRow>,
    unnamed: bool,
    refusals: Vec<Refusal>,
    counted: Counted,
    button: Button,
    /// The version of the new key, which the forms name.
    version: i64,
    confirm: String,
    /// Whether the new key was used: whatever calls with it would be refused.
    new_is_used: bool,
    /// How soon the old key is refused everywhere.
    effect: String,
    failed: Option<Failed>,
}

#[derive(Serialize)]
struct SourceRow {
    source: String,
    old: Option<Calls>,
    new: Option<Calls>,
    moved: bool,
}

#[derive(Serialize)]
struct Calls {
    count: i64,
    last: When,
}

#[derive(Serialize)]
struct Refusal {
    count: i64,
    source: String,
    meaning: String,
}

/// The steps, with what still calls with the old key.
pub(in crate::page) async fn show(call: &Call, id: &str) -> Result<Reply, Stop> {
    screen(call, id, None, StatusCode::OK).await
}

/// Finishes a rotation, or gives it up.
pub(in crate::page) async fn end(call: &Call, id: &str) -> Result<Reply, Stop> {
    let key = key_id(id)?;
    let request = EndRotation::of(key).expecting(call.fields.version()?);
    let ended = match call.fields.text("do") {
        "finish" => call.manager.finish_rotation(request, &call.actor).await,
        how @ ("finish_anyway" | "abort") => {
            let rotation = call.manager.rotation(&key, &call.actor).await?;
            let (field, is_asked) =
                if how == "abort" { ("confirm_abort", is_used(&rotation)) } else { ("confirm", true) };
            if is_asked && call.fields.text(field) != confirm(&rotation.old) {
                let failed = Failed::field(call, field, "confirm.differs");
                return screen(call, id, Some(failed), StatusCode::UNPROCESSABLE_ENTITY).await;
            }
            if how == "abort" {
                call.manager.abort_rotation(request, &call.actor).await
            } else {
                call.manager.finish_rotation_anyway(request, &call.actor).await
            }
        }
        _ => return Err(Stop::Malformed("do")),
    };
    match ended {
        Ok(_) => Ok(Reply::See(format!("/keys/{key}/rotation"))),
        Err(error) => {
            let (failed, status) = Failed::of(call, error)?;
            screen(call, id, Some(failed), status).await
        }
    }
}

/// Whether the new key was accepted somewhere.
fn is_used(rotation: &Rotation) -> bool {
    rotation.on_new.successes().next().is_some()
}

/// What has to be typed to end a key that is in use: the old one, or the new one, which has the same name.
fn confirm(old: &tower_api_keys::manage::KeyInfo) -> String {
    if old.name.as_str().is_empty() { old.id.to_string() } else { old.name.as_str().trim().to_owned() }
}

async fn screen(call: &Call, id: &str, failed: Option<Failed>, status: StatusCode) -> Result<Reply, Stop> {
    let key = key_id(id)?;
    let rotation = call.manager.rotation(&key, &call.actor).await?;
    let words = call.site.words();
    let abilities = call.manager.abilities(&rotation.old, &call.actor)?;
    let under_way = rotation.stage == RotationStage::UnderWay;
    let step = match rotation.verdict {
        _ if !under_way => 5,
        RotationVerdict::SafeToFinish => 4,
        RotationVerdict::NotStarted | RotationVerdict::NewKeyPaused => 2,
        _ => 3,
    };
    let sources = sources(call, &rotation);
    let refusals = rotation.on_new.refusals().map(|count| Refusal {
        count: count.count,
        source: source_name(call, &count.source),
        meaning: words.sentence(&count.outcome.sentence()),
    });
    let view = RotationView {
        old: KeyView::of(call, &rotation.old, &rotation.names),
        new: KeyView::of(call, &rotation.new, &rotation.names),
        // A key can be the old one of this rotation and the new one of another: the new key names only this one.
        at: call.at(&format!("/keys/{}/rotation", rotation.new.id)),
        begun: When::minute(rotation.begun_at, words),
        under_way,
        stage: rotation.stage.as_str(),
        stage_sentence: words.sentence(&rotation.stage_sentence),
        ended: rotation.ended_at.map(|at| When::minute(at, words)),
        ended_by: rotation.ended_by.as_ref().map(|by| Person::of(call, by, &rotation.names)),
        ends: rotation.ends_at.map(|at| When::minute(at, words)),
        step,
        verdict: rotation.verdict.as_str(),
        verdict_sentence: words.sentence(&rotation.verdict.sentence()),
        safe: rotation.verdict == RotationVerdict::SafeToFinish,
        quiet: matches!(rotation.verdict, RotationVerdict::QuietSince(_)),
        unnamed: rotation.on_old.successes().any(|count| count.source.is_empty()),
        sources,
        refusals: refusals.collect(),
        counted: Counted::of(&rotation.counted, words),
        button: Button::of(call, "rotate", &abilities, KeyAction::Rotate)
            .with_contacts(call, &rotation.old.owner)
            .await,
        version: rotation.new.version,
        confirm: confirm(&rotation.old),
        new_is_used: is_used(&rotation),
        effect: call.effect(),
        failed,
    };
    let is_part = call.fields.is("part", "evidence");
    let template = if is_part { "evidence.html" } else { "rotation.html" };
    let title = words.say("rotation.title", &[("name", view.old.shown.clone())]);
    Ok(Screen::new(template, title, &view).with_status(status).part(is_part).into())
}

/// Each source once, with its calls with both keys.
fn sources(call: &Call, rotation: &Rotation) -> Vec<SourceRow> {
    let mut rows: BTreeMap<&Source, (Option<&UsageCount>, Option<&UsageCount>)> = BTreeMap::new();
    for count in rotation.on_old.successes() {
        rows.entry(&count.source).or_default().0 = Some(count);
    }
    for count in rotation.on_new.successes() {
        rows.entry(&count.source).or_default().1 = Some(count);
    }
    let calls = |count: &UsageCount| Calls {
        count: count.count,
        last: When::ago(count.last_at, rotation.asked_at, call.site.words()),
    };
    let row = |(source, (old, new)): (&Source, (Option<&UsageCount>, Option<&UsageCount>))| SourceRow {
        source: source_name(call, source),
        old: old.map(calls),
        new: new.map(calls),
        // As the verdict sees it.
        moved: new.is_some() && !rotation.still_on_old.iter().any(|count| count.source == *source),
    };
    rows.into_iter().map(row).collect()
}
