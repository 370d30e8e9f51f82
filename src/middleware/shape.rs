use http::{
    HeaderMap, Method, Request, Version,
    header::{CONTENT_TYPE, TE},
};

const GRPC: &[u8] = b"application/grpc";

/// The form of refusal that the sender of a request understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// HTTP: a status and a body.
    #[default]
    Http,
    /// gRPC: status 200 and trailers.
    Grpc(Dialect),
}

/// The protocols that end with a `grpc-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Native,
    Web,
    WebText,
}

impl Shape {
    /// A request is treated as a gRPC call if it can be one: a `POST` whose only content type is one of gRPC's, in a
    /// version of HTTP that carries it. Any other request that claims to be one gets a status that logs, counters and
    /// caches understand.
    // For most requests this costs one comparison of the method.
    #[inline]
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        if request.method() == Method::POST { of_post(request.version(), request.headers()) } else { Self::Http }
    }
}

fn of_post(version: Version, headers: &HeaderMap) -> Shape {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return Shape::Http;
    };
    match dialect(only.as_bytes()) {
        Some(Dialect::Native) if version >= Version::HTTP_2 || was_translated(version, headers) => {
            Shape::Grpc(Dialect::Native)
        }
        Some(web @ (Dialect::Web | Dialect::WebText)) if version >= Version::HTTP_11 => Shape::Grpc(web),
        _ => Shape::Http,
    }
}

/// `application/grpc`, or `-web`, or `-web-text`; then nothing more, `+` and a format, or `;` and parameters.
fn dialect(content_type: &[u8]) -> Option<Dialect> {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let (start, rest) = media_type.split_at_checked(GRPC.len())?;
    if !start.eq_ignore_ascii_case(GRPC) {
        return None;
    }
    let variant = rest.split(|byte| *byte == b'+').next().unwrap_or_default();
    match variant {
        b"" => Some(Dialect::Native),
        _ if variant.eq_ignore_ascii_case(b"-web") => Some(Dialect::Web),
        _ if variant.eq_ignore_ascii_case(b"-web-text") => Some(Dialect::WebText),
        _ => None,
    }
}

/// Whether a layer further out translated this gRPC call from gRPC-Web. Such a call keeps its version of HTTP, and says
/// that it accepts trailers, as every gRPC call does.
fn was_translated(version: Version, headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    version == Version::HTTP_11 && codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn shape(method: Method, version: Version, lines: &[(&'static str, &'static str)]) -> Shape {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.version_mut() = version;
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        Shape::of(&request)
    }

    fn post(version: Version, content_type: &'static str) -> Shape {
        shape(Method::POST, version, &[("content-type", content_type)])
    }

    #[test]
    fn a_post_with_a_content_type_of_grpc_is_a_call() {
        for version in [Version::HTTP_2, Version::HTTP_3] {
            for (content_type, dialect) in [
                ("application/grpc", Dialect::Native),
                ("application/grpc+proto", Dialect::Native),
                ("Application/GRPC+json; charset=utf-8", Dialect::Native),
                ("application/grpc ;a=b", Dialect::Native),
                ("application/grpc-web", Dialect::Web),
                ("application/grpc-Web+proto", Dialect::Web),
                ("application/grpc-web-text", Dialect::WebText),
                ("application/grpc-web-text+proto;a=b", Dialect::WebText),
            ] {
                assert_eq!(post(version, content_type), Shape::Grpc(dialect), "{content_type}");
            }
        }
    }

    #[test]
    fn what_only_begins_like_one_is_none() {
        for content_type in [
            "",
            "application/grp",
            "application/grpcs",
            "application/grpc-",
            "application/grpc-web2",
            "application/grpc-web-text-more",
            "application/grpc-status+proto",
            "application/json",
            "application/json; a=application/grpc",
            "text/plain, application/grpc",
            "application/grpc, text/plain",
        ] {
            assert_eq!(post(Version::HTTP_2, content_type), Shape::Http, "{content_type}");
        }
        let twice = [("content-type", "application/grpc"), ("content-type", "application/grpc")];
        assert_eq!(shape(Method::POST, Version::HTTP_2, &twice), Shape::Http);
        assert_eq!(shape(Method::POST, Version::HTTP_2, &[]), Shape::Http);
    }

    #[test]
    fn no_other_method_is_a_call() {
        let extension = Method::from_bytes(b"post").unwrap();
        for method in [
            Method::CONNECT,
            Method::DELETE,
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::PATCH,
            Method::PUT,
            Method::TRACE,
            extension,
        ] {
            let lines = [("content-type", "application/grpc"), ("te", "trailers")];
            assert_eq!(shape(method.clone(), Version::HTTP_2, &lines), Shape::Http, "{method}");
        }
    }

    #[test]
    fn an_old_version_of_http_carries_web_calls_only() {
        assert_eq!(post(Version::HTTP_11, "application/grpc"), Shape::Http);
        assert_eq!(post(Version::HTTP_11, "application/grpc-web"), Shape::Grpc(Dialect::Web));
        assert_eq!(post(Version::HTTP_11, "application/grpc-web-text"), Shape::Grpc(Dialect::WebText));
        for version in [Version::HTTP_09, Version::HTTP_10] {
            for content_type in ["application/grpc", "application/grpc-web"] {
                assert_eq!(post(version, content_type), Shape::Http);
            }
        }
    }

    #[test]
    fn a_web_call_that_a_layer_outside_translated_is_a_call() {
        let translated =
            |version, te| shape(Method::POST, version, &[("content-type", "application/grpc"), ("te", te)]);
        for te in ["trailers", "Trailers", "gzip, trailers"] {
            assert_eq!(translated(Version::HTTP_11, te), Shape::Grpc(Dialect::Native), "{te}");
        }
        assert_eq!(translated(Version::HTTP_11, "gzip"), Shape::Http);
        assert_eq!(translated(Version::HTTP_10, "trailers"), Shape::Http);
    }
}
