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
//! Refusals are problem documents (RFC 9457) whose member `code` is a [`RefusalCode`], with the challenge of RFC 6750. A
//! call whose content type begins with `application/grpc` gets status 200 and a `grpc-status` instead.

#[cfg(any(test, feature = "test-util"))]
mod acting_as;
mod anonymous;
mod body;
mod bound;
mod caching;
mod code;
mod credentials;
mod future;
mod gate;
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
mod settings;
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
pub use code::RefusalCode;
pub use credentials::ForeignBearer;
pub use future::ResponseFuture;
pub use headers::{InvalidKeyHeader, KeyHeaders};
pub use layer::{ApiKeyLayer, ApiKeyService};
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
pub use sources::Sources;
