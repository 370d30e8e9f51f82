//! Which clauses there are.

use tower_api_keys::store::{KeyReader, KeyStore};

use crate::{
    candidate::Candidate,
    dropped, ends, erase, find, guard,
    list::{self, by_end, links, wanted},
    log, longest, meta, owner, pause, prune, purge, rehash, repeat,
    report::Report,
    write,
};

/// The table of clauses: number, function, text, and a hint at what usually breaks it, which are said nowhere else. New
/// clauses go to the end: a number never gets another meaning.
macro_rules! clauses {
    ($run:ident, $texts:ident, $bound:ident; $($clauses:tt)*) => {
        clauses! { $run[T: $bound], $texts, Candidate<'_, T>; $($clauses)* }
    };
    (
        $run:ident[$($generics:tt)*], $texts:ident, $subject:ty;
        $($number:literal $module:ident::$clause:ident $text:literal $hint:literal;)*
    ) => {
        pub(crate) async fn $run<$($generics)*>(candidate: &$subject, report: &mut Report) {
            $(report.run($number, [$text, $hint], Box::pin($module::$clause(candidate))).await;)*
        }

        pub(super) const $texts: &[(&str, &str)] = &[$(($number, $text)),*];
    };
}

mod ledger_table;
mod pair_table;
mod portable_table;

use ledger_table::LEDGER;
use pair_table::PAIR;
use portable_table::PORTABLE;

pub(super) use ledger_table::ledger_clauses;
pub(super) use pair_table::pair_clauses;
pub(super) use portable_table::portable_clauses;

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
        "A revoked key is found, and so is an expired one: it is not the store that judges."
        "Does the look-up leave out rows by their revocation or expiry? It must not.";
    "R6" find::a_key_comes_with_its_owner_s_status
        "A key comes with the status of its owner: each suspension and its time, and the default if the owner was \
         never suspended."
        "Is the owner's status joined by organization, kind and id, and are missing rows the default?";
    "R7" find::a_status_is_one_owner_s
        "A status is one owner's alone: not that of the same id of the other kind, in another organization, or of \
         an id much like it."
        "Does the join compare organization, kind and id, each byte by byte and without padding?";
    "R8" find::a_returned_change_is_seen
        "Whatever a change wrote is found by every read that begins after it returned."
        "Is the change committed before `apply` returns, and does the read go to the primary and not to a replica or \
         a cache?";
    "R9" find::key_and_status_are_of_one_moment
        "A key and its owner's status are of one moment, also while they change."
        "Are key and statuses read in one statement, or in one snapshot?";
    "R10" find::a_dropped_read_harms_nothing
        "A read that was begun and dropped harms nothing."
        "Does a connection that was dropped in the middle of an answer go back to the pool?";
    "R11" log::a_log_is_kept_or_not
        "A store keeps a change log or does not: if it says `Untracked` once, it says so always, and has no head."
        "Does `changes_since` answer `Untracked` only sometimes, or does `try_head` give a head all the same?";
    "R12" log::an_unknown_head_is_a_reset
        "No head, and a head that the log does not have, are answered by a reset: an id that differs at a known \
         position, a position ahead of the log."
        "Are position and id of the head both compared, without overflow at the greatest position?";
    "R13" log::nothing_is_new_at_the_head
        "At the head, nothing is new, however often one asks."
        "Is the head of the answer the one that was given where nothing changed?";
    "R14" log::a_revocation_is_logged
        "A revocation is in the log when it returns."
        "Does a trigger, or the change itself, write a row of the log for `revoked_at`, in the same transaction?";
    "R15" log::an_expiry_is_logged
        "A new expiry is in the log: set, moved either way, and taken away."
        "Is the comparison of old and new expiry safe for null? In SQL, `=` is not.";
    "R16" log::scopes_are_logged
        "New scopes are in the log, fewer and more."
        "Does the log's trigger compare the scopes, too?";
    "R17" log::an_owner_s_status_is_logged
        "An owner's suspension, its reinstatement and the closing are in the log."
        "Does the log's trigger on owners cover inserts and updates, in both directions, safe for null?";
    "R18" log::changes_come_in_commit_order
        "A reader a few changes behind is told which keys and owners changed, in commit order, and the head moves \
         forward with each."
        "Are positions given under a lock that is held until the commit? Sequences and timestamps are not in commit \
         order.";
    "R19" log::a_reader_far_behind_misses_nothing
        "A reader more than a thousand changes behind is told of all of them, or of a reset."
        "Does the query of the log stop at a limit and tell of the head all the same?";
    "R20" log::try_head_is_current
        "`try_head`, if there is one, is the head of the log, and moves before a change returns."
        "Is the head that `try_head` tells moved before `apply` returns, and by other processes' changes, too?";
    "R21" log::a_find_is_never_older_than_the_log
        "What the log tells of is found: no `find` is older than a read of the log that returned before it began."
        "Do look-ups use an older snapshot, a replica or a cache that the log does not know of?";
    "R22" log::a_follower_misses_nothing
        "A reader that follows the log while many write at once misses nothing."
        "Is the lock that orders the log taken before its position is read, and held until the commit?";
    "R23" log::the_log_goes_on_for_a_thousand_changes
        "A reader up to a thousand changes behind is told of all of them, and not to start over."
        "Are a thousand rows of the log kept, and is the reader's own row among them?";
    "R24" dropped::a_read_can_be_dropped_at_any_wait
        "A read of a key or of the log that is dropped at any of its waits harms nothing: the next one through the same \
         handle is answered, with all that it would have said."
        "Does the next call use the connection on which the dropped one still waits, and take its answer?";
    "R25" find::a_key_comes_with_its_organization_s_status
        "A key comes with the status of its organization: each suspension and its time, the default if that was never suspended, and \
         never another organization's."
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
        "Are the log's columns as wide as those of the tables that it tells of?";
    "R29" log::networks_are_logged
        "Another list of networks is in the log, and so is its end."
        "Does the log's trigger compare the networks, too?";
}

clauses! {
    store_clauses, STORE, KeyStore;
    "S1" write::an_id_is_taken_once
        "An id is taken for good: a second key with it is a conflict, whoever's it is and even if the first one is \
         dead, and the first stays as it is."
        "Is the id a primary key, over all organizations, rather than looked for before the insert?";
    "S2" write::an_update_writes_four_columns
        "An update writes name, labels, scopes, networks, responsible and expiry, adds one to the version, and leaves every other column \
         alone."
        "Does the update set just those columns, and add one to the version in the same statement?";
    "S3" write::an_update_needs_the_version
        "An update needs the version that stands: an older and a newer one conflict and change nothing."
        "Is the version part of the update's condition, or read under the lock?";
    "S4" write::a_revoked_key_is_not_updated
        "A revoked key cannot be updated."
        "Is `revoked_at is null` part of the update's condition, and told apart from a wrong version?";
    "S5" write::a_foreign_key_is_not_updated
        "Another organization's key is missing to an update, as an absent one is."
        "Is the organization part of the update's condition?";
    "S6" write::a_revocation_has_time_and_author
        "A revocation writes its time and who did it, and nothing else: it is no update and needs no version."
        "Does the revocation use the change's time, and leave the version alone?";
    "S7" write::a_second_revocation_changes_nothing
        "A second revocation changes nothing and is no conflict: the first one's time and author stay."
        "Is `revoked_at is null` part of the revocation's condition?";
    "S8" write::a_foreign_key_is_not_revoked
        "Another organization's key is missing to a revocation, as an absent one is."
        "Is the organization part of the revocation's condition?";
    "S11" write::writes_see_those_before_them
        "Each write sees those before it in the same change, and the effects come in the order of the writes."
        "Are writes done one after the other, in the same transaction?";
    "S12" write::fifty_writes_are_done
        "A change of fifty writes is done."
        "Does the statement or the driver limit how many values there are?";
    "S16" repeat::a_failed_change_can_be_tried_again
        "A change that failed was not done, and can be tried again when it fits."
        "Is the id of a change remembered although it was rolled back?";
    "S18" guard::live_means_neither_absent_nor_revoked_nor_expired
        "`Live` holds for a key that is neither absent nor revoked nor expired, which it is from the very \
         millisecond of its expiry."
        "Is a key dead at `expires_at` itself, that is live only while now is less?";
    "S19" guard::one_live_successor_is_enough
        "`NoLiveSuccessor` holds unless a key that replaces this one is neither revoked nor expired; the conflict \
         is its own."
        "Is the successor looked for by what it replaces, and must it be live?";
    "S20" guard::active_means_neither_suspended_nor_closed
        "`OwnerActive` holds for an owner nobody ever suspended and for one that was reinstated, not under either \
         suspension, nor after closing; other owners do not matter."
        "Are both suspensions and the closing looked at, of this owner only?";
    "S96" guard::same_rights_means_these_scopes_and_this_end
        "`SameRights` holds for a key that is not paused and whose scopes, networks and end are these, to the byte and the \
         millisecond."
        "Are scopes compared byte by byte, without padding, and the end so that two missing ones are the same?";
    "S22" guard::guards_come_before_the_writes
        "Guards look at what stands before the writes, and all of them must hold."
        "Are all guards read before the first write, after the lock was taken?";
    "S23" owner::a_suspension_ends_by_itself_only
        "Each suspension is ended only by itself, and the other one keeps its time."
        "Does the status have a column for each suspension?";
    "S24" owner::a_second_suspension_changes_nothing
        "A second suspension of the same kind and the end of one that there is not change nothing and are no \
         conflicts: the first suspension's time stays."
        "Does a second suspension overwrite the first one's time?";
    "S25" owner::closing_is_final
        "Closing is final: a second one changes nothing, suspending and reinstating conflict, and suspensions that \
         stood then stay."
        "Is the closing looked at before suspensions, and never taken back? `OwnerChange::applied_to` knows the \
         rules.";
    "S27" rehash::a_rehash_needs_the_old_hash
        "A re-hash needs the very hash that stands; another one, or an absent key, changes nothing."
        "Is the old hash part of the re-hash's condition, byte by byte?";
    "S28" rehash::a_revoked_key_is_not_rehashed
        "A revoked key is not re-hashed."
        "Is `revoked_at is null` part of the re-hash's condition?";
    "S38" list::keys_are_listed_by_creation_then_id
        "Keys are listed by time of creation, and by the bytes of their ids where that is equal."
        "Is the order that of time and then of the id's bytes? The column may have another collation.";
    "S39" list::a_returned_insert_is_listed
        "A key is listed once its change returned, in any list that it fits."
        "Do lists read from a replica, a cache or an older snapshot?";
    "S40" list::keys_are_found_by_each_condition
        "Each condition of a query finds its keys and no other: owner, creator, the key they were made with, and \
         all together."
        "Is each condition compared byte by byte, and joined by `and`?";
    "S41" list::liveness_is_that_of_the_query_s_time
        "Live is neither revoked nor expired at the time of the query, and a key is dead from the very millisecond \
         of its expiry."
        "Does the list use the query's time, and is a key dead at `expires_at` itself?";
    "S43" list::keys_come_in_pages
        "Lists come in pages of the asked size, each after the last one's end, with a word on whether more follow; \
         keys made in one millisecond are neither lost nor repeated between pages."
        "Does the page begin after the pair of time and id, and is one row more than the limit asked for?";
    "S44" list::foreign_keys_are_invisible
        "Another organization's keys are invisible, whatever the conditions."
        "Is the organization part of every query of keys?";
    "S46" meta::a_name_is_written_once
        "The first bytes under a name stay, and each later call is told them."
        "Is it an insert that does nothing where the name exists, and a read after it?";
    "S47" meta::any_bytes_are_kept
        "Any bytes are kept, none and zeros among them, and names are compared byte by byte."
        "Is the value a column of bytes, and the name compared byte by byte, without padding?";
    "S48" meta::a_race_for_a_name_has_one_winner
        "Of many that write a name at once one wins, and all are told the same."
        "Do two that insert at once both see nothing and both write? Let the primary key decide.";
    "S51" prune::the_log_is_shortened_and_keeps_its_head
        "All rows of the log but the last are forgotten, the head stays, and a reader behind the last is told of \
         everything or of a reset."
        "Does the head stand in a table of its own, which pruning leaves alone?";
    "S52" prune::old_changes_are_forgotten
        "Results and idempotency keys of changes before the time are forgotten, those at it and after stay."
        "Are results forgotten by the change's own time, and is the comparison less than it?";
    "S64" owner::an_owner_s_status_can_be_read
        "The status of an owner without keys can be read: it is told by itself, of the right owner, from the moment a \
         change of it returned."
        "Does the status come from the owners' table alone, also where the owner has no key?";
    "S68" links::successors_are_found
        "Keys are found by the key that they replace, live and dead ones, in the order of lists and in pages, together \
         with any other condition; another organization's are not."
        "Is the predecessor compared byte by byte, in this organization?";
    "S69" list::keys_are_found_by_time_of_creation
        "Made before a time are keys whose time of creation is less, not those made in its very millisecond, together \
         with any other condition."
        "Is the comparison less than the time, and joined to the others by `and`?";
    "S70" links::a_listed_key_has_its_creator_s_status
        "A listed key comes with the status of the user who made it, in the key's organization: each suspension and \
         its time; the default if that user was never suspended, and if a key or the system made it."
        "Is the creator's status joined by kind `user`, in the key's organization, only where a user made it?";
    "S71" links::a_listed_key_tells_of_its_rotation
        "A listed key names the key of its organization that replaces it and is live at the time of the query, the least \
         id if there are several, and says whether the key that it replaces is such a one."
        "Is the successor live at the query's time, of this organization, and the least by the bytes of its id?";
    "S76" guard::live_keys_of_an_owner_are_counted
        "`LiveKeysBelow` holds while fewer keys of this very owner than its limit are neither revoked nor expired: not \
         those of another kind, id or organization, and never under a limit of none."
        "Are live keys counted by organization, kind and owner, at the change's time, and is the comparison less \
         than the limit?";
    "S77" guard::keys_made_on_behalf_of_an_owner_are_counted
        "`IssuedBelow` holds while a user, by themselves and with their keys, made fewer keys of this organization than its \
         limit, dead ones among them, from its first millisecond to its last: not other actors', other organizations' or \
         others' keys'. Of a team, its keys' count."
        "Are both ends of the window included, and are the user's own keys and those made with them counted once?";
    "S81" meta::a_note_is_replaced_by_one
        "A note, which is empty at first, is replaced by whoever knows what stands, by one of many at once, and the others \
         are told what stands."
        "Is the old note part of the update's condition, and is an absent one the same as an empty one?";
    "S86" guard::active_means_in_an_active_organization
        "`OwnerActive` does not hold for an owner whose organization is suspended or closed."
        "Does the guard look at the owner's row and at the organization's?";
    "S90" longest::the_longest_owner_has_a_status
        "Owners and organizations with the longest ids have a status of their own."
        "Is this column as wide as the table of columns says, in characters of four bytes?";
    "S91" longest::the_longest_idempotency_key_works_once
        "The longest idempotency key works once, and another one that ends in another way is another."
        "Are idempotency keys kept whole? A prefix of one must not be unique.";
    "S92" longest::names_and_notes_are_kept_at_their_longest
        "The longest names and the longest values under them are kept, and so are notes."
        "Are names kept whole, and are values as long as the table of columns says?";
    "S97" wanted::keys_of_several_owners_come_in_one_order
        "Keys of several owners come in one order, in pages and whole, each once, also where an owner is named twice; those \
         of others do not come."
        "Is the order over the keys of all owners together, and does a join with the owners repeat what is named twice?";
    "S98" wanted::keys_are_found_by_kind
        "Personal keys are found, or team keys, together with any other condition; an owner of the other kind has none."
        "Is the kind one more condition, also where it leaves none of the owners that are asked for?";
    "S99" wanted::the_newest_keys_can_come_first
        "Lists come by falling time of creation, then falling id, too, with any other condition and in pages: each has what is \
         before the last one's end."
        "Are time and id both turned, in the order and in the comparison with the last page's end?";
    "S100" wanted::keys_are_found_by_a_part_of_their_names
        "A key is found by a part of its name as `NamePart` says: capitals are their small letters, of any writing, and no \
         character of the part is a wildcard."
        "Is the name looked at by `NamePart::is_in`, or translated by `NamePart::capitals`? `LIKE` and `lower` do less or more.";
    "S101" wanted::keys_are_found_by_their_ids
        "Keys are found by their ids, dead or alive, each once, together with any other condition; an absent key and another \
         organization's are not."
        "Is the organization compared too, and an id that is named twice listed once?";
    "S102" wanted::keys_are_found_by_how_late_they_were_made
        "Made at or after a time are keys whose time of creation is not less, those made in its very millisecond too, in \
         either order."
        "Is the comparison not less than the time, and beside the one with the last page's end?";
    "S103" wanted::a_successor_comes_with_its_owner_and_maker
        "The successor that a listed key names comes with its own owner and maker, which may be others than the key's."
        "Are owner and maker read from the row of the successor?";
    "S104" wanted::a_thousand_owners_and_keys_are_asked_for_at_once
        "A query may name a thousand owners, and a thousand keys."
        "Is there a limit of the database on parameters or terms, below a thousand?";
    "S105" guard::same_version_means_this_one
        "`SameVersion` holds for a key that has this very version, dead or alive."
        "Is the version read under the lock, and is a revocation no update?";
    "S109" pause::a_key_is_paused
        "A key that is not revoked is paused once, at the change's time and by its author, under a new version, in the \
         log and with its event; to pause it again changes nothing, and to pause one that is revoked, missing or another \
         organization's is a conflict."
        "Is a pause written only where there is none, and is the key in the change log?";
    "S110" pause::that_pause_is_ended_and_no_other
        "The pause that is named by its time and author is ended, under a new version, in the log and with its event; of a key that is not \
         paused nothing changes, and another pause, a key that is revoked, missing or another organization's is a conflict."
        "Is the pause compared with the one that is to end, its author byte by byte, and null only with null?";
    "S111" purge::keys_that_ended_before_a_time_are_purged
        "Keys that were revoked or expired before a time are purged, whichever came first, those that ended first before others \
         if there is a limit: they are not found nor listed, and the log names them. Those that ended at the time or later stay, \
         and those that live."
        "Is the end of a key the earlier of its revocation and its expiry, and less than the time?";
    "S112" purge::the_id_of_a_purged_key_is_taken
        "The id of a purged key is taken, for any organization, and whatever makes it anew; a repeated request is told which key it \
         made, and a repeated change gets its first answer."
        "Is the id kept when the key is deleted, in the same transaction, and looked for by each insert?";
    "S113" purge::what_others_need_stays
        "A dead key stays while a key that replaces it or that it replaces did not end before the time, and while a key is there \
         that was made with it; after that it goes."
        "Are the predecessor and every successor looked at, also dead ones that ended later, and keys made with it, dead or alive?";
    "S114" purge::keys_with_an_end_are_counted
        "Keys that have an end are counted, and those that ended before a time."
        "Is the end of a key the earlier of its revocation and its expiry, and less than the time?";
    "S116" wanted::keys_are_found_by_their_lineage
        "Keys are found by the first key of their chain of rotations, live and dead ones and itself among them, in either \
         order and in pages, together with any other condition; another organization's are not."
        "Is the lineage compared byte by byte, in this organization?";
    "S118" ends::keys_whose_end_is_to_be_told_are_found
        "`ending` finds keys of all organizations that end after a time and not after another one, by end, then id, as many as \
         are asked for: none that is revoked, and none of whose very end it is noted that it was told as long before, or nearer."
        "Is the note looked at with the end that it is about, and is a key without a note found?";
    "S119" by_end::keys_are_found_by_their_end
        "Keys are found that end before a time, not those that end in its very millisecond or never, in any order and together \
         with any other condition."
        "Is the comparison less than the time, and are keys without an end left out?";
    "S120" by_end::the_next_to_end_can_come_first
        "Lists come by rising end, then rising id, too, with any other condition and in pages: keys without an end come last."
        "Is the comparison with the last page's end one of ends and ids, and is no end later than any?";
    "S124" erase::erased_keys_are_in_the_log
        "An erasure tells the log of every key that it deletes, and names nobody who was erased there, not in older rows either. \
         The ids stay taken, the change and those that made the keys keep their answers, and the idempotency keys of these are free."
        "Are rows of the log renamed after the triggers have written theirs, and idempotency keys forgotten without the results?";
    "S125" erase::only_the_closed_are_erased
        "An erasure of what is not closed by itself is a conflict, one beside another write is refused, and nothing is done. \
         Whoever has the id next is active and has nothing."
        "Is the closing looked at under the lock, and is the row of the status deleted?";
}

/// The number and the text of each, by letter and number.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut stores: Vec<_> = STORE.iter().chain(LEDGER).copied().collect();
    stores.sort_by_key(|(number, _)| place(number));
    READER.iter().copied().chain(stores).chain([PAIR, PORTABLE].into_iter().flatten().copied())
}

/// Where a number stands among those of its letter.
pub(super) fn place(number: &str) -> u32 {
    number.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tower_api_keys::store::MemoryStore;

    use super::all;
    use crate::{check_pair, check_store};

    #[test]
    fn clauses_are_numbered_without_a_gap() {
        for (letter, last) in [('R', 29), ('S', 129), ('C', 21), ('P', 15)] {
            let numbers: Vec<_> = all().filter_map(|(number, _)| number.strip_prefix(letter)).collect();
            assert_eq!(numbers, (1..=last).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_check_can_run_on_any_thread() {
        fn send<T: Send>(_: T) {}
        let store = MemoryStore::new();
        send(check_store(&store));
        send(check_pair(&store, &store));
    }
}
