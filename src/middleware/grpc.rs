//! Refusals as gRPC clients understand them: a problem document with status 401 is an `Internal` error to them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};

use super::refusal::Refusal;

const PREFIX: &[u8] = b"application/grpc";

/// Whether the request is a gRPC call, gRPC-Web included, by its content type.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..PREFIX.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The refusal as a response of trailers alone, which travel as its headers.
pub(crate) fn response(refusal: &Refusal) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(refusal.code().grpc_status()));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(refusal.detail())) {
        headers.insert("grpc-message", message);
    }
    response
}

/// As the gRPC protocol wants `Status-Message`: everything but printable ASCII, and `%`, as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..b' ' | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
            printable => encoded.push(char::from(printable)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("100 % für\n~"), "100 %25 f%C3%BCr%0A~");
    }

    #[test]
    fn every_content_type_that_begins_with_application_grpc_is_a_call() {
        let is =
            |value: &'static str| is_call(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]));
        for value in ["application/grpc", "application/grpc+proto", "Application/GRPC-web-text;charset=x"] {
            assert!(is(value), "{value}");
        }
        for value in ["application/json", "application/grp", "text/plain; application/grpc", ""] {
            assert!(!is(value), "{value}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }
}
