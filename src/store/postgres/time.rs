//! Times in PostgreSQL's type `timestamptz`: microseconds since 2000, converted in whole numbers. A floating-point
//! number cannot distinguish all milliseconds of ten thousand years.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// Milliseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000;

/// Milliseconds since 1970. Times out of the server's range become its infinities, for comparisons.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(i64);

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Self(millis) = *self;
        // The least and the greatest number are the infinities.
        millis.saturating_sub(EPOCH).saturating_mul(1_000).to_sql(&Type::INT8, out)
    }

    accepts!(TIMESTAMPTZ);

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_sql(&Type::INT8, raw)?;
        Ok(Self(micros.div_euclid(1_000).saturating_add(EPOCH)))
    }

    accepts!(TIMESTAMPTZ);
}

/// Milliseconds since 1970, or none.
pub(super) trait IsTime: Sized {
    type Written: ToSql + for<'a> FromSql<'a> + Send + Sync;

    fn written(self) -> Self::Written;

    fn read(written: Self::Written) -> Self;
}

impl IsTime for i64 {
    type Written = Time;

    fn written(self) -> Time {
        Time(self)
    }

    fn read(Time(millis): Time) -> Self {
        millis
    }
}

impl IsTime for Option<i64> {
    type Written = Option<Time>;

    fn written(self) -> Option<Time> {
        self.map(Time)
    }

    fn read(written: Option<Time>) -> Self {
        written.map(|Time(millis)| millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn sent(millis: i64) -> i64 {
        let mut out = BytesMut::new();
        millis.written().to_sql(&Type::TIMESTAMPTZ, &mut out).unwrap();
        i64::from_sql(&Type::INT8, &out).unwrap()
    }

    fn received(micros: i64) -> i64 {
        let mut out = BytesMut::new();
        micros.to_sql(&Type::INT8, &mut out).unwrap();
        i64::read(Time::from_sql(&Type::TIMESTAMPTZ, &out).unwrap())
    }

    #[test]
    fn each_millisecond_comes_back() {
        for millis in [0, 1, -1, 946_684_799_999, 1_772_366_400_001, Timestamp::MAX.as_millis()] {
            assert_eq!(received(sent(millis)), millis);
        }
        assert_eq!(sent(0), -946_684_800_000_000);
    }

    #[test]
    fn microseconds_are_cut_off() {
        assert_eq!(received(1_999), EPOCH + 1);
        assert_eq!(received(-1), EPOCH - 1);
    }

    #[test]
    fn what_is_beyond_all_times_is_infinite() {
        assert_eq!((sent(i64::MIN), sent(i64::MAX)), (i64::MIN, i64::MAX));
    }
}
