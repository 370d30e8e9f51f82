use http::StatusCode;
use serde::Serialize;
use tower_api_keys::manage::{EditKey, KeyAction, KeyInfo};

use super::{
    create::{Choice, INSTALLED_IN, TICKET, labels, networks, scopes},
    failed::Failed,
};
use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, key_id},
    times,
    views::{Button, KeyView},
};

#[derive(Serialize)]
struct EditView {
    key: KeyView,
    name: String,
    responsible: String,
    ticket: String,
    installed_in: String,
    /// The scopes that it has, or that there are: only those that stay chosen are kept.
    scopes: Vec<Choice>,
    all_scopes: bool,
    may_all: bool,
    ends: String,
    has_networks: bool,
    networks: String,
    button: Button,
    failed: Option<Failed>,
}

/// The form with what the key has.
pub(in crate::page) async fn ask(call: &Call, id: &str) -> Result<Reply, Stop> {
    let key = call.manager.find(&key_id(id)?, &call.actor).await?;
    screen(call, &key, None, StatusCode::OK, false).await
}

/// Changes what the form changed, and nothing else.
pub(in crate::page) async fn edit(call: &Call, id: &str) -> Result<Reply, Stop> {
    let key = call.manager.find(&key_id(id)?, &call.actor).await?;
    let request = match request(call, &key) {
        Ok(request) => request,
        Err(Wrong::Form(failed)) => {
            return screen(call, &key, Some(failed), StatusCode::UNPROCESSABLE_ENTITY, true).await;
        }
        Err(Wrong::Stop(stop)) => return Err(stop),
    };
    match call.manager.edit(request, &call.actor).await {
        Ok(key) => Ok(Reply::See(format!("/keys/{}", key.id))),
        Err(error) => {
            let (failed, status) = Failed::of(call, error)?;
            let key = call.manager.find(&key.id, &call.actor).await?;
            screen(call, &key, Some(failed), status, true).await
        }
    }
}

enum Wrong {
    Form(Failed),
    Stop(Stop),
}

impl From<Stop> for Wrong {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

fn request(call: &Call, key: &KeyInfo) -> Result<EditKey, Wrong> {
    let fields = &call.fields;
    let mut request = EditKey::of(key.id).expecting(fields.version()?);
    if fields.text("name") != key.name.as_str() {
        request = request.named(fields.text("name"));
    }
    if fields.text("responsible") != responsible(key) {
        request = request.responsible(fields.text("responsible"));
    }
    let labels = labels(&key.labels, call).map_err(Wrong::Form)?;
    if labels != key.labels {
        request = request.labels(labels);
    }
    if fields.is("may", "all") && fields.some("scope").is_some() {
        return Err(Wrong::Form(Failed::field(call, "scopes", "create.scopes_unclear")));
    }
    // Without the fields for scopes, all that it has is kept.
    if fields.some("may").is_some()
        && let Some(scopes) = scopes(call)?
        && scopes != key.scopes
    {
        request = request.scopes(scopes);
    }
    let networks = networks(call).map_err(Wrong::Form)?;
    // Without the field, they are kept.
    if fields.has("networks") && networks != key.networks {
        request = request.networks(networks);
    }
    if let Some(text) = fields.some("ends") {
        let Some(end) = times::of_day(text) else {
            return Err(Wrong::Form(Failed::field(call, "ends", "create.ends_invalid")));
        };
        // The field has days only, so the same day is no change.
        if key.expires_at.map(times::day).as_deref() != Some(text) {
            request = request.expires_at(end);
        }
    }
    Ok(request)
}

fn responsible(key: &KeyInfo) -> &str {
    key.responsible.as_ref().map_or("", |responsible| responsible.as_str())
}

async fn screen(
    call: &Call,
    key: &KeyInfo,
    failed: Option<Failed>,
    status: StatusCode,
    typed: bool,
) -> Result<Reply, Stop> {
    let names = call.manager.names_of([key]).await;
    let abilities = call.manager.abilities(key, &call.actor)?;
    let fields = &call.fields;
    let text = |field: &str, has: Option<&str>| {
        if typed { fields.echo(field) } else { has.unwrap_or_default().to_owned() }
    };
    let all_scopes = key.scopes.is_all();
    let named: Vec<String> = match call.manager.scopes() {
        Some(known) if all_scopes => known.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let named: Vec<String> = named.into_iter().chain(key.scopes.named().map(ToString::to_string)).collect();
    let sent: Vec<_> = fields.all("scope").collect();
    let may_all = if typed { fields.is("may", "all") } else { all_scopes };
    let choice = |scope: String| Choice {
        chosen: if typed { sent.contains(&scope.as_str()) } else { !all_scopes },
        text: scope.clone(),
        value: scope,
    };
    let view = EditView {
        key: KeyView::of(call, key, &names),
        name: text("name", Some(key.name.as_str())),
        responsible: text("responsible", Some(responsible(key))),
        ticket: text("ticket", key.labels.value(TICKET)),
        installed_in: text("installed_in", key.labels.value(INSTALLED_IN)),
        scopes: named.into_iter().map(choice).collect(),
        all_scopes,
        may_all,
        has_networks: call.manager.checks_networks() || key.networks.is_some(),
        networks: text("networks", key.networks.as_ref().map(ToString::to_string).as_deref()),
        button: Button::of(call, "save", &abilities, KeyAction::Rename).with_contacts(call, &key.owner).await,
        ends: text("ends", key.expires_at.map(times::day).as_deref()),
        failed,
    };
    let title = call.site.words().say("edit.title", &[("name", view.key.shown.clone())]);
    Ok(Screen::new("edit.html", title, &view).with_status(status).into())
}
