//! The answers at `/check`: who has the key, or the refusal of the layer.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, FORWARDED},
};
use http_body_util::{Either, Empty, Full};
use hyper::body::{Bytes, Incoming};
use tower_api_keys::{
    Principal, Refusal, RefusalCode,
    middleware::{ApiKeyService, RequireKeyLayer, ResponseBody, ResponseFuture},
    store::AnyStore,
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    asked::asked_at,
    headers::{self, REFUSAL},
    listen::Peer,
    log::{Complaint, Log},
    metrics::Answers,
    rate::Rate,
    settings::Proxies,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

type Said = Either<Empty<Bytes>, ResponseBody<Empty<Bytes>>>;
type Judged = ResponseBody<ResponseBody<Said>>;
/// The body of an answer.
pub(super) type Body = Either<Judged, Full<Bytes>>;

/// In the extensions of the only answer that lets a request through.
#[derive(Clone, Copy)]
struct Allowed;

/// Answers the questions of proxies.
#[derive(Clone)]
pub(super) struct Check {
    keys: ApiKeyService<Judge, AnyStore>,
    shared: Arc<Shared>,
}

struct Shared {
    proxies: Option<Proxies>,
    log: Arc<Log>,
    answers: Answers,
}

impl Check {
    pub(super) fn new(
        keys: &tower_api_keys::ApiKeyLayer<AnyStore>,
        rate: Option<Arc<Rate>>,
        proxies: Option<Proxies>,
        log: Arc<Log>,
    ) -> Self {
        let shared = Shared { proxies, log, answers: Answers::new() };
        Self { keys: keys.layer(Judge { rate }), shared: Arc::new(shared) }
    }
}

impl Service<Request<Incoming>> for Check {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let Some(asked) = asked_at(request.uri()) else { return Box::pin(ready(Ok(nowhere()))) };
        let required = match asked {
            Ok(required) => required,
            Err(mistake) => {
                shared.log.complain(Complaint::Asked(mistake));
                return Box::pin(ready(Ok(shared.finish(misconfigured()))));
            }
        };
        let judged = self.keys.call(shared.question(request, required));
        Box::pin(async move {
            let Ok(response) = judged.await;
            Ok(shared.finish(response))
        })
    }
}

impl Shared {
    /// The request as the layer has to see it.
    fn question(&self, request: Request<Incoming>, required: RequireKeyLayer) -> Request<()> {
        // Nobody reads the body: what a proxy asks about is in the headers.
        let mut request = request.map(drop);
        // Some proxies send the method of the client. The refusal of a gRPC call has status 200, which a proxy takes for
        // a yes: so no question is one.
        *request.method_mut() = Method::GET;
        request.headers_mut().remove(CONTENT_TYPE);
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        if !self.proxies.as_ref().zip(peer).is_some_and(|(proxies, peer)| proxies.include(peer)) {
            // What somebody else says about addresses is not evidence. Without it, no address is found.
            request.headers_mut().remove(X_FORWARDED_FOR);
            request.headers_mut().remove(FORWARDED);
        }
        request.extensions_mut().insert(required);
        request
    }

    fn finish(&self, mut response: Response<Judged>) -> Response<Body> {
        // Proxies let through whatever has a status of success. Only one place here may say that.
        if response.status().is_success() && response.extensions().get::<Allowed>().is_none() {
            self.log.complain(Complaint::Success);
            response = misconfigured();
        }
        if let Some(code) = response.extensions().get::<Refusal>().map(Refusal::code) {
            response.headers_mut().insert(REFUSAL, HeaderValue::from_static(code.as_str()));
        }
        self.answers.count(response.status());
        response.map(Either::Left)
    }
}

/// The answer if the proxy or this program is not set up right.
fn misconfigured() -> Response<Judged> {
    Refusal::new(RefusalCode::Misconfigured).into_http()
}

fn nowhere() -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from("Keys are checked at /check.\n")));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Behind the layer: the key is good. Is it what the operator asked for?
#[derive(Clone)]
struct Judge {
    rate: Option<Arc<Rate>>,
}

impl Service<Request<()>> for Judge {
    type Response = Response<ResponseBody<Said>>;
    type Error = Infallible;
    type Future = ResponseFuture<Answer, ()>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        // A request without the operator's question is answered as if it had asked for what no key has.
        let required = request.extensions_mut().remove::<RequireKeyLayer>();
        let answer = Answer { rate: self.rate.clone(), is_asked: required.is_some() };
        required.unwrap_or_default().layer(answer).call(request)
    }
}

/// Says who has the key.
#[derive(Clone)]
struct Answer {
    rate: Option<Arc<Rate>>,
    is_asked: bool,
}

impl Service<Request<()>> for Answer {
    type Response = Response<Said>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Said>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(self
            .answer(request.extensions().get())
            .unwrap_or_else(|refusal| refusal.into_http::<Empty<Bytes>>().map(Either::Right))))
    }
}

impl Answer {
    fn answer(&self, principal: Option<&Principal>) -> Result<Response<Said>, Refusal> {
        let misconfigured = || Refusal::new(RefusalCode::Misconfigured);
        let principal = principal.filter(|_| self.is_asked).ok_or_else(misconfigured)?;
        if let Some(rate) = &self.rate {
            rate.take(principal.lineage())?;
        }
        let mut response = Response::new(Either::Left(Empty::new()));
        headers::tell(principal, response.headers_mut()).ok_or_else(misconfigured)?;
        // What was true of a key a moment ago is no answer to the next request.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(Allowed);
        Ok(response)
    }
}
