//! A tower service without a web framework, behind [`ApiKeyLayer`](tower_api_keys::ApiKeyLayer), served by hyper.
//!
//! ```text
//! cargo run --example tower_only --no-default-features --features manage
//! ```
//!
//! The keys are in memory, and each start prints a new one. The service listens on 127.0.0.1, on port 3000 unless you
//! set the variable `PORT`.

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
    let listener = bound.map_err(|error| format!("cannot listen on PORT={port}: {error}"))?;
    let address = listener.local_addr()?;

    let keys = ApiKeys::new(MemoryStore::new())?;
    let request = IssueKey::team(TeamId::new("engineering")?).named("tower_only");
    let issued = keys.manager().issue(request, &Actor::system("first start")?).await?;
    let key = issued.plaintext().expose_secret(); // the only time
    writeln!(stdout(), "curl -H 'Authorization: Bearer {key}' http://{address}")?;

    // The last layer added is the outermost. So the key is checked first, and then it must be a team key.
    let service = RequireKeyLayer::new().kind(KeyKind::Team).layer(service_fn(hello));
    let service = keys.layer().layer(service);

    let connections = GracefulShutdown::new();
    let mut stop = pin!(tokio::signal::ctrl_c());
    loop {
        let stream = tokio::select! {
            biased; // Ctrl-C is polled first, so that connections cannot starve it.
            stopped = &mut stop => break stopped?,
            accepted = listener.accept() => accepted?.0,
        };
        // A service is cheap to clone, and all clones share the same cache of keys.
        let service = TowerToHyperService::new(service.clone());
        let connection = connections.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // The service continues if a client hangs up, or if standard error cannot be written.
                let _ = writeln!(stderr(), "a connection ended early: {error}");
            }
        });
    }

    // Running requests are answered first. Then their usage is written.
    connections.shutdown().await;
    keys.shutdown().await?;
    Ok(())
}

/// The layers let only requests with a team key through, and put its owner into the extensions.
async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let caller = request.extensions().get::<Principal>().map(|caller| caller.owner().to_string());
    Ok(Response::new(Full::from(format!("hello, {}\n", caller.as_deref().unwrap_or("stranger")))))
}
