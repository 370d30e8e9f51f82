//! The figures of this process as Prometheus reads them, on a port of their own.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, counter, describe_counter,
};
use tower_api_keys::{Authenticator, store::AnyStore};
use tower_service::Service;

const ANSWERS: &str = "api_keys_check_answers_total";
const ANSWERS_MEANING: &str = "answers at /check, by status";
/// What `/check` answers.
const STATUSES: [(StatusCode, &str); 7] = [
    (StatusCode::OK, "200"),
    (StatusCode::BAD_REQUEST, "400"),
    (StatusCode::UNAUTHORIZED, "401"),
    (StatusCode::FORBIDDEN, "403"),
    (StatusCode::TOO_MANY_REQUESTS, "429"),
    (StatusCode::INTERNAL_SERVER_ERROR, "500"),
    (StatusCode::SERVICE_UNAVAILABLE, "503"),
];

/// All figures of this process, by name.
#[derive(Clone, Default)]
pub(super) struct Figures(Arc<Mutex<BTreeMap<String, Figure>>>);

#[derive(Default)]
struct Figure {
    meaning: String,
    kind: Kind,
    /// By labels, as they are written.
    values: BTreeMap<String, Arc<AtomicU64>>,
}

#[derive(Clone, Copy, Default)]
enum Kind {
    #[default]
    Counter,
    /// Its value is the bits of a floating-point number.
    Gauge,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }

    fn written(self, value: u64) -> String {
        match self {
            Self::Counter => value.to_string(),
            Self::Gauge => f64::from_bits(value).to_string(),
        }
    }
}

impl Figures {
    /// Figures that this process keeps from now on.
    pub(super) fn installed() -> Self {
        let figures = Self::default();
        // Fails only if there are figures already.
        drop(metrics::set_global_recorder(figures.clone()));
        figures
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Figure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName, kind: Kind, meaning: &str) {
        let mut all = self.all();
        let figure = all.entry(name.as_str().to_owned()).or_default();
        (figure.kind, figure.meaning) = (kind, meaning.to_owned());
    }

    fn value(&self, key: &Key, kind: Kind) -> Arc<AtomicU64> {
        let labels = key.labels().filter(|label| !label.value().is_empty());
        let labels: Vec<_> = labels.map(|label| format!("{}=\"{}\"", label.key(), escaped(label.value()))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let mut all = self.all();
        let figure = all.entry(key.name().to_owned()).or_default();
        figure.kind = kind;
        Arc::clone(figure.values.entry(labels).or_default())
    }

    /// The exposition format of Prometheus, version 0.0.4.
    fn text(&self) -> String {
        let mut text = String::new();
        for (name, Figure { meaning, kind, values }) in &*self.all() {
            text.push_str(&format!("# HELP {name} {meaning}\n# TYPE {name} {}\n", kind.name()));
            for (labels, value) in values {
                let value = kind.written(value.load(Ordering::Relaxed));
                text.push_str(&format!("{name}{labels} {value}\n"));
            }
        }
        text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Recorder for Figures {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, meaning: SharedString) {
        self.describe(&name, Kind::Counter, &meaning);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, meaning: SharedString) {
        self.describe(&name, Kind::Gauge, &meaning);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key, Kind::Counter))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key, Kind::Gauge))
    }

    /// No figure of this process is one.
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Counts answers by status.
pub(super) struct Answers([Counter; STATUSES.len()]);

impl Answers {
    pub(super) fn new() -> Self {
        describe_counter!(ANSWERS, Unit::Count, ANSWERS_MEANING);
        Self(STATUSES.map(|(_, status)| counter!(ANSWERS, "status" => status)))
    }

    pub(super) fn count(&self, status: StatusCode) {
        let known = STATUSES.iter().position(|(known, _)| *known == status);
        if let Some(counter) = known.and_then(|place| self.0.get(place)) {
            counter.increment(1);
        }
    }
}

/// Answers at `/metrics`.
#[derive(Clone)]
pub(super) struct Exposition {
    pub(super) figures: Figures,
    pub(super) keys: Authenticator<AnyStore>,
}

impl Service<Request<Incoming>> for Exposition {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if request.uri().path() != "/metrics" || request.method() != Method::GET {
            let mut response = Response::new(Full::from("The figures are at GET /metrics.\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return ready(Ok(response));
        }
        self.keys.publish_metrics();
        let mut response = Response::new(Full::from(self.figures.text()));
        let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use metrics::{describe_gauge, gauge, with_local_recorder};

    use super::*;

    #[test]
    fn figures_are_written_as_prometheus_reads_them() {
        let figures = Figures::default();
        with_local_recorder(&figures, || {
            Answers::new().count(StatusCode::UNAUTHORIZED);
            describe_gauge!("keys_seconds", "how long");
            gauge!("keys_seconds").set(1.5);
            counter!("keys_refusals_total", "code" => "a\"b", "reason" => "").absolute(3);
        });
        let text = figures.text();
        assert!(text.starts_with(
            "# HELP api_keys_check_answers_total answers at /check, by status\n# TYPE api_keys_check_answers_total counter\n\
             api_keys_check_answers_total{status=\"200\"} 0\n"
        ));
        assert!(text.contains("api_keys_check_answers_total{status=\"401\"} 1\n"));
        assert!(text.contains("keys_refusals_total{code=\"a\\\"b\"} 3\n"));
        assert!(text.ends_with("# HELP keys_seconds how long\n# TYPE keys_seconds gauge\nkeys_seconds 1.5\n"));
    }
}
