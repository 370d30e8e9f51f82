use std::{ffi::OsString, fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use tower_api_keys::auth::Freshness;

/// The message for arguments that cannot be read.
pub(crate) const USAGE: &str = "usage: fleet [--requests 1..10000000] [--nodes 1..16] [--freshness strict|bounded] \
     [--rate REQUESTS_PER_SECOND] [--url postgres://USER@HOST:PORT/DATABASE] [--answer-cache]";

/// The bound of `--freshness bounded`.
const BOUND: Duration = Duration::from_secs(1);

pub(crate) struct Arguments {
    pub(crate) requests: u64,
    pub(crate) nodes: usize,
    pub(crate) mode: Mode,
    /// Requests a second, for all clients together.
    pub(crate) rate: Option<u64>,
    pub(crate) url: Option<String>,
    pub(crate) answer_cache: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Bounded,
    Strict,
}

impl Arguments {
    pub(crate) fn parse(given: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut arguments =
            Self { requests: 100_000, nodes: 4, mode: Mode::Strict, rate: None, url: None, answer_cache: false };
        let mut given = given.map(OsString::into_string);
        while let Some(name) = given.next() {
            let name = name.ok()?;
            if name == "--answer-cache" {
                arguments.answer_cache = true;
                continue;
            }
            let value = given.next()?.ok()?;
            match name.as_str() {
                "--freshness" => arguments.mode = value.parse().ok()?,
                "--nodes" => arguments.nodes = number(&value, 1..=16)?,
                "--rate" => arguments.rate = Some(number(&value, 1..=10_000_000)?),
                // The record of one request takes 24 bytes.
                "--requests" => arguments.requests = number(&value, 1..=10_000_000)?,
                "--url" => arguments.url = Some(value),
                _ => return None,
            }
        }
        Some(arguments)
    }
}

fn number<T: FromStr + PartialOrd>(text: &str, range: RangeInclusive<T>) -> Option<T> {
    text.parse().ok().filter(|number| range.contains(number))
}

impl Mode {
    pub(crate) fn bound(self) -> Duration {
        match self {
            Self::Bounded => BOUND,
            Self::Strict => Duration::ZERO,
        }
    }

    pub(crate) fn freshness(self) -> Freshness {
        match self {
            Self::Bounded => Freshness::Bounded(BOUND),
            Self::Strict => Freshness::Strict,
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "bounded" => Ok(Self::Bounded),
            "strict" => Ok(Self::Strict),
            _ => Err(format!("unknown freshness {text:?}")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bounded => "bounded",
            Self::Strict => "strict",
        })
    }
}
