//! API keys for services built on tower. A personal key stops working when its user leaves. A team key keeps working
//! when the person who created it leaves.
//!
//! Three promises, kept together:
//!
//! - **Argon2id at rest.** The key is shown once, when it is issued. The store keeps an Argon2id hash of it.
//! - **Well under a microsecond a request, when warm.** A node runs Argon2id at the first use of a key. After that it
//!   remembers that this text matched that hash; with a pepper, also [after a
//!   restart](hash::HasherConfig::with_stored_proofs). A wrong secret costs no run, except for one in 4.3 billion.
//! - **A revoked key is refused at once, on every node.** The cache holds proofs, never permissions: revocation,
//!   expiry, owner and scopes are checked on every request.
//!
//! [Performance](manual::performance) and [Security](manual::security) say what each promise means, and its limit. Not
//! included: OAuth, JWT, sessions, rate limits, TLS, and a user directory. Your service says who is in which team, with
//! which role and which plan.
//!
//! # A service in 25 lines
//!
#![cfg_attr(all(feature = "axum", feature = "manage", feature = "sqlite"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "axum", feature = "manage", feature = "sqlite")), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use tower_api_keys::{Actor, ApiKeys, IssueKey, Owner, Principal, TeamId};
//! use tower_api_keys::{manage::ListKeys, store::SqliteStore};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = ApiKeys::new(SqliteStore::open("keys.db").await?)?;
//!     let (manager, setup) = (keys.manager(), Actor::system("first start")?);
//!     if manager.list(ListKeys::all(), &setup).await?.keys.is_empty() {
//!         let ci = IssueKey::team(TeamId::new("engineering")?).named("GitHub Actions - production");
//!         let key = manager.issue(ci, &setup).await?.into_plaintext();
//!         println!("curl -H 'x-api-key: {}' http://127.0.0.1:3000/whoami", key.expose_secret());
//!     }
//!     let app = Router::new().route("/whoami", get(whoami)).layer(keys.layer());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     let stop = async { drop(tokio::signal::ctrl_c().await) };
//!     axum::serve(listener, app).with_graceful_shutdown(stop).await?;
//!     Ok(keys.shutdown().await?) // writes the last counts of usage
//! }
//!
//! async fn whoami(caller: Principal) -> String {
//!     match caller.owner() {
//!         Owner::User(user) => format!("user {user}\n"),
//!         Owner::Team(team) => format!("team {team}\n"),
//!     }
//! }
//! ```
//!
//! # Where to go
//!
//! The [manual] has guides by task, and pages to look things up in:
//!
//! | you want to | guide | API |
//! |---|---|---|
//! | protect a service; refusals, and what each code means | [protect](manual::protect), [HTTP](manual::http) | [middleware], [`ApiKeyLayer`] |
//! | issue a key and show it once; choose ids | [issue](manual::issue), [ids](manual::ids) | [`KeyManager`], [`IssueKey`] |
//! | manage keys: edit, pause, limit, audit; the table of rights | [managing](manual::managing) | [manage] |
//! | rotate | [rotate](manual::rotate) | [`KeyManager::begin_rotation`] |
//! | end the keys of people who leave | [leaving](manual::leaving) | [`KeyManager::close`] |
//! | answer a leak | [leaks](manual::leaks) | [`KeyManager::identify`] |
//! | notify people, read the trail, know from where keys are used | [told](manual::told) | [audit], [usage] |
//! | check keys outside HTTP, or again during a stream | [streams](manual::streams) | [`Authenticator`] |
//! | combine sessions with keys; give software a key | [sessions](manual::sessions), [service users](manual::service_users) | [`Principal`] |
//! | serve several customers | [several customers](manual::several_customers) | [`OrganizationId`] |
//! | test; check keys in another language | [testing](manual::testing), [elsewhere](manual::elsewhere) | [key], [hash] |
//! | write a client of the manager | [answers](manual::answers), [refusals](manual::refusals) | [sentence] |
//! | configure, size and watch a node | [performance](manual::performance), [sizing](manual::sizing) | [`ApiKeys::builder`], [metrics](auth#metrics) |
//! | run a store, or write one | [SQLite](manual::sqlite), [PostgreSQL](manual::postgres), [stores](manual::stores) | [store] |
//! | evaluate it | [security](manual::security), [how it compares](manual::compared) | |
//!
//! # Stores, and what a request waits for
//!
//! The first use of a key on a node waits for a look-up and an Argon2id run: 13 ms with the default profile, on one
//! core of a 2-core AMD EPYC. Every later use waits only until it knows what changed in the store:
//!
//! | store | mode | a later use waits for |
//! |---|---|---|
//! | [`MemoryStore`](store::MemoryStore) | strict | nothing |
//! | `SqliteStore::open_exclusive`, one process | strict | nothing |
//! | `SqliteStore::open`, shared by processes | strict | one read of one row, and a look at the names of the files: about 6 µs |
//! | `PostgresStore`, or another store behind a network | strict | the next read of its change log, which all waiting requests share |
//! | any | [bounded](auth::Freshness::Bounded) | nothing; a revoked key may be accepted until the bound has passed |
//!
//! # Debug builds
//!
//! Cargo ignores profiles that a dependency defines. Copy these lines into your own `Cargo.toml`: a hash takes 393 ms
//! in a debug build without them, and 13 ms with them.
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
//! A feature adds to the API and never changes existing behaviour.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` (default) | the extractors `Principal`, `Option<Principal>`, `UserPrincipal`, `TeamPrincipal`, `InOrganization` |
//! | `manage` (default) | [`KeyManager`] and all of [`manage`]; not needed by a node that only checks keys |
//! | `sqlite` | `SqliteStore`, with SQLite built from bundled source: a C compiler is needed |
//! | `postgres` | `PostgresStore`, for many nodes, over `tokio-postgres` |
//! | `postgres-tls` | TLS between the two, with rustls and ring: a C compiler is needed |
//! | `metrics` | `Authenticator::publish_metrics`: what checks cost, for the recorder of the crate `metrics` |
//! | `schemars` | JSON Schemas of all answers of the manager |
//! | `tracing` | log lines for operators, never with a key |
//! | `test-util` | `Principal::fake`, `acting_as`, `ManualClock`: for tests |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// Without `manage`, items that only the manager uses are unused. With it, the lints see them all.
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

// Some unit tests include a file of the integration tests, which uses the name of the crate.
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
// Pages of documentation: nothing of them is compiled.
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
