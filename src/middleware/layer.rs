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
/// Works over any tower service with `http` types. Cheap to clone. [`RefusalCode`](super::RefusalCode) has the table of
/// requests and answers.
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
/// A key is read behind `Bearer` and in `x-api-key`. All of `Authorization` is then searched for a key in the wrong
/// place: behind another scheme, glued to something, in quotes, in the user or password of `Basic`, or encoded once
/// (base64, of UTF-16 too, hexadecimal digits, escapes such as `%2E`). Such a key is refused as malformed, mostly for
/// [`MissingScheme`](crate::key::MalformedReason::MissingScheme). The request never counts as one without a key, not
/// even with [`optional`](Self::optional) or [`ForeignBearer::Ignore`], and never reaches the inner service. Only a
/// whole key counts, as in [`KeyFormat::find_in`](crate::key::KeyFormat::find_in). Without a scheme, or behind `Token`
/// or `ApiKey`, a text that begins with a prefix and a whole id counts, too. All other credentials pass unchanged.
///
/// # Order with other layers
/// Trace layers and [`MarkKeysSensitive`](super::MarkKeysSensitive) go outside, so that refusals are traced and no
/// trace shows a key. CORS layers go outside too: `OPTIONS` is not special here, and a preflight request carries no
/// key.
///
/// Limits for keys go inside. A request with a cached key calls the service that was polled ready. A request that waits
/// for a check gives back what that service holds, such as the permit of a limit; after the key proved to be good, a
/// clone of the service is polled ready. A refused request gives it back at once.
///
/// # Nesting
/// Inside another layer of the same `ApiKeys`, a request whose key was already removed is accepted with the principal
/// that the outer layer proved. A principal that another `ApiKeys` proved never passes: it is replaced, removed, or
/// refused.
///
/// # Security
/// Query strings, cookies and bodies carry no keys. Only after a request without a key is refused, its query is
/// searched for one, to tell the caller where keys belong. The inner service does not see the key, unless you set
/// [`keep_credentials`](Self::keep_credentials). A refused request is dropped with its body unread.
///
/// A layer of the same [`ApiKeys`](crate::ApiKeys) further in accepts the principal that this one proved. If it finds
/// another key, in a header that this one does not read, it refuses the request: 400 `ambiguous_credentials`.
pub struct ApiKeyLayer<R> {
    authenticator: Authenticator<R>,
    settings: Arc<Settings>,
}

impl<R> ApiKeyLayer<R> {
    /// The layer of a node that checks keys and does not manage them: its store need only be a
    /// [`KeyReader`](crate::store::KeyReader). On other nodes use [`ApiKeys::layer`](crate::ApiKeys::layer), which also
    /// counts usage, improves old hashes and reports corrupt records in the audit trail.
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

    /// Lets requests *without* a key through, without a principal. By default they are refused. A bad key is still
    /// refused: it is never treated as none. The same holds for a key in the wrong place in `Authorization`.
    ///
    /// The inner service must check who calls: a request may have no [`Principal`](crate::Principal). Answers to
    /// requests without a key get no `Vary` from this layer. An answer that may be cached and depends on the caller
    /// needs one.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.settings().optional = true;
        self
    }

    /// Accepts only the keys of this organization. Default: the keys of all. A good key of any other organization is
    /// refused: 403 `wrong_team`. For a service that serves one customer on each host, for example. In axum handlers,
    /// `extract::InOrganization` gives the judged organization.
    ///
    /// If the organization depends on the request, put a [`RequireKeyLayer`](super::RequireKeyLayer) inside instead.
    ///
    /// ```
    /// use tower_api_keys::{ApiKeys, ApiKeyLayer, OrganizationId, store::MemoryStore};
    ///
    /// fn layer_of_acme(keys: &ApiKeys<MemoryStore>) -> Result<ApiKeyLayer<MemoryStore>, tower_api_keys::InvalidId> {
    ///     Ok(keys.layer_for(OrganizationId::new("acme")?)) // keys.layer().for_organization(…)
    /// }
    /// ```
    ///
    /// Refusals without a key by this layer are counted for the organization: see
    /// [`KeyManager::refusals_without_key`](crate::KeyManager::refusals_without_key).
    ///
    /// # Security
    /// A key of another organization is also refused if a layer of the same `ApiKeys` further out accepted it.
    #[must_use]
    pub fn for_organization(mut self, organization: OrganizationId) -> Self {
        self.settings().organization = Some(organization);
        self
    }

    /// What to do with a Bearer text that does not begin like an accepted key: refuse it, the default, or leave it to
    /// the inner service, so that you can use sessions and older keys beside these. A text with a key further on in it,
    /// or with an encoded key, is refused in both cases.
    #[must_use]
    pub fn foreign_bearer(mut self, foreign: ForeignBearer) -> Self {
        self.settings().foreign_bearer = foreign;
        self
    }

    /// The headers that carry keys. Default: `Authorization: Bearer` and `x-api-key`.
    #[must_use]
    pub fn key_headers(mut self, headers: KeyHeaders) -> Self {
        let settings = self.settings();
        settings.presenter.set_headers(&headers);
        settings.missing = Refusal::missing(headers.advice(Instead::Nothing));
        settings.headers = headers;
        self
    }

    /// Leaves the key in the request, marked sensitive, for an inner service that passes it on. By default it is
    /// removed.
    ///
    /// A layer of the same `ApiKeys` further in then finds the key, and checks and counts it a second time.
    ///
    /// # Security
    /// The inner service can log, store or forward the key.
    #[must_use]
    pub fn keep_credentials(mut self) -> Self {
        self.settings().keep_credentials = true;
        self
    }

    /// The realm of the Bearer challenge: the name of the space that a key opens. Default: `api`.
    ///
    /// # Errors
    /// [`InvalidRealm`] unless it has 1 to 128 printable ASCII characters without quotes and backslashes.
    pub fn realm(mut self, realm: &str) -> Result<Self, InvalidRealm> {
        self.settings().presenter.set_realm(Realm::new(realm)?);
        Ok(self)
    }

    /// A label for this layer, such as `intake`. Requests are counted under it, beside what [`sources`](Self::sources)
    /// finds. If the source names a client or a network, only its label is used. Default: no label.
    #[must_use]
    pub fn source(mut self, label: Source) -> Self {
        self.settings().label = label.shared_label().clone();
        self
    }

    /// How to find client and network of a request, for the counts by source; the label is set by
    /// [`source`](Self::source). Default: the client is the product of the `User-Agent`, and no network is kept.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.settings().sources = sources;
        self
    }

    /// Gives refusals a body in your own format, here and if an inner service answers with a [`Refusal`].
    ///
    /// Status, challenge and `Retry-After` stay unchanged unless the [`RejectionBody`] sets others. `Cache-Control` is
    /// always `no-store`, and `Vary` always has the layer's names. gRPC calls are not affected. The function runs once
    /// for each refusal, on the thread that serves the request.
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

    /// Whether answers to requests by `x-api-key` get `Vary` and, unless they say otherwise, `Cache-Control: private`.
    /// Default: yes.
    ///
    /// # Security
    /// Shared caches keep answers to `Authorization` apart (RFC 9111 §3.5), but do not know `x-api-key`. If you turn
    /// this off, a cache in front of the service may give one caller's answer to another.
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
