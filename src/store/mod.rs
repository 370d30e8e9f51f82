//! Where keys are stored: the contract that every store fulfils, and the stores of this crate.
//!
//! There are three traits, each on top of the one before. Write a store in this order: [`KeyReader`] finds keys and
//! says what changed, [`KeyStore`] changes keys, and [`Ledger`] counts their uses and keeps the audit trail. A whole
//! store is a `Ledger`. All have plain `async fn`s. The clauses of the conformance kit (`tower-api-keys-conformance`)
//! are the details of this page. The kit has a call for each trait: `check_reader`, `check_key_store`, and
//! `check_store` for the whole. Then `check_pair` tests two handles onto the same data, as two nodes have. A
//! [page](crate::manual::stores) of its own describes tables, the greatest lengths of their [columns](COLUMNS), locks,
//! time-outs and errors.
//!
//! [`transfer::copy`](transfer::copy()) moves all data from one store into another, from SQLite to PostgreSQL for
//! example. No key has to be issued again. Both stores have to implement [`PortableStore`](transfer::PortableStore), as
//! those of this crate do. For your own store it is optional.
//!
//! # Contract
//! - Ids and all other text are compared and kept **byte by byte**. No case folding, no trimming, no `LIKE`.
//! - **Times and ids are arguments**: a store has no clock and creates no id.
//! - What a call wrote before it returned is there **after a crash**, and for every read on any node that begins later.
//! - The **change log** has every change of a key's revocation, pause, expiry, scopes, networks, limits or owner, and
//!   of the status of an owner or an organization, in both directions, in commit order. It has changes from any source:
//!   databases write it by trigger. It also has a hash that was replaced by hand, but none that
//!   [`rehash`](KeyStore::rehash) replaced.
//! - Nothing **un-revokes** a key. No write of this trait changes a revocation that is stored.
//! - Rows move between stores **unchanged**: a [`PortableStore`](transfer::PortableStore) exports whole rows in the
//!   order of their primary keys, and imports a row where there is none, or an identical one. Nothing is overwritten.
//! - A future may be **dropped** at any await point; what it began is then done completely or not at all.

mod any;
mod calls;
mod change;
mod contract;
mod dead_keys;
mod ending;
mod erasure;
mod error;
mod head;
mod key_cursor;
mod key_range;
mod lease;
mod listed;
mod memory;
mod owner_change;
mod peppers;
mod portion;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;
mod status_of;
pub mod transfer;

pub use any::AnyStore;
#[doc(hidden)]
pub use any::{ErasedLedger, ErasedReader, ErasedStore};
pub(crate) use calls::Calls;
pub(crate) use change::created_by;
pub use change::{Applied, AuditedWrite, Change, ChangeId, Effect, Guard, IdempotentRequest, KeyUpdate, Write};
pub use contract::{FoundKey, FoundOwner, KeyReader, KeyStore, Ledger};
pub use dead_keys::{DeadKeys, EndedKeys};
pub use ending::EndingQuery;
pub use erasure::{Erasure, InvalidPseudonym, Pseudonym};
pub use error::{Conflict, StoreError, StoreErrorKind};
pub(crate) use head::Changed;
pub use head::{Changes, Head, HeadCell};
pub use key_cursor::{InvalidCursor, KeyCursor};
pub(crate) use lease::{Lease, Moment};
pub use listed::{ListedKey, SuccessorRow};
pub use memory::MemoryStore;
pub use owner_change::OwnerChange;
pub(crate) use peppers::PeppersInUse;
pub(crate) use portion::Portion;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresError, PostgresErrorKind, PostgresSettings, PostgresStore};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use query::UsedKeys;
pub use query::{EventQuery, KeyOrder, KeyQuery, Liveness, Page, Prune, Pruned, RehashedKey, Trail, UsageScope};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteBackupError, SqliteBackupErrorKind, SqliteOpenError, SqliteOpenErrorKind, SqliteStore};
pub(crate) use status_of::ORGANIZATION;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use status_of::StatusOf;

pub use crate::{
    lengths::{Alphabet, COLUMNS, Column, Length},
    owner::OwnerRef,
};
