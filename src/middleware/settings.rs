use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, header::AUTHORIZATION};

use super::{
    anonymous::{Anonymous, Counted},
    body::ResponseBody,
    bound::Bound,
    caching,
    credentials::{Carried, ForeignBearer},
    headers::{Instead, KeyHeaders},
    presenter::Presenter,
    refusal::Refusal,
    shape::Shape,
    sources::Sources,
};
use crate::{
    auth::{Accepted, AnonymousUse, UsageTicket},
    outcome::{Proved, RefusalCode},
    owner::OrganizationId,
    principal::Principal,
    usage::Label,
};

/// The settings of an [`ApiKeyLayer`](super::ApiKeyLayer).
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) optional: bool,
    /// The only organization whose keys are accepted, if there is one.
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) foreign_bearer: ForeignBearer,
    pub(crate) headers: KeyHeaders,
    pub(crate) keep_credentials: bool,
    pub(crate) private_responses: bool,
    /// The label of requests through this layer.
    pub(crate) label: Label,
    pub(crate) sources: Sources,
    pub(crate) presenter: Presenter,
    pub(crate) missing: Refusal,
}

impl Default for Settings {
    fn default() -> Self {
        let headers = KeyHeaders::default();
        Self {
            optional: false,
            organization: None,
            foreign_bearer: ForeignBearer::default(),
            keep_credentials: false,
            private_responses: true,
            label: Label::default(),
            sources: Sources::default(),
            presenter: Presenter::default(),
            missing: Refusal::missing(headers.advice(Instead::Nothing)),
            headers,
        }
    }
}

impl Settings {
    /// Prepares the request for the inner service: without the key, with the principal. Refuses a second key beside
    /// that of a layer of the same keys further out: the services between the two layers judged the other key.
    // Always inlined: as a call of its own, it makes the compiler copy each request once more on its way to the inner
    // service.
    #[inline(always)]
    pub(crate) fn admit<B>(
        self: &Arc<Self>,
        request: &mut Request<B>,
        accepted: Accepted,
        carried: Carried,
    ) -> Result<Finish, Box<Response<Bytes>>> {
        self.take_key(request.headers_mut(), carried);
        let (principal, pass) = accepted.into_parts();
        if self.organization.is_some() {
            Bound::of(principal.clone()).put_into(request.extensions_mut());
        }
        let (key, authenticator) = (*principal.key_id(), principal.proved_by());
        if let Some(before) = request.extensions_mut().insert(principal)
            && before.proved_by() == authenticator
            && *before.key_id() != key
        {
            return Err(Box::new(self.turn_down(RefusalCode::AmbiguousCredentials, pass, Shape::of(request))));
        }
        Ok(self.finish(carried.key_header && self.private_responses, Shape::of(request), pass.into()))
    }

    /// Whether this principal belongs to another organization than the one that is accepted.
    #[inline]
    pub(crate) fn is_foreign(&self, principal: &Principal) -> bool {
        self.organization.as_ref().is_some_and(|own| own != principal.organization())
    }

    /// The answer to a good key of another organization. It says that the key is not accepted here, not where it would
    /// be.
    pub(crate) fn refuse_foreign(&self, accepted: Accepted, shape: Shape) -> Response<Bytes> {
        self.turn_down(RefusalCode::WrongTeam, accepted.into_parts().1, shape)
    }

    /// The answer to a good key that is not let through.
    #[cold]
    fn turn_down(&self, code: RefusalCode, pass: Option<UsageTicket>, shape: Shape) -> Response<Bytes> {
        if let Some(pass) = pass {
            pass.denied_downstream(code);
        }
        self.presenter.refuse(Refusal::new(code), shape)
    }

    /// Like [`admit`](Self::admit), for a request whose key a layer of the same keys further out took and proved.
    pub(crate) fn admit_proved<B>(self: &Arc<Self>, request: &mut Request<B>) -> Finish {
        if self.organization.is_some()
            && let Some(principal) = request.extensions().get::<Principal>().cloned()
        {
            Bound::of(principal).put_into(request.extensions_mut());
        }
        self.finish(false, Shape::of(request), Caller::default())
    }

    /// Like [`admit`](Self::admit), for a request without a key: a principal of other origin must not pass as one of
    /// ours.
    pub(crate) fn admit_anonymous<B>(self: &Arc<Self>, request: &mut Request<B>, caller: Caller) -> Finish {
        request.extensions_mut().remove::<Principal>();
        request.extensions_mut().insert(Anonymous);
        self.finish(false, Shape::of(request), caller)
    }

    /// What remains to be done to the answer to a request that was let through.
    pub(crate) fn finish(self: &Arc<Self>, protect: bool, shape: Shape, caller: Caller) -> Finish {
        // Reference counts are contended between cores: counted only if the answer needs it.
        let needed = protect || !self.presenter.is_default();
        Finish { settings: needed.then(|| Arc::clone(self)), protect, shape, caller }
    }

    fn take_key(&self, headers: &mut HeaderMap, carried: Carried) {
        if carried.authorization {
            self.take(headers, &AUTHORIZATION);
        }
        if carried.key_header
            && let Some(name) = self.headers.key_header()
        {
            self.take(headers, name);
        }
    }

    fn take(&self, headers: &mut HeaderMap, name: &HeaderName) {
        if !self.keep_credentials {
            headers.remove(name);
        } else if let Some(value) = headers.get_mut(name) {
            HeaderValue::set_sensitive(value, true);
        }
    }
}

/// What remains to be done to the answer of the inner service.
#[derive(Default)]
pub(crate) struct Finish {
    settings: Option<Arc<Settings>>,
    /// The key was in a header that shared caches do not know.
    protect: bool,
    /// The form that the caller understands, if the inner service refuses.
    shape: Shape,
    caller: Caller,
}

/// The caller of a request, as far as it is counted if the request is refused.
pub(crate) enum Caller {
    Key(UsageTicket),
    /// Boxed, so that a request with a key has no space for it.
    Nobody(Option<Box<AnonymousUse>>),
}

impl Finish {
    #[inline]
    pub(crate) fn apply<B>(&self, response: Response<B>) -> Response<ResponseBody<B>> {
        let mut response = response.map(ResponseBody::inner);
        if response.extensions().get::<Refusal>().is_some() {
            self.refused(&mut response);
        } else if let Some(settings) = &self.settings
            && self.protect
        {
            caching::protect(response.headers_mut(), settings.presenter.vary());
        }
        response
    }

    #[cold]
    fn refused<B>(&self, response: &mut Response<ResponseBody<B>>) {
        let Some(refusal) = response.extensions().get::<Refusal>().cloned() else { return };
        self.caller.denied_downstream(refusal.code(), response.extensions_mut());
        match &self.settings {
            Some(settings) => settings.presenter.present(&refusal, self.shape, response),
            None => Presenter::default().present(&refusal, self.shape, response),
        }
    }
}

impl Caller {
    /// Counts that a good key was refused further in, or that a key was missing where one is needed. Failures of the
    /// service itself are not counted.
    #[cold]
    fn denied_downstream(&self, code: RefusalCode, answer: &mut Extensions) {
        match self {
            Self::Key(pass) if code.proves() == Proved::Good => pass.denied_downstream(code),
            Self::Nobody(Some(visit))
                if code == RefusalCode::MissingCredentials && answer.get::<Counted>().is_none() =>
            {
                visit.denied_downstream(code);
                answer.insert(Counted);
            }
            _ => {}
        }
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self::Nobody(None)
    }
}

impl From<Option<UsageTicket>> for Caller {
    fn from(pass: Option<UsageTicket>) -> Self {
        pass.map_or_else(Self::default, Self::Key)
    }
}
