use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use tower_service::Service;

use super::{
    anonymous::Counted,
    body::ResponseBody,
    credentials::{self, Fault, Lines, Reading},
    future::{PendingAnswer, ResponseFuture},
    headers::Instead,
    readiness::{Unready, give_back},
    refusal::Refusal,
    settings::{Caller, Settings},
    shape::Shape,
};
use crate::{
    auth::{Authenticator, CameFrom, Check},
    outcome::RefusalCode,
    principal::Principal,
    store::KeyReader,
    usage::Origin,
};

/// The service that [`ApiKeyLayer`](super::ApiKeyLayer) makes.
///
/// ```
/// use tower::Layer;
/// use tower_api_keys::{ApiKeyLayer, middleware::ApiKeyService};
///
/// fn protected<S, R>(layer: &ApiKeyLayer<R>, service: S) -> ApiKeyService<S, R> {
///     layer.layer(service)
/// }
/// ```
pub struct ApiKeyService<S, R> {
    pub(super) inner: S,
    pub(super) authenticator: Authenticator<R>,
    pub(super) settings: Arc<Settings>,
}

impl<S: Clone, R> Clone for ApiKeyService<S, R> {
    fn clone(&self) -> Self {
        let Self { inner, authenticator, settings } = self;
        Self { inner: inner.clone(), authenticator: authenticator.clone(), settings: Arc::clone(settings) }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for ApiKeyService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, R, B, ResB> Service<Request<B>> for ApiKeyService<S, R>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    R: KeyReader,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> ResponseFuture<S, B> {
        let settings = &self.settings;
        let asked = if settings.sources.asks() {
            Some(settings.sources.ask(&mut request, self.authenticator.addresses()))
        } else {
            None
        };
        let lines = Lines::find(request.headers(), &settings.headers);
        let origin = settings.sources.origin(&settings.label, asked.as_ref(), lines.user_agent);
        let (check, carried) = match credentials::read(&lines, self.authenticator.format(), settings.foreign_bearer) {
            Reading::Key { text, carried } => {
                let from = CameFrom::Request(request.headers(), request.extensions());
                (self.authenticator.check(text, origin, settings.organization.as_ref(), from), carried)
            }
            Reading::Nothing if self.is_proved_abroad(request.extensions()) => {
                // The layer further out that proved the key counts this denial.
                let response = settings.presenter.refuse(Refusal::new(RefusalCode::WrongTeam), Shape::of(&request));
                return self.turn_away(response);
            }
            Reading::Nothing if self.passes_without_key(request.extensions()) => {
                let caller = self.caller_without_key(request.extensions(), origin);
                return self.call_without_key(request, caller);
            }
            Reading::Nothing => {
                let refusal =
                    self.refusal_without_key(lines.instead(request.uri().query(), self.authenticator.format()));
                let response = self.refuse(refusal, &request, origin, &[]);
                return self.turn_away(response);
            }
            Reading::Misplaced { reason, text } => {
                let response = self.refuse(Refusal::malformed(reason), &request, origin, text);
                return self.turn_away(response);
            }
            Reading::Refused(fault) => {
                let response = self.refuse(fault.into(), &request, origin, &[]);
                return self.turn_away(response);
            }
        };
        match check {
            Check::Ready(Ok(accepted)) if settings.is_foreign(&accepted.principal) => {
                let response = settings.refuse_foreign(accepted, Shape::of(&request));
                self.turn_away(response)
            }
            Check::Ready(Ok(accepted)) => match settings.admit(&mut request, accepted, carried) {
                Ok(finish) => ResponseFuture::inner(self.inner.call(request), finish),
                Err(response) => self.turn_away(*response),
            },
            Check::Ready(Err(error)) => {
                let response = settings.presenter.refuse(Refusal::from(&error), Shape::of(&request));
                self.turn_away(response)
            }
            Check::Pending(check) => {
                let question = PendingAnswer::Key { check, carried, settings: Arc::clone(settings) };
                ResponseFuture::waiting(question, Unready::new(&mut self.inner, request))
            }
        }
    }
}

impl<S, R: KeyReader> ApiKeyService<S, R> {
    fn passes_without_key(&self, extensions: &Extensions) -> bool {
        self.settings.optional || self.is_proved(extensions)
    }

    /// Whether a layer of the same keys further out took the key from the headers.
    fn is_proved(&self, extensions: &Extensions) -> bool {
        extensions.get::<Principal>().is_some_and(|principal| principal.proved_by() == self.authenticator.id())
    }

    /// Like [`is_proved`](Self::is_proved), for a key of another organization than the one that is let through.
    fn is_proved_abroad(&self, extensions: &Extensions) -> bool {
        let is_foreign = |principal| self.settings.is_foreign(principal);
        self.is_proved(extensions) && extensions.get::<Principal>().is_some_and(is_foreign)
    }

    /// The caller of a request without a key that is let through; none if a layer of the same keys further out knows
    /// it.
    fn caller_without_key(&self, extensions: &Extensions, origin: Origin<'_>) -> Option<Caller> {
        let visit = || self.authenticator.visit(origin, self.settings.organization.as_ref());
        if self.is_proved(extensions) { None } else { Some(Caller::Nobody(visit())) }
    }

    fn call_without_key<B>(&mut self, mut request: Request<B>, caller: Option<Caller>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        let finish = match caller {
            None => self.settings.admit_proved(&mut request),
            Some(caller) => self.settings.admit_anonymous(&mut request, caller),
        };
        ResponseFuture::inner(self.inner.call(request), finish)
    }

    #[cold]
    fn refusal_without_key(&self, instead: Instead) -> Refusal {
        match instead {
            Instead::Nothing => self.settings.missing.clone(),
            _ => Refusal::missing(self.settings.headers.advice(instead)),
        }
    }

    /// Refuses a request because of its headers alone: no key, too many, or a key in the wrong place. Refusals by the
    /// authenticator are counted there.
    fn refuse<B>(&self, refusal: Refusal, request: &Request<B>, origin: Origin<'_>, text: &[u8]) -> Response<Bytes> {
        let organization = self.settings.organization.as_ref();
        self.authenticator.refused(refusal.code(), refusal.reason(), origin, organization, text);
        let mut response = self.settings.presenter.refuse(refusal, Shape::of(request));
        response.extensions_mut().insert(Counted);
        response
    }

    /// The readiness of the inner service is kept for the next request: the connection of this one may belong to a
    /// stranger and stay silent.
    fn turn_away<B>(&mut self, response: Response<Bytes>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>> + Clone,
    {
        give_back(&mut self.inner);
        ResponseFuture::refused(response)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Ambiguous => Self::new(RefusalCode::AmbiguousCredentials),
            Fault::Malformed(reason) => Self::malformed(reason),
        }
    }
}
