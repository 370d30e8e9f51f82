//! The sentences about a leak: what was found, done and ended.

use crate::{
    key::KeyId,
    sentence::{Sentence, sentences},
    time::Timestamp,
};

sentences! {
    pub(in crate::manage) fn all;

    pub(super) fn changed(changes: usize, keys: usize) = "leak_report.changed":
        "In that time, it made {changes} {changes:change|changes} and created {keys} {keys:key|keys}. What you have no \
         access to is not counted.";
    pub(super) fn changed_nothing() = "leak_report.changed_nothing":
        "In that time, it changed nothing that you have access to.";
    pub(super) fn entries_unreadable(entries: u64) = "leak_report.entries_unreadable":
        "{entries} {entries:entry|entries} of the audit log cannot be read, so this report may be incomplete: \
         tell the operator of the service.";
    pub(super) fn may_be_more() = "leak_report.may_be_more": "This report lists at most 1,000 changes, denials and keys, and some may be missing: the audit log of the key has \
         all of them.";
    pub(super) fn not_used(since: Timestamp) = "leak_report.not_used": "Since {since}, it has not been used.";
    pub(super) fn tried_since_death(times: i64) = "leak_report.tried_since_death":
        "It was sent {times} {times:time|times} after it was revoked or expired, and was refused.";
    pub(super) fn used(since: Timestamp, sources: usize, new: usize) = "leak_report.used":
        "Since {since}, requests with it came from {sources} {sources:source|sources}. {new} of them had not been seen \
         before.";

    pub(super) fn more_matches(keys: usize) = "key_matches.more_matches":
        "The text also fits more than {keys} other {keys:key|keys}: add more of it to find the right one.";
    pub(super) fn no_match() = "key_matches.no_match":
        "This text contains no key that you have access to, and no part of its id.";
    pub(super) fn matches_unreadable(keys: u64) = "key_matches.matches_unreadable":
        "{keys} other {keys:key|keys} cannot be shown, because {keys:its|their} stored data cannot be read: tell the \
         operator of the service.";
    pub(super) fn other_matches(keys: usize) = "key_matches.other_matches":
        "The text also fits {keys} other {keys:key|keys}: add more of it to find the right one.";
    pub(super) fn surest_match(key: KeyId, evidence: Sentence) = "key_matches.surest_match": "{key}: {evidence}";

    pub(super) fn dead_already(keys: u64) = "revoked_many.dead_already":
        "{keys} {keys:was|were} already revoked or expired.";
    pub(super) fn keys_unreadable(keys: u64) = "revoked_many.keys_unreadable":
        "{keys} {keys:key was|keys were} not revoked, because {keys:its|their} stored data cannot be read: tell the \
         operator of the service.";
    pub(super) fn not_to_be_revoked(keys: u64) = "revoked_many.not_to_be_revoked":
        "You are not allowed to revoke {keys} of them: ask an admin of the organization.";
    pub(super) fn nothing_revoked() = "revoked_many.nothing_revoked":
        "No key that you have access to matches, so nothing was revoked.";
    pub(super) fn revoked(revoked: u64, matched: u64) = "revoked_many.revoked":
        "{revoked} of {matched} {matched:key|keys} revoked.";
    pub(super) fn still_live(keys: u64) = "revoked_many.still_live": "{keys} still {keys:works|work}: try again.";
    pub(super) fn stopped_after(keys: u64) = "revoked_many.stopped_after":
        "Stopped after {keys} {keys:key was|keys were} revoked.";
    pub(super) fn would_be_revoked(revoked: u64, matched: u64) = "revoked_many.would_be_revoked":
        "{revoked} of {matched} {matched:key|keys} would be revoked.";
}
