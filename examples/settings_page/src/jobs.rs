//! Programs of the customers, which call the API with keys all the time. A rotation ends when all of them have the new
//! key: paste it on the page `/jobs`, and watch the evidence move.

use std::sync::{Mutex, PoisonError};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use tower::ServiceExt;

/// A program with a key in its secret store.
#[derive(Debug)]
pub struct Job {
    pub customer: &'static str,
    /// What the key is called.
    pub name: &'static str,
    method: Method,
    path: &'static str,
    user_agent: &'static str,
    key: Mutex<Option<String>>,
    last: Mutex<Option<StatusCode>>,
}

impl Job {
    fn new(name: &'static str, method: Method, path: &'static str, user_agent: &'static str) -> Self {
        let (key, last) = (Mutex::default(), Mutex::default());
        Self { customer: "acme", name, method, path, user_agent, key, last }
    }

    /// Puts a key where the program reads it.
    pub fn install(&self, key: &str) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.trim().to_owned());
    }

    /// What the API answered last.
    pub fn last(&self) -> Option<StatusCode> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, api: &Router) {
        let Some(key) = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let request = Request::builder().method(self.method.clone()).uri(self.path);
        let request = request.header("x-api-key", key).header("user-agent", self.user_agent).body(Body::empty());
        // What was pasted may not even fit into a header.
        let status = match request {
            Ok(request) => api.clone().oneshot(request).await.unwrap_or_else(|never| match never {}).status(),
            Err(_) => StatusCode::BAD_REQUEST,
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }
}

/// All of them.
#[derive(Debug)]
pub struct Jobs(pub Vec<Job>);

impl Default for Jobs {
    fn default() -> Self {
        Self(vec![
            Job::new("GitHub Actions - production", Method::POST, "/intake/deploys", "github-actions/2.3"),
            Job::new("Monday cron", Method::POST, "/intake/reports", "curl/8.5.0"),
            Job::new("old laptop script", Method::GET, "/whoami", "python-requests/2.32"),
        ])
    }
}

impl Jobs {
    pub fn named(&self, name: &str) -> Option<&Job> {
        self.0.iter().find(|job| job.name == name)
    }

    /// Each program calls the API once.
    pub async fn run(&self, api: &Router) {
        for job in &self.0 {
            job.run(api).await;
        }
    }
}
