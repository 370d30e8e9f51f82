//! Extractors for axum: the caller, as an argument of a handler.
//!
//! [`Principal`] itself is one. Behind an [optional](crate::ApiKeyLayer::optional) layer, `Option<Principal>` is none
//! for requests without a key. A key without any scope is refused (403 `insufficient_scope`), because an empty set
//! allows nothing; to accept it nevertheless, use `Extension<Principal>`. [`InOrganization`] is a caller of the
//! organization that the request is about. Without an [`ApiKeyLayer`](crate::ApiKeyLayer) outside the handler, the
//! extractors answer 500 and log the reason (feature `tracing`).

mod in_organization;

use std::ops::Deref;

use ::axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;

pub use in_organization::InOrganization;

use self::in_organization::IsCaller;
use crate::{
    middleware::{Anonymous, Refusal, without_principal},
    owner::{KeyKind, TeamRef, UserRef},
    principal::Principal,
};

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        principal(parts, "the extractor Principal")
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Refusal> {
        match parts.extensions.get::<Self>() {
            None if parts.extensions.get::<Anonymous>().is_some() => Ok(None),
            _ => principal(parts, "the extractor Option<Principal>").map(Some),
        }
    }
}

/// A caller with a personal key. A team key is refused: 403 `wrong_key_kind`.
///
/// ```
/// use tower_api_keys::extract::UserPrincipal;
///
/// async fn my_settings(caller: UserPrincipal) -> String {
///     format!("settings of {}, by key {}", caller.user().user, caller.key_id())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct UserPrincipal {
    principal: Principal,
    user: UserRef,
}

impl UserPrincipal {
    /// The user, with the organization: another organization may have a user with the same id.
    #[must_use]
    pub const fn user(&self) -> &UserRef {
        &self.user
    }

    /// The same caller, as a [`Principal`].
    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

impl Deref for UserPrincipal {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<S: Sync> FromRequestParts<S> for UserPrincipal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let principal = principal(parts, "the extractor UserPrincipal")?;
        let user = principal.user_ref().ok_or_else(|| Refusal::wrong_key_kind(KeyKind::User))?;
        Ok(Self { principal, user })
    }
}

/// A caller with a team key. A personal key is refused: 403 `wrong_key_kind`.
///
/// ```
/// use tower_api_keys::extract::TeamPrincipal;
///
/// async fn agents(caller: TeamPrincipal) -> String {
///     format!("agents of {} in {}", caller.team().team, caller.team().organization)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TeamPrincipal {
    principal: Principal,
    team: TeamRef,
}

impl TeamPrincipal {
    /// The team, with the organization: another organization may have a team with the same id.
    #[must_use]
    pub const fn team(&self) -> &TeamRef {
        &self.team
    }

    /// The same caller, as a [`Principal`].
    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

impl Deref for TeamPrincipal {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<S: Sync> FromRequestParts<S> for TeamPrincipal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let principal = principal(parts, "the extractor TeamPrincipal")?;
        let team = principal.team_ref().ok_or_else(|| Refusal::wrong_key_kind(KeyKind::Team))?;
        Ok(Self { principal, team })
    }
}

impl IsCaller for UserPrincipal {
    fn principal(&self) -> &Principal {
        self
    }
}

impl IsCaller for TeamPrincipal {
    fn principal(&self) -> &Principal {
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_http::<Body>().map(Body::new)
    }
}

fn principal(parts: &Parts, extractor: &'static str) -> Result<Principal, Refusal> {
    let principal = parts.extensions.get::<Principal>().cloned();
    let principal = principal.ok_or_else(|| Refusal::new(without_principal(parts, extractor)))?;
    if principal.scopes().is_empty() {
        return Err(Refusal::insufficient_scope([]));
    }
    Ok(principal)
}

#[cfg(test)]
mod tests;
