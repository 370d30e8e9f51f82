//! Sharing, waiting, refusing and failing under load. Every order here is forced: the only thread is held by a gate,
//! and futures are polled by hand.

use super::*;

#[tokio::test]
async fn a_thousand_first_uses_of_one_key_are_one_run() {
    let hasher = hasher(config());
    let stored = hasher.hash("right").await.unwrap();
    let gate = occupy(&hasher);
    let mut checks: Vec<_> = (0..1_000).map(|_| Box::pin(hasher.verify(ID, "right", &stored))).collect();
    assert!(checks.iter_mut().all(|check| poll_once(check).is_pending()));
    drop(gate);
    for check in checks {
        assert_eq!(verdict(check.await), None);
    }
    assert_eq!(hasher.runs(), 1 + 1);
}

/// A late caller finds the answer: the number of runs does not depend on the order of threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_uses_from_many_threads_are_one_run() {
    let hasher = hasher(config().with_threads(2));
    let stored = hasher.hash("right").await.unwrap();
    let mut checks = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (hasher, stored) = (hasher.clone(), stored.clone());
        checks.spawn(async move { verdict(hasher.verify(ID, "right", &stored).await) });
    }
    assert!(checks.join_all().await.iter().all(Option::is_none));
    assert_eq!(hasher.runs(), 1 + 1);
}

#[tokio::test]
async fn a_wrong_text_among_first_uses_neither_shares_nor_poisons() {
    for wrong_at in [0, 50, 99] {
        let hasher = hasher(config());
        let stored = hasher.hash("right").await.unwrap();
        let gate = occupy(&hasher);
        let text = |number| if number == wrong_at { "wrong" } else { "right" };
        let mut checks: Vec<_> = (0..100).map(|number| Box::pin(hasher.verify(ID, text(number), &stored))).collect();
        assert!(checks.iter_mut().all(|check| poll_once(check).is_pending()));
        assert_eq!(hasher.queued(), 1, "one unproven run for each id");
        drop(gate);
        for (number, check) in checks.into_iter().enumerate() {
            let expected = (number == wrong_at).then_some(VerifyErrorKind::Mismatch);
            assert_eq!(verdict(check.await), expected, "{number}");
        }
        assert_eq!(hasher.runs(), 1 + 2);
    }
}

#[tokio::test]
async fn the_same_text_against_another_hash_is_another_run() {
    let hasher = hasher(config());
    let (one, two) = (hasher.hash("text").await.unwrap(), hasher.hash("text").await.unwrap());
    assert_eq!(verdict(hasher.verify(ID, "text", &one).await), None);
    assert_eq!(verdict(hasher.verify(ID, "text", &two).await), None);
    assert_eq!(hasher.runs(), 2 + 2);
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    let hasher = hasher(config().with_queue(1));
    let stored = hasher.hash("right").await.unwrap();
    let _gate = occupy(&hasher);
    let mut first = Box::pin(hasher.verify(ID, "right", &stored));
    assert!(poll_once(&mut first).is_pending());
    let mut second = Box::pin(hasher.verify(OTHER_ID, "other", &stored));
    let Poll::Ready(Err(error)) = poll_once(&mut second) else { panic!("waited for a place") };
    assert_eq!(error.kind(), VerifyErrorKind::Overloaded);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn a_check_waits_its_time_and_no_longer() {
    let hasher = hasher(config().with_check_wait(Duration::from_millis(300)));
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let _gate = occupy(&hasher);
    let begun = Instant::now();
    let error = hasher.verify(ID, "text", &stored).await.unwrap_err();
    assert_eq!(error.kind(), VerifyErrorKind::Overloaded);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert!((300..=301).contains(&begun.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn another_text_waits_for_its_turn_no_longer_than_for_its_run() {
    let hasher = hasher(config().with_check_wait(Duration::from_millis(300)));
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let _gate = occupy(&hasher);
    let mut first = Box::pin(hasher.verify(ID, "first", &stored));
    assert!(poll_once(&mut first).is_pending());
    let begun = Instant::now();
    assert_eq!(verdict(hasher.verify(ID, "second", &stored).await), Some(VerifyErrorKind::Overloaded));
    assert!((300..=301).contains(&begun.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn issuing_waits_ten_seconds_and_no_longer() {
    let hasher = hasher(config());
    let _gate = occupy(&hasher);
    let begun = Instant::now();
    assert_eq!(hasher.hash("text").await.unwrap_err().kind(), HashErrorKind::Overloaded);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_retry_joins_the_run_that_was_left_in_the_queue() {
    let hasher = hasher(config());
    let stored = hasher.hash("right").await.unwrap();
    let gate = occupy(&hasher);
    assert!(poll_once(&mut Box::pin(hasher.verify(ID, "right", &stored))).is_pending());
    let mut retry = Box::pin(hasher.verify(ID, "right", &stored));
    assert!(poll_once(&mut retry).is_pending());
    assert_eq!(hasher.queued(), 1);
    drop(gate);
    assert_eq!(verdict(retry.await), None);
    assert_eq!(hasher.runs(), 1 + 1);
}

/// Polled by hand under a paused clock: the thread works, time does not pass.
#[tokio::test(start_paused = true)]
async fn a_retry_finds_the_answer_for_thirty_seconds() {
    let begun = std::time::Instant::now();
    let hasher = hasher(config());
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let ask = || poll_once(&mut Box::pin(hasher.verify(ID, "text", &stored)));
    let gate = occupy(&hasher);
    assert!(ask().is_pending());
    drop(gate);
    drain(&hasher);
    assert!(ask().is_ready());
    assert_eq!(hasher.runs(), 1);

    // The age of an answer follows the real clock, which continued.
    tokio::time::advance(Duration::from_secs(31) + begun.elapsed()).await;
    let gate = occupy(&hasher);
    assert!(ask().is_pending());
    drop(gate);
    drain(&hasher);
    assert_eq!(hasher.runs(), 2);
}

#[tokio::test]
async fn forgotten_answers_cost_a_run_again() {
    let hasher = hasher(config());
    let stored = hasher.hash("right").await.unwrap();
    assert_eq!(verdict(hasher.verify(ID, "right", &stored).await), None);
    assert_eq!(verdict(hasher.verify(ID, "right", &stored).await), None);
    assert_eq!(hasher.runs(), 1 + 1);
    hasher.forget_answers();
    assert_eq!(verdict(hasher.verify(ID, "right", &stored).await), None);
    assert_eq!(hasher.runs(), 1 + 2);
}

#[tokio::test]
async fn a_panic_costs_those_who_waited_for_that_run() {
    let hasher = hasher(config());
    let stored = hasher.hash("right").await.unwrap();
    let gate = occupy(&hasher);
    hasher.0.meter.panic_next.store(true, Ordering::Relaxed);
    let mut hit = [(); 2].map(|()| Box::pin(hasher.verify(ID, "right", &stored)));
    let mut turn = Box::pin(hasher.verify(ID, "wrong", &stored));
    let mut other = Box::pin(hasher.verify(OTHER_ID, "right again", &stored));
    assert!(hit.iter_mut().all(|check| poll_once(check).is_pending()));
    assert!(poll_once(&mut turn).is_pending() && poll_once(&mut other).is_pending());
    drop(gate);
    for check in hit {
        assert_eq!(verdict(check.await), Some(VerifyErrorKind::Failed));
    }
    assert_eq!(verdict(turn.await), Some(VerifyErrorKind::Mismatch));
    assert_eq!(verdict(other.await), Some(VerifyErrorKind::Mismatch));
    assert_eq!(verdict(hasher.verify(ID, "right", &stored).await), None);
}

#[tokio::test]
async fn a_panic_while_issuing_is_an_error() {
    let hasher = hasher(config());
    hasher.0.meter.panic_next.store(true, Ordering::Relaxed);
    assert_eq!(hasher.hash("text").await.unwrap_err().kind(), HashErrorKind::Failed);
    assert!(hasher.hash("text").await.is_ok());
}

#[tokio::test]
async fn dropped_checks_leave_nothing_behind() {
    let hasher = hasher(config());
    let stored = hasher.hash("right").await.unwrap();
    let gate = occupy(&hasher);
    for number in 0..100_u8 {
        assert!(poll_once(&mut Box::pin(hasher.verify([number; 20], "right", &stored))).is_pending());
        assert!(poll_once(&mut Box::pin(hasher.verify([number; 20], "wrong", &stored))).is_pending());
    }
    assert_eq!(hasher.queued(), 100);
    drop(gate);
    drain(&hasher);
    assert_eq!(hasher.queued(), 0);
    // No id is still taken: each of these begins at once.
    let _gate = occupy(&hasher);
    for number in 0..100_u8 {
        assert!(poll_once(&mut Box::pin(hasher.verify([number; 20], "wrong", &stored))).is_pending());
    }
    assert_eq!(hasher.queued(), 100);
}

#[tokio::test]
async fn dropped_hashes_are_not_run() {
    let hasher = hasher(config());
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let gate = occupy(&hasher);
    assert!(poll_once(&mut Box::pin(hasher.hash("text"))).is_pending());
    assert!(poll_once(&mut Box::pin(hasher.rehash("text", &stored))).is_pending());
    drop(gate);
    drain(&hasher);
    assert_eq!((hasher.runs(), hasher.queued()), (0, 0));
}

#[tokio::test]
async fn issuing_has_its_place_while_checks_fill_the_queue() {
    let hasher = hasher(config().with_queue(1));
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let gate = occupy(&hasher);
    let mut check = Box::pin(hasher.verify(ID, "text", &stored));
    assert!(poll_once(&mut check).is_pending());
    assert!(poll_once(&mut Box::pin(hasher.verify(OTHER_ID, "other", &stored))).is_ready());
    let mut issue = Box::pin(hasher.hash("new"));
    assert!(poll_once(&mut issue).is_pending());
    drop(gate);
    assert!(issue.await.is_ok());
}

#[tokio::test]
async fn issuing_and_rehashing_have_places_of_their_own() {
    let hasher = hasher(config());
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let _gate = occupy(&hasher);
    let mut issues: Vec<_> = (0..ISSUE_PLACES).map(|_| Box::pin(hasher.hash("text"))).collect();
    let mut rehashes: Vec<_> = (0..REHASH_PLACES).map(|_| Box::pin(hasher.rehash("text", &stored))).collect();
    assert!(issues.iter_mut().all(|issue| poll_once(issue).is_pending()));
    assert!(rehashes.iter_mut().all(|rehash| poll_once(rehash).is_pending()));
    for refused in [hasher.hash("text").await, hasher.rehash("text", &stored).await] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), HashErrorKind::Overloaded);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    }
}

#[tokio::test]
async fn a_queued_run_does_not_keep_the_hasher_alive() {
    let hasher = hasher(config());
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let _gate = occupy(&hasher);
    assert!(poll_once(&mut Box::pin(hasher.verify(ID, "text", &stored))).is_pending());
    let (inner, meter) = (Arc::downgrade(&hasher.0), Arc::downgrade(&hasher.0.meter));
    drop(hasher);
    assert!(inner.upgrade().is_none());
    assert!(meter.upgrade().is_none(), "the queued run was dropped with it");
}

/// A requester, for [`Hasher::hash_for`].
fn requester(name: &str) -> Requester {
    Requester::new(&[name])
}

#[tokio::test]
async fn each_requester_has_one_hash_in_the_queue() {
    let hasher = hasher(config());
    let gate = occupy(&hasher);
    let (alice, bob) = (requester("alice"), requester("bob"));
    let mut of_alice: Vec<_> = (0..3).map(|_| Box::pin(hasher.hash_for(alice, "text"))).collect();
    assert!(of_alice.iter_mut().all(|hash| poll_once(hash).is_pending()));
    assert_eq!(hasher.queued(), 1);
    let mut of_bob = Box::pin(hasher.hash_for(bob, "text"));
    assert!(poll_once(&mut of_bob).is_pending());
    assert_eq!(hasher.queued(), 2);
    drop(gate);
    assert!(of_bob.await.is_ok());
    for hash in of_alice {
        assert!(hash.await.is_ok());
    }
    assert_eq!(hasher.runs(), 4);
}

/// A caller that asks and leaves repeatedly has one run in the queue, and that run is not begun.
#[tokio::test]
async fn a_dropped_hash_keeps_the_turn_of_its_requester_until_it_leaves_the_queue() {
    let hasher = hasher(config());
    let gate = occupy(&hasher);
    let alice = requester("alice");
    assert!(poll_once(&mut Box::pin(hasher.hash_for(alice, "text"))).is_pending());
    for _ in 0..100 {
        assert!(poll_once(&mut Box::pin(hasher.hash_for(alice, "text"))).is_pending());
    }
    assert_eq!(hasher.queued(), 1);
    drop(gate);
    assert!(hasher.hash_for(alice, "text").await.is_ok());
    assert_eq!(hasher.runs(), 1);
}

#[tokio::test]
async fn one_hash_too_many_of_a_requester_is_refused_at_once() {
    let hasher = hasher(config());
    let _gate = occupy(&hasher);
    let alice = requester("alice");
    let mut asked: Vec<_> = (0..16).map(|_| Box::pin(hasher.hash_for(alice, "text"))).collect();
    assert!(asked.iter_mut().all(|hash| poll_once(hash).is_pending()));
    let error = hasher.hash_for(alice, "text").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (HashErrorKind::Crowded, "too many hashes for the same requester are waiting".into())
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert!(poll_once(&mut Box::pin(hasher.hash_for(requester("bob"), "text"))).is_pending());
}

/// A hasher whose only thread seems never to get a core.
fn starving() -> Hasher {
    struct NoTime;

    impl CpuTime for NoTime {
        fn read(&self) -> Option<Duration> {
            Some(Duration::ZERO)
        }
    }

    let mut hasher = hasher(config().with_check_wait(Duration::from_millis(400)));
    let places = Places { issue: 16, check: 16, rehash: 16 };
    Arc::get_mut(&mut hasher.0).unwrap().pool =
        Pool::new(Limits { threads: 1, places, measure: Some(|| Some(Box::new(NoTime))) });
    hasher
}

#[tokio::test]
async fn a_hash_that_gets_no_core_is_made_all_the_same_and_counts_once() {
    let hasher = starving();
    let gate = occupy_all(&hasher);
    drop(gate.relief);
    let stored = hasher.hash("right").await.unwrap();
    assert_eq!(verdict(hasher.verify(ID, "right", &stored).await), None);
    assert_eq!(verdict(hasher.verify(OTHER_ID, "wrong", &stored).await), Some(VerifyErrorKind::Mismatch));
    assert_eq!(hasher.runs(), 3);
    drop(gate.thread);
}

#[tokio::test]
async fn a_check_that_got_no_core_says_so() {
    let hasher = starving();
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    // The relief thread has no core either.
    let gate = occupy_all(&hasher);
    let error = hasher.verify(ID, "text", &stored).await.unwrap_err();
    assert_eq!(error.kind(), VerifyErrorKind::Starved);
    assert_eq!(error.to_string(), "no core was free to hash for 400ms: other work keeps them all busy");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    drop(gate);
}

#[tokio::test]
async fn a_check_that_waits_for_others_does_not_blame_the_cores() {
    let hasher = hasher(config().with_check_wait(Duration::from_millis(1)));
    let stored = stored(Argon2Params::MACHINE_SECRET, None);
    let _gate = occupy(&hasher);
    let error = hasher.verify(ID, "text", &stored).await.unwrap_err();
    assert_eq!(error.kind(), VerifyErrorKind::Overloaded);
    assert_eq!(error.to_string(), "the hash was not ready within 1ms: too many are wanted, or each takes too long");
}

/// Both threads of a [`starving`] hasher, each held until its sender is dropped.
struct Gates {
    thread: Sender<()>,
    relief: Sender<()>,
}

/// Returns when the job of the hashing thread was taken over, and the relief thread is held by it, too.
fn occupy_all(hasher: &Hasher) -> Gates {
    let ((thread, of_thread), (relief, of_relief)) = (channel::<()>(), channel::<()>());
    let (begun, begins) = channel();
    let gates = std::sync::Mutex::new(vec![of_relief, of_thread]);
    let job = move |_: &mut Memory| {
        let gate = gates.lock().unwrap().pop();
        begun.send(()).unwrap();
        let _ = gate.map(|gate| gate.recv());
        Ok(())
    };
    hasher.0.pool.submit(Urgency::Issue, || Queued::new(Job::new(job, Unheard))).unwrap();
    begins.recv().unwrap();
    begins.recv().unwrap();
    Gates { thread, relief }
}
