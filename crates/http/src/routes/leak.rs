//! When a key leaks: which one is it, what was done with it, and the end of many at once.

use http::Method;
use serde::Deserialize;
use tower_api_keys::{
    KeyId,
    manage::{KeyMatches, LeakReport, RevokeMany, RevokedMany},
    record::ActorId,
};

use super::new_key::{NamedOwner, time};
use crate::{
    answer::ok,
    body::{present, present_object},
    call::Call,
    problem::{HttpError, Problem},
    table::{Answer, BodyOf, Form, Param, Route, Success},
};

const SINCE: Param = Param::one("since", Form::Time, "From when on to look. Default: since the key was made.");

pub(super) static ROUTES: [Route; 3] = [
    Route {
        method: Method::GET,
        path: "/keys/{key}/leak-report",
        id: "getLeakReport",
        about: "What was done with a key that leaked: sources, attempts after its end, changes, keys made with it.",
        query: &[&[SINCE]],
        headers: &[],
        body: None,
        ok: Success::json::<LeakReport>(200),
        errors: &[],
        call: |call| Box::pin(leak_report(call)),
    },
    Route {
        method: Method::POST,
        path: "/identifications",
        id: "identifyKey",
        about: "Which key a leaked text is about. The text is not kept, not logged, and in no answer.",
        query: &[],
        headers: &[],
        body: Some(BodyOf::required::<LeakedText>()),
        ok: Success::json::<KeyMatches>(200),
        errors: &[],
        call: |call| Box::pin(identify(call)),
    },
    Route {
        method: Method::POST,
        path: "/revocations",
        id: "revokeMany",
        about: "Revokes many keys, which cannot be undone. If it stops half-way, the error says what was done.",
        query: &[],
        headers: &[],
        body: Some(BodyOf::required::<Revocation>()),
        ok: Success::json::<RevokedMany>(200),
        errors: &[(409, &["conflict"])],
        call: |call| Box::pin(revoke_many(call)),
    },
];

/// A leaked text.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct LeakedText {
    /// A key or a part of one, a line of a log, a pasted header.
    text: String,
}

/// Which keys to revoke. All conditions hold together. `keys` and `key_and_made` exclude each other, and at least one
/// condition is needed.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(
    test,
    schemars(extend("anyOf" = [
        { "required": ["keys"] },
        { "required": ["key_and_made"] },
        { "required": ["owner"] },
        { "required": ["created_by"] },
        { "required": ["created_between"] },
    ]))
)]
#[serde(deny_unknown_fields)]
struct Revocation {
    /// These keys.
    #[cfg_attr(test, schemars(with = "Vec<KeyId>"))]
    #[serde(default, deserialize_with = "present")]
    keys: Option<Vec<String>>,
    /// This key, and all that were made with it, directly or not.
    #[cfg_attr(test, schemars(with = "KeyId"))]
    #[serde(default, deserialize_with = "present")]
    key_and_made: Option<String>,
    /// Only those of this user or team.
    #[cfg_attr(test, schemars(with = "NamedOwner"))]
    #[serde(default, deserialize_with = "present_object")]
    owner: Option<NamedOwner>,
    /// Only those that this user, key or part of the service made.
    #[cfg_attr(test, schemars(with = "ActorId"))]
    #[serde(default, deserialize_with = "present")]
    created_by: Option<String>,
    /// Only those made in this time.
    #[cfg_attr(test, schemars(with = "Window"))]
    #[serde(default, deserialize_with = "present_object")]
    created_between: Option<Window>,
    /// Why: for the audit trail.
    #[cfg_attr(test, schemars(with = "String"))]
    #[serde(default, deserialize_with = "present")]
    because: Option<String>,
    /// Whether to say what would be done and do nothing. Default: no.
    #[serde(default)]
    dry_run: bool,
}

/// A time from its first moment to the one after its last.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Window {
    /// At this time or later.
    #[cfg_attr(test, schemars(with = "tower_api_keys::Timestamp"))]
    from: String,
    /// Before this time.
    #[cfg_attr(test, schemars(with = "tower_api_keys::Timestamp"))]
    until: String,
}

impl Revocation {
    fn request(self) -> Result<RevokeMany, Problem> {
        let owner = self.owner.as_ref().map(NamedOwner::owner).transpose()?;
        let creator: Option<ActorId> = read(self.created_by, "created_by")?;
        let window = self.created_between.map(|window| {
            Ok::<_, Problem>((time(&window.from, "created_between")?, time(&window.until, "created_between")?))
        });
        let window = window.transpose()?;
        let key_and_made: Option<KeyId> = read(self.key_and_made, "key_and_made")?;
        // One of them begins the request, and the others narrow it.
        let begun = match (self.keys, key_and_made, &owner, &creator, window) {
            (Some(_), Some(_), ..) => return Err(HttpError::Invalid("keys").into()),
            (Some(keys), ..) => RevokeMany::keys(ids(&keys)?),
            (None, Some(key), ..) => RevokeMany::key_and_made(key),
            (None, None, Some(owner), ..) => RevokeMany::of(owner.clone()),
            (None, None, None, Some(creator), _) => RevokeMany::created_by(creator.clone()),
            (None, None, None, None, Some((from, until))) => RevokeMany::created_between(from, until),
            (None, None, None, None, None) => return Err(HttpError::MalformedBody.into()),
        };
        let mut request = begun;
        if let Some(owner) = owner {
            request = request.and_of(owner);
        }
        if let Some(creator) = creator {
            request = request.and_created_by(creator);
        }
        if let Some((from, until)) = window {
            request = request.and_created_between(from, until);
        }
        if let Some(because) = self.because {
            request = request.because(because);
        }
        Ok(if self.dry_run { request.dry_run() } else { request })
    }
}

fn ids(keys: &[String]) -> Result<Vec<KeyId>, Problem> {
    keys.iter().map(|key| KeyId::new(key).map_err(|_| HttpError::Invalid("keys").into())).collect()
}

fn read<T: std::str::FromStr>(text: Option<String>, field: &'static str) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|_| HttpError::Invalid(field).into())).transpose()
}

async fn leak_report(call: Call) -> Answer {
    let key = call.key()?;
    let since = match call.query.read_one("since")? {
        Some(since) => since,
        None => call.manager.find(&key, &call.actor).await?.created_at,
    };
    ok(&call.manager.leak_report(&key, since, &call.actor).await?)
}

async fn identify(mut call: Call) -> Answer {
    let LeakedText { text } = call.body()?;
    ok(&call.manager.identify(&text, &call.actor).await?)
}

async fn revoke_many(mut call: Call) -> Answer {
    let request = call.body::<Revocation>()?.request()?;
    ok(&call.manager.revoke_many(request, &call.actor).await?)
}
