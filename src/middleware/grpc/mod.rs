//! Refusals in the form that gRPC clients understand: to them, a problem document with status 401 is an `Internal`
//! error.

mod details;

use bytes::Bytes;
use http::{HeaderValue, Response, header::CONTENT_TYPE};

use super::{refusal::Refusal, shape::Dialect};

/// The refusal as a trailers-only response: the trailers are sent as its headers.
pub(crate) fn response(refusal: &Refusal, dialect: Dialect) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    // Clients of gRPC-Web reject an answer of another type as not from the service.
    let content_type = match dialect {
        Dialect::Native => "application/grpc",
        Dialect::Web => "application/grpc-web",
        Dialect::WebText => "application/grpc-web-text",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("grpc-status", HeaderValue::from(refusal.code().grpc_status()));
    // Both are printable ASCII, so neither conversion fails.
    if let Ok(message) = HeaderValue::try_from(percent_encoded(refusal.detail())) {
        headers.insert("grpc-message", message);
    }
    if let Ok(details) = HeaderValue::try_from(details::encoded(refusal)) {
        headers.insert("grpc-status-details-bin", details);
    }
    response
}

/// The encoding of `Status-Message` in the gRPC protocol: `%` and everything but printable ASCII as `%XX`.
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
}
