//! A gRPC service whose callers need an API key. The layer goes around the whole server: a method sees who calls in the
//! extensions of its request, and a client without a good key gets a status that gRPC clients understand.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, metadata::MetadataValue, transport::Server};
use tonic_types::StatusExt;
use tower_api_keys::{ApiKeys, Principal, store::Ledger};

/// What the build script generated.
mod generated {
    include!(concat!(env!("OUT_DIR"), "/example.Callers.rs"));
}

pub use generated::callers_client::CallersClient;
use generated::callers_server::{Callers, CallersServer};

/// Asks who the caller is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WhoAmIRequest {}

/// Who the caller is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WhoAmIReply {
    /// Such as `user alice`.
    #[prost(string, tag = "1")]
    pub owner: String,
}

struct Service;

#[tonic::async_trait]
impl Callers for Service {
    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Result<Response<WhoAmIReply>, Status> {
        let caller = request.extensions().get::<Principal>().ok_or_else(|| Status::internal("there is no layer"))?;
        Ok(Response::new(WhoAmIReply { owner: caller.owner().to_string() }))
    }
}

/// Serves until `stop` ends.
///
/// # Errors
/// Those of the server.
pub async fn serve<S: Ledger>(
    keys: &ApiKeys<S>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .layer(keys.layer())
        .add_service(CallersServer::new(Service))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await
}

/// What a client asks, with a key or without.
///
/// # Errors
/// The status the server answered with, or that of a client that did not reach it.
pub async fn who_am_i(server: SocketAddr, key: Option<&str>) -> Result<String, Status> {
    let connected = CallersClient::connect(format!("http://{server}")).await;
    let mut client = connected.map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(WhoAmIRequest {});
    if let Some(key) = key {
        let mut bearer: MetadataValue<_> =
            format!("Bearer {key}").parse().map_err(|_| Status::invalid_argument("no key"))?;
        // Logs of the client show this in the place of the key.
        bearer.set_sensitive(true);
        request.metadata_mut().insert("authorization", bearer);
    }
    Ok(client.who_am_i(request).await?.into_inner().owner)
}

/// The code of a refusal, such as `key_revoked`, if the status is one.
#[must_use]
pub fn code_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == "tower-api-keys").then(|| info.reason.to_ascii_lowercase())
}
