//! The sentences of a report of missing owners, and a note about one of them.

use crate::sentence::sentences;

sentences! {
    pub(in crate::manage) fn all;

    pub(super) fn closed(owners: u64) = "reconcile.closed":
        "This comparison closed {owners} {owners:user or team|users and teams}. All their keys are now refused \
         permanently.";
    pub(super) fn kept(owners: u64) = "reconcile.kept":
        "{owners} {owners:user or team was|users and teams were} not closed: {owners:it exists, has no active key or \
         was|they exist, have no active keys or were} already closed.";
    pub(super) fn missing(missing: u64, owners: u64) = "reconcile.missing":
        "{missing} of {owners} {owners:user or team|users and teams} with active keys {missing:is|are} not in the \
         directory.";
    pub(super) fn unanswered(owners: u64) = "reconcile.unanswered":
        "For {owners} other {owners:user or team|users and teams}, the directory did not say whether {owners:it exists|they \
         exist}. {owners:It was|They were} not closed.";
    pub(super) fn unreadable(keys: u64) = "reconcile.unreadable":
        "{keys} active {keys:key was|keys were} not compared with the directory, because {keys:its owner or the \
         owner's|their owners or the owners'} status cannot be read. Check {keys:this key|these keys} yourself.";
}
