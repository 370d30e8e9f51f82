//! The layers, over scripted services and authenticators.

mod answers;
mod caches;
#[cfg(feature = "manage")]
mod customers_view;
pub(in crate::middleware) mod grpc_details;
mod layer;
mod limits;
mod organizations;
mod polling;
mod require;
mod script;
mod support;
