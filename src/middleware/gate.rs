use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    body::ResponseBody,
    code::RefusalCode,
    credentials::{self, Fault, Reading},
    future::{Question, ResponseFuture, Waiting},
    refusal::Refusal,
    settings::Settings,
};
use crate::{
    auth::{Authenticator, Check},
    key::{KeyFormat, MalformedReason},
    principal::Principal,
    store::KeyReader,
    usage::Source,
};

/// What a layer asks of an [`Authenticator`]; a trait, so that tests can script the answers.
pub(crate) trait Authenticate {
    fn check(&self, candidate: &[u8], source: &Source) -> Check;
    fn refused(&self, code: &'static str, reason: Option<MalformedReason>, source: &Source);
    fn format(&self) -> &KeyFormat;
    fn id(&self) -> u32;
}

impl<R: KeyReader> Authenticate for Authenticator<R> {
    fn check(&self, candidate: &[u8], source: &Source) -> Check {
        Self::check(self, candidate, source)
    }

    fn refused(&self, code: &'static str, reason: Option<MalformedReason>, source: &Source) {
        Self::refused(self, code, reason, source);
    }

    fn format(&self) -> &KeyFormat {
        Self::format(self)
    }

    fn id(&self) -> u32 {
        Self::id(self)
    }
}

/// A service behind a check of keys.
#[derive(Clone)]
pub(crate) struct Gate<S, A> {
    pub(crate) inner: S,
    pub(crate) authenticator: A,
    pub(crate) settings: Arc<Settings>,
}

impl<S, A, B, ResB> Service<Request<B>> for Gate<S, A>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    A: Authenticate,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> ResponseFuture<S, B> {
        let settings = &self.settings;
        let format = self.authenticator.format();
        let (check, carried) =
            match credentials::read(request.headers(), &settings.headers, format, settings.foreign_bearer) {
                Reading::Candidate { text, carried } => (self.authenticator.check(text, &settings.source), carried),
                Reading::Nothing => return self.call_without_key(request),
                Reading::Refused(fault) => return self.refuse(fault.into(), &request),
            };
        match check {
            Check::Ready(Ok(principal)) => {
                let finish = settings.admit(&mut request, principal, carried);
                ResponseFuture::inner(self.inner.call(request), finish)
            }
            Check::Ready(Err(error)) => {
                ResponseFuture::refused(settings.presenter.refuse(Refusal::from(&error), request.headers()))
            }
            Check::Pending(check) => {
                let question = Question::Key { check, carried, settings: Arc::clone(settings) };
                // The service that was polled ready goes with the request; a fresh one takes its place.
                let clone = self.inner.clone();
                let service = mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(Waiting { question, service, request })
            }
        }
    }
}

impl<S, A: Authenticate> Gate<S, A> {
    fn call_without_key<B>(&mut self, mut request: Request<B>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        let proved = request.extensions().get::<Principal>().map(Principal::proved_by);
        let finish = if proved == Some(self.authenticator.id()) {
            // A layer of the same keys further out took the key from the headers.
            self.settings.finish(false)
        } else if self.settings.optional {
            self.settings.admit_anonymous(&mut request)
        } else {
            return self.refuse(self.settings.missing.clone(), &request);
        };
        ResponseFuture::inner(self.inner.call(request), finish)
    }

    /// Refuses what the headers alone condemn. What the authenticator refuses, it counts itself.
    fn refuse<B>(&self, refusal: Refusal, request: &Request<B>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        self.authenticator.refused(refusal.code().as_str(), refusal.reason(), &self.settings.source);
        ResponseFuture::refused(self.settings.presenter.refuse(refusal, request.headers()))
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
