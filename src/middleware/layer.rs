use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{
    credentials::ForeignBearer,
    headers::{Instead, KeyHeaders},
    presenter::RejectionBody,
    realm::{InvalidRealm, Realm},
    refusal::Refusal,
    service::ApiKeyService,
    settings::Settings,
    sources::Sources,
};
use crate::{auth::Authenticator, owner::OrganizationId, usage::Source};

/// Lets requests with a good key through to the inner service, with a [`Principal`](crate::Principal) in their
/// extensions, and answers all others itself.
///
/// Works over any tower service with `http` types. Cheap to clone. Which requests have which answer is the table of
/// [`RefusalCode`](super::RefusalCode).
///
/// ```
/// use http::{Request, Response};
/// use tower::{Layer, Service};
/// use tower_api_keys::{ApiKeyLayer, Principal, store::KeyReader};
///
/// async fn hello(request: Request<String>) -> Result<Response<String>, std::convert::Infallible> {
///     let caller = request.extensions().get::<Principal>().map(|principal| principal.owner().to_string());
///     Ok(Response::new(format!("hello, {}", caller.as_deref().unwrap_or("nobody"))))
/// }
///
/// fn app<R: KeyReader>(layer: ApiKeyLayer<R>) -> impl Service<Request<String>> {
///     layer.layer(tower::service_fn(hello))
/// }
/// ```
///
/// # Where a key is looked for
/// A key is read behind `Bearer` and in `x-api-key`. `Authorization` is then searched: a key behind another scheme, glued to
/// something, in quotes, in the user or password of `Basic`, or encoded once (base64, of UTF-16 too, hexadecimal digits,
/// escapes such as `%2E`) is refused as malformed, mostly for
/// [`MissingScheme`](crate::key::MalformedReason::MissingScheme). It is never taken for no key, in
/// [`optional`](Self::optional) and [`ForeignBearer::Ignore`] too, and never reaches the inner service. Only a whole key
/// counts, as in [`KeyFormat::find_in`](crate::key::KeyFormat::find_in), and without a scheme or behind `Token` or `ApiKey`
/// what begins with a prefix and a whole id. All other credentials pass as they came.
///
/// # Order with other layers
/// Trace layers and [`MarkKeysSensitive`](super::MarkKeysSensitive) go outside, so that refusals are traced and no trace
/// shows a key. CORS layers go outside too: `OPTIONS` is not special here, and a preflight request carries no key.
///
/// Limits for keys go inside. A request whose key is known calls the service that was polled ready. One that waits to be
/// checked gives back what that service holds, such as the permit of a limit, and a clone of it is polled ready once the
/// key proved to be good; one that is refused gives it back at once.
///
/// # Nesting
/// Inside of another layer of the same `ApiKeys` a request that no longer carries a key is accepted as whom the outer
/// layer proved. A principal that another `ApiKeys` proved never passes: it is replaced, removed, or refused.
///
/// # Security
/// Query strings, cookies and bodies carry no keys. Only once a request without a key is refused, its query is searched
/// for one, so that the caller is told where keys belong. What the inner service sees no longer holds the key, unless
/// [`keep_credentials`](Self::keep_credentials) says so. A request that is refused is dropped with its body unread.
///
/// A layer of the same [`ApiKeys`](crate::ApiKeys) further in lets through whom this one proved. If it finds another key, in
/// a header that this one does not read, it refuses the request: 400 `ambiguous_credentials`.
pub struct ApiKeyLayer<R> {
    authenticator: Authenticator<R>,
    settings: Arc<Settings>,
}

impl<R> ApiKeyLayer<R> {
    /// The layer of a node that checks keys and manages none: its store need only be a
    /// [`KeyReader`](crate::store::KeyReader). Elsewhere, take [`ApiKeys::layer`](crate::ApiKeys::layer), which also counts usage, improves old
    /// hashes and reports corrupt records in the audit trail.
    ///
    /// ```
    /// use tower_api_keys::{
    ///     ApiKeyLayer, Authenticator,
    ///     auth::{AuthSettings, AuthSetupError},
    ///     store::KeyReader,
    /// };
    ///
    /// fn checking_only<R: KeyReader>(replica: R) -> Result<ApiKeyLayer<R>, AuthSetupError> {
    ///     Ok(ApiKeyLayer::new(Authenticator::new(replica, AuthSettings::new())?))
    /// }
    /// ```
    #[must_use]
    pub fn new(authenticator: Authenticator<R>) -> Self {
        Self { authenticator, settings: Arc::default() }
    }

    /// Lets requests *without* a key through, as nobody's; by default they are refused. A bad key is refused all the
    /// same: it is never taken for none. Nor is a key that stands somewhere else in `Authorization`.
    ///
    /// The inner service must ask who calls: a request may have no [`Principal`](crate::Principal). Answers to nobody
    /// carry no `Vary` of this layer's; an answer that may be cached and depends on who asks needs one.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.settings().optional = true;
        self
    }

    /// Keys of this organization only; by default those of all. A good key of another one is refused: 403 `wrong_team`, the
    /// same whatever organization that is. For a service that serves one customer on each host, say. Handlers of axum find
    /// the organization judged: `extract::InOrganization`.
    ///
    /// Where the organization depends on the request, put a [`RequireKeyLayer`](super::RequireKeyLayer) inside instead.
    ///
    /// ```
    /// use tower_api_keys::{ApiKeys, ApiKeyLayer, OrganizationId, store::MemoryStore};
    ///
    /// fn layer_of_acme(keys: &ApiKeys<MemoryStore>) -> Result<ApiKeyLayer<MemoryStore>, tower_api_keys::InvalidId> {
    ///     Ok(keys.layer_for(OrganizationId::new("acme")?)) // keys.layer().for_organization(…)
    /// }
    /// ```
    ///
    /// What this layer refuses without a key is counted for the organization:
    /// [`KeyManager::refusals_without_key`](crate::KeyManager::refusals_without_key).
    ///
    /// # Security
    /// Also refused is a key that a layer of the same `ApiKeys` further out accepted, if it is of another organization.
    #[must_use]
    pub fn for_organization(mut self, organization: OrganizationId) -> Self {
        self.settings().organization = Some(organization);
        self
    }

    /// What to do with a Bearer text whose beginning is not that of an accepted key: refuse it, the default, or leave it
    /// to the inner service, so that sessions and older keys live beside these. A text with a key further on in it, or with
    /// an encoded one, is refused in any case.
    #[must_use]
    pub fn foreign_bearer(mut self, foreign: ForeignBearer) -> Self {
        self.settings().foreign_bearer = foreign;
        self
    }

    /// Which headers carry keys; by default `Authorization: Bearer` and `x-api-key`.
    #[must_use]
    pub fn key_headers(mut self, headers: KeyHeaders) -> Self {
        let settings = self.settings();
        settings.presenter.set_headers(&headers);
        settings.missing = Refusal::missing(headers.advice(Instead::Nothing));
        settings.headers = headers;
        self
    }

    /// Leaves the key in the request, marked sensitive, for an inner service that passes it on. By default it is removed.
    ///
    /// A layer of the same `ApiKeys` further in then finds the key again, and checks and counts it again.
    ///
    /// # Security
    /// The inner service can log, store or forward the key.
    #[must_use]
    pub fn keep_credentials(mut self) -> Self {
        self.settings().keep_credentials = true;
        self
    }

    /// The realm of the Bearer challenge, `api` by default: what people call the space that a key opens.
    ///
    /// # Errors
    /// [`InvalidRealm`] unless it has 1 to 128 printable ASCII characters without quotes and backslashes.
    pub fn realm(mut self, realm: &str) -> Result<Self, InvalidRealm> {
        self.settings().presenter.set_realm(Realm::new(realm)?);
        Ok(self)
    }

    /// What this layer is called, such as `intake`: the label under which requests are counted, beside what
    /// [`sources`](Self::sources) finds. Of a source that names a client or a network, only the label is taken. Default:
    /// no label.
    #[must_use]
    pub fn source(mut self, label: Source) -> Self {
        self.settings().label = label.shared_label().clone();
        self
    }

    /// How client and network of a request are found, for the counts by source; the label is what
    /// [`source`](Self::source) says. Default: the client is the product of the `User-Agent`, and no network is kept.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.settings().sources = sources;
        self
    }

    /// Gives refusals a body of the embedder's own, here and where an inner service answers with a [`Refusal`].
    ///
    /// Status, challenge and `Retry-After` stay as they are unless the [`RejectionBody`] names others. `Cache-Control` is
    /// always `no-store`, and `Vary` always has the layer's names. gRPC calls are not affected. The function runs once for
    /// each refusal, on the thread that serves the request.
    ///
    /// ```
    /// # use tower_api_keys::{ApiKeyLayer, middleware::RejectionBody};
    /// # fn example<R>(layer: ApiKeyLayer<R>) -> ApiKeyLayer<R> {
    /// layer.rejection(|refusal| {
    ///     let kind = if refusal.code().status() == 403 { "permission_error" } else { "authentication_error" };
    ///     let message = refusal.detail();
    ///     RejectionBody::json(format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#))
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn rejection<F>(mut self, body: F) -> Self
    where
        F: Fn(&Refusal) -> RejectionBody + Send + Sync + 'static,
    {
        self.settings().presenter.set_body(body);
        self
    }

    /// Whether answers to requests by `x-api-key` get `Vary` and, unless they say otherwise, `Cache-Control: private`;
    /// they do by default.
    ///
    /// # Security
    /// Shared caches keep answers to `Authorization` apart (RFC 9111 §3.5) and know nothing of `x-api-key`. Turned off,
    /// a cache in front of the service may give one caller's answer to another.
    #[must_use]
    pub fn private_responses(mut self, private: bool) -> Self {
        self.settings().private_responses = private;
        self
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl<R> Clone for ApiKeyLayer<R> {
    fn clone(&self) -> Self {
        Self { authenticator: self.authenticator.clone(), settings: Arc::clone(&self.settings) }
    }
}

impl<R> fmt::Debug for ApiKeyLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyLayer").field("key_headers", &self.settings.headers).finish_non_exhaustive()
    }
}

impl<S, R> Layer<S> for ApiKeyLayer<R> {
    type Service = ApiKeyService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { authenticator, settings } = self.clone();
        ApiKeyService { inner, authenticator, settings }
    }
}
