use std::cmp::Reverse;

use serde::Serialize;
use tower_api_keys::{
    Owner,
    manage::{AuditQuery, InventoryQuery, KeyAction, KeyInfo, KeyState, ListKeys},
};

use super::{
    delete::SourceView,
    flagged::{Flag, flags},
    refusals::{RefusalsView, latest},
    trail::{Line, lines},
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, key_id},
    times::When,
    views::{Button, Counted, KeyView, Person, buttons, is_rotating, notice, plain, source_name},
};

/// How many days the chart has.
const DAYS: u16 = 30;
/// How many changes are shown.
const LINES: u16 = 20;
/// How many refusals without a key are shown.
const REFUSALS: usize = 3;
/// The height of the chart, and the width of a bar with its gap.
const HEIGHT: i64 = 80;
const STEP: usize = 10;

#[derive(Serialize)]
struct KeyPageView {
    key: KeyView,
    organization: String,
    responsible: Option<String>,
    labels: Vec<(String, String)>,
    scopes: String,
    networks: Option<String>,
    replaces: Option<String>,
    successor: Option<String>,
    rotating: bool,
    revoked: Option<Ended>,
    paused: Option<Ended>,
    buttons: Vec<Button>,
    /// Whom to ask, if some of these do not work.
    ask: Option<String>,
    /// Why all keys of this owner are refused.
    notice: Option<String>,
    upgrade: Option<String>,
    flags: Vec<Flag>,
    advice: Option<String>,
    usage: Option<UsageView>,
    explanation: Option<ExplanationView>,
    /// Requests that showed no key which is known: perhaps this one, cut off.
    refusals: Option<RefusalsView>,
    trail: Option<Vec<Line>>,
}

#[derive(Serialize)]
struct Ended {
    at: When,
    by: Option<Person>,
}

#[derive(Serialize)]
struct UsageView {
    accepted: i64,
    refused: i64,
    sources: Vec<SourceView>,
    bars: Vec<Bar>,
    width: usize,
    height: i64,
    /// The largest day.
    most: i64,
    total: i64,
    counted: Counted,
    /// The same for the days, which are written less often.
    days_until: Option<When>,
}

/// A day of the chart: what was accepted at the bottom, what was refused on it.
#[derive(Serialize)]
struct Bar {
    day: String,
    accepted: i64,
    refused: i64,
    x: usize,
    ok_y: i64,
    ok_height: i64,
    bad_y: i64,
    bad_height: i64,
}

#[derive(Serialize)]
struct ExplanationView {
    accepted: bool,
    verdict: String,
    history: String,
    notes: Vec<String>,
    checks: Vec<CheckView>,
    outcomes: Vec<OutcomeView>,
}

#[derive(Serialize)]
struct CheckView {
    result: &'static str,
    result_text: String,
    sentence: String,
    remedy: Option<String>,
}

#[derive(Serialize)]
struct OutcomeView {
    outcome: String,
    meaning: String,
    count: i64,
    last: When,
    sources: String,
}

/// All about one key.
pub(in crate::page) async fn show(call: &Call, id: &str) -> Result<Reply, Stop> {
    let words = call.site.words();
    let key = call.manager.find(&key_id(id)?, &call.actor).await?;
    let names = call.manager.names_of([&key]).await;
    let abilities = call.manager.abilities(&key, &call.actor)?;
    let mut shown = buttons(call, &key, &abilities);
    if !shown.is_empty() {
        shown.insert(0, Button::of(call, "edit", &abilities, KeyAction::Rename));
        if key.paused_at.is_none() {
            shown.push(Button::of(call, "pause", &abilities, KeyAction::Pause));
        }
    }
    let ask = match &key.owner {
        Owner::Team(team) if shown.iter().any(|button| !button.allowed) => call.whom_to_ask(Some(team)).await,
        _ => None,
    };
    let sees_usage = abilities.allows(KeyAction::SeeUsage);
    let (usage, explanation) = if sees_usage {
        let explanation = explanation(call, &key.id).await?;
        (Some(usage(call, &key.id, explanation.1).await?), Some(explanation.0))
    } else {
        (None, None)
    };
    let is_live = !matches!(key.state, KeyState::Revoked | KeyState::Expired);
    let (flags, advice) = if sees_usage { attention(call, &key).await? } else { (Vec::new(), None) };
    let advice = advice.filter(|_| is_live);
    let trail = if abilities.allows(KeyAction::Audit) {
        let page = call.manager.events(AuditQuery::all().of_key(key.id).limit(LINES), &call.actor).await?;
        Some(lines(call, &page.entries, &page.names))
    } else {
        None
    };
    let ended = |at: Option<_>, by: &Option<_>| {
        at.map(|at| Ended { at: When::minute(at, words), by: by.as_ref().map(|by| Person::of(call, by, &names)) })
    };
    let refusals = if sees_usage { latest(call, REFUSALS).await? } else { None };
    let (notice, upgrade) = notice(call, key.kind.as_str(), &key.owner_status);
    let view = KeyPageView {
        organization: key.organization.to_string(),
        responsible: key.responsible.as_ref().map(ToString::to_string),
        labels: key.labels.iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect(),
        scopes: if key.scopes.is_all() && key.scopes.named().next().is_none() {
            call.say("key.all_scopes")
        } else {
            key.scopes.to_string()
        },
        networks: key.networks.as_ref().map(ToString::to_string),
        replaces: key.replaces.map(|id| id.to_string()),
        successor: key.successor.map(|id| id.to_string()),
        rotating: is_rotating(&key),
        revoked: ended(key.revoked_at, &key.revoked_by),
        paused: ended(key.paused_at, &key.paused_by),
        buttons: shown,
        ask,
        notice,
        upgrade,
        flags,
        advice,
        usage,
        explanation,
        refusals,
        trail,
        key: KeyView::of(call, &key, &names),
    };
    Ok(Screen::new("key.html", view.key.shown.clone(), &view).into())
}

/// The flags of a key, and whether it should be of the other kind.
async fn attention(call: &Call, key: &KeyInfo) -> Result<(Vec<Flag>, Option<String>), Stop> {
    let abilities = call.manager.abilities(key, &call.actor)?;
    let query = InventoryQuery::matching(ListKeys::of(key.owner.clone()).lineage(key.lineage)).limit(100);
    let page = call.manager.inventory(query, &call.actor).await?;
    let Some(entry) = page.entries.iter().find(|entry| entry.key.id == key.id) else { return Ok((Vec::new(), None)) };
    let advice = entry.advice();
    let words = call.site.words();
    let advice =
        format!("{} {}", words.sentence(&advice.recommendation_sentence), words.sentence(&advice.next_sentence));
    Ok((flags(call, entry, &|action| abilities.allows(action)), Some(advice)))
}

async fn explanation(
    call: &Call,
    id: &tower_api_keys::KeyId,
) -> Result<(ExplanationView, tower_api_keys::Timestamp), Stop> {
    let words = call.site.words();
    let said = call.manager.explain(id, &call.actor).await?;
    let checks = said.checks.iter().map(|check| CheckView {
        result: check.result.as_str(),
        result_text: plain(check.result.as_str()),
        sentence: words.sentence(&check.sentence),
        remedy: check.remedy.as_ref().map(|remedy| words.sentence(remedy)),
    });
    let outcomes = said.seen.iter().map(|seen| OutcomeView {
        outcome: plain(&seen.outcome.word()),
        meaning: words.sentence(&seen.meaning),
        count: seen.count,
        last: When::ago(seen.last_at, said.asked_at, words),
        sources: seen.sources.iter().map(|source| source_name(call, source)).collect::<Vec<_>>().join(", "),
    });
    let view = ExplanationView {
        accepted: said.verdict.code().is_none(),
        verdict: words.sentence(&said.verdict_sentence),
        history: words.sentence(&said.call_history_sentence),
        notes: said.notes.iter().map(|note| words.sentence(note)).collect(),
        checks: checks.collect(),
        outcomes: outcomes.collect(),
    };
    Ok((view, said.asked_at))
}

async fn usage(call: &Call, id: &tower_api_keys::KeyId, now: tower_api_keys::Timestamp) -> Result<UsageView, Stop> {
    let words = call.site.words();
    let usage = call.manager.usage(id, DAYS, &call.actor).await?;
    let most = usage.days.iter().map(|day| day.successes.saturating_add(day.failures)).max().unwrap_or(0);
    let height = |count: i64| if most == 0 { 0 } else { count.saturating_mul(HEIGHT) / most };
    let bars: Vec<_> = usage
        .days
        .iter()
        .enumerate()
        .map(|(index, day)| {
            let (ok, bad) = (height(day.successes), height(day.failures));
            Bar {
                day: day.day.to_string(),
                accepted: day.successes,
                refused: day.failures,
                x: index * STEP,
                ok_y: HEIGHT - ok,
                ok_height: ok,
                bad_y: HEIGHT - ok - bad,
                bad_height: bad,
            }
        })
        .collect();
    let mut counts: Vec<_> = usage.detail.successes().collect();
    counts.sort_by_key(|count| Reverse(count.last_at));
    let sources = counts.iter().map(|count| SourceView {
        source: source_name(call, &count.source),
        count: count.count,
        last: When::ago(count.last_at, now, words),
        lately: false,
    });
    Ok(UsageView {
        accepted: usage.totals.successes,
        refused: usage.totals.failures,
        sources: sources.collect(),
        width: bars.len() * STEP,
        total: bars.iter().map(|bar| bar.accepted.saturating_add(bar.refused)).fold(0, i64::saturating_add),
        bars,
        height: HEIGHT,
        most,
        counted: Counted::of(&usage.counted, words),
        days_until: usage.counted.days_until.map(|until| When::minute(until, words)),
    })
}
