//! Keys in HTTP: where they stand in a request, what is let through, and what the others are told.
//!
//! One algorithm finds the key:
//!
//! 1. More than one line of `Authorization` or of `x-api-key`: 400.
//! 2. `Authorization`, trimmed: `Bearer` in any case, one or more spaces, the candidate. Another scheme is left alone,
//!    unless it is none: a key by itself, or after `Token` or `ApiKey`, is refused with a reason that says so.
//! 3. `x-api-key`, trimmed, is a candidate even if it is empty.
//! 4. Two candidates that are equal and not empty are one. Any other two: 400.
//! 5. No candidate: the request has no key.
//!
//! What is found is counted, by key, outcome and source: [`Sources`] says from where requests come, and a layer's
//! [label](ApiKeyLayer::source) through which door. A [`Refusal`] from further in is counted for the key, too.
//!
//! Refusals are problem documents (RFC 9457) whose member `code` is a [`RefusalCode`], with the challenge of RFC 6750. No
//! cache keeps them.
//!
//! A gRPC call gets status 200 and a `grpc-status` instead, and in `grpc-status-details-bin` an `ErrorInfo` whose reason is
//! the code in capitals, such as `KEY_REVOKED`, and whose domain is `tower-api-keys`; where trying again helps, also a
//! `RetryInfo`. A gRPC call is a `POST` whose only content type is `application/grpc`, in HTTP/2 or HTTP/3, or
//! `application/grpc-web` or `application/grpc-web-text`, in HTTP/1.1 too, each with a format behind `+` or without. Over
//! HTTP/1.1, `application/grpc` needs `te: trailers`, as a layer outside leaves it that translates gRPC-Web.

#[cfg(any(test, feature = "test-util"))]
mod acting_as;
mod anonymous;
mod body;
mod bound;
mod caching;
mod code;
mod credentials;
#[cfg(any(test, feature = "manage"))]
mod denied;
mod future;
mod grpc;
mod headers;
mod layer;
mod path;
mod presenter;
mod readiness;
mod realm;
mod refusal;
mod report;
mod require;
mod sensitive;
mod service;
mod settings;
mod shape;
mod sources;

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "test-util"))]
pub use acting_as::{ActingAs, ActingAsService, acting_as, acting_as_nobody};
#[cfg(feature = "axum")]
pub(crate) use anonymous::Anonymous;
pub use body::ResponseBody;
#[cfg(feature = "axum")]
pub(crate) use bound::Bound;
pub use credentials::ForeignBearer;
pub use future::ResponseFuture;
pub use headers::{InvalidKeyHeader, KeyHeaders};
pub use layer::ApiKeyLayer;
pub use path::InvalidPathPattern;
pub use presenter::RejectionBody;
pub use realm::InvalidRealm;
pub use refusal::Refusal;
#[cfg(feature = "axum")]
pub(crate) use report::no_organization;
#[cfg(feature = "axum")]
pub(crate) use require::without_principal;
pub use require::{MembershipQuestion, RequireKeyLayer, RequireKeyService};
pub use sensitive::{MarkKeysSensitive, MarkKeysSensitiveService};
pub use service::ApiKeyService;
pub use sources::Sources;

pub use crate::outcome::RefusalCode;
