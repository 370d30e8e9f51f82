//! A port: connections come in until the server stops, and then end after the request that they are at.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::{Body, Bytes, Incoming},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower_service::Service;

use super::log::{Complaint, Log};
use crate::failure::Failure;

/// How long a connection may be idle, or send the head of a request. Longer than proxies keep idle connections (nginx
/// 60 s, Go 90 s, Caddy 120 s), so that they are the ones to close them.
const IDLE: Duration = Duration::from_secs(150);

/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The address of the other end of the connection, in the extensions of each request.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// A port that is taken. Nobody is answered yet.
pub(super) struct Port {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

impl Port {
    /// # Errors
    /// If it cannot be had.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bound.await.map_err(|error: std::io::Error| {
            let text =
                format!("{address} cannot be used: check whether another process listens there, and the address.");
            Failure::unavailable(text).because_of(&error)
        })
    }

    /// Whether other machines may reach it.
    pub(super) fn is_public(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Serves until `stop` says so and all requests that were begun are answered. The service is always ready.
    pub(super) async fn serve<S, B>(self, service: S, mut stop: watch::Receiver<bool>, log: Arc<Log>)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(IDLE);
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stops| *stops) => break,
            };
            let Ok((stream, peer)) = accepted else {
                log.complain(Complaint::Accept);
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let connection = http.serve_connection(TokioIo::new(prepared(stream)), at_peer(service.clone(), peer.ip()));
            let watched = graceful.watch(connection);
            // A connection that breaks concerns its client only.
            tokio::spawn(async move { drop(watched.await) });
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

/// Answers are small, and the next request waits for them.
fn prepared(stream: TcpStream) -> TcpStream {
    drop(stream.set_nodelay(true));
    stream
}

/// The service for one connection.
fn at_peer<S, B>(
    service: S,
    peer: IpAddr,
) -> impl hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future = S::Future>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body,
{
    hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        service.clone().call(request)
    })
}
