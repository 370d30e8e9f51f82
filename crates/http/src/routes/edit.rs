//! The change of a key, as a client sends it: what is absent stays.

use std::collections::BTreeMap;

use serde::Deserialize;
use tower_api_keys::{
    manage::{EditKey, InvalidInput, ManageErrorKind},
    record::Labels,
};

use super::new_key::{networks_of, scopes_of, time};
use crate::{
    answer::versioned,
    body::present,
    call::Call,
    problem::{HttpError, Problem},
    table::Answer,
};

/// What changes. What is absent stays as it is.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("minProperties" = 1)))]
#[serde(deny_unknown_fields)]
pub(super) struct KeyChanges {
    /// Another name; an empty one removes it.
    #[cfg_attr(test, schemars(with = "String", length(max = 100)))]
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    /// Other labels, instead of all that are there.
    #[cfg_attr(test, schemars(with = "Labels"))]
    #[serde(default, deserialize_with = "present")]
    labels: Option<BTreeMap<String, String>>,
    /// Only these of its scopes.
    #[cfg_attr(test, schemars(with = "Vec<String>", length(max = 64)))]
    #[serde(default, deserialize_with = "present")]
    scopes: Option<Vec<String>>,
    /// An earlier end.
    #[cfg_attr(test, schemars(with = "tower_api_keys::Timestamp"))]
    #[serde(default, deserialize_with = "present")]
    expires_at: Option<String>,
    /// The only networks it may be used from; null for anywhere.
    #[cfg_attr(test, schemars(with = "Option<tower_api_keys::Networks>"))]
    #[serde(default, deserialize_with = "present")]
    networks: Option<Option<Vec<String>>>,
    /// Who is told about the key; null for only its owner.
    #[cfg_attr(test, schemars(with = "Option<String>", length(max = 128)))]
    #[serde(default, deserialize_with = "present")]
    responsible: Option<Option<String>>,
}

impl KeyChanges {
    fn is_empty(&self) -> bool {
        let Self { name, labels, scopes, expires_at, networks, responsible } = self;
        let words = name.is_none() && labels.is_none() && responsible.is_none();
        words && scopes.is_none() && expires_at.is_none() && networks.is_none()
    }
}

pub(super) async fn edit_key(mut call: Call) -> Answer {
    let (key, changes, expected) = (call.key()?, call.body::<KeyChanges>()?, call.expected_version()?);
    if changes.is_empty() {
        return Err(HttpError::MalformedBody.into());
    }
    let mut request = EditKey::of(key);
    if let Some(version) = expected {
        request = request.expecting(version);
    }
    if let Some(name) = changes.name {
        request = request.named(name);
    }
    if let Some(labels) = changes.labels {
        request = request.labels(labels_of(labels)?);
    }
    if let Some(scopes) = changes.scopes {
        request = request.scopes(scopes_of(scopes)?);
    }
    if let Some(end) = changes.expires_at {
        request = request.expires_at(time(&end, "expires_at")?);
    }
    if let Some(networks) = changes.networks {
        request = request.networks(networks.map(networks_of).transpose()?);
    }
    if let Some(responsible) = changes.responsible {
        request = request.responsible(responsible.unwrap_or_default());
    }
    let key = call.manager.edit(request, &call.actor).await?;
    versioned(&key, &key)
}

/// The manager's own answer about labels that are none.
pub(super) fn labels_of(labels: BTreeMap<String, String>) -> Result<Labels, Problem> {
    Labels::try_from(labels).map_err(|_| ManageErrorKind::Invalid(InvalidInput::Labels).into())
}
