//! The clauses of stores whose rows can move.

use tower_api_keys::store::transfer::PortableStore;

use crate::{candidate::Candidate, longest, portable, report::Report};

clauses! {
    portable_clauses, PORTABLE, PortableStore;
    "P1" portable::every_row_is_exported
        "Everything that was written is exported as it is stored: keys, live and dead, owners' statuses, counts, \
         events and names, of every organization."
        "Does the export read the tables themselves, without a condition?";
    "P2" portable::pages_of_any_size_have_the_same_rows
        "Pages have at most the requested number of rows, in the order of the bytes of their primary keys. With any \
         page size they have the same rows in all: none is lost between two pages, and none comes twice."
        "Are rows ordered by the bytes of the primary key, and does a page begin after the whole key?";
    "P3" portable::an_export_has_a_beginning_and_an_end
        "An export begins with the first row of all and ends after the last one, table after table."
        "Does the export continue with the next table if a page is not full?";
    "P4" portable::an_imported_row_comes_out_as_it_went_in
        "An imported row comes out as it went in, every column set or not, at either end of its range, byte by \
         byte."
        "Does the import write each column as it is, version and revocation included?";
    "P5" portable::imported_rows_are_like_written_ones
        "What was imported is found, listed, counted and read like what was written here."
        "Are imported rows in the same tables, with their indexes, as written ones?";
    "P6" portable::importing_again_changes_nothing
        "A row that is already there is no conflict: it stays, is not counted as written, and is not in the log again. \
         The same is true of a row that comes twice in one import."
        "Is an identical row no conflict, and does it fire no trigger?";
    "P7" portable::a_differing_row_is_a_conflict
        "A row that differs from the one in its place, in any column, is a conflict: the stored row stays, and no \
         other row of the same import is written."
        "Is every column compared, safe for null, in the transaction that writes the others?";
    "P8" portable::no_import_un_revokes
        "No import un-revokes a key, and none ends a suspension or opens an owner that is closed."
        "Does the import overwrite? It must only insert.";
    "P9" portable::later_events_come_after_imported_ones
        "Imported events keep their numbers and their order, and events that are written later are numbered above \
         them."
        "Is the number of the next event above the greatest imported one?";
    "P10" portable::an_imported_suspension_is_logged
        "An imported suspension is in the log when the import returns; the import of an active owner is no change."
        "Does the log's trigger fire for inserted statuses, but not for active ones?";
    "P11" portable::an_imported_key_goes_on
        "An imported key changes like any other: by its version and by revocation, and its counts continue."
        "Do updates and counts expect a row that was written here?";
    "P12" portable::a_dropped_import_is_whole_or_nothing
        "An import whose future is dropped is done completely or not at all, and repeating it completes it."
        "Is an import one transaction, and is the connection of a dropped one closed?";
    "P13" portable::an_imported_organization_s_status_is_logged
        "The imported status of an organization applies to all its owners, and is in the log when the import returns."
        "Does the log's trigger fire for inserted statuses of organizations?";
    "P14" portable::no_key_has_the_id_of_a_purged_one
        "No key is inserted or imported under the id of a purged key, of any owner and organization."
        "Are the ids of purged keys checked by inserts and by imports?";
    "P15" longest::tombstones_are_kept_at_their_longest
        "Tombstones of purged keys are kept with the longest value that each of their columns may have."
        "Are the columns of tombstones as wide as those of keys?";
}
