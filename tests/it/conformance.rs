//! The stores of this crate and of the example keep the contract. A store with one fault breaks the clauses about that
//! fault and no others.

use std::sync::Arc;

use futures_util::FutureExt;
use tower_api_keys::{
    key::KeyId,
    store::{AnyStore, Changes, FoundKey, Head, KeyReader, KeyStore, MemoryStore, StoreError},
};
use tower_api_keys_conformance::{
    Clause, Report, Verdict, check_key_store, check_pair, check_portable, check_reader, check_store, clauses,
};

#[path = "support/broken.rs"]
mod broken;
#[path = "support/broken_pair.rs"]
mod broken_pair;
#[path = "../../examples/custom_store.rs"]
#[allow(dead_code, reason = "the program's own main")]
mod custom_store;

use broken::{BrokenStore, Fault};
use broken_pair::{Rift, pair};

use crate::support::{
    hooked::Hooked,
    narrow::{Manner, NarrowStore, Width},
    wrapped::{Fake, Wrapped},
};

#[tokio::test]
async fn the_memory_store_keeps_the_contract() {
    check_store(&MemoryStore::new()).await.into_result().unwrap();
}

#[tokio::test]
async fn a_shared_store_keeps_the_contract() {
    check_store(&Arc::new(MemoryStore::new())).await.into_result().unwrap();
}

#[tokio::test]
async fn a_store_chosen_at_run_time_keeps_the_contract() {
    check_store(&AnyStore::new(MemoryStore::new())).await.into_result().unwrap();
}

#[tokio::test]
async fn the_example_store_keeps_the_contract() {
    check_store(&custom_store::TableStore::default()).await.into_result().unwrap();
}

#[tokio::test]
async fn a_store_can_be_checked_again() {
    let store = MemoryStore::new();
    for _ in 0..2 {
        check_store(&store).await.into_result().unwrap();
    }
}

#[tokio::test]
async fn a_reader_is_checked_without_being_a_store() {
    let store = MemoryStore::new();
    let (reader, writer) = (&store, &store);
    let report = check_reader(reader, |change| async move { writer.apply(&change).await }).await;
    assert!(report.clauses().all(|clause| clause.number().starts_with('R')));
    report.into_result().unwrap();
}

#[tokio::test]
async fn a_store_of_keys_is_checked_before_it_is_a_ledger() {
    let numbers = |report: &Report| report.clauses().map(Clause::number).collect::<Vec<_>>();
    // This step cannot see what the store counts wrong.
    let report = check_key_store(&BrokenStore::new(Fault::CountsRepeats)).await;
    let step = numbers(&report);
    report.into_result().unwrap();
    let whole = numbers(&check_store(&MemoryStore::new()).await);
    assert!(step.iter().all(|number| whole.contains(number)) && step.len() < whole.len());
    assert!(step.iter().any(|number| number.starts_with('S')));
    let all: Vec<_> = clauses().map(|(number, _)| number).filter(|number| number.starts_with(['R', 'S'])).collect();
    assert_eq!(whole, all);
}

#[tokio::test]
async fn a_store_without_a_log_keeps_the_contract() {
    let report = check_store(&BrokenStore::new(Fault::KeepsNoLog)).await;
    let applies = |clause: &&Clause| !matches!(clause.verdict(), Verdict::NotApplicable(_));
    assert!(report.clauses().filter(applies).count() > 70);
    report.into_result().unwrap();
}

/// Changes nothing of the store behind it.
struct Through<S>(S);

impl<S: KeyReader> Fake for Through<S> {
    type Store = S;

    fn store(&self) -> &S {
        &self.0
    }
}

/// A reader that uses the default bodies of the trait.
struct Bare;

impl KeyReader for Bare {
    async fn find(&self, _: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        Ok(None)
    }

    async fn changes_since(&self, _: Option<Head>) -> Result<Changes, StoreError> {
        Ok(Changes::Untracked)
    }
}

#[tokio::test]
async fn a_store_behind_a_fake_keeps_the_contract() {
    check_store(&Wrapped(Through(MemoryStore::new()))).await.into_result().unwrap();
    check_portable(&Wrapped(Through(MemoryStore::new()))).await.into_result().unwrap();
}

/// Both methods have default bodies, so a wrapper that forgets them compiles.
#[tokio::test]
async fn wrappers_pass_on_what_has_a_default_body() {
    async fn ask(reader: impl KeyReader) {
        assert_eq!(reader.try_head(), Some(Head::EMPTY));
        assert!(reader.wait_for_change(Head::EMPTY).now_or_never().is_none());
    }
    let hooked = || {
        let hooked = Hooked::new(MemoryStore::new());
        (hooked.hooks.clone(), hooked)
    };
    let (hooks, store) = hooked();
    ask(Arc::new(store)).await;
    assert_eq!(hooks.hints(), [1, 1]);
    let (hooks, store) = hooked();
    ask(AnyStore::new(store)).await;
    assert_eq!(hooks.hints(), [1, 1]);
    let (hooks, store) = hooked();
    ask(Arc::new(AnyStore::new(Arc::new(store)))).await;
    assert_eq!(hooks.hints(), [1, 1]);
    let (hooks, store) = hooked();
    ask(Wrapped(Through(store))).await;
    assert_eq!(hooks.hints(), [1, 1]);
    // The answer of a reader that implements neither.
    assert_eq!(Bare.try_head(), None);
    assert!(Bare.wait_for_change(Head::EMPTY).now_or_never().is_none());
}

/// The ids of the clauses that a store with this fault breaks.
async fn broken_by(fault: Fault) -> String {
    let report = check_store(&BrokenStore::new(fault)).await;
    report.failed().collect::<Vec<_>>().join(" ")
}

/// One test for each fault, so that a report names the fault.
macro_rules! broken {
    ($($name:ident: $fault:ident breaks $clauses:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_eq!(broken_by(Fault::$fault).await, $clauses);
        }
    )*};
}

broken! {
    a_key_beyond_a_limit_is_noticed: AllowsOneMore breaks "S76 S77 S78";
    an_ignored_limit_is_noticed: IgnoresLimits breaks "S76 S77 S78";
    a_change_done_twice_is_noticed: AppliesTwice breaks "S15 S17 S49 S52 S60 S63 S82 S112 S124";
    a_log_without_its_head_is_noticed: BeheadsTheLog breaks "S51";
    counting_twice_is_noticed: CountsRepeats breaks "S30 S53 S62 S65 S83 S87";
    revoking_a_foreign_key_is_noticed: CrossesOrganizations breaks "S8";
    ids_of_any_case_are_noticed: FoldsCase breaks "R2";
    an_expiry_not_in_the_log_is_noticed: ForgetsExpiries breaks "R15";
    responsible_left_alone_by_updates_is_noticed: ForgetsResponsible breaks "S2";
    a_feed_of_the_access_log_is_noticed: FeedsTheAccessLog breaks "S126";
    a_feed_with_gaps_between_pages_is_noticed: SkipsBetweenPages breaks "S127";
    numbers_that_are_not_in_commit_order_are_noticed: NumbersBeforeCommit breaks "S128";
    unconfirmed_events_that_are_forgotten_are_noticed: ForgetsUnconfirmedEvents breaks "S129";
    networks_not_in_the_log_are_noticed: ForgetsNetworks breaks "R29";
    a_reinstatement_not_in_the_log_is_noticed: ForgetsReinstatements breaks "R17";
    scopes_not_in_the_log_are_noticed: ForgetsScopes breaks "R16";
    a_key_without_its_owner_s_status_is_noticed: ForgetsStatus breaks "R6 R7 R9 S11 S23 S25 S122";
    an_ignored_idempotency_key_is_noticed: IgnoresIdempotencyKeys breaks "S17 S52 S58 S91 S112";
    an_ignored_suspension_is_noticed: IgnoresSuspensions breaks "S16 S20 S61 S86";
    ignored_rights_are_noticed: IgnoresRights breaks "S96";
    an_ignored_successor_is_noticed: IgnoresSuccessors breaks "S19 S57";
    an_ignored_version_is_noticed: IgnoresVersions breaks "S3 S56 S106";
    a_version_that_is_no_condition_is_noticed: IgnoresVersionGuards breaks "S105";
    merged_updates_are_noticed: MergesUpdates breaks "S106";
    events_of_a_millisecond_too_many_are_noticed: IncludesUntil breaks "S35";
    a_list_a_millisecond_late_is_noticed: ListsLate breaks "S41 S71";
    a_log_without_ids_is_noticed: LooksAtPositionsOnly breaks "R12";
    keys_lost_between_pages_are_noticed: LosesTies breaks "S43 S97 S98 S99 S101 S102 S116 S119 S120";
    a_guard_a_millisecond_late_is_noticed: LivesLate breaks "S18";
    a_wrong_guard_named_is_noticed: NamesTheFirstGuard breaks "S21";
    overwritten_bytes_are_noticed: OverwritesMeta breaks "S46 S47 S48 S53 S92";
    a_panic_is_noticed: Panics breaks "S46 S47 S48 S53 S92";
    a_call_that_never_ends_is_noticed: PrunesForEver breaks "S49 S50 S51 S52 S53 S74 S79 S89 S95 S111 S112 S113 S115 S129";
    a_remembered_failure_is_noticed: RemembersFailures breaks "S16";
    a_rehash_of_anything_is_noticed: RehashesAnything breaks "S27";
    two_reads_for_one_answer_are_noticed: ReadsTwice breaks "R9";
    a_second_revocation_said_to_be_the_first_is_noticed: RevokesTwice breaks "S7 S11 S54 S75";
    a_change_left_out_of_the_log_is_noticed: SkipsLateCommits breaks "R18 R22 R23 S111";
    a_change_in_parts_is_noticed: SplitsChanges breaks "R9 S10 S63 S82 S106 S125";
    a_stale_head_is_noticed: StaleHead breaks "R20 S51";
    trimmed_text_is_noticed: Trims breaks "R4";
    an_event_written_twice_is_noticed: WritesEventsTwice breaks "S13 S15 S33 S54 S55 S56 S57 S58 S59 S60 S61 S63 S75 S78 S82 S85 S106 S117 S121 S123 S126 S128";
    an_event_of_nothing_is_noticed: WritesIdleEvents breaks "S14 S15 S54 S75 S85 S117";
    a_reinstatement_of_everything_is_noticed: ReinstatesBoth breaks "R6 R17 S14 S23 S24 S124";
    a_log_that_tells_nothing_is_noticed: ResetsAlways breaks "R18 R23";
    a_revoked_key_that_revives_is_noticed: RevivesTheUsed breaks "S9 S121";
    unused_keys_left_out_are_noticed: WantsUse breaks "S42";
    a_successor_of_another_organization_is_noticed: FollowsStrangers breaks "S71";
    counts_without_a_key_that_are_kept_back_are_noticed: ForgetsKeylessCounts breaks "S67 S94 S107 S108 S123";
    counts_of_whatever_organization_are_noticed: MixesOrganizations breaks "S94 S107 S108 S123";
    an_organization_beside_a_key_is_noticed: NamesOrganizationsOfKeys breaks "S108";
    counts_of_the_first_organization_alone_are_noticed: ReadsOneOrganization breaks "S107";
    the_newest_in_log_order_are_noticed: IgnoresNewest breaks "S72 S73";
    an_ignored_predecessor_is_noticed: IgnoresPredecessors breaks "S68 S99 S120";
    an_ignored_lineage_is_noticed: IgnoresLineages breaks "S116";
    a_key_of_a_millisecond_too_many_is_noticed: IncludesCreation breaks "S68 S69 S99 S102 S120";
    a_dead_successor_is_noticed: KeepsDeadSuccessors breaks "S71";
    a_creator_s_status_of_a_team_is_noticed: MistakesCreators breaks "S70";
    a_predecessor_that_lives_on_is_noticed: PredecessorsLiveOn breaks "S71";
    counts_of_other_keys_are_noticed: ReadsAllCounts breaks "S66 S83 S94 S95 S108 S115 S121 S123";
    counts_on_another_day_are_noticed: CountsOnTheLastDay breaks "S87 S88 S89";
    a_day_before_those_asked_for_is_noticed: ReadsAnEarlierDay breaks "S88";
    old_days_that_stay_are_noticed: KeepsOldDays breaks "S89";
    counts_of_gone_keys_that_stay_are_noticed: KeepsUsageOfGoneKeys breaks "S95 S115";
    counts_in_no_order_are_noticed: ShufflesCounts breaks "S66 S67 S107";
    pages_turned_the_wrong_way_are_noticed: TurnsPagesTheWrongWay breaks "S72";
    a_dead_key_s_event_for_another_s_is_noticed: MistakesTheDead breaks "S75";
    attempts_among_other_events_are_noticed: MixesAttempts breaks "S73 S74 S79 S121 S123 S126";
    attempts_that_go_with_other_events_are_noticed: PrunesAttemptsToo breaks "S74 S79";
    other_events_that_go_with_attempts_are_noticed: PrunesEventsToo breaks "S74";
    outcomes_in_the_wrong_order_are_noticed: TurnsOutcomes breaks "S75";
    a_limit_that_is_not_kept_is_noticed: PrunesWithoutLimit breaks "S79";
    attempts_counted_with_other_events_are_noticed: CountsAttemptsAsEvents breaks "S80";
    a_note_replaced_by_all_is_noticed: ReplacesAnyNote breaks "S81";
    half_of_a_dropped_change_is_noticed: LeavesHalfOfWhatIsDropped breaks "S82";
    a_dropped_batch_that_is_lost_is_noticed: LosesDroppedCounts breaks "S83";
    half_of_dropped_events_is_noticed: LosesDroppedEvents breaks "S84";
    news_lost_with_a_dropped_read_is_noticed: LosesDroppedNews breaks "R24";
    keys_of_owners_one_after_the_other_are_noticed: ListsOwnersApart breaks "S97 S98 S99 S102 S120";
    an_owner_named_twice_and_listed_twice_is_noticed: ListsOwnersTwice breaks "S97";
    an_ignored_kind_of_owner_is_noticed: IgnoresKindsOfOwners breaks "S98";
    lists_turned_the_wrong_way_are_noticed: TurnsListsTheWrongWay breaks "S99 S116 S119";
    names_in_their_own_case_are_noticed: LooksAtCase breaks "S100";
    a_wildcard_in_a_name_is_noticed: TakesWildcards breaks "S100";
    ignored_keys_are_noticed: IgnoresKeysAskedFor breaks "S101 S103 S104 S120";
    a_key_of_the_very_millisecond_left_out_is_noticed: LeavesOutTheFirst breaks "S102 S119 S120";
    an_owner_of_a_successor_mistaken_is_noticed: MistakesOwnersOfSuccessors breaks "S103";
    owners_that_are_left_out_are_noticed: TakesAHundredOwners breaks "S104";
    a_word_about_an_end_that_is_news_twice_is_noticed: TellsEndsAgain breaks "S117";
    a_told_end_that_is_found_again_is_noticed: FindsToldEnds breaks "S118";
    ends_that_are_ignored_are_noticed: IgnoresEnds breaks "S119 S120";
    an_ignored_order_of_ends_is_noticed: IgnoresOrderOfEnds breaks "S120";
    pauses_that_begin_again_are_noticed: PausesAgain breaks "S109";
    ends_of_other_pauses_are_noticed: EndsAnyPause breaks "S110";
    keys_purged_in_the_very_millisecond_are_noticed: PurgesTheVeryMillisecond breaks "S111 S113";
    more_keys_purged_than_may_be_are_noticed: PurgesWithoutLimit breaks "S111";
    a_free_id_of_a_purged_key_is_noticed: PurgesIds breaks "S1 S112 S124";
    a_purged_key_that_others_need_is_noticed: PurgesWhatIsNeeded breaks "S113";
    a_purge_without_an_event_is_noticed: PurgesWithoutAWord breaks "S115";
    ends_counted_too_early_are_noticed: CountsEndsEarly breaks "S114";
    usage_that_nobody_asks_for_is_noticed: TellsUsageUnasked breaks "S45";
    a_maker_s_name_that_stays_is_noticed: KeepsNamesOfMakers breaks "S121";
    a_namesake_who_is_erased_too_is_noticed: ErasesNamesakes breaks "S122";
    refusals_that_outlive_their_organization_are_noticed: KeepsRefusalsOfTheErased breaks "S123";
    erased_keys_that_are_not_in_the_log_are_noticed: ForgetsErasedKeys breaks "S124";
    half_of_a_mixed_erasure_is_noticed: ErasesHalfOfMixtures breaks "S125";
    a_look_up_that_wedges_the_next_is_noticed: HangsAfterADrop breaks "R24";
}

#[tokio::test]
async fn a_failure_says_what_usually_breaks_the_clause() {
    let report = check_store(&BrokenStore::new(Fault::LeavesHalfOfWhatIsDropped)).await;
    let told = report.to_string();
    let mut failed = report.clauses().filter(|clause| matches!(clause.verdict(), Verdict::Failed(_)));
    let clause = failed.next().unwrap();
    assert!(clause.hint().ends_with(['?', '.']) && told.contains(clause.hint()), "{told}");
    let hints: Vec<_> = report.clauses().filter(|clause| told.contains(clause.hint())).map(Clause::number).collect();
    assert_eq!(hints, ["S82"], "only those that failed have one");
}

/// The only clauses that a store with this column too narrow breaks. Each report names the column and has its hint.
async fn broken_by_width(store: NarrowStore, column: &str) -> String {
    let report = check_store(&store).await;
    for clause in report.clauses() {
        let Verdict::Failed(why) = clause.verdict() else { continue };
        assert!(why.contains(column) || ["R3", "S17"].contains(&clause.number()), "{clause}");
        assert!(clause.to_string().contains(clause.hint()), "{clause}");
    }
    report.failed().collect::<Vec<_>>().join(" ")
}

/// A column one character too narrow, in a database that refuses a value that does not fit.
macro_rules! narrow {
    ($($name:ident: $table:ident.$column:ident breaks $clauses:literal named $named:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let store = NarrowStore::by_a_character(stringify!($table), stringify!($column), Manner::Refuses);
            assert_eq!(broken_by_width(store, $named).await, $clauses);
        }
    )*};
}

narrow! {
    a_narrow_organization_of_a_key_is_noticed: api_keys.organization breaks "R27" named "`api_keys.organization`";
    a_narrow_owner_of_a_key_is_noticed: api_keys.owner breaks "R27" named "`api_keys.owner`";
    narrow_labels_are_noticed: api_keys.labels breaks "R27" named "`api_keys.labels`";
    narrow_hashes_are_noticed: api_keys.hash breaks "R27" named "`api_keys.hash`";
    narrow_scopes_are_noticed: api_keys.scopes breaks "R27" named "`api_keys.scopes`";
    narrow_limits_are_noticed: api_keys.limits breaks "R27" named "`api_keys.limits`";
    a_narrow_creator_is_noticed: api_keys.created_by breaks "R27" named "`api_keys.created_by`";
    a_narrow_author_of_a_revocation_is_noticed: api_keys.revoked_by breaks "R27" named "`api_keys.revoked_by`";
    a_narrow_responsible_is_noticed: api_keys.responsible breaks "R27" named "`api_keys.responsible`";
    a_narrow_owner_in_the_log_is_noticed: api_key_log.owner breaks "R28" named "`api_key_log.owner`";
    narrow_idempotency_keys_are_noticed: api_key_changes.idempotency_key breaks "S17 S91"
        named "`api_key_changes.idempotency_key`";
    narrow_names_of_bytes_are_noticed: api_key_meta.name breaks "S92" named "`api_key_meta.name`";
    narrow_names_of_notes_are_noticed: api_key_notes.name breaks "S92" named "`api_key_notes.name`";
    a_narrow_actor_is_noticed: api_key_events.actor breaks "S93" named "`api_key_events.actor`";
    a_narrow_action_is_noticed: api_key_events.action breaks "S93" named "`api_key_events.action`";
    what_stood_before_too_narrow_is_noticed: api_key_events.before breaks "S93" named "`api_key_events.before`";
    a_narrow_source_of_an_event_is_noticed: api_key_events.source breaks "S93" named "`api_key_events.source`";
    a_narrow_organization_of_a_count_is_noticed: api_key_usage.organization breaks "S94"
        named "`api_key_usage.organization`";
    a_narrow_outcome_is_noticed: api_key_usage.outcome breaks "S94" named "`api_key_usage.outcome`";
    a_narrow_label_is_noticed: api_key_usage.label breaks "S94" named "`api_key_usage.label`";
    a_narrow_client_is_noticed: api_key_usage.client breaks "S94" named "`api_key_usage.client`";
    a_narrow_network_is_noticed: api_key_usage.network breaks "S94" named "`api_key_usage.network`";
}

#[tokio::test]
async fn a_database_that_cuts_what_does_not_fit_is_noticed() {
    for (table, column, clauses) in [
        ("api_keys", "scopes", "R27"),
        ("api_key_changes", "idempotency_key", "S91"),
        ("api_key_meta", "name", "S92"),
        ("api_key_events", "after", "S93"),
        ("api_key_usage", "client", "S94"),
    ] {
        let store = NarrowStore::by_a_character(table, column, Manner::Cuts);
        assert_eq!(broken_by_width(store, &format!("`{table}.{column}`")).await, clauses);
    }
}

/// The status of an owner is written to the table of owners, and from there to the log.
#[tokio::test]
async fn a_narrow_owner_is_noticed() {
    let store = NarrowStore::by_a_character("api_key_owners", "id", Manner::Refuses);
    let report = check_store(&store).await;
    assert_eq!(report.failed().collect::<Vec<_>>(), ["R28", "S90"]);
    assert!(report.to_string().contains("`api_key_owners.id` with 128 characters, 128 bytes"), "{report}");
}

/// The column is wide enough for its characters, unless they have four bytes each.
#[tokio::test]
async fn a_column_that_counts_bytes_is_noticed() {
    for (table, column, bytes, clauses) in [
        ("api_keys", "name", 399, "R3 R27"),
        ("api_keys", "labels", 8_800, "R27"),
        ("api_key_usage", "client", 255, "S94"),
        ("api_key_events", "source", 513, "S93"),
    ] {
        let store = NarrowStore::new(table, column, Width::Bytes(bytes), Manner::Refuses);
        assert_eq!(broken_by_width(store, &format!("`{table}.{column}`")).await, clauses);
    }
}

#[tokio::test]
async fn two_handles_onto_one_memory_store_keep_the_contract() {
    let one = Arc::new(MemoryStore::new());
    let other = AnyStore::new(one.clone());
    check_pair(&one, &other).await.into_result().unwrap();
}

#[tokio::test]
async fn two_handles_without_a_log_keep_the_contract() {
    let one = Arc::new(BrokenStore::new(Fault::KeepsNoLog));
    let report = check_pair(&one, &one.clone()).await;
    let applies = |clause: &&Clause| !matches!(clause.verdict(), Verdict::NotApplicable(_));
    assert_eq!(report.clauses().filter(applies).count(), report.clauses().count() - 3);
    report.into_result().unwrap();
}

/// The ids of the clauses that two handles with this fault between them break.
async fn broken_between(rift: Rift) -> String {
    let (one, other) = pair(rift);
    let report = check_pair(&one, &other).await;
    report.failed().collect::<Vec<_>>().join(" ")
}

macro_rules! broken_between {
    ($($name:ident: $rift:ident breaks $clauses:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_eq!(broken_between(Rift::$rift).await, $clauses);
        }
    )*};
}

broken_between! {
    a_cache_of_keys_between_handles_is_noticed: CachesFinds breaks "C1 C17";
    a_cache_of_guards_between_handles_is_noticed: CachesGuards breaks "C3 C10 C14 C21";
    counts_of_each_handle_are_noticed: CountsApart breaks "C4 C15";
    events_that_come_late_are_noticed: DelaysEvents breaks "C20";
    idempotency_keys_of_each_handle_are_noticed: KeepsIdempotencyKeysApart breaks "C4 C11";
    a_log_of_each_handle_is_noticed: LogsApart breaks "C6 C18";
    a_lock_of_each_handle_is_noticed: LocksApart breaks "C10 C12 C14 C21";
    names_of_each_handle_are_noticed: NamesApart breaks "C4 C16";
    changes_known_to_one_handle_are_noticed: RemembersApart breaks "C4 C11 C13";
    a_head_of_each_handle_is_noticed: TellsOldHeads breaks "C5";
    two_databases_are_noticed: TwoDatabases breaks "C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C14 C15 C16 C17 C18 C19 C20 C21";
}

/// The reason for the clauses of a pair: a single handle does not show these faults.
#[tokio::test]
async fn a_fault_between_handles_does_not_show_in_one() {
    for rift in [Rift::CountsApart, Rift::LocksApart, Rift::NamesApart, Rift::RemembersApart, Rift::TwoDatabases] {
        check_store(&pair(rift).0).await.into_result().unwrap();
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::{env, fs, path::PathBuf, process};

    use tower_api_keys::store::{KeyStore, SqliteStore};
    use tower_api_keys_conformance::{check_pair, check_reader, check_store};

    /// A folder that is removed when this is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("tower-api-keys-conformance-{name}-{}", process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn a_file_keeps_the_contract() {
        let folder = Folder::new("file");
        let store = SqliteStore::open(folder.0.join("keys.db")).await.unwrap();
        check_store(&store).await.into_result().unwrap();
    }

    #[tokio::test]
    async fn an_exclusive_file_keeps_the_contract() {
        let folder = Folder::new("exclusive");
        let store = SqliteStore::open_exclusive(folder.0.join("keys.db")).await.unwrap();
        check_store(&store).await.into_result().unwrap();
    }

    #[tokio::test]
    async fn a_database_in_memory_keeps_the_contract() {
        check_store(&SqliteStore::in_memory().await.unwrap()).await.into_result().unwrap();
    }

    #[tokio::test]
    async fn a_file_that_another_handle_writes_keeps_the_contract() {
        let folder = Folder::new("two-handles");
        let file = folder.0.join("keys.db");
        let (reader, writer) = (SqliteStore::open(&file).await.unwrap(), SqliteStore::open(&file).await.unwrap());
        let (reader, writer) = (&reader, &writer);
        let apply = |change| async move { writer.apply(&change).await };
        check_reader(reader, apply).await.into_result().unwrap();
    }

    #[tokio::test]
    async fn two_handles_onto_one_file_keep_the_contract() {
        let folder = Folder::new("pair");
        let file = folder.0.join("keys.db");
        let (one, other) = (SqliteStore::open(&file).await.unwrap(), SqliteStore::open(&file).await.unwrap());
        check_pair(&one, &other).await.into_result().unwrap();
    }
}
