use super::{KeyRecord, OwnerStatus, Stopped, Suspension};
use crate::time::{ClockInDoubt, ClockReading, Timestamp};

/// The state of a key at a moment: the first of these that applies, in the order in which callers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Revoked,
    Expired,
    /// By only one of the two possible times it has expired.
    ClockUnsure(ClockInDoubt),
    Paused,
    OwnerClosed,
    OwnerSuspended,
    /// The plan does not include the owner's keys.
    OwnerPlanSuspended,
    Good,
}

/// The state of a key of this owner, apart from hash and text.
pub(crate) fn standing(record: &KeyRecord, owner: &OwnerStatus, now: ClockReading) -> Standing {
    if record.revoked.is_some() {
        return Standing::Revoked;
    }
    match record.expires_at.map_or(Standing::Good, |end| before_its_end(end, now)) {
        Standing::Good if record.paused.is_some() => Standing::Paused,
        Standing::Good => of_owner(owner),
        standing => standing,
    }
}

fn of_owner(owner: &OwnerStatus) -> Standing {
    match owner.stopped() {
        None => Standing::Good,
        Some((Stopped::Closed, _)) => Standing::OwnerClosed,
        Some((Stopped::Suspended(Suspension::Admin), _)) => Standing::OwnerSuspended,
        Some((Stopped::Suspended(Suspension::Plan), _)) => Standing::OwnerPlanSuspended,
    }
}

/// The state of a key of which only the end is still to be checked.
#[inline]
pub(crate) fn before_its_end(end: Timestamp, now: ClockReading) -> Standing {
    match now.has_passed(end) {
        Ok(false) => Standing::Good,
        Ok(true) => Standing::Expired,
        Err(doubt) => Standing::ClockUnsure(doubt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{KeyRow, OwnerStatusRow};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn told(revoked: bool, ends: Option<i64>, suspended: bool, now: ClockReading) -> Standing {
        let row = KeyRow { expires_at: ends, revoked_at: revoked.then_some(5), ..KeyRow::example() };
        let owner = OwnerStatusRow { suspended_at: suspended.then_some(5), ..OwnerStatusRow::default() };
        standing(&KeyRecord::try_from(&row).unwrap(), &OwnerStatus::try_from(&owner).unwrap(), now)
    }

    #[test]
    fn the_first_reason_is_told() {
        let now = ClockReading::certain(at(100));
        let cases = [
            (false, None, false, Standing::Good),
            (false, Some(101), false, Standing::Good),
            (false, Some(100), false, Standing::Expired),
            (false, Some(100), true, Standing::Expired),
            (false, Some(101), true, Standing::OwnerSuspended),
            (false, None, true, Standing::OwnerSuspended),
            (true, Some(100), true, Standing::Revoked),
            (true, None, false, Standing::Revoked),
        ];
        for (revoked, ends, suspended, expected) in cases {
            assert_eq!(told(revoked, ends, suspended, now), expected, "{revoked} {ends:?} {suspended}");
        }
    }

    #[test]
    fn a_pause_comes_after_the_end_and_before_the_owner() {
        let paused = KeyRow { paused_at: Some(5), ..KeyRow::example() };
        let closed =
            OwnerStatus::try_from(&OwnerStatusRow { closed_at: Some(5), ..OwnerStatusRow::default() }).unwrap();
        let now = ClockReading::certain(at(100));
        for (row, expected) in [
            (paused.clone(), Standing::Paused),
            (KeyRow { revoked_at: Some(5), ..paused.clone() }, Standing::Revoked),
            (KeyRow { expires_at: Some(5), ..paused }, Standing::Expired),
        ] {
            assert_eq!(standing(&KeyRecord::try_from(&row).unwrap(), &closed, now), expected);
        }
    }

    #[test]
    fn of_what_stops_an_owner_the_first_is_told() {
        let record = KeyRecord::try_from(&KeyRow::example()).unwrap();
        let (now, at) = (ClockReading::certain(at(100)), |is_set: bool| is_set.then_some(5));
        for (closed, suspended, plan, expected) in [
            (false, false, false, Standing::Good),
            (false, false, true, Standing::OwnerPlanSuspended),
            (false, true, false, Standing::OwnerSuspended),
            (false, true, true, Standing::OwnerSuspended),
            (true, false, false, Standing::OwnerClosed),
            (true, false, true, Standing::OwnerClosed),
            (true, true, false, Standing::OwnerClosed),
            (true, true, true, Standing::OwnerClosed),
        ] {
            let row =
                OwnerStatusRow { suspended_at: at(suspended), plan_suspended_at: at(plan), closed_at: at(closed) };
            let owner = OwnerStatus::try_from(&row).unwrap();
            assert_eq!(standing(&record, &owner, now), expected, "{closed} {suspended} {plan}");
        }
    }

    #[test]
    fn a_doubt_about_the_end_comes_before_the_owner() {
        let doubted = ClockReading::doubted(at(100), at(200));
        assert!(matches!(told(false, Some(150), true, doubted), Standing::ClockUnsure(_)));
        assert_eq!(told(true, Some(150), true, doubted), Standing::Revoked);
        assert_eq!(told(false, Some(250), true, doubted), Standing::OwnerSuspended);
    }
}
