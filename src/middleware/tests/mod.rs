//! The layers over services and authenticators that say what they are told to.

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
