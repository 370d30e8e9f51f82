//! Where keys are kept: the contract every store fulfils, and the stores of this crate.
//!
//! Three traits, each on top of the one before, in the order in which a store is written: [`KeyReader`] finds keys and
//! tells what changed, [`KeyStore`] changes keys, and [`Ledger`] counts their uses and keeps the audit trail. A whole store
//! is a `Ledger`. All have plain `async fn`s. After each trait, the conformance kit (`tower-api-keys-conformance`), whose
//! clauses are the fine print of this page, has a call that tries what is there: `check_reader`, `check_key_store`, and
//! `check_store` for the whole; then `check_pair` tries two handles onto the same data, as two nodes have. Tables with the
//! greatest lengths of their [columns](COLUMNS), locks, time-outs and errors have a [page](crate::manual::stores) of their own.
//!
//! [`transfer::copy`](transfer::copy()) moves all data from one store into another, without a key being reissued: from SQLite
//! to PostgreSQL, say. It works between stores that implement [`PortableStore`](transfer::PortableStore) beside the two, as
//! those of this crate do; for one's own store that is a choice.
//!
//! # Contract
//! - Ids and all other text are compared and kept **byte by byte**. No case folding, no trimming, no `LIKE`.
//! - **Times and ids are arguments**: a store has no clock and makes up no id.
//! - What a call wrote before it returned is there **after a crash**, and for every read that begins later, whichever node
//!   asks.
//! - The **change log** carries every change of a key's revocation, pause, expiry, scopes, networks, limits or owner, and of
//!   the status of an owner or an organization, in both directions, in commit order, whoever made it: databases write it
//!   by trigger. It carries a hash that somebody replaced by hand, too, and none that [`rehash`](KeyStore::rehash) did.
//! - Nothing **un-revokes** a key. No write of this trait touches a revocation once it stands.
//! - What moves between stores moves **as it is**: a [`PortableStore`](transfer::PortableStore) exports whole rows in the order
//!   of their primary keys, and imports them where none stands, or an identical one. Nothing is overwritten.
//! - A future may be **dropped** at any await point; what it began is then done whole or not at all.

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
