//! Keys in HTTP: where a request carries its key, which requests are let through, and how the others are answered.
//!
//! One algorithm finds the key:
//!
//! 1. More than one line of `Authorization` or of `x-api-key`: 400.
//! 2. `Authorization`, trimmed: `Bearer` in any case, one or more spaces, the candidate. Any other value is no
//!    candidate. It is refused as `malformed_key` if there is a key in it, also
//!    [encoded](ApiKeyLayer#where-a-key-is-looked-for), or if a prefix and an id stand alone or behind `Token` or
//!    `ApiKey`: 401, even beside a good key in `x-api-key`. Otherwise it is ignored and passed on unchanged.
//! 3. `x-api-key`, trimmed, is a candidate even if it is empty.
//! 4. Two candidates that are equal and not empty are one. Any other two: 400. One candidate that is empty: 401.
//! 5. No candidate: the request has no key.
//!
//! Each request is counted by key, outcome and source. [`Sources`] finds where it comes from, and a layer's
//! [label](ApiKeyLayer::source) names the layer it came through. A [`Refusal`] from further in is counted for the key,
//! too.
//!
//! Refusals are problem documents (RFC 9457) whose member `code` is a [`RefusalCode`], with the challenge of RFC 6750.
//! They forbid caching.
//!
//! A gRPC call gets status 200 and a `grpc-status` instead. Its `grpc-status-details-bin` has an `ErrorInfo` whose
//! reason is the code in capitals, such as `KEY_REVOKED`, and whose domain is `tower-api-keys`; if a retry can help,
//! also a `RetryInfo`. A gRPC call is a `POST` with exactly one content type: `application/grpc` in HTTP/2 or HTTP/3,
//! or `application/grpc-web` or `application/grpc-web-text` in these or HTTP/1.1, each with or without a format behind
//! `+`. Over HTTP/1.1, `application/grpc` needs `te: trailers`, which a layer outside that translates gRPC-Web leaves
//! in place.

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
