//! What a second thread adds.

use std::{convert::Infallible, sync::Barrier, thread, time::Instant};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use tower::Service;

use crate::requests::{Turns, answers};

/// Requests of each thread in one round: several milliseconds of work, beside which starting the threads is nothing.
const REQUESTS: usize = 10_000;

/// The requests a second of two threads, each with a service and with keys of its own, over those of one. A round: first
/// one thread alone, then both at once.
pub fn two_over_one<S, B>(service: impl Fn() -> S + Sync, texts: &[String]) -> f64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let (some, others) = texts.split_at(texts.len() / 2);
    let one: f64 = per_second(&service, &[some]);
    per_second(&service, &[some, others]) / one
}

fn per_second<S, B>(service: &(impl Fn() -> S + Sync), texts: &[&[String]]) -> f64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let start = Barrier::new(texts.len());
    let thread = |texts| {
        let (mut service, requests) = (service(), Turns::of(texts).bearer(REQUESTS));
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
