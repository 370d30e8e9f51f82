//! How to test handlers that use the caller, without keys, hashes or a store:
//!
//! ```text
//! cargo test --example handler_tests --features test-util
//! ```
//!
//! Turn the feature on for your tests only:
//!
//! ```toml
//! [dev-dependencies]
//! tower-api-keys = { path = "../tower-api-keys", features = ["test-util"] }
//! ```

use std::{
    error::Error,
    io::{Write, stdout},
};

use axum::{Router, body::Body, http::Request, routing::get};
use tower::ServiceExt;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Principal, Scope, UserId,
    extract::TeamPrincipal,
    middleware::{Refusal, RefusalCode},
    store::MemoryStore,
};

/// The routes without the layer. The service adds the real layer, and the tests add a substitute.
fn routes() -> Router {
    Router::new().route("/", get(front_page)).route("/agents", get(agents))
}

/// For callers with or without a key.
async fn front_page(caller: Option<Principal>) -> String {
    caller.map_or_else(|| "hello\n".to_owned(), |caller| format!("hello, {}\n", caller.owner()))
}

/// For team keys with a scope.
async fn agents(caller: TeamPrincipal) -> Result<String, Refusal> {
    let read = Scope::new("agents:read").map_err(|_| Refusal::new(RefusalCode::InsufficientScope))?;
    if caller.allows(&read) {
        Ok(format!("agents of {}\n", caller.team().team))
    } else {
        Err(Refusal::new(RefusalCode::InsufficientScope))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keys = ApiKeys::new(MemoryStore::new())?;
    let service = routes().layer(keys.layer().optional());

    let issued = keys.manager().issue(IssueKey::user(UserId::new("alice")?), &Actor::system("first start")?).await?;
    for path in ["/", "/agents"] {
        let request = Request::get(path).header("x-api-key", issued.plaintext().expose_secret()).body(Body::empty())?;
        let response = service.clone().oneshot(request).await?;
        writeln!(stdout(), "GET {path} with a key of alice: {}", response.status())?;
    }
    writeln!(stdout(), "The tests: cargo test --example handler_tests --features test-util")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::StatusCode};
    use tower_api_keys::{
        Scopes,
        middleware::{ActingAs, acting_as, acting_as_nobody},
    };

    use super::*;

    #[test]
    fn the_example_runs() {
        main().unwrap();
    }

    async fn fetch(path: &str, caller: ActingAs) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes().layer(caller).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn everybody_is_greeted_by_name_if_they_have_one() {
        let alice = Principal::fake().user("alice").unwrap().build();
        assert_eq!(fetch("/", acting_as(alice)).await, (StatusCode::OK, "hello, user alice\n".to_owned()));
        assert_eq!(fetch("/", acting_as_nobody()).await, (StatusCode::OK, "hello\n".to_owned()));
    }

    #[tokio::test]
    async fn a_team_sees_its_own_agents() {
        let blue = Principal::fake().team("blue").unwrap().build();
        assert_eq!(fetch("/agents", acting_as(blue)).await, (StatusCode::OK, "agents of blue\n".to_owned()));
    }

    #[tokio::test]
    async fn agents_need_their_scope() {
        let scopes = Scopes::from_iter([Scope::new("billing:read").unwrap()]);
        let blue = Principal::fake().team("blue").unwrap().scopes(scopes).build();
        let (status, body) = fetch("/agents", acting_as(blue)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(body.contains(r#""code":"insufficient_scope""#), "{body}");
    }

    #[tokio::test]
    async fn a_user_has_no_agents() {
        let (status, body) = fetch("/agents", acting_as(Principal::fake().build())).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(body.contains(r#""code":"wrong_key_kind""#), "{body}");
    }
}
