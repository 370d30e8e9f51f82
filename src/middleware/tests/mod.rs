mod answers;
mod caches;
pub(in crate::middleware) mod grpc_details;
mod layer;
mod limits;
mod organizations;
mod polling;
mod require;
mod support;
