use allocation_counter::measure;

use super::*;
use crate::{
    auth::digest::DigestKey,
    key::KeyFormat,
    owner::{OrganizationId, OwnerRef, TeamId},
    principal::SharedOwner,
    scope::Scopes,
};

/// As many as are remembered unless told otherwise.
const KEYS: usize = 100_000;
const KEYS_OF_A_TEAM: usize = 10;

/// What the documentation promises for each remembered key, in bytes.
const MOST_BYTES: usize = 300;

/// A key of a team, with the name of a job.
fn proof(number: usize, digests: &DigestKey) -> Proof {
    let format = KeyFormat::unbranded();
    let key = format.generate(crate::KeyKind::Team).unwrap();
    let parsed = format.parse(key.expose_secret().as_bytes()).unwrap();
    let team = TeamId::new(format!("team-{:06}", number / KEYS_OF_A_TEAM)).unwrap();
    Proof {
        digest: digests.digest(parsed.secret()),
        prefix: parsed.prefix(),
        fingerprint: [0; 16],
        claims: Claims {
            owner: SharedOwner::new(OwnerRef { organization: OrganizationId::single(), owner: team.into() }),
            key: key.id(),
            proved_by: 1,
            key_name: format!("CI deploy {number:06}").into(),
            scopes: Scopes::all(),
            expires_at: None,
        },
    }
}

#[test]
fn a_remembered_key_weighs_no_more_than_promised() {
    let digests = DigestKey::new().unwrap();
    let mut cache = None;
    let info = measure(|| {
        let cache = cache.insert(ProofCache::new(KEYS));
        for number in 0..KEYS {
            let proof = proof(number, &digests);
            cache.remember(cache.ticket(&proof.claims.key), proof);
        }
    });
    let remembered = cache.unwrap().len();
    assert!(remembered > KEYS * 9 / 10, "{remembered} keys are remembered");
    let note_of_use = size_of::<Arc<dyn Counted>>();
    let bytes = usize::try_from(info.bytes_current).unwrap() / remembered + note_of_use;
    println!("{bytes} bytes for each of {remembered} keys");
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}
