//! Marks in the extensions of a request or a refusal. In a file of their own: several layers set and read them, none
//! owns them.

/// In the extensions of a request without a key that an optional layer let through. Distinguishes it from a request
/// that no layer has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anonymous;

/// In the extensions of a refusal because of a missing key that was counted: layers further out do not count it again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted;
