//! Transactions that hold the lock which orders the change log.

use std::sync::Arc;

use sqlx::{Executor, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::failure::Failure;

/// The turn to change something: one caller at a time on this node.
///
/// The others wait here, without a connection. On the server, a node is in the queue for the lock only once, with any
/// number of callers: if its connection is cut there, other nodes wait for one idle time-out, and not for many.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    pool: PgPool,
    turn: Arc<Mutex<()>>,
}

/// A transaction that holds the lock.
///
/// A request's future is dropped, at any await point, when its client disconnects or its time is over. Then the
/// connection is closed, which rolls the transaction back. A pool would lend the connection with the transaction still
/// open, and with locks that others wait for. After a time-out, the connection may also be dead.
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
    /// The lock is a statement of its own. The transaction is READ COMMITTED, even if the database's default differs,
    /// so the next statement sees what was committed before the lock was granted. In one statement with the lock,
    /// guards would be read from a snapshot that is older than the wait, and a key could be issued for an owner who was
    /// just suspended.
    ///
    /// A node that goes silent while it holds the lock loses it after two seconds: the server ends its transaction. The
    /// others wait for the lock for three seconds, which is longer, so they get it. The crate waits for five, which is
    /// longer again.
    ///
    /// A commit reaches the disk, and a synchronous standby if there is one, even if the database's default differs:
    /// otherwise a crash could undo a revocation, and the key would work again.
    pub(crate) async fn begin(&self) -> Result<Transaction, Failure> {
        // All sent together; the server still runs one statement after the other.
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

    /// Commits after success, else rolls back at once, so that others do not wait for the lock.
    pub(crate) async fn end<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        let is_over = match &done {
            Ok(_) => {
                self.connection()?.execute("commit").await.map_err(Failure::Commit)?;
                true
            }
            // If the rollback fails, the connection is closed, and the server rolls back.
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
        // Only a connection whose transaction has ended goes back to the pool.
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
