//! The gain of a second thread.

use std::{convert::Infallible, sync::Barrier, thread};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use tower::Service;

use crate::{
    measure::{BATCH, timed},
    requests::{Turns, answers},
};

/// Measurements of each thread in one round: several milliseconds of work, so that it does not matter if one thread
/// begins and ends a little before the other.
const MEASUREMENTS: usize = 20;

/// The requests a second of two threads, each with its own service and keys, divided by those of one thread. A round is
/// first one thread alone, then both at once. As everywhere, building the requests is not counted; the other thread may
/// do that meanwhile.
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
        let (mut service, mut turns) = (service(), Turns::of(texts));
        start.wait();
        let of_each = (0..MEASUREMENTS)
            .map(|_| timed(|| turns.bearer(BATCH), |request| answers(&mut service, request, StatusCode::OK)));
        1e9 * MEASUREMENTS as f64 / of_each.sum::<f64>()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = texts.iter().map(|&texts| scope.spawn(|| thread(texts))).collect();
        threads.into_iter().map(|thread| thread.join().expect("every request is answered")).sum()
    })
}
