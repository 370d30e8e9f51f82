//! What the store decides, over SQLite files and PostgreSQL too: answers, pages, exports, and changes at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};

use tower_api_keys::store::{PostgresSettings, PostgresStore, SqliteStore};

use crate::{each_route, exports, pages, postgres::Server, rights, secrets, strict, support::World, versions};

macro_rules! each {
    ($made:ident: $($module:ident::$story:ident)+) => {
        $( $module::$story($made().await).await; )+
    };
}

/// Each story has a store of its own.
async fn all(made: impl AsyncFn() -> World) {
    each! {
        made:
        each_route::each_route_is_answered_as_documented_in
        each_route::a_new_key_has_a_location_that_answers_in
        versions::of_two_changes_to_one_version_one_is_made_in
        versions::every_change_of_a_key_heeds_if_match_in
        versions::a_malformed_if_match_changes_nothing_in
        versions::a_repeat_makes_no_second_key_and_shows_no_text_in
        versions::an_idempotency_key_that_is_none_makes_no_key_in
        versions::of_two_requests_at_once_under_one_idempotency_key_one_makes_a_key_in
        pages::pages_are_followed_by_their_links_in
        pages::filters_of_lists_are_those_of_the_manager_in
        exports::an_export_is_a_file_that_ends_with_the_end_of_a_line_in
        exports::who_may_not_export_gets_a_problem_and_no_file_in
        rights::a_key_of_another_organization_is_answered_byte_for_byte_like_an_unknown_one_in
        rights::a_member_sees_a_team_key_and_may_do_nothing_to_it_in
        strict::many_are_revoked_only_with_a_condition_in
        strict::values_that_no_key_can_have_name_their_field_in
        secrets::no_other_answer_has_a_part_of_a_key_in
    }
}

#[tokio::test]
async fn the_routes_over_a_file() {
    let (folder, made) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    all(async || {
        let file = folder.path().join(format!("{}.db", made.fetch_add(1, Ordering::SeqCst)));
        World::over(SqliteStore::open(file).await.unwrap()).await
    })
    .await;
}

#[tokio::test]
async fn the_routes_over_postgresql() {
    let (server, made) = (Server::start_with(&["max_connections=200"]), AtomicUsize::new(0));
    all(async || {
        let schema = format!("story_{}", made.fetch_add(1, Ordering::SeqCst));
        PostgresStore::migrate(&server.url(), &schema).await.unwrap();
        let settings = PostgresSettings::new().with_schema(schema).with_pool_size(4);
        World::over(PostgresStore::connect_with(&server.url(), settings).await.unwrap()).await
    })
    .await;
}
