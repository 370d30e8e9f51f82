//! What an operator sees: every metric after a known history, and no id in any of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, set_default_local_recorder,
    with_local_recorder,
};
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeys, Authenticator, Clock, IssueKey, KeyKind, KeyManager, ManualClock, OrganizationId, RefusalCode, TeamId,
    TeamRef, UserId,
    auth::{AuthErrorKind, AuthMetrics, AuthSettings, RefusalCount},
    hash::HasherConfig,
    key::{KeyFormat, KeyId, MalformedReason, PlaintextKey},
    manage::{Directory, Names, Reconcile},
    store::{Changes, FoundKey, Head, KeyReader, MemoryStore, StoreError},
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked, Hooks},
    issue, keys, noon, secrets, system, team, user, wrong_secret,
};

const SECOND: Duration = Duration::from_secs(1);

struct Service {
    keys: ApiKeys<Hooked<Arc<MemoryStore>>>,
    hooks: Arc<Hooks>,
    clock: Arc<ManualClock>,
    key: PlaintextKey,
}

/// A service with one key that was never used and that another node created.
async fn service() -> Service {
    let (store, clock) = (Hooked::new(Arc::new(MemoryStore::new())), clock());
    let hooks = store.hooks.clone();
    let builder = ApiKeys::builder(store).hasher(cheap()).clock(clock.clone()).directory(Nobody);
    let keys = builder.build().await.unwrap();
    let key = issue(&keys, user("alice-of-the-ids")).await;
    keys.authenticator().forget_proofs();
    Service { keys, hooks, clock, key }
}

/// A directory that says that no owner exists.
struct Nobody;

impl Directory for Nobody {
    type Error = Infallible;

    async fn has_team(&self, _: &TeamRef) -> Result<bool, Infallible> {
        Ok(true)
    }

    async fn names(&self, _: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> Result<Names, Infallible> {
        let names = users.iter().cloned().fold(Names::none(), Names::with_unknown);
        Ok(teams.iter().cloned().fold(names, Names::with_unknown))
    }
}

impl Service {
    fn metrics(&self) -> AuthMetrics {
        self.keys.authenticator().metrics()
    }

    async fn check(&self, text: &str) -> Result<(), AuthErrorKind> {
        self.keys.authenticator().authenticate(text).await.map(|_| ()).map_err(|error| error.kind())
    }

    async fn check_key(&self) -> Result<(), AuthErrorKind> {
        self.check(self.key.expose_secret()).await
    }

    /// Sends a request with these headers, and returns the status of the answer.
    async fn send(&self, lines: &[(&'static str, &str)]) -> u16 {
        let mut request = Request::new(Full::<bytes::Bytes>::default());
        for (name, value) in lines {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let inner = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::default())));
        self.keys.layer().layer(inner).oneshot(request).await.unwrap().status().as_u16()
    }

    /// Causes at least one of everything that is counted.
    async fn history(&self) {
        for _ in 0..3 {
            self.check_key().await.unwrap();
        }
        self.check(&wrong_secret(&self.key)).await.unwrap_err();
        self.check(&self.key.expose_secret()[..70]).await.unwrap_err();
        self.send(&[]).await;
        self.keys.manager().reconcile(Reconcile::report(), &system()).await.unwrap();
        self.keys.manager().revoke(&self.key.id(), &system()).await.unwrap();
        self.check_key().await.unwrap_err();
        self.keys.flush_usage().await.unwrap();
        self.hooks.fail("record_usage", Fault::Error, 1);
        self.check_key().await.unwrap_err();
        self.keys.flush_usage().await.unwrap_err();
    }
}

fn in_words(refusal: &RefusalCount) -> (&'static str, &'static str) {
    (refusal.code.as_str(), refusal.reason.map_or("", MalformedReason::as_str))
}

/// The refusals that were counted.
fn refusals(metrics: &AuthMetrics) -> Vec<(&'static str, &'static str, u64)> {
    let seen = metrics.refusals.iter().filter(|refusal| refusal.count > 0);
    seen.map(|refusal| {
        let (code, reason) = in_words(refusal);
        (code, reason, refusal.count)
    })
    .collect()
}

#[tokio::test]
async fn all_figures_begin_at_nothing() {
    let settings = AuthSettings::new().with_cache_capacity(1_234);
    let metrics = Authenticator::new(MemoryStore::new(), settings).unwrap().metrics();
    let counts = [
        metrics.argon2_runs,
        metrics.hash_waits,
        metrics.hashes_refused,
        metrics.proof_hits,
        metrics.proof_misses,
        metrics.freshness_reads,
        metrics.freshness_reads_failed,
        metrics.usage_flushes,
        metrics.usage_flushes_failed,
    ];
    assert_eq!(counts, [0; 9]);
    assert_eq!((metrics.hashes_queued, metrics.proofs_remembered, metrics.proof_capacity), (0, 0, 1_234));
    assert_eq!((metrics.hash_wait_total, metrics.hash_wait_longest), (Duration::ZERO, Duration::ZERO));
    assert_eq!((metrics.last_freshness_read, metrics.last_freshness_read_age), (None, None));
    assert_eq!((metrics.last_usage_flush, refusals(&metrics)), (None, vec![]));
}

#[tokio::test]
async fn a_first_use_is_a_miss_and_a_run_and_each_later_one_a_hit() {
    let service = service().await;
    let issued = service.metrics();
    service.check_key().await.unwrap();
    let first = service.metrics();
    for _ in 0..5 {
        service.check_key().await.unwrap();
    }
    let later = service.metrics();
    let figures = [&issued, &first, &later]
        .map(|metrics| (metrics.argon2_runs, metrics.proof_misses, metrics.proof_hits, metrics.proofs_remembered));
    assert_eq!(figures, [(1, 0, 0, 0), (2, 1, 0, 1), (2, 1, 5, 1)]);
    assert_eq!(later.argon2_runs, service.keys.authenticator().argon2_runs());
}

#[tokio::test]
async fn a_hit_that_waits_for_a_read_of_the_log_is_a_hit() {
    let service = service().await;
    service.check_key().await.unwrap();
    service.hooks.hides_head.store(true, Ordering::SeqCst);
    service.check_key().await.unwrap();
    let metrics = service.metrics();
    assert_eq!((metrics.proof_misses, metrics.proof_hits), (1, 1));
}

#[tokio::test]
async fn a_record_that_changed_and_an_unknown_id_are_misses_without_a_run() {
    let service = service().await;
    service.check_key().await.unwrap();
    let later = noon().saturating_add(SECOND);
    service.keys.manager().expire_at(&service.key.id(), later, &system()).await.unwrap();
    service.check_key().await.unwrap();
    let elsewhere = ApiKeys::builder(MemoryStore::new()).hasher(cheap()).build().await.unwrap();
    let unknown = issue(&elsewhere, user("bob")).await;
    service.check(unknown.expose_secret()).await.unwrap_err();
    let metrics = service.metrics();
    assert_eq!((metrics.proof_misses, metrics.argon2_runs, metrics.proofs_remembered), (3, 2, 1));
}

#[tokio::test]
async fn refusals_are_told_apart_by_code_and_reason() {
    let service = service().await;
    service.check_key().await.unwrap();
    let text = service.key.expose_secret();
    for wrong in [&wrong_secret(&service.key), &text[..70], &text[..60], "$API_KEY", ""] {
        service.check(wrong).await.unwrap_err();
    }
    for (lines, status) in [
        (&[][..], 401),
        (&[("x-api-key", text), ("x-api-key", text)], 400),
        (&[("authorization", text)], 401),
        (&[("authorization", "Bearer ghp_tM0r8xGQ2kVb")], 401),
    ] {
        assert_eq!(service.send(lines).await, status, "{lines:?}");
    }
    service.hooks.hides_head.store(true, Ordering::SeqCst);
    service.hooks.fail("changes_since", Fault::Error, 1);
    service.check_key().await.unwrap_err();
    service.keys.manager().revoke(&service.key.id(), &system()).await.unwrap();
    for _ in 0..2 {
        service.check_key().await.unwrap_err();
    }
    let metrics = service.metrics();
    let expected = [
        ("ambiguous_credentials", "", 1),
        ("invalid_key", "", 1),
        ("key_revoked", "", 2),
        ("malformed_key", "empty", 1),
        ("malformed_key", "foreign_credential", 1),
        ("malformed_key", "missing_scheme", 1),
        ("malformed_key", "placeholder", 1),
        ("malformed_key", "truncated", 2),
        ("missing_credentials", "", 1),
        ("store_unavailable", "", 1),
    ];
    assert_eq!(refusals(&metrics), expected);
    assert_eq!((metrics.refused(RefusalCode::MalformedKey), metrics.refused(RefusalCode::KeyExpired)), (6, 0));
}

#[tokio::test]
async fn a_full_queue_is_counted_with_the_checks_it_refused() {
    let store = Arc::new(MemoryStore::new());
    let config = HasherConfig::new().with_threads(1).with_queue(1).with_check_wait(Duration::from_secs(60));
    let node = async || ApiKeys::builder(store.clone()).hasher(config.clone()).clock(clock()).build().await.unwrap();
    let (issuing, checking) = (node().await, node().await);
    let mut texts = Vec::new();
    for _ in 0..8 {
        texts.push(issue(&issuing, team("blue")).await);
    }
    let authenticator = checking.authenticator();
    let checks = texts.iter().map(|key| authenticator.authenticate(key.expose_secret()));
    let mut overloaded = 0;
    for error in join_all(checks).await.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), AuthErrorKind::Overloaded);
        overloaded += 1;
    }
    // All eight arrive before one run ends. One runs and one waits.
    assert!(overloaded > 0, "nothing was refused");
    let metrics = authenticator.metrics();
    assert_eq!((metrics.hashes_refused, metrics.refused(RefusalCode::Overloaded)), (overloaded, overloaded));
    assert_eq!((metrics.argon2_runs, metrics.hash_waits, metrics.hashes_queued), (8 - overloaded, 8 - overloaded, 0));
    let mean = metrics.mean_hash_wait().unwrap();
    assert!(Duration::ZERO < mean && mean <= metrics.hash_wait_longest, "{metrics:?}");
    assert!(metrics.hash_wait_longest <= metrics.hash_wait_total, "{metrics:?}");
}

#[tokio::test]
async fn reads_of_the_log_are_counted_and_the_last_good_one_is_dated() {
    let service = service().await;
    let began = std::time::Instant::now();
    service.hooks.hides_head.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        service.check_key().await.unwrap();
    }
    service.clock.advance(SECOND);
    service.hooks.fail("changes_since", Fault::Error, 2);
    service.check_key().await.unwrap_err();
    // The second read is the node's own, without a request.
    while service.metrics().freshness_reads_failed < 2 {
        tokio::task::yield_now().await;
    }
    let metrics = service.metrics();
    assert_eq!(metrics.freshness_reads, service.hooks.count("changes_since") as u64);
    assert_eq!((metrics.freshness_reads_failed, metrics.last_freshness_read), (2, Some(noon())));
    assert!(metrics.last_freshness_read_age.unwrap() <= began.elapsed());
    after_the_outage().await;
    service.check_key().await.unwrap();
    let (again, later) = (service.metrics(), noon().saturating_add(SECOND));
    assert_eq!((again.freshness_reads_failed, again.last_freshness_read), (2, Some(later)));
}

/// Waits until the node has asked the store again, which works now.
async fn after_the_outage() {
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn flushes_are_counted_and_the_last_good_one_is_dated() {
    let service = service().await;
    service.check_key().await.unwrap();
    service.keys.flush_usage().await.unwrap();
    service.clock.advance(SECOND);
    service.check_key().await.unwrap();
    service.hooks.fail("record_usage", Fault::Error, 1);
    service.keys.flush_usage().await.unwrap_err();
    let metrics = service.metrics();
    let figures = (metrics.usage_flushes, metrics.usage_flushes_failed, metrics.last_usage_flush);
    assert_eq!(figures, (2, 1, Some(noon())));
    service.keys.shutdown().await.unwrap();
    let metrics = service.metrics();
    let figures = (metrics.usage_flushes, metrics.usage_flushes_failed, metrics.last_usage_flush);
    assert_eq!(figures, (3, 1, Some(noon().saturating_add(SECOND))));
}

/// Keeps the metrics that it gets, as an exporter does.
#[derive(Default)]
struct Exporter {
    /// Series by kind, name and labels.
    series: Mutex<BTreeMap<Series, Arc<AtomicU64>>>,
    described: Mutex<Vec<(&'static str, String, Option<Unit>)>>,
    meanings: Mutex<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    kind: &'static str,
    name: String,
    labels: Vec<(String, String)>,
}

impl Exporter {
    fn cell(&self, kind: &'static str, key: &Key) -> Arc<AtomicU64> {
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        let series = Series { kind, name: key.name().to_owned(), labels };
        self.series.lock().unwrap().entry(series).or_default().clone()
    }

    fn describe(&self, kind: &'static str, name: &KeyName, unit: Option<Unit>, meaning: &str) {
        self.meanings.lock().unwrap().push(meaning.to_owned());
        self.described.lock().unwrap().push((kind, name.as_str().to_owned(), unit));
    }

    fn values(&self) -> BTreeMap<Series, u64> {
        let series = self.series.lock().unwrap();
        series.iter().map(|(series, value)| (series.clone(), value.load(Ordering::Relaxed))).collect()
    }

    fn counter(&self, name: &str) -> u64 {
        let of = |(series, value): (Series, u64)| (series.kind == "counter" && series.name == name).then_some(value);
        self.values().into_iter().filter_map(of).sum()
    }

    fn gauge(&self, name: &str) -> Option<f64> {
        let of = |(series, value): (Series, u64)| {
            (series.kind == "gauge" && series.name == name).then(|| f64::from_bits(value))
        };
        self.values().into_iter().find_map(of)
    }

    /// Kinds and names, without the labels.
    fn names(&self) -> BTreeSet<(&'static str, String)> {
        self.values().into_keys().map(|series| (series.kind, series.name)).collect()
    }
}

impl Recorder for Exporter {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe("counter", &name, unit, &meaning);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe("gauge", &name, unit, &meaning);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe("histogram", &name, unit, &meaning);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell("counter", key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell("gauge", key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.cell("histogram", key);
        Histogram::noop()
    }
}

fn published<R: KeyReader>(authenticator: &Authenticator<R>) -> Exporter {
    let exporter = Exporter::default();
    with_local_recorder(&exporter, || authenticator.publish_metrics());
    exporter
}

/// The kind and the name of each metric in the table of the documentation.
fn documented() -> BTreeSet<(&'static str, String)> {
    let rows = include_str!("../../src/auth/mod.rs").lines().filter_map(|line| line.strip_prefix("//! | `api_keys_"));
    let row = |row: &'static str| {
        let mut cells = row.split('|').map(str::trim);
        let name = format!("api_keys_{}", cells.next().unwrap().trim_end_matches('`'));
        (cells.next().unwrap().split(' ').next().unwrap(), name)
    };
    rows.map(row).collect()
}

#[tokio::test]
async fn what_is_published_is_what_the_documentation_lists() {
    let service = service().await;
    service.history().await;
    let exporter = published(&service.keys.authenticator());
    assert_eq!(exporter.names(), documented());
    let described = exporter.described.lock().unwrap();
    let names: BTreeSet<_> = described.iter().map(|(kind, name, _)| (*kind, name.clone())).collect();
    assert_eq!((names, described.len()), (documented(), documented().len()));
    assert!(described.iter().all(|(_, name, unit)| name.ends_with("_seconds") == (*unit == Some(Unit::Seconds))));
}

#[tokio::test]
async fn the_meaning_of_each_figure_is_said_without_another_one() {
    let service = service().await;
    let exporter = published(&service.keys.authenticator());
    let meanings = exporter.meanings.lock().unwrap();
    let leaning = ["those", "there", "they", "one", "ones", "ago", "such", "same", "former", "latter", "above"];
    for meaning in &*meanings {
        let mut words = meaning.split(|character: char| !character.is_alphanumeric());
        assert!(!words.any(|word| leaning.contains(&word)), "{meaning}");
        assert!(meaning.split(' ').count() >= 4, "{meaning}");
    }
    let different: BTreeSet<_> = meanings.iter().collect();
    assert_eq!(different.len(), meanings.len(), "{meanings:#?}");
}

#[tokio::test]
async fn what_is_published_is_what_metrics_says() {
    let service = service().await;
    service.history().await;
    let (exporter, metrics) = (published(&service.keys.authenticator()), service.metrics());
    let counters = [
        ("api_keys_argon2_runs_total", metrics.argon2_runs, 2),
        ("api_keys_hash_waits_total", metrics.hash_waits, 2),
        ("api_keys_hashes_refused_total", metrics.hashes_refused, 0),
        ("api_keys_hashes_taken_over_total", metrics.hashes_taken_over, metrics.hashes_taken_over),
        ("api_keys_proof_hits_total", metrics.proof_hits, 2),
        ("api_keys_proof_misses_total", metrics.proof_misses, 3),
        ("api_keys_stored_proofs_used_total", metrics.stored_proofs_used, 0),
        ("api_keys_refusals_total", metrics.refusals.iter().map(|refusal| refusal.count).sum(), 5),
        ("api_keys_freshness_reads_total", metrics.freshness_reads, service.hooks.count("changes_since") as u64),
        ("api_keys_freshness_reads_failed_total", metrics.freshness_reads_failed, 0),
        ("api_keys_log_resets_total", metrics.log_resets, 0),
        ("api_keys_log_losses_total", metrics.log_losses, 0),
        ("api_keys_usage_flushes_total", metrics.usage_flushes, 2),
        ("api_keys_usage_flushes_failed_total", metrics.usage_flushes_failed, 1),
        ("api_keys_usage_refused_total", metrics.usage_refused, 0),
        ("api_keys_usage_sources_folded_total", metrics.usage_sources_folded, 0),
        ("api_keys_access_log_written_total", metrics.access_log_written, 0),
        ("api_keys_access_log_dropped_total", metrics.access_log_dropped, 0),
    ];
    for (name, said, expected) in counters {
        assert_eq!((exporter.counter(name), said), (expected, expected), "{name}");
    }
    let at_noon = noon().as_millis() as f64 / 1_000.0;
    for (name, expected) in [
        ("api_keys_hashes_queued", 0.0),
        ("api_keys_hash_wait_seconds", metrics.hash_wait_total.as_secs_f64()),
        ("api_keys_hash_wait_longest_seconds", metrics.hash_wait_longest.as_secs_f64()),
        ("api_keys_proofs_remembered", 1.0),
        ("api_keys_proof_capacity", 100_000.0),
        ("api_keys_owners_missing", 1.0),
        ("api_keys_last_freshness_read_timestamp_seconds", at_noon),
        ("api_keys_last_usage_flush_timestamp_seconds", at_noon),
    ] {
        assert_eq!(exporter.gauge(name), Some(expected), "{name}");
    }
    let age = exporter.gauge("api_keys_last_freshness_read_age_seconds").unwrap();
    assert!(age > 0.0 && age <= metrics.last_freshness_read_age.unwrap().as_secs_f64(), "{age}");
}

#[tokio::test]
async fn missing_owners_are_those_of_the_last_look_at_each_organization() {
    let service = service().await;
    assert_eq!(service.metrics().owners_missing, None);
    let acme = service.keys.manager_for(OrganizationId::new("acme").unwrap());
    for owner in ["alice-of-the-ids", "bob"] {
        let _ = acme.issue(IssueKey::user(user(owner)), &system()).await.unwrap();
    }
    let _ = acme.issue(IssueKey::team(team("blue")), &system()).await.unwrap();
    let missing = async |manager: &KeyManager, request| {
        manager.reconcile(request, &system()).await.unwrap();
        service.metrics().owners_missing
    };
    assert_eq!(missing(&service.keys.manager(), Reconcile::report()).await, Some(1));
    assert_eq!(missing(&acme, Reconcile::report().of_kind(KeyKind::User)).await, Some(3));
    assert_eq!(missing(&acme, Reconcile::report()).await, Some(4));
    // Owners that were closed are no longer missing.
    let bob = Reconcile::close([user("bob").into()]).even_if_many();
    assert_eq!(missing(&acme, bob).await, Some(3));
    acme.close(&user("alice-of-the-ids").into(), &system()).await.unwrap();
    assert_eq!(service.metrics().owners_missing, Some(3), "until somebody looks again");
    assert_eq!(missing(&acme, Reconcile::report().of_kind(KeyKind::Team)).await, Some(3));
    assert_eq!(missing(&acme, Reconcile::report()).await, Some(2));
}

#[tokio::test]
async fn what_has_not_happened_yet_has_no_date() {
    let exporter = published(&Authenticator::new(MemoryStore::new(), AuthSettings::new()).unwrap());
    assert!(exporter.names().iter().all(|(_, name)| !name.starts_with("api_keys_last_")), "{:?}", exporter.names());
    assert_eq!(exporter.values().values().filter(|value| **value > 0).count(), 1, "the capacity alone is not 0");
}

#[tokio::test]
async fn the_only_labels_are_code_and_reason_and_no_figure_has_an_id() {
    let service = service().await;
    let manager = service.keys.manager_for(OrganizationId::new("org-of-the-ids").unwrap());
    let issued = manager.issue(IssueKey::team(team("team-of-the-ids")), &system()).await.unwrap();
    secrets::remember(issued.plaintext().expose_secret());
    service.check(issued.plaintext().expose_secret()).await.unwrap();
    service.history().await;
    let exporter = published(&service.keys.authenticator());
    let codes: BTreeSet<_> = service.metrics().refusals.iter().map(in_words).collect();
    for series in exporter.values().into_keys() {
        let labels: Vec<_> = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match labels[..] {
            [] => assert_ne!(series.name, "api_keys_refusals_total"),
            [("code", code), ("reason", reason)] => assert!(codes.contains(&(code, reason)), "{series:?}"),
            _ => panic!("{series:?}"),
        }
    }
    let text = format!("{:?} {:?} {:?}", exporter.values(), exporter.described, service.metrics());
    let (id, other) = (service.key.id(), issued.info().id);
    for id in [id.as_str(), other.as_str(), "alice-of-the-ids", "team-of-the-ids", "org-of-the-ids"] {
        assert!(!text.contains(id), "{id} is in {text}");
    }
}

#[tokio::test]
async fn what_figures_mean_is_told_once() {
    let service = service().await;
    let exporter = Exporter::default();
    let authenticator = service.keys.authenticator();
    with_local_recorder(&exporter, || (0..3).for_each(|_| authenticator.publish_metrics()));
    assert_eq!(exporter.described.lock().unwrap().len(), documented().len());
}

#[tokio::test]
async fn figures_are_published_when_usage_was_written() {
    let exporter = Exporter::default();
    let _guard = set_default_local_recorder(&exporter);
    let service = service().await;
    service.check_key().await.unwrap();
    assert!(exporter.values().is_empty(), "a check has spoken to the recorder");
    // The clock of the runtime now jumps to the next timer.
    tokio::time::pause();
    for _ in 0..60 {
        tokio::time::sleep(SECOND).await;
        if !exporter.values().is_empty() {
            break;
        }
    }
    assert_eq!(exporter.counter("api_keys_usage_flushes_total"), 1);
    assert_eq!(exporter.counter("api_keys_proof_misses_total"), 1);
}

/// Captures the log of this thread until the guard is dropped.
fn log(level: tracing::Level) -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).without_time();
    let writer = log.clone();
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_once_that_the_store_does_not_answer_and_once_that_it_does_again() {
    let service = service().await;
    service.check_key().await.unwrap();
    service.hooks.hides_head.store(true, Ordering::SeqCst);
    service.hooks.fail("changes_since", Fault::Error, usize::MAX);
    let (log, _guard) = log(tracing::Level::INFO);
    let refuse = async |requests| {
        for _ in 0..requests {
            service.check_key().await.unwrap_err();
        }
    };
    refuse(1_000).await;
    tokio::time::pause();
    // Once a minute, the log has their number.
    tokio::time::advance(Duration::from_secs(60)).await;
    refuse(100).await;
    service.hooks.heal();
    tokio::time::resume();
    after_the_outage().await;
    service.check_key().await.unwrap();
    service.check_key().await.unwrap();
    let told = log.lines();
    let of_store: Vec<_> = told.iter().filter(|line| line.contains("the key store")).collect();
    assert_eq!((told.len(), of_store.len()), (3, 3), "{told:?}");
    let expected = [
        "WARN tower_api_keys::auth::trouble: the key store does not answer: requests that need it are refused until it does \
         error=the key store is unavailable error.sources=[the test says so]",
        "WARN tower_api_keys::auth::trouble: the key store still does not answer: requests are refused refused=1001",
        "INFO tower_api_keys::auth::trouble: the key store answers again refused=99",
    ];
    assert_eq!(of_store, expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_store_that_comes_and_goes_all_the_time_is_two_lines_a_minute() {
    let service = service().await;
    service.check_key().await.unwrap();
    service.hooks.hides_head.store(true, Ordering::SeqCst);
    let (log, _guard) = log(tracing::Level::INFO);
    tokio::time::pause();
    for _ in 0..100 {
        service.hooks.fail("changes_since", Fault::Error, 1);
        service.check_key().await.unwrap_err();
        tokio::time::sleep(SECOND / 5).await;
        service.check_key().await.unwrap();
    }
    let told = log.lines();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("the key store does not answer") && told[1].contains("answers again"), "{told:?}");
    tokio::time::sleep(SECOND * 40).await;
    service.hooks.fail("changes_since", Fault::Error, 1);
    service.check_key().await.unwrap_err();
    tokio::time::sleep(SECOND / 5).await;
    let told = log.lines();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[3].ends_with("the key store answers again refused=100"), "{told:?}");
}

/// A line about the first kind does not suppress a line about the second.
#[tokio::test]
async fn the_log_tells_of_each_kind_of_trouble_by_itself() {
    let service = service().await;
    let end = service.clock.now().saturating_add(SECOND * 86_400);
    let mortal = service.keys.manager().issue(IssueKey::user(user("bob")).expires_at(end), &system()).await.unwrap();
    let mortal = mortal.into_plaintext();
    secrets::remember(mortal.expose_secret());
    let (log, _guard) = log(tracing::Level::INFO);
    service.clock.set_wall_clock(end);
    for _ in 0..10 {
        assert_eq!(service.check(mortal.expose_secret()).await, Err(AuthErrorKind::ClockUnsure));
    }
    service.hooks.fail("find", Fault::Error, 1);
    assert_eq!(service.check_key().await, Err(AuthErrorKind::StoreUnavailable));
    let told: Vec<_> = log.lines().into_iter().filter(|line| line.contains("a key could not be checked")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("clock_unsure") && told[1].contains("store_unavailable"), "{told:?}");
}

/// Two servers behind one name. One lacks changes that the other has.
struct TwoServers(AtomicU64);

impl KeyReader for TwoServers {
    async fn find(&self, _: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        Ok(None)
    }

    async fn changes_since(&self, _: Option<Head>) -> Result<Changes, StoreError> {
        let server = self.0.fetch_add(1, Ordering::SeqCst) % 2;
        Ok(Changes::Reset { head: Head { position: 7, change: [server as u8; 16] } })
    }
}

#[tokio::test]
async fn servers_that_contradict_each_other_are_told_of_once_and_then_counted() {
    let settings = AuthSettings::new().with_hasher(cheap());
    let authenticator = Authenticator::new(TwoServers(AtomicU64::new(0)), settings).unwrap();
    let unknown = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    let (log, _guard) = log(tracing::Level::INFO);
    for _ in 0..100 {
        assert_eq!(
            authenticator.authenticate(unknown.expose_secret()).await.unwrap_err().kind(),
            AuthErrorKind::Invalid
        );
    }
    assert_eq!(authenticator.metrics().log_losses, 99);
    let told: Vec<_> = log.lines().into_iter().filter(|line| line.contains("lost changes")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn the_log_tells_when_usage_is_written_again() {
    let service = service().await;
    service.check_key().await.unwrap();
    let (log, _guard) = log(tracing::Level::INFO);
    service.hooks.fail("record_usage", Fault::Error, 1);
    service.keys.flush_usage().await.unwrap_err();
    service.keys.flush_usage().await.unwrap();
    service.keys.flush_usage().await.unwrap();
    let told: Vec<_> = log.lines().into_iter().filter(|line| line.contains("usage is written again")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn the_log_names_the_key_whose_record_cannot_be_read_also_where_nothing_is_managed() {
    secrets::capture_log();
    let store = Arc::new(MemoryStore::new());
    let key = issue(&keys(store.clone(), &clock()).await, user("alice")).await;
    let hooked = Hooked::new(store);
    hooked.hooks.alter(|found| found.key.scopes = "two  spaces".into());
    let authenticator = Authenticator::new(hooked, AuthSettings::new().with_hasher(cheap())).unwrap();
    let (log, _guard) = log(tracing::Level::INFO);
    authenticator.authenticate(key.expose_secret()).await.unwrap_err();
    let expected =
        format!("something is wrong with a stored key action=\"key.unreadable\" key=\"{}\" times=1", key.id());
    assert!(log.lines().iter().any(|line| line.starts_with("WARN ") && line.ends_with(&expected)), "{:?}", log.lines());
}

#[tokio::test]
async fn the_log_names_a_key_that_is_refused_only_if_it_is_in_the_store() {
    let service = service().await;
    let elsewhere = ApiKeys::builder(MemoryStore::new()).hasher(cheap()).build().await.unwrap();
    let unknown = issue(&elsewhere, user("bob")).await;
    let (log, _guard) = log(tracing::Level::TRACE);
    service.check(unknown.expose_secret()).await.unwrap_err();
    service.check(&wrong_secret(&service.key)).await.unwrap_err();
    let log = log.lines().join("\n");
    assert!(log.contains(&format!("a key was refused code=\"invalid_key\" key=\"{}\"", service.key.id())), "{log}");
    assert!(!log.contains(unknown.id().as_str()), "{log}");
}
