//! Keeps answers to keys, and refusals, out of caches.
//!
//! A shared cache may not reuse an answer to a request with `Authorization` unless the answer says so (RFC 9111 §3.5).
//! It knows nothing of `x-api-key`, so the answer has to say what that rule would have.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, VARY},
};

/// What RFC 9111 §3.5 lets a service say to allow a shared cache after all, and what already forbids it.
const DECIDED: [&[u8]; 5] = [b"public", b"s-maxage", b"must-revalidate", b"private", b"no-store"];

/// Forbids every cache to keep an answer, and marks it as depending on these headers of the request.
pub(crate) fn forbid(headers: &mut HeaderMap, vary: &HeaderValue) {
    let overruling: Vec<HeaderName> = headers.keys().filter(|name| overrules(name)).cloned().collect();
    for name in overruling {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    add_vary(headers, vary);
}

/// Marks an answer to a request by `x-api-key` as depending on these headers, and as private unless its author decided.
pub(crate) fn protect(headers: &mut HeaderMap, vary: &HeaderValue) {
    add_vary(headers, vary);
    let decided = items(headers, &CACHE_CONTROL).any(|directive| {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        DECIDED.iter().any(|decision| name.eq_ignore_ascii_case(decision))
    });
    if !decided {
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

/// Whether some caches obey this header before `Cache-Control`: headers for one kind of cache (RFC 9213, and older
/// ones).
fn overrules(name: &HeaderName) -> bool {
    let name = name.as_str();
    let is_older = ["edge-control", "expires", "surrogate-control", "x-accel-expires"].contains(&name);
    is_older || name.ends_with("-cache-control")
}

/// Appends the names that are missing.
fn add_vary(headers: &mut HeaderMap, vary: &HeaderValue) {
    // Most answers have none: nothing is split, nothing compared.
    if !headers.contains_key(VARY) {
        headers.insert(VARY, vary.clone());
        return;
    }
    let listed = |name: &[u8]| items(headers, &VARY).any(|item| item == b"*" || item.eq_ignore_ascii_case(name));
    let names: Vec<_> = split(vary.as_bytes()).collect();
    let absent: Vec<_> = names.iter().copied().filter(|name| !listed(name)).collect();
    if absent.len() == names.len() {
        headers.append(VARY, vary.clone());
    } else {
        for name in absent {
            // A part of a header value is a header value too.
            if let Ok(name) = HeaderValue::from_bytes(name) {
                headers.append(VARY, name);
            }
        }
    }
}

fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|value| split(value.as_bytes()))
}

/// The items of a list, trimmed. A comma between quotes is part of an item.
fn split(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    list.split(move |byte| {
        let ends = *byte == b',' && !quoted;
        if *byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && *byte == b'\\' && !escaped;
        ends
    })
    .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(name: HeaderName, before: &[&'static str]) -> Vec<HeaderValue> {
        let mut headers = HeaderMap::new();
        for value in before {
            headers.append(&name, HeaderValue::from_static(value));
        }
        protect(&mut headers, &HeaderValue::from_static("authorization, x-api-key"));
        headers.get_all(&name).iter().cloned().collect()
    }

    #[test]
    fn names_are_appended_to_vary_once() {
        for (before, after) in [
            (&[][..], &["authorization, x-api-key"][..]),
            (&["origin"], &["origin", "authorization, x-api-key"]),
            (&["Authorization"], &["Authorization", "x-api-key"]),
            (&["origin, X-API-Key"], &["origin, X-API-Key", "authorization"]),
            (&["x-api-key", "authorization"], &["x-api-key", "authorization"]),
            (&["*"], &["*"]),
            (&["x-api-key-2"], &["x-api-key-2", "authorization, x-api-key"]),
        ] {
            assert_eq!(protected(VARY, before), after, "{before:?}");
        }
    }

    #[test]
    fn a_forbidden_answer_is_kept_by_no_cache_whatever_was_said_before() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cache-control", "public, max-age=60"),
            ("cache-control", "s-maxage=60"),
            ("cdn-cache-control", "max-age=60"),
            ("cloudflare-cdn-cache-control", "max-age=60"),
            ("x-litespeed-cache-control", "public, max-age=60"),
            ("akamai-cache-control", "max-age=60"),
            ("edge-control", "cache-maxage=60s"),
            ("x-accel-expires", "60"),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("surrogate-control", "max-age=60"),
            ("vary", "origin"),
            ("x-other", "stays"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        forbid(&mut headers, &HeaderValue::from_static("authorization"));
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(left, ["cache-control: no-store", "vary: authorization", "vary: origin", "x-other: stays"]);
    }

    #[test]
    fn an_answer_is_private_unless_its_author_decided() {
        for (before, decided) in [
            (&[][..], false),
            (&["max-age=60"], false),
            (&["no-cache"], false),
            (&["no-cache=\"a, public, b\""], false),
            (&["no-cache=\"a\\\", public, b\""], false),
            (&["x-public"], false),
            (&["public"], true),
            (&["max-age=60,Public"], true),
            (&["s-maxage=10"], true),
            (&["S-MaxAge = 10"], true),
            (&["max-age=60", "must-revalidate"], true),
            (&["private"], true),
            (&["private=\"set-cookie\""], true),
            (&["no-store"], true),
        ] {
            let mut after: Vec<HeaderValue> = before.iter().copied().map(HeaderValue::from_static).collect();
            after.extend((!decided).then(|| HeaderValue::from_static("private")));
            assert_eq!(protected(CACHE_CONTROL, before), after, "{before:?}");
        }
    }
}
