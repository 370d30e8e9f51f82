//! Rotations on real stores, by two actors at once, while the keys are in use.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Barrier;
use tower_api_keys::{
    ApiKeys, IssuedKey, KeyManager, OrganizationId, UserId,
    audit::EventRow,
    auth::AuthErrorKind,
    key::KeyId,
    manage::{Effect, EndedRotation, IssueKey, ManageError, ManageErrorKind, RotateKey},
    store::{EventQuery, KeyReader, Ledger, MemoryStore, SqliteStore},
};

use crate::support::{
    cheap, clock, issue, keys,
    secrets::{remember, scratch},
    system, team, user,
};

/// Two nodes, and the store that they share.
struct Nodes<S> {
    store: Arc<S>,
    managers: [KeyManager; 2],
}

async fn node<S: Ledger>(store: Arc<S>) -> KeyManager {
    ApiKeys::builder(store).hasher(cheap()).build().await.unwrap().manager()
}

/// Every kind of race, many times.
async fn race_everything<S: Ledger>(first: Arc<S>, second: Arc<S>, rounds: usize) {
    let nodes = Nodes { store: first.clone(), managers: [node(first).await, node(second).await] };
    for round in 0..rounds {
        nodes.two_begin().await;
        nodes.one_begins_and_one_moves_into_a_team().await;
        nodes.two_finish().await;
        nodes.two_abort().await;
        nodes.one_finishes_and_one_aborts(round).await;
        nodes.one_begins_and_one_narrows().await;
        nodes.one_begins_and_one_revokes().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn races_in_memory_have_one_winner() {
    let store = Arc::new(MemoryStore::new());
    race_everything(store.clone(), store, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn races_in_sqlite_have_one_winner() {
    let folder = scratch();
    let open = || async { Arc::new(SqliteStore::open(folder.path().join("keys.db")).await.unwrap()) };
    race_everything(open().await, open().await, 25).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn races_in_postgres_have_one_winner() {
    use crate::postgres::server::Server;
    use tower_api_keys::store::{PostgresSettings, PostgresStore};

    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let connect = || async {
        let settings = PostgresSettings::new().with_schema("keys");
        Arc::new(PostgresStore::connect_with(&server.url(), settings).await.unwrap())
    };
    race_everything(connect().await, connect().await, 25).await;
}

impl<S: Ledger> Nodes<S> {
    async fn two_begin(&self) {
        let old = self.key().await;
        let begun = self.at_once(move |manager, _| async move { begin(&manager, RotateKey::of(old)).await }).await;
        self.one_began(&old, begun).await;
    }

    async fn one_begins_and_one_moves_into_a_team(&self) {
        let old = self.key().await;
        let request = move |cursor| {
            if cursor == 0 { RotateKey::of(old) } else { RotateKey::of(old).into_team(team("blue")) }
        };
        let begun = self.at_once(move |manager, cursor| async move { begin(&manager, request(cursor)).await }).await;
        self.one_began(&old, begun).await;
    }

    async fn two_finish(&self) {
        let (old, new) = self.rotation(false).await;
        let ended = self.at_once(move |manager, _| async move { finish(&manager, new).await }).await;
        assert_eq!(effects(&ended), [Ok(Effect::Unchanged), Ok(Effect::Changed)]);
        assert_eq!((self.is_revoked(&old).await, self.is_revoked(&new).await), (true, false));
        assert_eq!(self.told(&old).await, ["key.issued", "key.successor_made", "key.rotation_finished"]);
        assert_eq!(self.told(&new).await, ["key.rotation_begun"]);
    }

    async fn two_abort(&self) {
        let (old, new) = self.rotation(true).await;
        let ended = self.at_once(move |manager, _| async move { abort(&manager, new).await }).await;
        assert_eq!(effects(&ended), [Ok(Effect::Unchanged), Ok(Effect::Changed)]);
        assert_eq!((self.is_revoked(&old).await, self.is_revoked(&new).await), (false, true));
        assert_eq!(self.store.find(&old).await.unwrap().unwrap().key.expires_at, None);
        assert_eq!(self.told(&old).await, ["key.issued", "key.expiry_set", "key.expiry_set"]);
        assert_eq!(self.told(&new).await, ["key.rotation_begun", "key.rotation_aborted"]);
    }

    async fn one_finishes_and_one_aborts(&self, round: usize) {
        let (old, new) = self.rotation((round / 2).is_multiple_of(2)).await;
        let ended = self
            .at_once(move |manager, cursor| async move {
                if cursor == round % 2 { finish(&manager, new).await } else { abort(&manager, new).await }
            })
            .await;
        assert_eq!(effects(&ended), [Ok(Effect::Changed), Err(ManageErrorKind::RotationOver)]);
        let (old_is_gone, new_is_gone) = (self.is_revoked(&old).await, self.is_revoked(&new).await);
        assert!(old_is_gone != new_is_gone, "one key is left");
        let ends = [self.told(&old).await, self.told(&new).await].concat();
        let end = |action: &str| ends.iter().filter(|told| *told == action).count();
        assert_eq!(end("key.rotation_finished"), usize::from(old_is_gone));
        assert_eq!(end("key.rotation_aborted"), usize::from(new_is_gone));
    }

    /// The order of the events is the order of what happened.
    async fn one_begins_and_one_narrows(&self) {
        let old = self.key().await;
        let begun = self
            .at_once(move |manager, cursor| async move {
                if cursor == 0 {
                    return begin(&manager, RotateKey::of(old)).await.map(Some);
                }
                manager.narrow_scopes(&old, "read".parse().unwrap(), &system()).await.map(|_| None)
            })
            .await;
        let [Ok(Some(new)), Ok(None)] = begun else { panic!("{begun:?}") };
        let row = self.store.find(&new.info().id).await.unwrap().unwrap().key;
        let told = self.told(&old).await;
        let expected = match told.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["key.issued", "key.narrowed", "key.successor_made"] => "read",
            ["key.issued", "key.successor_made", "key.narrowed"] => "*",
            _ => panic!("{told:?}"),
        };
        assert_eq!(row.scopes, expected);
    }

    async fn one_begins_and_one_revokes(&self) {
        let old = self.key().await;
        let begun = self
            .at_once(move |manager, cursor| async move {
                if cursor == 0 {
                    return begin(&manager, RotateKey::of(old)).await.map(Some);
                }
                manager.revoke(&old, &system()).await.map(|_| None)
            })
            .await;
        assert!(self.is_revoked(&old).await);
        match &begun {
            [Ok(Some(new)), Ok(None)] => assert!(!self.is_revoked(&new.info().id).await),
            [Err(error), Ok(None)] => assert_eq!(error.kind(), ManageErrorKind::KeyRevoked),
            _ => panic!("{begun:?}"),
        }
    }

    /// Runs `act` on both nodes at the same moment.
    async fn at_once<T, F>(&self, act: impl Fn(KeyManager, usize) -> F) -> [T; 2]
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let start = Arc::new(Barrier::new(2));
        let [one, other] = [0, 1].map(|cursor| {
            let (start, acting) = (start.clone(), act(self.managers[cursor].clone(), cursor));
            tokio::spawn(async move {
                start.wait().await;
                acting.await
            })
        });
        [one.await.unwrap(), other.await.unwrap()]
    }

    async fn one_began(&self, old: &KeyId, begun: [Result<IssuedKey, ManageError>; 2]) {
        let (won, lost): (Vec<_>, Vec<_>) = begun.into_iter().partition(Result::is_ok);
        let [Ok(new)] = &won[..] else { panic!("{} began", won.len()) };
        let [Err(error)] = &lost[..] else { panic!("{} did not begin", lost.len()) };
        assert_eq!(error.kind(), ManageErrorKind::RotationUnderWay);
        assert!(!self.is_revoked(old).await && !self.is_revoked(&new.info().id).await);
        assert_eq!(self.told(old).await, ["key.issued", "key.successor_made"]);
        assert_eq!(self.told(&new.info().id).await, ["key.rotation_begun"]);
    }

    async fn key(&self) -> KeyId {
        self.managers[0].issue(IssueKey::user(user("alice")), &system()).await.unwrap().info().id
    }

    async fn rotation(&self, has_grace: bool) -> (KeyId, KeyId) {
        let old = self.key().await;
        let request = RotateKey::of(old);
        let request =
            if has_grace { request.old_key_ends_at("2100-01-01T00:00:00Z".parse().unwrap()) } else { request };
        (old, begin(&self.managers[0], request).await.unwrap().info().id)
    }

    async fn is_revoked(&self, id: &KeyId) -> bool {
        self.store.find(id).await.unwrap().unwrap().key.revoked_at.is_some()
    }

    /// The events of a key.
    async fn told(&self, id: &KeyId) -> Vec<String> {
        let query = EventQuery { key: Some(*id), ..EventQuery::all(OrganizationId::single()) };
        let told = self.store.events(&query).await.unwrap().rows;
        told.into_iter().map(|event: EventRow| event.action).collect()
    }
}

async fn begin(manager: &KeyManager, request: RotateKey) -> Result<IssuedKey, ManageError> {
    let begun = manager.begin_rotation(request, &system()).await;
    begun.iter().for_each(|issued| remember(issued.plaintext().expose_secret()));
    begun
}

async fn finish(manager: &KeyManager, id: KeyId) -> Result<EndedRotation, ManageError> {
    manager.finish_rotation_anyway(&id, &system()).await
}

async fn abort(manager: &KeyManager, id: KeyId) -> Result<EndedRotation, ManageError> {
    manager.abort_rotation(&id, &system()).await
}

/// The results of both, sorted: already done, done, an error.
fn effects(ended: &[Result<EndedRotation, ManageError>; 2]) -> [Result<Effect, ManageErrorKind>; 2] {
    let mut effects = ended.each_ref().map(|ended| match ended {
        Ok(ended) => Ok(ended.effect),
        Err(error) => Err(error.kind()),
    });
    effects.sort_by_key(|effect| match effect {
        Ok(Effect::Unchanged) => 0,
        Ok(Effect::Changed) => 1,
        Err(_) => 2,
    });
    effects
}

/// The stage of a rotation, as the clients know it.
const UNDER_WAY: usize = 0;
const FINISHING: usize = 1;
const FINISHED: usize = 2;

/// The number of checks that each client makes in each stage.
const CHECKS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_keys_are_accepted_until_the_rotation_is_finished() {
    let keys = keys(MemoryStore::new(), &clock()).await;
    let old = issue(&keys, team("blue")).await;
    let new = begin(&keys.manager(), RotateKey::of(old.id())).await.unwrap();
    let id = new.info().id;

    let stage = Arc::new(AtomicUsize::new(UNDER_WAY));
    let ready = Arc::new(Barrier::new(5));
    let texts = [old.expose_secret(), new.plaintext().expose_secret()].map(ToOwned::to_owned);
    let clients = [0, 1, 0, 1].map(|which| {
        let (authenticator, stage, ready) = (keys.authenticator(), stage.clone(), ready.clone());
        let text = texts[which].clone();
        tokio::spawn(async move {
            let mut checks = [0, 0];
            while checks[1] < CHECKS {
                let before = stage.load(Ordering::SeqCst);
                let answer = authenticator.authenticate(&text).await.map(drop).map_err(|error| error.kind());
                let after = stage.load(Ordering::SeqCst);
                if which == 1 || after == UNDER_WAY {
                    assert_eq!(answer, Ok(()), "key {which} in stage {after}");
                } else if before == FINISHED {
                    assert_eq!(answer, Err(AuthErrorKind::Revoked));
                }
                checks[0] += usize::from(after == UNDER_WAY);
                checks[1] += usize::from(before == FINISHED);
                if after == UNDER_WAY && checks[0] == CHECKS {
                    ready.wait().await;
                }
            }
        })
    });
    ready.wait().await;
    stage.store(FINISHING, Ordering::SeqCst);
    let finished = finish(&keys.manager(), id).await.unwrap();
    stage.store(FINISHED, Ordering::SeqCst);
    assert_eq!(finished.effect, Effect::Changed);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn usage_of_real_requests_leads_a_rotation_to_its_end() {
    use std::time::Duration;
    use tower_api_keys::manage::RotationVerdict;

    let clock = clock();
    let keys = keys(MemoryStore::new(), &clock).await;
    let old = issue(&keys, UserId::new("alice").unwrap()).await;
    let new = begin(&keys.manager(), RotateKey::of(old.id())).await.unwrap();
    let call = async |text: &str| keys.authenticator().authenticate(text).await.map(drop).unwrap();
    let verdict = async || {
        keys.flush_usage().await.unwrap();
        keys.manager().rotation(&new.info().id, &system()).await.unwrap().verdict
    };
    call(old.expose_secret()).await;
    assert_eq!(verdict().await, RotationVerdict::NotStarted);
    clock.advance(Duration::from_secs(60));
    call(new.plaintext().expose_secret()).await;
    assert_eq!(verdict().await, RotationVerdict::StillUsedBy(1));
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(verdict().await, RotationVerdict::SafeToFinish);
}
