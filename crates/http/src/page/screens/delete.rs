use std::{cmp::Reverse, time::Duration};

use http::StatusCode;
use serde::Serialize;
use tower_api_keys::{
    Timestamp,
    manage::{KeyAction, KeyInfo, RevokeKey},
};

use super::failed::Failed;
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, key_id},
    times::When,
    views::{Button, Counted, KeyView, buttons, source_name},
};

/// A key that was used within this time is deleted only by its name.
const LATELY: Duration = Duration::from_secs(30 * 86_400);

#[derive(Serialize)]
struct DeleteView {
    key: KeyView,
    button: Button,
    rotate: bool,
    in_use: InUse,
    because: String,
    /// How soon it is refused everywhere.
    effect: String,
    failed: Option<Failed>,
}

/// Who would notice.
#[derive(Default, Serialize)]
pub(super) struct InUse {
    /// Whether this caller may see it.
    pub(super) known: bool,
    pub(super) sources: Vec<SourceView>,
    /// When it was last accepted.
    pub(super) last: Option<When>,
    /// Whether that is so recent that the name has to be typed.
    pub(super) lately: bool,
    /// What has to be typed.
    pub(super) confirm: String,
    pub(super) counted: Counted,
}

#[derive(Debug, Serialize)]
pub(super) struct SourceView {
    pub(super) source: String,
    pub(super) count: i64,
    pub(super) last: When,
    pub(super) lately: bool,
}

/// Asks before a key is deleted.
pub(in crate::page) async fn ask(call: &Call, id: &str) -> Result<Reply, Stop> {
    let key = call.manager.find(&key_id(id)?, &call.actor).await?;
    screen(call, &key, None, StatusCode::OK).await
}

/// Deletes it, if the form was made for this version of it.
pub(in crate::page) async fn delete(call: &Call, id: &str) -> Result<Reply, Stop> {
    let version = call.fields.version()?;
    let key = call.manager.find(&key_id(id)?, &call.actor).await?;
    let in_use = in_use(call, &key).await?;
    if in_use.lately && call.fields.text("confirm") != in_use.confirm {
        let failed = Failed::field(call, "confirm", "confirm.differs");
        return screen(call, &key, Some(failed), StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let mut request = RevokeKey::of(key.id).expecting(version);
    if let Some(reason) = call.fields.some("because") {
        request = request.because(reason);
    }
    match call.manager.revoke(request, &call.actor).await {
        Ok(_) => Ok(Reply::See("/".to_owned())),
        Err(error) => {
            let (failed, status) = Failed::of(call, error)?;
            let key = call.manager.find(&key.id, &call.actor).await?;
            screen(call, &key, Some(failed), status).await
        }
    }
}

async fn screen(call: &Call, key: &KeyInfo, failed: Option<Failed>, status: StatusCode) -> Result<Reply, Stop> {
    let names = call.manager.names_of([key]).await;
    let abilities = call.manager.abilities(key, &call.actor)?;
    let view = DeleteView {
        key: KeyView::of(call, key, &names),
        button: Button::of(call, "delete", &abilities, KeyAction::Revoke).with_contacts(call, &key.owner).await,
        rotate: buttons(call, key, &abilities).iter().any(|button| button.id == "rotate" && button.allowed),
        in_use: in_use(call, key).await?,
        because: call.fields.echo("because"),
        effect: call.effect(),
        failed,
    };
    let title = call.site.words().say("delete.title", &[("name", view.key.shown.clone())]);
    Ok(Screen::new("delete.html", title, &view).with_status(status).into())
}

/// What still calls with a key, as far as the caller may see it.
pub(super) async fn in_use(call: &Call, key: &KeyInfo) -> Result<InUse, Stop> {
    let confirm = if key.name.as_str().is_empty() { key.id.to_string() } else { key.name.as_str().trim().to_owned() };
    // Asked first: a denied attempt would be recorded.
    if !call.manager.abilities(key, &call.actor)?.allows(KeyAction::SeeUsage) {
        return Ok(InUse { confirm, ..InUse::default() });
    }
    let usage = call.manager.usage(&key.id, 0, &call.actor).await?;
    let now = usage.asked_at;
    let is_lately = |at: Timestamp| at.saturating_add(LATELY) > now;
    let mut counts: Vec<_> = usage.detail.successes().collect();
    counts.sort_by_key(|count| Reverse(count.last_at));
    let last = counts.first().map(|count| count.last_at);
    let sources = counts.iter().map(|count| SourceView {
        source: source_name(call, &count.source),
        count: count.count,
        last: When::ago(count.last_at, now, call.site.words()),
        lately: is_lately(count.last_at),
    });
    Ok(InUse {
        known: true,
        sources: sources.collect(),
        last: last.map(|at| When::ago(at, now, call.site.words())),
        lately: last.is_some_and(is_lately),
        confirm,
        counted: Counted::of(&usage.counted, call.site.words()),
    })
}
