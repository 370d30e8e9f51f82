//! What this program prints, and the statistics of the database.

use std::{error::Error, fmt, time::Duration};

use tokio_postgres::{Client, NoTls};

use crate::judge::Verdict;

pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// In nanoseconds, in any order.
    pub(crate) delays: Vec<u64>,
    pub(crate) nodes: usize,
    pub(crate) time: Duration,
    pub(crate) reads: u64,
    pub(crate) queries: u64,
}

impl Report {
    /// Fails if there was a stale accept or a refused live key.
    pub(crate) fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        match self.verdict {
            Verdict { stale_accepts: 0, refused_live: 0, .. } => Ok(()),
            Verdict { stale_accepts: 0, .. } => {
                Err("a key was refused that had been neither revoked nor suspended".into())
            }
            Verdict { .. } => Err("a key was accepted after it had been revoked or suspended".into()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, time, .. } = self;
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        // The smallest delay that this percentage of delays does not exceed.
        let ms = |percent: usize| {
            let rank = (delays.len() * percent).div_ceil(100).saturating_sub(1);
            delays.get(rank).map_or(f64::NAN, |nanos| *nanos as f64 / 1e6)
        };
        let a_second = |count: u64| count as f64 / time.as_secs_f64();
        let nodes = self.nodes as f64;
        writeln!(f, "requests\t{}", verdict.requests)?;
        writeln!(f, "stale_accepts\t{}", verdict.stale_accepts)?;
        writeln!(f, "revocation_p50_ms\t{:.2}", ms(50))?;
        writeln!(f, "revocation_p99_ms\t{:.2}", ms(99))?;
        writeln!(f, "revocation_max_ms\t{:.2}", ms(100))?;
        writeln!(f, "checks_per_second_per_node\t{:.0}", a_second(verdict.requests) / nodes)?;
        writeln!(f, "freshness_reads_per_second_per_node\t{:.0}", a_second(self.reads) / nodes)?;
        writeln!(f, "database_queries_per_second\t{:.0}", a_second(self.queries))?;
        writeln!(f, "revocations\t{}", delays.len())?;
        writeln!(f, "refused_live\t{}", verdict.refused_live)?;
        writeln!(f, "unavailable\t{}", verdict.unavailable)
    }
}

/// The number of transactions that have ended in this database. A single statement counts as one.
pub(crate) async fn transactions(url: &str) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let query = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
    Ok(connect(url).await?.query_one(query, &[]).await?.try_get::<_, i64>(0)?.try_into()?)
}

pub(crate) async fn drop_schema(url: &str, schema: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(connect(url).await?.batch_execute(&format!("drop schema if exists {schema} cascade")).await?)
}

async fn connect(url: &str) -> Result<Client, Box<dyn Error + Send + Sync>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
