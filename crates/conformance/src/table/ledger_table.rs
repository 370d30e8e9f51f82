//! The clauses of whole stores: those of [`Ledger`], and those of [`KeyStore`](tower_api_keys::store::KeyStore) that
//! need a ledger to be seen. They share the letter `S` and its numbers with the clauses that need no ledger.

use tower_api_keys::store::Ledger;

use crate::{
    candidate::Candidate, dropped, ends, erase, event, feed, guard, list, longest, owner, prune, purge, race, rehash,
    repeat, report::Report, usage, usage_days, write,
};

clauses! {
    ledger_clauses, LEDGER, Ledger;
    "S9" write::nothing_un_revokes
        "Nothing un-revokes: no update, no re-hash, no use, no suspension or reinstatement of its owner, no repeated \
         older change, no new key of the same id."
        "Does an upsert, or a write of the whole row, bring an old `revoked_at` back?";
    "S10" write::a_change_is_whole_or_nothing
        "A change is done completely or not at all: if one write conflicts, no key, status, event or log row of the \
         writes before and after it is left."
        "Are all writes, their events and their rows of the log one transaction that is rolled back on a conflict?";
    "S13" write::a_write_has_its_event
        "Each write that changed something has exactly one event, as it was given, in the order of the writes."
        "Is the event written in the change's transaction, once for each write, in order?";
    "S14" write::what_changes_nothing_has_no_event
        "What changed nothing has no event: a second revocation, suspension or closing, a reinstatement of nothing, a \
         change that failed."
        "Is the event written only if the write changed a row?";
    "S15" repeat::a_repeated_change_is_done_once
        "A change that is applied again, by its id, gets its first answer and does nothing, also if other changes came \
         since."
        "Is the change's id kept with its effects, in the same transaction, and looked for under the lock?";
    "S17" repeat::an_idempotency_key_works_once
        "An idempotency key works once: another change with the same bytes is refused and does nothing, and its \
         conflict says which key the first one made, and whether its request was the same. The same change gets its \
         first answer."
        "Is the idempotency key unique byte by byte, without padding, and checked before the guards?";
    "S21" guard::the_guard_that_fails_is_named
        "The conflict says which guard does not hold, by its place, and nothing is written."
        "Does the conflict have the guard's place in the list, counted from zero?";
    "S26" rehash::a_rehash_replaces_four_columns
        "A re-hash replaces hash, tag, pepper id and proof, and nothing else: no version, no event."
        "Does the re-hash set hash, tag, pepper id and proof, and not the version?";
    "S29" usage::counts_add_up
        "Counts add up over batches, effects, sources and writers, and the last use is the latest of all, in any order \
         of arrival."
        "Is the count added to the old one, and are the times the least and the greatest?";
    "S30" usage::a_batch_counts_once
        "A batch counts once: the same sequence of the same writer again, or an older one, adds nothing."
        "Is the writer's sequence kept and compared in the same transaction as the counts?";
    "S31" usage::counts_without_a_key_are_taken
        "Counts without a key, or of a key that the store does not have, are accepted like others, with the rest of \
         their batch."
        "Does a foreign key on the table of keys refuse counts without one, or does null make every row a new primary \
         key?";
    "S32" usage::use_leaves_the_record_alone
        "The use of a key changes neither its record nor its events."
        "Does a count touch the row of the key, or fire the log's trigger?";
    "S33" event::events_are_numbered_in_order
        "Events are numbered in the order in which they were written, each above all before it, those of changes and \
         appended ones."
        "Are events numbered under the lock that orders the log, and not by a sequence outside of it?";
    "S34" event::an_event_comes_back
        "An event comes back as it was written, every column set or not, byte by byte."
        "Are null and empty text different, and is text kept byte by byte?";
    "S35" event::events_are_found_by_each_condition
        "Each condition of a query finds its events and no other, and all hold together: `from` is included, `until` \
         is not."
        "Are conditions compared byte by byte, without padding, is `from` included and `until` not?";
    "S36" event::events_come_in_pages
        "Events come in pages of the requested size, each after the end of the last one, and say whether more follow."
        "Is one row more than the limit read, to know whether more follow?";
    "S37" event::foreign_events_are_invisible
        "An event of another organization is invisible with any condition."
        "Is the organization part of every query of events?";
    "S42" list::unused_keys_are_found
        "A query for keys unused since a time finds those whose last success came before it, and those without any \
         success; refusals are no use."
        "Is the last use that of successes only, and is a key that was never used found with any time?";
    "S45" list::a_listed_key_is_whole
        "A listed key is the whole row, with its owner's status, and with its own use if the query asks for that."
        "Does a join with counts or statuses lose rows, multiply them or change a column?";
    "S49" prune::the_default_forgets_nothing
        "A prune that asks for nothing deletes nothing."
        "Is a missing limit taken as zero?";
    "S50" prune::old_events_are_forgotten
        "Events before the time are deleted, those at that time and later stay, and new ones are numbered above all \
         that ever existed."
        "Is the comparison less than the time, and is the next number not taken from the greatest row that is left?";
    "S53" prune::what_lives_is_not_forgotten
        "Whatever is deleted, keys, their owners' status, their use and the bytes under names stay."
        "Does a deletion cascade to rows of other tables?";
    "S54" race::one_of_many_revocations_is_written
        "Of many revocations of one key at once, one is written, with one event, and the others change nothing."
        "Does the revocation's own condition decide who changes the row? Is the lock taken before anything is read?";
    "S55" race::one_of_many_inserts_is_written
        "Of many keys inserted with one id at once, one is written."
        "Does the primary key decide, and is its violation a conflict and no other error?";
    "S56" race::one_of_many_updates_is_written
        "Of many updates of one version at once, one is written."
        "Is the version read under the lock, or part of the update's condition?";
    "S57" race::one_of_many_successors_is_written
        "Of many successors of one key at once, one is written."
        "Is the lock taken in a statement of its own, before anything is read? In one statement with the guard, an \
         old snapshot is read.";
    "S58" race::one_of_many_replays_is_written
        "Of many changes with one idempotency key at once, one is written."
        "Is the idempotency key looked for under the lock, with a unique index behind it?";
    "S59" race::one_of_two_keys_survives
        "If a rotation is finished (the old key is revoked while the new one is live) and undone (the reverse) at \
         once, one of the two is done: the two keys are never both revoked."
        "Is the lock taken in a statement of its own, before the guards are read?";
    "S60" race::a_change_at_once_is_done_once
        "One change applied many times at once is done once, and all get the same answer."
        "Is the change's id looked for under the lock?";
    "S61" race::no_key_is_issued_after_a_suspension
        "No key is issued after a suspension is written: a key that is issued for an active owner while the owner is \
         suspended has its event before the suspension's, or does not exist."
        "Is the lock taken in a statement of its own, before anything is read, and are events numbered under it?";
    "S62" race::a_batch_at_once_counts_once
        "A batch of counts recorded many times at once counts once."
        "Is the writer's row locked or compared in the statement that sets it?";
    "S63" race::a_dropped_change_is_whole_or_nothing
        "A change whose future is dropped is done completely or not at all, and repeating it settles which."
        "Does a connection whose call was dropped go back to the pool with an open transaction?";
    "S65" usage::ten_thousand_counts_are_taken
        "A batch of ten thousand counts is taken, and counts once."
        "Does the statement or the driver limit the number of values? Then use several, in one transaction.";
    "S66" usage::counts_are_read_as_they_stand
        "Counts are read in the order of the bytes of key, outcome, label, client and network: for the requested keys \
         and no others, each once, and nothing for a key without counts."
        "Are counts ordered and grouped by the bytes of their columns, each part in a column of its own?";
    "S67" usage::counts_without_a_key_are_read
        "Counts of refusals that name no key are read in the order of the bytes of outcome, label, client and network, \
         without counts of keys."
        "Is the missing key a value of its own in the primary key, such as the empty text?";
    "S72" event::the_newest_events_come_first
        "With the newest first, events come in falling order of their sequence, in pages, each before the end of the \
         last one, and say whether more follow; conditions find the same events."
        "Are order and comparison both reversed if the newest come first?";
    "S73" event::the_access_log_is_apart
        "Entries of the access log are apart: events whose action begins with the bytes `attempt.` come only to \
         queries for attempts, in either order, in pages, and together with any other condition."
        "Is `attempt.` compared by its bytes at the beginning of the action? `like` takes `_` for any character.";
    "S74" prune::old_access_log_is_forgotten_apart
        "Entries of the access log are deleted by a time of their own: those before it, and no other event. None of \
         them is deleted with other events."
        "Does the deletion of events have the same condition on attempts as their reading?";
    "S75" write::the_dead_among_many_are_told
        "A change that revokes several keys, some of them already dead, is done: its effects come in the order of its \
         writes, `Unchanged` for the dead ones, and only the others have events."
        "Do the effects of a statement that revokes many come in the order of the writes?";
    "S78" race::one_of_many_takes_the_last_place
        "If many keys are inserted at once and there is room for one more, one is written."
        "Is the count read after the lock was taken, in a statement of its own?";
    "S79" prune::the_earliest_events_go_first
        "If a limit is given, exactly that number of events is deleted, those with the earliest times, independent of \
         their numbers. Entries of the access log have a limit of their own."
        "Is the limit that of the rows with the earliest times, and not of the least numbers?";
    "S80" prune::the_trail_is_counted
        "Entries of the access log are counted, and separately all other events: how many there are, how many before a \
         time, and the time of the latest."
        "Do the counts have the same condition on attempts as the reading?";
    "S82" dropped::a_change_can_be_dropped_at_any_wait
        "A change that is dropped at any of its waits is done completely or not at all, also if other calls use the \
         same handle before it is repeated, and repeating it settles which."
        "Is the connection of a dropped change closed, or its transaction undone, before another call gets it? Is \
         there only one commit?";
    "S83" dropped::a_batch_can_be_dropped_at_any_wait
        "A batch of counts that is dropped at any of its waits and repeated counts once, every row of it."
        "Are the writer's sequence and all rows of the batch one transaction?";
    "S84" dropped::appended_events_can_be_dropped_at_any_wait
        "Events whose appending is dropped at any of its waits are all written or none."
        "Are all events of a call one transaction?";
    "S85" owner::an_organization_is_suspended_like_an_owner
        "An organization is suspended, reinstated and closed like an owner, in a status of its own, and each change \
         has its event."
        "Does the organization have a row of its own among the statuses?";
    "S87" usage_days::a_batch_adds_to_days
        "A batch adds its counts by day to those of the days, once, and changes no other counts: counts by day come \
         separately from the counts that they sum up, and may come alone."
        "Are `rows` and `days` of a batch written in one transaction, independent of each other?";
    "S88" usage_days::days_are_read_from_a_day_on
        "Counts by day are read in the order of the bytes of the key, then by day: 400 days that begin with the given \
         one, for the requested keys and no others, each once."
        "Are days compared as numbers or dates, for 400 days with the given one as the first?";
    "S89" usage_days::old_days_are_forgotten
        "Counts of days before the given one are deleted, those of it and of later ones stay, and so do all counts by \
         outcome and source."
        "Is the comparison less than the day, and is the other table not touched?";
    "S95" usage::counts_of_keys_that_are_gone_are_forgotten
        "Counts of use of keys that the store does not have, with ids after the given one, are deleted in as many \
         calls as needed, and so are their counts by day. Counts of keys that it has, dead or alive, stay, and so do \
         those of refusals that name no key, with any organization."
        "Are dead keys still there, and is a refusal without a key not taken as one of a deleted key?";
    "S93" longest::events_are_kept_at_their_longest
        "An event is kept with the longest value that each of its columns may have, in characters and in bytes."
        "Is this column as wide as the table of columns says, in characters of four bytes? `before` and `after` are \
         the longest.";
    "S94" longest::counts_are_kept_at_their_longest
        "Counts are kept with the longest organization, outcome and words of a source, in characters and in bytes."
        "Is this column as wide as the table of columns says? A client chooses its own name, and one refused row \
         blocks a batch.";
    "S106" write::one_key_is_updated_several_times
        "A change that updates one key several times, each time under the version that the update before left, is done \
         completely or not at all: the version goes up by one with each, and each has its event, in the order of the \
         writes."
        "Is the version read in the change's own transaction, and are several updates of one key done separately?";
    "S107" usage::refusals_without_a_key_are_apart_by_organization
        "Refusals without a key are counted separately for each organization that they concern, byte by byte, and for \
         none; they are read by organization, each once."
        "Is the organization part of the primary key, and of the condition?";
    "S108" usage::an_organization_stands_on_no_count_of_a_key
        "No count of a key, and no count by day, has an organization: counts with and without a key in one batch are \
         kept apart."
        "Is the organization taken from the row itself, and none for a row with a key?";
    "S115" purge::a_purged_key_leaves_its_trail
        "A purged key leaves its events, the last of which is `EventRow::of_purge` at the time of the prune, and no counts of use."
        "Is the event written in the transaction that deletes the key, and are counts of keys that are gone deleted?";
    "S117" ends::an_end_is_noted_once
        "That an end was announced a given time before it is noted once, and a nearer announcement again, each with \
         its event, without a new version and not in the log. Nothing is noted, and that is no conflict, for an end \
         that is not the key's, or for a key that is revoked, missing or of another organization. A new end has no \
         note."
        "Is the note written only if it is new for the end that the key has, and its event only then?";
    "S121" erase::the_erased_are_nowhere
        "After a user or a team is erased, their keys, counts and status do not exist. Events keep their time, action \
         and key. Events about them, by them and by their keys lose `before`, `after` and the source, and name the \
         pseudonym. So do keys that a user made, revoked or paused for others."
        "Does each place that can name a user handle `user:` with the id, and are entries of the access log renamed, \
         too?";
    "S122" erase::neighbours_stay
        "An erasure leaves all others unchanged: the same id of another kind or in another organization, and similar \
         ids."
        "Is each statement of an erasure bound to organization, kind and id, byte by byte?";
    "S123" erase::an_erased_organization_is_nowhere
        "After an organization is erased, none of its keys, statuses and counts exist, refusals without a key \
         included. Its trail belongs to the pseudonym, which also replaces each user and team in it. Other \
         organizations stay unchanged."
        "Are refusals without a key and the statuses of its users erased with it?";
    "S126" feed::events_of_all_organizations_come_in_log_order
        "The feed has the events of all organizations in log order, after a place or from the beginning, and none of \
         the access log."
        "Does the feed ask for an organization, or for times? It must use only places.";
    "S127" feed::the_feed_comes_in_pages
        "The feed comes in pages of the requested size, without gaps or repeats between them."
        "Is the place of the last event excluded from the next page, and nothing else?";
    "S128" feed::a_follower_of_the_feed_misses_nothing
        "A reader that follows the feed while many write at once sees every event once."
        "Are places given under a lock that is held until the commit? Sequences are not in commit order.";
    "S129" feed::unconfirmed_events_are_kept
        "No event is deleted whose place is greater than the last one that was confirmed, even if it is old."
        "Does the deletion have a condition on the place, in addition to that on the time?";
}
