//! The clauses of a store that looks keys up.

use tower_api_keys::store::KeyReader;

use crate::{candidate::Candidate, dropped, find, log, longest, report::Report};

clauses! {
    reader_clauses, READER, KeyReader;
    "R1" find::an_absent_key_is_not_found
        "A key that nobody inserted is not found."
        "Is an absent row none, and no error of the query?";
    "R2" find::ids_are_compared_byte_by_byte
        "Ids are compared byte by byte: another case, another last character, is another key."
        "Is the column of ids compared byte by byte? The default collations of many databases fold case.";
    "R3" find::every_column_comes_back
        "Every column comes back as it was written, set or not, at either end of its range."
        "Is each column read back into the field it was written from, and are times whole milliseconds of 64 bits?";
    "R4" find::text_is_kept_byte_by_byte
        "Text is kept byte by byte: quotes, wildcards, outer spaces, composed and decomposed letters, also in the values of \
         labels."
        "Is text compared and kept byte by byte, as four-byte UTF-8, without trimming, padding or normalizing?";
    "R5" find::a_dead_key_is_found
        "A revoked key is found, and so is an expired one: the store does not judge keys."
        "Does the look-up leave out rows by their revocation or expiry? It must not.";
    "R6" find::a_key_comes_with_its_owner_s_status
        "A key comes with the status of its owner: each suspension and its time, and the default if the owner was \
         never suspended."
        "Is the owner's status joined by organization, kind and id, and are missing rows the default?";
    "R7" find::a_status_is_one_owner_s
        "A status belongs to one owner only: not to the same id of the other kind or in another organization, nor to a \
         similar id."
        "Does the join compare organization, kind and id, each byte by byte and without padding?";
    "R8" find::a_returned_change_is_seen
        "What a change wrote is found by every read that begins after the change returned."
        "Is the change committed before `apply` returns, and does the read go to the primary and not to a replica or \
         a cache?";
    "R9" find::key_and_status_are_of_one_moment
        "A key and its owner's status are as of one moment, also while they change."
        "Are key and statuses read in one statement, or in one snapshot?";
    "R10" find::a_dropped_read_harms_nothing
        "A read that was begun and dropped harms nothing."
        "Does a connection that was dropped in the middle of an answer go back to the pool?";
    "R11" log::a_log_is_kept_or_not
        "A store keeps a change log or does not: if it says `Untracked` once, it always says so, and has no head."
        "Does `changes_since` answer `Untracked` only sometimes, or does `try_head` give a head anyway?";
    "R12" log::an_unknown_head_is_a_reset
        "A read without a head, or with a head that the log does not have, is answered with a reset: another id at a \
         known position, or a position ahead of the log."
        "Are position and id of the head both compared, without overflow at the greatest position?";
    "R13" log::nothing_is_new_at_the_head
        "At the head, every read answers that nothing changed."
        "If nothing changed, is the head of the answer the one that was given?";
    "R14" log::a_revocation_is_logged
        "A revocation is in the log when it returns."
        "Does a trigger, or the change itself, write a row of the log for `revoked_at`, in the same transaction?";
    "R15" log::an_expiry_is_logged
        "A new expiry is in the log: set, moved earlier or later, and removed."
        "Is the comparison of old and new expiry safe for null? In SQL, `=` is not.";
    "R16" log::scopes_are_logged
        "New scopes are in the log, fewer and more."
        "Does the log's trigger compare the scopes, too?";
    "R17" log::an_owner_s_status_is_logged
        "An owner's suspension, its reinstatement and the closing are in the log."
        "Does the log's trigger on owners cover inserts and updates, in both directions, safe for null?";
    "R18" log::changes_come_in_commit_order
        "A reader that is a few changes behind gets the keys and owners that changed, in commit order, and the head \
         moves forward with each change."
        "Are positions given under a lock that is held until the commit? Sequences and timestamps are not in commit \
         order.";
    "R19" log::a_reader_far_behind_misses_nothing
        "A reader that is more than 1,000 changes behind gets all of them, or a reset."
        "Does the query of the log stop at a limit, but answer with the newest head?";
    "R20" log::try_head_is_current
        "`try_head`, if there is one, is the head of the log, and moves before a change returns."
        "Does the head of `try_head` move before `apply` returns, also for changes of other processes?";
    "R21" log::a_find_is_never_older_than_the_log
        "What the log named is found: `find` is never older than a read of the log that returned before it began."
        "Do look-ups use an older snapshot, a replica or a cache that the log does not know of?";
    "R22" log::a_follower_misses_nothing
        "A reader that follows the log while many write at once misses nothing."
        "Is the lock that orders the log taken before its position is read, and held until the commit?";
    "R23" log::the_log_goes_on_for_a_thousand_changes
        "A reader that is at most 1,000 changes behind gets all of them, and no reset."
        "Are 1,000 rows of the log kept, and is the reader's own row among them?";
    "R24" dropped::a_read_can_be_dropped_at_any_wait
        "A read of a key or of the log that is dropped at any of its waits harms nothing: the next read through the \
         same handle gets its complete answer."
        "Does the next call use the connection on which the dropped one still waits, and take its answer?";
    "R25" find::a_key_comes_with_its_organization_s_status
        "A key comes with the status of its organization: each suspension and its time, the default if it was never \
         suspended, and never the status of another organization."
        "Is the organization's status joined by its own kind, with an empty id?";
    "R26" log::an_organization_s_status_is_logged
        "An organization's suspension, its end and the closing are in the log."
        "Does the log's trigger cover the rows of organizations?";
    "R27" longest::keys_are_kept_at_their_longest
        "A key is kept with the longest value that each of its columns may have, in characters and in bytes."
        "Is this column as wide as the table of columns says, in characters of four bytes, and is the database \
         strict about what does not fit?";
    "R28" longest::the_longest_owner_is_logged
        "Owners and organizations with the longest ids are in the log."
        "Are the log's columns as wide as those of the tables whose changes it has?";
    "R29" log::networks_are_logged
        "A new list of networks is in the log, and so is its removal."
        "Does the log's trigger compare the networks, too?";
}
