//! How refusals look on the wire.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING, VARY,
        WWW_AUTHENTICATE,
    },
};
use serde::Serialize;

use super::{body::ResponseBody, code::Challenge, grpc, headers::KeyHeaders, realm::Realm, refusal::Refusal};

/// How long a client waits before it tries again, where nothing better is known.
const DEFAULT_RETRY_SECONDS: u64 = 1;

/// In the extensions of a response that an [`ApiKeyLayer`](super::ApiKeyLayer) has given its shape, so that a layer
/// further out leaves it alone.
#[derive(Clone, Copy, Debug)]
struct Presented;

/// The settings of a layer that say how its refusals look.
#[derive(Clone)]
pub(crate) struct Presenter {
    realm: Realm,
    vary: HeaderValue,
    body: Option<OwnBody>,
    /// Whether a refusal looks different here from one that knows no layer.
    is_default: bool,
}

/// An embedder's own shape of refusals.
#[derive(Clone)]
struct OwnBody(Arc<dyn Fn(&Refusal) -> RejectionBody + Send + Sync>);

impl Presenter {
    pub(crate) fn set_realm(&mut self, realm: Realm) {
        self.realm = realm;
        self.is_default = false;
    }

    pub(crate) fn set_headers(&mut self, headers: &KeyHeaders) {
        self.vary = headers.vary();
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

    /// The answer to a request with these headers.
    pub(crate) fn refuse(&self, refusal: Refusal, request: &HeaderMap) -> Response<Bytes> {
        let mut response = if grpc::is_call(request) { grpc::response(&refusal) } else { self.response(&refusal) };
        response.extensions_mut().insert(Presented);
        response.extensions_mut().insert(refusal);
        response
    }

    /// Gives a refusal that came from within, and that no layer has shaped yet, the shape of this layer's own. Headers
    /// that the inner service added stay.
    pub(crate) fn present<B>(&self, mut response: Response<ResponseBody<B>>) -> Response<ResponseBody<B>> {
        if response.extensions().get::<Presented>().is_some() {
            return response;
        }
        let Some(refusal) = response.extensions().get::<Refusal>() else {
            return response;
        };
        let (parts, body) = self.response(refusal).into_parts();
        *response.status_mut() = parts.status;
        for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
            response.headers_mut().remove(name);
        }
        // Keeps what is not named anew, replaces what is.
        response.headers_mut().extend(parts.headers);
        response.extensions_mut().insert(Presented);
        response.map(|_| ResponseBody::refusal(body))
    }

    fn response(&self, refusal: &Refusal) -> Response<Bytes> {
        let code = refusal.code();
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = code.status();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, self.vary.clone());
        match code.challenge() {
            Challenge::None => {}
            Challenge::RealmOnly => drop(headers.insert(WWW_AUTHENTICATE, self.realm.challenge(None))),
            Challenge::Error(error) => drop(headers.insert(WWW_AUTHENTICATE, self.realm.challenge(Some(error)))),
        }
        if code.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, retry_seconds(refusal).into());
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
        Self { realm: Realm::default(), vary: KeyHeaders::default().vary(), body: None, is_default: true }
    }
}

impl Refusal {
    /// The answer with a problem document (RFC 9457) as its body, for any service over `http` types.
    ///
    /// Status, challenge, `Cache-Control: no-store`, `Vary` and `Retry-After` are those of the code, the realm is `api`.
    /// The refusal is in the extensions of the response.
    #[must_use]
    pub fn into_response<B>(self) -> Response<ResponseBody<B>> {
        let mut response = Presenter::default().response(&self).map(ResponseBody::refusal);
        response.extensions_mut().insert(self);
        response
    }

    /// The answer to a request with these headers, for a layer further out to shape if it is no gRPC call.
    pub(crate) fn into_response_to(self, request: &HeaderMap) -> Response<Bytes> {
        let presenter = Presenter::default();
        if grpc::is_call(request) {
            return presenter.refuse(self, request);
        }
        let mut response = presenter.response(&self);
        response.extensions_mut().insert(self);
        response
    }
}

/// The body of a refusal in an embedder's own shape, and what else differs from the default.
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

    /// A body of the content type `application/json`. The text is sent as it is.
    #[must_use]
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::new(HeaderValue::from_static("application/json"), text)
    }

    /// Another status than the code's own, for an API whose clients expect one. The code's own stays unless this one is
    /// between 400 and 599: a refusal never looks like a success.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = (status.is_client_error() || status.is_server_error()).then_some(status);
        self
    }

    /// One more header, or one in the place of the layer's own. Without `Cache-Control: no-store` and `Vary` a shared
    /// cache may answer other callers with this refusal.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// RFC 9457. Without a `type` of its own, the title is the status in words.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

fn problem(refusal: &Refusal) -> RejectionBody {
    let status = refusal.code().status();
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: refusal.detail(),
        code: refusal.code().as_str(),
        reason: refusal.reason().map(|reason| reason.code()),
    };
    // Text and a number: this cannot fail.
    let text = serde_json::to_vec(&problem).unwrap_or_default();
    RejectionBody::new(HeaderValue::from_static("application/problem+json"), text)
}

/// Whole seconds, rounded up: a client that waits no less than it was told is not refused again for nothing.
fn retry_seconds(refusal: &Refusal) -> u64 {
    refusal.retry_after().map_or(DEFAULT_RETRY_SECONDS, |after| {
        after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
    })
}
