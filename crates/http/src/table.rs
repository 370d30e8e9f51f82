//! One row for each route. The rows make the router, and in a test the OpenAPI document, so that both say the same.

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter},
};
use futures_util::future::BoxFuture;
use http::{Method, header::ALLOW};

use crate::{
    call::Call,
    headers::{is_from_elsewhere, protect},
    problem::{HttpError, Problem},
};

/// The answer of a handler.
pub(crate) type Answer = Result<Response, Problem>;

/// A route.
#[cfg_attr(not(test), allow(dead_code, reason = "the document is made in a test"))]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The `operationId` of the document.
    pub(crate) id: &'static str,
    pub(crate) about: &'static str,
    /// Lists of parameters, since several routes share one.
    pub(crate) query: &'static [&'static [Param]],
    /// `If-Match` and `Idempotency-Key`, if the route reads them.
    pub(crate) headers: &'static [Header],
    pub(crate) body: Option<BodyOf>,
    pub(crate) ok: Success,
    /// The codes of its own, beyond those that every route can answer with.
    pub(crate) errors: &'static [(u16, &'static [&'static str])],
    pub(crate) call: fn(Call) -> BoxFuture<'static, Answer>,
}

/// A parameter of a query.
#[cfg_attr(not(test), allow(dead_code, reason = "the document is made in a test"))]
#[derive(Clone, Copy)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) form: Form,
    /// Whether it can be there several times.
    pub(crate) repeats: bool,
}

/// What the text of a parameter looks like.
#[cfg_attr(not(test), allow(dead_code, reason = "the document is made in a test"))]
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Bool,
    /// The word of a flag of the inventory.
    Flag,
    Number {
        least: u32,
        most: u32,
    },
    Pattern(&'static str),
    Text,
    Time,
    Words(&'static [&'static str]),
}

impl Param {
    pub(crate) const fn one(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, about, form, repeats: false }
    }

    pub(crate) const fn any(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, about, form, repeats: true }
    }
}

/// A header that some routes read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    IdempotencyKey,
    IfMatch,
}

/// The body that a route takes.
#[cfg_attr(not(test), allow(dead_code, reason = "the document is made in a test"))]
pub(crate) struct BodyOf {
    pub(crate) shape: Shape,
    /// Whether there has to be one.
    pub(crate) required: bool,
}

impl BodyOf {
    pub(crate) const fn required<T: Shaped>() -> Self {
        Self { shape: Shape::of::<T>(), required: true }
    }

    pub(crate) const fn optional<T: Shaped>() -> Self {
        Self { shape: Shape::of::<T>(), required: false }
    }
}

/// A good answer.
#[cfg_attr(not(test), allow(dead_code, reason = "the document is made in a test"))]
pub(crate) struct Success {
    pub(crate) status: u16,
    pub(crate) kind: AnswerKind,
}

#[cfg_attr(not(test), allow(dead_code, reason = "the document is made in a test"))]
pub(crate) enum AnswerKind {
    /// A table or lines of JSON.
    Export,
    Json {
        shape: Shape,
        has_etag: bool,
    },
}

impl Success {
    pub(crate) const fn json<T: Shaped>(status: u16) -> Self {
        Self { status, kind: AnswerKind::Json { shape: Shape::of::<T>(), has_etag: false } }
    }

    pub(crate) const fn versioned<T: Shaped>() -> Self {
        Self { status: 200, kind: AnswerKind::Json { shape: Shape::of::<T>(), has_etag: true } }
    }

    pub(crate) const fn export() -> Self {
        Self { status: 200, kind: AnswerKind::Export }
    }
}

/// The schema of a type, which only the test that makes the document needs.
pub(crate) struct Shape {
    #[cfg(test)]
    pub(crate) schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

#[cfg(test)]
pub(crate) trait Shaped: schemars::JsonSchema {}
#[cfg(test)]
impl<T: schemars::JsonSchema> Shaped for T {}

#[cfg(not(test))]
pub(crate) trait Shaped {}
#[cfg(not(test))]
impl<T> Shaped for T {}

impl Shape {
    const fn of<T: Shaped>() -> Self {
        Self {
            #[cfg(test)]
            schema: |generator| generator.subschema_for::<T>(),
        }
    }
}

/// A router of these rows. Rows with the same path must be adjacent.
pub(crate) fn router(rows: impl IntoIterator<Item = &'static Route>) -> Router {
    let mut router = Router::new();
    let mut paths: Vec<(&'static str, MethodRouter)> = Vec::new();
    for row in rows {
        let methods = match paths.pop_if(|(path, _)| *path == row.path) {
            Some((_, methods)) => methods,
            None => MethodRouter::new().fallback(method_not_allowed),
        };
        paths.push((row.path, with(methods, row)));
    }
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    router.fallback(no_route)
}

fn with(methods: MethodRouter, row: &'static Route) -> MethodRouter {
    // A row has one of the methods that axum knows: a test builds the router of all rows.
    let filter = MethodFilter::try_from(row.method.clone()).unwrap_or(MethodFilter::TRACE);
    methods.on(filter, move |request: Request| answer(row, request))
}

async fn answer(row: &'static Route, request: Request) -> Response {
    // The trail says who exported what, so a link of another site or a look at the headers exports nothing.
    if matches!(row.ok.kind, AnswerKind::Export) {
        if is_from_elsewhere(request.headers()) {
            return Problem::from(HttpError::FromElsewhere).into_response();
        }
        if request.method() == Method::HEAD {
            return ([(ALLOW, "GET")], Problem::from(HttpError::MethodNotAllowed)).into_response();
        }
    }
    let answer = match Call::read(row, request).await {
        Ok(call) => (row.call)(call).await,
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(mut response) => {
            protect(response.headers_mut());
            response
        }
        Err(problem) => problem.into_response(),
    }
}

pub(crate) async fn method_not_allowed() -> Problem {
    HttpError::MethodNotAllowed.into()
}

async fn no_route() -> Problem {
    HttpError::NoRoute.into()
}
