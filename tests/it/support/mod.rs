//! What several tests need.

pub mod hooked;
pub mod narrow;
pub mod secrets;
pub mod wrapped;

use std::{convert::Infallible, sync::Arc};

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use tower_api_keys::{
    Actor, ApiKeys, ManualClock, Owner, TeamId, Timestamp, UserId,
    hash::{Argon2Params, HasherConfig},
    key::{KeyFormat, PlaintextKey},
    manage::IssueKey,
    store::Ledger,
};

/// Where tests' clocks begin: 2026-03-01T12:00:00Z.
pub fn noon() -> Timestamp {
    Timestamp::from_millis(1_772_366_400_000).unwrap()
}

/// A stopped clock that shows noon.
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(noon()))
}

/// Hashes that cost microseconds, for tests that are not about hashing.
pub fn cheap() -> HasherConfig {
    HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET)
}

/// Keys with cheap hashes and this clock.
pub async fn keys<S: Ledger>(store: S, clock: &Arc<ManualClock>) -> ApiKeys<S> {
    secrets::capture_log();
    ApiKeys::builder(store).hasher(cheap()).clock(clock.clone()).build().await.unwrap()
}

/// An actor that may do everything.
pub fn system() -> Actor {
    Actor::system("test").unwrap()
}

/// Issues a key. The search for leaks looks for it.
pub async fn issue<S: Ledger>(keys: &ApiKeys<S>, owner: impl Into<Owner>) -> PlaintextKey {
    let issued = keys.manager().issue(IssueKey::of(owner.into()), &system()).await.unwrap();
    secrets::remember(issued.plaintext().expose_secret());
    issued.into_plaintext()
}

/// A user.
pub fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

/// A team.
pub fn team(id: &str) -> TeamId {
    TeamId::new(id).unwrap()
}

/// A well-formed key with the same id and another secret.
pub fn wrong_secret(key: &PlaintextKey) -> String {
    let other = KeyFormat::unbranded().generate(key.kind()).unwrap();
    let secret = &other.expose_secret()[26..70];
    let text = format!("{}.{}.{secret}", key.kind(), key.id());
    let checksum = crc32fast::hash(text.as_bytes()).to_be_bytes();
    format!("{text}{}", Base64UrlUnpadded::encode_string(&checksum[1..]))
}

/// The answer as text: status, headers by name, an empty line, body.
pub async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    let (parts, body) = response.into_parts();
    let mut headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    headers.sort();
    let body = body.collect().await.unwrap().to_bytes();
    format!("{}\n{}\n{}", parts.status.as_u16(), headers.concat(), std::str::from_utf8(&body).unwrap())
}
