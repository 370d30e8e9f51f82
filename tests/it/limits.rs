//! A limit inside of the layer, with real keys and a slow store.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::join_all, poll};
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, limit::GlobalConcurrencyLimitLayer, service_fn};
use tower_api_keys::{ApiKeys, KeyKind, key::KeyFormat, store::MemoryStore};

use crate::support::{
    cheap,
    hooked::{Fault, Hooked},
    issue, user,
};

const STRANGERS: usize = 32;

fn request(key: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

#[tokio::test]
async fn strangers_whose_look_ups_last_do_not_spend_a_limit_inside() {
    let store = Hooked::new(Arc::new(MemoryStore::new()));
    let hooks = store.hooks.clone();
    let keys = ApiKeys::builder(store).hasher(cheap()).build().await.unwrap();
    let inner =
        service_fn(async |_: Request<Full<Bytes>>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let service = keys.layer().layer(GlobalConcurrencyLimitLayer::new(8).layer(inner));
    let known = issue(&keys, user("alice")).await;
    let warm = || service.clone().oneshot(request(known.expose_secret()));
    assert_eq!(warm().await.unwrap().status(), 200);

    hooks.fail("find", Fault::Hang, STRANGERS);
    let mut waiting = Vec::new();
    for _ in 0..STRANGERS {
        let unknown = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
        let mut future = Box::pin(service.clone().oneshot(request(unknown.expose_secret())));
        assert!(poll!(&mut future).is_pending());
        waiting.push(future);
    }
    // A known key does not wait, although more strangers wait than the limit has places.
    for _ in 0..2 * STRANGERS {
        assert_eq!(warm().now_or_never().expect("a known key waits for strangers").unwrap().status(), 200);
    }
    drop(waiting);
    assert!(join_all((0..STRANGERS).map(|_| warm())).await.into_iter().all(|answer| answer.unwrap().status() == 200));
}
