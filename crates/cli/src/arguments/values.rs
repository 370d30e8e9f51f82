//! Values of arguments. A value that was read is good.

use std::{path::PathBuf, time::Duration};

use tower_api_keys::{Clock, KeyId, Owner, Scope, SystemClock, TeamId, Timestamp, UserId, auth::Freshness};

/// A length of time: `500ms`, `30s`, `15m`, `8h`, `90d`, `2w`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err("write a length of time such as 30s, 15m, 8h, 90d or 2w".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write a number before the unit, such as 90d".to_owned())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "this is too long".to_owned())
}

/// A point in time: a date (its beginning, in UTC), RFC 3339, or a length of time before or after now.
fn time(text: &str, of: impl Fn(Timestamp, Duration) -> Timestamp) -> Result<Timestamp, String> {
    let day = format!("{text}T00:00:00Z");
    if let Ok(time) = text.parse().or_else(|_| day.parse()) {
        return Ok(time);
    }
    match duration(text) {
        Ok(length) => Ok(of(SystemClock::default().now(), length)),
        Err(_) => Err("write a date (2027-01-31), a time (2027-01-31T18:00:00Z), or a length of time (90d)".to_owned()),
    }
}

/// A time to come.
pub(crate) fn later(text: &str) -> Result<Timestamp, String> {
    time(text, Timestamp::saturating_add)
}

/// A time that has passed.
pub(crate) fn earlier(text: &str) -> Result<Timestamp, String> {
    time(text, Timestamp::saturating_sub)
}

/// `strict`, or the bound.
pub(crate) fn freshness(text: &str) -> Result<Freshness, String> {
    match text {
        "strict" => Ok(Freshness::Strict),
        _ => duration(text).map(Freshness::Bounded).map_err(|_| "write `strict` or a bound such as 2s".to_owned()),
    }
}

/// `7=pepper.txt`.
pub(super) fn pepper(text: &str) -> Result<(u32, PathBuf), String> {
    let (id, file) = text.split_once('=').ok_or("write the id and the file, such as 1=pepper.txt")?;
    let id = id.parse().map_err(|_| "the id of a pepper is a number, such as 1=pepper.txt")?;
    Ok((id, PathBuf::from(file)))
}

/// The id of a key. [`parse`](super::parse()) puts a blank before one that begins like an option.
pub(crate) fn key_id(text: &str) -> Result<KeyId, String> {
    KeyId::new(text.trim_start()).map_err(|_| "write the 20 characters in the middle of the key's text".to_owned())
}

/// `user:alice`, `team:sales`.
pub(crate) fn owner(text: &str) -> Result<Owner, String> {
    let owner = match text.split_once(':') {
        Some(("user", id)) => UserId::new(id).ok().map(Owner::from),
        Some(("team", id)) => TeamId::new(id).ok().map(Owner::from),
        _ => None,
    };
    owner.ok_or_else(|| "write user:ID or team:ID".to_owned())
}

/// `agents:read`.
pub(crate) fn scope(text: &str) -> Result<Scope, String> {
    Scope::new(text).map_err(|error| error.to_string())
}

/// `ticket=OPS-1234`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (label, value) = text.split_once('=').ok_or("write a label and its value, such as ticket=OPS-1234")?;
    Ok((label.to_owned(), value.to_owned()))
}

/// Days of usage.
pub(crate) fn days(text: &str) -> Result<u16, String> {
    let days = text.parse().ok().filter(|days| *days <= 400);
    days.ok_or_else(|| "write a number of days, at most 400".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        let of = |text: &str| duration(text).ok().map(|length| length.as_millis());
        assert_eq!(of("500ms"), Some(500));
        assert_eq!(of("2w"), Some(1_209_600_000));
        for text in ["", "2", "d", "-2d", "2 d", "1e3s", "99999999999999999999s", "9999999999999999999w"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_its_first_moment() {
        assert_eq!(later("2027-01-31").unwrap().to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(earlier("2027-01-31T18:00:00+02:00").unwrap().to_string(), "2027-01-31T16:00:00Z");
        assert!(later("90d").unwrap() > earlier("90d").unwrap());
        assert!(later("31.1.2027").is_err());
    }

    #[test]
    fn an_owner_has_a_kind_and_an_id_that_may_have_colons() {
        assert_eq!(owner("team:a:b").unwrap().id(), "a:b");
        for text in ["alice", "user:", "robot:r2", "team: x"] {
            assert!(owner(text).is_err(), "{text}");
        }
    }
}
