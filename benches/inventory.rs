//! The time for a page of the inventory: `cargo bench --features sqlite,postgres --bench inventory`.
//!
//! 100,000 keys of one organization, of 1,000 teams and 1,000 users, each used from three sources and refused from one,
//! in an SQLite file and in a PostgreSQL server that it starts on loopback. Prints one line for each figure: name, tab,
//! figure.
//! - `<store>_page_p50_ms_<place>`, `<store>_page_p99_ms_<place>`: pages of 100 for an admin of the organization, at
//!   the beginning, the middle and the end of the list, in turn.
//! - `<store>_team_p50_ms`, `<store>_team_p99_ms`: the keys of one team for its admin, 50 of them.
//! - `<store>_flagged_ms`: a page of 100 keys with a flag that one key in five has.
//! - `<store>_rare_ms`: a call with a filter that no key matches: it reads 5,000 keys.
//! - `<store>_summary_s`, `<store>_csv_s`, `<store>_csv_mib`: the summary of the whole inventory, its export as a
//!   table, and the size of that table.
//!
//! Then, or only this with `-- teams`, 10,000 keys in another store: 100 users have 5,000 of them, the team `large` has
//! 2,000, twenty small teams have 100 each, and twenty other teams have the rest. So an admin of the large team sees as
//! many keys as an admin of the twenty small ones; only the number of teams differs. Calls take turns; figures are
//! medians.
//! - `<store>_<call>_ms_<actor>`, where an actor is `one_team`, `twenty_teams` or `org_admin`, and a call is `list`,
//!   `list_deep` (after the middle), `list_newest`, `inventory`, `summary` (2,000 keys, 10,000 for the organization),
//!   `search` (the keys with a part of a name that one in twenty has) or `search_rare` (one that no key has).
//! - `<store>_<call>_twenty_over_one`: how much longer the calls take for twenty teams.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "it measures and prints, and without a server there is nothing to measure"
)]

#[path = "../tests/it/support/postgres.rs"]
mod server;
mod traffic;

use std::{collections::BTreeMap, time::Instant};

use server::Server;
use tower_api_keys::{
    Actor, ApiKeys, KeyManager, TeamId, Timestamp, UserId,
    key::KeyId,
    manage::{ExportFormat, InventoryQuery, KeyFlag, ListKeys, Rights, TeamRole},
    record::{KeyRow, NamePart, OwnerStatusRow},
    store::{
        KeyCursor, Ledger, PostgresSettings, PostgresStore, SqliteStore,
        transfer::{Batch, OwnerRow, PortableStore},
    },
    usage::{Source, UsageRow},
};
use traffic::Latencies;

const KEYS: usize = 100_000;
const OWNERS: usize = 1_000;
const ROUNDS: usize = 300;
const FIRST: i64 = 1_735_689_600_000;
/// The time between two keys: all of them are created within five weeks.
const STEP: i64 = 30_000;
const SOURCES: [(&str, &str, &str); 4] = [
    ("success", "api", "acme-sync"),
    ("success", "intake", "python-requests"),
    ("success", "api", "curl"),
    ("insufficient_scope", "api", "acme-sync"),
];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let has_large = std::env::args().all(|argument| argument != "teams");
    if has_large {
        let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
        fill(&store).await;
        measure("sqlite", store).await;
    }
    let store = SqliteStore::open(folder.path().join("teams.db")).await.unwrap();
    fill_teams(&store).await;
    compare("sqlite", store).await;
    // The buffers of a small database server.
    let server = Server::start_with(&["shared_buffers=512MB"]);
    if has_large {
        PostgresStore::migrate(&server.url(), "keys").await.unwrap();
        let settings = PostgresSettings::new().with_schema("keys");
        let store = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
        fill(&store).await;
        // As autovacuum does within a minute.
        server
            .client()
            .await
            .batch_execute("vacuum analyze keys.api_keys, keys.api_key_usage, keys.api_key_owners")
            .await
            .unwrap();
        measure("postgres", store).await;
    }
    PostgresStore::migrate(&server.url(), "teams").await.unwrap();
    let settings = PostgresSettings::new().with_schema("teams");
    let store = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
    fill_teams(&store).await;
    let analyze = "vacuum analyze teams.api_keys, teams.api_key_usage, teams.api_key_owners";
    server.client().await.batch_execute(analyze).await.unwrap();
    compare("postgres", store).await;
}

async fn measure<S: Ledger>(name: &str, store: S) {
    let keys = ApiKeys::new(store).unwrap();
    let manager = keys.manager();
    let admin = Actor::user(UserId::new("olga").unwrap(), Rights::none().org_admin());
    let team = TeamId::new("team-0007").unwrap();
    let rights = Rights::none().team(team.clone(), TeamRole::Admin).team_keys_included();
    let team_admin = Actor::user(UserId::new("alice").unwrap(), rights);
    let mut times: BTreeMap<&str, Latencies> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (place, after) in [("beginning", 0), ("middle", KEYS / 2), ("end", KEYS - 100)] {
            let query = InventoryQuery::all();
            let query = if after == 0 { query } else { query.after(cursor(after - 1)) };
            let begun = Instant::now();
            let page = manager.inventory(query, &admin).await.unwrap();
            times.entry(place).or_default().push(begun.elapsed());
            assert_eq!((page.entries.len(), page.entries[0].usage.counts.len()), (100, 4));
        }
        let begun = Instant::now();
        let page = manager.inventory(InventoryQuery::of(team.clone()), &team_admin).await.unwrap();
        times.entry("team").or_default().push(begun.elapsed());
        assert_eq!(page.entries.len(), KEYS / OWNERS / 2);
    }
    for (place, times) in times {
        let kind = if place == "team" { "team".to_owned() } else { format!("page_{place}") };
        for (label, share) in [("p50", 0.5), ("p99", 0.99)] {
            println!("{name}_{kind}_{label}_ms\t{:.2}", times.quantile(share) / 1e3);
        }
    }
    whole(name, &manager, &admin).await;
}

const TEAM_KEYS: usize = 10_000;
const TURNS: usize = 100;

/// The key with this number. Of ten in turn, five belong to users, two to the large team, two to small teams, and one
/// to another team.
fn of_teams(number: usize) -> KeyRow {
    let turn = number / 10;
    let (kind, owner) = match number % 10 {
        0..5 => ("user", format!("user-{:03}", turn % 100)),
        5 | 7 => ("team", "large".to_owned()),
        6 | 8 => ("team", format!("small-{:02}", (2 * turn + usize::from(number % 10 == 8)) % 20)),
        _ => ("team", format!("other-{:02}", turn % 20)),
    };
    let name = if turn.is_multiple_of(20) { format!("GitHub Actions {number}") } else { format!("CI deploy {number}") };
    KeyRow { kind: kind.into(), owner, name, ..key(number) }
}

async fn fill_teams<S: PortableStore>(store: &S) {
    let numbers: Vec<usize> = (0..TEAM_KEYS).collect();
    for chunk in numbers.chunks(2_500) {
        store.import(&Batch::Keys(chunk.iter().copied().map(of_teams).collect())).await.unwrap();
        store.import(&Batch::Usage(chunk.iter().copied().flat_map(usage).collect())).await.unwrap();
    }
}

async fn compare<S: Ledger>(name: &str, store: S) {
    let manager = ApiKeys::new(store).unwrap().manager();
    let admin_of = |teams: Vec<String>| {
        let roles = teams.iter().map(|team| (TeamId::new(team).unwrap(), TeamRole::Admin));
        let rights = roles.fold(Rights::none(), |rights, (team, role)| rights.team(team, role));
        Actor::user(UserId::new("alice").unwrap(), rights)
    };
    let actors = [
        ("one_team", admin_of(vec!["large".to_owned()])),
        ("twenty_teams", admin_of((0..20).map(|number| format!("small-{number:02}")).collect())),
        ("org_admin", Actor::user(UserId::new("olga").unwrap(), Rights::none().org_admin())),
    ];
    let mut times: BTreeMap<(&str, &str), Latencies> = BTreeMap::new();
    for turn in 0..TURNS {
        for (who, actor) in &actors {
            for call in ["list", "list_deep", "list_newest", "inventory", "search", "search_rare"] {
                let begun = Instant::now();
                let count = asked(&manager, call, actor).await;
                times.entry((call, who)).or_default().push(begun.elapsed());
                assert_eq!(count, if call == "search_rare" { 0 } else { 100 }, "{call} {who}");
            }
            if turn.is_multiple_of(5) {
                let begun = Instant::now();
                let summary = manager.inventory_summary(InventoryQuery::all(), actor).await.unwrap();
                times.entry(("summary", who)).or_default().push(begun.elapsed());
                let keys: u64 = summary.owners.iter().map(|owner| owner.live + owner.dead).sum();
                assert_eq!(keys as usize, if *who == "org_admin" { TEAM_KEYS } else { TEAM_KEYS / 5 });
            }
        }
    }
    for ((call, who), times) in &times {
        println!("{name}_{call}_ms_{who}\t{:.2}", times.quantile(0.5) / 1e3);
    }
    for ((call, who), of_twenty) in &times {
        if *who == "twenty_teams" {
            let ratio = of_twenty.quantile(0.5) / times[&(*call, "one_team")].quantile(0.5);
            println!("{name}_{call}_twenty_over_one\t{ratio:.2}");
        }
    }
}

/// Makes the call, and returns the number of keys in the answer.
async fn asked(manager: &KeyManager, call: &str, actor: &Actor) -> usize {
    let part = |text| NamePart::new(text).unwrap();
    let query = match call {
        "inventory" => return manager.inventory(InventoryQuery::all(), actor).await.unwrap().entries.len(),
        "list" => ListKeys::all(),
        "list_deep" => ListKeys::all().after(cursor(TEAM_KEYS / 2)),
        "list_newest" => ListKeys::all().newest_first(),
        "search" => ListKeys::all().named_like(part("github")),
        _ => ListKeys::all().named_like(part("nothing like that")),
    };
    manager.list(query, actor).await.unwrap().keys.len()
}

async fn whole(name: &str, manager: &KeyManager, admin: &Actor) {
    let begun = Instant::now();
    let page = manager.inventory(InventoryQuery::all().flagged([KeyFlag::VagueName]), admin).await.unwrap();
    println!("{name}_flagged_ms\t{:.1}", millis(begun));
    assert_eq!(page.entries.len(), 100);
    let begun = Instant::now();
    let page = manager.inventory(InventoryQuery::all().source(Source::new("nowhere").unwrap()), admin).await.unwrap();
    println!("{name}_rare_ms\t{:.1}", millis(begun));
    assert!(page.entries.is_empty() && page.next.is_some());
    let begun = Instant::now();
    let summary = manager.inventory_summary(InventoryQuery::all(), admin).await.unwrap();
    println!("{name}_summary_s\t{:.2}", millis(begun) / 1e3);
    assert_eq!(summary.owners.len(), OWNERS * 2);
    let (begun, mut table) = (Instant::now(), Vec::new());
    let exported = manager.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut table, admin).await.unwrap();
    println!("{name}_csv_s\t{:.2}\n{name}_csv_mib\t{:.1}", millis(begun) / 1e3, table.len() as f64 / 1_048_576.0);
    assert_eq!(exported.keys, KEYS as u64);
}

async fn fill<S: PortableStore>(store: &S) {
    let owner = |number: usize| OwnerRow {
        organization: "default".into(),
        kind: "user".into(),
        id: format!("user-{number:04}"),
        status: OwnerStatusRow { suspended_at: number.is_multiple_of(10).then_some(FIRST), ..Default::default() },
    };
    store.import(&Batch::Owners((0..OWNERS).map(owner).collect())).await.unwrap();
    let numbers: Vec<usize> = (0..KEYS).collect();
    for chunk in numbers.chunks(2_500) {
        store.import(&Batch::Keys(chunk.iter().copied().map(key).collect())).await.unwrap();
        store.import(&Batch::Usage(chunk.iter().copied().flat_map(usage).collect())).await.unwrap();
    }
}

/// Real ids are random, so these are spread out.
fn id(number: usize) -> String {
    format!("{:020}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000_000_000_000_000)
}

fn created_at(number: usize) -> i64 {
    FIRST + number as i64 * STEP
}

fn cursor(number: usize) -> KeyCursor {
    let created_at = Timestamp::from_millis(created_at(number)).unwrap();
    KeyCursor { created_at, expires_at: None, id: KeyId::new(&id(number)).unwrap() }
}

/// Every other key is a user's. One in seven is revoked, one in nine replaces another, and one in five has a name
/// without meaning.
fn key(number: usize) -> KeyRow {
    let owner = number / 2 % OWNERS;
    let (kind, owner) = if number.is_multiple_of(2) {
        ("user", format!("user-{owner:04}"))
    } else {
        ("team", format!("team-{owner:04}"))
    };
    KeyRow {
        id: id(number),
        kind: kind.into(),
        owner,
        name: if number.is_multiple_of(5) { "key 1".into() } else { format!("CI deploy {number}") },
        hash: "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            .into(),
        created_by: format!("user:user-{:04}", number % OWNERS),
        created_at: created_at(number),
        revoked_at: number.is_multiple_of(7).then(|| created_at(number + 10)),
        replaces: (number.is_multiple_of(9) && number > 20).then(|| id(number - 20)),
        ..KeyRow::example()
    }
}

fn usage(number: usize) -> impl Iterator<Item = UsageRow> {
    SOURCES.into_iter().map(move |(outcome, label, client)| UsageRow {
        key: Some(id(number)),
        organization: None,
        outcome: outcome.into(),
        label: label.into(),
        client: client.into(),
        network: String::new(),
        count: 1 + number as i64,
        first_at: created_at(number),
        last_at: created_at(number) + STEP,
    })
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / 1e6
}
