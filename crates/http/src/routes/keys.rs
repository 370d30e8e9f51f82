//! Keys: list, create, read, edit, pause, revoke; what a new key would bring; who asks.

use http::Method;
use serde::Serialize;
use tower_api_keys::manage::{
    Abilities, KeyInfo, KeyPage, PauseChanged, PauseKey, Preview, ResumeKey, RevokeKey, Revoked,
};

use super::{
    edit,
    filter::{LIST, list},
    new_key::{Draft, NewKey, Shown, shown},
    why::Why,
};
use crate::{
    answer::{created, ok, page, versioned},
    call::Call,
    table::{Answer, BodyOf, Header, Route, Success},
};

pub(super) static ROUTES: [Route; 8] = [
    Route {
        method: Method::GET,
        path: "/keys",
        id: "listKeys",
        about: "The keys that you may see, a page at a time.",
        query: &[&LIST],
        headers: &[],
        body: None,
        ok: Success::json::<KeyPage>(200),
        errors: &[],
        call: |call| Box::pin(list_keys(call)),
    },
    Route {
        method: Method::POST,
        path: "/keys",
        id: "createKey",
        about: "Creates a key. Its text is in this answer and never shown again.",
        query: &[],
        headers: &[Header::IdempotencyKey],
        body: Some(BodyOf::required::<NewKey>()),
        ok: Success::json::<Shown<'static>>(201),
        errors: &[
            (
                409,
                &["idempotency_key_used", "owner_closed", "owner_plan_suspended", "owner_suspended", "quota_reached"],
            ),
            (429, &["actor_busy", "quota_reached"]),
        ],
        call: |call| Box::pin(create_key(call)),
    },
    Route {
        method: Method::GET,
        path: "/keys/{key}",
        id: "getKey",
        about: "A key, and what you may do to it.",
        query: &[],
        headers: &[],
        body: None,
        ok: Success::versioned::<KeyAndAbilities>(),
        errors: &[],
        call: |call| Box::pin(get_key(call)),
    },
    Route {
        method: Method::PATCH,
        path: "/keys/{key}",
        id: "editKey",
        about: "Changes what is named, and nothing else: all of it or nothing. Scopes can become fewer, an end earlier.",
        query: &[],
        headers: &[Header::IfMatch],
        body: Some(BodyOf::required::<edit::KeyChanges>()),
        ok: Success::versioned::<KeyInfo>(),
        errors: &[(409, &["conflict", "key_expired", "key_revoked"]), (412, &["precondition_failed"])],
        call: |call| Box::pin(edit::edit_key(call)),
    },
    Route {
        method: Method::POST,
        path: "/keys/{key}/pause",
        id: "pauseKey",
        about: "Pauses a key: it is refused until it is resumed.",
        query: &[],
        headers: &[Header::IfMatch],
        body: Some(BodyOf::optional::<Why>()),
        ok: Success::versioned::<PauseChanged>(),
        errors: &[(409, &["conflict", "key_revoked"]), (412, &["precondition_failed"])],
        call: |call| Box::pin(pause_key(call)),
    },
    Route {
        method: Method::POST,
        path: "/keys/{key}/resume",
        id: "resumeKey",
        about: "Resumes a paused key.",
        query: &[],
        headers: &[Header::IfMatch],
        body: Some(BodyOf::optional::<Why>()),
        ok: Success::versioned::<PauseChanged>(),
        errors: &[(409, &["conflict", "key_revoked"]), (412, &["precondition_failed"])],
        call: |call| Box::pin(resume_key(call)),
    },
    Route {
        method: Method::POST,
        path: "/keys/{key}/revoke",
        id: "revokeKey",
        about: "Revokes a key, which cannot be undone. The key and its history can still be read.",
        query: &[],
        headers: &[Header::IfMatch],
        body: Some(BodyOf::optional::<Why>()),
        ok: Success::versioned::<Revoked>(),
        errors: &[(409, &["conflict"]), (412, &["precondition_failed"])],
        call: |call| Box::pin(revoke_key(call)),
    },
    Route {
        method: Method::POST,
        path: "/previews",
        id: "previewKey",
        about: "What to know about a key before it is created. Creates nothing.",
        query: &[],
        headers: &[],
        body: Some(BodyOf::required::<Draft>()),
        ok: Success::json::<Preview>(200),
        errors: &[],
        call: |call| Box::pin(preview_key(call)),
    },
];

/// A key, and what the actor may do to it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct KeyAndAbilities {
    #[serde(flatten)]
    key: KeyInfo,
    /// Each action on a key: whether you may do it, and if not, why.
    can: Abilities,
}

async fn list_keys(call: Call) -> Answer {
    let keys = call.manager.list(list(&call.query)?, &call.actor).await?;
    let next = keys.next.map(|cursor| call.next_page(&cursor.to_string()));
    page(&keys, next)
}

async fn create_key(mut call: Call) -> Answer {
    let mut request = call.body::<NewKey>()?.request()?;
    if let Some(key) = call.idempotency_key()? {
        request = request.idempotency_key(key);
    }
    let issued = call.manager.issue(request, &call.actor).await?;
    created(&call.path_of(&issued.info().id), &shown(&issued))
}

async fn get_key(call: Call) -> Answer {
    let key = call.manager.find(&call.key()?, &call.actor).await?;
    let can = call.manager.abilities(&key, &call.actor)?;
    let answer = KeyAndAbilities { key, can };
    versioned(&answer.key, &answer)
}

/// A request about the key of the path, with the reason and the version that the client gives.
macro_rules! request_of {
    ($request:ident, $call:ident) => {{
        let (key, Why { because }, expected) = ($call.key()?, $call.body()?, $call.expected_version()?);
        let request = $request::of(key);
        let request = match because {
            Some(because) => request.because(because),
            None => request,
        };
        match expected {
            Some(version) => request.expecting(version),
            None => request,
        }
    }};
}

async fn pause_key(mut call: Call) -> Answer {
    let request = request_of!(PauseKey, call);
    let changed = call.manager.pause(request, &call.actor).await?;
    versioned(changed.info(), &changed)
}

async fn resume_key(mut call: Call) -> Answer {
    let request = request_of!(ResumeKey, call);
    let changed = call.manager.resume(request, &call.actor).await?;
    versioned(changed.info(), &changed)
}

async fn revoke_key(mut call: Call) -> Answer {
    let request = request_of!(RevokeKey, call);
    let revoked = call.manager.revoke(request, &call.actor).await?;
    versioned(revoked.info(), &revoked)
}

async fn preview_key(mut call: Call) -> Answer {
    let request = call.body::<Draft>()?.0.request()?;
    ok(&call.manager.preview(&request, &call.actor).await?)
}
