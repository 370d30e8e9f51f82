//! Points in time, and the only place that reads the clock.

mod clock;
mod day;
mod doubt;
#[cfg(any(test, feature = "test-util"))]
mod manual_clock;
mod system_clock;
mod ticks;
mod timestamp;

pub use clock::{Boot, Clock, ClockInDoubt, ClockReading};
pub use day::Day;
pub(crate) use day::{bounds_of, day_of};
pub(crate) use doubt::LONGEST_DOUBT;
#[cfg(any(test, feature = "test-util"))]
pub use manual_clock::ManualClock;
pub use system_clock::SystemClock;
pub(crate) use ticks::{LARGEST_LAG_MILLIS, monotonic_millis};
pub use timestamp::{Timestamp, TimestampError};
