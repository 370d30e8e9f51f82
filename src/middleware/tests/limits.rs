//! Limits inside a layer are for requests that were let in.

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::oneshot;
use tower::{
    Layer, Service, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit, load_shed::LoadShed, util::BoxCloneService,
};
use tower_test::mock;

use super::support::*;
use crate::{
    auth::{Accepted, AuthError},
    middleware::{
        MembershipQuestion, RequireKeyLayer, RequireKeyService,
        credentials::Carried,
        future::{PendingAnswer, ResponseFuture},
        readiness::Unready,
    },
    owner::{KeyKind, OrganizationId, TeamId},
};

type Limited = ConcurrencyLimit<Inner>;

fn limit_of_one() -> Limited {
    ConcurrencyLimit::new(Inner::new(), 1)
}

fn keyed() -> Request<Full<Bytes>> {
    request(&[("x-api-key", KEY)])
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The request of a stranger, with a key that the store never answers for.
fn strange() -> Request<Full<Bytes>> {
    request(&[("x-api-key", STRANGE)])
}

/// A request that waits for this check, and then for the service.
fn checked_by(
    inner: &mut Limited,
    check: impl Future<Output = Result<Accepted, AuthError>> + Send + 'static,
) -> Pin<Box<ResponseFuture<Limited, Full<Bytes>>>> {
    let carried = Carried { authorization: false, key_header: true };
    let question = PendingAnswer::Key { check: Box::pin(check), carried, settings: Arc::default() };
    Box::pin(ResponseFuture::waiting(question, Unready::new(inner, keyed())))
}

fn accepted() -> Accepted {
    Accepted { principal: proved_by(ABROAD, "alice"), seen: None }
}

async fn readied<S: Service<Request<Full<Bytes>>>>(service: &mut S) -> &mut S {
    let ready = tokio::time::timeout(Duration::from_secs(1), service.ready()).await;
    ready.expect("something holds the limit").unwrap_or_else(|_| panic!("not ready"))
}

/// Calls the service like a server that keeps it for one connection, and leaves both open.
async fn wait_in<S>(service: &mut S, request: Request<Full<Bytes>>) -> Pin<Box<S::Future>>
where
    S: Service<Request<Full<Bytes>>>,
{
    let mut future = Box::pin(readied(service).await.call(request));
    assert!(poll(&mut future).is_pending());
    future
}

/// The status of an answer without a noticeable wait; time passes by itself in these tests.
async fn at_once<S, ResB>(service: S, request: Request<Full<Bytes>>) -> Option<u16>
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResB>>,
{
    let answer = tokio::time::timeout(Duration::from_secs(1), service.oneshot(request)).await.ok()?;
    answer.ok().map(|response| response.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn a_known_key_passes_a_limit_of_one_while_strangers_wait() {
    let mut service = gate(limit_of_one(), &Script::hiding_strangers(), |_| {});
    let mut connections = [service.clone(), service.clone(), service.clone()];
    let mut waiting = Vec::new();
    for connection in &mut connections {
        waiting.push(wait_in(connection, strange()).await);
    }
    assert_eq!(at_once(service.clone(), keyed()).await, Some(200));
    // The strangers' own connections hold nothing either, and still work.
    assert_eq!(at_once(&mut connections[0], keyed()).await, Some(200));
    assert_eq!(at_once(&mut service, keyed()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn a_known_key_passes_a_full_queue_while_a_stranger_waits() {
    let mut service = gate(Buffer::new(Inner::new(), 1), &Script::hiding_strangers(), |_| {});
    let _waiting = wait_in(&mut service, strange()).await;
    assert_eq!(at_once(service.clone(), keyed()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn no_load_is_shed_for_strangers_that_wait() {
    let mut service = gate(LoadShed::new(limit_of_one()), &Script::hiding_strangers(), |_| {});
    let _waiting = wait_in(&mut service, strange()).await;
    assert_eq!(at_once(service.clone(), keyed()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn a_boxed_service_gives_its_limit_back_too() {
    let mut service = gate(BoxCloneService::new(limit_of_one()), &Script::hiding_strangers(), |_| {});
    let _waiting = wait_in(&mut service, strange()).await;
    assert_eq!(at_once(service.clone(), keyed()).await, Some(200));
}

/// A connection that is silent after its request was refused.
#[tokio::test(start_paused = true)]
async fn a_refused_connection_holds_no_limit() {
    for (lines, script) in [
        (&[][..], Script::accepting()),
        (&[("x-api-key", "")], Script::accepting()),
        (&[("x-api-key", KEY), ("x-api-key", KEY)], Script::accepting()),
        (&[("x-api-key", WRONG)], Script::accepting()),
        (&[("x-api-key", KEY)], Script::expired_since()),
        (&[("x-api-key", STRANGE)], Script::accepting()),
        (&[("x-api-key", KEY)], Script::unavailable()),
    ] {
        let limited = limit_of_one();
        let mut stranger = gate(limited.clone(), &script, |_| {});
        let response = readied(&mut stranger).await.call(request(lines)).await.unwrap();
        assert!(!response.status().is_success());
        assert_eq!(at_once(gate(limited, &Script::accepting(), |_| {}), keyed()).await, Some(200), "{lines:?}");
    }
}

/// A good key at the layer of another organization, known at once, after a wait, or from a layer further out.
#[tokio::test(start_paused = true)]
async fn a_connection_of_another_organization_holds_no_limit() {
    let of_acme = |inner: Limited, script: &Script| {
        gate(inner, script, |settings| settings.organization = Some(OrganizationId::new("acme").unwrap()))
    };
    let outer = Script::accepting();
    let mut proved = request(&[]);
    proved.extensions_mut().insert(proved_by(outer.authenticator.id(), "alice"));
    for (script, request) in [(Script::accepting(), keyed()), (Script::accepting_late(), keyed()), (outer, proved)] {
        let limited = limit_of_one();
        let mut stranger = of_acme(limited.clone(), &script);
        assert_eq!(readied(&mut stranger).await.call(request).await.unwrap().status(), 403);
        assert_eq!(at_once(gate(limited, &Script::accepting(), |_| {}), keyed()).await, Some(200));
    }
}

fn for_blue() -> RequireKeyLayer {
    RequireKeyLayer::new().team(|_| TeamId::new("blue").ok())
}

fn by_alice() -> Request<Full<Bytes>> {
    let mut request = request(&[]);
    request.extensions_mut().insert(proved_by(ABROAD, "alice"));
    request
}

#[tokio::test(start_paused = true)]
async fn a_question_of_membership_holds_no_limit() {
    let limited = limit_of_one();
    let mut asking = for_blue().membership(|_| pending::<Result<bool, Infallible>>()).layer(limited.clone());
    let _waiting = wait_in(&mut asking, by_alice()).await;
    let known = for_blue().membership(|_| ready(Ok::<_, Infallible>(true))).layer(limited);
    assert_eq!(at_once(known, by_alice()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_the_right_holds_no_limit() {
    let limited = limit_of_one();
    let mut service: RequireKeyService<_> = RequireKeyLayer::new().kind(KeyKind::Team).layer(limited.clone());
    assert_eq!(readied(&mut service).await.call(by_alice()).await.unwrap().status(), 403);
    assert_eq!(at_once(RequireKeyLayer::new().layer(limited), by_alice()).await, Some(200));
}

/// For every answer, and for none because the service's own function panics.
#[tokio::test(start_paused = true)]
async fn a_question_that_was_answered_with_no_holds_no_limit() {
    type Answer = Result<bool, std::io::Error>;
    async fn panics(_: MembershipQuestion) -> Answer {
        panic!("a bug of the service")
    }
    let answers: [fn() -> Answer; 2] = [|| Ok(false), || Err(std::io::Error::other("directory down"))];
    for (answer, status) in answers.into_iter().zip([403, 503]) {
        let limited = limit_of_one();
        let mut service = for_blue().membership(move |_| async move { answer() }).layer(limited.clone());
        assert_eq!(readied(&mut service).await.call(by_alice()).await.unwrap().status(), status);
        assert_eq!(at_once(RequireKeyLayer::new().layer(limited), by_alice()).await, Some(200));
    }
    let limited = limit_of_one();
    let mut service = for_blue().membership(panics).layer(limited.clone());
    let mut future = Box::pin(readied(&mut service).await.call(by_alice()));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut future).is_ready())).is_err());
    assert_eq!(at_once(RequireKeyLayer::new().layer(limited), by_alice()).await, Some(200));
}

/// The outer layer is warm and passes its readiness on; the inner one waits.
#[tokio::test(start_paused = true)]
async fn a_limit_inside_of_two_layers_is_given_back_by_the_one_that_waits() {
    let (limited, script) = (limit_of_one(), Script::accepting());
    let layers = |membership: RequireKeyLayer| gate(membership.layer(limited.clone()), &script, |_| {});
    let mut asking = layers(for_blue().membership(|_| pending::<Result<bool, Infallible>>()));
    let _waiting = wait_in(&mut asking, keyed()).await;
    assert_eq!(at_once(layers(RequireKeyLayer::new()), keyed()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_holds_no_limit() {
    let limited = limit_of_one();
    let mut own = limited.clone();
    let mut future = checked_by(readied(&mut own).await, async { panic!("a bug of the check") });
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut future).is_ready())).is_err());
    let known = gate(limited, &Script::accepting(), |_| {});
    assert_eq!(at_once(known, keyed()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_holds_no_limit() {
    let limited = limit_of_one();
    let mut service = gate(limited.clone(), &Script::finding(|_| panic!("a bug of the store")), |_| {});
    assert_eq!(readied(&mut service).await.call(keyed()).await.unwrap().status(), 503);
    assert_eq!(at_once(gate(limited, &Script::accepting(), |_| {}), keyed()).await, Some(200));
}

/// A check that ends on a signal.
fn until_told() -> (oneshot::Sender<()>, Script) {
    let (tell, told) = oneshot::channel::<()>();
    let told = told.shared();
    let script = Script::reading(move || {
        let told = told.clone();
        async move {
            let _ = told.await;
        }
    });
    (tell, script)
}

/// Polls until the check is answered, which leaves the request waiting.
async fn until_checked<F: Future>(waiting: &mut Pin<Box<F>>, script: &Script) {
    while script.hits() == 0 {
        assert!(poll(waiting).is_pending(), "called without a permit");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_let_in_waits_for_the_limit_and_is_then_called() {
    let (tell, script) = until_told();
    let limited = limit_of_one();
    let mut service = gate(limited.clone(), &script, |_| {});
    let mut waiting = wait_in(&mut service, keyed()).await;
    let mut holder = limited.clone();
    readied(&mut holder).await;
    tell.send(()).unwrap();
    until_checked(&mut waiting, &script).await;
    assert!(poll(&mut waiting).is_pending(), "called without a permit");
    assert_eq!(limited.get_ref().calls(), 0);
    drop(holder);
    assert_eq!(waiting.await.unwrap().status(), 200);
    assert_eq!(limited.get_ref().calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_while_it_waits_for_the_limit_leaves_it_to_others() {
    let (tell, script) = until_told();
    let limited = limit_of_one();
    let mut service = gate(limited.clone(), &script, |_| {});
    let mut waiting = wait_in(&mut service, keyed()).await;
    let mut holder = limited.clone();
    readied(&mut holder).await;
    tell.send(()).unwrap();
    until_checked(&mut waiting, &script).await;
    assert!(poll(&mut waiting).is_pending());
    drop(waiting);
    drop(holder);
    assert_eq!(at_once(gate(limited, &Script::accepting(), |_| {}), keyed()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_after_the_wait_is_the_inner_services_own() {
    let (inner, mut handle) = mock::pair::<Request<Full<Bytes>>, Response<Full<Bytes>>>();
    let (tell, script) = until_told();
    let mut service = gate(inner, &script, |_| {});
    let waiting = wait_in(&mut service, keyed()).await;
    handle.send_error("down");
    tell.send(()).unwrap();
    assert_eq!(waiting.await.unwrap_err().to_string(), "down");
}

/// Counts how often it is polled; panics if it is called without having been polled ready.
#[derive(Clone)]
struct Counting {
    polls: Arc<AtomicUsize>,
    inner: Inner,
}

impl Service<Request<Full<Bytes>>> for Counting {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = <Inner as Service<Request<Full<Bytes>>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        Service::<Request<Full<Bytes>>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        self.inner.call(request)
    }
}

#[tokio::test]
async fn a_service_is_polled_once_for_a_request_and_once_more_for_one_that_waited_and_was_let_in() {
    for (script, polls) in
        [(Script::accepting(), 1), (Script::expired_since(), 1), (Script::revoked(), 1), (Script::accepting_late(), 2)]
    {
        let counted = Arc::new(AtomicUsize::new(0));
        let inner = Counting { polls: counted.clone(), inner: Inner::new() };
        let service: Gate<Counting> = gate(inner, &script, |_| {});
        service.oneshot(keyed()).await.unwrap();
        assert_eq!(counted.load(Ordering::SeqCst), polls);
    }
}

/// The data of a check is dropped before the request waits for the inner service.
#[tokio::test(start_paused = true)]
async fn a_check_that_was_answered_holds_nothing_while_its_request_waits_for_the_limit() {
    struct Place(Arc<AtomicBool>);
    impl Drop for Place {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let given_back = Arc::new(AtomicBool::new(false));
    let place = Place(given_back.clone());
    // Kept for as long as the future is, answered or not.
    let check = poll_fn(move |_| {
        let _ = &place;
        Poll::Ready(Ok(accepted()))
    });
    let limited = limit_of_one();
    let mut own = limited.clone();
    let mut waiting = checked_by(readied(&mut own).await, check);
    let mut holder = limited.clone();
    readied(&mut holder).await;
    assert!(poll(&mut waiting).is_pending());
    assert!(given_back.load(Ordering::SeqCst));
    drop(holder);
    assert_eq!(waiting.await.unwrap().status(), 200);
}
