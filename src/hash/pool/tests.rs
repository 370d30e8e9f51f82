use std::{
    cell::RefCell,
    sync::mpsc::{Receiver, Sender, channel},
};

use super::*;

const ONE_THREAD: Limits = Limits { threads: 1, issue: 2, check: 2, rehash: 1 };

/// Occupies a thread until the sender is dropped. Returns when the job has begun.
fn occupy(pool: &Pool) -> Sender<()> {
    let (release, released) = channel();
    let (begun, begins) = channel();
    let job = move |_: &mut Memory| {
        begun.send(()).unwrap();
        let _ = released.recv();
    };
    pool.submit(Urgency::Issue, || Job::new(job)).unwrap();
    begins.recv().unwrap();
    release
}

fn note(pool: &Pool, urgency: Urgency, notes: &Sender<&'static str>, text: &'static str) -> Result<(), Refused> {
    let notes = notes.clone();
    pool.submit(urgency, || Job::new(move |_| notes.send(text).unwrap()))
}

fn all(notes: Sender<&'static str>, received: Receiver<&'static str>) -> Vec<&'static str> {
    drop(notes);
    received.into_iter().collect()
}

#[test]
fn issuing_comes_before_checks_and_rehashing_last() {
    let pool = Pool::new(ONE_THREAD);
    let gate = occupy(&pool);
    let (notes, received) = channel();
    note(&pool, Urgency::Rehash, &notes, "rehash").unwrap();
    note(&pool, Urgency::Check, &notes, "first check").unwrap();
    note(&pool, Urgency::Check, &notes, "second check").unwrap();
    note(&pool, Urgency::Issue, &notes, "issue").unwrap();
    drop(gate);
    assert_eq!(all(notes, received), ["issue", "first check", "second check", "rehash"]);
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
    let pool = Pool::new(Limits { check: 0, ..ONE_THREAD });
    let refused = pool.submit(Urgency::Check, || panic!("made a job that has no place"));
    assert!(matches!(refused, Err(Refused::Full)));
}

#[test]
fn a_panic_does_not_stop_the_thread() {
    let pool = Pool::new(ONE_THREAD);
    let gate = occupy(&pool);
    let (notes, received) = channel();
    pool.submit(Urgency::Check, || Job::new(|_| panic!("injected"))).unwrap();
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
    let job = move |_: &mut Memory| {
        let farewell = Farewell(notes.clone());
        FAREWELL.with(|slot| *slot.borrow_mut() = Some(farewell));
        notes.send("runs").unwrap();
    };
    pool.submit(Urgency::Check, || Job::new(job)).unwrap();
    assert_eq!(received.recv(), Ok("runs"));
    drop(pool);
    assert_eq!(received.recv(), Ok("ended"));
}

#[test]
#[cfg(target_os = "linux")]
fn hashing_threads_have_the_lowest_priority() {
    let before = rustix::process::getpriority_process(None).unwrap();
    let pool = Pool::new(ONE_THREAD);
    let (answer, answered) = channel();
    let job = move |_: &mut Memory| answer.send(rustix::process::getpriority_process(None).unwrap()).unwrap();
    pool.submit(Urgency::Check, || Job::new(job)).unwrap();
    assert_eq!(answered.recv(), Ok(19));
    assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
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
