//! How all writers begin and end a transaction.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::failure::Failure;

/// Begins a transaction that may write. It is rolled back if it is dropped before its [`commit`].
pub(super) fn begin(connection: &mut Connection) -> Result<Transaction<'_>, rusqlite::Error> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

pub(super) fn commit(transaction: Transaction<'_>) -> Result<(), Failure> {
    // Not `Transaction::commit`: after it, one cannot see whether SQLite kept the transaction open. If SQLite did, it
    // is rolled back when it is dropped here.
    transaction
        .execute_batch("commit")
        .map_err(|error| if transaction.is_autocommit() { Failure::Commit(error) } else { Failure::Sqlite(error) })
}
