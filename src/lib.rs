//! API keys for services built on tower: keys of people, which stop when they leave, and keys of teams, which do not care
//! who made them.
//!
//! Three promises, kept together:
//!
//! - **At rest a key is an Argon2id hash.** Its text is shown once, when it is issued.
//! - **The hash is paid for once.** When a node first meets a key it runs Argon2id; from then on it remembers that this
//!   text matched that hash; with a pepper it can be told so after a restart, too
//!   ([stored proofs](hash::HasherConfig::with_stored_proofs)). A wrong secret is refused without a run, but for one in 4.3 billion.
//! - **Revoking works at once**, whichever node meets the key next. What is remembered is a proof and never a permission:
//!   revocation, expiry, owner and scopes are judged on every request.
//!
//! Not in here: OAuth, JWT, sessions, rate limits, TLS, and a user directory. Who is in which team, with which role and
//! which plan, is for the embedding service to say.
//!
//! # A service in 25 lines
//!
#![cfg_attr(all(feature = "axum", feature = "manage", feature = "sqlite"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "axum", feature = "manage", feature = "sqlite")), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use tower_api_keys::{Actor, ApiKeys, IssueKey, Owner, Principal, TeamId, manage::ListKeys, store::SqliteStore};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = ApiKeys::new(SqliteStore::open("keys.db").await?)?;
//!     let (manager, setup) = (keys.manager(), Actor::system("first start")?);
//!     if manager.list(ListKeys::all(), &setup).await?.keys.is_empty() {
//!         let request = IssueKey::team(TeamId::new("engineering")?).named("GitHub Actions - production");
//!         let issued = manager.issue(request, &setup).await?;
//!         println!("curl -H 'x-api-key: {}' http://127.0.0.1:3000/whoami", issued.plaintext().expose_secret());
//!     }
//!     let app = Router::new().route("/whoami", get(whoami)).layer(keys.layer());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
//!     Ok(keys.shutdown().await?) // writes the last counts of usage
//! }
//!
//! async fn whoami(principal: Principal) -> String {
//!     match principal.owner() {
//!         Owner::User(user) => format!("user {user}\n"),
//!         Owner::Team(team) => format!("team {team}\n"),
//!     }
//! }
//! ```
//!
//! # Where to look
//!
//! | to | see |
//! |---|---|
//! | configure keys: brand, peppers, freshness, limits | [`ApiKeys::builder`] |
//! | protect a service; refusals, and what each code means | [`middleware`], [`ApiKeyLayer`] |
//! | know who calls, and whether a team is within reach | [`Principal`] |
//! | issue, list, narrow and revoke keys; the table of rights | [`manage`], [`KeyManager`] |
//! | rotate, answer a leak, see who uses what, know what stops if somebody leaves | [`manual::managing`] |
//! | write a client: the JSON of answers, sentences in other languages | [`manual::answers`], [`sentence`] |
//! | serve several customers, each with its own users, teams and keys | [`manual::several_customers`] |
//! | tell from where keys are used | [`usage`], [`Sources`](middleware::Sources) |
//! | check keys outside of HTTP, or again during a stream | [`Authenticator`] |
//! | watch what checks cost and how they end | [metrics](auth#metrics) |
//! | read or scan for the text of a key | [`key`] |
//! | choose what a hash costs; peppers | [`hash`] |
//! | choose a store, or write one | [`store`], [`manual::stores`] |
//! | know what a restart with many keys costs, and what to do about it | [`manual::sizing`] |
//! | run many nodes on one PostgreSQL | [`manual::postgres`] |
//! | back up and restore an SQLite file | [`manual::sqlite`] |
//!
//! # Stores, and what a request waits for
//!
//! The first use of a key on a node waits for a look-up and an Argon2id run: 13 ms with the default profile, on one core
//! of a 2-core AMD EPYC. Every later use waits only to know what changed in the store meanwhile:
//!
//! | store | mode | a later use waits for |
//! |---|---|---|
//! | [`MemoryStore`](store::MemoryStore) | strict | nothing |
//! | `SqliteStore::open_exclusive`, one process | strict | nothing |
//! | `SqliteStore::open`, shared by processes | strict | one read of one row and a look at the names of the files, about 5 µs |
//! | `PostgresStore`, or another one behind a network | strict | the next read of its change log, which all waiting requests share |
//! | any | [bounded](auth::Freshness::Bounded) | nothing; a revoked key may be accepted until the bound is over |
//!
//! # Debug builds
//!
//! Cargo ignores the profiles of dependencies. Copy these lines into your own `Cargo.toml`: without them a hash took
//! 393 ms in a debug build, with them 13 ms, on the same machine.
//!
//! ```toml
//! [profile.dev.package.argon2]
//! opt-level = 3
//!
//! [profile.dev.package.blake2]
//! opt-level = 3
//! ```
//!
//! # Features
//!
//! A feature adds to the API and never changes what is there.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` (default) | the extractors `Principal`, `Option<Principal>`, `UserPrincipal`, `TeamPrincipal`, `InOrganization` |
//! | `manage` (default) | [`KeyManager`] and all of [`manage`]; a node that only checks keys builds without it |
//! | `sqlite` | `SqliteStore`, with SQLite built from bundled source: a C compiler is needed |
//! | `postgres` | `PostgresStore`, for many nodes, over `tokio-postgres` |
//! | `postgres-tls` | TLS between the two, with rustls and ring: a C compiler is needed |
//! | `metrics` | `Authenticator::publish_metrics`: what checks cost, for the recorder of the crate `metrics` |
//! | `schemars` | JSON Schemas of all answers of the manager |
//! | `tracing` | log lines for what an operator should know, never with a key |
//! | `test-util` | `Principal::fake`, `acting_as`, `ManualClock`: for tests |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// What only the manager asks of other rooms. With the feature, each of them is looked at.
#![cfg_attr(not(feature = "manage"), allow(dead_code, unused_imports))]

mod api_keys;
mod background;
mod json;
mod lengths;
mod log;
mod networks;
mod owner;
mod principal;
mod random;
mod scope;
mod time;

// Some tests read a file of the integration tests, which calls the crate by its name.
#[cfg(test)]
extern crate self as tower_api_keys;

pub mod audit;
pub mod auth;
#[cfg(feature = "axum")]
pub mod extract;
pub mod feed;
pub mod hash;
pub mod key;
#[cfg(any(test, feature = "manage"))]
pub mod manage;
// Pages of documentation: nothing of them is in what is compiled.
#[cfg(any(doc, doctest))]
pub mod manual;
mod metering;
pub mod middleware;
mod outcome;
pub mod record;
#[cfg(feature = "schemars")]
mod schema;
pub mod sentence;
pub mod store;
mod text;
pub mod usage;
mod words;

pub use api_keys::{ApiKeys, ApiKeysBuilder, SetupError};
pub use auth::Authenticator;
pub use key::KeyId;
#[cfg(any(test, feature = "manage"))]
pub use manage::{Actor, IssueKey, IssuedKey, KeyManager, Rights, TeamRole};
pub use middleware::{ApiKeyLayer, Refusal};
pub use networks::{InvalidNetworks, Networks};
pub use outcome::RefusalCode;
pub use owner::{InvalidId, KeyKind, NamesTeam, OrganizationId, Owner, TeamId, TeamRef, UserId, UserRef};
#[cfg(any(test, feature = "test-util"))]
pub use principal::FakePrincipal;
pub use principal::{Principal, TeamAccess, TeamRefused};
pub use random::RandomnessError;
pub use record::Suspension;
pub use scope::{InvalidScope, ManagingScope, Scope, Scopes};
#[cfg(any(test, feature = "test-util"))]
pub use time::ManualClock;
pub use time::{Boot, Clock, ClockInDoubt, ClockReading, SystemClock, Timestamp, TimestampError};
pub use words::UnknownWord;

/// Compiles the Rust code of the README.
#[cfg(all(doctest, feature = "axum", feature = "manage", feature = "postgres", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
