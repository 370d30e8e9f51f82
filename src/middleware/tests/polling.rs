//! Readiness, waiting, and dropping.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use tower::{Service, ServiceExt};
use tower_test::{assert_request_eq, mock};

use super::support::*;
use crate::{
    middleware::{
        RequireKeyLayer,
        credentials::Carried,
        future::{PendingAnswer, ResponseFuture},
        readiness::Unready,
    },
    owner::TeamId,
};

fn keyed() -> Request<Full<Bytes>> {
    request(&[("x-api-key", KEY)])
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    let (inner, mut handle) = mock::pair::<Request<()>, Response<Full<Bytes>>>();
    let gate = gate(inner, &Script::accepting(), |_| {});
    let mut service = Polled(gate);
    handle.allow(0);
    assert!(service.poll_ready::<()>().is_pending());
    handle.allow(1);
    assert!(service.poll_ready::<()>().is_ready());
    handle.send_error("down");
    assert!(matches!(service.poll_ready::<()>(), Poll::Ready(Err(_))));
}

/// Polls a service without a runtime.
struct Polled<S>(S);

impl<S> Polled<S> {
    fn poll_ready<B>(&mut self) -> Poll<Result<(), S::Error>>
    where
        S: Service<Request<B>>,
    {
        self.0.poll_ready(&mut Context::from_waker(Waker::noop()))
    }

    fn ready_call<B>(&mut self, request: Request<B>) -> S::Future
    where
        S: Service<Request<B>>,
    {
        assert!(self.poll_ready::<B>().is_ready());
        self.0.call(request)
    }
}

/// `Inner` panics if the service that is called is not the one that was polled ready.
#[tokio::test]
async fn a_service_that_is_polled_ready_is_called_at_once_when_the_check_is_ready() {
    let inner = Inner::new();
    let alive = inner.alive.clone();
    let mut service = gate(inner, &Script::accepting(), |_| {});
    for _ in 0..2 {
        ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
        let future = service.call(keyed());
        assert_eq!(alive.load(Ordering::SeqCst), 1, "cloned for nothing");
        future.await.unwrap();
    }
}

#[tokio::test]
async fn requests_that_waited_call_a_service_that_is_ready() {
    let mut service = gate(Inner::new(), &Script::accepting_late(), |_| {});
    let mut futures = Vec::new();
    for _ in 0..3 {
        ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
        futures.push(service.call(keyed()));
    }
    for future in futures {
        assert_eq!(future.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn an_unready_service_stays_unready_after_a_pending_check() {
    let mut service = gate(Inner::new(), &Script::reading(pending), |_| {});
    ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
    let _waiting = service.call(keyed());
    // A fresh clone is left behind, and it has to be polled ready before it is called.
    ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
    let _waiting_too = service.call(keyed());
}

/// A body that panics when it is polled, and shows by its count whether it still exists.
struct Unread(#[expect(dead_code, reason = "held, not read")] Arc<()>);

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body of a request that is not let through was polled");
    }
}

fn with_body(held: &Arc<()>) -> Request<Unread> {
    keyed().map(|_| Unread(Arc::clone(held)))
}

fn poll<S, ResB>(future: &mut Pin<Box<ResponseFuture<S, Unread>>>) -> bool
where
    S: Service<Request<Unread>, Response = Response<ResB>>,
{
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_dropped_wait_gives_everything_back() {
    let (check, held) = (Arc::new(()), Arc::new(()));
    let in_check = check.clone();
    let question = PendingAnswer::Key {
        check: Box::pin(async move {
            let _in_check = in_check;
            pending().await
        }),
        carried: Carried { authorization: false, key_header: true },
        settings: Arc::default(),
    };
    let mut inner = Inner::new();
    let alive = inner.alive.clone();
    let mut future = Box::pin(ResponseFuture::waiting(question, Unready::new(&mut inner, with_body(&held))));
    assert!(!poll(&mut future));
    assert!(!poll(&mut future));
    assert_eq!((Arc::strong_count(&held), alive.load(Ordering::SeqCst)), (2, 2));
    assert_eq!(Arc::strong_count(&check), 2);
    drop(future);
    assert_eq!((Arc::strong_count(&held), alive.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(Arc::strong_count(&check), 1);
}

/// The same for the whole layer, as far as it is visible from outside.
#[tokio::test]
async fn a_request_that_is_dropped_while_its_key_is_checked_gives_everything_back() {
    let held = Arc::new(());
    let inner = Inner::new();
    let alive = inner.alive.clone();
    let mut service = Polled(gate(inner, &Script::reading(pending), |_| {}));
    let mut future = Box::pin(service.ready_call(with_body(&held)));
    assert!(!poll(&mut future));
    assert!(!poll(&mut future));
    assert_eq!((Arc::strong_count(&held), alive.load(Ordering::SeqCst)), (2, 2));
    drop(future);
    assert_eq!((Arc::strong_count(&held), alive.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn a_refused_request_is_dropped_unread_before_its_answer_is_polled() {
    let held = Arc::new(());
    let mut service = Polled(gate(Inner::new(), &Script::expired_since(), |_| {}));
    let mut future = Box::pin(service.ready_call(with_body(&held)));
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(poll(&mut future));
}

#[tokio::test]
async fn a_request_refused_after_a_wait_is_dropped_unread() {
    let held = Arc::new(());
    let inner = Inner::new();
    let alive = inner.alive.clone();
    let mut service = Polled(gate(inner, &Script::revoked_late(), |_| {}));
    let mut future = Box::pin(service.ready_call(with_body(&held)));
    assert_eq!((Arc::strong_count(&held), poll(&mut future)), (2, false));
    while !poll(&mut future) {
        tokio::task::yield_now().await;
    }
    assert_eq!((Arc::strong_count(&held), alive.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn errors_are_the_inner_services_own() {
    let failing = || tower::service_fn(async |_: Request<Full<Bytes>>| Err::<Response<Full<Bytes>>, _>("inner"));
    let warm = gate(failing(), &Script::accepting(), |_| {});
    assert_eq!(warm.oneshot(keyed()).await.unwrap_err(), "inner");
    assert_eq!(gate(failing(), &Script::accepting_late(), |_| {}).oneshot(keyed()).await.unwrap_err(), "inner");
    assert_eq!(gate(failing(), &Script::unavailable(), |_| {}).oneshot(keyed()).await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_mock_service_is_called_once_and_its_answer_comes_back() {
    let (inner, mut handle) = mock::pair::<&'static str, Response<Full<Bytes>>>();
    let inner = inner.map_request(|request: Request<()>| {
        assert!(request.headers().is_empty());
        "called"
    });
    let answer = tokio::spawn(gate(inner, &Script::accepting(), |_| {}).oneshot(keyed().map(|_| ())));
    assert_request_eq!(handle, "called").send_response(Response::new(Full::from("answer")));
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}

#[test]
fn futures_are_send_over_services_that_are() {
    fn is_send<T: Send>(_: &T) {}
    let mut service = Polled(gate(Inner::new(), &Script::accepting(), |_| {}));
    is_send(&service.ready_call(keyed()));
}

#[test]
fn nothing_but_the_inner_service_has_to_be_send() {
    let not_send = std::rc::Rc::new(());
    let inner = tower::service_fn(move |_: Request<()>| {
        let held = not_send.clone();
        async move {
            drop(held);
            Ok::<_, Infallible>(Response::new(std::rc::Rc::new(())))
        }
    });
    let mut service = Polled(gate(inner, &Script::accepting(), |_| {}));
    let future = std::pin::pin!(service.ready_call(keyed().map(|_| ())));
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[test]
fn a_dropped_question_of_membership_gives_everything_back() {
    let held = Arc::new(());
    let layer =
        RequireKeyLayer::new().team(|_| TeamId::new("blue").ok()).membership(|_| pending::<Result<bool, Infallible>>());
    let inner = Inner::new();
    let alive = inner.alive.clone();
    let mut service = Polled(tower::Layer::layer(&layer, inner));
    let mut request = with_body(&held);
    request.extensions_mut().insert(proved_by(ABROAD, "alice"));
    let mut future = Box::pin(service.ready_call(request));
    assert!(!poll(&mut future));
    drop(future);
    assert_eq!((Arc::strong_count(&held), alive.load(Ordering::SeqCst)), (1, 1));
}
