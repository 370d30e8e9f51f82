//! A key to be created, as a client sends it, and the one answer that shows a key's text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tower_api_keys::{
    IssueKey, IssuedKey, KeyKind, Networks, Owner, Scopes, Timestamp, manage::KeyInfo, sentence::Sentence,
};

use crate::{
    body::object,
    problem::{HttpError, Problem},
};

/// A key to be created.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// Whose key it is.
    #[serde(deserialize_with = "object")]
    owner: NamedOwner,
    /// What people call it, at most 100 characters. Absent or null: no name.
    #[cfg_attr(test, schemars(length(max = 100)))]
    #[serde(default)]
    name: Option<String>,
    /// Short pairs that say what a name cannot. Absent or null: none.
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    /// What it may do. Absent, null or `["*"]`: everything that its owner may, except managing keys.
    #[cfg_attr(test, schemars(length(max = 64)))]
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// When it ends. Absent or null: never, or as late as the service allows.
    #[cfg_attr(test, schemars(with = "Option<Timestamp>"))]
    #[serde(default)]
    expires_at: Option<String>,
    /// The only networks it may be used from: addresses with prefix lengths. Absent or null: anywhere.
    #[cfg_attr(test, schemars(with = "Option<Networks>"))]
    #[serde(default)]
    networks: Option<Vec<String>>,
    /// A text for the service's own limiter, at most 1,024 bytes. Absent or null: none.
    #[cfg_attr(test, schemars(length(max = 1024)))]
    #[serde(default)]
    limits: Option<String>,
    /// Who is told about the key, at most 128 characters. Absent or null: only its owner.
    #[cfg_attr(test, schemars(length(max = 128)))]
    #[serde(default)]
    responsible: Option<String>,
}

/// A key as it is so far, while somebody fills in a form. Its texts may still be too long: the answer says so.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Draft(pub(super) NewKey);

#[cfg(test)]
impl schemars::JsonSchema for Draft {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Draft".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = NewKey::json_schema(generator);
        schema.insert("description".to_owned(), "A key as it is so far. Its texts may still be too long.".into());
        let members = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut);
        for member in members.into_iter().flat_map(serde_json::Map::values_mut) {
            member.as_object_mut().and_then(|member| member.remove("maxLength"));
        }
        schema
    }
}

/// A user or a team.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "NamedOwner"))]
#[serde(deny_unknown_fields)]
pub(super) struct NamedOwner {
    kind: KeyKind,
    /// The service's own id of the user or the team.
    #[cfg_attr(test, schemars(length(min = 1, max = 128)))]
    id: String,
}

impl NamedOwner {
    pub(super) fn owner(&self) -> Result<Owner, Problem> {
        Owner::new(self.kind, &self.id).map_err(|_| HttpError::Invalid("owner").into())
    }
}

impl NewKey {
    pub(super) fn request(self) -> Result<IssueKey, Problem> {
        let mut request = IssueKey::of(self.owner.owner()?).named(self.name.unwrap_or_default());
        for (label, value) in self.labels.unwrap_or_default() {
            request = request.labelled(label, value);
        }
        if let Some(scopes) = self.scopes {
            request = request.scopes(scopes_of(scopes)?);
        }
        if let Some(end) = self.expires_at {
            request = request.expires_at(time(&end, "expires_at")?);
        }
        if let Some(networks) = self.networks {
            request = request.networks(networks_of(networks)?);
        }
        if let Some(limits) = self.limits {
            request = request.limits(limits);
        }
        if let Some(responsible) = self.responsible {
            request = request.responsible(responsible);
        }
        Ok(request)
    }
}

/// A key with its text: the only answers that have one.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "NewKeyShown"))]
pub(super) struct Shown<'a> {
    key: &'a KeyInfo,
    /// The whole key. Only a hash of it is stored: it cannot be shown again.
    plaintext: &'a str,
    /// A note, if the key ends soon.
    ends_soon: Option<Sentence>,
}

pub(super) fn shown(issued: &IssuedKey) -> Shown<'_> {
    Shown { key: issued.info(), plaintext: issued.plaintext().expose_secret(), ends_soon: issued.ends_soon() }
}

pub(super) fn scopes_of(scopes: Vec<String>) -> Result<Scopes, Problem> {
    Scopes::try_from(scopes).map_err(|_| HttpError::Invalid("scopes").into())
}

pub(super) fn networks_of(networks: Vec<String>) -> Result<Networks, Problem> {
    Networks::try_from(networks).map_err(|_| HttpError::Invalid("networks").into())
}

pub(super) fn time(text: &str, field: &'static str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| HttpError::Invalid(field).into())
}
