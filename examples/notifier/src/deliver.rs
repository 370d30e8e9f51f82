//! Posts an event until the receiver accepts or refuses it.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{sleep, timeout};
use tower_api_keys::feed::FeedEntry;

use crate::{
    policy::{Verdict, verdict},
    signature::Secret,
};

/// The time limit for a whole answer.
const ANSWER: Duration = Duration::from_secs(15);

/// The most bytes of an answer's body that are read. The body is discarded; once it is read, the connection can be used
/// again.
const BODY: usize = 64 * 1_024;

type Body = Full<std::io::Cursor<Vec<u8>>>;

/// Where events are posted to.
pub struct Endpoint {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    url: Uri,
    secret: Secret,
}

impl Endpoint {
    /// # Errors
    /// The URL is not valid, or the machine has no certificates to trust.
    pub fn new(url: &str, secret: Secret) -> Result<Self, Box<dyn std::error::Error>> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), url: url.parse()?, secret })
    }

    /// Posts an event again and again until the receiver accepts or refuses it. The inner error is the status of a
    /// refusal.
    ///
    /// # Errors
    /// The event cannot be written as JSON.
    pub async fn deliver(&self, entry: &FeedEntry) -> Result<Result<(), StatusCode>, serde_json::Error> {
        let body = serde_json::to_vec(&entry.event)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let answer = self.post(&entry.id, &body).await;
            let answer = answer.as_ref().map(|(status, after)| (*status, after.as_deref()));
            match verdict(answer, attempts, fastrand::f64()) {
                Verdict::Delivered => return Ok(Ok(())),
                Verdict::Refused(status) => return Ok(Err(status)),
                Verdict::After(pause) => {
                    let status = answer.map_or("no answer".to_owned(), |(status, _)| status.to_string());
                    eprintln!("{}: {status}, attempt {attempts}; next attempt in {pause:?}", entry.id);
                    sleep(pause).await;
                }
            }
        }
    }

    /// Returns the status and `Retry-After`; none if there was no answer in time.
    async fn post(&self, id: &str, body: &[u8]) -> Option<(StatusCode, Option<String>)> {
        // The time of this attempt. Receivers refuse old timestamps.
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.secret.sign(id, seconds, body))
            .body(Full::new(std::io::Cursor::new(body.to_vec())))
            .ok()?;
        let answered = async {
            let answer = self.client.request(request).await.ok()?;
            let (head, body) = answer.into_parts();
            let after = head.headers.get(header::RETRY_AFTER).and_then(|after| after.to_str().ok().map(str::to_owned));
            // If the body is too long or ends early, the connection is lost, but not the event.
            drop(Limited::new(body, BODY).collect().await);
            Some((head.status, after))
        };
        timeout(ANSWER, answered).await.ok()?
    }
}

/// A file of the events that the receiver refused, one line of JSON each. The same event may appear twice, with the
/// same id.
pub struct DeadLetters(PathBuf);

impl DeadLetters {
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// # Errors
    /// The file cannot be written. The event is then not confirmed.
    pub fn add(&self, entry: &FeedEntry, status: StatusCode) -> io::Result<()> {
        let line = serde_json::json!({ "id": entry.id, "status": status.as_u16(), "event": entry.event });
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_data()
    }
}
