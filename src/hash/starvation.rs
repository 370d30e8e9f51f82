//! Detects whether the hashing threads get a core.

use std::time::{Duration, Instant};

/// The time over which they are measured.
pub(super) const WINDOW: Duration = Duration::from_millis(100);

/// A thread starves if it gets less than one part in this many of a core. Beside one busy thread of normal priority, a
/// thread of the lowest priority gets one part in seventy. At saturation, if hashing threads compete only with each
/// other and with requests, together they get whole cores.
const NEXT_TO_NONE: u32 = 20;

/// Compares the processor time of the hashing threads with the time that they had work. The length of the queue does
/// not count: a long queue alone is no reason to take work away from threads that do it as fast as they can.
#[derive(Default)]
pub(super) struct Watch {
    begun: Option<Window>,
    is_starving: bool,
    starved_for: Duration,
}

struct Window {
    at: Instant,
    seen: Snapshot,
}

/// The state at one moment.
pub(super) struct Snapshot {
    /// How often the queue has become empty so far.
    pub(super) emptied: u64,
    pub(super) threads: Vec<SeenThread>,
}

/// The state of one thread.
#[derive(Clone, Copy)]
pub(super) struct SeenThread {
    /// Processor time so far. None if it cannot be measured: such a thread has normal priority.
    pub(super) cpu: Option<Duration>,
    /// Whether it has a run.
    pub(super) is_busy: bool,
    /// Whether it has a run, or one waits for it.
    pub(super) is_wanted: bool,
    /// How often it has found no work so far.
    pub(super) rests: u64,
}

impl Watch {
    /// Whether enough time has passed for a measurement.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.begun.as_ref().is_none_or(|window| now.saturating_duration_since(window.at) >= WINDOW)
    }

    /// Judges the time since the last judgement, if that is long enough.
    pub(super) fn look(&mut self, now: Instant, cores: usize, seen: Snapshot) {
        if let Some(Window { at, seen: before }) = &self.begun {
            let elapsed = now.saturating_duration_since(*at);
            if elapsed < WINDOW {
                return;
            }
            self.is_starving = is_starved(before, &seen, elapsed, cores);
            if self.is_starving {
                self.starved_for += elapsed;
            }
        }
        self.begun = Some(Window { at: now, seen });
    }

    /// Ignores the time until the next look.
    pub(super) fn pause(&mut self) {
        (self.begun, self.is_starving) = (None, false);
    }

    /// Whether the threads starve, by the last judgement.
    pub(super) const fn is_starving(&self) -> bool {
        self.is_starving
    }

    /// How long they have starved so far.
    pub(super) const fn starved_for(&self) -> Duration {
        self.starved_for
    }
}

/// Whether the threads that had work all the time got almost nothing together: one thread may well wait while another
/// one works.
fn is_starved(before: &Snapshot, after: &Snapshot, elapsed: Duration, cores: usize) -> bool {
    let (mut threads, mut cpu) = (0_usize, Duration::ZERO);
    for (was, is) in before.threads.iter().zip(&after.threads) {
        // A thread that waited for a run was wanted all the time only if there was a run all the time.
        let was_wanted = was.is_wanted && (was.is_busy || before.emptied == after.emptied);
        if !was_wanted || !is.is_wanted || was.rests != is.rests {
            continue;
        }
        let (Some(was), Some(is)) = (was.cpu, is.cpu) else { return false };
        threads += 1;
        cpu += is.saturating_sub(was);
    }
    // More threads than cores cannot all have one.
    let could_have = elapsed * u32::try_from(threads.min(cores)).unwrap_or(u32::MAX);
    threads > 0 && cpu * NEXT_TO_NONE < could_have
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORES: usize = 2;

    fn busy(cpu_ms: u64) -> SeenThread {
        SeenThread { cpu: Some(Duration::from_millis(cpu_ms)), is_busy: true, is_wanted: true, rests: 3 }
    }

    fn woken(cpu_ms: u64) -> SeenThread {
        SeenThread { is_busy: false, ..busy(cpu_ms) }
    }

    fn idle(cpu_ms: u64) -> SeenThread {
        SeenThread { is_busy: false, is_wanted: false, ..busy(cpu_ms) }
    }

    fn seen<const N: usize>(threads: [SeenThread; N]) -> Snapshot {
        Snapshot { emptied: 7, threads: threads.into() }
    }

    /// The verdict after a window of 100 ms with these states at its beginning and end.
    fn verdict(before: Snapshot, after: Snapshot) -> bool {
        let (mut watch, begun) = (Watch::default(), Instant::now());
        watch.look(begun, CORES, before);
        watch.look(begun + WINDOW, CORES, after);
        assert_eq!(watch.starved_for(), if watch.is_starving() { WINDOW } else { Duration::ZERO });
        watch.is_starving()
    }

    #[test]
    fn threads_that_get_next_to_no_core_starve() {
        assert!(verdict(seen([busy(10)]), seen([busy(10)])));
        // What threads of the lowest priority get beside one of normal priority.
        assert!(verdict(seen([busy(10), busy(20)]), seen([busy(11), busy(22)])));
        // Woken, and never run.
        assert!(verdict(seen([woken(10)]), seen([woken(10)])));
        assert!(verdict(seen([woken(10)]), seen([busy(10)])));
    }

    #[test]
    fn threads_that_get_a_share_of_a_core_do_not_starve() {
        for each in [6, 10, 50, 100] {
            assert!(!verdict(seen([busy(0), busy(0)]), seen([busy(each), busy(each)])), "{each} ms of 100");
        }
        // One waits while another one works.
        assert!(!verdict(seen([busy(0), busy(0)]), seen([busy(0), busy(90)])));
        assert!(!verdict(seen([woken(0), busy(0)]), seen([woken(0), busy(90)])));
    }

    #[test]
    fn more_threads_than_cores_that_have_only_each_other_do_not_starve() {
        // Each gets two ms of a hundred, and some none at all.
        let after = std::array::from_fn::<_, 100, _>(|at| busy(if at % 2 == 0 { 4 } else { 0 }));
        assert!(!verdict(seen([busy(0); 100]), seen(after)));
        assert!(verdict(seen([busy(0); 100]), seen([busy(0); 100])));
    }

    #[test]
    fn as_many_threads_as_cores_starve_together_on_a_large_machine() {
        let (mut watch, begun) = (Watch::default(), Instant::now());
        watch.look(begun, 64, seen([busy(0); 64]));
        watch.look(begun + WINDOW, 64, seen([busy(1); 64]));
        assert!(watch.is_starving());
    }

    #[test]
    fn a_thread_without_work_does_not_starve() {
        assert!(!verdict(seen([idle(10)]), seen([idle(10)])));
        assert!(!verdict(seen([idle(10)]), seen([busy(10)])), "its run came a moment ago");
        assert!(!verdict(seen([busy(10)]), seen([idle(10)])));
        assert!(!verdict(seen([busy(10)]), seen([SeenThread { rests: 4, ..busy(10) }])), "it had nothing meanwhile");
        assert!(!verdict(seen([woken(10)]), Snapshot { emptied: 8, ..seen([woken(10)]) }), "this is another run");
        assert!(!verdict(seen([]), seen([busy(0)])), "it did not exist");
    }

    #[test]
    fn nothing_is_said_of_threads_that_cannot_be_measured() {
        let unmeasured = SeenThread { cpu: None, ..busy(0) };
        assert!(!verdict(seen([unmeasured]), seen([unmeasured])));
        assert!(!verdict(seen([busy(0), busy(0)]), seen([busy(0), unmeasured])));
    }

    #[test]
    fn less_than_a_window_is_not_judged_and_a_pause_begins_again() {
        let (mut watch, begun) = (Watch::default(), Instant::now());
        watch.look(begun, CORES, seen([busy(10)]));
        watch.look(begun + WINDOW / 2, CORES, seen([busy(10)]));
        assert!(!watch.is_starving());
        watch.look(begun + WINDOW, CORES, seen([busy(10)]));
        assert!(watch.is_starving(), "the window began with the first look");
        watch.pause();
        assert!(!watch.is_starving());
        watch.look(begun + 9 * WINDOW, CORES, seen([busy(10)]));
        assert!(!watch.is_starving());
        assert_eq!(watch.starved_for(), WINDOW);
    }
}
