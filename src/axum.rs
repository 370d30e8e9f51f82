//! Extractors for axum: who calls, as an argument of a handler.
//!
//! [`Principal`] itself is one. Behind an [optional](crate::ApiKeyLayer::optional) layer, `Option<Principal>` is none for
//! requests without a key. Without an [`ApiKeyLayer`](crate::ApiKeyLayer) outside of the handler they answer 500 and log
//! why (feature `tracing`).

use std::ops::Deref;

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{
    middleware::{Anonymous, Refusal, RefusalCode, without_principal},
    owner::{Owner, TeamId, UserId},
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
/// use tower_api_keys::axum::UserPrincipal;
///
/// async fn my_settings(caller: UserPrincipal) -> String {
///     format!("settings of {}, by key {}", caller.user(), caller.key_id())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct UserPrincipal {
    principal: Principal,
    user: UserId,
}

impl UserPrincipal {
    /// The user.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The same caller as any other.
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
        match principal.owner().clone() {
            Owner::User(user) => Ok(Self { principal, user }),
            Owner::Team(_) => Err(Refusal::new(RefusalCode::WrongKeyKind)),
        }
    }
}

/// A caller with a team key. A personal key is refused: 403 `wrong_key_kind`.
///
/// ```
/// use tower_api_keys::axum::TeamPrincipal;
///
/// async fn agents(caller: TeamPrincipal) -> String {
///     format!("agents of {}", caller.team())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TeamPrincipal {
    principal: Principal,
    team: TeamId,
}

impl TeamPrincipal {
    /// The team.
    #[must_use]
    pub const fn team(&self) -> &TeamId {
        &self.team
    }

    /// The same caller as any other.
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
        match principal.owner().clone() {
            Owner::Team(team) => Ok(Self { principal, team }),
            Owner::User(_) => Err(Refusal::new(RefusalCode::WrongKeyKind)),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_http::<Body>().map(Body::new)
    }
}

fn principal(parts: &Parts, extractor: &'static str) -> Result<Principal, Refusal> {
    let principal = parts.extensions.get::<Principal>().cloned();
    principal.ok_or_else(|| Refusal::new(without_principal(parts, extractor)))
}

#[cfg(test)]
mod tests;
