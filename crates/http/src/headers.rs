//! Headers that all surfaces share: those that keep answers out of caches and browsers from guessing their type, and
//! those by which browsers say where a request comes from.

use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, VARY, X_CONTENT_TYPE_OPTIONS},
};

/// Whether a browser says that the request comes from a page of another site.
pub(crate) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| site == b"cross-site" || site == b"same-site")
}

/// Marks an answer as one for this caller alone.
pub(crate) fn protect(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("authorization, x-api-key, cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
