//! A service that checks that it is ready, and helper functions.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};

use super::script::Scripted;
pub(super) use super::script::{BEARER, KEY, STRANGE, Script, WRONG};
use crate::{
    key::KeyId,
    middleware::{body::ResponseBody, service::ApiKeyService, settings::Settings},
    owner::{OrganizationId, Owner, OwnerRef, UserId},
    principal::{Claims, Principal, SharedOwner},
    scope::Scopes,
};

pub(super) type Gate<S> = ApiKeyService<S, Scripted>;

/// An id that no authenticator of these tests has.
pub(super) const ABROAD: u32 = u32::MAX;

/// A principal proved by the authenticator with this id.
pub(super) fn proved_by(id: u32, user: &str) -> Principal {
    proved_by_key(id, user, "AAECAwQFBgcICQoLDA0O")
}

pub(super) fn proved_by_key(id: u32, user: &str, key: &str) -> Principal {
    Principal::new(Claims {
        owner: SharedOwner::new(OwnerRef {
            organization: OrganizationId::single(),
            owner: Owner::User(UserId::new(user).unwrap()),
        }),
        key: KeyId::new(key).unwrap(),
        particulars: crate::principal::Particulars::new("", None, None, None),
        scopes: Scopes::all(),
        expires_at: None,
        proved_by: id,
    })
}

/// What the inner service saw of a request.
#[derive(Clone, Debug)]
pub(super) struct SeenRequest {
    pub(super) headers: HeaderMap,
    pub(super) user: Option<String>,
}

/// Answers 200 with `response`; panics if it is called without having been polled ready since its last call.
pub(super) struct Inner {
    ready: bool,
    pub(super) seen: Arc<Mutex<Vec<SeenRequest>>>,
    pub(super) alive: Arc<AtomicUsize>,
    pub(super) answer: Arc<dyn Fn() -> Response<Full<Bytes>> + Send + Sync>,
}

impl Inner {
    pub(super) fn new() -> Self {
        Self::answering(|| Response::new(Full::from("hello")))
    }

    pub(super) fn answering(answer: impl Fn() -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let alive = Arc::new(AtomicUsize::new(1));
        Self { ready: false, seen: Arc::default(), alive, answer: Arc::new(answer) }
    }

    pub(super) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Self { ready: false, seen: self.seen.clone(), alive: self.alive.clone(), answer: self.answer.clone() }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<B> Service<Request<B>> for Inner {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        let user =
            request.extensions().get::<Principal>().and_then(|caller| caller.user()).map(|user| user.to_string());
        self.seen.lock().unwrap().push(SeenRequest { headers: request.headers().clone(), user });
        ready(Ok((self.answer)()))
    }
}

/// A service behind a layer with these settings.
pub(super) fn gate<S>(inner: S, script: &Script, change: impl FnOnce(&mut Settings)) -> Gate<S> {
    let mut settings = Settings::default();
    change(&mut settings);
    ApiKeyService { inner, authenticator: script.authenticator.clone(), settings: Arc::new(settings) }
}

pub(super) fn request(lines: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from("a body"));
    for (name, value) in lines {
        request
            .headers_mut()
            .append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request
}

/// A gRPC call.
pub(super) fn call(lines: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut call = request(lines);
    *call.method_mut() = Method::POST;
    *call.version_mut() = Version::HTTP_2;
    call.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    call
}

pub(super) async fn send<S>(service: S, request: Request<Full<Bytes>>) -> Response<ResponseBody<Full<Bytes>>>
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResponseBody<Full<Bytes>>>, Error = Infallible>,
{
    service.oneshot(request).await.unwrap()
}

/// The whole answer as text: status, headers by name, an empty line, body.
pub(super) async fn text(response: Response<ResponseBody<Full<Bytes>>>) -> String {
    let (parts, body) = response.into_parts();
    let mut lines: Vec<_> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    lines.sort();
    let body = body.collect().await.unwrap().to_bytes();
    format!("{}\n{}\n{}", parts.status.as_u16(), lines.concat(), std::str::from_utf8(&body).unwrap())
}
