//! The cost of a hash.

use std::ops::RangeInclusive;

/// The cost of one Argon2id run. Parallelism is always 1: a service that checks many keys gains nothing from lanes.
///
/// Memory is 8 KiB to 1 GiB, iterations are 1 to 64. RFC 9106 section 3.1 allows up to 4 TiB and 4 billion; every cost
/// that a server can afford is within these bounds, and a stored hash with a higher cost is damaged or hostile.
///
/// ```
/// use tower_api_keys::hash::Argon2Params;
///
/// let params = Argon2Params::new(19 * 1024, 2)?;
/// assert_eq!(params, Argon2Params::STANDARD);
/// assert!(Argon2Params::new(u32::MAX, 1).is_err());
/// # Ok::<(), tower_api_keys::hash::InvalidParams>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    memory_kib: u32,
    iterations: u32,
}

impl Argon2Params {
    /// 7 MiB, 5 iterations: as strong as [`Argon2Params::STANDARD`], for machines with little memory (OWASP Password
    /// Storage Cheat Sheet). About 11 ms.
    pub const LOW_MEMORY: Self = Self { memory_kib: 7_168, iterations: 5 };

    /// 64 KiB, 1 iteration: tens of microseconds.
    ///
    /// # Security
    /// Safe only because every key of this crate has 264 random bits: no attacker can guess those at any speed. NIST SP
    /// 800-63B-4 requires a deliberately slow hash below 112 bits of entropy, and any approved hash above. Never use it
    /// for text that people choose.
    pub const MACHINE_SECRET: Self = Self { memory_kib: 64, iterations: 1 };

    /// 19 MiB, 2 iterations: the default, and the first choice of the OWASP Password Storage Cheat Sheet. About 13 ms.
    pub const STANDARD: Self = Self { memory_kib: 19_456, iterations: 2 };

    const MEMORY_KIB: RangeInclusive<u32> = 8..=1024 * 1024;
    const ITERATIONS: RangeInclusive<u32> = 1..=64;

    /// This much memory in KiB (8 to 1,048,576), with this many passes over it (1 to 64).
    ///
    /// # Errors
    /// [`InvalidParams`] outside these bounds.
    pub fn new(memory_kib: u32, iterations: u32) -> Result<Self, InvalidParams> {
        if Self::MEMORY_KIB.contains(&memory_kib) && Self::ITERATIONS.contains(&iterations) {
            Ok(Self { memory_kib, iterations })
        } else {
            Err(InvalidParams(()))
        }
    }

    /// Memory of one run, in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over that memory.
    #[must_use]
    pub const fn iterations(self) -> u32 {
        self.iterations
    }

    /// Whether it costs more in one respect and not less in the other. If two costs differ in opposite directions,
    /// neither is stronger, so re-hashing never alternates between them.
    pub(super) const fn is_stronger_than(self, other: Self) -> bool {
        let not_weaker = self.memory_kib >= other.memory_kib && self.iterations >= other.iterations;
        not_weaker && (self.memory_kib > other.memory_kib || self.iterations > other.iterations)
    }
}

impl Default for Argon2Params {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// The cost is outside the range of [`Argon2Params::new`].
///
/// ```
/// use tower_api_keys::hash::Argon2Params;
///
/// let error = Argon2Params::new(19_456, 0).unwrap_err();
/// assert_eq!(error.to_string(), "Argon2 memory must be 8 to 1048576 KiB, and iterations must be 1 to 64");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Argon2 memory must be 8 to 1048576 KiB, and iterations must be 1 to 64")]
pub struct InvalidParams(());

/// The range of accepted profiles: a stored hash outside it is not run.
#[derive(Clone, Debug)]
pub(super) struct AcceptedParams {
    memory_kib: RangeInclusive<u32>,
    iterations: RangeInclusive<u32>,
}

impl AcceptedParams {
    pub(super) fn spanning(first: Argon2Params, others: &[Argon2Params]) -> Self {
        others.iter().fold(
            Self { memory_kib: first.memory_kib..=first.memory_kib, iterations: first.iterations..=first.iterations },
            |span, params| Self {
                memory_kib: widen(&span.memory_kib, params.memory_kib),
                iterations: widen(&span.iterations, params.iterations),
            },
        )
    }

    pub(super) fn contains(&self, params: Argon2Params) -> bool {
        self.memory_kib.contains(&params.memory_kib) && self.iterations.contains(&params.iterations)
    }
}

fn widen(range: &RangeInclusive<u32>, value: u32) -> RangeInclusive<u32> {
    value.min(*range.start())..=value.max(*range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_outside_of_the_hard_bounds_are_refused() {
        for (memory_kib, iterations) in [(7, 1), (1024 * 1024 + 1, 1), (64, 0), (64, 65), (u32::MAX, u32::MAX)] {
            assert!(Argon2Params::new(memory_kib, iterations).is_err(), "{memory_kib} {iterations}");
        }
        assert!(Argon2Params::new(8, 1).is_ok());
        assert!(Argon2Params::new(1024 * 1024, 64).is_ok());
    }

    #[test]
    fn the_named_profiles_are_within_the_hard_bounds() {
        for named in [Argon2Params::LOW_MEMORY, Argon2Params::MACHINE_SECRET, Argon2Params::STANDARD] {
            assert_eq!(Argon2Params::new(named.memory_kib(), named.iterations()), Ok(named));
        }
    }

    #[test]
    fn accepted_params_reach_from_the_least_to_the_most() {
        let accepted = AcceptedParams::spanning(Argon2Params::LOW_MEMORY, &[Argon2Params::STANDARD]);
        let within = |memory_kib, iterations| accepted.contains(Argon2Params { memory_kib, iterations });
        assert!(within(7_168, 2) && within(19_456, 5) && within(10_000, 3));
        assert!(!within(7_167, 2) && !within(19_457, 2) && !within(10_000, 1) && !within(10_000, 6));
    }

    #[test]
    fn neither_of_two_opposite_params_is_stronger() {
        assert!(!Argon2Params::STANDARD.is_stronger_than(Argon2Params::LOW_MEMORY));
        assert!(!Argon2Params::LOW_MEMORY.is_stronger_than(Argon2Params::STANDARD));
        assert!(!Argon2Params::STANDARD.is_stronger_than(Argon2Params::STANDARD));
        assert!(Argon2Params::STANDARD.is_stronger_than(Argon2Params::MACHINE_SECRET));
    }
}
