//! The clauses of a store.

use tower_api_keys::store::KeyStore;

use crate::{
    candidate::Candidate,
    ends, erase, guard,
    list::{self, by_end, links, wanted},
    longest, meta, owner, pause, prune, purge, rehash, repeat,
    report::Report,
    write,
};

clauses! {
    store_clauses, STORE, KeyStore;
    "S1" write::an_id_is_taken_once
        "An id is used only once: a second key with it is a conflict, for any owner and organization and even if the \
         first key is dead; the first key stays unchanged."
        "Is the id a primary key over all organizations, instead of a look-up before the insert?";
    "S2" write::an_update_writes_four_columns
        "An update writes name, labels, scopes, networks, responsible and expiry, adds one to the version, and changes \
         no other column."
        "Does the update set just those columns, and add one to the version in the same statement?";
    "S3" write::an_update_needs_the_version
        "An update needs the stored version: an older or a newer one is a conflict and changes nothing."
        "Is the version part of the update's condition, or read under the lock?";
    "S4" write::a_revoked_key_is_not_updated
        "A revoked key cannot be updated."
        "Is `revoked_at is null` part of the update's condition, and is the answer different from that for a wrong \
         version?";
    "S5" write::a_foreign_key_is_not_updated
        "For an update, a key of another organization is missing, like an absent one."
        "Is the organization part of the update's condition?";
    "S6" write::a_revocation_has_time_and_author
        "A revocation writes its time and its actor, and nothing else: it is no update and needs no version."
        "Does the revocation use the change's time, and not change the version?";
    "S7" write::a_second_revocation_changes_nothing
        "A second revocation changes nothing and is no conflict: the time and the actor of the first one stay."
        "Is `revoked_at is null` part of the revocation's condition?";
    "S8" write::a_foreign_key_is_not_revoked
        "For a revocation, a key of another organization is missing, like an absent one."
        "Is the organization part of the revocation's condition?";
    "S11" write::writes_see_those_before_them
        "Each write sees those before it in the same change, and the effects come in the order of the writes."
        "Are writes done one after the other, in the same transaction?";
    "S12" write::fifty_writes_are_done
        "A change of fifty writes is done."
        "Does the statement or the driver limit the number of values?";
    "S16" repeat::a_failed_change_can_be_tried_again
        "A change that failed was not done, and can be tried again when it fits."
        "Is the id of a change remembered although it was rolled back?";
    "S18" guard::live_means_neither_absent_nor_revoked_nor_expired
        "`Live` holds for a key that exists and is neither revoked nor expired. A key is expired from the millisecond \
         of its expiry."
        "Is a key dead at `expires_at` itself, so that it is live only while now is less?";
    "S19" guard::one_live_successor_is_enough
        "`NoLiveSuccessor` holds unless a key that replaces this one is neither revoked nor expired. It has a conflict \
         of its own, `Conflict::Successor`."
        "Is the successor found by the key that it replaces, and must it be live?";
    "S20" guard::active_means_neither_suspended_nor_closed
        "`OwnerActive` holds for an owner that was never suspended, and for one that was reinstated. It does not hold \
         under either suspension, nor after a close. Other owners do not matter."
        "Are both suspensions and the closing checked, of this owner only?";
    "S96" guard::same_rights_means_these_scopes_and_this_end
        "`SameRights` holds for a key that is not paused and whose scopes, networks and end are these, to the byte and the \
         millisecond."
        "Are scopes compared byte by byte, without padding, and are two missing ends equal?";
    "S22" guard::guards_come_before_the_writes
        "Guards see what is stored before the writes, and all of them must hold."
        "Are all guards read before the first write, after the lock was taken?";
    "S23" owner::a_suspension_ends_by_itself_only
        "A reinstatement ends only one kind of suspension, and the other kind keeps its time."
        "Does the status have a column for each suspension?";
    "S24" owner::a_second_suspension_changes_nothing
        "A second suspension of the same kind, and the end of a suspension that does not exist, change nothing and are \
         no conflicts: the time of the first suspension stays."
        "Does a second suspension overwrite the first one's time?";
    "S25" owner::closing_is_final
        "Closing is final: a second close changes nothing, a suspension or a reinstatement is a conflict, and \
         suspensions from before the close stay."
        "Is the closing checked before suspensions, and never undone? `OwnerChange::applied_to` knows the rules.";
    "S27" rehash::a_rehash_needs_the_old_hash
        "A re-hash needs exactly the stored hash: with another hash, or for an absent key, it changes nothing."
        "Is the old hash part of the re-hash's condition, byte by byte?";
    "S28" rehash::a_revoked_key_is_not_rehashed
        "A revoked key is not re-hashed."
        "Is `revoked_at is null` part of the re-hash's condition?";
    "S38" list::keys_are_listed_by_creation_then_id
        "Keys are listed by time of creation, and by the bytes of their ids where that is equal."
        "Is the order that of time and then of the id's bytes? The column may have another collation.";
    "S39" list::a_returned_insert_is_listed
        "A key is in every list that it fits as soon as its change returned."
        "Do lists read from a replica, a cache or an older snapshot?";
    "S40" list::keys_are_found_by_each_condition
        "Each condition of a query finds its keys and no other: owner, creator, the key they were made with, and \
         all together."
        "Is each condition compared byte by byte, and joined by `and`?";
    "S41" list::liveness_is_that_of_the_query_s_time
        "Live means neither revoked nor expired at the time of the query. A key is dead from the millisecond of its \
         expiry."
        "Does the list use the query's time, and is a key dead at `expires_at` itself?";
    "S43" list::keys_come_in_pages
        "Lists come in pages of the requested size, each after the end of the last one, and say whether more follow; \
         keys made in the same millisecond are neither lost nor repeated between pages."
        "Does the page begin after the pair of time and id, and is one row more than the limit read?";
    "S44" list::foreign_keys_are_invisible
        "A key of another organization is invisible with any condition."
        "Is the organization part of every query of keys?";
    "S46" meta::a_name_is_written_once
        "The first bytes under a name stay, and each later call returns them."
        "Is it an insert that does nothing if the name exists, and a read after it?";
    "S47" meta::any_bytes_are_kept
        "Any bytes are kept, also none and zeros, and names are compared byte by byte."
        "Is the value a column of bytes, and the name compared byte by byte, without padding?";
    "S48" meta::a_race_for_a_name_has_one_winner
        "If many calls write a name at once, one wins, and all get the same answer."
        "Can two inserts at once both see nothing and both write? Let the primary key decide.";
    "S51" prune::the_log_is_shortened_and_keeps_its_head
        "All rows of the log except the last are deleted, the head stays, and a reader behind the last row gets \
         everything or a reset."
        "Is the head in a table of its own, which pruning does not touch?";
    "S52" prune::old_changes_are_forgotten
        "Results and idempotency keys of changes before the time are deleted; those at that time and later stay."
        "Are results deleted by the change's own time, and is the comparison less than it?";
    "S64" owner::an_owner_s_status_can_be_read
        "The status of an owner without keys can be read, for exactly that owner, from the moment a change of it \
         returned."
        "Is the status read only from the owners' table, also if the owner has no key?";
    "S68" links::successors_are_found
        "Keys are found by the key that they replace, live and dead ones, in the order of lists and in pages, together \
         with any other condition; keys of another organization are not."
        "Is the predecessor compared byte by byte, in this organization?";
    "S69" list::keys_are_found_by_time_of_creation
        "A query for keys made before a time finds those whose time of creation is less, not those made in that \
         millisecond, together with any other condition."
        "Is the comparison less than the time, and joined to the others by `and`?";
    "S70" links::a_listed_key_has_its_creator_s_status
        "A listed key comes with the status of the user who made it, in the key's organization: each suspension and \
         its time; the default if that user was never suspended, or if a key or the system made it."
        "Is the creator's status joined by kind `user`, in the key's organization, only if a user made it?";
    "S71" links::a_listed_key_tells_of_its_rotation
        "A listed key names its successor: the key of its organization that replaces it and is live at the time of the \
         query, with the least id if there are several. It also says whether the key that it replaces is live, in the \
         same organization."
        "Is the successor live at the query's time, of this organization, and the least by the bytes of its id?";
    "S76" guard::live_keys_of_an_owner_are_counted
        "`LiveKeysBelow` holds while fewer keys of exactly this owner than its limit are neither revoked nor expired. \
         Keys of another kind, id or organization do not count. It never holds with a limit of 0."
        "Are live keys counted by organization, kind and owner, at the change's time, and is the comparison less \
         than the limit?";
    "S77" guard::keys_made_on_behalf_of_an_owner_are_counted
        "`IssuedBelow` holds while a user made fewer keys of this organization than its limit, by themselves and with \
         their keys, from its first to its last millisecond. Dead keys count; keys of other actors, of other \
         organizations, and keys made with keys of others do not. For a team, only keys made with its keys count."
        "Are both ends of the window included, and are the user's own keys and those made with them counted once?";
    "S81" meta::a_note_is_replaced_by_one
        "A note is empty at first. A call that gives the stored note replaces it. Of many calls at once one does, and \
         the others get the stored note."
        "Is the old note part of the update's condition, and is an absent one the same as an empty one?";
    "S86" guard::active_means_in_an_active_organization
        "`OwnerActive` does not hold for an owner whose organization is suspended or closed."
        "Does the guard check the owner's row and the organization's?";
    "S90" longest::the_longest_owner_has_a_status
        "Owners and organizations with the longest ids have a status of their own."
        "Is this column as wide as the table of columns says, in characters of four bytes?";
    "S91" longest::the_longest_idempotency_key_works_once
        "The longest idempotency key works once, and a key that differs only at its end is another one."
        "Are idempotency keys kept whole? A prefix of one must not be unique.";
    "S92" longest::names_and_notes_are_kept_at_their_longest
        "The longest names and the longest values under them are kept, and so are notes."
        "Are names kept whole, and are values as long as the table of columns says?";
    "S97" wanted::keys_of_several_owners_come_in_one_order
        "Keys of several owners come in one order, in pages and whole, each once, also if an owner is named twice; \
         keys of other owners do not come."
        "Is the order over the keys of all owners together, and does a join repeat the keys of an owner that is named \
         twice?";
    "S98" wanted::keys_are_found_by_kind
        "Personal keys are found, or team keys, together with any other condition; an owner of the other kind has none."
        "Is the kind one more condition, also if it leaves none of the requested owners?";
    "S99" wanted::the_newest_keys_can_come_first
        "Lists also come by falling time of creation, then falling id, with any other condition and in pages: each \
         page has the keys before the end of the last one."
        "Are time and id both reversed, in the order and in the comparison with the last page's end?";
    "S100" wanted::keys_are_found_by_a_part_of_their_names
        "A key is found by a part of its name as `NamePart` says: capitals match their small letters, in any script, \
         and no character of the part is a wildcard."
        "Is the name compared by `NamePart::is_in`, or translated by `NamePart::capitals`? `LIKE` and `lower` match \
         fewer or more names.";
    "S101" wanted::keys_are_found_by_their_ids
        "Keys are found by their ids, dead or alive, each once, together with any other condition; an absent key and a \
         key of another organization are not."
        "Is the organization compared too, and an id that is named twice listed once?";
    "S102" wanted::keys_are_found_by_how_late_they_were_made
        "A query for keys made at or after a time finds those whose time of creation is not less, also those made in \
         that millisecond, in either order."
        "Is the comparison not less than the time, in addition to the one with the last page's end?";
    "S103" wanted::a_successor_comes_with_its_owner_and_maker
        "The successor that a listed key names comes with its own owner and maker, which may differ from the key's."
        "Are owner and maker read from the row of the successor?";
    "S104" wanted::a_thousand_owners_and_keys_are_asked_for_at_once
        "A query may name a thousand owners, and a thousand keys."
        "Is there a limit of the database on parameters or terms, below a thousand?";
    "S105" guard::same_version_means_this_one
        "`SameVersion` holds for a key that has exactly this version, dead or alive."
        "Is the version read under the lock, and is a revocation no update?";
    "S109" pause::a_key_is_paused
        "A key that is not revoked is paused once, at the change's time and by its actor, under a new version, in the \
         log and with its event. A second pause changes nothing. To pause a key that is revoked, missing or of another \
         organization is a conflict."
        "Is a pause written only if there is none, and is the key in the change log?";
    "S110" pause::that_pause_is_ended_and_no_other
        "The pause with the given time and actor is ended, under a new version, in the log and with its event. For a \
         key that is not paused nothing changes. Another pause is a conflict, and so is a key that is revoked, missing \
         or of another organization."
        "Is the pause compared with the one to end, its actor byte by byte, and null only with null?";
    "S111" purge::keys_that_ended_before_a_time_are_purged
        "Keys that were revoked or expired before a time are purged, whichever of the two came first; if there is a \
         limit, those that ended first. They are no longer found or listed, and the log names them. Keys that ended at \
         the time or later stay, and so do live keys."
        "Is the end of a key the earlier of its revocation and its expiry, and less than the time?";
    "S112" purge::the_id_of_a_purged_key_is_taken
        "The id of a purged key stays taken, in any organization and for any insert. A repeated request learns which \
         key it made, and a repeated change gets its first answer."
        "Is the id kept when the key is deleted, in the same transaction, and checked by each insert?";
    "S113" purge::what_others_need_stays
        "A dead key stays while a key that replaces it or that it replaces did not end before the time, and while a \
         key exists that was made with it; after that it is purged."
        "Are the predecessor and every successor checked, also dead ones that ended later, and keys made with it, dead \
         or alive?";
    "S114" purge::keys_with_an_end_are_counted
        "Keys that have an end are counted, and those that ended before a time."
        "Is the end of a key the earlier of its revocation and its expiry, and less than the time?";
    "S116" wanted::keys_are_found_by_their_lineage
        "Keys are found by the first key of their chain of rotations, live and dead ones and that key included, in \
         either order and in pages, together with any other condition; keys of another organization are not."
        "Is the lineage compared byte by byte, in this organization?";
    "S118" ends::keys_whose_end_is_to_be_told_are_found
        "`ending` finds keys of all organizations that end after one time and not after another, by end, then id, up \
         to the limit. It finds no revoked key, and none with a note that this end was announced as long before it, or \
         nearer."
        "Is the note compared with the end that it is about, and is a key without a note found?";
    "S119" by_end::keys_are_found_by_their_end
        "A query for keys that end before a time does not find those that end in that millisecond or never, in any \
         order and together with any other condition."
        "Is the comparison less than the time, and are keys without an end left out?";
    "S120" by_end::the_next_to_end_can_come_first
        "Lists also come by rising end, then rising id, with any other condition and in pages; keys without an end \
         come last."
        "Does the comparison with the last page's end use end and id, and is no end later than any end?";
    "S124" erase::erased_keys_are_in_the_log
        "After an erasure, the log names every key that it deleted, and no erased owner or organization, also in older \
         rows. The ids stay taken. The erasure and the changes that made the keys keep their answers, and the \
         idempotency keys of these changes are free."
        "Are rows of the log renamed after the triggers have written theirs, and idempotency keys deleted without the \
         results?";
    "S125" erase::only_the_closed_are_erased
        "An erasure is a conflict if its owner or organization is not closed itself, and is refused with another \
         write; then nothing is done. A later owner with the same id is active and has nothing."
        "Is the closing checked under the lock, and is the row of the status deleted?";
}
