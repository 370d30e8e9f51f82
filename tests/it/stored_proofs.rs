//! Proofs stored beside the hashes save nodes the Argon2id runs after a restart. A proof accepts only what was proved.

use std::{sync::Arc, time::Duration};

use tower_api_keys::{
    ApiKeys, Authenticator,
    auth::{AuthErrorKind, AuthSettings},
    hash::{Argon2Params, Hasher, HasherConfig, HasherSetupErrorKind, Pepper, PepperId, Peppers},
    key::PlaintextKey,
    manage::RotateKey,
    record::{KeyRow, Suspension},
    store::{KeyStore, MemoryStore, RehashedKey},
};

use crate::{
    peppers::{Keys, first, number, pepper, row, second, until},
    support::{cheap, clock, issue, noon, system, user, wrong_secret},
};

fn config(peppers: Peppers) -> HasherConfig {
    cheap().with_peppers(peppers).with_stored_proofs()
}

async fn node(store: &Arc<MemoryStore>, hasher: HasherConfig) -> Keys {
    ApiKeys::builder(Arc::clone(store)).hasher(hasher).build().await.unwrap()
}

async fn started(store: &Arc<MemoryStore>) -> Keys {
    node(store, config(first())).await
}

/// The number of runs that a new node needs for the first use of a key.
async fn runs_of_first_use(store: &Arc<MemoryStore>, hasher: HasherConfig, key: &PlaintextKey) -> u64 {
    let node = node(store, hasher).await;
    node.authenticator().authenticate(key.expose_secret()).await.unwrap();
    let (metrics, runs) = (node.authenticator().metrics(), node.authenticator().argon2_runs());
    assert_eq!(metrics.stored_proofs_used, u64::from(runs == 0));
    runs
}

/// Writes the hash and its columns directly into the store.
async fn rewrite(store: &MemoryStore, key: &PlaintextKey, edit: impl FnOnce(&mut RehashedKey)) {
    let KeyRow { hash, tag, pepper_id, proof, .. } = row(store, key.id()).await;
    let (old, mut new) = (hash.clone(), RehashedKey { hash, tag, pepper_id, proof });
    edit(&mut new);
    assert!(store.rehash(&key.id(), &old, &new).await.unwrap());
}

/// A store, and one of its keys with a proof.
async fn proved() -> (Arc<MemoryStore>, PlaintextKey) {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&started(&store).await, user("alice")).await;
    assert_eq!(row(&store, key.id()).await.proof.unwrap().len(), 32);
    (store, key)
}

#[tokio::test]
async fn a_new_key_costs_no_node_a_run() {
    let (store, key) = proved().await;
    for _ in 0..3 {
        assert_eq!(runs_of_first_use(&store, config(first()), &key).await, 0);
    }
}

#[tokio::test]
async fn so_does_the_new_key_of_a_rotation() {
    let (store, key) = proved().await;
    let manager = started(&store).await.manager();
    let new = manager.begin_rotation(RotateKey::of(key.id()), &system()).await.unwrap().into_plaintext();
    assert_eq!(runs_of_first_use(&store, config(first()), &new).await, 0);
}

#[tokio::test]
async fn an_old_key_costs_one_run_and_then_no_node_any() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&node(&store, cheap().with_peppers(first())).await, user("alice")).await;
    let before = row(&store, key.id()).await;
    assert_eq!(before.proof, None);
    assert_eq!(runs_of_first_use(&store, config(first()), &key).await, 1);
    until(&store, key.id(), |row| row.proof.is_some()).await;
    assert_eq!(runs_of_first_use(&store, config(first()), &key).await, 0);
    assert_eq!(KeyRow { proof: None, ..row(&store, key.id()).await }, before, "nothing else changed");
}

#[tokio::test]
async fn a_proof_that_does_not_fit_costs_a_run_and_is_replaced() {
    let (store, key) = proved().await;
    let right = row(&store, key.id()).await.proof;
    let other = issue(&started(&store).await, user("bob")).await;
    let of_other = row(&store, other.id()).await.proof;
    let altered = right.clone().map(|mut proof| {
        proof[31] ^= 1;
        proof
    });
    let short = right.clone().map(|proof| proof[..31].to_vec());
    for wrong in [None, of_other, altered, short, Some(Vec::new()), Some(vec![0; 64])] {
        rewrite(&store, &key, |new| new.proof.clone_from(&wrong)).await;
        assert_eq!(runs_of_first_use(&store, config(first()), &key).await, 1, "{wrong:?}");
        until(&store, key.id(), |row| row.proof == right).await;
    }
}

#[tokio::test]
async fn a_proof_dies_with_its_hash() {
    let (store, key) = proved().await;
    // A node that stores no proofs writes another hash of the same text. The old proof is put back beside it.
    let old = row(&store, key.id()).await;
    let stronger = cheap().with_peppers(first()).with_params(Argon2Params::new(128, 2).unwrap());
    assert_eq!(runs_of_first_use(&store, stronger, &key).await, 1);
    until(&store, key.id(), |row| row.hash != old.hash).await;
    assert_eq!(row(&store, key.id()).await.proof, None);
    rewrite(&store, &key, |new| new.proof.clone_from(&old.proof)).await;
    assert_eq!(runs_of_first_use(&store, config(first()), &key).await, 1);
}

#[tokio::test]
async fn a_hash_that_is_replaced_by_hand_ends_the_key_whatever_its_proof_says() {
    let (store, key) = proved().await;
    let other = row(&store, issue(&started(&store).await, user("bob")).await.id()).await;
    rewrite(&store, &key, |new| new.hash = other.hash).await;
    let error = started(&store).await.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::Invalid);
}

#[tokio::test]
async fn another_text_is_refused_without_a_run() {
    let (store, key) = proved().await;
    let node = started(&store).await;
    let error = node.authenticator().authenticate(&wrong_secret(&key)).await.unwrap_err();
    assert_eq!((error.kind(), node.authenticator().argon2_runs()), (AuthErrorKind::Invalid, 0));
}

#[tokio::test]
async fn a_proof_accepts_no_text_but_its_own_whatever_the_tag_says() {
    let (store, key) = proved().await;
    let wrong = wrong_secret(&key);
    let of_wrong = Hasher::new(config(first())).unwrap().hash(&wrong).await.unwrap();
    rewrite(&store, &key, |new| new.tag = of_wrong.tag().to_bytes()).await;
    let node = started(&store).await;
    let error = node.authenticator().authenticate(&wrong).await.unwrap_err();
    let metrics = node.authenticator().metrics();
    assert_eq!((error.kind(), metrics.argon2_runs, metrics.stored_proofs_used), (AuthErrorKind::Invalid, 1, 0));
}

#[tokio::test]
async fn a_dead_key_is_refused_as_ever() {
    for end in ["revoked", "expired", "suspended", "closed"] {
        let (store, clock) = (Arc::new(MemoryStore::new()), clock());
        let builder = || ApiKeys::builder(Arc::clone(&store)).hasher(config(first())).clock(clock.clone());
        let keys = builder().build().await.unwrap();
        let (key, manager) = (issue(&keys, user("alice")).await, keys.manager());
        let expected = match end {
            "revoked" => {
                manager.revoke(&key.id(), &system()).await.unwrap();
                AuthErrorKind::Revoked
            }
            "expired" => {
                manager.expire_at(&key.id(), noon().saturating_add(Duration::from_secs(60)), &system()).await.unwrap();
                clock.advance(Duration::from_secs(60));
                AuthErrorKind::Expired
            }
            "suspended" => {
                manager.suspend(&user("alice").into(), Suspension::Admin, &system()).await.unwrap();
                AuthErrorKind::OwnerSuspended
            }
            _ => {
                manager.close(&user("alice").into(), &system()).await.unwrap();
                AuthErrorKind::OwnerClosed
            }
        };
        let started = builder().build().await.unwrap();
        let error = started.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
        let metrics = started.authenticator().metrics();
        assert_eq!((error.kind(), metrics.argon2_runs, metrics.stored_proofs_used), (expected, 0, 0), "{end}");
    }
}

#[tokio::test]
async fn a_key_with_an_old_pepper_is_accepted_by_its_proof_and_gets_the_new_one_in_passing() {
    let (store, key) = proved().await;
    let newer = node(&store, config(second())).await;
    newer.authenticator().authenticate(key.expose_secret()).await.unwrap();
    assert_eq!(newer.authenticator().metrics().stored_proofs_used, 1);
    until(&store, key.id(), |row| row.pepper_id == Some(2)).await;
    assert_eq!(newer.authenticator().argon2_runs(), 1, "the new hash");
    assert_eq!(runs_of_first_use(&store, config(second()), &key).await, 0);
}

#[tokio::test]
async fn a_proof_under_another_pepper_is_none() {
    let (store, key) = proved().await;
    // As if it had been created with the second pepper.
    let other = Arc::new(MemoryStore::new());
    let same_number = Peppers::new().with(number(1), pepper(2)).current(number(1)).unwrap();
    let foreign = issue(&node(&other, config(same_number)).await, user("alice")).await;
    let proof = row(&other, foreign.id()).await.proof;
    rewrite(&store, &key, |new| new.proof = proof).await;
    assert_eq!(runs_of_first_use(&store, config(first()), &key).await, 1);
}

#[tokio::test]
async fn a_hash_without_a_pepper_has_no_proof() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&node(&store, cheap()).await, user("alice")).await;
    // The first use adds the pepper to the hash, and then the proof.
    assert_eq!(row(&store, key.id()).await.proof, None);
    let node = started(&store).await;
    node.authenticator().authenticate(key.expose_secret()).await.unwrap();
    until(&store, key.id(), |row| row.pepper_id == Some(1) && row.proof.is_some()).await;
    assert_eq!(runs_of_first_use(&store, config(first()), &key).await, 0);
}

#[tokio::test]
async fn a_node_that_does_not_know_the_pepper_or_the_cost_accepts_nothing() {
    let (store, key) = proved().await;
    let other = Peppers::new().with(number(2), pepper(2)).current(number(2)).unwrap();
    let low = Argon2Params::LOW_MEMORY;
    for hasher in [config(other), config(first()).with_params(low).with_accepted([low])] {
        let reader = Authenticator::new(Arc::clone(&store), AuthSettings::new().with_hasher(hasher)).unwrap();
        let error = reader.authenticate(key.expose_secret()).await.unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::CorruptRecord);
    }
}

#[tokio::test]
async fn a_node_without_them_ignores_and_keeps_them() {
    let (store, key) = proved().await;
    let before = row(&store, key.id()).await;
    assert_eq!(runs_of_first_use(&store, cheap().with_peppers(first()), &key).await, 1);
    assert_eq!(row(&store, key.id()).await, before);
}

#[tokio::test]
async fn an_authenticator_that_only_reads_uses_them_and_writes_none() {
    let (store, key) = proved().await;
    let reader = || Authenticator::new(Arc::clone(&store), AuthSettings::new().with_hasher(config(first()))).unwrap();
    let authenticator = reader();
    authenticator.authenticate(key.expose_secret()).await.unwrap();
    assert_eq!(authenticator.argon2_runs(), 0);

    rewrite(&store, &key, |new| new.proof = None).await;
    let before = row(&store, key.id()).await;
    let authenticator = reader();
    authenticator.authenticate(key.expose_secret()).await.unwrap();
    assert_eq!((authenticator.argon2_runs(), row(&store, key.id()).await), (1, before));
}

#[tokio::test]
async fn they_need_a_current_pepper() {
    let known = Peppers::new().with(PepperId::new(1), Pepper::from_bytes([1; 32]));
    for peppers in [Peppers::none(), known] {
        let error = Authenticator::new(MemoryStore::new(), AuthSettings::new().with_hasher(config(peppers.clone())));
        let told = "stored proofs need a current pepper: set one, or turn stored proofs off";
        assert_eq!(error.unwrap_err().to_string(), told);
        let hasher = Hasher::new(config(peppers.clone()));
        assert_eq!(hasher.unwrap_err().kind(), HasherSetupErrorKind::StoredProofs);
        let error = ApiKeys::builder(MemoryStore::new()).peppers(peppers).stored_proofs().build().await.unwrap_err();
        assert!(format!("{error:?}").contains("StoredProofs"), "{error:?}");
    }
}
