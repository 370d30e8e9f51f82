//! Who asks: before anything else, on every path, and never the system.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::ServiceExt;
use tower_api_keys::Actor;
use tower_api_keys_http::routes::{self, OPENAPI_JSON};

use crate::support::{CurrentUser, MOUNT, UNKNOWN, World, actor, keys, read};

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
        ("POST", "/owners/user/alice/suspension", "PUT,DELETE"),
    ] {
        let answer = world.send("alice", method, path, "", &[]).await;
        assert_eq!(answer.refused(405), "method_not_allowed", "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

/// The embedder's own path may have parameters with our names.
#[tokio::test]
async fn parameters_of_the_mount_are_not_those_of_a_route() {
    let keys = keys().await;
    let mount = "/{key}/{owner}/{kind}/{user}";
    let app: Router = Router::new().nest(mount, routes::router::<(), CurrentUser>(&keys));
    let world = World { app, keys };
    let ask = async |path: &str| {
        let request = Request::builder().uri(format!("/robot/x/team/bob{path}")).header("x-user", "alice");
        read(world.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
    };
    assert_eq!(ask("/owners/user/alice").await.json()["owner"], serde_json::json!({ "kind": "user", "id": "alice" }));
    assert_eq!(ask("/users/alice/blast-radius").await.status, 200);
    assert_eq!(ask(&format!("/keys/{UNKNOWN}")).await.refused(404), "not_found");
}
