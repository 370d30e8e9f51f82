//! The example as people use it: signing in, the page and the API, two customers, plans, and jobs.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt;
use settings_page::{Service, states};
use tower::ServiceExt;
use tower_api_keys::store::MemoryStore;

const PAGE: &str = "/settings/api-keys";

fn address() -> SocketAddr {
    ([127, 0, 0, 1], 3000).into()
}

async fn service() -> Service<MemoryStore> {
    Service::in_memory(address()).await.unwrap()
}

async fn send(app: &Router, request: Request<Body>) -> (StatusCode, String) {
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(app: &Router, session: &str, path: &str) -> (StatusCode, String) {
    send(app, Request::get(path).header(header::COOKIE, format!("session={session}")).body(Body::empty()).unwrap())
        .await
}

async fn post(app: &Router, session: &str, path: &str, form: &str) -> (StatusCode, String) {
    let request = Request::post(path)
        .header(header::COOKIE, format!("session={session}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    send(app, request.body(Body::from(form.to_owned())).unwrap()).await
}

/// What stands in an attribute after this text.
fn after<'a>(page: &'a str, text: &str) -> &'a str {
    let rest = page.split_once(text).unwrap_or_else(|| panic!("{text} is not in {page}")).1;
    rest.split('"').next().unwrap()
}

/// The text of a new key that this person creates.
async fn created(app: &Router, session: &str, path: &str, more: &str) -> (StatusCode, String) {
    let (_, form) = get(app, session, path).await;
    let hidden = form
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|field| format!("{}={}&", field.split('"').next().unwrap(), after(field, "value=\"")));
    let fields = hidden.collect::<String>() + more;
    let (status, page) = post(app, session, path.split('?').next().unwrap(), &fields).await;
    let text = if status == StatusCode::OK { after(&page, "readonly value=\"").to_owned() } else { page };
    (status, text)
}

#[test]
fn the_glue_has_at_most_60_lines() {
    let glue = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/glue.rs")).unwrap();
    let lines = glue.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    assert!((30..=60).contains(&lines), "{lines}");
    // Nothing that a service needs is elsewhere: the rest knows neither requests of the page nor the directory.
    for file in ["accounts", "api", "jobs"] {
        let other = fs::read_to_string(format!("{}/src/{file}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for word in ["tower_api_keys_http", "Directory", "FromRequestParts", "Rights"] {
            assert!(!other.contains(word), "{file}: {word}");
        }
    }
}

#[tokio::test]
async fn people_sign_in_and_see_what_their_role_allows() {
    let app = service().await.app;
    let (status, front) = send(&app, Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    for person in ["acme/mo", "acme/alice", "acme/olga", "globex/gina"] {
        assert!(front.contains(&format!("/sign-in/{person}\"")), "{front}");
    }
    assert!(!front.contains("/sign-in/acme/bob"), "he has left");

    let request = Request::get("/sign-in/acme/alice").body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    assert_eq!((answer.status(), &answer.headers()[header::LOCATION]), (StatusCode::SEE_OTHER, &PAGE.parse().unwrap()));
    assert_eq!(answer.headers()[header::SET_COOKIE], "session=acme.alice; Path=/; HttpOnly; SameSite=Lax");

    let (_, member) = get(&app, "acme.mo", PAGE).await;
    assert!(member.contains("GitHub Actions - production") && member.contains("aria-disabled"), "{member}");
    assert!(member.contains("Alice Jones") && member.contains("Olga Ivanova"), "whom to ask: {member}");
    let (_, admin) = get(&app, "acme.alice", PAGE).await;
    assert!(admin.contains("Bob Lee (left)") && admin.contains("/new?kind=team\""), "{admin}");
    assert!(!admin.contains("Ticket import"), "that is another team's");
    let (_, all) = get(&app, "acme.olga", PAGE).await;
    assert!(all.contains(">Support</a></span>") && all.contains("Ticket import"), "{all}");

    for session in ["acme.bob", "acme.nobody", "globex.alice", "acme", ""] {
        assert_eq!(get(&app, session, PAGE).await.0, StatusCode::UNAUTHORIZED, "{session}");
        assert_eq!(get(&app, session, "/api/api-keys/me").await.0, StatusCode::UNAUTHORIZED, "{session}");
        let sign_in = format!("/sign-in/{}", session.replace('.', "/"));
        assert_eq!(get(&app, "", &sign_in).await.0, StatusCode::NOT_FOUND, "{session}");
    }
}

#[tokio::test]
async fn a_new_key_calls_the_api_until_it_is_deleted() {
    let app = service().await.app;
    let (status, text) = created(&app, "acme.alice", &format!("{PAGE}/new?kind=team"), "name=Deploys").await;
    assert_eq!(status, StatusCode::OK);
    let call = || Request::get("/whoami").header("x-api-key", &text).body(Body::empty()).unwrap();
    assert_eq!(send(&app, call()).await, (StatusCode::OK, "team engineering of acme\n".to_owned()));
    let work = Request::post("/intake/deploys").header("x-api-key", &text).body(Body::from("done")).unwrap();
    assert_eq!(send(&app, work).await.0, StatusCode::ACCEPTED);
    let delete = format!("{PAGE}/keys/{}/delete", text.split('.').nth(1).unwrap());
    let (_, form) = get(&app, "acme.alice", &delete).await;
    let version = format!("version={}", after(&form, "name=\"version\" value=\""));
    assert_eq!(post(&app, "acme.alice", &delete, &version).await.0, StatusCode::SEE_OTHER);
    assert_eq!(send(&app, call()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn customers_do_not_see_each_other_and_switch_their_own_plans() {
    let app = service().await.app;
    let new = format!("{PAGE}/new?kind=team");
    let (_, page) = get(&app, "globex.gina", PAGE).await;
    assert!(page.contains("Team API keys are not included.") && page.contains("href=\"/plan\""), "{page}");
    assert!(!page.contains("GitHub Actions"), "{page}");
    assert_eq!(post(&app, "acme.alice", "/plan", "plan=Free").await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&app, "", "/plan", "plan=Free").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&app, "globex.gina", "/plan", "plan=Gold").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&app, "globex.gina", "/plan", "plan=Business").await.0, StatusCode::SEE_OTHER);
    let (status, text) = created(&app, "globex.gina", &new, "team=engineering&name=Sync").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (_, acme) = get(&app, "acme.olga", PAGE).await;
    assert!(!acme.contains("Sync"), "{acme}");
    let call = || Request::get("/whoami").header("x-api-key", &text).body(Body::empty()).unwrap();
    assert_eq!(send(&app, call()).await, (StatusCode::OK, "team engineering of globex\n".to_owned()));
    for (plan, expected) in [("Free", StatusCode::UNAUTHORIZED), ("Business", StatusCode::OK)] {
        assert_eq!(post(&app, "globex.gina", "/plan", &format!("plan={plan}")).await.0, StatusCode::SEE_OTHER);
        assert_eq!(send(&app, call()).await.0, expected, "{plan}");
    }
}

#[tokio::test]
async fn the_evidence_of_a_rotation_moves_when_a_job_has_the_new_key() {
    let Service { keys, jobs, api, app } = service().await;
    jobs.run(&api).await;
    let (_, page) = get(&app, "acme.alice", PAGE).await;
    let row = page.split("Monday cron").next().unwrap().rsplit("/keys/").next().unwrap();
    let rotate = format!("{PAGE}/keys/{}/rotate", row.split('"').next().unwrap());
    let (status, text) = created(&app, "acme.alice", &rotate, "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let steps = format!("{PAGE}/keys/{}/rotation", text.split('.').nth(1).unwrap());
    keys.flush_usage().await.unwrap();
    assert!(get(&app, "acme.alice", &steps).await.1.contains("intake/curl"));
    assert!(get(&app, "acme.alice", &steps).await.1.contains("not seen yet"));

    assert_eq!(post(&app, "globex.gina", "/jobs", "job=Monday cron&key=x").await.0, StatusCode::NOT_FOUND);
    let form = format!("job=Monday cron&key={text}");
    assert_eq!(post(&app, "acme.alice", "/jobs", &form).await.0, StatusCode::SEE_OTHER);
    jobs.run(&api).await;
    keys.flush_usage().await.unwrap();
    assert!(!get(&app, "acme.alice", &steps).await.1.contains("not seen yet"));
    assert!(get(&app, "acme.alice", "/jobs").await.1.contains("last answer: 202 Accepted"));
}

#[tokio::test]
async fn a_file_keeps_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.db");
    let first = Service::in_file(file.to_str().unwrap(), address()).await.unwrap();
    let (_, text) = created(&first.app, "acme.mo", &format!("{PAGE}/new?kind=user"), "name=Laptop").await;
    first.keys.shutdown().await.unwrap();
    drop(first);
    let second = Service::in_file(file.to_str().unwrap(), address()).await.unwrap();
    let (_, page) = get(&second.app, "acme.mo", PAGE).await;
    assert_eq!((page.matches("GitHub Actions - production").count(), page.matches("Laptop").count()), (1, 1), "{page}");
    let call = Request::get("/whoami").header("x-api-key", text).body(Body::empty()).unwrap();
    assert_eq!(send(&second.app, call).await, (StatusCode::OK, "user mo of acme\n".to_owned()));
}

#[tokio::test]
async fn the_states_of_the_tests_are_only_there_on_request() {
    let change = |path: &str| Request::post(format!("/test-states/{path}")).body(Body::empty()).unwrap();
    let ordinary = service().await.app;
    assert_eq!(send(&ordinary, change("store?answers=0")).await.0, StatusCode::NOT_FOUND);
    let app = states::app(address()).await.unwrap();
    for (path, expected) in [
        ("store?answers=0", StatusCode::SERVICE_UNAVAILABLE),
        ("store", StatusCode::OK),
        ("names?down=1", StatusCode::OK),
        ("teams?count=120", StatusCode::OK),
        ("later?seconds=60", StatusCode::OK),
    ] {
        assert_eq!(send(&app, change(path)).await.0, StatusCode::OK, "{path}");
        assert_eq!(get(&app, "acme.alice", PAGE).await.0, expected, "{path}");
    }
    for path in ["nothing", "later", "damage", "damage?key=x", "store?answers=x"] {
        assert_eq!(send(&app, change(path)).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
}
