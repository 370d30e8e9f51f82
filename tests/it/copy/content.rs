//! Sample contents, to fill stores and to compare them.

use tower_api_keys::{
    OrganizationId, Timestamp, UserId,
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, OwnerStatusRow, Suspension},
    store::{
        AuditedWrite, Change, ChangeId, EventQuery, KeyQuery, KeyUpdate, Ledger, ListedKey, OwnerChange, OwnerRef,
        Write,
        transfer::{Batch, Cursor, PortableStore},
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use crate::support::noon;

const ORGANIZATIONS: [&str; 3] = ["acme", "default", "z\u{e9}ro"];
const KEYS: usize = 12;
const META: [&str; 2] = ["pepper 1", "pepper 2"];

fn organization(number: usize) -> OrganizationId {
    OrganizationId::new(ORGANIZATIONS[number % ORGANIZATIONS.len()]).unwrap()
}

fn id(number: usize) -> KeyId {
    KeyId::new(&format!("{number:0>20}")).unwrap()
}

fn user(number: usize) -> OwnerRef {
    OwnerRef { organization: organization(number), owner: UserId::from(number as u64).into() }
}

fn change(number: usize, writes: Vec<Write>) -> Change {
    let event = |write: &Write| EventRow {
        sequence: 0,
        organization: organization(number).as_str().into(),
        action: match write {
            Write::Insert(_) => "key.issued".into(),
            Write::Update(_) => "key.renamed".into(),
            Write::Revoke { .. } => "key.revoked".into(),
            _ => "owner.suspended".into(),
        },
        ..EventRow::example()
    };
    let writes = writes.into_iter().map(|write| AuditedWrite { event: event(&write), write }).collect();
    let id = ChangeId::from_bytes((number as u128).to_be_bytes());
    Change { id, at: noon(), writes, guards: vec![], idempotency: None }
}

/// Keys of three organizations, some revoked, renamed or expired; users, some suspended or closed; counts, events and
/// names.
pub async fn sample(store: &impl Ledger) {
    for number in 0..KEYS {
        let owner = user(number);
        let row = KeyRow {
            organization: owner.organization.as_str().into(),
            id: id(number).as_str().into(),
            kind: "user".into(),
            owner: owner.owner.id().into(),
            pepper_id: Some(1),
            expires_at: (number % 4 == 1).then_some(5),
            ..KeyRow::example()
        };
        store.apply(&change(10 * number, vec![Write::Insert(row.clone())])).await.unwrap();
        let later = match number % 4 {
            0 => Write::Revoke { organization: owner.organization, id: id(number), by: "user:bob".into() },
            1 => Write::Update(KeyUpdate {
                organization: owner.organization,
                id: id(number),
                expected_version: 1,
                name: "Tuesday cron".into(),
                labels: row.labels,
                scopes: "a b".into(),
                allowed_networks: None,
                responsible: Some("user:bob".into()),
                expires_at: None,
            }),
            2 => Write::Owner(owner, OwnerChange::Suspend(Suspension::Admin)),
            _ => Write::Owner(owner, OwnerChange::Close),
        };
        store.apply(&change(10 * number + 1, vec![later])).await.unwrap();
    }
    let used = |number: usize| UsageRow {
        key: (number > 1).then(|| id(number).as_str().into()),
        organization: (number == 1).then(|| "acme".into()),
        outcome: if number.is_multiple_of(3) { "key_revoked".into() } else { "success".into() },
        label: "intake".into(),
        client: "curl".into(),
        network: "203.0.113.0/24".into(),
        count: number as i64 + 1,
        first_at: 5,
        last_at: 5 + number as i64,
    };
    let rows: Vec<_> = (0..9).map(used).collect();
    let days = UsageDayRow::sums(&rows);
    store.record_usage(&UsageBatch { writer: [7; 16], sequence: 1, rows, days }).await.unwrap();
    for name in META {
        store.put_meta_if_absent(name, name.as_bytes()).await.unwrap();
    }
}

/// A key, its owner's suspension, its usage and their event. The sample has none of them.
pub async fn stranger(store: &impl Ledger) {
    let row = KeyRow { id: "_".repeat(20), kind: "user".into(), owner: "mallory".into(), ..KeyRow::example() };
    let owner = OwnerRef { organization: OrganizationId::single(), owner: UserId::new("mallory").unwrap().into() };
    let suspension = Write::Owner(owner, OwnerChange::Suspend(Suspension::Plan));
    let usage = UsageRow {
        key: Some(row.id.clone()),
        organization: None,
        outcome: "success".into(),
        label: String::new(),
        client: String::new(),
        network: String::new(),
        count: 1,
        first_at: 1,
        last_at: 1,
    };
    let rows = vec![usage];
    let days = UsageDayRow::sums(&rows);
    store.record_usage(&UsageBatch { writer: [8; 16], sequence: 1, rows, days }).await.unwrap();
    let writes = vec![Write::Insert(row), suspension];
    store.apply(&change(7, writes)).await.unwrap();
}

/// The sample's organizations in a store: its answers, and its export, row by row.
#[derive(Debug, PartialEq)]
pub struct Content {
    keys: Vec<ListedKey>,
    owners: Vec<OwnerStatusRow>,
    events: Vec<EventRow>,
    rows: Vec<Batch>,
}

pub async fn content(store: &impl PortableStore) -> Content {
    let mut content = Content { keys: vec![], owners: vec![], events: vec![], rows: all_rows(store).await };
    for number in 0..ORGANIZATIONS.len() {
        let query = KeyQuery { limit: 1_000, ..KeyQuery::all(organization(number)) };
        content.keys.extend(store.list(&query, Timestamp::MIN).await.unwrap().rows);
        let query = EventQuery { limit: 1_000, ..EventQuery::all(organization(number)) };
        content.events.extend(store.events(&query).await.unwrap().rows);
    }
    for number in 0..KEYS {
        content.owners.push(store.owner_status(&user(number)).await.unwrap().owner);
    }
    content
}

/// All rows, one batch for each table.
pub async fn all_rows(store: &impl PortableStore) -> Vec<Batch> {
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::START));
    while let Some(from) = cursor {
        let page = store.export(&from, 10_000).await.unwrap();
        all.push(page.rows);
        cursor = page.next;
    }
    all
}
