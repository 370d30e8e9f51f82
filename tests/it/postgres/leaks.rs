//! The files of the server hold no secret.

use std::collections::{BTreeSet, HashSet};

use super::{check, known_key, migrated, node, revoke};
use crate::leaks::{Search, files};

#[tokio::test]
async fn no_part_of_a_secret_is_in_the_files_of_the_server() {
    let mut server = migrated().await;
    let keys = node(&server).await;
    let (key, revoked) = (known_key(&keys).await, known_key(&keys).await);
    revoke(&keys, &revoked).await;
    assert!(check(&keys, &revoked).await.is_err());
    keys.flush_usage().await.unwrap();
    server.client().await.batch_execute("checkpoint").await.unwrap();
    server.kill();
    let secrets = HashSet::from([&key.expose_secret()[26..], &revoked.expose_secret()[26..]]);
    let (search, kept) = (Search::new(&secrets), files(&server.data()));
    let holds =
        |part: &[u8]| kept.iter().any(|path| std::fs::read(path).unwrap().windows(part.len()).any(|at| at == part));
    assert!(holds(key.id().as_str().as_bytes()), "the id is not there, so the wrong files are searched");
    let found: BTreeSet<String> = kept.iter().flat_map(|path| search.hits(path)).collect();
    assert!(found.is_empty(), "parts of secrets were found: {found:#?}");
}
