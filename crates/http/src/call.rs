//! A request that has passed the gate, as a handler reads it.

use axum::extract::{FromRequestParts, OriginalUri, RawPathParams, Request};
use http::{
    HeaderMap, Uri,
    header::{HeaderName, IF_MATCH},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower_api_keys::{Actor, KeyId, KeyManager, Owner, UserId};

use crate::{
    body,
    gate::Caller,
    problem::{HttpError, Problem},
    query::Query,
    table::Route,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request.
pub(crate) struct Call {
    pub(crate) actor: Actor,
    pub(crate) manager: KeyManager,
    pub(crate) query: Query,
    params: Vec<(String, String)>,
    headers: HeaderMap,
    body: Value,
    whole: Uri,
    inner: Uri,
}

impl Call {
    /// Reads a request for this route.
    pub(crate) async fn read(route: &Route, request: Request) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Caller { actor, manager } = parts.extensions.remove::<Caller>().ok_or(HttpError::NoActor)?;
        let params = match RawPathParams::from_request_parts(&mut parts, &()).await {
            Ok(params) => params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            // No id has such a text.
            Err(_) => return Err(Problem::not_found()),
        };
        let query = Query::read(parts.uri.query().unwrap_or_default(), route.query)?;
        let body = match &route.body {
            None => Value::Null,
            Some(form) => body::read(&parts.headers, body, form.required).await?,
        };
        let whole = match parts.extensions.get::<OriginalUri>() {
            Some(OriginalUri(whole)) => whole.clone(),
            None => parts.uri.clone(),
        };
        Ok(Self { actor, manager, query, params, headers: parts.headers, body, whole, inner: parts.uri })
    }

    /// A part of the path. The mount may have parameters of its own, with the same names: those come first.
    fn param(&self, name: &str) -> &str {
        let named = self.params.iter().rev().find(|(param, _)| param == name);
        named.map_or("", |(_, value)| value.as_str())
    }

    /// The key of the path. A text that no key has is answered like the id of an unknown key.
    pub(crate) fn key(&self) -> Result<KeyId, Problem> {
        KeyId::new(self.param("key")).map_err(|_| Problem::not_found())
    }

    /// The owner of the path.
    pub(crate) fn owner(&self) -> Result<Owner, Problem> {
        let kind = self.param("kind").parse().map_err(|_| Problem::not_found())?;
        Owner::new(kind, self.param("owner")).map_err(|_| Problem::not_found())
    }

    /// The person of the path.
    pub(crate) fn user(&self) -> Result<UserId, Problem> {
        UserId::new(self.param("user")).map_err(|_| Problem::not_found())
    }

    /// The body.
    pub(crate) fn body<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        serde_json::from_value(self.body.take()).map_err(|_| HttpError::MalformedBody.into())
    }

    /// The version of the key that `If-Match` asks for.
    pub(crate) fn expected_version(&self) -> Result<Option<i64>, Problem> {
        let malformed = HttpError::MalformedHeader("if-match");
        let Some(tag) = only(&self.headers, &IF_MATCH, malformed)? else { return Ok(None) };
        if tag == "*" {
            return Ok(None);
        }
        let version = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(malformed)?;
        let parsed: i64 = version.parse().map_err(|_| malformed)?;
        // Each version has one text, without a sign and leading zeros.
        if parsed.to_string() == version { Ok(Some(parsed)) } else { Err(malformed.into()) }
    }

    /// The idempotency key, with or without the quotation marks of a structured field.
    pub(crate) fn idempotency_key(&self) -> Result<Option<String>, Problem> {
        let key = only(&self.headers, &IDEMPOTENCY_KEY, HttpError::MalformedHeader("idempotency-key"))?;
        let bare = |key: &str| key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(key).to_owned();
        Ok(key.map(bare))
    }

    /// The path of a key, from the root of the server.
    pub(crate) fn path_of(&self, key: &KeyId) -> String {
        let mount = self.whole.path().strip_suffix(self.inner.path()).unwrap_or_default();
        format!("{mount}/keys/{key}")
    }

    /// The path and query of the next page.
    pub(crate) fn next_page(&self, cursor: &str) -> String {
        format!("{}?{}", self.whole.path(), self.query.with("after", cursor))
    }
}

/// The value of a header that may be there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName, malformed: HttpError) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed.into());
    }
    value.to_str().map(Some).map_err(|_| malformed.into())
}
