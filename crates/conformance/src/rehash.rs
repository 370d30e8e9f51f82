//! Re-hashing.

use tower_api_keys::{
    key::KeyId,
    record::KeyRow,
    store::{ErasedStore, KeyStore, Ledger, RehashedKey},
};

use crate::{
    Candidate, Unmet,
    scene::{Sample, Scene, at},
    unmet::same,
};

pub(crate) async fn a_rehash_replaces_four_columns<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let events = candidate.events(&scene).await?;
    let mut old = key.row.hash.clone();
    // In the last step, only the proof is new.
    for (number, hash, proof) in [(1, 1, Some(vec![0, 255])), (2, 2, None), (3, 2, Some(vec![7; 32]))] {
        let pepper_id = proof.is_some().then_some(7);
        let new = RehashedKey { hash: format!("$argon2id$new{hash}"), tag: [number; 4], pepper_id, proof };
        same("whether the hash was replaced", &rehash(candidate, &key.id, &old, &new).await?, &true)?;
        let RehashedKey { hash, tag, pepper_id, proof } = new;
        let expected = KeyRow { hash: hash.clone(), tag, pepper_id, proof, ..key.row.clone() };
        same("a key just re-hashed", &candidate.found(&key.id).await?.key, &expected)?;
        old = hash;
    }
    same("the events after a re-hash", &candidate.events(&scene).await?, &events)
}

pub(crate) async fn a_rehash_needs_the_old_hash<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    let hash = &key.row.hash;
    let new = RehashedKey { hash: "$argon2id$new".into(), tag: [9; 4], pepper_id: Some(9), proof: Some(vec![9]) };
    for other in [hash.to_uppercase(), format!("{hash} "), hash.replace('A', "_"), String::new(), "%".into()] {
        let replaced = rehash(candidate, &key.id, &other, &new).await?;
        same(&format!("whether {hash:?} was replaced as {other:?}"), &replaced, &false)?;
    }
    same("whether an absent key was re-hashed", &rehash(candidate, &scene.id()?, hash, &new).await?, &false)?;
    same("a key that was not re-hashed", &candidate.found(&key.id).await?.key, &key.row)
}

pub(crate) async fn a_revoked_key_is_not_rehashed<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, key) = inserted(candidate).await?;
    candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
    let before = candidate.found(&key.id).await?;
    let new = RehashedKey { hash: "$argon2id$new".into(), tag: [9; 4], pepper_id: None, proof: Some(vec![9]) };
    same("whether it was re-hashed", &rehash(candidate, &key.id, &key.row.hash, &new).await?, &false)?;
    same("a revoked key after a re-hash", &candidate.found(&key.id).await?, &before)
}

async fn inserted<S: KeyStore>(candidate: &Candidate<'_, S>) -> Result<(Scene, Sample), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    candidate.written(&scene.insert([&key])).await?;
    Ok((scene, key))
}

pub(super) async fn rehash<S: ErasedStore + ?Sized>(
    candidate: &Candidate<'_, S>,
    id: &KeyId,
    old: &str,
    new: &RehashedKey,
) -> Result<bool, Unmet> {
    candidate.subject().rehash(id, old, new).await.map_err(|error| Unmet::call("rehash", &error))
}
