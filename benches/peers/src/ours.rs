//! This crate with keys, and texts that it refuses.

use std::{
    future::ready,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{StatusCode, header::AUTHORIZATION};
use tower::{Layer, ServiceExt};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyKind, Networks, UserId,
    auth::Addresses,
    hash::{Argon2Params, HasherConfig},
    key::{KeyFormat, MalformedReason},
    store::MemoryStore,
};

use crate::requests::{bare, request, shuffle};

/// The address of callers that have one.
pub const OFFICE: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

/// Keys that are issued at a time: enough to keep the hashing threads busy, and no more than may wait for one.
const AT_A_TIME: usize = 16;

/// Keys in memory, each of another user.
pub struct Ours {
    /// The source of layers and authenticators.
    pub keys: ApiKeys<MemoryStore>,
    /// The texts of the keys, in no order.
    pub texts: Vec<String>,
}

impl Ours {
    /// Issues this number of keys and uses none of them. Everything is the default, except: hashes with these
    /// parameters, this number of proofs in the cache, and the longest wait for a hash, because the machine may be
    /// busy.
    pub async fn issued(keys: usize, params: Argon2Params, proofs: usize) -> Self {
        Self::made(keys, params, proofs, |request| request).await
    }

    /// The same, for keys that may be used only from these networks.
    pub async fn listed(keys: usize, params: Argon2Params, proofs: usize, networks: &Networks) -> Self {
        Self::made(keys, params, proofs, |request| request.networks(networks.clone())).await
    }

    async fn made(keys: usize, params: Argon2Params, proofs: usize, with: impl Fn(IssueKey) -> IssueKey) -> Self {
        let hasher = HasherConfig::new().with_params(params).with_check_wait(Duration::from_secs(60));
        let builder = ApiKeys::builder(MemoryStore::new()).hasher(hasher).cache_capacity(proofs);
        let built = builder.addresses(Addresses::given()).build().await.expect("settings");
        let (manager, actor) = (built.manager(), Actor::system("bench").expect("a label"));
        let issued = stream::iter(0..keys as u64)
            .map(|number| manager.issue(with(IssueKey::user(UserId::from(number))), &actor))
            .buffer_unordered(AT_A_TIME)
            .map_ok(|key| key.plaintext().expose_secret().to_owned());
        let mut texts: Vec<String> = issued.try_collect().await.expect("a key");
        shuffle(&mut texts);
        Self { keys: built, texts }
    }

    /// Uses each key once with a request like the measured ones, so that it is in the cache with that source.
    pub async fn requested(self) -> Self {
        let layer = self.keys.layer();
        let uses = stream::iter(&self.texts)
            .map(|text| layer.layer(bare()).oneshot(request(AUTHORIZATION, &format!("Bearer {text}"))))
            .buffer_unordered(AT_A_TIME);
        let all_good = uses.all(|answer| ready(answer.is_ok_and(|answer| answer.status() == StatusCode::OK))).await;
        assert!(all_good, "a good key");
        self
    }

    /// Uses each key once without a request, from [`OFFICE`], so that it is in the cache.
    pub async fn used(self) -> Self {
        let authenticator = self.keys.authenticator();
        let uses = stream::iter(&self.texts).map(|text| authenticator.authenticate_from(text, OFFICE));
        let uses = uses.buffer_unordered(AT_A_TIME);
        uses.try_for_each(|_| ready(Ok(()))).await.expect("a good key");
        self
    }
}

/// A key with the id of this one and the secret of another: well-formed, with the right checksum, and wrong.
///
/// # Panics
/// If the result is not such a key, because something else would be measured.
pub fn with_another_secret(text: &str) -> String {
    let format = KeyFormat::unbranded();
    let another = format.generate(KeyKind::User).expect("randomness");
    let (id, _) = text.rsplit_once('.').expect("a key");
    let (_, secret) = another.expose_secret().rsplit_once('.').expect("a key");
    let mut forged = format!("{id}.{}", &secret[..44]);
    let [_, low_24 @ ..] = crc32fast::hash(forged.as_bytes()).to_be_bytes();
    forged.push_str(&Base64UrlUnpadded::encode_string(&low_24));
    assert!(format.parse(forged.as_bytes()).is_ok_and(|key| text.contains(key.id().as_str())));
    forged
}

/// A text as long as a key, with an unknown prefix.
///
/// # Panics
/// If the result is a key, or is refused for another reason.
pub fn with_another_prefix(text: &str) -> String {
    let misspelt = text.replacen("user.", "usre.", 1);
    let refused = KeyFormat::unbranded().parse(misspelt.as_bytes()).expect_err("no such prefix");
    assert_eq!(refused.reason(), MalformedReason::UnknownPrefix);
    misspelt
}
