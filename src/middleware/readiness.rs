//! Keeps the readiness of an inner service for requests that are let in.
//!
//! A service that was polled ready may hold a permit of a limit, or a place in a queue. A request that is refused, or
//! that waits to be checked, must not keep it: strangers would use up what callers with a good key need.

use std::{
    mem,
    task::{Context, Poll},
};

use http::Request;
use tower_service::Service;

/// Gives back what the service got by being polled ready, by dropping the service. A clone that got nothing yet
/// replaces it.
pub(crate) fn give_back<S: Clone>(readied: &mut S) {
    let fresh = readied.clone();
    drop(mem::replace(readied, fresh));
}

/// A request that waits to be let in, and its own clone of the service, which is polled ready only then.
pub(crate) struct Unready<S, B> {
    service: S,
    pub(crate) request: Request<B>,
}

impl<S: Clone, B> Unready<S, B> {
    /// Gives back what `readied` holds before the request waits. Neither the clone in the request nor the one left
    /// behind is ready.
    pub(crate) fn new(readied: &mut S, request: Request<B>) -> Self {
        give_back(readied);
        Self { service: readied.clone(), request }
    }
}

impl<S: Service<Request<B>>, B> Unready<S, B> {
    /// Once the request is let in: waits until the service is ready for it.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    /// Once the service is ready.
    pub(crate) fn call(self) -> S::Future {
        let Self { mut service, request } = self;
        service.call(request)
    }
}
