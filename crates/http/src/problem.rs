//! Errors as problem documents (RFC 9457): those of the manager in the core's own form, and those of HTTP in the same.

use axum::response::{IntoResponse, Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use tower_api_keys::manage::{self, ManageError, ManageErrorKind, RevokeManyError, RevokedMany};

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    retry_after: Option<u64>,
    document: Vec<u8>,
}

/// What is wrong with a request before the manager is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpError {
    BodyTooLarge,
    /// A link or a script of another site asks for an export.
    FromElsewhere,
    /// A value is not what the field of this name can hold.
    Invalid(&'static str),
    MalformedBody,
    MalformedHeader(&'static str),
    /// The parameter, if it is one that the route has.
    MalformedQuery(Option<&'static str>),
    MethodNotAllowed,
    NoActor,
    NoRoute,
    SystemActor,
    UnsupportedMediaType,
    /// The answer could not be written.
    Unwritable,
}

/// The sentences of problems that the routes find by themselves, as id and English text, in the order of their ids. Those
/// of the manager are in [`manage::sentences`]. None of them has arguments.
///
/// ```
/// let sentences: Vec<_> = tower_api_keys_http::sentences().collect();
/// assert!(sentences.contains(&("http.no_route", "There is nothing at this path: check its spelling.")));
/// ```
pub fn sentences() -> impl Iterator<Item = (&'static str, &'static str)> {
    HttpError::ALL.into_iter().map(|error| (error.id(), error.sentence()))
}

impl HttpError {
    const ALL: [Self; 12] = [
        Self::BodyTooLarge,
        Self::FromElsewhere,
        Self::Invalid(""),
        Self::MalformedBody,
        Self::MalformedHeader(""),
        Self::MalformedQuery(None),
        Self::MethodNotAllowed,
        Self::NoActor,
        Self::NoRoute,
        Self::SystemActor,
        Self::UnsupportedMediaType,
        Self::Unwritable,
    ];

    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::FromElsewhere => StatusCode::FORBIDDEN,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MalformedBody | Self::MalformedHeader(_) | Self::MalformedQuery(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoActor | Self::SystemActor | Self::Unwritable => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "body_too_large",
            Self::FromElsewhere => "forged_request",
            Self::Invalid(_) => "invalid",
            Self::MalformedBody => "malformed_body",
            Self::MalformedHeader(_) => "malformed_header",
            Self::MalformedQuery(_) => "malformed_query",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NoActor | Self::SystemActor => "misconfigured",
            Self::NoRoute => "no_route",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unwritable => "unwritable",
        }
    }

    /// The id of its sentence.
    const fn id(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "http.body_too_large",
            Self::FromElsewhere => "http.forged_request",
            Self::Invalid(_) => "http.invalid",
            Self::MalformedBody => "http.malformed_body",
            Self::MalformedHeader(_) => "http.malformed_header",
            Self::MalformedQuery(_) => "http.malformed_query",
            Self::MethodNotAllowed => "http.method_not_allowed",
            Self::NoActor => "http.no_actor",
            Self::NoRoute => "http.no_route",
            Self::SystemActor => "http.system_actor",
            Self::UnsupportedMediaType => "http.unsupported_media_type",
            Self::Unwritable => "http.unwritable",
        }
    }

    const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Invalid(_) => Some("malformed"),
            Self::NoActor => Some("no_actor"),
            Self::SystemActor => Some("system_actor"),
            _ => None,
        }
    }

    const fn field(self) -> Option<&'static str> {
        match self {
            Self::Invalid(field) | Self::MalformedHeader(field) => Some(field),
            Self::MalformedQuery(field) => field,
            _ => None,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "The body is too large: send at most 64 KiB.",
            Self::FromElsewhere => {
                "This request was sent from another website, so nothing was done: send it from the service itself."
            }
            Self::Invalid(_) => "The value of this field is not valid: check its form in the documentation.",
            Self::MalformedBody => {
                "The body is not what this request takes: send a JSON object with only the documented fields, each at \
                 most once."
            }
            Self::MalformedHeader(_) => "The value of this header is not valid: check its form in the documentation.",
            Self::MalformedQuery(_) => {
                "The query is not what this request takes: send only the documented parameters, with valid values."
            }
            Self::MethodNotAllowed => "This path does not take this method: the header `Allow` lists those it takes.",
            Self::NoActor => {
                "This server is not set up correctly, and nothing was done: its code must say who sends each request."
            }
            Self::NoRoute => "There is nothing at this path: check its spelling.",
            Self::SystemActor => {
                "This server is not set up correctly, and nothing was done: no request over HTTP may act as the system."
            }
            Self::UnsupportedMediaType => {
                "The content type is not supported: send `Content-Type: application/json`, even without a body."
            }
            Self::Unwritable => "The answer could not be written: look whether the change was made.",
        }
    }
}

/// The members of the core's problem documents.
#[derive(Serialize)]
struct Document {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    reason: Option<&'static str>,
    detail: &'static str,
    sentence: Said,
    remedy: Option<Said>,
    field: Option<&'static str>,
    key: Option<()>,
    current: Option<i64>,
}

/// A sentence without arguments, as the core writes one.
#[derive(Serialize)]
struct Said {
    id: &'static str,
    arguments: NoArguments,
    text: &'static str,
}

#[derive(Serialize)]
struct NoArguments {}

impl From<HttpError> for Problem {
    fn from(error: HttpError) -> Self {
        let text = error.sentence();
        let document = Document {
            r#type: "about:blank",
            title: error.status().canonical_reason().unwrap_or_default(),
            status: error.status().as_u16(),
            code: error.code(),
            reason: error.reason(),
            detail: text,
            sentence: Said { id: error.id(), arguments: NoArguments {}, text },
            remedy: None,
            field: error.field(),
            key: None,
            current: None,
        };
        Self::new(error.status(), None, &document)
    }
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Self {
        let problem = manage::Problem::from(&error);
        Self::new(error.status(), problem.retry_after_seconds(), &problem)
    }
}

/// A revocation of many keys that stopped half-way: the error, and what was done before it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StoppedHalfWay {
    #[serde(flatten)]
    problem: manage::Problem,
    /// What was done before the error.
    so_far: RevokedMany,
}

impl From<RevokeManyError> for Problem {
    fn from(error: RevokeManyError) -> Self {
        let so_far = error.so_far().clone();
        let error = error.into_error();
        let problem = manage::Problem::from(&error);
        let retry_after = problem.retry_after_seconds();
        Self::new(error.status(), retry_after, &StoppedHalfWay { problem, so_far })
    }
}

impl From<ManageErrorKind> for Problem {
    fn from(kind: ManageErrorKind) -> Self {
        Self::new(kind.status(), None, &manage::Problem::from(kind))
    }
}

impl Problem {
    /// The answer about everything that does not exist, or that the actor may not see.
    pub(crate) fn not_found() -> Self {
        ManageErrorKind::NotFound.into()
    }

    fn new(status: StatusCode, retry_after: Option<u64>, document: &impl Serialize) -> Self {
        Self { status, retry_after, document: serde_json::to_vec(document).unwrap_or_default() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(manage::Problem::MEDIA_TYPE));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        crate::headers::protect(&mut headers);
        (self.status, headers, self.document).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_has_an_id_of_its_own_and_ends() {
        let all: Vec<_> = sentences().collect();
        assert!(all.is_sorted_by(|(one, _), (next, _)| one < next), "{all:?}");
        assert!(all.iter().all(|(id, text)| id.starts_with("http.") && text.ends_with('.')));
        assert!(all.iter().all(|(id, _)| manage::sentences().iter().all(|known| known.id() != *id)));
    }

    /// Where all of them can be read in one go.
    #[test]
    fn the_manual_has_every_sentence() {
        let page = include_str!("../docs/manage_over_http.md");
        let said: Vec<_> = page.lines().filter(|line| line.starts_with("- `http.")).map(str::to_owned).collect();
        let expected: Vec<_> = sentences().map(|(id, text)| format!("- `{id}`: {text}")).collect();
        assert_eq!(said, expected);
    }

    /// The same members as the core's, in the same order.
    #[test]
    fn a_problem_of_http_has_the_form_of_one_of_the_manager() {
        let members = |problem: &Problem| {
            let text = String::from_utf8(problem.document.clone()).unwrap();
            let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
            let mut at: Vec<_> = members.keys().map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
            at.sort_unstable();
            let names: Vec<_> = at.into_iter().map(|at| text[at + 1..].split('"').next().unwrap().to_owned()).collect();
            names
        };
        let of_manager = members(&Problem::not_found());
        for error in HttpError::ALL {
            assert_eq!(members(&error.into()), of_manager, "{error:?}");
        }
    }
}
