//! A gRPC service whose callers need an API key. The layer goes around the whole server. A method finds the caller in
//! the extensions of its request. A client without a valid key gets a status that gRPC clients understand.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, metadata::MetadataValue, transport::Server};
use tonic_types::StatusExt;
use tower_api_keys::{ApiKeys, Principal, store::Ledger};

/// The code that the build script generated.
mod generated {
    include!(concat!(env!("OUT_DIR"), "/example.Callers.rs"));
}

pub use generated::callers_client::CallersClient;
use generated::callers_server::{Callers, CallersServer};

/// The request: who is the caller?
#[derive(Clone, PartialEq, prost::Message)]
pub struct WhoAmIRequest {}

/// The answer: the owner of the caller's key.
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
/// An error of the server.
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

/// Calls the method as a client, with or without a key.
///
/// # Errors
/// The status that the server answered with, or the client's own status if it did not reach the server.
pub async fn who_am_i(server: SocketAddr, key: Option<&str>) -> Result<String, Status> {
    let connected = CallersClient::connect(format!("http://{server}")).await;
    let mut client = connected.map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(WhoAmIRequest {});
    if let Some(key) = key {
        let mut bearer: MetadataValue<_> =
            format!("Bearer {key}").parse().map_err(|_| Status::invalid_argument("no key"))?;
        // The client's logs show `Sensitive` instead of the key.
        bearer.set_sensitive(true);
        request.metadata_mut().insert("authorization", bearer);
    }
    Ok(client.who_am_i(request).await?.into_inner().owner)
}

/// Returns the code of a refusal, such as `key_revoked`; none if the status is no refusal.
#[must_use]
pub fn code_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == "tower-api-keys").then(|| info.reason.to_ascii_lowercase())
}
