//! Who asks: before anything else, on every path, and never the system.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::FromRequestParts,
    http::{Request, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::ServiceExt;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Principal, Scopes, TeamId, hash::Argon2Params, manage::Rights, store::MemoryStore,
};
use tower_api_keys_http::routes::{self, OPENAPI_JSON};

use crate::support::{CurrentUser, MOUNT, UNKNOWN, World, actor, clock, keys, read};

#[tokio::test]
async fn without_a_session_every_path_is_the_extractors_own_answer() {
    let world = World::new().await;
    for (method, path) in
        [("GET", "/keys"), ("POST", "/keys"), ("GET", "/nothing/here"), ("DELETE", "/me"), ("GET", "")]
    {
        let request = Request::builder().method(method).uri(format!("{MOUNT}{path}"));
        let answer = read(world.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await;
        assert_eq!((answer.status, &*answer.text), (401, "sign in first"), "{method} {path}");
        assert_eq!(answer.header("cache-control"), None);
    }
}

#[tokio::test]
async fn a_system_out_of_an_extractor_is_a_defect_of_the_service() {
    let world = World::new().await;
    for path in ["/me", "/keys", "/nothing/here"] {
        let request = Request::builder().uri(format!("{MOUNT}{path}")).header("x-user", "system");
        let answer = read(world.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await;
        assert_eq!(
            (answer.refused(500), &answer.json()["reason"]),
            ("misconfigured".to_owned(), &"system_actor".into())
        );
    }
}

#[tokio::test]
async fn the_service_takes_the_actor_from_the_extensions() {
    let service = routes::service(&keys().await);
    let ask = async |actor: Option<Actor>| {
        let mut request = Request::new(Full::<Bytes>::default());
        *request.uri_mut() = "/me".parse().unwrap();
        if let Some(actor) = actor {
            request.extensions_mut().insert(actor);
        }
        let answer = service.clone().oneshot(request).await.unwrap();
        let (status, body) = (answer.status(), answer.into_body().collect().await.unwrap().to_bytes());
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let (status, me) = ask(actor("alice")).await;
    assert_eq!((status, &me["actor"]), (StatusCode::OK, &"user:alice".into()));
    let (status, problem) = ask(None).await;
    assert_eq!((status, &problem["reason"]), (StatusCode::INTERNAL_SERVER_ERROR, &"no_actor".into()));
    let (status, problem) = ask(actor("system")).await;
    assert_eq!((status, &problem["reason"]), (StatusCode::INTERNAL_SERVER_ERROR, &"system_actor".into()));
}

#[tokio::test]
async fn the_document_is_public_and_may_be_cached() {
    let world = World::new().await;
    let request = Request::builder().uri(format!("{MOUNT}/openapi.json")).body(Body::empty()).unwrap();
    let answer = read(world.app.clone().oneshot(request).await.unwrap()).await;
    assert_eq!((answer.status, &*answer.text), (200, OPENAPI_JSON));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=3600"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let request = Request::builder().method("POST").uri(format!("{MOUNT}/openapi.json")).body(Body::empty()).unwrap();
    let answer = read(world.app.clone().oneshot(request).await.unwrap()).await;
    assert_eq!((answer.refused(405), answer.header("allow")), ("method_not_allowed".to_owned(), Some("GET,HEAD")));
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_are_problems() {
    let world = World::new().await;
    for path in ["", "/key", "/keys/", "/keys/a/b/c", "/owners/team"] {
        assert_eq!(world.get("alice", path).await.refused(404), "no_route", "{path}");
    }
    for (method, path, allowed) in [
        ("DELETE", "/keys", "GET,HEAD,POST"),
        ("PUT", "/keys", "GET,HEAD,POST"),
        ("DELETE", "/keys/AAAAAAAAAAAAAAAAAAAA", "GET,HEAD,PATCH"),
        ("GET", "/revocations", "POST"),
        ("DELETE", "/owners/user/alice/suspend", "POST"),
    ] {
        let answer = world.send("alice", method, path, "", &[]).await;
        assert_eq!(answer.refused(405), "method_not_allowed", "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn a_head_has_the_headers_of_the_get_and_no_body() {
    let world = World::new().await;
    let (id, _) = world.team_key("first").await;
    let request = Request::builder().method("HEAD").uri(format!("{MOUNT}/keys/{id}")).header("x-user", "alice");
    let answer = read(world.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await;
    assert_eq!((answer.status, answer.header("etag"), &*answer.text), (200, Some("\"1\""), ""));
}

/// The embedder's own path may have parameters with our names.
#[tokio::test]
async fn parameters_of_the_mount_are_not_those_of_a_route() {
    let keys = keys().await;
    let mount = "/{key}/{owner}/{kind}/{user}";
    let app: Router = Router::new().nest(mount, routes::router::<(), CurrentUser>(&keys));
    let world = World { app, clock: clock() };
    let ask = async |path: &str| {
        let request = Request::builder().uri(format!("/robot/x/team/bob{path}")).header("x-user", "alice");
        read(world.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
    };
    assert_eq!(ask("/owners/user/alice").await.json()["owner"], serde_json::json!({ "kind": "user", "id": "alice" }));
    assert_eq!(ask("/users/alice/blast-radius").await.status, 200);
    assert_eq!(ask(&format!("/keys/{UNKNOWN}")).await.refused(404), "not_found");
}

/// Software that manages keys with a key of its own.
struct Software(Actor);

impl<St: Sync> FromRequestParts<St> for Software {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, StatusCode> {
        let principal = parts.extensions.get::<Principal>().ok_or(StatusCode::UNAUTHORIZED)?;
        Ok(Self(Actor::key(principal, Rights::none().team_keys_included())))
    }
}

impl From<Software> for Actor {
    fn from(Software(actor): Software) -> Self {
        actor
    }
}

#[tokio::test]
async fn a_key_does_what_its_scopes_allow() {
    let keys = ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    let app: Router = Router::new().nest(MOUNT, routes::router::<(), Software>(&keys)).layer(keys.layer());
    let scopes = Scopes::try_from(vec!["keys:read".to_owned()]).unwrap();
    let request = IssueKey::team(TeamId::new("engineering").unwrap()).named("reporting").scopes(scopes);
    let issued = keys.manager().issue(request, &Actor::system("a test").unwrap()).await.unwrap();
    let text = issued.plaintext().expose_secret();
    let ask = async |method: &str, path: &str, body: &str| {
        let request = Request::builder().method(method).uri(format!("{MOUNT}{path}")).header("x-api-key", text);
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
        read(app.clone().oneshot(request).await.unwrap()).await
    };
    let me = ask("GET", "/me", "").await;
    assert_eq!((me.status, &me.json()["actor"]), (200, &format!("key:{}", issued.info().id).into()));
    assert_eq!(
        (&me.json()["personal"], &me.json()["teams"][0]["create"]["code"]),
        (&Value::Null, &"insufficient_scope".into())
    );
    assert_eq!(ask("GET", "/keys", "").await.json()["keys"][0]["name"], "reporting");
    let create = r#"{"owner":{"kind":"team","id":"engineering"}}"#;
    assert_eq!(ask("POST", "/keys", create).await.refused(403), "insufficient_scope");
    let itself = format!("/keys/{}/revoke", issued.info().id);
    assert_eq!(ask("POST", &itself, "").await.refused(403), "insufficient_scope");
}

/// What the embedder's service knows.
#[derive(Clone)]
struct AppState {
    sessions: Arc<HashMap<String, &'static str>>,
}

struct FromSession(Actor);

/// A rejection that must stay in its thread.
struct SignIn(Rc<str>);

impl IntoResponse for SignIn {
    fn into_response(self) -> Response {
        (StatusCode::UNAUTHORIZED, self.0.to_string()).into_response()
    }
}

impl FromRequestParts<AppState> for FromSession {
    type Rejection = SignIn;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, SignIn> {
        let session = parts.headers.get("cookie").and_then(|cookie| cookie.to_str().ok());
        let name = session.and_then(|session| state.sessions.get(session));
        name.and_then(|name| actor(name)).map(Self).ok_or_else(|| SignIn("sign in first".into()))
    }
}

impl From<FromSession> for Actor {
    fn from(FromSession(actor): FromSession) -> Self {
        actor
    }
}

#[tokio::test]
async fn the_extractor_reads_the_state_of_the_service() {
    let state = AppState { sessions: Arc::new(HashMap::from([("session=1".to_owned(), "alice")])) };
    let routes = routes::router::<AppState, FromSession>(&keys().await);
    let app: Router = Router::new().nest(MOUNT, routes).with_state(state);
    for (cookie, status) in [("session=1", 200), ("session=2", 401)] {
        let request = Request::builder().uri(format!("{MOUNT}/me")).header("cookie", cookie);
        let answer = read(app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await;
        assert_eq!(answer.status, status, "{cookie}");
    }
}
