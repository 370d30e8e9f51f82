//! The inventory is the same for the same keys, whichever store has them.

use std::{convert::Infallible, time::Duration};

use tower_api_keys::{
    Actor, ApiKeys, KeyManager, OrganizationId, TeamId, TeamRef, Timestamp, UserId,
    key::KeyId,
    manage::{Directory, ExportFormat, InventoryQuery, KeyFlag, ListKeys, Names, Rights, TeamRole},
    record::{ActorId, KeyRow, NamePart, OwnerStatusRow},
    store::{
        Liveness, MemoryStore, SqliteStore,
        transfer::{Batch, OwnerRow, PortableStore},
    },
    usage::{Source, UsageRow},
};

use crate::support::{cheap, clock, keys, noon};

const KEYS: usize = 120;
const DAY: i64 = 86_400_000;

fn id(number: usize) -> String {
    // Bytes before and after the letters, which collations sort differently from bytes.
    let first = ['-', '0', 'A', '_', 'a', 'z'][number % 6];
    format!("{first}{:019}", number * 7_919 % 10_007)
}

fn key_id(number: usize) -> KeyId {
    KeyId::new(&id(number)).unwrap()
}

fn at(days_ago: i64) -> i64 {
    noon().as_millis() - days_ago * DAY
}

fn key(number: usize) -> KeyRow {
    let (kind, owner, created_by) = match number % 4 {
        0 if number % 40 == 36 => ("user", "carol", "user:carol"),
        0 => ("user", "alice", "user:alice"),
        1 => ("team", "blue", "user:alice"),
        2 => ("team", "red", "user:bob"),
        _ => ("team", "blue", "system:first start"),
    };
    KeyRow {
        id: id(number),
        organization: if number.is_multiple_of(25) { "elsewhere".into() } else { "default".into() },
        kind: kind.into(),
        owner: owner.into(),
        name: ["CI pipeline", "key1", "", "Ünïcode - cron", "=1+1, \"quoted\""][number % 5].into(),
        labels: [r"{}", r#"{"env":"prod"}"#, r#"{"env":"staging","ticket":"OPS-1"}"#][number % 3].into(),
        scopes: if number.is_multiple_of(11) { "* keys:manage".into() } else { "*".into() },
        created_by: created_by.into(),
        created_via_key: number.is_multiple_of(8).then(|| id(1)),
        // Many keys have the same time.
        created_at: at(200 - (number / 10) as i64 * 10),
        expires_at: match number % 13 {
            0 => Some(at(5)),
            1 => Some(at(-3)),
            _ => None,
        },
        revoked_at: number.is_multiple_of(7).then(|| at(3)),
        revoked_by: number.is_multiple_of(7).then(|| "user:olga".into()),
        paused_at: (number % 10 == 3).then(|| at(2)),
        paused_by: (number % 10 == 3).then(|| "user:olga".into()),
        replaces: (number % 9 == 8).then(|| id(number - 4)),
        hash: if number.is_multiple_of(17) { "broken".into() } else { KeyRow::example().hash },
        ..KeyRow::example()
    }
}

fn usage(number: usize) -> impl Iterator<Item = UsageRow> {
    let calls = [
        ("success", "api/acme", 1, 2),
        ("success", "intake/curl", 2, 3),
        ("success", "intake/python-requests", 3, 5),
        ("success", "GitHub-Hookshot", 4, 5),
        ("success", "api/old", 120, 23),
        // By a person, with a team key.
        ("success", "api/vscode", 1, 29),
        ("wrong_team", "api/acme", 6, 11),
        ("key_revoked", "api/acme", 2, 7),
        ("key_expired", "api/acme", 4, 13),
        ("owner_suspended", "api/acme", 4, 3),
        // Counted by a clock that is ahead.
        ("success", "api/ahead", -55, 19),
    ];
    calls.into_iter().filter(move |(.., every)| number.is_multiple_of(*every)).map(move |(outcome, source, days, _)| {
        let (label, client) = source.split_once('/').unwrap_or((source, ""));
        UsageRow {
            key: Some(id(number)),
            organization: None,
            outcome: outcome.into(),
            label: label.into(),
            client: client.into(),
            network: String::new(),
            count: 1 + number as i64,
            first_at: at(days + 50),
            last_at: at(days),
        }
    })
}

async fn fill<S: PortableStore>(store: &S) {
    let owner = |kind: &str, id: &str, status| OwnerRow {
        organization: "default".into(),
        kind: kind.into(),
        id: id.into(),
        status,
    };
    let suspended = OwnerStatusRow { suspended_at: Some(at(9)), ..OwnerStatusRow::default() };
    let closed = OwnerStatusRow { closed_at: Some(at(9)), ..OwnerStatusRow::default() };
    store.import(&Batch::Owners(vec![owner("user", "bob", suspended), owner("team", "red", closed)])).await.unwrap();
    store.import(&Batch::Keys((0..KEYS).map(key).collect())).await.unwrap();
    store.import(&Batch::Usage((0..KEYS).flat_map(usage).collect())).await.unwrap();
}

fn queries() -> Vec<InventoryQuery> {
    let list = ListKeys::all;
    let blue = TeamId::new("blue").unwrap();
    let time = |days| Timestamp::from_millis(at(days)).unwrap();
    let mut queries: Vec<_> = [
        list(),
        ListKeys::of(blue),
        list().liveness(Liveness::Dead),
        list().created_by(ActorId::User(UserId::new("bob").unwrap())),
        list().created_via_key(key_id(1)),
        list().unused_since(time(2)),
    ]
    .map(InventoryQuery::matching)
    .into();
    let all = InventoryQuery::all;
    queries.extend(KeyFlag::ALL.map(|flag| all().flagged([flag])));
    queries.extend([
        all().created_since(time(150)).created_before(time(110)),
        all().ends_before(time(-4)),
        all().label("ticket"),
        all().label_value("env", "prod"),
        all().source(Source::new("intake").unwrap().with_client("curl").unwrap()),
        all().named_like(NamePart::new("ÜNÏ").unwrap()),
        all().flagged([KeyFlag::Unnamed, KeyFlag::VagueName]).label("env").named_like(NamePart::new("key").unwrap()),
    ]);
    queries
}

/// Everything that an inventory returns, as text.
async fn told(manager: &KeyManager) -> Vec<String> {
    let blue = Rights::none().team(TeamId::new("blue").unwrap(), TeamRole::Admin);
    let admins = [
        Actor::user(UserId::new("olga").unwrap(), Rights::none().org_admin()),
        Actor::user(UserId::new("alice").unwrap(), blue),
    ];
    let mut told = Vec::new();
    for actor in &admins {
        for query in queries() {
            let mut next = Some(query.clone().limit(7));
            let mut pages = String::new();
            while let Some(query) = next {
                let page = manager.inventory(query.clone(), actor).await.unwrap();
                pages += &format!("{}\n{:?}\n", serde_json::to_string(&page.entries).unwrap(), page.unreadable);
                pages += &serde_json::to_string(&page.names).unwrap();
                next = page.next.map(|cursor| query.after(cursor));
            }
            told.push(pages);
            let summary = manager.inventory_summary(query.clone(), actor).await.unwrap();
            told.push(serde_json::to_string(&summary).unwrap());
            let mut table = Vec::new();
            manager.export_inventory(query, ExportFormat::Csv, &mut table, actor).await.unwrap();
            told.push(String::from_utf8(table).unwrap());
        }
    }
    told
}

/// Alice has left, and the store was not told. Carol is unknown.
struct Leavers;

impl Directory for Leavers {
    type Error = Infallible;

    async fn has_team(&self, _: &TeamRef) -> Result<bool, Infallible> {
        Ok(true)
    }

    async fn names(&self, _: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> Result<Names, Infallible> {
        let names =
            teams.iter().fold(Names::none(), |names, team| names.with_team(team.clone(), format!("Team {team}")));
        Ok(users.iter().fold(names, |names, user| match user.as_str() {
            "alice" => names.with_user(user.clone(), "Alice Jones").with_left(user.clone()),
            "carol" => names.with_unknown(user.clone()),
            _ => names,
        }))
    }
}

async fn told_of<S: PortableStore>(store: S) -> Vec<String> {
    fill(&store).await;
    // A longest life, and a longest time without rotation, so that some keys are over both.
    let day = Duration::from_secs(86_400);
    let builder = ApiKeys::builder(store).hasher(cheap()).clock(clock()).directory(Leavers);
    // No usage is written during the test, however long it takes. So the time up to which usage is counted never shows.
    let builder = builder.usage_interval(Duration::from_secs(86_400));
    let builder = builder.longest_life_of_team_keys(day).rotation_due_after(day);
    told(&builder.build().await.unwrap().manager()).await
}

#[tokio::test]
async fn inventory_of_the_memory_store_has_every_flag_and_every_readable_key() {
    let told = told_of(MemoryStore::new()).await;
    for flag in KeyFlag::ALL {
        // New keys get hashes as cheap as these here.
        let expected = flag != KeyFlag::OldHash;
        assert_eq!(told[0].contains(&format!("\"{}\"", flag.as_str())), expected, "{flag:?}");
    }
    let ours: Vec<_> = (0..KEYS).filter(|number| !number.is_multiple_of(25)).collect();
    for number in &ours {
        assert_eq!(told[0].matches(&format!("\"id\":\"{}\"", id(*number))).count(), usize::from(number % 17 != 0));
    }
    let unreadable = ours.iter().filter(|number| number.is_multiple_of(17)).count();
    assert!(told[1].contains(&format!("\"unreadable\":{unreadable},")), "{}", told[1]);
    let named = r#""names":{"users":{"alice":{"name":"Alice Jones","left":true,"unknown":false},"carol":"#;
    assert!(told[1].contains(named), "{}", told[1]);
    assert!(told[2].contains(",Alice Jones,true,"), "{}", told[2]);
}

#[tokio::test]
async fn inventory_of_sqlite_is_that_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    assert_eq!(told_of(sqlite).await, told_of(MemoryStore::new()).await);
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn inventory_of_postgres_is_that_of_memory() {
    use tower_api_keys::store::{PostgresSettings, PostgresStore};

    let server = crate::postgres::server::Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let settings = PostgresSettings::new().with_schema("keys");
    let postgres = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
    assert_eq!(told_of(postgres).await, told_of(MemoryStore::new()).await);
}

#[tokio::test]
async fn age_grows_with_the_clock() {
    let (store, clock) = (MemoryStore::new(), clock());
    fill(&store).await;
    let manager = keys(store, &clock).await.manager();
    let actor = Actor::system("test").unwrap();
    let age = || async {
        let page = manager.inventory(InventoryQuery::all().limit(1), &actor).await.unwrap();
        page.entries[0].age()
    };
    let before = age().await;
    clock.advance(Duration::from_secs(90));
    assert_eq!(age().await, before + Duration::from_secs(90));
}
