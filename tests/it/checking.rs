//! What a check costs, what it proves, and what it does when something changes during the check.

use std::sync::{Arc, atomic::Ordering};

use futures_util::{
    FutureExt,
    future::{join, join_all},
    poll,
};
use tower_api_keys::{
    ApiKeys, Authenticator, KeyKind, ManualClock, OrganizationId,
    audit::{Action, Event, EventRow, Subject},
    auth::AuthErrorKind,
    key::{KeyFormat, KeyId, PlaintextKey},
    manage::IssueKey,
    record::{ActorId, Suspension, SystemLabel},
    store::{
        AuditedWrite, Change, ChangeId, EventQuery, KeyReader, KeyStore, Ledger, MemoryStore, OwnerChange, OwnerRef,
        Write,
    },
};

use crate::support::{
    clock,
    hooked::{Fault, Hooked, Hooks},
    issue, keys, noon, system, team, user, wrong_secret,
};

/// A service with one team key, its store's hooks and the store behind them.
struct Service {
    keys: ApiKeys<Hooked<Arc<MemoryStore>>>,
    hooks: Arc<Hooks>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    key: PlaintextKey,
}

async fn service() -> Service {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let key = issue(&keys, team("blue")).await;
    // The node now behaves as one that did not create the key.
    keys.authenticator().forget_proofs();
    hooks.reset();
    Service { keys, hooks, store, clock, key }
}

impl Service {
    fn authenticator(&self) -> Authenticator<Hooked<Arc<MemoryStore>>> {
        self.keys.authenticator()
    }

    fn runs(&self) -> u64 {
        self.authenticator().argon2_runs()
    }

    async fn check(&self, text: &str) -> Result<(), AuthErrorKind> {
        self.authenticator().authenticate(text).await.map(|_| ()).map_err(|error| error.kind())
    }

    async fn check_key(&self) -> Result<(), AuthErrorKind> {
        self.check(self.key.expose_secret()).await
    }

    /// Writes past the manager and the hooks, as another node would.
    fn write(&self, id: u8, write: Write) {
        write_elsewhere(&self.store, id, write);
    }

    fn revocation(&self) -> Write {
        Write::Revoke { organization: OrganizationId::single(), id: self.key.id(), by: "user:admin".into() }
    }
}

fn write_elsewhere(store: &MemoryStore, id: u8, write: Write) {
    let subject = Subject::Owner(team("blue").into());
    let actor = ActorId::System(SystemLabel::new("elsewhere").unwrap());
    let event = EventRow::from(&Event::new(OrganizationId::single(), noon(), actor, Action::OWNER_SUSPENDED, subject));
    let writes = vec![AuditedWrite { write, event }];
    let change = Change { id: ChangeId::from_bytes([id; 16]), at: noon(), writes, guards: vec![], idempotency: None };
    store.apply(&change).now_or_never().unwrap().unwrap();
}

fn blue() -> OwnerRef {
    OwnerRef { organization: OrganizationId::single(), owner: team("blue").into() }
}

#[tokio::test]
async fn every_altered_text_is_refused_without_a_store_call_or_a_hash() {
    let service = service().await;
    let text = service.key.expose_secret().as_bytes().to_vec();
    let runs = service.runs();
    let mut refused = 0;
    let mut refuse = async |altered: Vec<u8>| {
        if altered != text
            && let Ok(altered) = String::from_utf8(altered)
        {
            assert!(matches!(service.check(&altered).await, Err(AuthErrorKind::Malformed(_))), "{altered:?}");
            refused += 1;
        }
    };
    for at in 0..=text.len() {
        for byte in 0..=127 {
            let mut inserted = text.clone();
            inserted.insert(at, byte);
            refuse(inserted).await;
            if at < text.len() {
                let mut substituted = text.clone();
                substituted[at] = byte;
                refuse(substituted).await;
            }
        }
        if at < text.len() {
            let mut deleted = text.clone();
            deleted.remove(at);
            refuse(deleted).await;
        }
        if at + 1 < text.len() {
            let mut swapped = text.clone();
            swapped.swap(at, at + 1);
            refuse(swapped).await;
        }
    }
    assert!(refused > 18_000, "{refused}");
    assert!(service.hooks.calls().is_empty(), "{:?}", service.hooks.calls());
    assert_eq!(service.runs(), runs);
}

#[tokio::test]
async fn a_proved_key_costs_no_store_call_and_no_hash() {
    let service = service().await;
    assert_eq!(service.check_key().await, Ok(()));
    service.hooks.reset();
    let runs = service.runs();
    for _ in 0..100 {
        assert_eq!(service.check_key().await, Ok(()));
    }
    assert!(service.hooks.calls().is_empty());
    assert_eq!(service.runs(), runs);
}

#[tokio::test]
async fn a_wrong_secret_costs_no_hash() {
    let service = service().await;
    let (wrong, runs) = (wrong_secret(&service.key), service.runs());
    assert_eq!(service.check(&wrong).await, Err(AuthErrorKind::Invalid));
    assert_eq!(service.runs(), runs);
    assert_eq!(service.hooks.count("find"), 1);
}

#[tokio::test]
async fn a_wrong_secret_of_a_proved_key_costs_nothing() {
    let service = service().await;
    assert_eq!(service.check_key().await, Ok(()));
    service.hooks.reset();
    let runs = service.runs();
    assert_eq!(service.check(&wrong_secret(&service.key)).await, Err(AuthErrorKind::Invalid));
    assert!(service.hooks.calls().is_empty());
    assert_eq!(service.runs(), runs);
}

#[tokio::test]
async fn an_unknown_id_costs_no_hash_and_is_not_remembered() {
    let service = service().await;
    let runs = service.runs();
    let elsewhere = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    for looked_up in 1..=3 {
        assert_eq!(service.check(elsewhere.expose_secret()).await, Err(AuthErrorKind::Invalid));
        assert_eq!(service.hooks.count("find"), looked_up);
    }
    assert_eq!(service.runs(), runs);
}

#[tokio::test]
async fn dead_and_suspended_keys_cost_no_hash() {
    let service = service().await;
    let runs = service.runs();
    service.write(1, Write::Owner(blue(), OwnerChange::Suspend(Suspension::Plan)));
    assert_eq!(service.check_key().await, Err(AuthErrorKind::OwnerPlanSuspended));
    service.write(2, service.revocation());
    assert_eq!(service.check_key().await, Err(AuthErrorKind::Revoked));
    assert_eq!(service.runs(), runs);
}

#[tokio::test]
async fn why_a_key_is_dead_is_told_only_to_who_has_it() {
    let service = service().await;
    service.write(1, service.revocation());
    assert_eq!(service.check(&wrong_secret(&service.key)).await, Err(AuthErrorKind::Invalid));
    assert_eq!(service.check_key().await, Err(AuthErrorKind::Revoked));
}

/// A well-formed text with the id of one key and the secret of another.
fn with_secret_of(key: &PlaintextKey, other: &PlaintextKey) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let stem = format!("{}{}", &key.expose_secret()[..26], &other.expose_secret()[26..70]);
    let checksum = crc32fast::hash(stem.as_bytes()).to_be_bytes();
    format!("{stem}{}", Base64UrlUnpadded::encode_string(&checksum[1..]))
}

#[tokio::test]
async fn a_key_of_the_other_kind_is_unknown() {
    let service = service().await;
    // The text as a personal key with the id of the team key: well-formed, but not the text that was issued.
    let text = service.key.expose_secret().replacen("team.", "user.", 1);
    let stem = &text[..text.len() - 4];
    let checksum = crc32fast::hash(stem.as_bytes()).to_be_bytes();
    use base64ct::{Base64UrlUnpadded, Encoding};
    let other_kind = format!("{stem}{}", Base64UrlUnpadded::encode_string(&checksum[1..]));
    for _ in 0..2 {
        assert_eq!(service.check(&other_kind).await, Err(AuthErrorKind::Invalid));
        assert_eq!(service.check_key().await, Ok(()));
    }
}

#[tokio::test]
async fn a_row_that_was_given_to_another_kind_of_owner_proves_nothing() {
    let service = service().await;
    service.hooks.alter(|found| found.key.kind = "user".into());
    let runs = service.authenticator().argon2_runs();
    assert_eq!(service.check_key().await, Err(AuthErrorKind::Invalid));
    assert_eq!(service.authenticator().argon2_runs(), runs);
}

#[tokio::test]
async fn a_corrupt_record_says_nothing_against_any_key() {
    let service = service().await;
    let other = issue(&service.keys, team("blue")).await;
    // The tag may be as corrupt as the hash, so the caller is not told that the secret is wrong.
    service.hooks.alter(|found| found.key.hash = "$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA".into());
    for text in [service.key.expose_secret().to_owned(), with_secret_of(&service.key, &other)] {
        assert_eq!(service.check(&text).await, Err(AuthErrorKind::CorruptRecord));
    }
    service.hooks.heal();
    assert_eq!(service.check(&with_secret_of(&service.key, &other)).await, Err(AuthErrorKind::Invalid));
}

#[tokio::test]
async fn an_expired_key_is_refused_from_the_very_millisecond() {
    let service = service().await;
    let at = noon().saturating_add(std::time::Duration::from_millis(10));
    let key = service.keys.manager();
    let request = IssueKey::user(user("alice")).expires_at(at);
    let key = key.issue(request, &system()).await.unwrap().into_plaintext();
    service.clock.advance(std::time::Duration::from_millis(9));
    assert_eq!(service.check(key.expose_secret()).await, Ok(()));
    service.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(service.check(key.expose_secret()).await, Err(AuthErrorKind::Expired));
}

#[tokio::test]
async fn a_revocation_elsewhere_is_noticed_by_the_next_check() {
    for hides_head in [false, true] {
        let service = service().await;
        service.hooks.hides_head.store(hides_head, Ordering::SeqCst);
        assert_eq!(service.check_key().await, Ok(()));
        service.write(1, service.revocation());
        assert_eq!(service.check_key().await, Err(AuthErrorKind::Revoked));
    }
}

#[tokio::test]
async fn a_suspension_and_its_end_cost_no_hash() {
    let service = service().await;
    assert_eq!(service.check_key().await, Ok(()));
    let runs = service.runs();
    service.write(1, Write::Owner(blue(), OwnerChange::Suspend(Suspension::Admin)));
    assert_eq!(service.check_key().await, Err(AuthErrorKind::OwnerSuspended));
    service.write(2, Write::Owner(blue(), OwnerChange::Reinstate(Suspension::Admin)));
    assert_eq!(service.check_key().await, Ok(()));
    assert_eq!(service.runs(), runs);
}

#[tokio::test]
async fn a_record_read_before_a_revocation_is_not_remembered_after_it() {
    let service = service().await;
    let (store, id) = (service.store.clone(), service.key.id());
    // The look-up reads before the revocation. The revocation returns before the look-up's answer arrives.
    let write = service.revocation();
    let revoke = std::sync::Mutex::new(Some(write));
    service.hooks.alter(move |_| {
        if let Some(write) = revoke.lock().unwrap().take() {
            write_elsewhere(&store, 1, write);
        }
    });
    let _either = service.check_key().await;
    service.hooks.heal();
    assert_eq!(service.check_key().await, Err(AuthErrorKind::Revoked));
    assert!(service.store.find(&id).await.unwrap().unwrap().key.revoked_at.is_some());
}

#[tokio::test]
async fn a_key_revoked_while_it_is_hashed_is_refused() {
    let service = service().await;
    service.hooks.hides_head.store(true, Ordering::SeqCst);
    let (store, write) = (service.store.clone(), service.revocation());
    // The first read of the log precedes the look-up, the second follows the hash.
    service.hooks.before("changes_since", 1, move || write_elsewhere(&store, 1, write));
    let runs = service.runs();
    assert_eq!(service.check_key().await, Err(AuthErrorKind::Revoked));
    assert_eq!(service.runs(), runs + 1);
}

#[tokio::test]
async fn a_thousand_simultaneous_first_uses_cost_one_hash() {
    let service = service().await;
    let (wrong, runs) = (wrong_secret(&service.key), service.runs());
    let authenticator = service.authenticator();
    let right = join_all((0..1_000).map(|_| authenticator.authenticate(service.key.expose_secret())));
    let (right, wrong) = join(right, authenticator.authenticate(&wrong)).await;
    assert!(right.iter().all(Result::is_ok));
    assert_eq!(wrong.unwrap_err().kind(), AuthErrorKind::Invalid);
    assert_eq!(service.runs(), runs + 1);
}

#[tokio::test]
async fn a_dropped_first_use_costs_the_others_nothing() {
    let service = service().await;
    service.hooks.hides_head.store(true, Ordering::SeqCst);
    let authenticator = service.authenticator();
    for polls in 1..12 {
        authenticator.forget_proofs();
        let mut dropped = Box::pin(authenticator.authenticate(service.key.expose_secret()));
        for _ in 0..polls {
            // If hashing is fast, or this thread slow, the hash ends before the last of them.
            if poll!(&mut dropped).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(dropped);
        assert_eq!(service.check_key().await, Ok(()));
    }
}

#[tokio::test]
async fn a_store_that_fails_costs_that_request_only() {
    for call in ["find", "changes_since"] {
        for fault in [Fault::Error, Fault::Hang, Fault::Panic] {
            let service = service().await;
            service.hooks.hides_head.store(true, Ordering::SeqCst);
            service.hooks.fail(call, fault, 1);
            // No hash runs before the failure, so only the time-out waits for the clock.
            tokio::time::pause();
            let error = service.authenticator().authenticate(service.key.expose_secret()).await.unwrap_err();
            assert_eq!(error.kind(), AuthErrorKind::StoreUnavailable, "{call} {fault:?}");
            tokio::time::resume();
            assert_eq!(service.check_key().await, Ok(()), "{call} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_corrupt_record_is_reported_once_and_says_nothing_against_the_key() {
    let service = service().await;
    service.hooks.alter(|found| found.key.hash = "$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA".into());
    for _ in 0..3 {
        assert_eq!(service.check_key().await, Err(AuthErrorKind::CorruptRecord));
    }
    // Tasks of this single-threaded runtime write it. Let them run now.
    tokio::task::yield_now().await;
    service.hooks.heal();
    assert_eq!(service.check_key().await, Ok(()));
    let query = EventQuery {
        action: Some(Action::KEY_UNREADABLE.as_str().into()),
        ..EventQuery::all(OrganizationId::single())
    };
    assert_eq!(service.store.events(&query).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_store_that_finds_another_keys_record_hands_it_to_nobody() {
    let service = service().await;
    let other = issue(&service.keys, team("blue")).await;
    let row = service.store.find(&other.id()).await.unwrap().unwrap();
    service.hooks.alter(move |found| *found = row.clone());
    assert_eq!(service.check_key().await, Err(AuthErrorKind::CorruptRecord));
}

#[tokio::test]
async fn a_hash_moved_onto_another_record_proves_nothing() {
    let service = service().await;
    let other = issue(&service.keys, team("blue")).await;
    let own = service.store.find(&service.key.id()).await.unwrap().unwrap().key;
    let id = other.id();
    service.hooks.alter(move |found| {
        if found.key.id == id.as_str() {
            (found.key.hash, found.key.tag) = (own.hash.clone(), own.tag);
        }
    });
    assert_eq!(service.check(other.expose_secret()).await, Err(AuthErrorKind::Invalid));
    // The secret that matches the hash, under the id of the other key.
    let text = format!("team.{}.{}", other.id(), &service.key.expose_secret()[26..]);
    assert!(matches!(service.check(&text).await, Err(AuthErrorKind::Malformed(_))));
}

#[tokio::test]
async fn a_text_that_matches_the_tag_and_not_the_hash_is_reported() {
    let service = service().await;
    let mut hash = service.store.find(&service.key.id()).await.unwrap().unwrap().key.hash;
    // Another output of the same cost, as if an attacker had found a text with the same tag.
    let last = hash.pop().unwrap();
    hash.push(if last == 'A' { 'E' } else { 'A' });
    service.hooks.alter(move |found| found.key.hash.clone_from(&hash));
    assert_eq!(service.check_key().await, Err(AuthErrorKind::Invalid));
    tokio::task::yield_now().await;
    let query =
        EventQuery { action: Some(Action::KEY_FORGED.as_str().into()), ..EventQuery::all(OrganizationId::single()) };
    assert_eq!(service.store.events(&query).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn recheck_notices_what_happened_since() {
    let service = service().await;
    let principal = service.authenticator().authenticate(service.key.expose_secret()).await.unwrap();
    assert!(service.authenticator().recheck(&principal).await.is_ok());
    service.write(1, Write::Owner(blue(), OwnerChange::Suspend(Suspension::Admin)));
    let suspended = service.authenticator().recheck(&principal).await.unwrap_err();
    assert_eq!(suspended.kind(), AuthErrorKind::OwnerSuspended);
    service.write(2, service.revocation());
    let revoked = service.authenticator().recheck(&principal).await.unwrap_err();
    assert_eq!(revoked.kind(), AuthErrorKind::Revoked);
}

#[tokio::test]
async fn forgetting_proofs_costs_a_hash_again() {
    let service = service().await;
    assert_eq!(service.check_key().await, Ok(()));
    let runs = service.runs();
    service.authenticator().forget_proofs();
    assert_eq!(service.check_key().await, Ok(()));
    assert_eq!(service.runs(), runs + 1);
}

#[tokio::test]
async fn a_key_made_on_one_node_works_on_another_at_once() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let (here, there) = (keys(store.clone(), &clock).await, keys(store, &clock).await);
    for _ in 0..3 {
        let key = issue(&here, team("blue")).await;
        assert!(there.authenticator().authenticate(key.expose_secret()).await.is_ok());
    }
}

#[test]
fn a_node_survives_the_runtime_it_was_made_in() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime().block_on(async {
        let service = service().await;
        service.hooks.hides_head.store(true, Ordering::SeqCst);
        // A read of the log is running when the runtime ends.
        service.hooks.fail("changes_since", Fault::Hang, 1);
        let mut lost = Box::pin(async { service.check_key().await });
        assert!(poll!(&mut lost).is_pending());
        tokio::task::yield_now().await;
        drop(lost);
        service
    });
    assert_eq!(runtime().block_on(service.check_key()), Ok(()));
}

#[tokio::test]
async fn ids_are_compared_byte_by_byte() {
    let service = service().await;
    let swapped: String = service.key.id().as_str().chars().map(swap_case).collect();
    let id = KeyId::new(&swapped).unwrap();
    if id != service.key.id() {
        assert!(service.store.find(&id).await.unwrap().is_none());
    }
}

fn swap_case(c: char) -> char {
    if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
}
