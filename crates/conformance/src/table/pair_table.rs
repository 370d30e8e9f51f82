//! The clauses of two handles.

use crate::{
    pair::race,
    pair::{self, Pair},
    report::Report,
};

clauses! {
    pair_clauses[], PAIR, Pair<'_>;
    "C1" pair::a_write_is_found_through_the_other
        "What was written through one handle is found through the other as soon as it returned: a key, an update, a \
         re-hash, a suspension, its reinstatement, a revocation."
        "Do look-ups go to a replica or a cache?";
    "C2" pair::a_write_is_listed_through_the_other
        "What was written through one handle is in what the other reads as soon as it returned: lists, counts, events \
         and an owner's status."
        "Do lists, counts or events go to a replica or a cache?";
    "C3" pair::a_guard_sees_what_the_other_wrote
        "Guards, versions and ids are checked against what was written through the other handle, too."
        "Are guards and versions read from the database, under the lock, and not from what this handle knows?";
    "C4" pair::what_was_done_is_known_to_both
        "What was done through one handle is not done again through the other: a repeated change gets its first \
         answer, an idempotency key is taken, a batch counts once, a name has its bytes."
        "Is what was done kept in the database, and not in the handle?";
    "C5" pair::both_tell_one_head
        "Both handles have the same head, which a change through either of them moves before it returns; or neither \
         keeps a log."
        "Is the head read from the database?";
    "C6" pair::changes_through_both_are_in_one_log
        "Changes through either handle are in one log, in commit order, for a reader through either of them."
        "Is there one log, written by triggers or in each transaction, for every writer?";
    "C7" race::one_of_many_revocations_is_written
        "Of many revocations of one key at once through both handles, one is written, with one event, and the others \
         change nothing."
        "Does the revocation's own condition decide who changes the row?";
    "C8" race::one_of_many_inserts_is_written
        "Of many keys inserted with one id at once through both handles, one is written."
        "Does the primary key decide?";
    "C9" race::one_of_many_updates_is_written
        "Of many updates of one version at once through both handles, one is written."
        "Is the version read under the lock, or part of the update's condition?";
    "C10" race::one_of_many_successors_is_written
        "Of many successors of one key at once through both handles, one is written."
        "Is the lock taken in a statement of its own, before anything is read?";
    "C11" race::one_of_many_replays_is_written
        "Of many changes with one idempotency key at once through both handles, one is written."
        "Is the idempotency key looked for under the lock, with a unique index behind it?";
    "C12" race::one_of_two_keys_survives
        "If a rotation is finished through one handle and undone through the other at once, one of the two is done: \
         the two keys are never both revoked."
        "Is the lock taken in a statement of its own, before the guards are read?";
    "C13" race::a_change_at_once_is_done_once
        "One change applied many times at once through both handles is done once, and all get the same answer."
        "Is the change's id looked for under the lock?";
    "C14" race::no_key_is_issued_after_a_suspension
        "No key is issued through either handle after a suspension is written through one: a key that is issued for an \
         active owner while the owner is suspended has its event before the suspension's, or does not exist."
        "Is the lock taken in a statement of its own, before anything is read, and held until the commit?";
    "C15" race::a_batch_at_once_counts_once
        "A batch of counts recorded many times at once through both handles counts once."
        "Is the writer's row locked or compared in the statement that sets it?";
    "C16" race::a_race_for_a_name_has_one_winner
        "If many calls write a name at once through both handles, one wins, and all get the same answer."
        "Does the primary key decide, and is the value read after the insert?";
    "C17" race::a_revocation_is_neither_undone_nor_missed
        "A revocation that returned is permanent: re-hashes, updates and counts that continue through the other handle \
         neither undo nor miss it."
        "Does one handle write whole rows that it read before, or answer from a cache?";
    "C18" race::a_follower_misses_nothing
        "A reader that follows the log through one handle while many write through both misses nothing."
        "Is the position in the log given under a lock that is held until the commit?";
    "C19" race::a_find_is_never_older_than_the_log
        "What the log names when it is read through one handle is found through the other."
        "Does one of the two look-ups go to a replica, a cache or an older snapshot?";
    "C20" race::a_follower_of_events_misses_none
        "A reader that follows the events through one handle, page after page, while many write through both misses \
         none: they are numbered in commit order."
        "Are events numbered under the lock that orders the log? A sequence is not in commit order.";
    "C21" race::one_of_many_takes_the_last_place
        "If many keys are inserted at once through both handles and there is room for one more, one is written."
        "Is the count read after the lock was taken, in a statement of its own?";
}
