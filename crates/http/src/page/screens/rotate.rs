use http::StatusCode;
use serde::Serialize;
use tower_api_keys::{
    Owner, TeamId,
    manage::{KeyInfo, ManageErrorKind, RotateKey},
};

use super::{
    create::{Choice, attempt},
    failed::Failed,
    reveal::{replayed, reveal},
    teams::{TeamSearch, Teams},
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, key_id},
    times,
    views::{Button, KeyView, rotate_button},
};

#[derive(Serialize)]
struct RotateView {
    key: KeyView,
    button: Button,
    name: String,
    /// The teams that a personal key can be moved to.
    teams: Vec<Choice>,
    search: Option<TeamSearch>,
    ends: String,
    /// When the old key would end by itself, and what the new one gets.
    expires: String,
    new_end: &'static str,
    new_ends: String,
    idempotency_key: String,
    failed: Option<Failed>,
}

/// The form: what the new key is, and when the old one ends.
pub(in crate::page) async fn ask(call: &Call, id: &str) -> Result<Reply, Stop> {
    let key = call.manager.find(&key_id(id)?, &call.actor).await?;
    screen(call, &key, None, StatusCode::OK).await
}

/// Creates the successor.
pub(in crate::page) async fn begin(call: &Call, id: &str) -> Result<Reply, Stop> {
    let fields = &call.fields;
    let id = key_id(id)?;
    let attempt = fields.some("idempotency_key").ok_or(Stop::Malformed("idempotency_key"))?;
    let mut request = RotateKey::of(id).expecting(fields.version()?).idempotency_key(attempt);
    if let Some(name) = fields.some("name") {
        request = request.named(name);
    }
    if let Some(team) = fields.some("into_team") {
        request = request.into_team(TeamId::new(team).map_err(|_| Stop::Malformed("into_team"))?);
    }
    let new_end = match (fields.text("new_end"), fields.some("new_ends").map(times::of_day)) {
        ("" | "as_before", None) => Ok(request.clone()),
        ("never", None) => Ok(request.clone().expires_at(None)),
        ("on", Some(Some(end))) => Ok(request.clone().expires_at(end)),
        ("on", _) => Err("create.ends_invalid"),
        (_, Some(_)) => Err("rotate.new_unclear"),
        (_, None) => return Err(Stop::Malformed("new_end")),
    };
    match new_end {
        Ok(with_end) => request = with_end,
        Err(wrong) => {
            let key = call.manager.find(&id, &call.actor).await?;
            let failed = Failed::field(call, "new_ends", wrong);
            return screen(call, &key, Some(failed), StatusCode::UNPROCESSABLE_ENTITY).await;
        }
    }
    let wrong = match (fields.is("end", "on"), fields.some("ends").map(times::of_day)) {
        (true, Some(Some(end))) => {
            request = request.old_key_ends_at(end);
            None
        }
        (true, _) => Some("create.ends_invalid"),
        // One of the two was a mistake, and only the person knows which.
        (false, Some(_)) => Some("rotate.old_unclear"),
        (false, None) => None,
    };
    if let Some(wrong) = wrong {
        let key = call.manager.find(&id, &call.actor).await?;
        let failed = Failed::field(call, "ends", wrong);
        return screen(call, &key, Some(failed), StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    match call.manager.begin_rotation(request, &call.actor).await {
        Ok(issued) => {
            let next = call.at(&format!("/keys/{}/rotation", issued.info().id));
            Ok(reveal(call, &issued, Some(next)).await)
        }
        Err(error) if error.kind() == ManageErrorKind::IdempotencyKeyUsed => Ok(replayed(call, &error).await),
        Err(error) => {
            let (failed, status) = Failed::of(call, error)?;
            let key = call.manager.find(&id, &call.actor).await?;
            screen(call, &key, Some(failed), status).await
        }
    }
}

async fn screen(call: &Call, key: &KeyInfo, failed: Option<Failed>, status: StatusCode) -> Result<Reply, Stop> {
    let fields = &call.fields;
    let names = call.manager.names_of([key]).await;
    let abilities = call.manager.abilities(key, &call.actor)?;
    let chosen = fields.some("into_team").and_then(|team| TeamId::new(team).ok());
    let (teams, search) = match key.owner {
        Owner::User(_) => {
            let teams = Teams::of(call, chosen.as_ref()).await?;
            (teams.list(chosen.as_ref()), teams.search)
        }
        Owner::Team(_) => (Vec::new(), None),
    };
    let new_end = match fields.text("new_end") {
        "never" => "never",
        "on" => "on",
        _ => "as_before",
    };
    let view = RotateView {
        key: KeyView::of(call, key, &names),
        button: rotate_button(call, key, &abilities).with_contacts(call, &key.owner).await,
        name: if fields.some("name").is_some() { fields.echo("name") } else { key.name.as_str().to_owned() },
        teams,
        search,
        expires: key.expires_at.map(times::day).unwrap_or_default(),
        new_end,
        new_ends: fields.echo("new_ends"),
        ends: fields.echo("ends"),
        idempotency_key: attempt(call)?,
        failed,
    };
    let title = call.site.words().say("rotate.title", &[("name", view.key.shown.clone())]);
    Ok(Screen::new("rotate.html", title, &view).with_status(status).into())
}
