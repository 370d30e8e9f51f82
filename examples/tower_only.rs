//! No axum, no web framework: a tower service behind [`ApiKeyLayer`](tower_api_keys::ApiKeyLayer), served by hyper.
//!
//! ```text
//! cargo run --example tower_only --no-default-features
//! ```
//!
//! The keys live in memory: each start prints a new one. It listens on 127.0.0.1, port 3000 unless the variable `PORT`
//! names another.

use std::{
    convert::Infallible,
    env,
    error::Error,
    io::{Write, stderr, stdout},
    pin::pin,
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyKind, Principal, TeamId, middleware::RequireKeyLayer, store::MemoryStore,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let bound = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    let listener = bound.map_err(|error| format!("PORT={port} cannot be listened on: {error}"))?;
    let address = listener.local_addr()?;

    let keys = ApiKeys::new(MemoryStore::new())?;
    let request = IssueKey::team(TeamId::new("engineering")?).named("tower_only");
    let issued = keys.manager().issue(request, &Actor::system("first start")?).await?;
    let key = issued.plaintext().expose_secret(); // the only time
    writeln!(stdout(), "curl -H 'Authorization: Bearer {key}' http://{address}")?;

    // Layers go around a service from the inside out: a key is looked for first, then it has to be a team's.
    let service = RequireKeyLayer::new().kind(KeyKind::Team).layer(service_fn(hello));
    let service = keys.layer().layer(service);

    let connections = GracefulShutdown::new();
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        let stream = tokio::select! {
            biased; // In this order: Ctrl-C is listened to before the first connection, and never starved by them.
            stopped = &mut stop => break stopped?,
            accepted = listener.accept() => accepted?.0,
        };
        // A service is cheap to clone: all clones share what they know of keys.
        let service = TowerToHyperService::new(service.clone());
        let connection = connections.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A client that hangs up is no reason to stop; nor is a standard error nobody reads.
                let _ = writeln!(stderr(), "a connection ended early: {error}");
            }
        });
    }

    // Requests under way are answered, then what they were counted as is written.
    connections.shutdown().await;
    keys.shutdown().await?;
    Ok(())
}

/// The layers let nobody through without a team's key, and leave whose it is in the extensions.
async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let caller = request.extensions().get::<Principal>().map(|caller| caller.owner().to_string());
    Ok(Response::new(Full::from(format!("hello, {}\n", caller.as_deref().unwrap_or("stranger")))))
}
