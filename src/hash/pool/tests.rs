use std::{
    cell::RefCell,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
};

use super::*;
use crate::hash::{
    cpu_time::MEASURE,
    job::{Ending, Outcome, Unheard},
};

const ONE_THREAD: Limits = Limits { threads: 1, places: Places { issue: 2, check: 2, rehash: 1 }, measure: None };

/// The thread seems never to get a core, no matter what it does.
const STARVING: Limits = Limits { measure: Some(no_time), ..ONE_THREAD };

struct NoTime;

impl CpuTime for NoTime {
    fn read(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

fn no_time() -> Option<Box<dyn CpuTime>> {
    Some(Box::new(NoTime))
}

fn job(run: impl Fn() + Send + Sync + 'static) -> Queued {
    let run = move |_: &mut Memory| {
        run();
        Ok(())
    };
    Queued::new(Job::new(run, Unheard))
}

/// Occupies a thread until the sender is dropped. Returns when the job has begun.
fn occupy(pool: &Pool) -> Sender<()> {
    let (release, released) = channel();
    let (begun, begins) = channel();
    let released = Mutex::new(released);
    let run = move || {
        begun.send(()).unwrap();
        // The relief thread may run it again: it must be free for later jobs.
        if let Ok(released) = released.try_lock() {
            let _ = released.recv();
        }
    };
    pool.submit(Urgency::Issue, || job(run)).unwrap();
    begins.recv().unwrap();
    release
}

fn note(pool: &Pool, urgency: Urgency, notes: &Sender<&'static str>, text: &'static str) -> Result<(), Refused> {
    let notes = notes.clone();
    pool.submit(urgency, || job(move || notes.send(text).unwrap()))
}

fn all(notes: Sender<&'static str>, received: Receiver<&'static str>) -> Vec<&'static str> {
    drop(notes);
    received.into_iter().collect()
}

#[test]
fn checks_come_before_issuing_in_turns_and_rehashing_last() {
    let pool = Pool::new(ONE_THREAD);
    let gate = occupy(&pool);
    let (notes, received) = channel();
    note(&pool, Urgency::Rehash, &notes, "rehash").unwrap();
    note(&pool, Urgency::Issue, &notes, "issue").unwrap();
    note(&pool, Urgency::Check, &notes, "first check").unwrap();
    note(&pool, Urgency::Check, &notes, "second check").unwrap();
    drop(gate);
    assert_eq!(all(notes, received), ["first check", "second check", "issue", "rehash"]);
}

#[test]
fn every_urgency_has_its_own_places() {
    let pool = Pool::new(ONE_THREAD);
    let _gate = occupy(&pool);
    let (notes, _received) = channel();
    for (urgency, places) in [(Urgency::Check, 2), (Urgency::Rehash, 1), (Urgency::Issue, 2)] {
        for _ in 0..places {
            note(&pool, urgency, &notes, "").unwrap();
        }
        assert!(matches!(note(&pool, urgency, &notes, ""), Err(Refused::Full)), "{urgency:?}");
    }
    assert_eq!(pool.queued(), 5);
}

#[test]
fn a_full_queue_makes_no_job() {
    let pool = Pool::new(Limits { places: Places { check: 0, ..ONE_THREAD.places }, ..ONE_THREAD });
    let refused = pool.submit(Urgency::Check, || panic!("made a job that has no place"));
    assert!(matches!(refused, Err(Refused::Full)));
}

#[test]
fn a_panic_does_not_stop_the_thread() {
    let pool = Pool::new(ONE_THREAD);
    let gate = occupy(&pool);
    let (notes, received) = channel();
    pool.submit(Urgency::Check, || job(|| panic!("injected"))).unwrap();
    note(&pool, Urgency::Check, &notes, "after").unwrap();
    drop(gate);
    assert_eq!(all(notes, received), ["after"]);
}

#[test]
fn two_jobs_run_at_once_on_two_threads() {
    let pool = Pool::new(Limits { threads: 2, ..ONE_THREAD });
    // Returns only if the second one runs while the first is held.
    let (_first, _second) = (occupy(&pool), occupy(&pool));
}

#[test]
fn dropping_the_pool_drops_what_waits() {
    let pool = Pool::new(ONE_THREAD);
    let _gate = occupy(&pool);
    let (notes, received) = channel();
    note(&pool, Urgency::Check, &notes, "never").unwrap();
    drop(pool);
    assert!(all(notes, received).is_empty());
}

#[test]
fn threads_end_with_the_pool() {
    struct Farewell(Sender<&'static str>);

    impl Drop for Farewell {
        fn drop(&mut self) {
            let _ = self.0.send("ended");
        }
    }

    thread_local! {
        static FAREWELL: RefCell<Option<Farewell>> = const { RefCell::new(None) };
    }

    let pool = Pool::new(ONE_THREAD);
    let (notes, received) = channel();
    let run = move || {
        let farewell = Farewell(notes.clone());
        FAREWELL.with(|slot| *slot.borrow_mut() = Some(farewell));
        notes.send("runs").unwrap();
    };
    pool.submit(Urgency::Check, || job(run)).unwrap();
    assert_eq!(received.recv(), Ok("runs"));
    drop(pool);
    assert_eq!(received.recv(), Ok("ended"));
}

/// The priority of the thread that a job of this pool runs on.
#[cfg(target_os = "linux")]
fn priority(limits: Limits) -> i32 {
    let pool = Pool::new(limits);
    let (answer, answered) = channel();
    let run = move || answer.send(rustix::process::getpriority_process(None).unwrap()).unwrap();
    pool.submit(Urgency::Check, || job(run)).unwrap();
    answered.recv().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn hashing_threads_have_the_lowest_priority() {
    let before = rustix::process::getpriority_process(None).unwrap();
    assert_eq!(priority(Limits { measure: MEASURE, ..ONE_THREAD }), 19);
    assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
}

/// It could be left without a core without notice.
#[test]
#[cfg(target_os = "linux")]
fn a_thread_that_cannot_be_measured_keeps_its_priority() {
    let before = rustix::process::getpriority_process(None).unwrap();
    assert_eq!(priority(Limits { measure: Some(|| None), ..ONE_THREAD }), before);
    assert_eq!(priority(ONE_THREAD), before);
}

#[test]
fn the_time_until_a_thread_takes_a_job_is_its_wait() {
    let pool = Pool::new(ONE_THREAD);
    let gate = occupy(&pool);
    let before = pool.figures();
    let (notes, received) = channel();
    note(&pool, Urgency::Check, &notes, "first").unwrap();
    note(&pool, Urgency::Check, &notes, "second").unwrap();
    note(&pool, Urgency::Check, &notes, "one too many").unwrap_err();
    let queued = pool.figures();
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(1) {
        std::hint::spin_loop();
    }
    drop(gate);
    all(notes, received);
    let after = pool.figures();
    assert_eq!((before.queued, before.taken, before.refused), (0, 1, 0));
    assert_eq!((queued.queued, queued.taken, queued.refused), (2, 1, 1));
    assert_eq!((after.queued, after.taken, after.refused), (0, 3, 1));
    assert!(after.longest_wait >= Duration::from_millis(1), "{after:?}");
    assert!(after.total_wait >= Duration::from_millis(2) && after.total_wait >= after.longest_wait, "{after:?}");
}

#[test]
fn what_waits_for_a_starving_thread_is_taken_over() {
    let pool = Pool::new(STARVING);
    let gate = occupy(&pool);
    let (notes, received) = channel();
    note(&pool, Urgency::Check, &notes, "a check").unwrap();
    note(&pool, Urgency::Issue, &notes, "a new key").unwrap();
    note(&pool, Urgency::Rehash, &notes, "a better hash").unwrap();
    // The only thread is held until all are done.
    assert_eq!(all(notes, received), ["a check", "a new key", "a better hash"]);
    let figures = pool.figures();
    assert!(figures.starved >= WINDOW && figures.taken_over >= 3, "{figures:?}");
    drop(gate);
}

/// Says on which thread a run ended.
struct EndedOn(Sender<Option<String>>);

impl Ending<()> for EndedOn {
    fn end(self, outcome: Outcome<()>) {
        outcome.unwrap();
        self.0.send(thread::current().name().map(str::to_owned)).unwrap();
    }
}

/// A run that does not end when it is begun first, until the sender is dropped.
fn crawling(ending: impl Ending<()> + 'static, again: impl Fn() + Send + Sync + 'static) -> (Queued, Sender<()>) {
    let (release, released) = channel();
    let (attempts, released) = (AtomicU32::new(0), Mutex::new(released));
    let run = move |_: &mut Memory| {
        if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
            let _ = released.lock().unwrap().recv();
        } else {
            again();
        }
        Ok(())
    };
    (Queued::new(Job::new(run, ending)), release)
}

#[test]
fn what_a_starving_thread_has_begun_is_run_once_more_and_told_once() {
    let pool = Pool::new(STARVING);
    let (ended, ends) = channel();
    let (queued, release) = crawling(EndedOn(ended), || ());
    pool.submit(Urgency::Check, || queued).unwrap();
    assert_eq!(ends.recv().unwrap().as_deref(), Some("api-key-relief"));
    drop(release);
    assert_eq!(ends.into_iter().count(), 0, "it was told twice");
}

#[test]
fn a_panic_of_the_relief_thread_leaves_the_run_to_the_first_one() {
    let pool = Pool::new(STARVING);
    let (ended, ends) = channel();
    let (tried, tries) = channel();
    let (queued, release) = crawling(EndedOn(ended), move || {
        tried.send(()).unwrap();
        panic!("injected");
    });
    pool.submit(Urgency::Check, || queued).unwrap();
    tries.recv().unwrap();
    drop(release);
    assert_eq!(ends.recv().unwrap().as_deref(), Some("api-key-hash-0"));
    // The relief thread still works.
    let gate = occupy(&pool);
    let (notes, received) = channel();
    note(&pool, Urgency::Check, &notes, "after").unwrap();
    assert_eq!(all(notes, received), ["after"]);
    drop(gate);
}

#[test]
#[cfg(target_os = "linux")]
fn the_relief_thread_has_the_priority_of_the_process() {
    let pool = Pool::new(STARVING);
    let gate = occupy(&pool);
    let (answer, answered) = channel();
    let run = move || answer.send(rustix::process::getpriority_process(None).unwrap()).unwrap();
    pool.submit(Urgency::Check, || job(run)).unwrap();
    assert_eq!(answered.recv().unwrap(), rustix::process::getpriority_process(None).unwrap());
    drop(gate);
}

#[test]
fn the_relief_thread_rests_without_work_and_comes_back_with_it() {
    let pool = Pool::new(STARVING);
    for _ in 0..2 {
        let (notes, received) = channel();
        let gate = occupy(&pool);
        note(&pool, Urgency::Check, &notes, "taken over").unwrap();
        assert_eq!(all(notes, received), ["taken over"]);
        drop(gate);
        while pool.0.lock().is_watched {
            thread::yield_now();
        }
        assert!(!pool.0.lock().watch.is_starving());
    }
}
