//! What a second thread adds.

use std::{sync::Barrier, thread, time::Instant};

use http::StatusCode;
use tower::Layer;
use tower_api_keys::{ApiKeyLayer, store::MemoryStore};

use crate::requests::{Turns, answers, bare};

/// Requests of each thread in one round: several milliseconds of work, beside which starting the threads is nothing.
const REQUESTS: usize = 10_000;

/// The requests a second of two threads, each with keys of its own, over those of one. A round: first one thread alone,
/// then both at once.
pub fn two_over_one(layer: &ApiKeyLayer<MemoryStore>, texts: &[String]) -> f64 {
    let (some, others) = texts.split_at(texts.len() / 2);
    let one: f64 = per_second(layer, &[some]);
    per_second(layer, &[some, others]) / one
}

fn per_second(layer: &ApiKeyLayer<MemoryStore>, texts: &[&[String]]) -> f64 {
    let start = Barrier::new(texts.len());
    let thread = |texts| {
        let mut service = layer.layer(bare());
        let requests = Turns::of(texts).bearer(REQUESTS);
        start.wait();
        let begun = Instant::now();
        for request in requests {
            assert!(answers(&mut service, request, StatusCode::OK));
        }
        REQUESTS as f64 / begun.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = texts.iter().map(|&texts| scope.spawn(|| thread(texts))).collect();
        threads.into_iter().map(|thread| thread.join().expect("every request is answered")).sum()
    })
}
