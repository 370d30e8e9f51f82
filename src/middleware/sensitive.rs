use std::task::{Context, Poll};

use http::{HeaderName, Request, header::AUTHORIZATION};
use tower_layer::Layer;
use tower_service::Service;

use super::headers::X_API_KEY;

/// Marks the values of `Authorization` and `x-api-key` as sensitive, so that a trace layer inside it prints `Sensitive`
/// instead.
///
/// Goes outside the trace layer, which goes outside the [`ApiKeyLayer`](super::ApiKeyLayer).
///
/// ```
/// use http::Request;
/// use tower::{Layer, ServiceExt};
/// use tower_api_keys::middleware::MarkKeysSensitive;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let trace = tower::service_fn(async |request: Request<()>| Ok::<_, std::io::Error>(format!("{:?}", request.headers())));
/// let request = Request::builder().header("x-api-key", "user.and-so-on").body(())?;
///
/// let line = MarkKeysSensitive::new().layer(trace).oneshot(request).await?;
/// assert_eq!(line, r#"{"x-api-key": Sensitive}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MarkKeysSensitive {
    key_header: HeaderName,
}

impl MarkKeysSensitive {
    /// Marks `Authorization` and `x-api-key`.
    #[must_use]
    pub fn new() -> Self {
        Self { key_header: X_API_KEY.clone() }
    }

    /// Marks this header instead of `x-api-key`, for layers that read it because of
    /// [`key_headers`](super::ApiKeyLayer::key_headers).
    #[must_use]
    pub fn key_header(self, name: HeaderName) -> Self {
        Self { key_header: name }
    }
}

impl Default for MarkKeysSensitive {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for MarkKeysSensitive {
    type Service = MarkKeysSensitiveService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MarkKeysSensitiveService { inner, key_header: self.key_header.clone() }
    }
}

/// The service that [`MarkKeysSensitive`] makes.
///
/// ```
/// use tower::Layer;
/// use tower_api_keys::middleware::{MarkKeysSensitive, MarkKeysSensitiveService};
///
/// fn marked<S>(service: S) -> MarkKeysSensitiveService<S> {
///     MarkKeysSensitive::new().layer(service)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct MarkKeysSensitiveService<S> {
    inner: S,
    key_header: HeaderName,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for MarkKeysSensitiveService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        for (name, value) in request.headers_mut() {
            if *name == AUTHORIZATION || *name == self.key_header {
                value.set_sensitive(true);
            }
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn seen(layer: MarkKeysSensitive, headers: &[(&'static str, &'static str)]) -> Vec<(String, bool)> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let look = service_fn(async |request: Request<()>| {
            let seen = request.headers().iter().map(|(name, value)| (name.to_string(), value.is_sensitive())).collect();
            Ok::<_, Infallible>(seen)
        });
        layer.layer(look).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn every_line_of_both_headers_is_marked_and_nothing_else() {
        let headers = [("authorization", "Basic a"), ("x-api-key", "b"), ("x-api-key", "c"), ("accept", "d")];
        let seen = seen(MarkKeysSensitive::new(), &headers).await;
        let marked: Vec<_> = seen.iter().map(|(name, marked)| (name.as_str(), *marked)).collect();
        assert_eq!(marked, [("authorization", true), ("x-api-key", true), ("x-api-key", true), ("accept", false)]);
    }

    #[tokio::test]
    async fn another_header_is_marked_instead_of_x_api_key() {
        let layer = MarkKeysSensitive::new().key_header(HeaderName::from_static("x-acme-key"));
        let seen = seen(layer, &[("x-acme-key", "a"), ("x-api-key", "b")]).await;
        assert_eq!(seen, [("x-acme-key".to_owned(), true), ("x-api-key".to_owned(), false)]);
    }
}
