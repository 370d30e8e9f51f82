//! An erased owner is gone from every store. The tests search every column of every table, and every byte of a file.
//! The columns come from the catalogue of the database, so that a new column is searched too.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::types::ValueRef;
use tower_api_keys::{
    ApiKeys, KeyKind, OrganizationId, Owner, Timestamp,
    audit::EventRow,
    auth::AuthErrorKind,
    feed::FeedBatch,
    key::KeyId,
    manage::{Erase, Erased, ManageErrorKind},
    record::{KeyRow, Suspension},
    store::{
        AuditedWrite, Change, ChangeId, DeadKeys, IdempotentRequest, KeyUpdate, Ledger, MemoryStore, OwnerChange,
        OwnerRef, Prune, SqliteStore, Write,
        transfer::{Batch, Cursor, PortableStore},
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use crate::support::{cheap, clock, issue, noon, secrets, system, user};

/// The texts that must not be found. No random text has one by chance.
const THEIRS: &str = "jones-7731";
const ORGANIZATION: &str = "acme-7731-gmbh";

/// The text that must stay as it is.
const NEIGHBOUR: &str = "jones-77312";

const MINUTE: Duration = Duration::from_secs(60);

/// The owner or organization to erase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Whom {
    Organization,
    Team,
    User,
}

impl Whom {
    fn organization(self) -> OrganizationId {
        OrganizationId::new(if self == Self::Organization { ORGANIZATION } else { "acme" }).unwrap()
    }

    fn owner(self) -> Owner {
        Owner::new(if self == Self::Team { KeyKind::Team } else { KeyKind::User }, THEIRS).unwrap()
    }

    fn request(self) -> Erase {
        match self {
            Self::Organization => Erase::organization(self.organization()),
            Self::Team | Self::User => Erase::owner(self.owner()),
        }
    }

    fn close(self) -> Write {
        match self {
            Self::Organization => Write::Organization(self.organization(), OwnerChange::Close),
            Self::Team | Self::User => {
                Write::Owner(OwnerRef { organization: self.organization(), owner: self.owner() }, OwnerChange::Close)
            }
        }
    }

    fn needles(self) -> &'static [&'static str] {
        if self == Self::Organization { &[THEIRS, ORGANIZATION] } else { &[THEIRS] }
    }
}

/// Writes changes, each with an id of its own.
struct Scribe<'a, S> {
    store: &'a S,
    seed: u8,
    next: u64,
}

impl<S: Ledger> Scribe<'_, S> {
    async fn write(&mut self, organization: &str, owner: &Owner, writes: Vec<Write>) {
        self.next += 1;
        let mut id = [self.seed; 16];
        id[..8].copy_from_slice(&self.next.to_be_bytes());
        let event = EventRow {
            sequence: 0,
            organization: organization.into(),
            actor: match owner {
                Owner::User(user) => format!("user:{user}"),
                Owner::Team(_) => "system:setup".into(),
            },
            owner_kind: owner.kind().as_str().into(),
            owner: owner.id().into(),
            before: Some(format!("before {}", owner.id())),
            after: Some(format!("after {}", owner.id())),
            source: Some(format!("desk of {}", owner.id())),
            ..EventRow::example()
        };
        let key_of = |write: &Write| match write {
            Write::Insert(row) => Some(row.id.clone()),
            Write::Update(update) => Some(update.id.to_string()),
            _ => None,
        };
        let idempotency = writes.iter().find_map(key_of).filter(|_| matches!(writes[0], Write::Insert(_)));
        let change = Change {
            id: ChangeId::from_bytes(id),
            at: noon(),
            writes: writes
                .into_iter()
                .map(|write| AuditedWrite { event: EventRow { key: key_of(&write), ..event.clone() }, write })
                .collect(),
            guards: Vec::new(),
            idempotency: idempotency
                .map(|key| IdempotentRequest { key: format!("{key} asked by {}", owner.id()), digest: [7; 32] }),
        };
        self.store.apply(&change).await.unwrap();
    }
}

fn key_id(seed: u8, number: usize) -> String {
    format!("{seed:0>3}-{number:0>16}")
}

/// A key that names its owner in every column that has room for it.
fn row(seed: u8, number: usize, organization: &str, owner: &Owner) -> KeyRow {
    let (id, name) = (key_id(seed, number), owner.id());
    KeyRow {
        lineage: id.clone(),
        id,
        organization: organization.into(),
        kind: owner.kind().as_str().into(),
        owner: name.into(),
        name: format!("Laptop of {name}"),
        labels: format!(r#"{{"mail":"{name}@mail.example"}}"#),
        limits: Some(format!("plan of {name}")),
        imported_from: Some(format!("imported by {name}")),
        responsible: Some(format!("user:{name}")),
        created_by: format!("user:{name}"),
        created_at: noon().as_millis(),
        ..KeyRow::example()
    }
}

/// Everything that a store holds about an owner: live, dead and purged keys; keys that the owner created for others;
/// events that the owner caused, and events about the owner; the access log; counts; idempotency keys; a status.
async fn fill<S: Ledger>(store: &S, seed: u8, organization: &str, owner: &Owner, many: usize) {
    let mut scribe = Scribe { store, seed, next: 0 };
    let (name, of) = (owner.id(), OrganizationId::new(organization).unwrap());
    let (live, dead) = (row(seed, 1, organization, owner), row(seed, 2, organization, owner));
    let dead = KeyRow { revoked_at: Some(5), revoked_by: Some(format!("user:{name}")), ..dead };
    let made = KeyRow {
        kind: "team".into(),
        owner: format!("team of key {seed}"),
        name: "Monday cron".into(),
        labels: "{}".into(),
        limits: None,
        imported_from: None,
        revoked_at: Some(noon().as_millis()),
        revoked_by: Some(format!("user:{name}")),
        paused_at: Some(noon().as_millis()),
        paused_by: Some(format!("user:{name}")),
        ..row(seed, 3, organization, owner)
    };
    let made_with =
        KeyRow { created_by: format!("key:{}", live.id), created_via_key: Some(live.id.clone()), ..made.clone() };
    let made_with = KeyRow { id: key_id(seed, 4), lineage: key_id(seed, 4), responsible: None, ..made_with };
    let made_with = KeyRow { revoked_by: None, paused_by: None, ..made_with };
    // A team creates keys only with its own keys.
    let made = if owner.kind() == KeyKind::Team { made_with.clone() } else { made };
    for row in [&live, &dead, &made] {
        scribe.write(organization, owner, vec![Write::Insert(row.clone())]).await;
    }
    if made.id != made_with.id {
        scribe.write(organization, owner, vec![Write::Insert(made_with)]).await;
    }
    for number in 0..many {
        let key = row(seed, 100 + number, organization, owner);
        let id = KeyId::new(&key.id).unwrap();
        let rename = KeyUpdate {
            responsible: None,
            organization: of.clone(),
            id,
            expected_version: 1,
            name: format!("{}renamed {name}", "x".repeat(number % 40)),
            labels: format!(r#"{{"mail":"{name}@other.example"}}"#),
            scopes: key.scopes.clone(),
            allowed_networks: None,
            expires_at: None,
        };
        scribe.write(organization, owner, vec![Write::Insert(key), Write::Update(rename)]).await;
    }
    let status = OwnerRef { organization: of.clone(), owner: owner.clone() };
    for step in [OwnerChange::Suspend(Suspension::Admin), OwnerChange::Suspend(Suspension::Plan)] {
        scribe.write(organization, owner, vec![Write::Owner(status.clone(), step)]).await;
    }
    let about = |actor: String, action: &str, key: Option<&KeyRow>| EventRow {
        sequence: 0,
        organization: organization.into(),
        at: noon().as_millis(),
        actor,
        action: action.into(),
        key: key.map(|key| key.id.clone()),
        owner_kind: key.map_or("organization", |key| key.kind.as_str()).into(),
        owner: key.map_or("", |key| key.owner.as_str()).into(),
        before: None,
        after: Some(format!("{name} said so")),
        source: Some(format!("api/{name}@203.0.113.0/24")),
        audience: "subject".into(),
    };
    let (person, key) = (format!("user:{name}"), format!("key:{}", live.id));
    let mut events = vec![
        about(key.clone(), "attempt.accepted", Some(&live)),
        about("system:unproved caller".into(), "attempt.refused", Some(&dead)),
        about(key, "key.paused", Some(&made)),
        about("system:support".into(), "key.revoked", Some(&live)),
    ];
    if owner.kind() == KeyKind::User {
        events.push(about(person.clone(), "inventory.exported", None));
        events.push(about(person, "key.revoked", Some(&made)));
    }
    store.append_events(&events).await.unwrap();
    let count = |key: Option<&KeyRow>| UsageRow {
        key: key.map(|key| key.id.clone()),
        organization: key.is_none().then(|| organization.to_owned()),
        outcome: if key.is_some() { "success" } else { "malformed_key" }.into(),
        label: name.into(),
        client: format!("{name}/1.0"),
        network: format!("net of {name}"),
        count: 3,
        first_at: noon().as_millis(),
        last_at: noon().as_millis(),
    };
    let keyless = (organization == ORGANIZATION || name == NEIGHBOUR).then(|| count(None));
    let rows: Vec<UsageRow> = [count(Some(&live)), count(Some(&dead))].into_iter().chain(keyless).collect();
    let days = [&live, &dead].map(|key| UsageDayRow { key: key.id.clone(), day: 20_000, accepted: 3, refused: 1 });
    let batch = UsageBatch { writer: [seed; 16], sequence: 1, rows, days: days.to_vec() };
    store.record_usage(&batch).await.unwrap();
    let purge = DeadKeys { ended_before: Timestamp::from_millis(10).unwrap(), most: 10, at: noon() };
    assert_eq!(store.prune(&Prune { keys: Some(purge), ..Prune::default() }).await.unwrap().keys, 1);
}

async fn node<S: Ledger>(store: S, past_noon: Duration) -> ApiKeys<S> {
    let clock = clock();
    clock.advance(past_noon);
    ApiKeys::builder(store).hasher(cheap()).clock(clock).several_organizations().build().await.unwrap()
}

/// Fills the store with these owners and their neighbours, erases the owners, and looks for what is left. `rows`
/// returns all rows, each with the name of its table and every column.
pub async fn nothing_is_left<S: Ledger + Clone>(
    store: S,
    whom: Whom,
    many: usize,
    rows: impl AsyncFn(&S) -> Vec<String>,
) -> Erased {
    let organization = whom.organization();
    let neighbour = Owner::new(whom.owner().kind(), NEIGHBOUR).unwrap();
    fill(&store, 1, organization.as_str(), &whom.owner(), many).await;
    fill(&store, 2, "elsewhere", &neighbour, many).await;
    if whom != Whom::Organization {
        fill(&store, 3, organization.as_str(), &neighbour, many).await;
    }
    let mut scribe = Scribe { store: &store, seed: 9, next: 0 };
    scribe.write(organization.as_str(), &whom.owner(), vec![whom.close()]).await;

    let keys = node(store.clone(), MINUTE).await;
    let mut feed = keys.feed("teller").unwrap();
    let delivered = feed.next(1_000).await.unwrap();
    assert!(delivered.entries.len() > 30, "{}", delivered.entries.len());

    let before = rows(&store).await;
    let is_of = |row: &&String, needle: &str| row.replace(NEIGHBOUR, "").contains(needle);
    let of = |rows: &[String], needle: &str| rows.iter().filter(|row| is_of(row, needle)).count();
    assert!(whom.needles().iter().all(|needle| of(&before, needle) > 15), "the test fills nothing: {before:#?}");
    let stays = |rows: &[String]| {
        let mut rows: Vec<String> = rows.iter().filter(|row| row.contains(NEIGHBOUR)).cloned().collect();
        rows.sort_unstable();
        rows
    };
    assert!(stays(&before).len() > 15);

    let manager = keys.manager_for(organization.clone());
    let would = manager.erase(whom.request().dry_run(), &system()).await.unwrap();
    assert_eq!(rows(&store).await.len(), before.len());
    let erased = manager.erase(whom.request(), &system()).await.unwrap();
    assert_eq!((would.keys, would.live_keys, would.made_keys), (erased.keys, erased.live_keys, erased.made_keys));
    let pseudonym = erased.pseudonym.unwrap().to_string();

    let after = rows(&store).await;
    let left: Vec<_> = after.iter().filter(|row| whom.needles().iter().any(|needle| is_of(row, needle))).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(stays(&after), stays(&before));
    // The events stay, each with its time and its key. None is missing, and there is one more.
    let events = |rows: &[String]| rows.iter().filter(|row| row.starts_with("api_key_events")).count();
    assert_eq!(events(&after), events(&before) + 1);
    let told = after.iter().filter(|row| row.starts_with("api_key_events") && row.contains(&pseudonym));
    assert!(told.count() > 8);
    assert!(after.iter().any(|row| row.contains("api_key_events") && row.contains(&key_id(1, 1))));

    // A consumer of the feed that did not confirm its events gets the same events again, without the names.
    let again = feed.next(1_000).await.unwrap();
    let ids = |batch: &FeedBatch| batch.entries.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&again)[..delivered.entries.len()], ids(&delivered));
    assert_ne!(again.entries[..delivered.entries.len()], delivered.entries);

    // A second erasure finds an owner that was not closed.
    let error = manager.erase(whom.request(), &system()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::OwnerNotClosed);
    // The next owner of the id inherits nothing, not even the closing.
    let owner = whom.owner();
    assert!(manager.owner(&owner, &system()).await.unwrap().status.is_active());
    erased
}

/// All rows that can be exported.
pub async fn portable<S: PortableStore>(store: &S) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::START));
    while let Some(from) = cursor {
        let page = store.export(&from, 10_000).await.unwrap();
        all.extend(match &page.rows {
            Batch::Meta(rows) => told("api_key_meta", rows),
            Batch::Owners(rows) => told("api_key_owners", rows),
            Batch::Keys(rows) => told("api_keys", rows),
            Batch::Tombstones(rows) => told("api_key_tombstones", rows),
            Batch::Usage(rows) => told("api_key_usage", rows),
            Batch::UsageDays(rows) => told("api_key_usage_days", rows),
            Batch::Events(rows) => told("api_key_events", rows),
            other => panic!("a table that this test does not know: {other:?}"),
        });
        cursor = page.next;
    }
    all
}

fn told<R: std::fmt::Debug>(table: &str, rows: &[R]) -> Vec<String> {
    rows.iter().map(|row| format!("{table} {row:?}")).collect()
}

/// All rows of all tables of a file, by its catalogue.
fn rows_of(file: &Path) -> Vec<String> {
    let sql = rusqlite::Connection::open(file).unwrap();
    let mut tables = sql.prepare("select name from sqlite_master where type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 12);
    let mut rows = Vec::new();
    for table in tables {
        let mut all = sql.prepare(&format!("select * from {table}")).unwrap();
        let names: Vec<String> = all.column_names().into_iter().map(str::to_owned).collect();
        let read = |row: &rusqlite::Row<'_>| {
            let value = |place: usize| match row.get_ref(place).unwrap() {
                ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            };
            let columns = names.iter().enumerate().map(|(place, name)| format!(" {name}={}", value(place)));
            Ok(format!("{table}{}", columns.collect::<String>()))
        };
        rows.extend(all.query_map([], read).unwrap().map(Result::unwrap));
    }
    rows
}

/// Asserts that no byte of the files holds these texts.
fn assert_in_no_byte(folder: &Path, needles: &[&str]) {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        files += 1;
        for needle in needles {
            let found = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
            assert_eq!(found, None, "{needle} in {}", path.display());
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn nobody_who_was_erased_is_in_memory() {
    for whom in [Whom::User, Whom::Team, Whom::Organization] {
        nothing_is_left(Arc::new(MemoryStore::new()), whom, 3, portable).await;
    }
}

#[tokio::test]
async fn nobody_who_was_erased_is_in_a_table_of_a_file() {
    for whom in [Whom::User, Whom::Team, Whom::Organization] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.db");
        let store = SqliteStore::open(&file).await.unwrap();
        nothing_is_left(store, whom, 3, async |_| rows_of(&file)).await;
    }
}

/// Many rows beside those of neighbours, so that pages are split and filled again. Names were replaced before, so that
/// free space of a page held them.
#[tokio::test]
async fn nobody_who_was_erased_is_in_a_byte_of_a_file() {
    for whom in [Whom::User, Whom::Team, Whom::Organization] {
        for is_exclusive in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("keys.db");
            let store = match is_exclusive {
                false => SqliteStore::open(&file).await.unwrap(),
                true => SqliteStore::open_exclusive(&file).await.unwrap(),
            };
            let organization = whom.organization();
            let peer = Owner::new(whom.owner().kind(), "peer").unwrap();
            for seed in 0..4 {
                fill(&store, 2 * seed, "elsewhere", &peer, 20).await;
                fill(&store, 2 * seed + 1, organization.as_str(), &whom.owner(), 20).await;
            }
            let mut scribe = Scribe { store: &store, seed: 99, next: 0 };
            scribe.write(organization.as_str(), &whom.owner(), vec![whom.close()]).await;
            if !is_exclusive {
                // Stores samples of rows.
                rusqlite::Connection::open(&file).unwrap().execute_batch("analyze").unwrap();
                assert!(rows_of(&file).iter().any(|row| row.starts_with("sqlite_stat4") && row.contains(THEIRS)));
            }
            let keys = node(store.clone(), MINUTE).await;
            let log = folder.path().join("keys.db-wal");
            assert!(std::fs::metadata(&log).unwrap().len() > 100_000);
            keys.manager_for(organization).erase(whom.request(), &system()).await.unwrap();
            assert_in_no_byte(folder.path(), whom.needles());
            // The store still works.
            fill(&store, 77, "elsewhere", &peer, 1).await;
        }
    }
}

/// An open reader still sees the old rows in the write-ahead log. Soon after the reader ends, they are gone.
#[tokio::test]
async fn what_somebody_reads_goes_from_the_log_when_they_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.db");
    let store = SqliteStore::open(&file).await.unwrap();
    fill(&store, 1, "acme", &Whom::User.owner(), 5).await;
    let mut scribe = Scribe { store: &store, seed: 9, next: 0 };
    scribe.write("acme", &Whom::User.owner(), vec![Whom::User.close()]).await;
    let reader = rusqlite::Connection::open(&file).unwrap();
    reader.execute_batch("begin; select count(*) from api_keys").unwrap();
    let keys = node(store.clone(), MINUTE).await;
    keys.manager_for(Whom::User.organization()).erase(Whom::User.request(), &system()).await.unwrap();
    reader.execute_batch("rollback").unwrap();
    drop(reader);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let is_there =
        || std::fs::read(folder.path().join("keys.db-wal")).unwrap().windows(10).any(|at| at == b"jones-7731");
    while is_there() {
        assert!(std::time::Instant::now() < deadline, "the log is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_in_no_byte(folder.path(), &[THEIRS]);
}

async fn keys_of_the_erased_are_refused_on_every_node<S: Ledger + Clone>(store: S) {
    let clock = clock();
    let make = async || {
        let builder = ApiKeys::builder(store.clone()).hasher(cheap()).clock(clock.clone());
        builder.build().await.unwrap()
    };
    let nodes = [make().await, make().await];
    let (theirs, other) = (issue(&nodes[0], user("alice")).await, issue(&nodes[0], user("bob")).await);
    let answers = async || {
        let mut answers = Vec::new();
        for node in &nodes {
            for key in [&theirs, &other] {
                let answer = node.authenticator().authenticate(key.expose_secret()).await;
                answers.push(answer.err().map(|error| error.kind()));
            }
        }
        answers
    };
    assert_eq!(answers().await, [None; 4]);
    let (alice, manager) = (Owner::from(user("alice")), nodes[0].manager());
    let refused = manager.erase(&alice, &system()).await.unwrap_err();
    assert_eq!(refused.kind(), ManageErrorKind::OwnerNotClosed);
    manager.close(&alice, &system()).await.unwrap();
    let early = manager.erase(&alice, &system()).await.unwrap_err();
    assert_eq!((early.kind(), early.retry_after()), (ManageErrorKind::ClosedJustNow, Some(MINUTE)));
    clock.advance(MINUTE - Duration::from_millis(1));
    let early = manager.erase(&alice, &system()).await.unwrap_err();
    assert_eq!(early.retry_after(), Some(Duration::from_millis(1)));
    let closed = Some(AuthErrorKind::OwnerClosed);
    assert_eq!(answers().await, [closed, None, closed, None]);
    clock.advance(Duration::from_millis(1));
    let erased = manager.erase(&alice, &system()).await.unwrap();
    assert_eq!((erased.keys, erased.live_keys, erased.made_keys), (Some(1), Some(1), Some(0)));
    let gone = Some(AuthErrorKind::Invalid);
    assert_eq!(answers().await, [gone, None, gone, None]);
    // Counts of refused requests are written later, under the id of a key that no longer exists. The hourly prune
    // removes them.
    for node in &nodes {
        node.flush_usage().await.unwrap();
    }
    let prune = Prune { usage_after: Some(KeyId::LEAST), ..Prune::default() };
    store.prune(&prune).await.unwrap();
    let of = tower_api_keys::store::UsageScope::Keys(vec![theirs.id()]);
    assert!(store.usage(&of).await.unwrap().is_empty());
    // The next owner of this id is another person.
    let new = issue(&nodes[1], user("alice")).await;
    nodes[0].authenticator().authenticate(new.expose_secret()).await.unwrap();
    secrets::remember(new.expose_secret());
    assert_eq!(answers().await, [gone, None, gone, None]);
}

#[tokio::test]
async fn keys_of_the_erased_are_refused_on_nodes_in_one_memory() {
    keys_of_the_erased_are_refused_on_every_node(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn keys_of_the_erased_are_refused_on_nodes_over_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    keys_of_the_erased_are_refused_on_every_node(store).await;
}

/// Each step fails once, and then nothing is erased. In the end the erasure succeeds.
pub async fn erased_after_failures<S: Ledger + Clone>(
    store: S,
    whom: Whom,
    rows: impl AsyncFn(&S) -> Vec<String>,
    stops: impl AsyncFn(&str),
    goes_on: impl AsyncFn(&str),
) {
    let organization = whom.organization();
    fill(&store, 1, organization.as_str(), &whom.owner(), 1).await;
    let mut scribe = Scribe { store: &store, seed: 9, next: 0 };
    scribe.write(organization.as_str(), &whom.owner(), vec![whom.close()]).await;
    let manager = node(store.clone(), MINUTE).await.manager_for(organization);
    let sorted = async || {
        let mut rows = rows(&store).await;
        rows.sort_unstable();
        rows
    };
    let before = sorted().await;
    for (step, of_all) in STEPS {
        if *of_all && whom != Whom::Organization || *step == "update on api_keys" && whom != Whom::User {
            continue;
        }
        stops(step).await;
        let error = manager.erase(whom.request(), &system()).await.unwrap_err();
        let is_said = matches!(error.kind(), ManageErrorKind::StoreRefused | ManageErrorKind::StoreUnavailable);
        assert!(is_said, "{step}: {error}");
        assert_eq!(sorted().await, before, "{step}");
        goes_on(step).await;
    }
    manager.erase(whom.request(), &system()).await.unwrap();
}

#[tokio::test]
async fn half_of_an_erasure_is_never_in_a_file() {
    for whom in [Whom::User, Whom::Team, Whom::Organization] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.db");
        let store = SqliteStore::open(&file).await.unwrap();
        let sql = rusqlite::Connection::open(&file).unwrap();
        let stops = async |step: &str| {
            let stop = format!("create trigger stop before {step} begin select raise(abort, 'stopped'); end");
            sql.execute_batch(&stop).unwrap();
        };
        let goes_on = async |_: &str| sql.execute_batch("drop trigger stop").unwrap();
        erased_after_failures(store, whom, async |_| rows_of(&file), stops, goes_on).await;
    }
}

/// The steps of an erasure, and whether only the erasure of an organization has the step.
pub const STEPS: &[(&str, bool)] = &[
    ("delete on api_key_usage", false),
    ("delete on api_key_usage_days", false),
    ("update on api_key_changes", false),
    ("update on api_key_events", false),
    ("update on api_keys", false),
    ("delete on api_keys", false),
    ("delete on api_key_owners", false),
    ("update on api_key_log", false),
    ("update on api_key_tombstones", true),
    ("insert on api_key_events", false),
    ("insert on api_key_changes", false),
];
