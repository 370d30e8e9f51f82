//! Refusals as HTTP and gRPC responses.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING, VARY, WWW_AUTHENTICATE},
};
use serde::Serialize;

use super::{
    body::ResponseBody, caching, code::Challenge, grpc, headers::KeyHeaders, realm::Realm, refusal::Refusal,
    shape::Shape,
};
use crate::{key::MalformedReason, owner::KeyKind};

/// What a refusal depends on by default: the headers that carry keys, and what a gRPC client sends.
const DEFAULT_VARY: &str = "authorization, x-api-key, content-type";

/// In the extensions of a response that an [`ApiKeyLayer`](super::ApiKeyLayer) has given its shape, so that a layer
/// further out leaves it alone.
#[derive(Clone, Copy, Debug)]
struct Presented;

/// The settings of a layer for the form of its refusals.
#[derive(Clone)]
pub(crate) struct Presenter {
    realm: Realm,
    /// What the answer to a request with a key depends on.
    vary: HeaderValue,
    /// What a refusal depends on: a gRPC call gets a different one.
    refusal_vary: HeaderValue,
    body: Option<OwnBody>,
    /// Whether a refusal has the same form here as one made without a layer.
    is_default: bool,
}

/// The embedder's own format of refusals.
#[derive(Clone)]
struct OwnBody(Arc<dyn Fn(&Refusal) -> RejectionBody + Send + Sync>);

impl Presenter {
    pub(crate) fn set_realm(&mut self, realm: Realm) {
        self.realm = realm;
        self.is_default = false;
    }

    pub(crate) fn set_headers(&mut self, headers: &KeyHeaders) {
        self.vary = headers.vary();
        self.refusal_vary = with_content_type(&self.vary);
        self.is_default = false;
    }

    pub(crate) fn set_body(&mut self, body: impl Fn(&Refusal) -> RejectionBody + Send + Sync + 'static) {
        self.body = Some(OwnBody(Arc::new(body)));
        self.is_default = false;
    }

    pub(crate) const fn is_default(&self) -> bool {
        self.is_default
    }

    pub(crate) const fn vary(&self) -> &HeaderValue {
        &self.vary
    }

    /// The answer to a request of this shape.
    pub(crate) fn refuse(&self, refusal: Refusal, shape: Shape) -> Response<Bytes> {
        let mut response = self.response(&refusal, shape);
        response.extensions_mut().insert(Presented);
        response.extensions_mut().insert(refusal);
        response
    }

    /// Gives the form of this layer to a refusal from further in that no layer has shaped yet. Headers that the inner
    /// service added stay, unless they let caches keep it.
    pub(crate) fn present<B>(&self, refusal: &Refusal, shape: Shape, response: &mut Response<ResponseBody<B>>) {
        // It already has the form that it would get here.
        let has_shape = self.is_default && shape == Shape::Http;
        if !has_shape && response.extensions().get::<Presented>().is_none() {
            let (mut parts, body) = self.response(refusal, shape).into_parts();
            *response.status_mut() = parts.status;
            let headers = response.headers_mut();
            for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
                headers.remove(name);
            }
            if shape != Shape::Http {
                headers.remove(RETRY_AFTER);
                headers.remove(WWW_AUTHENTICATE);
            }
            // Keeps what the inner service's answer depends on, unless it is the value of all refusals.
            parts.headers.remove(VARY);
            let varies: Vec<_> = headers.get_all(VARY).iter().filter(|vary| *vary != DEFAULT_VARY).cloned().collect();
            headers.remove(VARY);
            headers.extend(varies.into_iter().map(|vary| (VARY, vary)));
            // Replaces the headers named here, keeps the others.
            headers.extend(parts.headers);
            response.extensions_mut().insert(Presented);
            *response.body_mut() = ResponseBody::refusal(body);
        }
        self.seal(response.headers_mut());
    }

    /// Every refusal is made here.
    fn response(&self, refusal: &Refusal, shape: Shape) -> Response<Bytes> {
        let mut response = match shape {
            Shape::Http => self.http(refusal),
            Shape::Grpc(dialect) => grpc::response(refusal, dialect),
        };
        self.seal(response.headers_mut());
        response
    }

    /// Keeps every refusal out of caches, also after an embedder made or changed it. Comes last.
    fn seal(&self, headers: &mut HeaderMap) {
        caching::forbid(headers, &self.refusal_vary);
    }

    fn http(&self, refusal: &Refusal) -> Response<Bytes> {
        let code = refusal.code();
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = code.status();
        let headers = response.headers_mut();
        match code.challenge() {
            Challenge::None => {}
            Challenge::RealmOnly => drop(headers.insert(WWW_AUTHENTICATE, self.realm.challenge(None, None))),
            Challenge::Error(error) => {
                drop(headers.insert(WWW_AUTHENTICATE, self.realm.challenge(Some(error), refusal.scope())))
            }
        }
        if let Some(seconds) = refusal.retry_seconds() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        let body = self.body.as_ref().map_or_else(|| problem(refusal), |OwnBody(body)| body(refusal));
        headers.insert(CONTENT_TYPE, body.content_type);
        headers.extend(body.headers);
        if let Some(status) = body.status {
            *response.status_mut() = status;
        }
        *response.body_mut() = body.text;
        response
    }
}

impl Default for Presenter {
    fn default() -> Self {
        let vary = KeyHeaders::default().vary();
        let refusal_vary = HeaderValue::from_static(DEFAULT_VARY);
        Self { realm: Realm::default(), vary, refusal_vary, body: None, is_default: true }
    }
}

fn with_content_type(vary: &HeaderValue) -> HeaderValue {
    let names = [vary.as_bytes(), b", content-type"].concat();
    // Header names and commas are valid; `*` would be right in any case.
    HeaderValue::from_bytes(&names).unwrap_or_else(|_| HeaderValue::from_static("*"))
}

impl Refusal {
    /// The answer with a problem document (RFC 9457) as its body, for any service over `http` types. With axum, return
    /// the refusal itself.
    ///
    /// Status, challenge, `Cache-Control: no-store`, `Vary` and `Retry-After` are those of the code. The realm is
    /// `api`. The refusal is in the extensions of the response. For a gRPC call, an [`ApiKeyLayer`](super::ApiKeyLayer)
    /// outside turns it into an answer that gRPC clients understand.
    #[must_use]
    pub fn into_http<B>(self) -> Response<ResponseBody<B>> {
        let mut response = Presenter::default().response(&self, Shape::Http).map(ResponseBody::refusal);
        response.extensions_mut().insert(self);
        response
    }

    /// The answer to this request. A layer further out may still shape it if the request is no gRPC call.
    pub(crate) fn into_response_to<B>(self, request: &Request<B>) -> Response<Bytes> {
        let (presenter, shape) = (Presenter::default(), Shape::of(request));
        if shape != Shape::Http {
            return presenter.refuse(self, shape);
        }
        let mut response = presenter.response(&self, shape);
        response.extensions_mut().insert(self);
        response
    }
}

/// The body of a refusal in your own format, and what else differs from the default.
///
/// ```
/// use tower_api_keys::middleware::{Refusal, RejectionBody};
///
/// fn like_openai(refusal: &Refusal) -> RejectionBody {
///     let (code, message) = (refusal.code().as_str(), refusal.detail());
///     RejectionBody::json(format!(r#"{{"error":{{"message":"{message}","code":"{code}"}}}}"#))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RejectionBody {
    content_type: HeaderValue,
    text: Bytes,
    status: Option<StatusCode>,
    headers: HeaderMap,
}

impl RejectionBody {
    /// A body of this content type.
    #[must_use]
    pub fn new(content_type: HeaderValue, text: impl Into<Bytes>) -> Self {
        Self { content_type, text: text.into(), status: None, headers: HeaderMap::new() }
    }

    /// A body of the content type `application/json`. The text is sent unchanged.
    #[must_use]
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::new(HeaderValue::from_static("application/json"), text)
    }

    /// Sets another status than that of the code, for an API whose clients expect one. Only 400 to 599 have an effect:
    /// a refusal never looks like a success.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = (status.is_client_error() || status.is_server_error()).then_some(status);
        self
    }

    /// Adds a header, or replaces one of the layer's. `Cache-Control` stays `no-store`, and `Vary` keeps the layer's
    /// names beside yours: otherwise a shared cache could answer other callers with this refusal.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// A problem document (RFC 9457). It has no `type`, so the title is the status in words.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The scopes that are needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    /// The kind of key that is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

fn problem(refusal: &Refusal) -> RejectionBody {
    let status = refusal.code().status();
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: refusal.detail(),
        code: refusal.code().as_str(),
        reason: refusal.reason().map(MalformedReason::as_str),
        scope: refusal.scope(),
        kind: refusal.kind().map(KeyKind::as_str),
    };
    // Text and a number: this cannot fail.
    let text = serde_json::to_vec(&problem).unwrap_or_default();
    RejectionBody::new(HeaderValue::from_static("application/problem+json"), text)
}
