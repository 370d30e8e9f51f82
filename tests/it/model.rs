//! Random histories against a model small enough to be obviously right. After any history, and on every store, a text
//! is accepted exactly if it was issued and neither the key nor its owner has been stopped.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*, sample::Index, strategy::Strategy, test_runner::TestRunner};
use tower_api_keys::{
    ApiKeys, Authenticator, Clock, ManualClock, OrganizationId, Owner, Scope, Scopes, TeamId, Timestamp, UserId,
    auth::AuthErrorKind,
    manage::{IssueKey, ManageErrorKind},
    record::Suspension,
    store::{AnyStore, Ledger, MemoryStore, SqliteStore},
};

use crate::support::{clock, keys, secrets::scratch, system};

/// One step of a history. Numbers are indexes into the keys issued so far.
#[derive(Clone, Debug)]
enum Step {
    Issue { owner: usize, lives_for: Option<u64> },
    Revoke { key: Index },
    Narrow { key: Index, to: usize },
    Expire { key: Index, after: u64 },
    Suspend { owner: usize, suspension: Suspension },
    Reinstate { owner: usize, suspension: Suspension },
    Close { owner: usize },
    Wait { millis: u64 },
    Check { key: Index },
    CheckAltered { key: Index, at: Index },
}

fn step() -> impl Strategy<Value = Step> {
    let owner = 0..3_usize;
    let suspension = prop_oneof![Just(Suspension::Plan), Just(Suspension::Admin)];
    prop_oneof![
        3 => (owner.clone(), proptest::option::of(1..50_u64)).prop_map(|(owner, lives_for)| Step::Issue { owner, lives_for }),
        2 => any::<Index>().prop_map(|key| Step::Revoke { key }),
        1 => (any::<Index>(), 0..3_usize).prop_map(|(key, to)| Step::Narrow { key, to }),
        1 => (any::<Index>(), 1..50_u64).prop_map(|(key, after)| Step::Expire { key, after }),
        2 => (owner.clone(), suspension.clone()).prop_map(|(owner, suspension)| Step::Suspend { owner, suspension }),
        2 => (owner.clone(), suspension).prop_map(|(owner, suspension)| Step::Reinstate { owner, suspension }),
        1 => owner.prop_map(|owner| Step::Close { owner }),
        2 => (1..40_u64).prop_map(|millis| Step::Wait { millis }),
        8 => any::<Index>().prop_map(|key| Step::Check { key }),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(key, at)| Step::CheckAltered { key, at }),
    ]
}

/// What the model knows of a key.
struct ModelKey {
    text: String,
    id: tower_api_keys::key::KeyId,
    owner: usize,
    revoked: bool,
    expires_at: Option<Timestamp>,
    scopes: Scopes,
}

#[derive(Default)]
struct ModelOwner {
    suspensions: BTreeSet<Suspension>,
    closed: bool,
}

impl ModelOwner {
    fn is_active(&self) -> bool {
        self.suspensions.is_empty() && !self.closed
    }
}

/// The model: what each answer has to be.
struct Model {
    owners: [ModelOwner; 3],
    keys: Vec<ModelKey>,
}

impl Model {
    fn verdict(&self, key: &ModelKey, now: Timestamp) -> Result<(), AuthErrorKind> {
        match key {
            ModelKey { revoked: true, .. } => Err(AuthErrorKind::Revoked),
            ModelKey { expires_at: Some(end), .. } if now >= *end => Err(AuthErrorKind::Expired),
            key => match &self.owners[key.owner] {
                ModelOwner { closed: true, .. } => Err(AuthErrorKind::OwnerClosed),
                owner if owner.suspensions.contains(&Suspension::Admin) => Err(AuthErrorKind::OwnerSuspended),
                owner if owner.suspensions.contains(&Suspension::Plan) => Err(AuthErrorKind::OwnerPlanSuspended),
                _ => Ok(()),
            },
        }
    }
}

fn scopes(which: usize) -> Scopes {
    let scope = |name: &str| Scope::new(name).unwrap();
    match which {
        0 => Scopes::none(),
        1 => Scopes::from_iter([scope("agents:read")]),
        _ => Scopes::from_iter([scope("agents:read"), scope("agents:write")]),
    }
}

/// Plays one history in its own organization. All `nodes` check every key.
async fn play<S: Ledger>(
    keys: &ApiKeys<S>,
    nodes: &[Authenticator<S>],
    clock: &Arc<ManualClock>,
    steps: Vec<Step>,
    run: usize,
) {
    let organization = OrganizationId::from(run as u64);
    let manager = keys.manager_for(organization.clone());
    let owners = [
        Owner::User(UserId::new("alice").unwrap()),
        Owner::Team(TeamId::new("blue").unwrap()),
        // The same id as the user's, but another owner.
        Owner::Team(TeamId::new("alice").unwrap()),
    ];
    let (mut model, actor) = (Model { owners: Default::default(), keys: Vec::new() }, system());
    for step in steps {
        let now = clock.now();
        match step {
            Step::Issue { owner, lives_for } => {
                let mut request = IssueKey::of(owners[owner].clone());
                let expires_at = lives_for.map(|millis| now.saturating_add(Duration::from_millis(millis)));
                if let Some(at) = expires_at {
                    request = request.expires_at(at);
                }
                let issued = manager.issue(request, &actor).await;
                assert_eq!(issued.is_ok(), model.owners[owner].is_active(), "{:?}", issued.err());
                if let Ok(issued) = issued {
                    model.keys.push(ModelKey {
                        text: issued.plaintext().expose_secret().to_owned(),
                        id: issued.plaintext().id(),
                        owner,
                        revoked: false,
                        expires_at,
                        scopes: Scopes::all(),
                    });
                }
            }
            Step::Suspend { owner, suspension } => {
                let result = manager.suspend(&owners[owner], suspension, &actor).await;
                assert_eq!(result.is_ok(), !model.owners[owner].closed);
                if result.is_ok() {
                    model.owners[owner].suspensions.insert(suspension);
                }
            }
            Step::Reinstate { owner, suspension } => {
                let result = manager.reinstate(&owners[owner], suspension, &actor).await;
                assert_eq!(result.is_ok(), !model.owners[owner].closed);
                if result.is_ok() {
                    model.owners[owner].suspensions.remove(&suspension);
                }
            }
            Step::Close { owner } => {
                manager.close(&owners[owner], &actor).await.unwrap();
                model.owners[owner].closed = true;
            }
            Step::Wait { millis } => clock.advance(Duration::from_millis(millis)),
            Step::Revoke { key } if !model.keys.is_empty() => {
                let key = key.get(&model.keys);
                manager.revoke(&key.id, &actor).await.unwrap();
                let id = key.id;
                model.keys.iter_mut().filter(|key| key.id == id).for_each(|key| key.revoked = true);
            }
            Step::Narrow { key, to } if !model.keys.is_empty() => {
                let place = key.index(model.keys.len());
                let key = &mut model.keys[place];
                let result = manager.narrow_scopes(&key.id, scopes(to), &actor).await;
                assert_eq!(result.is_ok(), !key.revoked && scopes(to).is_within(&key.scopes), "{:?}", result.err());
                if result.is_ok() {
                    key.scopes = scopes(to);
                }
            }
            Step::Expire { key, after } if !model.keys.is_empty() => {
                let place = key.index(model.keys.len());
                let (key, at) = (&mut model.keys[place], now.saturating_add(Duration::from_millis(after)));
                let is_earlier = key.expires_at.is_none_or(|end| at <= end);
                let result = manager.expire_at(&key.id, at, &actor).await;
                assert_eq!(result.is_ok(), !key.revoked && is_earlier, "{:?}", result.err());
                if result.is_ok() {
                    key.expires_at = Some(at);
                }
            }
            Step::Check { key } if !model.keys.is_empty() => {
                let key = key.get(&model.keys);
                for node in nodes {
                    let answer = node.authenticate(&key.text).await;
                    let expected = model.verdict(key, clock.now());
                    assert_eq!(answer.as_ref().map(|_| ()).map_err(|error| error.kind()), expected);
                    if let Ok(principal) = answer {
                        assert_eq!(principal.organization(), &organization);
                        assert_eq!(principal.owner(), &owners[key.owner]);
                        assert_eq!(principal.key_id(), &key.id);
                        assert_eq!(principal.scopes(), &key.scopes);
                    }
                }
            }
            Step::CheckAltered { key, at } if !model.keys.is_empty() => {
                let mut text = key.get(&model.keys).text.clone().into_bytes();
                let at = at.index(text.len());
                text[at] = if text[at] == b'A' { b'B' } else { b'A' };
                let text = String::from_utf8(text).unwrap();
                let error = nodes[0].authenticate(&text).await.unwrap_err();
                assert!(matches!(error.kind(), AuthErrorKind::Malformed(_)));
            }
            // No key exists yet.
            Step::Revoke { .. }
            | Step::Narrow { .. }
            | Step::Expire { .. }
            | Step::Check { .. }
            | Step::CheckAltered { .. } => {}
        }
    }
}

/// Plays this number of histories on one store that several nodes share.
fn play_histories<S: Ledger + Clone>(histories: usize, store: impl AsyncFnOnce() -> S) {
    play_histories_on(histories, async || {
        let store = store().await;
        [store.clone(), store]
    });
}

fn play_histories_on<S: Ledger>(histories: usize, stores: impl AsyncFnOnce() -> [S; 2]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = clock();
    let (here, there) = runtime.block_on(async {
        let [here, there] = stores().await;
        (keys(here, &clock).await, keys(there, &clock).await)
    });
    let nodes = [here.authenticator(), there.authenticator()];
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig { cases: histories as u32, failure_persistence: None, ..ProptestConfig::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let run = std::cell::Cell::new(0);
    runner
        .run(&vec(step(), 1..24), |steps| {
            run.set(run.get() + 1);
            runtime.block_on(play(&here, &nodes, &clock, steps, run.get()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn memory_answers_like_the_model() {
    play_histories(10_000, async || Arc::new(MemoryStore::new()));
}

#[test]
fn any_store_answers_like_the_model() {
    play_histories(1_000, async || AnyStore::new(MemoryStore::new()));
}

#[test]
fn sqlite_in_memory_answers_like_the_model() {
    play_histories(1_000, async || SqliteStore::in_memory().await.unwrap());
}

#[test]
fn a_sqlite_file_of_one_process_answers_like_the_model() {
    let folder = scratch();
    play_histories(500, async || SqliteStore::open_exclusive(folder.path().join("keys.db")).await.unwrap());
}

/// Each node has its own handle, as two processes would.
#[test]
fn a_shared_sqlite_file_answers_like_the_model() {
    let folder = scratch();
    play_histories_on(500, async || {
        let path = folder.path().join("keys.db");
        [SqliteStore::open(&path).await.unwrap(), SqliteStore::open(&path).await.unwrap()]
    });
}

/// The error of a change that a model forbids names the reason.
#[tokio::test]
async fn a_dead_key_cannot_be_narrowed() {
    let clock = clock();
    let keys = keys(MemoryStore::new(), &clock).await;
    let issued = keys.manager().issue(IssueKey::user(UserId::new("alice").unwrap()), &system()).await.unwrap();
    keys.manager().revoke(&issued.plaintext().id(), &system()).await.unwrap();
    let error = keys.manager().narrow_scopes(&issued.plaintext().id(), Scopes::none(), &system()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::KeyRevoked);
}
