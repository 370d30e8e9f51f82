use http::StatusCode;
use serde::Serialize;
use tower_api_keys::manage::{KeyAction, KeyInfo, PauseKey, ResumeKey};

use super::{
    delete::{InUse, in_use},
    failed::Failed,
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, key_id},
    views::{Button, KeyView},
};

#[derive(Serialize)]
struct PauseView {
    key: KeyView,
    pauses: bool,
    button: Button,
    in_use: InUse,
    because: String,
    /// How soon it is refused everywhere.
    effect: String,
    failed: Option<Failed>,
}

/// Asks before a key is paused or resumed.
pub(in crate::page) async fn ask(call: &Call, id: &str, pauses: bool) -> Result<Reply, Stop> {
    let key = call.manager.find(&key_id(id)?, &call.actor).await?;
    screen(call, &key, pauses, None, StatusCode::OK).await
}

/// Pauses or resumes it.
pub(in crate::page) async fn change(call: &Call, id: &str, pauses: bool) -> Result<Reply, Stop> {
    let (id, version) = (key_id(id)?, call.fields.version()?);
    let because = call.fields.text("because");
    let changed = if pauses {
        call.manager.pause(PauseKey::of(id).because(because).expecting(version), &call.actor).await
    } else {
        call.manager.resume(ResumeKey::of(id).because(because).expecting(version), &call.actor).await
    };
    match changed {
        Ok(_) => Ok(Reply::See(format!("/keys/{id}"))),
        Err(error) => {
            let (failed, status) = Failed::of(call, error)?;
            let key = call.manager.find(&id, &call.actor).await?;
            screen(call, &key, pauses, Some(failed), status).await
        }
    }
}

async fn screen(
    call: &Call,
    key: &KeyInfo,
    pauses: bool,
    failed: Option<Failed>,
    status: StatusCode,
) -> Result<Reply, Stop> {
    let names = call.manager.names_of([key]).await;
    let abilities = call.manager.abilities(key, &call.actor)?;
    let (id, action) = if pauses { ("pause", KeyAction::Pause) } else { ("resume", KeyAction::Resume) };
    let view = PauseView {
        key: KeyView::of(call, key, &names),
        pauses,
        button: Button::of(call, id, &abilities, action).with_contacts(call, &key.owner).await,
        in_use: in_use(call, key).await?,
        because: call.fields.echo("because"),
        effect: call.effect(),
        failed,
    };
    let title = call.site.words().say(&format!("{id}.title"), &[("name", view.key.shown.clone())]);
    Ok(Screen::new("pause.html", title, &view).with_status(status).into())
}
