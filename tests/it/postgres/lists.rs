//! A page reads only its own rows and what belongs to them, wherever in a long list it begins.

use tokio_postgres::Client;
use tower_api_keys::{
    KeyKind, OrganizationId, TeamId, Timestamp, UserId,
    key::KeyId,
    record::{ActorId, NamePart},
    store::{EventQuery, KeyCursor, KeyOrder, KeyQuery, KeyStore, Ledger, Liveness, PostgresStore, UsageScope},
};

use super::{NO_NODE, Server, connected, until};

/// 20,000 keys of 100 teams, created by 10 users. Every seventh is dead, and every ninth replaces another. Each has two
/// counts and an event.
const FILL: &str = "\
    insert into keys.api_keys (id, organization, kind, owner, name, labels, hash, tag, scopes, created_by, created_at, \
        expires_at, revoked_at, replaces, lineage) \
    select lpad(n::text, 20, '0'), 'default', 'team', 'team' || n % 100, 'deploy ' || n % 10, '{}', 'hash', '\\x00000000', '{*}', \
        'user:' || n % 10, to_timestamp(n / 1000.0), to_timestamp(n * 7 / 1000.0), case when n % 7 = 0 then now() end, \
        case when n % 9 = 0 then lpad((n - 2)::text, 20, '0') end, lpad(n::text, 20, '0') \
    from generate_series(1, 20000) n; \
    insert into keys.api_key_owners select 'default', 'team', 'team' || n, now(), null, null from generate_series(0, 99) n; \
    insert into keys.api_key_owners select 'default', 'user', n, now(), null, null from generate_series(0, 9) n; \
    insert into keys.api_key_usage \
        select id, '', outcome, '', '', '', 1, now(), now() from keys.api_keys, (values ('success'), ('key_revoked')) of (outcome); \
    insert into keys.api_key_events (organization, at, actor, action, key_id, owner_kind, owner) \
        select organization, created_at, created_by, 'key.issued', id, kind, owner from keys.api_keys order by id";

/// A page has 100 keys. Each has two counts, an owner, a creator and a few related keys, and a condition leaves some
/// rows out. The hundred owners may be read several times. The tables that grow have 20,000 rows.
const MOST_ROWS: i64 = 5_000;

/// The number of table rows and index entries read so far.
async fn rows_read(sql: &Client) -> i64 {
    until(sql, NO_NODE).await;
    let read = "select (select sum(seq_tup_read) from pg_stat_user_tables)::bigint \
                + (select sum(idx_tup_read) from pg_stat_user_indexes)::bigint";
    sql.query_one(read, &[]).await.unwrap().get(0)
}

/// Asks a new store. The server adds up its counters when its connections end.
async fn assert_reads_little<T>(server: &Server, sql: &Client, what: &str, ask: impl AsyncFnOnce(&PostgresStore) -> T) {
    let before = rows_read(sql).await;
    let store = connected(&server.url()).await;
    ask(&store).await;
    drop(store);
    let read = rows_read(sql).await - before;
    assert!((1..MOST_ROWS).contains(&read), "{what}: {read} rows were read");
}

/// Only the test gathers statistics here.
async fn filled() -> (Server, Client) {
    let server = Server::start_with(&["autovacuum=off", "track_counts=on"]);
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    run(&server, FILL).await;
    let sql = server.client().await;
    (server, sql)
}

/// On a connection that ends as a store's does: its reads are added up before the next measurement.
async fn run(server: &Server, statements: &str) {
    let sql = server.client().await;
    sql.batch_execute("set application_name to 'tower-api-keys'").await.unwrap();
    sql.batch_execute(statements).await.unwrap();
}

fn id(number: u32) -> KeyId {
    KeyId::new(&format!("{number:020}")).unwrap()
}

fn deep() -> KeyQuery {
    let created_at = Timestamp::from_millis(15_000).unwrap();
    KeyQuery {
        after: Some(KeyCursor { created_at, expires_at: Timestamp::from_millis(15_000 * 7).ok(), id: id(15_000) }),
        ..KeyQuery::all(OrganizationId::single())
    }
}

#[tokio::test]
async fn a_page_reads_its_own_rows_however_deep_with_statistics_and_without() {
    let (server, sql) = filled().await;
    let all = || KeyQuery::all(OrganizationId::single());
    let (team, user) = (TeamId::new("team7").unwrap(), ActorId::User(UserId::new("3").unwrap()));
    let teams = |count: usize| (0..count).map(|n| TeamId::new(format!("team{n}")).unwrap().into()).collect::<Vec<_>>();
    let part = |text| Some(NamePart::new(text).unwrap());
    let lists = [
        ("the first page", all(), 100),
        ("a page far down", deep(), 100),
        ("live keys far down", KeyQuery { liveness: Some(Liveness::Live), ..deep() }, 100),
        ("keys before a time", KeyQuery { created_before: Timestamp::from_millis(15_011).ok(), ..deep() }, 10),
        ("a team's keys far down", KeyQuery { owners: vec![team.into()], ..deep() }, 50),
        ("a user's keys far down", KeyQuery { creator: Some(user.clone()), ..deep() }, 100),
        ("a key's successor", KeyQuery { predecessor: Some(id(15_001)), ..all() }, 1),
        ("the keys of a lineage", KeyQuery { lineage: Some(id(15_001)), ..all() }, 1),
        ("named keys", KeyQuery { keys: (1..=100).map(|number| id(number * 150)).collect(), ..all() }, 100),
        ("keys of a kind far down", KeyQuery { kind: Some(KeyKind::Team), ..deep() }, 100),
        ("keys since a time", KeyQuery { created_since: Timestamp::from_millis(15_011).ok(), ..all() }, 100),
        ("the newest", KeyQuery { order: KeyOrder::NewestFirst, ..all() }, 100),
        ("the newest before a place", KeyQuery { order: KeyOrder::NewestFirst, ..deep() }, 100),
        ("the newest of a kind", KeyQuery { order: KeyOrder::NewestFirst, kind: Some(KeyKind::Team), ..deep() }, 100),
        ("the newest of a user", KeyQuery { order: KeyOrder::NewestFirst, creator: Some(user.clone()), ..deep() }, 100),
        ("the newest of a team", KeyQuery { order: KeyOrder::NewestFirst, owners: teams(1), ..deep() }, 100),
        ("keys of twenty teams far down", KeyQuery { owners: teams(20), ..deep() }, 100),
        ("the newest of twenty teams", KeyQuery { order: KeyOrder::NewestFirst, owners: teams(20), ..deep() }, 100),
        ("the next to end", KeyQuery { order: KeyOrder::SoonestEndFirst, ..all() }, 100),
        (
            "the next to end of twenty teams far down",
            KeyQuery { order: KeyOrder::SoonestEndFirst, owners: teams(20), ..deep() },
            100,
        ),
        ("the next to end far down", KeyQuery { order: KeyOrder::SoonestEndFirst, ..deep() }, 100),
        ("the next to end of a team", KeyQuery { order: KeyOrder::SoonestEndFirst, owners: teams(1), ..all() }, 100),
        (
            "the next to end of a kind",
            KeyQuery { order: KeyOrder::SoonestEndFirst, kind: Some(KeyKind::Team), ..deep() },
            100,
        ),
        (
            "those that end before a time",
            KeyQuery {
                order: KeyOrder::SoonestEndFirst,
                expires_before: Timestamp::from_millis(15_011 * 7).ok(),
                ..deep()
            },
            10,
        ),
        ("named keys of twenty teams", KeyQuery { owners: teams(20), named_like: part("Deploy 7"), ..deep() }, 100),
    ];
    for statistics in ["", "analyze"] {
        run(&server, statistics).await;
        for (what, query, count) in &lists {
            let what = format!("{what}, {statistics}");
            let list = async |store: &PostgresStore| {
                let rows = store.list(query, Timestamp::MIN).await.unwrap().rows;
                assert_eq!(rows.len(), *count, "{what}");
            };
            assert_reads_little(&server, &sql, &what, list).await;
        }
        let of = UsageScope::Keys((1..=100).map(|number| id(number * 150)).collect());
        let usage = async |store: &PostgresStore| assert_eq!(store.usage(&of).await.unwrap().len(), 200);
        assert_reads_little(&server, &sql, "counts of 100 keys", usage).await;
    }
}

/// Without statistics the server assumes that an organization has few events, and sorts them.
#[tokio::test]
async fn a_page_of_events_reads_its_own_rows_in_either_order() {
    let (server, sql) = filled().await;
    run(&server, "analyze").await;
    for newest_first in [false, true] {
        for after in [None, Some(9_000)] {
            let query = EventQuery { newest_first, after, ..EventQuery::all(OrganizationId::single()) };
            let events = async |store: &PostgresStore| {
                assert_eq!(store.events(&query).await.unwrap().rows.len(), 100);
            };
            assert_reads_little(&server, &sql, &format!("{query:?}"), events).await;
        }
    }
}

/// 20,000 entries of the access log with one key. They must not make the change after them slow to find.
const ATTEMPTS: &str = "\
    insert into keys.api_key_events (organization, at, actor, action, key_id, owner_kind, owner) \
    select 'default', to_timestamp(n), case when n > 20000 then 'system:job' else 'user:7' end, \
        case when n > 20000 then 'key.revoked' else 'attempt.accepted' end, lpad('7', 20, '0'), 'team', 'team7' \
    from generate_series(1, 20010) n";

#[tokio::test]
async fn lines_of_attempts_neither_hide_nor_slow_down_other_events() {
    let (server, sql) = filled().await;
    run(&server, ATTEMPTS).await;
    run(&server, "analyze").await;
    let all = || EventQuery { after: Some(15_000), ..EventQuery::all(OrganizationId::single()) };
    let (team, user) = (TeamId::new("team7").unwrap(), ActorId::User(UserId::new("7").unwrap()));
    // The key's own events after the cursor, and entries of the access log.
    let queries = [
        ("the organization", all(), 100),
        ("a key", EventQuery { key: Some(id(7)), ..all() }, 10),
        ("a team", EventQuery { owner: Some(team.into()), ..all() }, 60),
        ("an actor", EventQuery { actor: Some(user), ..all() }, 100),
    ];
    for (what, query, others) in queries {
        for attempts in [false, true] {
            let what = format!("{what}, attempts: {attempts}");
            let count = if attempts { 100 } else { others };
            let events = async |store: &PostgresStore| {
                let rows = store.events(&EventQuery { attempts, ..query.clone() }).await.unwrap().rows;
                assert_eq!(rows.len(), count, "{what}");
            };
            assert_reads_little(&server, &sql, &what, events).await;
            let newest = EventQuery { newest_first: true, after: None, attempts, limit: 10, ..query.clone() };
            let events = async |store: &PostgresStore| {
                assert_eq!(store.events(&newest).await.unwrap().rows.len(), 10, "{what}");
            };
            assert_reads_little(&server, &sql, &format!("{what}, newest first"), events).await;
        }
    }
}
