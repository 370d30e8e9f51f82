//! Here, and not where it is implemented: `manage` tells, `auth` learns, and neither imports the other.

use super::KeyRecord;
use crate::key::PlaintextKey;

/// Learns of the keys that this node made, so that their first use here need not prove what the node knows: it has just
/// computed the hash of that very text.
pub(crate) trait NewKeys: Send + Sync {
    /// The store has the key. Whatever became of it since is for the store to say at its first use.
    fn made(&self, key: &PlaintextKey, record: &KeyRecord);
}
