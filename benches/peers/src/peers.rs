//! The other crates, each with keys, and used as its documentation says.

use std::{
    collections::HashMap,
    future::ready,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
};

use api_keys_simplified::{ApiKey, ApiKeyManagerV0, Environment, Hash, KeyStatus};
use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use modo::auth::apikey::{ApiKeyBackend, ApiKeyConfig, ApiKeyLayer, ApiKeyRecord, ApiKeyStore, CreateKeyRequest};
use prefixed_api_key::{PakControllerOsSha256, PrefixedApiKey};
use tollgate_auth::{CredentialVerifier, HmacRegistry};
use tower::Layer;
use tower_http::{add_extension::AddExtensionLayer, validate_request::ValidateRequestHeaderLayer};

use crate::requests::shuffle;

/// The caller that tower-http's layers insert into the extensions: about as large as a handler needs.
#[derive(Clone)]
pub struct StaticCaller(pub Arc<str>);

/// tower-http: compares the whole header with the single valid one, and inserts an extension. Not in constant time: its
/// own `bearer`, which is deprecated, was not either.
pub fn tower_http_static<S>(
    credential: HeaderValue,
) -> impl Layer<S, Service = impl tower::Service<Request<Body>, Response = Response<Body>, Error = S::Error>>
where
    S: tower::Service<Request<Body>, Response = Response<Body>>,
{
    #[expect(clippy::result_large_err, reason = "tower-http asks for the response itself")]
    let validate = move |request: &mut Request<Body>| match request.headers().get(AUTHORIZATION) {
        Some(value) if value == credential => Ok(()),
        _ => {
            let mut refusal = Response::new(Body::empty());
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            Err(refusal)
        }
    };
    (ValidateRequestHeaderLayer::custom(validate), AddExtensionLayer::new(StaticCaller("the only caller".into())))
}

/// `prefixed-api-key`: parses a key and checks one hash. It has no look-up and no middleware.
pub struct Prefixed {
    controller: PakControllerOsSha256,
    /// The text of the key.
    pub text: String,
    hash: String,
}

impl Prefixed {
    /// One key, with the lengths that its documentation recommends.
    pub fn new() -> Self {
        let controller = PakControllerOsSha256::configure().prefix("example".into()).seam_defaults().finalize();
        let controller = controller.expect("the recommended settings");
        let (key, hash) = controller.generate_key_and_hash();
        Self { controller, text: key.to_string(), hash }
    }

    /// Whether the text is that of the key.
    #[inline]
    pub fn check(&self, text: &str) -> bool {
        PrefixedApiKey::from_string(text).is_ok_and(|key| self.controller.check_hash(&key, &self.hash))
    }
}

impl Default for Prefixed {
    fn default() -> Self {
        Self::new()
    }
}

/// `api-keys-simplified`: checks one key against one Argon2id hash, with its defaults. It has no look-up, no middleware
/// and no cache.
pub struct Simplified {
    manager: ApiKeyManagerV0,
    key: ApiKey<Hash>,
}

impl Simplified {
    /// One key.
    pub fn new() -> Self {
        let manager = ApiKeyManagerV0::init_default_config("sk").expect("a prefix of two letters");
        let key = manager.generate(Environment::production()).expect("a key");
        Self { manager, key }
    }

    /// Whether the key is right.
    pub fn check(&self) -> bool {
        matches!(self.manager.verify(self.key.key(), self.key.expose_hash().hash()), Ok(KeyStatus::Valid))
    }
}

impl Default for Simplified {
    fn default() -> Self {
        Self::new()
    }
}

/// `tollgate-auth`: its registry, which finds a key by its HMAC. It has no middleware.
pub struct Tollgate(HmacRegistry);

impl Tollgate {
    /// A registry of these texts. Its own keys are ten characters shorter, which take the same time with SHA-256.
    pub fn of(texts: &[String]) -> Self {
        let registry = HmacRegistry::new(b"a secret of the server's, 32 byt");
        registry.install_credentials(texts);
        Self(registry)
    }

    /// Whether the text is a key.
    #[inline]
    pub fn check(&self, text: &str) -> bool {
        self.0.verify(text.as_bytes()).is_some()
    }
}

/// `modo-rs`: its whole layer, with SHA-256 for each request, over a store of keys.
pub struct Modo {
    store: ApiKeyStore,
    /// The texts of the keys.
    pub texts: Vec<String>,
}

impl Modo {
    /// A store with this number of keys. Each request starts a write of the last use, unless it was written recently.
    /// Here all keys are marked as used just now, so that no write starts. The settings are the defaults, except for
    /// the length of that interval.
    pub async fn filled(keys: usize) -> Self {
        let mut config = ApiKeyConfig::default();
        config.touch_threshold_secs = 3_600;
        let store = ApiKeyStore::from_backend(Arc::<Records>::default(), config).expect("its own settings");
        let mut texts = Vec::with_capacity(keys);
        for number in 0..keys {
            let request = CreateKeyRequest {
                tenant_id: format!("tenant-{number}"),
                name: "CI".into(),
                scopes: Vec::new(),
                expires_at: None,
            };
            texts.push(store.create(&request).await.expect("a key").raw_token);
        }
        shuffle(&mut texts);
        Self { store, texts }
    }

    /// The layer.
    pub fn layer(&self) -> ApiKeyLayer {
        ApiKeyLayer::new(self.store.clone())
    }
}

/// The fastest store for modo's records. Its own stores are slower: SQLite with a query for each request, and for tests
/// a list that is searched from the front.
#[derive(Default)]
struct Records(RwLock<HashMap<String, ApiKeyRecord>>);

type Answer<'a, T> = Pin<Box<dyn Future<Output = modo::Result<T>> + Send + 'a>>;

impl Records {
    fn change<'a>(&self, id: &str, change: impl FnOnce(&mut ApiKeyRecord)) -> Answer<'a, ()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).get_mut(id).map(change);
        Box::pin(ready(Ok(())))
    }
}

impl ApiKeyBackend for Records {
    fn store(&self, record: &ApiKeyRecord) -> Answer<'_, ()> {
        let record = ApiKeyRecord { last_used_at: Some(record.created_at.clone()), ..record.clone() };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(record.id.clone(), record);
        Box::pin(ready(Ok(())))
    }

    fn lookup(&self, id: &str) -> Answer<'_, Option<ApiKeyRecord>> {
        Box::pin(ready(Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned())))
    }

    fn revoke(&self, id: &str, at: &str) -> Answer<'_, ()> {
        self.change(id, |record| record.revoked_at = Some(at.to_owned()))
    }

    fn list(&self, _: &str) -> Answer<'_, Vec<ApiKeyRecord>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn update_last_used(&self, id: &str, at: &str) -> Answer<'_, ()> {
        self.change(id, |record| record.last_used_at = Some(at.to_owned()))
    }

    fn update_expires_at(&self, id: &str, at: Option<&str>) -> Answer<'_, ()> {
        self.change(id, |record| record.expires_at = at.map(str::to_owned))
    }
}
