//! What is said of a leak: what was found, done and ended.

use crate::{
    key::KeyId,
    sentence::{Sentence, sentences},
};

sentences! {
    pub(in crate::manage) fn all;

    pub(super) fn changed(changes: usize, keys: usize) = "leak_report.changed":
        "Of what you may see, it changed {changes} {changes:thing|things} since and made {keys} {keys:key|keys}.";
    pub(super) fn changed_nothing() = "leak_report.changed_nothing": "It changed nothing that you may see.";
    pub(super) fn entries_unreadable(entries: u64) = "leak_report.entries_unreadable":
        "{entries} {entries:entry|entries} cannot be read.";
    pub(super) fn may_be_more() = "leak_report.may_be_more": "There may be more.";
    pub(super) fn not_used() = "leak_report.not_used": "Nobody used it since.";
    pub(super) fn tried_since_death(times: i64) = "leak_report.tried_since_death":
        "It was tried {times} {times:time|times} after its end.";
    pub(super) fn used(sources: usize, new: usize) = "leak_report.used":
        "It was used or tried since from {sources} {sources:source|sources}, {new} of them new.";

    pub(super) fn more_matches(keys: usize) = "key_matches.more_matches":
        "More than {keys} other {keys:key|keys} may be meant.";
    pub(super) fn no_match() = "key_matches.no_match":
        "No key that this actor may see is in this text, nor a part of its id.";
    pub(super) fn other_matches(keys: usize) = "key_matches.other_matches": "{keys} other {keys:key|keys} may be meant.";
    pub(super) fn surest_match(key: KeyId, evidence: Sentence) = "key_matches.surest_match": "{key}: {evidence}";

    pub(super) fn dead_already(keys: u64) = "revoked_many.dead_already": "{keys} {keys:was|were} dead already.";
    pub(super) fn keys_unreadable(keys: u64) = "revoked_many.keys_unreadable": "{keys} {keys:key|keys} cannot be read.";
    pub(super) fn not_to_be_revoked(keys: u64) = "revoked_many.not_to_be_revoked":
        "{keys} {keys:is|are} not this actor's to revoke.";
    pub(super) fn nothing_revoked() = "revoked_many.nothing_revoked":
        "No key that this actor may see matches: nothing was revoked.";
    pub(super) fn revoked(revoked: u64, matched: u64) = "revoked_many.revoked":
        "{revoked} of {matched} {matched:key|keys} revoked.";
    pub(super) fn still_live(keys: u64) = "revoked_many.still_live": "{keys} {keys:is|are} still live: ask again.";
    pub(super) fn stopped_after(keys: u64) = "revoked_many.stopped_after":
        "Stopped after {keys} {keys:key was|keys were} revoked.";
    pub(super) fn would_be_revoked(revoked: u64, matched: u64) = "revoked_many.would_be_revoked":
        "{revoked} of {matched} {matched:key|keys} would be revoked.";
}
