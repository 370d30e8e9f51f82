use allocation_counter::measure;

use super::*;
use crate::{
    auth::digest::DigestKey,
    key::KeyFormat,
    owner::{KeyKind, OrganizationId, TeamId},
    principal::SharedOwner,
    scope::Scopes,
};

/// The default capacity.
const KEYS: usize = 100_000;

fn team(number: usize) -> OwnerRef {
    let team = TeamId::new(format!("team-{number:06}")).unwrap();
    OwnerRef { organization: OrganizationId::single(), owner: team.into() }
}

/// A new key with the name of a job.
fn proof(number: usize, owner: OwnerRef) -> Proof {
    let format = KeyFormat::unbranded();
    let key = format.generate(KeyKind::Team).unwrap();
    let parsed = format.parse(key.expose_secret().as_bytes()).unwrap();
    Proof {
        digest: DIGESTS.with(|digests| digests.digest(parsed.secret())),
        prefix: parsed.prefix(),
        fingerprint: [0; 16],
        claims: Claims {
            owner: SharedOwner::new(owner),
            key: key.id(),
            proved_by: 1,
            particulars: crate::principal::Particulars::new(&format!("CI deploy {number:06}"), None, None, None),
            scopes: Scopes::all(),
            expires_at: None,
        },
    }
}

thread_local! {
    static DIGESTS: DigestKey = DigestKey::new().unwrap();
}

/// A key of the team, cached as current.
fn remembered(cache: &ProofCache, owner: OwnerRef) -> Arc<WithClaims<Entry>> {
    let proof = proof(0, owner);
    cache.remember(cache.ticket(&proof.claims.key), proof)
}

/// The allocations of a full cache, with the note that a key was used, in bytes per key.
fn bytes_of_each(keys_of_an_owner: usize) -> usize {
    let mut cache = None;
    let info = measure(|| {
        let cache = cache.insert(ProofCache::new(KEYS));
        for number in 0..KEYS {
            let proof = proof(number, team(number / keys_of_an_owner));
            cache.remember(cache.ticket(&proof.claims.key), proof);
        }
    });
    let remembered = cache.unwrap().len();
    assert!(remembered > KEYS * 9 / 10, "{remembered} keys are remembered");
    let bytes = usize::try_from(info.bytes_current).unwrap() / remembered + size_of::<Arc<dyn Counted>>();
    println!("{bytes} bytes for each key, {keys_of_an_owner} of them to an owner");
    bytes
}

// Both limits leave some bytes for machines with many cores, on which the cache has more parts.
#[test]
fn a_remembered_key_of_ten_weighs_no_more_than_promised() {
    let bytes = bytes_of_each(10);
    assert!(bytes <= 300, "{bytes} bytes");
}

#[test]
fn a_remembered_key_with_an_owner_of_its_own_weighs_no_more_than_documented() {
    let bytes = bytes_of_each(1);
    assert!(bytes <= 420, "{bytes} bytes");
}

/// The changes that make the record of a key of the first team unknown.
const CHANGES: [fn(&ProofCache, &KeyId); 3] =
    [|cache, key| cache.key_changed(key), |cache, _| cache.owner_changed(&team(1)), |cache, _| cache.all_changed()];

#[test]
fn a_change_since_the_ticket_leaves_the_record_unknown() {
    for change in CHANGES {
        let cache = ProofCache::new(10);
        let proof = proof(0, team(1));
        let (key, ticket) = (proof.claims.key, cache.ticket(&proof.claims.key));
        change(&cache, &key);
        assert!(!cache.is_current(&cache.remember(ticket, proof)));
    }
}

#[test]
fn a_change_makes_the_record_unknown_until_it_is_read_again() {
    for change in CHANGES {
        let cache = ProofCache::new(10);
        let before = remembered(&cache, team(1));
        assert!(cache.is_current(&before));
        change(&cache, &before.claims.key);
        assert!(!cache.is_current(&before));
        assert!(cache.is_current(&remembered(&cache, team(1))));
        assert!(!cache.is_current(&before));
    }
}

#[test]
fn keys_of_one_owner_share_it_until_it_changes() {
    let cache = ProofCache::new(10);
    let shares =
        |one: &WithClaims<Entry>, other: &WithClaims<Entry>| Arc::ptr_eq(&one.claims.owner, &other.claims.owner);
    let (one, sibling, stranger) =
        (remembered(&cache, team(1)), remembered(&cache, team(1)), remembered(&cache, team(2)));
    assert!(shares(&one, &sibling) && !shares(&one, &stranger));
    cache.owner_changed(&team(1));
    assert!(!cache.is_current(&sibling) && cache.is_current(&stranger));
    let later = remembered(&cache, team(1));
    assert!(!shares(&later, &one) && cache.is_current(&later));
}

#[test]
fn owners_whose_keys_are_forgotten_are_forgotten_too() {
    let cache = ProofCache::new(10);
    for number in 0..5_000 {
        let organization = OrganizationId::new(format!("organization-{number}")).unwrap();
        let owner = OwnerRef { organization, ..team(number) };
        remembered(&cache, owner.clone());
        // An owner that changed is dropped from the list; its organization stays for a while.
        if number % 2 == 0 {
            cache.owner_changed(&owner);
        }
    }
    let (owners, organizations) = cache.owners().len();
    assert!(owners <= 1_024 && organizations <= 1_024, "{owners} owners, {organizations} organizations");
}
