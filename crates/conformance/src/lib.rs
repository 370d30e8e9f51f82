//! The store contract, clause by clause, to test a store of your own.
//!
//! Each clause has a number and a text; [`clauses`] lists them. [`check_store`] tests the clauses of a store, and
//! [`check_pair`] those of two handles onto one database, which a single handle cannot show. A test of your own store
//! is one line:
//!
//! ```
//! use tower_api_keys::store::MemoryStore;
//! use tower_api_keys_conformance::check_store;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let store = MemoryStore::new();
//! check_store(&store).await.into_result()?; // in a test: `.unwrap()`, which prints the report
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Step by step
//! You write a store trait by trait, and can test it after each. A later step repeats the tests of the earlier ones.
//!
//! | step | you have written | call | clauses |
//! |---|---|---|---|
//! | 1 | [`KeyReader`] | [`check_reader`], with a way to change what it reads | `R` |
//! | 2 | [`KeyStore`] | [`check_key_store`] | `R`, and those of `S` that need no counts and no events |
//! | 3 | [`Ledger`] | [`check_store`] | all of `R` and `S` |
//! | 4 | a second process may use the database | [`check_pair`] | `C` |
//! | 5 | [`PortableStore`], if rows should be moved | [`check_portable`] | `P` |
//!
//! # What it needs and what it leaves behind
//! - A Tokio runtime with its time driver.
//! - A database that may hold other data and may have been checked before: each clause works in organizations of its
//!   own with random names. Nothing else may write to the database meanwhile.
//! - It leaves some thousand keys, events and counts in those organizations. It deletes events, results of changes and
//!   counts from the first day of 1970, which a real database does not have, and rows of the change log: then readers
//!   start over.
//! - It shows what a store does, but not what it does in a crash or in another thread. Kill the process that writes to
//!   a store of files, and check what is left.
//! - Calls at once are polled by one task: a store that waits for its database has all of them in progress together.
//!
//! A clause fails if it panics or takes longer than 30 seconds; the clauses after it are still tested. A failed clause
//! says what was expected, what was seen, and what usually breaks it. The page `manual::stores` of the library says how
//! to write a store, with tables and time-outs.

mod at_once;
mod candidate;
mod columns;
mod dropped;
mod ends;
mod erase;
mod event;
mod feed;
mod find;
mod follow;
mod guard;
mod list;
mod log;
mod longest;
mod meta;
mod owner;
mod pair;
mod pause;
mod portable;
mod prune;
mod purge;
mod race;
mod rehash;
mod repeat;
mod report;
mod rows;
mod scene;
mod table;
mod unmet;
mod usage;
mod usage_days;
mod write;

use std::future::Future;

use tower_api_keys::store::{Applied, Change, KeyReader, KeyStore, Ledger, StoreError, transfer::PortableStore};

use candidate::Candidate;
use pair::Pair;
pub use report::{Clause, Report, Verdict};
use unmet::{Unmet, UnmetKind};

/// Tests the clauses of [`KeyReader`]. `apply` does a change to the database behind the reader, in any way: through the
/// store that writes to it, or in plain SQL. These clauses need only the writes of changes: no guards, no idempotency,
/// no events.
///
/// ```
/// use tower_api_keys::store::{KeyStore, MemoryStore};
/// use tower_api_keys_conformance::check_reader;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let store = MemoryStore::new();
/// let (reader, writer) = (&store, &store);
/// check_reader(reader, |change| async move { writer.apply(&change).await }).await.into_result()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn check_reader<'a, R, F>(reader: &'a R, apply: impl Fn(Change) -> F + Send + Sync + 'a) -> Report
where
    R: KeyReader,
    F: Future<Output = Result<Applied, StoreError>> + Send + 'a,
{
    let mut report = Report::default();
    table::reader_clauses(&Candidate::reader(reader, apply), &mut report).await;
    report
}

/// Tests the clauses of [`KeyReader`] and those of [`KeyStore`] that can be seen without a [`Ledger`]: the second step,
/// before the third trait is written. It does not test events and counts.
///
/// ```
/// use tower_api_keys::store::MemoryStore;
/// use tower_api_keys_conformance::check_key_store;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// check_key_store(&MemoryStore::new()).await.into_result()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn check_key_store<S: KeyStore>(store: &S) -> Report {
    let candidate = Candidate::store(store);
    let mut report = Report::default();
    table::reader_clauses(&candidate, &mut report).await;
    table::store_clauses(&candidate, &mut report).await;
    report
}

/// Tests every clause of [`KeyReader`], [`KeyStore`] and [`Ledger`]: the whole store.
pub async fn check_store<S: Ledger>(store: &S) -> Report {
    let mut report = check_key_store(store).await;
    table::ledger_clauses(&Candidate::store(store), &mut report).await;
    report.sort();
    report
}

/// Tests the clauses of two handles onto one database: each sees what the other wrote, and what both do at once is done
/// as if through one handle. Give it two connections to one server, two stores that have one file open, or a store of
/// your own and another one on the same tables. Each must pass [`check_store`] alone, which this does not repeat.
///
/// ```
/// use std::sync::Arc;
/// use tower_api_keys::store::MemoryStore;
/// use tower_api_keys_conformance::check_pair;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let one = Arc::new(MemoryStore::new());
/// let other = one.clone();
/// check_pair(&one, &other).await.into_result()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn check_pair<A: Ledger, B: Ledger>(one: &A, other: &B) -> Report {
    let mut report = Report::default();
    table::pair_clauses(&Pair::new(one, other), &mut report).await;
    report
}

/// Tests only the clauses of [`PortableStore`].
///
/// ```
/// use tower_api_keys::store::MemoryStore;
/// use tower_api_keys_conformance::check_portable;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// check_portable(&MemoryStore::new()).await.into_result()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn check_portable<S: PortableStore>(store: &S) -> Report {
    let mut report = Report::default();
    table::portable_clauses(&Candidate::store(store), &mut report).await;
    report
}

/// Every clause with its number and text: `R` for readers, `S` for stores, `C` for two handles onto one database, `P`
/// for stores whose rows can move. A number never gets another meaning.
///
/// ```
/// let (number, text) = tower_api_keys_conformance::clauses().next().ok_or("no clauses")?;
/// assert_eq!((number, text), ("R1", "A key that nobody inserted is not found."));
/// # Ok::<(), &str>(())
/// ```
pub fn clauses() -> impl Iterator<Item = (&'static str, &'static str)> {
    table::all()
}
