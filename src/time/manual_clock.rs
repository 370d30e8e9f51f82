use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    clock::{Boot, Clock, ClockReading},
    doubt::Watch,
    timestamp::Timestamp,
};

/// A clock that moves only when told to: no test needs to sleep.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::at("2026-03-01T12:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().to_string(), "2026-03-01T12:01:30Z");
/// # Ok::<(), tower_api_keys::TimestampError>(())
/// ```
pub struct ManualClock {
    state: Mutex<State>,
    boot: u64,
}

/// Numbers the machines of a process.
static BOOTS: AtomicU64 = AtomicU64::new(1);

struct State {
    wall: i64,
    steady: i64,
    watch: Watch,
}

impl ManualClock {
    /// A clock that shows `start`, of a machine that starts now.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        let state = State { wall: start.as_millis(), steady: 0, watch: Watch::default() };
        let clock = Self { state: Mutex::new(state), boot: BOOTS.fetch_add(1, Ordering::Relaxed) };
        clock.look();
        clock
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let mut state = self.lock();
        state.wall = Timestamp::clamped(state.wall.saturating_add(millis)).as_millis();
        state.steady = Timestamp::clamped(state.steady.saturating_add(millis)).as_millis();
    }

    /// Sets the wall clock to another time without any passing, as an administrator or an attacker may do. As with
    /// [`SystemClock`](super::SystemClock), a jump of more than 3 seconds is doubted until 30 seconds have passed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_api_keys::{Clock, ManualClock, Timestamp};
    ///
    /// let (noon, night) = ("2026-03-01T12:00:00Z".parse()?, "2026-03-01T23:00:00Z".parse()?);
    /// let clock = ManualClock::at(noon);
    /// clock.set_wall_clock(night);
    /// assert_eq!((clock.now(), clock.reading().latest()), (noon, night));
    /// clock.advance(Duration::from_secs(30));
    /// assert_eq!(clock.now().to_string(), "2026-03-01T23:00:30Z");
    /// # Ok::<(), tower_api_keys::TimestampError>(())
    /// ```
    pub fn set_wall_clock(&self, time: Timestamp) {
        self.lock().wall = time.as_millis();
        self.look();
    }

    fn look(&self) -> ClockReading {
        let mut state = self.lock();
        let State { wall, steady, watch } = &mut *state;
        watch.look(*wall, *steady..=*steady)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.look().now()
    }

    fn reading(&self) -> ClockReading {
        self.look()
    }

    fn boot(&self) -> Option<Boot> {
        let age = Duration::from_millis(self.lock().steady.unsigned_abs());
        Some(Boot { id: u128::from(self.boot).to_be_bytes(), age })
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("ManualClock").field("wall_clock", &Timestamp::clamped(state.wall)).finish_non_exhaustive()
    }
}
