//! What a check costs once a key is proved, and what a refusal costs: `cargo bench --bench check`.
//!
//! Prints a line each: name, tab, nanoseconds for a call. A harness of its own, because everything that an example or a
//! test needs is built for each newcomer's first command.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, and without a key there is nothing to measure"
)]

use std::{convert::Infallible, hint::black_box, time::Instant};

use bytes::Bytes;
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

/// Rounds, interleaved so that a noisy machine disturbs all alike; the median of them is printed.
const ROUNDS: usize = 51;

/// Calls in each round.
const CALLS: usize = 2_000;

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

fn main() {
    let (keys, texts) = proved_keys();
    let (authenticator, format) = (keys.authenticator(), KeyFormat::unbranded());
    let malformed = texts[0].expose_secret().replace("user.", "usre.");
    let bare = service_fn(|request: Request<Empty<Bytes>>| async move {
        black_box(&request);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let (mut bare, mut layered) = (bare, keys.layer().layer(bare));
    let text = |number: usize| texts[number % KEYS].expose_secret();
    let requests = || -> Vec<_> { (0..CALLS).map(|number| request(text(number))).collect() };

    let mut rounds: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        rounds[0].push(each(0..CALLS, |number| format.parse(black_box(text(number).as_bytes())).is_ok()));
        rounds[1].push(each(0..CALLS, |number| authenticator.authenticate(text(number)).now_or_never()));
        rounds[2].push(each(0..CALLS, |_| authenticator.authenticate(black_box(&malformed)).now_or_never()));
        rounds[3].push(each(requests(), |request| bare.call(request).now_or_never()));
        rounds[4].push(each(requests(), |request| layered.call(request).now_or_never()));
    }
    for (name, round) in ["parse", "proved_key", "malformed_key", "bare", "layered"].iter().zip(&mut rounds) {
        round.sort_by(f64::total_cmp);
        println!("{name}_ns\t{:.0}", round[ROUNDS / 2]);
    }
}

fn request(key: &str) -> Request<Empty<Bytes>> {
    Request::get("/").header("authorization", format!("Bearer {key}")).body(Empty::new()).unwrap()
}

/// Nanoseconds for each call.
fn each<T, O>(inputs: impl IntoIterator<Item = T>, mut call: impl FnMut(T) -> O) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u32;
    for input in inputs {
        black_box(call(input));
        calls += 1;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}
