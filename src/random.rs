//! The only source of randomness: the operating system.

use getrandom::SysRng;
use rand_core::TryRng;
use zeroize::Zeroizing;

/// Random bytes, wiped when they are dropped.
///
/// # Errors
/// [`RandomnessError`] if the operating system gives none. There is no fallback to another source.
pub(crate) fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, RandomnessError> {
    let mut bytes = Zeroizing::new([0; N]);
    SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(RandomnessError)?;
    Ok(bytes)
}

/// The operating system gave no randomness, so nothing was made.
///
/// ```
/// use tower_api_keys::{KeyKind, RandomnessError, key::{KeyFormat, PlaintextKey}};
///
/// fn new_key() -> Result<PlaintextKey, RandomnessError> {
///     KeyFormat::unbranded().generate(KeyKind::User)
/// }
/// # assert!(new_key().is_ok());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct RandomnessError(#[source] getrandom::Error);

#[cfg(test)]
impl RandomnessError {
    /// The error of an operating system that gives none.
    pub(crate) const fn injected() -> Self {
        Self(getrandom::Error::UNEXPECTED)
    }
}
