//! What a gRPC client gets, over a real connection.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyKind, OrganizationId, Owner, TeamId, Timestamp, UserId,
    audit::{Action, Event, EventRow, Subject},
    hash::Argon2Params,
    key::{KeyFormat, PlaintextKey},
    record::{ActorId, KeyRow, SystemLabel},
    store::{AuditedWrite, Change, ChangeId, KeyStore, MemoryStore, Write},
};

struct Running {
    keys: ApiKeys<Arc<MemoryStore>>,
    store: Arc<MemoryStore>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

async fn start() -> Running {
    let store = Arc::new(MemoryStore::new());
    // Cheap hashes: a machine that runs other tests at the same time may not compute a standard hash in time.
    let keys = ApiKeys::builder(store.clone()).params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let served = keys.clone();
    let server = tokio::spawn(async move { grpc::serve(&served, listener, async { drop(stopped.await) }).await });
    Running { keys, store, address, stop, server }
}

impl Running {
    async fn issue(&self, owner: impl Into<Owner>) -> PlaintextKey {
        self.keys.manager().issue(IssueKey::of(owner.into()), &system()).await.unwrap().into_plaintext()
    }

    async fn ask(&self, key: Option<&str>) -> Result<String, (Code, String)> {
        let answer = grpc::who_am_i(self.address, key).await;
        answer.map_err(|status| (status.code(), status.message().to_owned()))
    }

    /// Code, reason and domain of a refusal, as clients match on them.
    async fn refusal(&self, key: Option<&str>) -> (Code, String, String) {
        let status = grpc::who_am_i(self.address, key).await.unwrap_err();
        let details = status.get_details_error_info().unwrap();
        (status.code(), details.reason, details.domain)
    }
}

fn system() -> Actor {
    Actor::system("test").unwrap()
}

fn refused(code: Code, message: &str) -> Result<String, (Code, String)> {
    Err((code, message.to_owned()))
}

#[tokio::test]
async fn a_key_says_whose_call_it_is() {
    let running = start().await;
    let user = running.issue(UserId::new("alice").unwrap()).await;
    let team = running.issue(TeamId::new("engineering").unwrap()).await;
    assert_eq!(running.ask(Some(user.expose_secret())).await.unwrap(), "user alice");
    assert_eq!(running.ask(Some(team.expose_secret())).await.unwrap(), "team engineering");
}

#[tokio::test]
async fn no_key_is_unauthenticated() {
    let message = "The request has no API key. Send one in the Authorization header, after the word Bearer and a space, or in the x-api-key header.";
    assert_eq!(start().await.ask(None).await, refused(Code::Unauthenticated, message));
}

#[tokio::test]
async fn another_services_key_is_unauthenticated() {
    let key = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    let message = "The API key is not valid. Check that the right key is configured, or create a new one.";
    assert_eq!(start().await.ask(Some(key.expose_secret())).await, refused(Code::Unauthenticated, message));
}

#[tokio::test]
async fn a_revoked_key_is_unauthenticated_at_once() {
    let running = start().await;
    let key = running.issue(UserId::new("alice").unwrap()).await;
    running.ask(Some(key.expose_secret())).await.unwrap();
    running.keys.manager().revoke(&key.id(), &system()).await.unwrap();
    let message = "The API key was revoked. Use another one, or create a new one.";
    assert_eq!(running.ask(Some(key.expose_secret())).await, refused(Code::Unauthenticated, message));
}

#[tokio::test]
async fn a_key_that_cannot_be_checked_is_unavailable_not_unauthenticated() {
    let running = start().await;
    let key = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    insert_unreadable(&running.store, &key).await;
    let status = grpc::who_am_i(running.address, Some(key.expose_secret())).await.unwrap_err();
    assert_eq!((status.code(), grpc::code_of(&status).as_deref()), (Code::Unavailable, Some("corrupt_record")));
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_client_can_match_on_the_code_of_a_refusal() {
    let running = start().await;
    let domain = "tower-api-keys".to_owned();
    let refused = |reason: &str| (Code::Unauthenticated, reason.to_owned(), domain.clone());
    assert_eq!(running.refusal(None).await, refused("MISSING_CREDENTIALS"));
    assert_eq!(running.refusal(Some("ghp_16C7e42F292c6912E7710c838347Ae178B4a")).await, refused("MALFORMED_KEY"));
    let key = running.issue(UserId::new("alice").unwrap()).await;
    running.keys.manager().revoke(&key.id(), &system()).await.unwrap();
    assert_eq!(running.refusal(Some(key.expose_secret())).await, refused("KEY_REVOKED"));
    let status = grpc::who_am_i(running.address, Some("$API_KEY")).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata.get("reason").map(String::as_str), Some("placeholder"));
}

/// A status of the service itself has none of our codes.
#[test]
fn other_statuses_have_no_code() {
    assert_eq!(grpc::code_of(&Status::internal("there is no layer")), None);
}

#[tokio::test]
async fn the_server_stops_when_told() {
    let running = start().await;
    running.ask(None).await.unwrap_err();
    running.stop.send(()).unwrap();
    running.server.await.unwrap().unwrap();
    assert!(TcpListener::bind(running.address).await.is_ok());
}

/// Inserts a record whose hash cannot be read.
async fn insert_unreadable(store: &MemoryStore, key: &PlaintextKey) {
    let row = KeyRow {
        id: key.id().as_str().to_owned(),
        kind: "user".to_owned(),
        owner: "alice".to_owned(),
        hash: "none".to_owned(),
        created_by: "system:test".to_owned(),
        ..KeyRow::example()
    };
    let (at, actor) = (Timestamp::MIN, ActorId::System(SystemLabel::new("test").unwrap()));
    let subject = Subject::Key(key.id(), UserId::new("alice").unwrap().into());
    let event = EventRow::from(&Event::new(OrganizationId::single(), at, actor, Action::KEY_ISSUED, subject));
    let writes = vec![AuditedWrite { write: Write::Insert(row), event }];
    let change = Change { id: ChangeId::from_bytes([1; 16]), at, writes, guards: vec![], idempotency: None };
    store.apply(&change).await.unwrap();
}
