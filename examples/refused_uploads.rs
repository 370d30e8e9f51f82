//! The body of a refused request is not read. So a client that sends a large body with a bad key, and reads the answer
//! only after it has sent everything, sees a broken connection instead of the refusal. This layer goes outside of the
//! key layer. It reads a limited part of the body before the refusal is sent:
//!
//! ```text
//! cargo run --example refused_uploads
//! cargo test --example refused_uploads
//! ```
//!
//! Requests without a valid key then use some of your bandwidth. Choose the limits by what your clients upload.

use std::{
    error::Error,
    io::{Write, stdout},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header::EXPECT,
    middleware::{Next, from_fn},
    response::Response,
    routing::post,
};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower::ServiceExt;
use tower_api_keys::{ApiKeys, Principal, middleware::Refusal, store::MemoryStore};

/// The most bytes of a refused body that are read.
const MOST: u64 = 1024 * 1024;

/// The longest time to read them. A client that sends slowly cannot hold the connection longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Reads part of the body before a refusal is sent. Add it after the key layer, so that it is outside of it.
async fn read_refused_uploads(request: Request, next: Next) -> Response {
    // A client that sends `Expect` waits for the answer before it sends the body.
    if request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(parts, Body::new(shared.clone()))).await;
    if response.extensions().get::<Refusal>().is_some() {
        // The answer is the same, whether the body was read or not.
        let _ = timeout(LONGEST, shared.read_some()).await;
    }
    response
}

/// A body that can still be read after the request is dropped.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    async fn read_some(mut self) {
        let mut read = 0;
        while read < MOST
            && let Some(Ok(frame)) = self.frame().await
        {
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
    }

    fn with<T>(&self, of: impl FnOnce(&mut Body) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.with(|body| body.size_hint())
    }
}

fn app(keys: &ApiKeys<MemoryStore>) -> Router {
    Router::new().route("/upload", post(upload)).layer(keys.layer()).layer(from_fn(read_refused_uploads))
}

async fn upload(caller: Principal, body: Bytes) -> String {
    format!("{} bytes of {}\n", body.len(), caller.owner())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let request = Request::post("/upload").body(Body::from(vec![0; 100_000]))?;
    let response = app(&ApiKeys::new(MemoryStore::new())?).oneshot(request).await?;
    writeln!(stdout(), "{}, sent after part of the body was read", response.status())?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::http::StatusCode;
    use http_body_util::StreamBody;
    use tower_api_keys::{Actor, IssueKey, TeamId};

    use super::*;

    /// A body of pieces of 64 KiB. It counts the pieces that are read.
    fn body(pieces: u64) -> (Body, Arc<AtomicU64>) {
        let read = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&read);
        let pieces = (0..pieces).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, axum::Error>(http_body::Frame::data(Bytes::from_static(&[0; 65_536])))
        });
        (Body::new(StreamBody::new(futures_util::stream::iter(pieces))), read)
    }

    #[tokio::test]
    async fn a_refused_body_is_read_up_to_the_limit() {
        let app = app(&ApiKeys::new(MemoryStore::new()).unwrap());
        for (sent, expected) in [(0, 0), (3, 3), (16, 16), (1_000, 16)] {
            let (body, read) = body(sent);
            let response = app.clone().oneshot(Request::post("/upload").body(body).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(read.load(Ordering::Relaxed), expected);
        }
    }

    #[tokio::test]
    async fn nobody_is_told_to_go_on_who_asked_first() {
        let app = app(&ApiKeys::new(MemoryStore::new()).unwrap());
        let (body, read) = body(3);
        let request = Request::post("/upload").header(EXPECT, "100-continue").body(body).unwrap();
        assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(read.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for_any_longer() {
        let app = app(&ApiKeys::new(MemoryStore::new()).unwrap());
        let never =
            Body::new(StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, axum::Error>>()));
        let begun = tokio::time::Instant::now();
        let response = app.oneshot(Request::post("/upload").body(never).unwrap()).await.unwrap();
        assert_eq!((response.status(), begun.elapsed()), (StatusCode::UNAUTHORIZED, LONGEST));
    }

    #[tokio::test]
    async fn a_good_key_is_given_all_of_its_body() {
        let keys = ApiKeys::new(MemoryStore::new()).unwrap();
        let team = TeamId::new("engineering").unwrap();
        let issued = keys.manager().issue(IssueKey::team(team), &Actor::system("test").unwrap()).await.unwrap();
        let request = Request::post("/upload").header("x-api-key", issued.plaintext().expose_secret());
        let response = app(&keys).oneshot(request.body(body(20).0).unwrap()).await.unwrap();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "1310720 bytes of team engineering\n");
    }
}
