/// In the extensions of a request without a key that an optional layer let through. Tells it from a request that no
/// layer has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anonymous;
