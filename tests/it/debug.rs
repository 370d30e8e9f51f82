//! What `Debug` prints for values that hold a hash, a tag, a proof, a check value of a pepper, or an idempotency key.

use std::fmt::Debug;

use tower_api_keys::{
    IssueKey, TeamId, Timestamp,
    audit::EventRow,
    key::KeyId,
    manage::RotateKey,
    record::{KeyRecord, KeyRow, OwnerStatusRow},
    store::{
        AuditedWrite, Change, ChangeId, FoundKey, IdempotentRequest, ListedKey, Page, RehashedKey, Write,
        transfer::{self, Batch, Cursor, MetaRow},
    },
    usage::UsageTotals,
};

const SALT: &str = "c2FsdHNhbHRzYWx0c2FsdA";
const HASH: &str = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
const TAG: [u8; 4] = [171, 205, 239, 151];
const PROOF: u8 = 209;
const REQUEST: &str = "request 3f1c5a4e";
const DIGEST: u8 = 227;
const VALUE: u8 = 233;

fn row() -> KeyRow {
    KeyRow {
        hash: format!("$argon2id$v=19$m=64,t=1,p=1${SALT}${HASH}"),
        tag: TAG,
        pepper_id: Some(7),
        proof: Some(vec![PROOF; 32]),
        ..KeyRow::example()
    }
}

fn listed() -> ListedKey {
    let active = OwnerStatusRow::default();
    ListedKey {
        key: row(),
        owner: active,
        organization: active,
        creator: active,
        usage: Some(UsageTotals::default()),
        successor: None,
        predecessor_is_live: false,
    }
}

fn audited() -> AuditedWrite {
    AuditedWrite { write: Write::Insert(row()), event: EventRow::example() }
}

fn request() -> IdempotentRequest {
    IdempotentRequest { key: REQUEST.into(), digest: [DIGEST; 32] }
}

fn rehashed() -> RehashedKey {
    let KeyRow { hash, tag, pepper_id, proof, .. } = row();
    RehashedKey { hash, tag, pepper_id, proof }
}

fn meta() -> MetaRow {
    MetaRow { name: "pepper 7".into(), value: vec![VALUE; 16] }
}

/// Every public type that holds one of them.
fn all() -> Vec<(&'static str, Box<dyn Debug>)> {
    let change = Change {
        id: ChangeId::from_bytes([0; 16]),
        at: Timestamp::MIN,
        writes: vec![audited()],
        guards: vec![],
        idempotency: Some(request()),
    };
    let record = KeyRecord::try_from(&row()).unwrap();
    let (active, team) = (OwnerStatusRow::default(), TeamId::new("engineering").unwrap());
    vec![
        ("KeyRow", Box::new(row())),
        ("KeyRecord", Box::new(record.clone())),
        ("KeyHash", Box::new(record.hash)),
        ("FoundKey", Box::new(FoundKey { key: row(), owner: active, organization: active })),
        ("ListedKey", Box::new(listed())),
        ("Page", Box::new(Page { rows: vec![listed()], more: false })),
        ("RehashedKey", Box::new(rehashed())),
        ("IdempotentRequest", Box::new(request())),
        ("Write", Box::new(Write::Insert(row()))),
        ("AuditedWrite", Box::new(audited())),
        ("Change", Box::new(change)),
        ("MetaRow", Box::new(meta())),
        ("Batch of keys", Box::new(Batch::Keys(vec![row()]))),
        ("Batch of bytes", Box::new(Batch::Meta(vec![meta()]))),
        ("transfer::Page", Box::new(transfer::Page { rows: Batch::Keys(vec![row()]), next: None::<Cursor> })),
        ("IssueKey", Box::new(IssueKey::team(team).idempotency_key(REQUEST))),
        ("RotateKey", Box::new(RotateKey::of(KeyId::new(&row().id).unwrap()).idempotency_key(REQUEST))),
    ]
}

#[test]
fn debug_prints_neither_hash_nor_tag_nor_proof_nor_idempotency_key() {
    for (name, value) in all() {
        for printed in [format!("{value:?}"), format!("{value:#?}")] {
            for secret in [SALT, HASH, REQUEST] {
                assert!(!printed.contains(secret), "{name}: {printed}");
            }
            // Numbers that appear in no other part of these values.
            for byte in TAG.into_iter().chain([PROOF, DIGEST, VALUE]) {
                let is_there = printed.split(|c: char| !c.is_ascii_digit()).any(|number| number == byte.to_string());
                assert!(!is_there, "{name} prints {byte}: {printed}");
            }
        }
    }
}

#[test]
fn debug_of_a_row_prints_all_that_is_no_secret() {
    let printed = format!("{:?}", row());
    assert!(printed.contains("engineering") && printed.contains("pepper_id: Some(7)"), "{printed}");
    assert_eq!(printed.matches("[REDACTED]").count(), 3);
}
