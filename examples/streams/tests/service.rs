//! Both streams end with the key that opened them, and say why.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{body::Body, http::Request};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use streams::router;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};
use tower::ServiceExt;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, IssuedKey, Scopes, UserId, hash::Argon2Params, record::Suspension, store::MemoryStore,
};

type Keys = ApiKeys<MemoryStore>;

fn system() -> Actor {
    Actor::system("test").unwrap()
}

async fn keys() -> (Keys, IssuedKey) {
    let keys = ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    let scopes: Scopes = "ticks:read ticks:write".parse().unwrap();
    let request = IssueKey::user(UserId::new("alice").unwrap()).scopes(scopes);
    let issued = keys.manager().issue(request, &system()).await.unwrap();
    (keys, issued)
}

/// The rest of a body, until it ends.
async fn rest(mut body: Body) -> String {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        text.extend(frame.unwrap().into_data().unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// A stream of events whose first event was read.
async fn listening(keys: &Keys, key: &IssuedKey) -> Body {
    let request = Request::get("/ticks").header("x-api-key", key.plaintext().expose_secret());
    let response = router(keys).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "data: 0\n\n");
    body
}

#[tokio::test]
async fn events_end_with_the_key_and_the_last_says_why() {
    let (keys, issued) = keys().await;
    let body = listening(&keys, &issued).await;
    keys.manager().revoke(&issued.info().id, &system()).await.unwrap();
    let last = rest(body).await;
    assert!(last.ends_with("event: end\ndata: key_revoked\n\n"), "{last}");
    let request = Request::get("/ticks").header("x-api-key", issued.plaintext().expose_secret());
    let again = router(&keys).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(again.status(), 401);
}

#[tokio::test]
async fn fewer_scopes_end_a_stream_once_the_one_that_it_needs_is_gone() {
    let (keys, issued) = keys().await;
    let mut body = listening(&keys, &issued).await;
    for (scopes, lasts) in [("ticks:read", true), ("ticks:write", false)] {
        let scopes: Scopes = scopes.parse().unwrap();
        let narrowed = keys.manager().narrow_scopes(&issued.info().id, scopes, &system()).await;
        if lasts {
            narrowed.unwrap();
            for _ in 0..3 {
                let event = body.frame().await.unwrap().unwrap().into_data().unwrap();
                assert!(event.starts_with(b"data: "), "{event:?}");
            }
        } else {
            // Scopes can only be removed. The key has no other left.
            narrowed.unwrap_err();
            keys.manager().narrow_scopes(&issued.info().id, Scopes::none(), &system()).await.unwrap();
        }
    }
    let last = rest(body).await;
    assert!(last.ends_with("event: end\ndata: insufficient_scope\n\n"), "{last}");
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn opened(keys: &Keys, key: &str) -> Result<Socket, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut request = format!("ws://{}/echo", listener.local_addr().unwrap()).into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", key.parse().unwrap());
    let service = router(keys);
    tokio::spawn(async move { axum::serve(listener, service).await });
    connect_async(request).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn a_socket_is_closed_with_the_owner_s_suspension_by_a_code_that_says_not_to_come_back() {
    let (keys, issued) = keys().await;
    let mut socket = opened(&keys, issued.plaintext().expose_secret()).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    let alice = UserId::new("alice").unwrap().into();
    keys.manager().suspend(&alice, Suspension::Admin, &system()).await.unwrap();
    let Message::Close(Some(close)) = socket.next().await.unwrap().unwrap() else { panic!("it is not closed") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "owner_suspended"));
    match opened(&keys, issued.plaintext().expose_secret()).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 401),
        other => panic!("{other:?}"),
    }
}
