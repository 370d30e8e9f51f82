//! The first use of a key: on the node that created it, and while other actors create keys without end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, ManualClock, OrganizationId, Principal, Timestamp,
    audit::EventRow,
    auth::{AuthErrorKind, Freshness},
    hash::Argon2Params,
    key::{KeyId, PlaintextKey},
    manage::{ManageErrorKind, Rights, RotateKey},
    record::{KeyRow, Suspension},
    store::{
        AuditedWrite, Change, ChangeId, KeyReader, KeyStore, Ledger, MemoryStore, RehashedKey, SqliteStore, Write,
    },
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked},
    issue, keys,
    secrets::{remember, scratch},
    system, team, user, wrong_secret,
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn check<S: Ledger>(keys: &ApiKeys<S>, text: &str) -> Result<(), AuthErrorKind> {
    keys.authenticator().authenticate(text).await.map(|_| ()).map_err(|error| error.kind())
}

fn runs<S: Ledger>(keys: &ApiKeys<S>) -> u64 {
    keys.authenticator().argon2_runs()
}

/// A new key is first used an hour later, on the node that created it and on another one.
async fn the_node_that_made_a_key_knows_it<S: Ledger>(store: Arc<S>, freshness: Freshness) {
    let clock = clock();
    let node = async || {
        ApiKeys::builder(store.clone()).hasher(cheap()).clock(clock.clone()).freshness(freshness).build().await
    };
    let (here, there) = (node().await.unwrap(), node().await.unwrap());
    let key = issue(&here, team("blue")).await;
    clock.advance(HOUR);
    assert_eq!(check(&here, key.expose_secret()).await, Ok(()));
    assert_eq!(check(&here, key.expose_secret()).await, Ok(()));
    assert_eq!(runs(&here), 1, "the hash that was made, and no other");

    let rotated = here.manager().begin_rotation(RotateKey::of(key.id()), &system()).await.unwrap();
    let new = remembered(rotated.into_plaintext());
    assert_eq!(check(&here, new.expose_secret()).await, Ok(()));
    assert_eq!(check(&here, key.expose_secret()).await, Ok(()));
    assert_eq!(runs(&here), 2);

    for (number, key) in (1..).zip([&key, &new]) {
        assert_eq!(check(&there, key.expose_secret()).await, Ok(()));
        assert_eq!(runs(&there), number, "another node has to prove it");
    }
}

fn remembered(key: PlaintextKey) -> PlaintextKey {
    remember(key.expose_secret());
    key
}

#[tokio::test]
async fn the_first_use_on_the_node_that_made_the_key_runs_no_argon2() {
    let folder = scratch();
    for freshness in [Freshness::Strict, Freshness::Bounded(Duration::from_secs(5))] {
        the_node_that_made_a_key_knows_it(Arc::new(MemoryStore::new()), freshness).await;
        let path = folder.path().join(format!("{freshness:?}.db"));
        the_node_that_made_a_key_knows_it(Arc::new(SqliteStore::open(path).await.unwrap()), freshness).await;
    }
}

#[tokio::test]
async fn a_key_of_another_organization_and_of_a_brand_is_known_too() {
    let builder = ApiKeys::builder(MemoryStore::new()).hasher(cheap()).brand("acme");
    let keys = builder.build().await.unwrap();
    let organization = OrganizationId::new("other").unwrap();
    let manager = keys.manager_for(organization.clone());
    let key = manager.issue(IssueKey::user(user("alice")), &system()).await.unwrap().into_plaintext();
    let principal = keys.authenticator().authenticate(remembered(key).expose_secret()).await.unwrap();
    assert_eq!((principal.organization(), runs(&keys)), (&organization, 1));
}

#[tokio::test]
async fn a_personal_key_that_is_rotated_into_a_team_is_known_too() {
    let keys = keys(MemoryStore::new(), &clock()).await;
    let old = issue(&keys, user("alice")).await;
    let rotate = RotateKey::of(old.id()).into_team(team("blue"));
    let new = remembered(keys.manager().begin_rotation(rotate, &system()).await.unwrap().into_plaintext());
    let principal = keys.authenticator().authenticate(new.expose_secret()).await.unwrap();
    assert_eq!((principal.owner(), runs(&keys)), (&team("blue").into(), 2));
}

/// The node remembers only a proof. A change to the key counts, whichever node made it.
#[tokio::test]
async fn a_new_key_that_ended_before_its_first_use_is_refused() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let (here, there) = (keys(store.clone(), &clock).await, keys(store, &clock).await);
    for elsewhere in [&here, &there] {
        let key = issue(&here, team("blue")).await;
        elsewhere.manager().revoke(&key.id(), &system()).await.unwrap();
        assert_eq!(check(&here, key.expose_secret()).await, Err(AuthErrorKind::Revoked));

        let key = issue(&here, user("bob")).await;
        elsewhere.manager().suspend(&user("bob").into(), Suspension::Admin, &system()).await.unwrap();
        assert_eq!(check(&here, key.expose_secret()).await, Err(AuthErrorKind::OwnerSuspended));
        elsewhere.manager().reinstate(&user("bob").into(), Suspension::Admin, &system()).await.unwrap();
        assert_eq!(check(&here, key.expose_secret()).await, Ok(()));

        let request = IssueKey::team(team("blue")).expires_at(clock_in(&clock, HOUR));
        let key = remembered(here.manager().issue(request, &system()).await.unwrap().into_plaintext());
        clock.advance(HOUR);
        assert_eq!(check(&here, key.expose_secret()).await, Err(AuthErrorKind::Expired));
    }
}

fn clock_in(clock: &ManualClock, time: Duration) -> tower_api_keys::Timestamp {
    tower_api_keys::Clock::now(clock).saturating_add(time)
}

#[tokio::test]
async fn a_wrong_secret_of_a_new_key_is_refused_and_spoils_nothing() {
    let keys = keys(MemoryStore::new(), &clock()).await;
    let key = issue(&keys, team("blue")).await;
    assert_eq!(check(&keys, &wrong_secret(&key)).await, Err(AuthErrorKind::Invalid));
    assert_eq!(check(&keys, key.expose_secret()).await, Ok(()));
    assert_eq!(runs(&keys), 1);
}

/// The proof belongs to one hash. A restored or changed row has another hash.
#[tokio::test]
async fn a_new_key_whose_stored_hash_was_replaced_is_proved_again() {
    let store = Arc::new(MemoryStore::new());
    let keys = keys(store.clone(), &clock()).await;
    let key = issue(&keys, team("blue")).await;
    let row = store.find(&key.id()).await.unwrap().unwrap().key;
    let forged = format!("$argon2id$v=19$m=64,t=1,p=1${}${}", "A".repeat(22), "A".repeat(43));
    let new = RehashedKey { hash: forged, tag: row.tag, pepper_id: None, proof: None };
    assert!(store.rehash(&key.id(), &row.hash, &new).await.unwrap());
    assert_eq!(check(&keys, key.expose_secret()).await, Err(AuthErrorKind::Invalid));
    assert_eq!(runs(&keys), 2);
}

/// A key that the store may not have is not remembered.
#[tokio::test]
async fn a_key_that_was_not_made_for_certain_is_not_remembered() {
    let hooked = Hooked::new(MemoryStore::new());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock()).await;
    let remembered = || keys.authenticator().metrics().proofs_remembered;
    for fault in [Fault::DoneUnsaid, Fault::Error, Fault::Panic, Fault::Corrupt] {
        hooks.fail("apply", fault, usize::MAX);
        keys.manager().issue(IssueKey::team(team("blue")), &system()).await.unwrap_err();
        hooks.heal();
        assert_eq!(remembered(), 0, "{fault:?}");
    }
    let request = IssueKey::team(team("blue")).idempotency_key("once");
    let first = keys.manager().issue(request.clone(), &system()).await.unwrap();
    crate::support::secrets::remember(first.plaintext().expose_secret());
    let again = keys.manager().issue(request, &system()).await.unwrap_err();
    assert_eq!((again.kind(), remembered()), (ManageErrorKind::IdempotencyKeyUsed, 1));
}

#[tokio::test]
async fn new_keys_take_no_more_places_than_there_are() {
    let builder = ApiKeys::builder(MemoryStore::new()).hasher(cheap()).cache_capacity(8);
    let keys = builder.build().await.unwrap();
    for _ in 0..100 {
        issue(&keys, team("blue")).await;
    }
    assert!(keys.authenticator().metrics().proofs_remembered <= 8);
}

/// Uses many keys for the first time at once, while `tasks` tasks create keys without end. Returns how many hashes
/// those tasks got until the last of the keys was accepted.
async fn hashes_of_others(first_uses: usize, tasks: usize, actor: impl Fn(usize) -> Actor) -> u64 {
    let hasher = cheap().with_threads(1).with_check_wait(Duration::from_secs(60));
    let keys = ApiKeys::builder(MemoryStore::new()).hasher(hasher).build().await.unwrap();
    let mut fresh = Vec::new();
    for _ in 0..first_uses {
        fresh.push(issue(&keys, team("blue")).await);
    }
    keys.authenticator().forget_proofs();
    let made = Arc::new(AtomicU64::new(0));
    let mut issuing = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (manager, actor, made) = (keys.manager(), actor(task), made.clone());
        issuing.spawn(async move {
            loop {
                match manager.issue(IssueKey::user(user("mallory")), &actor).await {
                    Ok(_) => drop(made.fetch_add(1, Ordering::Relaxed)),
                    Err(error) if error.kind() == ManageErrorKind::ActorBusy => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while made.load(Ordering::Relaxed) < 10 {
        tokio::task::yield_now().await;
    }
    let before = runs(&keys);
    let answers = join_all(fresh.iter().map(|key| check(&keys, key.expose_secret()))).await;
    let others = runs(&keys) - before - first_uses as u64;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    others
}

/// The others get half of the hashes, plus those made while the requests and the last answer are on their way: a round
/// of all tasks each, or a few if the machine is busy. With equal shares for each task instead, the ratio would be 64
/// to one.
fn assert_half(others: u64) {
    assert!(others <= 4 * 200, "200 first uses, and {others} other hashes meanwhile");
}

#[tokio::test]
async fn first_uses_keep_half_of_the_hashes_beside_64_tasks_of_one_who_makes_keys() {
    assert_half(hashes_of_others(200, 64, |_| Actor::user(user("mallory"), Rights::none())).await);
}

#[tokio::test]
async fn first_uses_keep_half_of_the_hashes_beside_64_who_make_keys() {
    assert_half(hashes_of_others(200, 64, |task| Actor::system(format!("job {task}")).unwrap()).await);
}

/// The requests of one actor are refused with a clear error, while those of another succeed.
#[tokio::test]
async fn an_actor_who_makes_too_many_keys_at_once_is_told_so_and_no_other_is() {
    let hasher = cheap().with_threads(1).with_params(Argon2Params::STANDARD);
    let store = Arc::new(MemoryStore::new());
    let keys = ApiKeys::builder(Arc::clone(&store)).hasher(hasher).build().await.unwrap();
    let (manager, mallory) = (keys.manager(), Actor::system("mallory").unwrap());
    let request = || IssueKey::user(user("mallory"));
    let issuing = || manager.issue(request(), &mallory);
    let mut asked: Vec<_> = (0..20).map(|_| Box::pin(issuing())).collect();
    let mut refused = 0;
    for ask in &mut asked {
        if let std::task::Poll::Ready(Err(error)) = futures_util::poll!(ask) {
            assert_eq!(error.kind(), ManageErrorKind::ActorBusy);
            assert!(error.retry_after().is_some());
            assert_eq!(
                error.to_string(),
                "too many keys are being created for this user at the same time: wait until these requests are answered, then try again"
            );
            refused += 1;
        }
    }
    assert!((1..=4).contains(&refused), "{refused} of 20 were refused");
    // An actor with several keys is still one actor.
    let with_key = async |id: String| {
        let scopes = "* keys:manage";
        let (kind, owner) = ("user".into(), "bob".into());
        let row = KeyRow { id: id.clone(), kind, owner, scopes: scopes.into(), ..KeyRow::example() };
        let writes = vec![AuditedWrite { write: Write::Insert(row), event: EventRow::example() }];
        let mut change = [0; 16];
        change.copy_from_slice(&id.as_bytes()[4..]);
        let (change, at) = (ChangeId::from_bytes(change), Timestamp::MIN);
        let change = Change { id: change, at, writes, guards: Vec::new(), idempotency: None };
        store.apply(&change).await.unwrap();
        let key = Principal::fake().user("bob").unwrap().key(KeyId::new(&id).unwrap());
        Actor::key(&key.scopes(scopes.parse().unwrap()).build(), Rights::none())
    };
    let mut keys_of_bob = Vec::new();
    for number in 0..40 {
        keys_of_bob.push(with_key(format!("{number:0>20}")).await);
    }
    let mut asked: Vec<_> =
        keys_of_bob.iter().map(|key| Box::pin(manager.issue(IssueKey::user(user("bob")), key))).collect();
    let answers = asked.iter_mut().filter_map(futures_util::FutureExt::now_or_never);
    let refused: Vec<_> = answers.filter_map(Result::err).map(|error| error.kind()).collect();
    assert!(refused.len() >= 20 && refused.iter().all(|kind| *kind == ManageErrorKind::ActorBusy), "{refused:?}");
    // The same name in another organization is another actor. So is any other name.
    let elsewhere = keys.manager_for(OrganizationId::new("other").unwrap());
    let alice = Actor::system("alice").unwrap();
    for ask in [elsewhere.issue(request(), &mallory), manager.issue(request(), &alice)] {
        let mut ask = Box::pin(ask);
        assert!(futures_util::poll!(&mut ask).is_pending());
    }
}
