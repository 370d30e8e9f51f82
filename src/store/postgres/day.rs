//! Days in PostgreSQL's type `date`: days since 2000.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// Days from 1970 to 2000.
const EPOCH: i32 = 10_957;

/// Days since 1970-01-01. Days outside of 1970 to 9999 become the last day of 1969 or the first day of 10000: in
/// comparisons they come before or after all stored days, and no table accepts them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day(pub(super) i32);

impl ToSql for Day {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Self(day) = *self;
        (day.clamp(-1, 2_932_897) - EPOCH).to_sql(&Type::INT4, out)
    }

    accepts!(DATE);

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Day {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i32::from_sql(&Type::INT4, raw)?.saturating_add(EPOCH)))
    }

    accepts!(DATE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(day: i32) -> i32 {
        let mut out = BytesMut::new();
        Day(day).to_sql(&Type::DATE, &mut out).unwrap();
        Day::from_sql(&Type::DATE, &out).unwrap().0
    }

    #[test]
    fn each_day_comes_back_and_none_is_beyond_what_the_server_has() {
        for day in [0, 1, 10_956, 20_513, 2_932_896] {
            assert_eq!(comes_back(day), day);
        }
        assert_eq!((comes_back(i32::MIN), comes_back(i32::MAX)), (-1, 2_932_897));
    }
}
