//! Serves both streams, and ends them when the key that opened them is revoked:
//!
//! ```text
//! cargo run --package streams
//! ```

use std::{error::Error, time::Duration};

use streams::router;
use tokio::{net::TcpListener, time::sleep};
use tower_api_keys::{Actor, ApiKeys, IssueKey, TeamId, store::MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (keys, system) = (ApiKeys::new(MemoryStore::new())?, Actor::system("streams")?);
    let issued = keys.manager().issue(IssueKey::team(TeamId::new("engineering")?).named("ticks"), &system).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("curl -N -H 'x-api-key: {}' http://{address}/ticks", issued.plaintext().expose_secret());
    println!("In one minute the key is revoked, and the stream ends.");
    let (manager, id) = (keys.manager(), issued.info().id);
    tokio::spawn(async move {
        sleep(Duration::from_secs(60)).await;
        manager.revoke(&id, &system).await
    });
    axum::serve(listener, router(&keys)).await?;
    Ok(())
}
