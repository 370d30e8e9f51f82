//! Queries, strictly: only parameters that the route has, each once unless it can repeat.

use std::str::FromStr;

use form_urlencoded::{Serializer, parse};
use tower_api_keys::{KeyKind, Owner, usage::Source};

use crate::{
    problem::{HttpError, Problem},
    table::{Form, Param},
};

/// The parameters of a query, decoded.
pub(crate) struct Query(Vec<(&'static Param, String)>);

impl Query {
    pub(crate) fn read(text: &str, params: &[&'static [Param]]) -> Result<Self, Problem> {
        let mut read = Self(Vec::new());
        for (name, value) in parse(text.as_bytes()) {
            let param = params
                .iter()
                .copied()
                .flatten()
                .find(|param| param.name == name)
                .ok_or(HttpError::MalformedQuery(None))?;
            if !param.repeats && read.one(param.name).is_some() {
                return Err(HttpError::MalformedQuery(Some(param.name)).into());
            }
            read.0.push((param, value.into_owned()));
        }
        Ok(read)
    }

    /// The value of a parameter.
    pub(crate) fn one(&self, name: &'static str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.given(name).map(|(_, value)| value)
    }

    fn given(&self, name: &'static str) -> impl Iterator<Item = (&'static Param, &str)> {
        self.0.iter().filter(move |(param, _)| param.name == name).map(|(param, value)| (*param, value.as_str()))
    }

    /// The value of a parameter, read by its type.
    pub(crate) fn read_one<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Problem> {
        self.one_with(name, |text| text.parse().ok())
    }

    /// The value of a parameter, read by `read`.
    pub(crate) fn one_with<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.given(name).next().map(|(param, text)| read(text).ok_or_else(|| wrong(param))).transpose()
    }

    /// All values of a parameter, read by `read`.
    pub(crate) fn all_with<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Problem> {
        self.given(name).map(|(param, text)| read(text).ok_or_else(|| wrong(param))).collect()
    }

    /// Whether a parameter says `true`; it is `false` if it is not there.
    pub(crate) fn is_set(&self, name: &'static str) -> Result<bool, Problem> {
        Ok(self.read_one(name)?.unwrap_or_default())
    }

    /// The source that three parameters name together.
    pub(crate) fn source(&self) -> Result<Option<Source>, Problem> {
        let mut source = Source::default();
        if let Some(named) = self.one_with("source_label", |text| Source::new(text).ok())? {
            source = named;
        }
        if let Some(named) = self.one_with("source_client", |text| source.with_client(text).ok())? {
            source = named;
        }
        if let Some(named) = self.one_with("source_network", |text| source.with_network(text).ok())? {
            source = named;
        }
        Ok((!source.is_empty()).then_some(source))
    }

    /// The same query with another value of this parameter.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(param, _)| param.name != name);
        let pairs = kept.map(|(param, value)| (param.name, value.as_str())).chain([(name, value)]);
        Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
}

/// `user:alice` or `team:engineering`.
pub(crate) fn owner(text: &str) -> Option<Owner> {
    let (kind, id) = text.split_once(':')?;
    Owner::new(kind.parse::<KeyKind>().ok()?, id).ok()
}

/// As for members of a body: a value of another type than the documented one is malformed, and a text that no id, time
/// or name can have is invalid.
fn wrong(param: &Param) -> Problem {
    match param.form {
        Form::Bool | Form::Flag | Form::Number { .. } | Form::Words(_) => HttpError::MalformedQuery(Some(param.name)),
        Form::Pattern(_) | Form::Text | Form::Time => HttpError::Invalid(param.name),
    }
    .into()
}
