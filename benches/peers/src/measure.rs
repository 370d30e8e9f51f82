//! Rounds that take turns, and their medians.

use std::{hint::black_box, time::Instant};

/// Calls in a batch: few enough that their inputs fit into a core's cache.
pub const BATCH: usize = 100;

/// Batches in a round that are not counted: they go once through 1,000 keys, and refill the caches after the contender
/// before.
const WARM_UP: usize = 10;

/// Batches in a round that are counted.
const COUNTED: usize = 20;

/// Contenders, each measured once in a round, so that a noisy machine disturbs all of them equally.
#[derive(Default)]
pub struct Rounds<'a>(Vec<Contender<'a>>);

struct Contender<'a> {
    name: &'static str,
    measure: Box<dyn FnMut() -> f64 + 'a>,
    /// One figure for each round.
    figures: Vec<f64>,
}

impl<'a> Rounds<'a> {
    /// Adds a contender. `measure` does one round of it and returns the figure, usually nanoseconds for each call.
    pub fn add(&mut self, name: &'static str, measure: impl FnMut() -> f64 + 'a) {
        self.0.push(Contender { name, measure: Box::new(measure), figures: Vec::new() });
    }

    /// Does this number of rounds. Each begins with another contender, so that none always follows the same one.
    pub fn run(&mut self, rounds: usize) {
        let contenders = self.0.len();
        for round in 0..rounds {
            for turn in 0..contenders {
                let contender = &mut self.0[(round + turn) % contenders];
                let figure = (contender.measure)();
                contender.figures.push(figure);
            }
        }
    }

    /// The median of a contender's rounds.
    pub fn median(&self, name: &str) -> f64 {
        median(self.figures(name).to_vec())
    }

    /// The median of a figure that is computed from several contenders in the same round.
    pub fn median_of<const N: usize>(&self, names: [&str; N], figure: impl Fn([f64; N]) -> f64) -> f64 {
        let of_each = names.map(|name| self.figures(name));
        let rounds = of_each.first().map_or(0, |figures| figures.len());
        median((0..rounds).map(|round| figure(of_each.map(|figures| figures[round]))).collect())
    }

    /// The median of the difference between a contender and another one in the same round.
    pub fn median_over(&self, name: &str, base: &str) -> f64 {
        self.median_of([name, base], |[more, less]| more - less)
    }

    fn figures(&self, name: &str) -> &[f64] {
        let found = self.0.iter().find(|contender| contender.name == name);
        &found.unwrap_or_else(|| panic!("nobody is called {name}")).figures
    }
}

/// Nanoseconds for each call, in one round of a contender with short calls.
///
/// `inputs` makes a batch of [`BATCH`] outside of the measured time. The first batches of a round are not counted.
/// Dropping the result of a call is part of the call.
///
/// # Panics
/// If a call returns `false`: a contender that does not do what is measured would look fast.
pub fn timed<T>(inputs: impl FnMut() -> Vec<T>, mut call: impl FnMut(T) -> bool) -> f64 {
    timed_batches(inputs, |inputs| {
        let mut as_wanted = 0;
        for input in inputs {
            as_wanted += usize::from(black_box(call(input)));
        }
        as_wanted
    })
}

/// As [`timed`], for calls that have to be made in a batch. `calls` returns how many of them did what is measured.
///
/// # Panics
/// As [`timed`].
pub fn timed_batches<T>(mut inputs: impl FnMut() -> Vec<T>, mut calls: impl FnMut(Vec<T>) -> usize) -> f64 {
    let mut nanoseconds = 0;
    for batch in 0..WARM_UP + COUNTED {
        let inputs = inputs();
        assert_eq!(inputs.len(), BATCH, "inputs in a batch");
        let start = Instant::now();
        let as_wanted = calls(inputs);
        let took = start.elapsed().as_nanos();
        assert_eq!(as_wanted, BATCH, "calls of a batch that did what is measured");
        nanoseconds += if batch < WARM_UP { 0 } else { took };
    }
    nanoseconds as f64 / (COUNTED * BATCH) as f64
}

/// Nanoseconds of one call that takes milliseconds.
///
/// # Panics
/// As [`timed`].
pub fn timed_once(call: impl FnOnce() -> bool) -> f64 {
    let start = Instant::now();
    let as_wanted = black_box(call());
    let took = start.elapsed().as_nanos() as f64;
    assert!(as_wanted, "the call did what is measured");
    took
}

/// The middle one of some figures, the upper one of an even number.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
