//! How much processor time another thread has had.

use std::time::Duration;

/// The processor time of the thread that made it. Other threads read it.
pub(super) trait CpuTime: Send + Sync {
    /// None if it can no longer be read.
    fn read(&self) -> Option<Duration>;
}

/// Makes the [`CpuTime`] of the thread that calls it. None if that cannot be measured.
pub(super) type Measure = fn() -> Option<Box<dyn CpuTime>>;

/// The measurement on this platform. Only Linux lets one thread have a lower priority than another, so only there can a
/// hashing thread be left without a core.
#[cfg(target_os = "linux")]
pub(super) const MEASURE: Option<Measure> = Some(linux::of_this_thread);
#[cfg(not(target_os = "linux"))]
pub(super) const MEASURE: Option<Measure> = None;

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs::File, os::unix::fs::FileExt, time::Duration};

    use super::CpuTime;

    /// Files of a thread under /proc, opened by the thread itself: in a container its number there could be different,
    /// and an open file needs no free descriptor later.
    enum Proc {
        /// Nanoseconds on a core, nanoseconds of waiting, number of turns (Documentation/scheduler/sched-stats.rst).
        SchedStat(File),
        /// `utime` and `stime` in hundredths of a second (proc_pid_stat(5)). Every kernel has it.
        Stat(File),
    }

    pub(super) fn of_this_thread() -> Option<Box<dyn CpuTime>> {
        let open = |name: &str| File::open(format!("/proc/thread-self/{name}")).ok();
        let exact = open("schedstat").map(Proc::SchedStat);
        let found = exact.filter(|file| file.read().is_some()).or_else(|| open("stat").map(Proc::Stat));
        let found = found.filter(|file| file.read().is_some())?;
        Some(Box::new(found))
    }

    impl CpuTime for Proc {
        fn read(&self) -> Option<Duration> {
            match self {
                Self::SchedStat(file) => schedstat(&text(file)?),
                Self::Stat(file) => stat(&text(file)?),
            }
        }
    }

    fn text(file: &File) -> Option<String> {
        let mut buffer = [0; 1_024];
        let length = file.read_at(&mut buffer, 0).ok()?;
        Some(String::from_utf8_lossy(buffer.get(..length)?).into_owned())
    }

    /// A kernel that keeps no such figures gives three zeros.
    pub(super) fn schedstat(text: &str) -> Option<Duration> {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let (on_core, _, turns) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        (turns > 0).then(|| Duration::from_nanos(on_core))
    }

    /// The name, the second field, is in parentheses and may contain both kinds of them.
    pub(super) fn stat(text: &str) -> Option<Duration> {
        let (_, behind_name) = text.rsplit_once(')')?;
        let mut numbers = behind_name.split_whitespace().skip(11).map(str::parse::<u64>);
        let (user, system) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Duration::from_millis((user + system) * 10))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{sync::mpsc::channel, thread};

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    #[test]
    fn another_thread_reads_the_processor_time_of_the_one_that_worked() {
        let (clock, clocks) = channel();
        let (end, ends) = channel::<()>();
        let worker = thread::spawn(move || {
            clock.send(linux::of_this_thread().unwrap()).unwrap();
            while clock_gettime(ClockId::ThreadCPUTime).tv_nsec < 60_000_000 {
                std::hint::spin_loop();
            }
            clock.send(linux::of_this_thread().unwrap()).unwrap();
            let _ = ends.recv();
        });
        let (of_worker, _) = (clocks.recv().unwrap(), clocks.recv().unwrap());
        // The kernel updates it at the latest when its timer ticks, at least every 10 ms.
        assert!(of_worker.read().unwrap() >= Duration::from_millis(40));
        drop(end);
        worker.join().unwrap();
        assert!(of_worker.read().is_none(), "there is no such thread any more");
    }

    #[test]
    fn figures_that_are_not_kept_are_none() {
        assert_eq!(linux::schedstat("123 45 6\n"), Some(Duration::from_nanos(123)));
        for none in ["0 0 0\n", "", "1 2", "x 1 1"] {
            assert_eq!(linux::schedstat(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_shifts_no_field() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 21 13 0 0 39 19";
        assert_eq!(linux::stat(&format!("7 (a) b (c)) {rest}")), Some(Duration::from_millis(340)));
        assert_eq!(linux::stat("7 (short) S 1"), None);
    }
}
