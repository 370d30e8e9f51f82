//! A service with people of two organizations, and a client that checks every answer against the document.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::FromRequestParts,
    http::{HeaderMap, Request, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use tower_api_keys::{
    Actor, ApiKeys, ManualClock, OrganizationId, TeamId, Timestamp, UserId,
    hash::{Argon2Params, HasherConfig},
    manage::{Rights, TeamRole},
    store::{Ledger, MemoryStore},
};
use tower_api_keys_http::routes::{self, OPENAPI_JSON};

pub const MOUNT: &str = "/api/api-keys";
/// The id of no key.
pub const UNKNOWN: &str = "AAAAAAAAAAAAAAAAAAAA";

/// The embedder's session, as the header `x-user` names it.
pub struct CurrentUser(Actor);

impl<St: Sync> FromRequestParts<St> for CurrentUser {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, Response> {
        let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
        let actor = name.and_then(actor);
        actor.map(Self).ok_or_else(|| (StatusCode::UNAUTHORIZED, "sign in first").into_response())
    }
}

impl From<CurrentUser> for Actor {
    fn from(CurrentUser(actor): CurrentUser) -> Self {
        actor
    }
}

/// A person of the service.
///
/// - `alice`: a Team Admin of engineering
/// - `mo`: a member of engineering
/// - `olga`: an admin of the organization
/// - `audrey`: an auditor
/// - `eve`: an admin of another organization
/// - `system`: what no extractor may say
pub fn actor(name: &str) -> Option<Actor> {
    let engineering = || TeamId::new("engineering").unwrap();
    let rights = match name {
        "alice" => Rights::none().team(engineering(), TeamRole::Admin).team_keys_included(),
        "mo" => Rights::none().team(engineering(), TeamRole::Member).team_keys_included(),
        "olga" | "eve" => Rights::none().org_admin().team_keys_included(),
        "audrey" => Rights::none().auditor(),
        "system" => return Some(Actor::system("an extractor with a defect").unwrap()),
        _ => return None,
    };
    let organization = OrganizationId::new(if name == "eve" { "globex" } else { "acme" }).unwrap();
    Some(Actor::user(UserId::new(name).unwrap(), rights).with_organization(organization))
}

pub struct World {
    pub app: Router,
    /// Stopped at noon.
    pub clock: Arc<ManualClock>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code of the problem, if it has this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// The time of the shared table of rights.
pub fn noon() -> Timestamp {
    Timestamp::from_millis(1_772_366_400_000).unwrap()
}

/// A stopped clock that shows noon.
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(noon()))
}

pub fn hasher() -> HasherConfig {
    HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET)
}

pub fn system() -> Actor {
    Actor::system("test").unwrap()
}

pub fn team(id: &str) -> TeamId {
    TeamId::new(id).unwrap()
}

pub fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

pub async fn keys() -> ApiKeys<MemoryStore> {
    let keys = ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET);
    keys.several_organizations().build().await.unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::over(MemoryStore::new()).await
    }

    pub async fn over(store: impl Ledger) -> Self {
        let clock = clock();
        let keys = ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).several_organizations();
        let keys = keys.clock(clock.clone()).build().await.unwrap();
        Self { app: Router::new().nest(MOUNT, routes::router::<(), CurrentUser>(&keys)), clock }
    }

    pub async fn get(&self, who: &str, path: &str) -> Answer {
        self.ask(who, "GET", path, None, &[]).await
    }

    pub async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.ask(who, "POST", path, Some(body), &[]).await
    }

    /// The answer, which is one that the document has.
    pub async fn ask(
        &self,
        who: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = body.map(|body| body.to_string());
        let json = [("content-type", "application/json")];
        let of_json: &[_] = if body.is_some() { &json } else { &[] };
        let headers: Vec<_> = headers.iter().chain(of_json).copied().collect();
        self.send(who, method, path, body.unwrap_or_default(), &headers).await
    }

    /// The same with any text as the body.
    pub async fn send(
        &self,
        who: &str,
        method: &str,
        path: &str,
        body: impl Into<Body>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{MOUNT}{path}")).header("x-user", who);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.app.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let answer = read(response).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("vary", "authorization, x-api-key, cookie"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {path}");
        }
        is_documented(method, path, &answer);
        answer
    }

    /// A new team key, and its text.
    pub async fn team_key(&self, name: &str) -> (String, String) {
        let body = json!({ "owner": { "kind": "team", "id": "engineering" }, "name": name });
        let answer = self.post("alice", "/keys", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer.json()["key"]["id"]), text(&answer.json()["plaintext"]))
    }
}

pub async fn read(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(OPENAPI_JSON).unwrap());

/// The operation of the document for this request, with its path.
pub fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Map<String, Value>)> {
    let path = path.split('?').next().unwrap();
    let parts: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let of_template: Vec<_> = template.split('/').collect();
        let fits = |(one, other): (&&str, &&str)| one.starts_with('{') && !other.is_empty() || one == other;
        of_template.len() == parts.len() && of_template.iter().zip(&parts).all(fits)
    };
    let (template, methods) = DOCUMENT["paths"].as_object().unwrap().iter().find(|(template, _)| fits(template))?;
    Some((template, methods.get(method.to_lowercase().as_str())?.as_object().unwrap()))
}

/// Every answer of a documented operation has a documented status and media type, and fits the schema of it.
fn is_documented(method: &str, path: &str, answer: &Answer) {
    let Some((_, operation)) = operation(method, path) else {
        assert!([404, 405].contains(&answer.status), "{method} {path} is not in the document");
        return;
    };
    let mut documented = &operation["responses"][answer.status.to_string()];
    if let Some(name) = documented["$ref"].as_str().and_then(|of| of.strip_prefix("#/components/responses/")) {
        documented = &DOCUMENT["components"]["responses"][name];
    }
    assert!(documented.is_object(), "{method} {path}: {} is not documented: {}", answer.status, answer.text);
    let media_type = answer.header("content-type").unwrap();
    let schema = &documented["content"][media_type]["schema"];
    assert!(schema.is_object(), "{method} {path}: {media_type} is not documented");
    let value = match media_type.contains("json") && !media_type.contains("ndjson") {
        true => answer.json(),
        false => Value::from(answer.text.clone()),
    };
    let validator = validator_of(schema);
    let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{method} {path}: {} does not fit its schema: {errors:?}\n{value:#}", answer.status);
}

/// Each schema is compiled once.
fn validator_of(schema: &Value) -> Arc<Validator> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    let compile = || {
        let whole = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        Arc::new(jsonschema::validator_for(&whole).unwrap())
    };
    Arc::clone(compiled.entry(schema.to_string()).or_insert_with(compile))
}
