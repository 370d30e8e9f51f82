//! Forms of other sites, odd requests, and where the page is mounted.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use tower::{Service, ServiceExt};
use tower_api_keys::{Actor, ApiKeys, store::MemoryStore};
use tower_api_keys_http::page::{self, Page, Words};

use crate::support::{MOUNT, World, actor};

#[tokio::test]
async fn forms_of_other_sites_are_refused_and_change_nothing() {
    let world = World::new().await;
    let (key, text) = world.team_key("Monday cron").await;
    let paths = [
        "/new".to_owned(),
        "/notes".to_owned(),
        "/review".to_owned(),
        "/leak".to_owned(),
        "/people/alice".to_owned(),
        format!("/keys/{}/delete", key.id),
        format!("/keys/{}/edit", key.id),
        format!("/keys/{}/pause", key.id),
        format!("/keys/{}/resume", key.id),
        format!("/keys/{}/rotate", key.id),
        format!("/keys/{}/rotation", key.id),
    ];
    let id = key.id.to_string();
    let form = [
        ("version", "1"),
        ("name", "x"),
        ("kind", "team"),
        ("idempotency_key", "k"),
        ("key", id.as_str()),
        ("step", "delete"),
        ("do", "revoke"),
        ("text", text.as_str()),
    ];
    let forgeries: [&[(&str, &str)]; 5] = [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://other.example.com")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "https://app.example.com.evil.example")],
    ];
    for path in &paths {
        for headers in forgeries {
            let answer = world.post_with("alice", path, &form, headers).await;
            answer.is(403).has("This form was sent from another website, so nothing was done.");
        }
    }
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    let now = world.keys.manager().find(&key.id, &actor("alice").unwrap()).await.unwrap();
    assert_eq!((now.version, now.name.as_str()), (1, "Monday cron"));
    // An old browser over plain HTTP says only where it comes from.
    let path = format!("/keys/{}/pause", key.id);
    world.post_with("alice", &path, &[("version", "1")], &[("origin", "http://app.example.com")]).await.is(303);
}

#[tokio::test]
async fn other_bodies_and_methods_are_refused() {
    let world = World::new().await;
    let post = |media_type: &str| {
        Request::post(format!("{MOUNT}/new"))
            .header("x-user", "alice")
            .header("content-type", media_type)
            .body(Body::from("kind=user&idempotency_key=k"))
            .unwrap()
    };
    for media_type in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        world.send(post(media_type), false).await.is(415);
    }
    let ok = world.send(post("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), true).await;
    ok.is(200);
    for (method, path, allowed) in
        [("PUT", "/new", "GET, HEAD, POST"), ("DELETE", "", "GET, HEAD, POST"), ("GET", "/notes", "POST")]
    {
        let request = Request::builder().method(method).uri(format!("{MOUNT}{path}")).header("x-user", "alice");
        let answer = world.send(request.body(Body::empty()).unwrap(), false).await;
        answer.is(405);
        assert_eq!(answer.header("allow"), Some(allowed));
    }
    world.post("alice", "", &[]).await.is(405);
    world.post("alice", "/trail", &[]).await.is(405);
}

#[tokio::test]
async fn styles_and_script_are_public_named_by_content_and_kept() {
    let world = World::new().await;
    let list = world.get("alice", "").await;
    for (before, media_type) in [
        ("<link rel=\"stylesheet\" href=\"", "text/css; charset=utf-8"),
        ("<script src=\"", "text/javascript; charset=utf-8"),
    ] {
        let at = list.body.split_once(before).unwrap().1.split('"').next().unwrap();
        assert!(at.starts_with(&format!("{MOUNT}/assets/page.")), "{at}");
        let asset = world.send(Request::get(at).body(Body::empty()).unwrap(), false).await;
        assert_eq!(asset.status, StatusCode::OK);
        assert_eq!(asset.header("content-type"), Some(media_type));
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    let other = Request::get(format!("{MOUNT}/assets/page.css")).body(Body::empty()).unwrap();
    assert_eq!(world.send(other, false).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_is_adapted_by_frame_stylesheet_and_words() {
    let frame = "<!doctype html><title>{{ title }}</title>{% for sheet in css %}<link href=\"{{ sheet }}\">{% endfor %}\
                 <body><h1>Ours</h1>{{ content }}</body>";
    let page = Page::new("<Auxot>")
        .brand_css("https://static.example.com/brand.css")
        .unwrap()
        .frame(frame)
        .unwrap()
        .words(Words::english().with("list.title", "Schlüssel & mehr").in_language("de"));
    let world = World::with(page).await;
    let list = world.get("alice", "").await;
    list.is(200)
        .has("Ours")
        .has("Schlüssel & mehr")
        .has("talk to <Auxot> for you")
        .markup("<link href=\"https://static.example.com/brand.css\">")
        .markup("&lt;Auxot&gt;");
    let policy = list.header("content-security-policy").unwrap();
    assert!(policy.contains("style-src 'self' https://static.example.com;"), "{policy}");
    for wrong in ["javascript:alert(1)", "//evil.example/x.css", "data:text/css,x", "x.css", "https://a b", "/a;b"] {
        assert!(Page::new("x").brand_css(wrong).is_err(), "{wrong}");
        assert!(Page::new("x").upgrade_at(wrong).is_err(), "{wrong}");
        assert!(Page::new("x").api_at(wrong).is_err(), "{wrong}");
    }
    assert!(Page::new("x").frame("{% if %}").is_err());
}

#[tokio::test]
async fn the_page_is_a_service_without_axum() {
    let keys = ApiKeys::new(MemoryStore::new()).unwrap();
    let mut service = page::service(&keys, Page::new("Auxot"));
    let mut request = Request::get("/").body(Body::empty()).unwrap();
    let nobody = service.call(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(nobody.status(), StatusCode::INTERNAL_SERVER_ERROR);
    request.extensions_mut().insert::<Actor>(actor("alice").unwrap());
    let answer = service.call(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("href=\"/assets/page."), "{body}");
    assert!(body.contains("href=\"/new?kind=user\""), "{body}");
}

#[tokio::test]
async fn links_follow_the_mount() {
    let world = World::new().await;
    // The same page, one path deeper.
    let deeper = Router::<()>::new()
        .nest("/t/7", Router::new().fallback_service(page::service(&world.keys, Page::new("Auxot"))));
    let mut request = Request::get("/t/7/new?kind=user").body(Body::empty()).unwrap();
    request.extensions_mut().insert::<Actor>(actor("alice").unwrap());
    let answer = deeper.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("action=\"/t/7/new\""), "{body}");
}

#[tokio::test]
async fn a_service_says_where_it_is_mounted() {
    let world = World::new().await;
    let mut service = page::service(&world.keys, Page::new("Auxot")).mounted_at("/t/7").unwrap();
    for (path, expected) in [
        ("/t/7", StatusCode::OK),
        ("/t/7/new?kind=user", StatusCode::OK),
        ("/t/70", StatusCode::NOT_FOUND),
        ("/new?kind=user", StatusCode::NOT_FOUND),
    ] {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert::<Actor>(actor("alice").unwrap());
        let answer = service.call(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        let body = to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(body.contains("href=\"/t/7/assets/page."), expected == StatusCode::OK, "{path}: {body}");
    }
    for wrong in ["", "/", "t", "/t/", "//t", "/t//7", "/t/../7", "/t?", "/{t}", "/t 7", "/t%2F7"] {
        let service = page::service(&world.keys, Page::new("Auxot"));
        assert!(service.mounted_at(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_link_of_another_site_exports_nothing() {
    let world = World::new().await;
    for path in ["/review.csv", "/trail.csv"] {
        for site in ["cross-site", "same-site"] {
            let request =
                Request::get(format!("{MOUNT}{path}")).header("x-user", "olga").header("sec-fetch-site", site);
            world.send(request.body(Body::empty()).unwrap(), false).await.is(403);
        }
        let head = Request::head(format!("{MOUNT}{path}")).header("x-user", "olga").body(Body::empty()).unwrap();
        world.send(head, false).await.is(405);
    }
    world.get("olga", "/trail").await.is(200).lacks("xported");
    for path in ["/review.csv", "/trail.csv"] {
        let own =
            Request::get(format!("{MOUNT}{path}")).header("x-user", "olga").header("sec-fetch-site", "same-origin");
        world.send(own.body(Body::empty()).unwrap(), false).await.is(200);
    }
    world.get("olga", "/trail").await.is(200).has("xported");
}

#[tokio::test]
async fn a_screen_has_one_address() {
    let world = World::new().await;
    for path in ["//leak", "///trail", "//keys", "/leak/"] {
        world.get("olga", path).await.is(404);
    }
}
