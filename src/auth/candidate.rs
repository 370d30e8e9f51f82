//! Alone, so that one place says when a text is the one that was proved.

use std::{net::IpAddr, sync::Arc};

use super::{cache::Entry, digest::Digest};
use crate::{
    key::{PlaintextKey, PrefixIndex},
    owner::OrganizationId,
};

/// A well-formed key that is to be checked.
pub(super) struct Candidate {
    pub(super) key: Arc<PlaintextKey>,
    pub(super) prefix: PrefixIndex,
    pub(super) digest: Digest,
    /// Of the layer it came to, if that is one's.
    pub(super) organization: Option<OrganizationId>,
    /// From where it came, if that is known: the request is gone by the time that it matters.
    pub(super) address: Option<IpAddr>,
}

impl Candidate {
    pub(super) fn is_proved_by(&self, entry: &Entry) -> bool {
        proves(entry, self.prefix, &self.digest)
    }
}

/// Whether a text with this prefix and digest is the one that was proved.
///
/// The digest covers the secret and its checksum; the prefix, which both do not tell apart for certain, is compared by
/// itself. It is not secret.
pub(super) fn proves(entry: &Entry, prefix: PrefixIndex, digest: &Digest) -> bool {
    entry.prefix == prefix && entry.digest.matches(digest).is_ok()
}
