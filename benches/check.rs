//! What a check costs once a key is proved, and what a refusal costs: `cargo bench --bench check`.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench that cannot start has nothing to measure")]

use std::{convert::Infallible, hint::black_box};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, UserId,
    hash::Argon2Params,
    key::{KeyFormat, PlaintextKey},
    store::MemoryStore,
};

/// So many keys are known and proved.
const KEYS: usize = 1_000;

fn proved_keys() -> (ApiKeys<MemoryStore>, Vec<PlaintextKey>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let builder = ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET);
        let (keys, actor) = (builder.build().await.unwrap(), Actor::system("bench").unwrap());
        let mut texts = Vec::new();
        for number in 0..KEYS {
            let request = IssueKey::user(UserId::from(number as u64));
            let issued = keys.manager().issue(request, &actor).await.unwrap();
            keys.authenticator().authenticate(issued.plaintext().expose_secret()).await.unwrap();
            texts.push(issued.into_plaintext());
        }
        (keys, texts)
    })
}

fn check(c: &mut Criterion) {
    let (keys, texts) = proved_keys();
    let (authenticator, format) = (keys.authenticator(), KeyFormat::unbranded());
    let mut next = texts.iter().cycle();
    c.bench_function("parse", |b| {
        b.iter(|| format.parse(black_box(next.next().unwrap().expose_secret().as_bytes())).is_ok());
    });
    c.bench_function("proved key", |b| {
        b.iter(|| authenticator.authenticate(next.next().unwrap().expose_secret()).now_or_never().unwrap().unwrap());
    });
    let malformed = texts[0].expose_secret().replace("user.", "usre.");
    c.bench_function("malformed key", |b| {
        b.iter(|| authenticator.authenticate(black_box(&malformed)).now_or_never().unwrap().unwrap_err());
    });
}

fn layer(c: &mut Criterion) {
    let (keys, texts) = proved_keys();
    let mut next = texts.iter().cycle();
    let mut request = || {
        let key = next.next().unwrap().expose_secret();
        Request::get("/").header("authorization", format!("Bearer {key}")).body(Empty::<Bytes>::new()).unwrap()
    };
    let bare = service_fn(|request: Request<Empty<Bytes>>| async move {
        black_box(&request);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let (mut bare, mut layered) = (bare, keys.layer().layer(bare));
    c.bench_function("service without the layer", |b| {
        b.iter_batched(&mut request, |request| bare.call(request).now_or_never(), criterion::BatchSize::SmallInput);
    });
    c.bench_function("service with the layer", |b| {
        b.iter_batched(&mut request, |request| layered.call(request).now_or_never(), criterion::BatchSize::SmallInput);
    });
}

criterion_group!(benches, check, layer);
criterion_main!(benches);
