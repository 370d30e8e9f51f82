use std::{
    fmt,
    future::{Future, Ready, ready},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    body::ResponseBody,
    bound::Bound,
    credentials::Carried,
    readiness::Unready,
    refusal::Refusal,
    settings::{Finish, Settings},
    shape::Shape,
};
use crate::{
    auth::{Accepted, AuthError},
    outcome::RefusalCode,
};

pin_project! {
    /// The future of the services of this module. Fails only if the inner service does.
    ///
    /// A request that waits to be let in holds nothing that the inner service got by being polled ready, such as the
    /// permit of a limit. It is given back before the wait, and a clone of the service is polled ready after it. If the
    /// future is dropped, it gives back the request, that clone, and its place in the check it waited for.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tower::Service;
    /// use tower_api_keys::middleware::{RequireKeyService, ResponseFuture};
    ///
    /// fn call<S>(service: &mut RequireKeyService<S>, request: Request<String>) -> ResponseFuture<S, String>
    /// where
    ///     S: Service<Request<String>, Response = Response<String>> + Clone,
    /// {
    ///     service.call(request)
    /// }
    /// ```
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // Boxed, so that a future that need not wait has no space for the request.
        Waiting { waiting: Option<Box<Waiting<S, B>>> },
        // Let in: the inner service may still make it wait.
        LetIn { unready: Option<Box<Unready<S, B>>>, finish: Finish },
        Inner { #[pin] future: S::Future, finish: Finish },
        Refused { #[pin] response: Ready<Box<Response<Bytes>>> },
    }
}

/// A request that is not decided yet, and a service that is not called before it is.
struct Waiting<S, B> {
    question: PendingAnswer,
    unready: Unready<S, B>,
}

pub(crate) enum PendingAnswer {
    /// Whose key it is.
    Key { check: BoxFuture<'static, Result<Accepted, AuthError>>, carried: Carried, settings: Arc<Settings> },
    /// Whether the caller belongs to the organization, and has access to the team, that the request is about.
    Bound { answer: BoxFuture<'static, Result<Bound, RefusalCode>> },
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(crate) const fn inner(future: S::Future, finish: Finish) -> Self {
        Self { state: State::Inner { future, finish } }
    }

    pub(crate) fn refused(response: Response<Bytes>) -> Self {
        Self { state: State::refused(response) }
    }

    pub(crate) fn waiting(question: PendingAnswer, unready: Unready<S, B>) -> Self {
        Self { state: State::Waiting { waiting: Some(Box::new(Waiting { question, unready })) } }
    }
}

impl<S: Service<Request<B>>, B> State<S, B> {
    fn refused(response: Response<Bytes>) -> Self {
        Self::Refused { response: ready(Box::new(response)) }
    }
}

impl<S, B, ResB> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResB>>,
{
    type Output = Result<Response<ResponseBody<ResB>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Inner { future, finish } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(finish.apply(response)));
                }
                StateProj::Refused { response } => {
                    return response.poll(cx).map(|response| Ok(response.map(ResponseBody::refusal)));
                }
                StateProj::Waiting { waiting: slot } => {
                    // Empty only if the check panicked and the future is polled once more: there is no answer to give.
                    let Some(mut waiting) = slot.take() else {
                        return Poll::Pending;
                    };
                    match waiting.question.poll(&mut waiting.unready.request, cx) {
                        Poll::Pending => {
                            *slot = Some(waiting);
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(response)) => State::refused(response),
                        Poll::Ready(Ok(finish)) => {
                            // Drops the question before the next wait, and with it everything the check holds.
                            let Waiting { unready, .. } = *waiting;
                            State::LetIn { unready: Some(Box::new(unready)), finish }
                        }
                    }
                }
                StateProj::LetIn { unready: slot, finish } => {
                    // Empty only if the inner service panicked or failed, and the future is polled once more.
                    let Some(mut unready) = slot.take() else {
                        return Poll::Pending;
                    };
                    match unready.poll_ready(cx)? {
                        Poll::Pending => {
                            *slot = Some(unready);
                            return Poll::Pending;
                        }
                        Poll::Ready(()) => State::Inner { future: unready.call(), finish: mem::take(finish) },
                    }
                }
            };
            state.set(next);
        }
    }
}

impl PendingAnswer {
    /// Once answered, prepares the request for the inner service, or refuses it.
    fn poll<B>(&mut self, request: &mut Request<B>, cx: &mut Context<'_>) -> Poll<Result<Finish, Response<Bytes>>> {
        Poll::Ready(match self {
            Self::Key { check, carried, settings } => match ready!(check.as_mut().poll(cx)) {
                Ok(accepted) if settings.is_foreign(&accepted.principal) => {
                    Err(settings.refuse_foreign(accepted, Shape::of(request)))
                }
                Ok(accepted) => settings.admit(request, accepted, *carried).map_err(|response| *response),
                Err(error) => Err(settings.presenter.refuse(Refusal::from(&error), Shape::of(request))),
            },
            Self::Bound { answer } => match ready!(answer.as_mut().poll(cx)) {
                Ok(bound) => {
                    bound.put_into(request.extensions_mut());
                    Ok(Finish::default())
                }
                Err(code) => Err(Refusal::new(code).into_response_to(request)),
            },
        })
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
