use super::timestamp::LAST_MILLI;

/// Milliseconds since 1970.
#[cfg(target_os = "linux")]
pub(super) fn wall_millis() -> i64 {
    linux::millis(linux::clocks().wall).clamp(0, LAST_MILLI)
}

/// Milliseconds since 1970.
#[cfg(not(target_os = "linux"))]
pub(super) fn wall_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).min(LAST_MILLI)
}

/// Milliseconds since the machine started, suspended or not, by a clock that cannot be set.
#[cfg(target_os = "linux")]
pub(super) fn steady_millis() -> i64 {
    linux::millis(rustix::time::ClockId::Boottime)
}

/// Milliseconds by a clock that cannot be set. If it stops while the machine is suspended, a suspension is doubted like
/// any other jump.
#[cfg(not(target_os = "linux"))]
pub(super) fn steady_millis() -> i64 {
    monotonic_millis()
}

/// The kernel's id of this start of the machine.
#[cfg(target_os = "linux")]
pub(super) fn boot_id() -> Option<[u8; 16]> {
    static BOOT: std::sync::OnceLock<Option<[u8; 16]>> = std::sync::OnceLock::new();
    *BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let digits: String = text.trim().chars().filter(|letter| *letter != '-').collect();
        Some(u128::from_str_radix(&digits, 16).ok()?.to_be_bytes())
    })
}

/// Not known on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn boot_id() -> Option<[u8; 16]> {
    None
}

/// How far [`monotonic_millis`] may be behind. If the processor that counts Linux's ticks is taken away, another one
/// takes over after `MAX_STALLED_JIFFIES`, 5 ticks (kernel/time/tick-sched.c, since 5.18): the sixth tick catches up,
/// and there are at least a hundred a second.
pub(crate) const LARGEST_LAG_MILLIS: u64 = 60;

/// Milliseconds by a clock that cannot be set, as of the last tick.
#[cfg(target_os = "linux")]
pub(crate) fn monotonic_millis() -> i64 {
    linux::millis(linux::clocks().monotonic)
}

/// Milliseconds by a clock that cannot be set.
#[cfg(not(target_os = "linux"))]
pub(crate) fn monotonic_millis() -> i64 {
    static BEGUN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    i64::try_from(BEGUN.get_or_init(std::time::Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::OnceLock;

    use rustix::{
        system::uname,
        time::{ClockId, clock_gettime},
    };

    /// The clocks of this kernel for frequent reads.
    #[derive(Clone, Copy)]
    pub(super) struct Clocks {
        pub(super) wall: ClockId,
        pub(super) monotonic: ClockId,
    }

    const OF_TICKS: Clocks = Clocks { wall: ClockId::RealtimeCoarse, monotonic: ClockId::MonotonicCoarse };
    const PRECISE: Clocks = Clocks { wall: ClockId::Realtime, monotonic: ClockId::Monotonic };

    pub(super) fn clocks() -> Clocks {
        static CLOCKS: OnceLock<Clocks> = OnceLock::new();
        *CLOCKS.get_or_init(|| {
            let is_bounded = uname().release().to_str().is_ok_and(bounds_ticks);
            if is_bounded { OF_TICKS } else { PRECISE }
        })
    }

    /// Whether a kernel of this release, `6.8.0-45-generic` say, bounds how late a tick may come: since 5.18.
    pub(super) fn bounds_ticks(release: &str) -> bool {
        let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
        matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (5, 18))
    }

    pub(super) fn millis(clock: ClockId) -> i64 {
        let now = clock_gettime(clock);
        now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn the_clock_of_ticks_is_that_of_kernels_that_bound_its_lag() {
        for release in ["5.18.0", "5.18", "6.1.0-18-amd64", "6.8.0-45-generic", "10.0.0"] {
            assert!(super::linux::bounds_ticks(release), "{release}");
        }
        for release in ["", "5", "4.19.0", "5.4.0-1009-aws", "5.17.99", "5.x.18", "unknown", "-5.18"] {
            assert!(!super::linux::bounds_ticks(release), "{release}");
        }
    }
}
