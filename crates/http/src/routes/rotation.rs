//! The rotation of a key: begin, status, finish, abort.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use tower_api_keys::{
    TeamId,
    manage::{EndRotation, EndedRotation, RotateKey, Rotation},
};

use super::{
    edit::labels_of,
    new_key::{Shown, networks_of, scopes_of, shown, time},
};
use crate::{
    answer::{created, ok},
    body::present,
    call::Call,
    problem::{HttpError, Problem},
    table::{Answer, BodyOf, Header, Route, Success},
};

pub(super) static ROUTES: [Route; 4] = [
    Route {
        method: Method::GET,
        path: "/keys/{key}/rotation",
        id: "getRotation",
        about: "How far the rotation of a key is, or how it ended. The key is the old one or the new one.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::json::<Rotation>(200),
        errors: &[(409, &["no_rotation", "two_rotations"])],
        call: |call| Box::pin(get_rotation(call)),
    },
    Route {
        method: Method::POST,
        path: "/keys/{key}/rotation",
        id: "beginRotation",
        about: "Creates a key that replaces this one. Both work until the rotation is finished or aborted. The text of \
                the new key is in this answer and never shown again.",
        query: &[],
        headers: &[Header::IdempotencyKey, Header::IfMatch],
        body: Some(BodyOf::optional::<Successor>()),
        ok: Success::json::<Shown<'static>>(201),
        errors: &[
            (
                409,
                &[
                    "conflict",
                    "idempotency_key_used",
                    "key_expired",
                    "key_paused",
                    "key_revoked",
                    "owner_closed",
                    "owner_plan_suspended",
                    "owner_suspended",
                    "quota_reached",
                    "rotation_under_way",
                ],
            ),
            (412, &["precondition_failed"]),
            (429, &["actor_busy", "quota_reached"]),
        ],
        call: |call| Box::pin(begin_rotation(call)),
    },
    Route {
        method: Method::POST,
        path: "/keys/{key}/rotation/finish",
        id: "finishRotation",
        about: "Revokes the old key of a rotation, if the counts say that no caller needs it any more.",
        query: &[],
        headers: &[Header::IfMatch],
        body: Some(BodyOf::optional::<Finish>()),
        ok: Success::json::<EndedRotation>(200),
        errors: &[
            (
                409,
                &[
                    "conflict",
                    "key_expired",
                    "key_paused",
                    "key_revoked",
                    "no_rotation",
                    "not_safe_to_finish",
                    "owner_closed",
                    "owner_plan_suspended",
                    "owner_suspended",
                    "rotation_over",
                    "two_rotations",
                ],
            ),
            (412, &["precondition_failed"]),
        ],
        call: |call| Box::pin(finish_rotation(call)),
    },
    Route {
        method: Method::POST,
        path: "/keys/{key}/rotation/abort",
        id: "abortRotation",
        about: "Revokes the new key of a rotation. The old one works on.",
        query: &[],
        headers: &[Header::IfMatch],
        body: Some(BodyOf::optional::<Nothing>()),
        ok: Success::json::<EndedRotation>(200),
        errors: &[
            (409, &["conflict", "key_expired", "key_revoked", "no_rotation", "rotation_over", "two_rotations"]),
            (412, &["precondition_failed"]),
        ],
        call: |call| Box::pin(abort_rotation(call)),
    },
];

/// There is nothing to say.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The new key of a rotation. What is absent is as it is for the old one.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Successor {
    /// The team that the new key belongs to.
    #[cfg_attr(test, schemars(with = "TeamId"))]
    #[serde(default, deserialize_with = "present")]
    into_team: Option<String>,
    /// The name of the new key.
    #[cfg_attr(test, schemars(with = "String", length(max = 100)))]
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    /// The labels of the new key.
    #[cfg_attr(test, schemars(with = "tower_api_keys::record::Labels"))]
    #[serde(default, deserialize_with = "present")]
    labels: Option<BTreeMap<String, String>>,
    /// What the new key may do.
    #[cfg_attr(test, schemars(with = "Vec<String>", length(max = 64)))]
    #[serde(default, deserialize_with = "present")]
    scopes: Option<Vec<String>>,
    /// The only networks the new key may be used from; null for anywhere.
    #[cfg_attr(test, schemars(with = "Option<tower_api_keys::Networks>"))]
    #[serde(default, deserialize_with = "present")]
    networks: Option<Option<Vec<String>>>,
    /// When the new key ends; null for never.
    #[cfg_attr(test, schemars(with = "Option<tower_api_keys::Timestamp>"))]
    #[serde(default, deserialize_with = "present")]
    expires_at: Option<Option<String>>,
    /// When the old key ends, if the rotation is not finished before. Absent or null: by itself, it does not.
    #[cfg_attr(test, schemars(with = "Option<tower_api_keys::Timestamp>"))]
    #[serde(default)]
    old_key_ends_at: Option<String>,
}

/// How to finish a rotation.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Finish {
    /// Whether to finish it although the counts say that a caller still needs the old key. Default: no.
    #[serde(default)]
    anyway: bool,
}

impl Successor {
    fn described(self, mut request: RotateKey) -> Result<RotateKey, Problem> {
        if let Some(team) = self.into_team {
            request = request.into_team(TeamId::new(team).map_err(|_| HttpError::Invalid("into_team"))?);
        }
        if let Some(name) = self.name {
            request = request.named(name);
        }
        if let Some(labels) = self.labels {
            request = request.labels(labels_of(labels)?);
        }
        if let Some(scopes) = self.scopes {
            request = request.scopes(scopes_of(scopes)?);
        }
        if let Some(networks) = self.networks {
            request = request.networks(networks.map(networks_of).transpose()?);
        }
        if let Some(end) = self.expires_at {
            request = request.expires_at(end.map(|end| time(&end, "expires_at")).transpose()?);
        }
        if let Some(end) = self.old_key_ends_at {
            request = request.old_key_ends_at(time(&end, "old_key_ends_at")?);
        }
        Ok(request)
    }
}

async fn get_rotation(call: Call) -> Answer {
    ok(&call.manager.rotation(&call.key()?, &call.actor).await?)
}

async fn begin_rotation(mut call: Call) -> Answer {
    let key = call.key()?;
    let mut request = call.body::<Successor>()?.described(RotateKey::of(key))?;
    if let Some(version) = call.expected_version()? {
        request = request.expecting(version);
    }
    if let Some(key) = call.idempotency_key()? {
        request = request.idempotency_key(key);
    }
    let issued = call.manager.begin_rotation(request, &call.actor).await?;
    created(&call.path_of(&issued.info().id), &shown(&issued))
}

async fn finish_rotation(mut call: Call) -> Answer {
    let (request, Finish { anyway }) = (end(&call)?, call.body()?);
    let ended = if anyway {
        call.manager.finish_rotation_anyway(request, &call.actor).await?
    } else {
        call.manager.finish_rotation(request, &call.actor).await?
    };
    ok(&ended)
}

async fn abort_rotation(mut call: Call) -> Answer {
    let (request, Nothing {}) = (end(&call)?, call.body()?);
    ok(&call.manager.abort_rotation(request, &call.actor).await?)
}

fn end(call: &Call) -> Result<EndRotation, Problem> {
    let request = EndRotation::of(call.key()?);
    Ok(match call.expected_version()? {
        Some(version) => request.expecting(version),
        None => request,
    })
}
