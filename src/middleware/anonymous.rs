//! Marks in the extensions of a request or a refusal. Alone: several layers set and read them, none owns them.

/// In the extensions of a request without a key that an optional layer let through. Tells it from a request that no
/// layer has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anonymous;

/// In the extensions of a refusal for want of a key that was counted: further out it is not counted again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted;
