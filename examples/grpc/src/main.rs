//! A gRPC service and its client, in one process:
//!
//! ```text
//! cargo run --manifest-path examples/grpc/Cargo.toml
//! ```

use std::{
    error::Error,
    io::{Write, stdout},
};

use tokio::{net::TcpListener, sync::oneshot};
use tower_api_keys::{Actor, ApiKeys, IssueKey, TeamId, store::MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (keys, actor) = (ApiKeys::new(MemoryStore::new())?, Actor::system("first start")?);
    let issued = keys.manager().issue(IssueKey::team(TeamId::new("engineering")?).named("grpc"), &actor).await?;
    let key = issued.plaintext().expose_secret();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn({
        let keys = keys.clone();
        async move { grpc::serve(&keys, listener, async { drop(stopped.await) }).await }
    });

    ask("with a key", grpc::who_am_i(address, Some(key)).await)?;
    ask("without", grpc::who_am_i(address, None).await)?;
    keys.manager().revoke(&issued.info().id, &actor).await?;
    ask("with the key, revoked", grpc::who_am_i(address, Some(key)).await)?;

    drop(stop);
    server.await??;
    keys.shutdown().await?;
    Ok(())
}

fn ask(how: &str, answer: Result<String, tonic::Status>) -> std::io::Result<()> {
    match answer {
        Ok(owner) => writeln!(stdout(), "{how}: {owner}"),
        Err(status) => {
            let code = grpc::code_of(&status).unwrap_or_default();
            writeln!(stdout(), "{how}: {:?}: {code}: {}", status.code(), status.message())
        }
    }
}
