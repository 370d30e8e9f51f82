//! The sentences of a report of missing owners, and a note about one of them.

use crate::sentence::sentences;

sentences! {
    pub(in crate::manage) fn all;

    pub(super) fn closed(owners: u64) = "reconcile.closed":
        "{owners} of them {owners:was|were} closed by this: their keys are permanently refused.";
    pub(super) fn kept(owners: u64) = "reconcile.kept":
        "{owners} of those to be closed {owners:was|were} kept: {owners:it exists|they exist}, {owners:has|have} no \
         live key, or {owners:was|were} closed in the meantime.";
    pub(super) fn missing(missing: u64, owners: u64) = "reconcile.missing":
        "{missing} of {owners} {owners:user or team|users and teams} with live keys {missing:is|are} missing in the directory.";
    pub(super) fn unanswered(owners: u64) = "reconcile.unanswered":
        "For {owners} more, the directory did not say whether {owners:it exists|they exist}.";
    pub(super) fn unreadable(keys: u64) = "reconcile.unreadable":
        "{keys} live {keys:key|keys} {keys:is|are} left out, because {keys:its owner or the owner's|their owners or \
         the owners'} status cannot be read.";
}
