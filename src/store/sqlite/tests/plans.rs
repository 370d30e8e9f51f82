use super::super::{
    apply::{ISSUED, LIVE_KEYS},
    event_rows::{EVENTS, EVENTS_OF_ACTOR, EVENTS_OF_KEY, EVENTS_OF_OWNER, FEED},
    export,
    key_rows::ENDING,
    list::add_functions,
    list_sql::{
        LIST_ALL, LIST_OF_CREATED_VIA_KEY, LIST_OF_CREATOR, LIST_OF_KEYS, LIST_OF_KIND, LIST_OF_LINEAGE, LIST_OF_OWNER,
        LIST_OF_OWNERS, LIST_OF_PREDECESSOR,
    },
    schema::{MIGRATIONS, migrate},
    upkeep::{DEAD_KEYS, ENDED_KEYS, PRUNE_ATTEMPTS, PRUNE_DAYS, PRUNE_EVENTS, USED_KEYS},
    usage_rows,
};

/// 10,000 keys and events of 100 owners and 10 creators in two organizations.
const FILL: &str = "\
    with recursive n (n) as (select 0 union all select n + 1 from n where n < 9999) \
    insert into api_keys (id, organization, kind, owner, name, labels, hash, tag, scopes, created_by, created_via_key, \
        created_at, revoked_at, replaces, lineage) \
        select printf('%020d', n), 'organization' || (n % 2), 'team', 'team' || (n % 100), '', '{}', 'hash', \
        x'00000000', '*', 'user:' || (n % 10), iif(n % 5 = 0, printf('%020d', n / 100), null), n / 3, \
        iif(n % 7 = 0, 1, null), iif(n % 9 = 0, printf('%020d', n - 2), null), printf('%020d', n) from n;
    insert into api_key_owners select organization, kind, owner, 1, null, null from api_keys \
        group by organization, kind, owner;
    insert into api_key_usage select id, '', 'success', '', '', '', 1, 1, 1 from api_keys;
    insert into api_key_usage_days select id, day, 1, 0 from api_keys, \
        (select 1 day union all select 2 union all select 3);
    insert into api_key_events (organization, at, actor, action, key_id, owner_kind, owner) \
        select organization, created_at, created_by, 'key.issued', id, kind, owner from api_keys;
    insert into api_key_events (organization, at, actor, action, key_id, owner_kind, owner) \
        select organization, created_at, 'key:' || id, 'attempt.accepted', id, kind, owner from api_keys;";

fn filled() -> rusqlite::Connection {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    migrate(&mut connection, MIGRATIONS).unwrap();
    add_functions(&connection).unwrap();
    connection.execute_batch(FILL).unwrap();
    connection
}

fn plan(connection: &rusqlite::Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get::<_, String>(3).unwrap());
    }
    lines.join("\n")
}

#[test]
fn lists_are_read_from_an_index_in_their_order() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (both_ways, index) in [
            (LIST_ALL, "api_keys_by_organization (organization=?"),
            (LIST_OF_KIND, "api_keys_by_kind (organization=? AND kind=?"),
            (LIST_OF_OWNER, "api_keys_by_owner (organization=? AND kind=? AND owner=?"),
            (LIST_OF_CREATOR, "api_keys_by_creator (organization=? AND created_by=?"),
            (LIST_OF_CREATED_VIA_KEY, "api_keys_by_created_via_key (organization=? AND created_via_key=?"),
            (LIST_OF_LINEAGE, "api_keys_by_lineage (organization=? AND lineage=?"),
        ] {
            for sql in &both_ways[..2] {
                let plan = plan(&connection, sql);
                let search =
                    format!("SEARCH k USING INDEX {index} AND (created_at,id)>(?,?) AND (created_at,id)<(?,?))");
                assert!(plan.contains(&search), "{statistics}\n{plan}\n{search}");
                assert!(!plan.contains("SCAN k") && !plan.contains("TEMP B-TREE"), "{statistics}\n{plan}");
            }
        }
    }
}

/// For an organization or an owner, a page is read from an index of ends. Other conditions leave few keys, which are
/// sorted.
#[test]
fn lists_by_end_are_read_from_an_index_of_ends_or_sorted_where_they_are_few() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (each_way, search, is_sorted) in [
            (
                LIST_ALL,
                "SEARCH k USING INDEX api_keys_by_end (organization=? \
                 AND (end_or_never,id)>(?,?) AND (end_or_never,id)<(?,?))",
                false,
            ),
            (
                LIST_OF_KIND,
                "SEARCH k USING INDEX api_keys_by_kind_and_end (organization=? AND kind=? \
                 AND (end_or_never,id)>(?,?) AND (end_or_never,id)<(?,?))",
                false,
            ),
            (
                LIST_OF_OWNER,
                "SEARCH k USING INDEX api_keys_by_owner_and_end (organization=? AND kind=? AND owner=? \
                 AND (end_or_never,id)>(?,?) AND (end_or_never,id)<(?,?))",
                false,
            ),
            (LIST_OF_CREATOR, "SEARCH k USING INDEX api_keys_by_creator (organization=? AND created_by=?)", true),
            (LIST_OF_KEYS, "SEARCH k USING PRIMARY KEY (id=?)", true),
        ] {
            let plan = plan(&connection, each_way[2]);
            assert!(plan.contains(search) && !plan.contains("SCAN k"), "{statistics}\n{plan}\n{search}");
            assert_eq!(plan.contains("TEMP B-TREE FOR ORDER BY"), is_sorted, "{statistics}\n{plan}");
        }
    }
}

#[test]
fn ends_that_are_to_be_told_are_found_by_an_index_of_their_own() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        let plan = plan(&connection, ENDING);
        let search = "SEARCH api_keys USING INDEX api_keys_by_untold_end (expires_at>? AND expires_at<?)";
        assert!(plan.contains(search) && !plan.contains("TEMP B-TREE"), "{statistics}\n{plan}");
    }
}

/// Each step in the index of an owner finds one key, and only a page is sorted.
#[test]
fn lists_of_several_owners_look_at_the_next_key_of_each() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (sql, index, time) in [
            (LIST_OF_OWNERS[0], "api_keys_by_owner", "created_at"),
            (LIST_OF_OWNERS[1], "api_keys_by_owner", "created_at"),
            (LIST_OF_OWNERS[2], "api_keys_by_owner_and_end", "end_or_never"),
        ] {
            let plan = plan(&connection, sql);
            let next = format!(
                "SEARCH k USING INDEX {index} \
                 (organization=? AND kind=? AND owner=? AND ({time},id)>(?,?) AND ({time},id)<(?,?))"
            );
            assert_eq!(plan.matches(&next).count(), 2, "{statistics}\n{plan}");
            assert_eq!(plan.matches("SEARCH f USING PRIMARY KEY (id=?)").count(), 2, "{statistics}\n{plan}");
            assert!(plan.contains("SEARCH k USING PRIMARY KEY (id=?)"), "{statistics}\n{plan}");
            assert!(plan.ends_with("USE TEMP B-TREE FOR ORDER BY"), "{statistics}\n{plan}");
            assert_eq!(plan.matches("TEMP B-TREE").count(), 1, "{statistics}\n{plan}");
        }
    }
}

#[test]
fn events_are_read_from_an_index_in_either_order() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (both_ways, index) in [
            (EVENTS, "USING INDEX api_key_events_by_organization (organization=? AND is_attempt=? AND rowid"),
            (EVENTS_OF_KEY, "USING INDEX api_key_events_by_key (key_id=? AND is_attempt=? AND rowid"),
            (
                EVENTS_OF_OWNER,
                "USING INDEX api_key_events_by_owner (organization=? AND owner_kind=? AND owner=? AND is_attempt=? AND rowid",
            ),
            (
                EVENTS_OF_ACTOR,
                "USING INDEX api_key_events_by_actor (organization=? AND actor=? AND is_attempt=? AND rowid",
            ),
        ] {
            for (sql, bound) in both_ways.into_iter().zip([">?)", "<?)"]) {
                let plan = plan(&connection, sql);
                assert!(plan.contains(&format!("{index}{bound}")), "{statistics}\n{plan}\n{index}");
                assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{statistics}\n{plan}");
            }
        }
    }
}

#[test]
fn a_reader_of_the_feed_reads_new_events_and_nothing_else() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        let plan = plan(&connection, FEED);
        let search = "USING INDEX api_key_events_by_place (is_attempt=? AND rowid>?)";
        assert!(plan.contains(search) && !plan.contains("TEMP B-TREE"), "{statistics}\n{plan}");
    }
}

#[test]
fn old_events_and_old_lines_of_attempts_are_found_by_their_time() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for sql in [PRUNE_EVENTS, PRUNE_ATTEMPTS] {
            let plan = plan(&connection, sql);
            let search = "INDEX api_key_events_by_time (is_attempt=? AND at<?)";
            assert!(plan.contains(search) && !plan.contains("SCAN"), "{statistics}\n{plan}");
        }
    }
}

#[test]
fn what_comes_with_a_listed_key_is_looked_up_by_primary_key_or_predecessor() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        let lists = [
            LIST_ALL,
            LIST_OF_KIND,
            LIST_OF_OWNER,
            LIST_OF_OWNERS,
            LIST_OF_CREATOR,
            LIST_OF_CREATED_VIA_KEY,
            LIST_OF_PREDECESSOR,
            LIST_OF_LINEAGE,
            LIST_OF_KEYS,
        ];
        for sql in lists.into_iter().flatten() {
            let plan = plan(&connection, sql);
            for search in [
                "SEARCH o USING PRIMARY KEY (organization=? AND kind=? AND id=?)",
                "SEARCH c USING PRIMARY KEY (organization=? AND kind=? AND id=?)",
                "SEARCH u USING PRIMARY KEY (key_id=?",
                "SEARCH h USING INDEX api_keys_by_predecessor (replaces=?)",
                "SEARCH s USING PRIMARY KEY (id=?)",
                "SEARCH p USING PRIMARY KEY (id=?)",
            ] {
                assert!(plan.contains(search), "{statistics}\n{plan}");
            }
            // Once for the usage of a key, and once where keys are left out by their last use: for several owners,
            // after the first place and after each other place.
            let conditions = plan.matches("SEARCH k USING INDEX").count().max(1);
            let looks = plan.matches("SEARCH u USING PRIMARY KEY (key_id=?").count();
            assert_eq!(looks, 1 + conditions, "{statistics}\n{plan}");
            // Only what the query names, and what was found.
            let scanned = plan.lines().filter(|line| line.starts_with("SCAN"));
            let of_query = ["SCAN json_each VIRTUAL TABLE INDEX 1:", "SCAN w VIRTUAL TABLE INDEX 1:", "SCAN m"];
            assert!(scanned.clone().all(|line| of_query.contains(&line)), "{statistics}\n{plan}");
        }
    }
}

#[test]
fn successors_and_named_keys_are_found_by_an_index_and_sorted() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (both_ways, search) in [
            (LIST_OF_PREDECESSOR, "SEARCH k USING INDEX api_keys_by_predecessor (replaces=?)"),
            (LIST_OF_KEYS, "SEARCH k USING PRIMARY KEY (id=?)"),
        ] {
            for sql in both_ways {
                let plan = plan(&connection, sql);
                assert!(plan.contains(search), "{statistics}\n{plan}");
            }
        }
    }
}

#[test]
fn counts_are_read_by_their_key_and_not_sorted() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (sql, place) in
            [(usage_rows::READ, "(key_id=?)"), (usage_rows::READ_WITHOUT_KEY, "(key_id=? AND organization=?)")]
        {
            let plan = plan(&connection, sql);
            let search = format!("SEARCH api_key_usage USING PRIMARY KEY {place}");
            assert!(plan.contains(&search), "{statistics}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{statistics}\n{plan}");
        }
    }
}

#[test]
fn days_are_read_by_key_and_day_and_old_ones_found_by_their_day() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        let read = plan(&connection, usage_rows::READ_DAYS);
        let by_key = "SEARCH api_key_usage_days USING PRIMARY KEY (key_id=? AND day>? AND day<?)";
        assert!(read.contains(by_key), "{statistics}\n{read}");
        assert!(!read.contains("TEMP B-TREE"), "{statistics}\n{read}");
        let pruned = plan(&connection, PRUNE_DAYS);
        let by_day = "SEARCH api_key_usage_days USING COVERING INDEX api_key_usage_days_by_day (day<?)";
        assert!(pruned.contains(by_day), "{statistics}\n{pruned}");
        assert!(!pruned.contains("SCAN api_key_usage_days"), "{statistics}\n{pruned}");
    }
}

#[test]
fn keys_that_were_used_are_found_one_step_along_the_index_each() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        let plan = plan(&connection, USED_KEYS);
        assert!(plan.contains("SEARCH api_key_usage USING PRIMARY KEY (key_id>?)"), "{statistics}\n{plan}");
        assert!(!plan.contains("SCAN api_key"), "{statistics}\n{plan}");
    }
}

#[test]
fn exports_begin_at_their_place_and_come_in_the_order_of_keys() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (sql, index) in [
            (export::META, "SEARCH api_key_meta USING PRIMARY KEY (name>?)"),
            (export::OWNERS, "SEARCH api_key_owners USING PRIMARY KEY ((organization,kind,id)>(?,?,?))"),
            (export::KEYS, "SEARCH api_keys USING PRIMARY KEY (id>?)"),
            (
                export::USAGE,
                "SEARCH api_key_usage USING PRIMARY KEY \
                 ((key_id,organization,outcome,label,client,network)>(?,?,?,?,?,?))",
            ),
            (export::USAGE_DAYS, "SEARCH api_key_usage_days USING PRIMARY KEY ((key_id,day)>(?,?))"),
            (export::EVENTS, "SEARCH api_key_events USING INTEGER PRIMARY KEY (rowid>?)"),
        ] {
            let plan = plan(&connection, sql);
            assert_eq!(plan, index, "{statistics}");
        }
    }
}

#[test]
fn keys_are_counted_by_their_owner_and_by_who_made_them() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (sql, index) in [
            (ISSUED, "INDEX api_keys_by_creator (organization=? AND created_by=? AND created_at>? AND created_at<?)"),
            // One of the two that begin with the owner.
            (ISSUED, "SEARCH maker USING COVERING INDEX api_keys_by_owner"),
            (
                ISSUED,
                "INDEX api_keys_by_created_via_key (organization=? AND created_via_key=? AND created_at>? AND created_at<?)",
            ),
            (LIVE_KEYS, "SEARCH api_keys USING INDEX api_keys_by_owner"),
        ] {
            let plan = plan(&connection, sql);
            assert!(plan.contains(index), "{statistics}\n{plan}");
        }
    }
}

#[test]
fn dead_keys_are_found_by_their_end_and_what_keeps_them_by_indexes() {
    let connection = filled();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        let counted = plan(&connection, ENDED_KEYS);
        assert!(counted.contains("USING INDEX api_keys_by_death"), "{statistics}\n{counted}");
        let plan = plan(&connection, DEAD_KEYS);
        for step in [
            "SEARCH k USING INDEX api_keys_by_death (<expr><?)",
            "SEARCH n USING INDEX api_keys_by_predecessor (replaces=?)",
            "SEARCH p USING PRIMARY KEY (id=?)",
            "SEARCH m USING COVERING INDEX api_keys_by_created_via_key (organization=? AND created_via_key=?)",
        ] {
            assert!(plan.contains(step), "{statistics}\n{plan}\n{step}");
        }
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{statistics}\n{plan}");
    }
}
