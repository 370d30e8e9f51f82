use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{BoxError, Router, body::Body};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tower_service::Service;

/// A tower service, for servers that do not use axum. A layer of yours puts the [`Actor`](tower_api_keys::Actor) that
/// asks into the extensions of each request; without one, the answer is 500 `misconfigured`.
///
/// It is always ready, and cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpService(Router);

impl HttpService {
    pub(crate) const fn new(router: Router) -> Self {
        Self(router)
    }

    /// The same service at this path, such as `/settings/api-keys`: it gets requests with their whole paths, and links of
    /// the page and addresses in answers begin with it. What is not under it is answered with 404. Default: the root.
    ///
    /// ```
    /// use tower_api_keys::{ApiKeys, store::MemoryStore};
    /// use tower_api_keys_http::routes;
    ///
    /// let keys = ApiKeys::new(MemoryStore::new())?;
    /// let routes = routes::service(&keys).mounted_at("/api/api-keys")?;
    /// assert!(routes::service(&keys).mounted_at("/api/").is_err());
    /// # drop(routes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If it does not begin with a slash, ends with one, or has anything but letters, digits and `-._~` between slashes.
    pub fn mounted_at(self, path: &str) -> Result<Self, InvalidMount> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment = |text: &str| !text.is_empty() && text != "." && text != ".." && text.bytes().all(is_plain);
        let is_path = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
        if is_path { Ok(Self(Router::new().nest(path, self.0))) } else { Err(InvalidMount(())) }
    }
}

/// A path that no [`HttpService`] can be [mounted at](HttpService::mounted_at).
#[derive(Debug)]
pub struct InvalidMount(());

impl fmt::Display for InvalidMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a mount begins with a slash, does not end with one, and has only letters, digits and `-._~` between",
        )
    }
}

impl std::error::Error for InvalidMount {}

impl<B> Service<Request<B>> for HttpService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<HttpBody>;
    type Error = Infallible;
    type Future = HttpFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> HttpFuture {
        let answer = self.0.call(request);
        HttpFuture(Box::pin(async move { Ok(answer.await?.map(HttpBody)) }))
    }
}

/// The future of an answer of [`HttpService`].
pub struct HttpFuture(Pin<Box<dyn Future<Output = Result<Response<HttpBody>, Infallible>> + Send>>);

impl Future for HttpFuture {
    type Output = Result<Response<HttpBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for HttpFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFuture").finish_non_exhaustive()
    }
}

/// The body of an answer of [`HttpService`].
#[derive(Debug)]
pub struct HttpBody(Body);

impl http_body::Body for HttpBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
