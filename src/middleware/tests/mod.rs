mod answers;
mod caches;
pub(in crate::middleware) mod grpc_details;
mod layer;
mod limits;
mod polling;
mod require;
mod support;
