use futures_util::{FutureExt, future::BoxFuture};
use http::request::Parts;

use super::question::{AskedTeam, Find, Membership, Question};
use crate::{
    middleware::{anonymous::Anonymous, bound::Bound, refusal::Refusal, report},
    outcome::RefusalCode,
    owner::{KeyKind, OrganizationId},
    principal::Principal,
    scope::Scope,
};

/// What a [`RequireKeyLayer`](super::RequireKeyLayer) requires.
#[derive(Clone, Default)]
pub(super) struct Rules {
    pub(super) kind: Option<KeyKind>,
    pub(super) scopes: Vec<Scope>,
    /// Whether keys without scopes pass, too.
    pub(super) scopeless: bool,
    pub(super) organization: Option<Find<OrganizationId>>,
    pub(super) team: Option<Find<AskedTeam>>,
    pub(super) membership: Option<Membership>,
}

/// What can be decided about a request at once.
pub(super) enum Verdict {
    /// With the organization or team that it is about, if one is required.
    Allowed(Option<Bound>),
    Ask(BoxFuture<'static, Result<Bound, RefusalCode>>),
    Refused(Refusal),
}

impl Rules {
    pub(super) fn judge(&self, request: &Parts) -> Verdict {
        let Some(principal) = request.extensions.get::<Principal>() else {
            return Verdict::Refused(Refusal::new(without_principal(request, "RequireKeyLayer")));
        };
        if let Some(kind) = self.kind.filter(|kind| *kind != principal.kind()) {
            return Verdict::Refused(Refusal::wrong_key_kind(kind));
        }
        let has_scopes = self.scopeless || !principal.scopes().is_empty();
        if !has_scopes || !self.scopes.iter().all(|scope| principal.allows(scope)) {
            return Verdict::Refused(Refusal::insufficient_scope(self.scopes.iter().cloned()));
        }
        if self.organization.is_none() && self.team.is_none() {
            return Verdict::Allowed(None);
        }
        let question = Question {
            principal: principal.clone(),
            organization: self.organization.as_ref().map(|find| find.ask(request, principal)),
            team: self.team.as_ref().map(|find| find.ask(request, principal)),
            membership: self.membership.clone(),
        };
        if !question.is_answered() {
            return Verdict::Ask(Box::pin(question.settle()));
        }
        match question.settle().now_or_never() {
            Some(Ok(bound)) => Verdict::Allowed(Some(bound)),
            Some(Err(code)) => Verdict::Refused(Refusal::new(code)),
            // A question that waits against expectation must not let the request through.
            None => Verdict::Refused(Refusal::new(RefusalCode::StoreUnavailable)),
        }
    }
}

/// The answer of `what`, which needs a principal, to a request without one.
pub(crate) fn without_principal(request: &Parts, what: &'static str) -> RefusalCode {
    if request.extensions.get::<Anonymous>().is_some() {
        return RefusalCode::MissingCredentials;
    }
    report::no_layer(what);
    RefusalCode::Misconfigured
}
