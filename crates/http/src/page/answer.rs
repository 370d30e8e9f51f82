//! From a request behind the gate to a screen, and from a screen to an answer.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{OriginalUri, Request},
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, Method, StatusCode,
    header::{ALLOW, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER},
    request::Parts,
};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;
use tower_api_keys::manage::{ManageError, ManageErrorKind, Problem};

use super::{
    render::Frame,
    request::{Call, Fields},
    screens,
    site::Site,
};
use crate::{
    gate::Caller,
    headers::{is_from_elsewhere, protect},
};

/// The longest form. A text of 64 KiB takes up to three times as much in one.
const LONGEST_FORM: usize = 256 * 1_024;
const HTML: &str = "text/html; charset=utf-8";
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// What a request gets.
pub(super) enum Reply {
    Screen(Screen),
    /// Another page of this one, to be loaded instead: after a change, so that a reload does not make it again.
    See(String),
    /// An answer that is no screen: an export.
    Other(Response),
}

/// A screen to render.
pub(super) struct Screen {
    status: StatusCode,
    title: String,
    template: &'static str,
    view: Value,
    is_secret: bool,
    is_part: bool,
}

impl Screen {
    pub(super) fn new(template: &'static str, title: impl Into<String>, view: &impl Serialize) -> Self {
        let view = Value::from(Serde(view));
        Self { status: StatusCode::OK, title: title.into(), template, view, is_secret: false, is_part: false }
    }

    pub(super) const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Marks a part of a screen, which never has the page around it.
    pub(super) const fn part(mut self, is_part: bool) -> Self {
        self.is_part = is_part;
        self
    }

    /// Marks the screen that shows a key.
    pub(super) const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }
}

impl From<Screen> for Reply {
    fn from(screen: Screen) -> Self {
        Self::Screen(screen)
    }
}

/// Why a request gets no screen of its own.
#[derive(Debug)]
pub(super) enum Stop {
    /// A field that no form of this page sends so.
    Malformed(&'static str),
    Manage(ManageError),
    MediaType,
    /// The methods that this path takes.
    Method(&'static str),
    NotFound,
    Random,
    TooLarge,
}

impl From<ManageError> for Stop {
    fn from(error: ManageError) -> Self {
        Self::Manage(error)
    }
}

/// Answers a request behind the gate.
pub(super) async fn answer(site: Arc<Site>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mount = mount(&parts);
    // Two slashes in a row: a rule of a proxy for one path has to hold for that screen.
    let is_doubled = mount.ends_with('/');
    let mount = mount.trim_end_matches('/').to_owned();
    let path = parts.uri.path().to_owned();
    let is_post = parts.method == Method::POST;
    let alone = parts.headers.get("x-part").is_some_and(|part| part == "dialog");
    let Some(Caller { actor, manager }) = parts.extensions.remove::<Caller>() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let place =
        path.split('/').nth(1).filter(|part| !part.is_empty()).map(|part| format!("/{part}")).unwrap_or_default();
    let mut call = Call { site, manager, actor, mount, fields: Fields::default(), is_post, place, alone };
    let reply = match fields(&parts, body).await {
        // The trail says who exported what, so a link of another site or a look at the headers exports nothing.
        Ok(_) if is_doubled => Err(Stop::NotFound),
        Ok(_) if path.ends_with(".csv") && is_from_elsewhere(&parts.headers) => return forged(&call.site),
        Ok(_) if path.ends_with(".csv") && parts.method == Method::HEAD => Err(Stop::Method("GET")),
        Ok(fields) => {
            call.fields = fields;
            let known = is_post || parts.method == Method::GET || parts.method == Method::HEAD;
            if known { Box::pin(route(&call, &path)).await } else { Err(Stop::Method("GET, HEAD, POST")) }
        }
        Err(stop) => Err(stop),
    };
    finish(&call, reply)
}

/// The answer to a form of another site.
pub(super) fn forged(site: &Site) -> Response {
    let words = site.words();
    let view = ProblemView {
        status: StatusCode::FORBIDDEN.as_u16(),
        code: "forged_request",
        sentence: words.say("problem.forged", &[]),
        remedy: Some(words.say("problem.forged_remedy", &[])),
        back: None,
    };
    let title = words.say("problem.title", &[]);
    let screen = Screen::new("problem.html", title, &view).with_status(StatusCode::FORBIDDEN);
    // Where the page is mounted is not known here, and so is no address of a stylesheet.
    let content = render(site, &screen, "");
    rendered(site, &screen, content.and_then(|content| framed(site, &screen, &[], "", content)))
}

/// The path of the page: that of the request, less what the router inside sees of it.
fn mount(parts: &Parts) -> String {
    let whole = parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |OriginalUri(uri)| uri.path());
    let inner = parts.uri.path();
    let mount = whole.strip_suffix(inner).or_else(|| whole.strip_suffix(inner.trim_end_matches('/'))).unwrap_or(whole);
    mount.to_owned()
}

/// The query of a look, the form of a change.
async fn fields(parts: &Parts, body: Body) -> Result<Fields, Stop> {
    if parts.method != Method::POST {
        return Ok(Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()));
    }
    let media_type = parts.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
    if !essence.trim_ascii().eq_ignore_ascii_case(FORM) {
        return Err(Stop::MediaType);
    }
    let body = to_bytes(body, LONGEST_FORM).await.map_err(|_| Stop::TooLarge)?;
    Ok(Fields::parse(&body))
}

async fn route(call: &Call, path: &str) -> Result<Reply, Stop> {
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    match (call.is_post, segments.as_slice()) {
        (false, [""]) => screens::list::show(call).await,
        (false, ["new"]) => screens::create::ask(call).await,
        (true, ["new"]) => screens::create::make(call).await,
        (true, ["notes"]) => screens::create::notes(call).await,
        (false, ["keys"]) => screens::all::show(call).await,
        (false, ["keys", id]) => screens::key::show(call, id).await,
        (false, ["keys", id, "delete"]) => screens::delete::ask(call, id).await,
        (true, ["keys", id, "delete"]) => screens::delete::delete(call, id).await,
        (false, ["keys", id, "edit"]) => screens::edit::ask(call, id).await,
        (true, ["keys", id, "edit"]) => screens::edit::edit(call, id).await,
        (false, ["keys", id, "pause"]) => screens::pause::ask(call, id, true).await,
        (true, ["keys", id, "pause"]) => screens::pause::change(call, id, true).await,
        (false, ["keys", id, "resume"]) => screens::pause::ask(call, id, false).await,
        (true, ["keys", id, "resume"]) => screens::pause::change(call, id, false).await,
        (false, ["keys", id, "rotate"]) => screens::rotate::ask(call, id).await,
        (true, ["keys", id, "rotate"]) => screens::rotate::begin(call, id).await,
        (false, ["keys", id, "rotation"]) => screens::rotation::show(call, id).await,
        (true, ["keys", id, "rotation"]) => screens::rotation::end(call, id).await,
        (false, ["review"]) => screens::review::show(call).await,
        (true, ["review"]) => screens::many::change(call).await,
        (false, ["review.csv"]) => screens::review::file(call).await,
        (false, ["people"]) => screens::people::find(call).await,
        (false, ["people", id]) => screens::person::show(call, id).await,
        (true, ["people", id]) => screens::person::change(call, id).await,
        (false, ["teams", id]) => screens::team::show(call, id).await,
        (true, ["teams", id]) => screens::team::change(call, id).await,
        (false, ["leak"]) => screens::leak::ask(call),
        (true, ["leak"]) => screens::leak::look(call).await,
        (false, ["refusals"]) => screens::refusals::show(call).await,
        (false, ["trail"]) => screens::trail::show(call).await,
        (false, ["trail.csv"]) => screens::trail::file(call).await,
        (true, [""] | ["refusals" | "trail" | "trail.csv" | "review.csv" | "people" | "keys"] | ["keys", _]) => {
            Err(Stop::Method("GET, HEAD"))
        }
        (false, ["notes"]) => Err(Stop::Method("POST")),
        _ => Err(Stop::NotFound),
    }
}

#[derive(Serialize)]
struct ProblemView {
    status: u16,
    code: &'static str,
    sentence: String,
    remedy: Option<String>,
    /// Where to go from here.
    back: Option<String>,
}

fn finish(call: &Call, reply: Result<Reply, Stop>) -> Response {
    match reply {
        Ok(Reply::Screen(screen)) => show(call, &screen),
        Ok(Reply::See(path)) => {
            let mut response = StatusCode::SEE_OTHER.into_response();
            protect(response.headers_mut());
            if let Ok(location) = HeaderValue::from_str(&call.at(&path)) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        Ok(Reply::Other(mut response)) => {
            protect(response.headers_mut());
            response
        }
        Err(stop) => stopped(call, &stop),
    }
}

fn stopped(call: &Call, stop: &Stop) -> Response {
    let (status, code, retry_after) = match stop {
        Stop::Manage(error) => (error.status(), error.code(), Problem::from(error).retry_after_seconds()),
        Stop::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed_form", None),
        Stop::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", None),
        Stop::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", None),
        Stop::NotFound => (StatusCode::NOT_FOUND, "not_found", None),
        Stop::Random => (StatusCode::SERVICE_UNAVAILABLE, "randomness", Some(1)),
        Stop::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", None),
    };
    let words = call.site.words();
    let (sentence, remedy) = match stop {
        // The library's sentence is about a change; this one is about a look.
        Stop::Manage(error) if !call.is_post && error.kind() == ManageErrorKind::StoreUnavailable => {
            (words.say("problem.store_down", &[]), None)
        }
        Stop::Manage(error) => {
            (words.sentence(&error.sentence()), error.kind().remedy().map(|remedy| words.sentence(&remedy)))
        }
        Stop::Malformed(field) => (words.say("problem.malformed", &[("field", (*field).to_owned())]), None),
        // The same as for a key that the caller may not see.
        Stop::NotFound => (words.sentence(&ManageErrorKind::NotFound.sentence()), None),
        Stop::Random => (words.sentence(&ManageErrorKind::Randomness.sentence()), None),
        Stop::MediaType | Stop::Method(_) => (words.say("problem.no_form", &[]), None),
        Stop::TooLarge => (words.say("problem.too_large", &[]), None),
    };
    let back = Some(call.at("/"));
    let view = ProblemView { status: status.as_u16(), code, sentence, remedy, back };
    let screen = Screen::new("problem.html", words.say("problem.title", &[]), &view).with_status(status);
    let mut response = show(call, &screen);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    if let Stop::Method(allowed) = stop {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

fn show(call: &Call, screen: &Screen) -> Response {
    let site = &call.site;
    let content = render(site, screen, &call.mount);
    let whole = match content {
        Ok(content) if call.alone || screen.is_part => Ok(content),
        Ok(content) => {
            let nav = navigation(call);
            framed(site, screen, &site.css(&call.mount), &site.js(&call.mount), format!("{nav}{content}"))
        }
        Err(error) => Err(error),
    };
    rendered(site, screen, whole)
}

/// The links to the other screens.
fn navigation(call: &Call) -> String {
    let reads_all = call.actor.is_org_admin() || call.actor.is_auditor();
    let links: Vec<_> = [
        ("", "list", true),
        ("/keys", "all", true),
        ("/review", "review", true),
        ("/people", "people", call.sees_people()),
        ("/trail", "trail", true),
        ("/refusals", "refusals", reads_all),
        ("/leak", "leak", true),
    ]
    .into_iter()
    .filter(|(_, _, is_there)| *is_there)
    .map(|(path, id, _)| {
        let (at, text) = (format!("{}{path}", call.mount), call.say(&format!("nav.{id}")));
        context! { at, text, here => call.place == path }
    })
    .collect();
    // Without it the screen is whole; the template is a part of this page and was tested.
    call.site.page.templates.render("nav.html", context! { nav => links }).unwrap_or_default()
}

fn render(site: &Site, screen: &Screen, mount: &str) -> Result<String, minijinja::Error> {
    let (product, lang) = (&site.page.product, site.words().lang());
    let around = context! { mount, product, lang, title => &screen.title };
    site.page.templates.render(screen.template, context! { ..screen.view.clone(), ..around })
}

fn framed(site: &Site, screen: &Screen, css: &[String], js: &str, content: String) -> Result<String, minijinja::Error> {
    let frame = Frame { title: &screen.title, lang: site.words().lang(), css, js };
    site.page.templates.framed(&frame, content)
}

fn rendered(site: &Site, screen: &Screen, whole: Result<String, minijinja::Error>) -> Response {
    let (status, text) = match whole {
        Ok(text) => (screen.status, text),
        // Never the error's own text: it may quote what was to be shown.
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    };
    let mut response = (status, [(CONTENT_TYPE, HeaderValue::from_static(HTML))], text).into_response();
    let headers = response.headers_mut();
    protect(headers);
    headers.extend(site.headers());
    if screen.is_secret {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    response
}
