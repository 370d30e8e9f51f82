//! Transactions that hold the lock which orders the change log.

use std::sync::Arc;

use sqlx::{Executor, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::failure::Failure;

/// Who may change something: one at a time on this node.
///
/// The others wait here, without a connection. On the server a node stands in the queue for the lock once, however many
/// callers it has: if its line is cut there, the others wait for one idle time-out, and not for one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    pool: PgPool,
    turn: Arc<Mutex<()>>,
}

/// A transaction that holds the lock.
///
/// A request's future is dropped when its client goes away, or its time is over, at any await point. The connection is
/// closed then, which undoes the transaction: a pool would hand it on with the transaction open, and with the locks for
/// which everybody waits. After a time that is over it may be a dead line besides.
#[derive(Debug)]
pub(crate) struct Transaction {
    connection: Option<PoolConnection<Postgres>>,
    _turn: OwnedMutexGuard<()>,
}

impl Transactions {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, turn: Arc::default() }
    }

    /// Begins a transaction that holds the row which orders the change log.
    ///
    /// The lock is a statement of its own. Under READ COMMITTED, which is asked for whatever the database's default is,
    /// the next statement then sees what was committed before the lock was had; in one statement with it, guards would
    /// be read from a snapshot older than the wait for the lock, and a key issued for an owner just suspended.
    ///
    /// A node that goes silent while it holds the lock loses it after two seconds: the server ends its transaction. The
    /// others wait for the lock for three seconds, which is longer, and so they get it. The crate waits for five, which
    /// is longer again.
    ///
    /// What commits is on disk, and on a synchronous standby if there is one, whatever the database's default is: a
    /// revocation that a crash undid would let the key in again.
    pub(crate) async fn begin(&self) -> Result<Transaction, Failure> {
        // All sent at once; the server still does one statement after the other.
        const BEGIN: &str = "begin isolation level read committed; \
            set local idle_in_transaction_session_timeout to 2000; set local lock_timeout to 3000; \
            select position, \
                case when current_setting('synchronous_commit') in ('off', 'local', 'remote_write') \
                    then set_config('synchronous_commit', 'on', true) end \
            from keys.api_key_head for update";
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let mut transaction = Transaction { connection: Some(self.pool.acquire().await?), _turn: turn };
        transaction.connection()?.execute(BEGIN).await?;
        Ok(transaction)
    }
}

impl Transaction {
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, Failure> {
        let lost = || Failure::Unavailable(sqlx::Error::PoolClosed);
        self.connection.as_deref_mut().ok_or_else(lost)
    }

    /// Commits what went well, and takes the rest back before somebody else waits for the lock.
    pub(crate) async fn end<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        let is_over = match &done {
            Ok(_) => {
                self.connection()?.execute("commit").await.map_err(Failure::Commit)?;
                true
            }
            // A connection that cannot take it back is closed, and the server does.
            Err(_) => self.connection()?.execute("rollback").await.is_ok(),
        };
        if is_over {
            drop(self.connection.take());
        }
        done
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Only a connection whose transaction ended goes back.
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
