//! The headers that every answer has: they keep answers out of caches, and browsers from guessing their type.

use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, VARY, X_CONTENT_TYPE_OPTIONS},
};

/// Marks an answer as one for this caller alone.
pub(crate) fn protect(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("authorization, x-api-key, cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
