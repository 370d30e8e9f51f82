//! The request that every contender gets, the protected service, and one call of it.

use std::{
    convert::Infallible,
    hint::black_box,
    task::{Context, Waker},
};

use axum::body::Body;
use futures_util::FutureExt;
use http::{
    HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use tower::{Service, service_fn};

use crate::measure::BATCH;

/// Texts of keys, used in turn, again and again.
pub struct Turns<'a> {
    texts: &'a [String],
    next: usize,
}

impl<'a> Turns<'a> {
    /// Begins with the first text.
    pub fn of(texts: &'a [String]) -> Self {
        Self { texts, next: 0 }
    }

    /// The next texts, as many as a batch has.
    pub fn batch(&mut self) -> Vec<&'a str> {
        (0..BATCH).map(|_| self.next()).collect()
    }

    /// Requests with `Authorization: Bearer` and the next texts.
    pub fn bearer(&mut self, requests: usize) -> Vec<Request<Body>> {
        (0..requests).map(|_| request(AUTHORIZATION, &format!("Bearer {}", self.next()))).collect()
    }

    /// Requests with `x-api-key` and the next texts.
    pub fn x_api_key(&mut self, requests: usize) -> Vec<Request<Body>> {
        let header = HeaderName::from_static("x-api-key");
        (0..requests).map(|_| request(header.clone(), self.next())).collect()
    }

    fn next(&mut self) -> &'a str {
        let text = &self.texts[self.next];
        self.next = (self.next + 1) % self.texts.len();
        text
    }
}

/// A request with six headers, the credential among them.
pub fn request(header: HeaderName, credential: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("api.example.com"));
    headers.insert(USER_AGENT, HeaderValue::from_static("example-client/1.4.2"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // A fresh copy of the text, as if it had just come from a socket.
    headers.insert(header, HeaderValue::from_str(credential).expect("a credential is printable"));
    request
}

/// The protected service: an empty answer, at once. The body is axum's, because one contender accepts no other.
pub fn bare() -> impl Service<
    Request<Body>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(|request: Request<Body>| async move {
        black_box(&request);
        Ok(Response::new(Body::empty()))
    })
}

/// Makes one call and polls it once, because no measured call waits. Returns whether the answer has this status.
#[inline]
pub fn answers<S, B>(service: &mut S, request: Request<Body>, status: StatusCode) -> bool
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    service.poll_ready(&mut context).is_ready()
        && matches!(service.call(request).now_or_never(), Some(Ok(answer)) if answer.status() == status)
}

/// Shuffles in the same way in each run, without a pattern that a processor could predict.
pub fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(last, (state % (last as u64 + 1)) as usize);
    }
}
