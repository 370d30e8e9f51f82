//! In this module, and not where it is implemented: `manage` calls it, `auth` implements it, and neither imports the
//! other.

use super::KeyRecord;
use crate::key::PlaintextKey;

/// Learns of the keys that this node made, so that their first use on it needs no proof: the node has just computed the
/// hash of that text.
pub(crate) trait NewKeys: Send + Sync {
    /// The store has the key. Later changes are read from the store at its first use.
    fn made(&self, key: &PlaintextKey, record: &KeyRecord);
}
