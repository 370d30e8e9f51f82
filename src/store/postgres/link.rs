use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls, Row, Statement, types::ToSql};

use super::{failure::Failure, sql::Query};

/// One connection, kept for statements of one kind and made anew when it is lost. Statements of many tasks are pipelined
/// on it: none waits for the answer to another.
pub(super) struct Link {
    config: Config,
    timeout: Duration,
    /// Whether a statement may be prepared once for all.
    prepares: bool,
    live: Mutex<Option<Live>>,
}

#[derive(Clone)]
struct Live {
    client: Arc<Client>,
    statement: Option<Statement>,
}

impl Link {
    pub(super) fn new(config: Config, timeout: Duration, prepares: bool) -> Self {
        Self { config, timeout, prepares, live: Mutex::new(None) }
    }

    /// Asks the one query that this link is for.
    pub(super) async fn ask(&self, query: &Query, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let Live { client, statement } = self.live(query).await?;
        Ok(match &statement {
            Some(statement) => client.query(statement, params).await?,
            None => ask(&client, query, params).await?,
        })
    }

    /// The connection; whoever finds it lost makes another, and the rest wait for that.
    async fn live(&self, query: &Query) -> Result<Live, Failure> {
        let mut live = self.live.lock().await;
        if let Some(live) = live.as_ref().filter(|live| !live.client.is_closed()) {
            return Ok(live.clone());
        }
        let made = within(self.timeout, async {
            let client = Arc::new(connect(&self.config).await?);
            let statement =
                if self.prepares { Some(client.prepare_typed(&query.text, query.types).await?) } else { None };
            Ok(Live { client, statement })
        });
        Ok(live.insert(made.await?).clone())
    }
}

async fn within<T>(timeout: Duration, made: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(timeout, made).await.unwrap_or_else(|late| Err(Failure::Unavailable(late.into())))
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with the connection or with its last client; whoever asks then is told, and connects anew.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Asks without preparing anything that outlives the answer.
pub(super) async fn ask(
    client: &Client,
    query: &Query,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let typed: Vec<_> = params.iter().copied().zip(query.types.iter().cloned()).collect();
    client.query_typed(&query.text, &typed).await
}
