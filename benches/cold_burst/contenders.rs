//! Two ways to check a key by its hash.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeys, Timestamp,
    audit::EventRow,
    hash::HasherConfig,
    key::KeyId,
    record::KeyRow,
    store::{AuditedWrite, Change, ChangeId, KeyStore, MemoryStore, Write},
};

use crate::Hashed;

/// Checks a key, and returns whether it is accepted.
pub(crate) type Check = Arc<dyn Fn(String) -> BoxFuture<'static, bool> + Send + Sync>;

pub(crate) struct Contender {
    pub(crate) check: Check,
    /// The number of Argon2id runs so far.
    pub(crate) runs: Box<dyn Fn() -> u64>,
}

pub(crate) async fn ours(keys: &[Hashed]) -> Contender {
    let store = MemoryStore::new();
    for (number, key) in keys.iter().enumerate() {
        let row = KeyRow { id: key.id().to_owned(), hash: key.phc.clone(), tag: key.tag, ..KeyRow::example() };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let writes = vec![AuditedWrite { write: Write::Insert(row), event: EventRow::example() }];
        let at = Timestamp::from_millis(1_772_366_400_000).unwrap();
        let change = Change { id: ChangeId::from_bytes(id), at, writes, guards: vec![], idempotency: None };
        store.apply(&change).await.unwrap();
    }
    let hasher = HasherConfig::new().with_check_wait(Duration::from_secs(10)).with_queue(keys.len().max(256));
    let keys = ApiKeys::builder(store).hasher(hasher).build().await.unwrap();
    let authenticator = keys.authenticator();
    let service = keys.layer().layer(service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let check = move |text: String| -> BoxFuture<'static, bool> {
        let request = Request::get("/").header("authorization", format!("Bearer {text}"));
        let answer = service.clone().oneshot(request.body(Empty::new()).unwrap());
        Box::pin(async move { answer.await.unwrap().status() == StatusCode::OK })
    };
    Contender { check: Arc::new(check), runs: Box::new(move || authenticator.argon2_runs()) }
}

pub(crate) fn naive(keys: &[Hashed]) -> Contender {
    let stored: HashMap<KeyId, String> =
        keys.iter().map(|key| (KeyId::new(key.id()).unwrap(), key.phc.clone())).collect();
    let (stored, proved, runs) =
        (Arc::new(stored), Arc::<RwLock<HashSet<String>>>::default(), Arc::<AtomicU64>::default());
    let counted = runs.clone();
    let check = move |text: String| -> BoxFuture<'static, bool> {
        let (stored, proved, runs) = (stored.clone(), proved.clone(), counted.clone());
        Box::pin(async move {
            if proved.read().unwrap().contains(&text) {
                return true;
            }
            let checked = tokio::task::spawn_blocking(move || {
                runs.fetch_add(1, Ordering::Relaxed);
                let parsed = PasswordHash::new(&stored[&KeyId::new(&text[5..25]).unwrap()]).unwrap();
                Argon2::default().verify_password(text.as_bytes(), &parsed).is_ok().then_some(text)
            });
            let accepted = checked.await.unwrap();
            accepted.is_some_and(|text| {
                proved.write().unwrap().insert(text);
                true
            })
        })
    };
    Contender { check: Arc::new(check), runs: Box::new(move || runs.load(Ordering::Relaxed)) }
}
